//! The command line.

use core::fmt;
use panic_smp::{CpuIndex, ExternalNmi, FinalAction};

/// How the button arrives.
pub enum Button {
    /// On LINT1.
    Pin(ExternalNmi),
    /// As a message to every CPU, after so many ticks of the interval timer.
    Message { after: u16 },
}

impl Button {
    pub fn route(&self) -> ExternalNmi {
        match self {
            Self::Pin(route) => *route,
            Self::Message { .. } => ExternalNmi::None,
        }
    }
}

pub struct Options {
    pub button: Button,
    pub then: Option<FinalAction>,
    panics: &'static str,
}

/// A word of the command line that means nothing here.
pub struct BadOption {
    key: &'static str,
    value: &'static str,
    expected: &'static str,
}

impl fmt::Display for BadOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}={}` on the command line: expected {}", self.key, self.value, self.expected)
    }
}

impl Options {
    pub fn read(line: &'static str) -> Result<Self, BadOption> {
        let mut options = Self { button: Button::Pin(ExternalNmi::All), then: None, panics: "" };
        let mut after = 10_000;
        for word in line.split_ascii_whitespace() {
            // The loader may put the image's name first; a word without `=` is not for us.
            let Some((key, value)) = word.split_once('=') else { continue };
            let bad = |expected| BadOption { key, value, expected };
            match key {
                "nmi" if value == "message" => options.button = Button::Message { after },
                "nmi" => {
                    let route = ExternalNmi::from_name(value).ok_or(bad("bsp, all, none or message"))?;
                    options.button = Button::Pin(route);
                }
                "after" => {
                    after = value.parse().map_err(|_| bad("ticks of the interval timer, 1 to 65535"))?;
                    if let Button::Message { after: set } = &mut options.button {
                        *set = after;
                    }
                }
                "panic" if value.split(',').all(|cpu| cpu.parse::<u16>().is_ok()) => options.panics = value,
                "panic" => return Err(bad("CPU indices, joined by commas")),
                "then" => {
                    options.then = Some(match value {
                        "exit" => FinalAction::Custom(board_qemu::exit_success),
                        "halt" => FinalAction::Halt,
                        "reset" => FinalAction::Reset,
                        _ => return Err(bad("exit, halt or reset")),
                    });
                }
                // Start-up's own.
                "acpi_rsdp" => {}
                _ => return Err(bad("nmi, after, panic or then")),
            }
        }
        Ok(options)
    }

    pub fn panics(&self, cpu: CpuIndex) -> bool {
        self.panics.split(',').any(|word| word.parse() == Ok(cpu.0))
    }
}

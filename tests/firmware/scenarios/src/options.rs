//! The command line.

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use panic_smp::{CpuIndex, ExternalNmi, FinalAction};

use crate::scenario::{self, ALL};

/// The button is a message of the I/O APIC.
static MESSAGE: AtomicBool = AtomicBool::new(false);
/// `gate=depth`.
static GATED: AtomicBool = AtomicBool::new(false);
/// `cpu=N`.
static CPU: AtomicU16 = AtomicU16::new(0);

// All of them are Relaxed: written by the first CPU before it starts any other.

pub fn button_is_a_message() -> bool {
    MESSAGE.load(Ordering::Relaxed)
}

pub fn gated() -> bool {
    GATED.load(Ordering::Relaxed)
}

/// The CPU that the scenario is about.
pub fn cpu() -> CpuIndex {
    CpuIndex(CPU.load(Ordering::Relaxed))
}

pub struct Options {
    case: &'static str,
    route: Option<ExternalNmi>,
    message: bool,
    gated: bool,
    cpu: u16,
    pub then: Option<FinalAction>,
}

/// What is wrong with the command line.
pub enum Bad {
    Word { key: &'static str, value: &'static str, expected: &'static str },
    Case(&'static str),
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word { key, value, expected } => write!(f, "`{key}={value}`: expected {expected}"),
            Self::Case(name) => {
                write!(f, "no case `{name}`; there are:")?;
                ALL.iter().try_for_each(|scenario| write!(f, " {}", scenario.name))
            }
        }
    }
}

impl Options {
    pub fn read(line: &'static str) -> Result<Self, Bad> {
        let mut options = Self { case: "", route: None, message: false, gated: false, cpu: 0, then: None };
        for word in line.split_ascii_whitespace() {
            // The loader may put the image's name first; a word without `=` is not for us.
            let Some((key, value)) = word.split_once('=') else { continue };
            let bad = |expected| Bad::Word { key, value, expected };
            match (key, value) {
                ("case", name) => options.case = name,
                ("nmi", "message") => {
                    options.message = true;
                    options.route = Some(ExternalNmi::None);
                }
                ("nmi", route) => {
                    let known = ExternalNmi::from_name(route);
                    options.route = Some(known.ok_or(bad("bsp, all, none or message"))?);
                }
                ("gate", "depth") => options.gated = true,
                ("cpu", number) => options.cpu = number.parse().map_err(|_| bad("the index of a CPU"))?,
                ("then", "exit") => options.then = Some(FinalAction::Custom(board_qemu::exit_success)),
                ("then", "halt") => options.then = Some(FinalAction::Halt),
                ("then", "reset") => options.then = Some(FinalAction::Reset),
                _ => return Err(bad("case, nmi, gate=depth, cpu, or then=exit, halt or reset")),
            }
        }
        Ok(options)
    }

    pub fn route(&self) -> Option<ExternalNmi> {
        self.route
    }

    /// Makes these the options of the run.
    pub fn choose(self) -> Result<(), Bad> {
        MESSAGE.store(self.message, Ordering::Relaxed);
        GATED.store(self.gated, Ordering::Relaxed);
        CPU.store(self.cpu, Ordering::Relaxed);
        scenario::choose(self.case).ok_or(Bad::Case(self.case))
    }
}

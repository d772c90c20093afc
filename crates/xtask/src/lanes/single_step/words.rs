//! Where the runtime's words lie in memory, as the debug information of the image says.

use std::process::Command;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::gdb_remote::Debugger;
use crate::lanes::planted::Planted;
use crate::process;

/// Addresses of words that say how far a CPU or the stop has come.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// When the winner decided: the first store after its claim.
    pub decision: u64,
    /// Whether the stop is published: not 0.
    pub stop: u64,
    /// The state of CPU 0; those of the others follow.
    state: u64,
    stride: u64,
}

/// `stop_protocol::CpuState`, as far as it is waited for.
pub mod state {
    /// Its registers are being saved: from here on an NMI must not touch them.
    pub const SEEN: u32 = 4;
    /// They are published.
    pub const SAVED: u32 = 5;
    /// Stopped, and watching.
    pub const GUARDING: u32 = 7;
}

impl Words {
    /// Asks gdb for the layout of the runtime.
    pub fn of(planted: &Planted) -> Result<Words> {
        let runtime = format!("(*({:#x} as *const panic_smp::runtime::Runtime))", planted.symbols.runtime);
        let line = format!("(*({:#x} as *const stop_protocol::line::CpuLine))", planted.symbols.lines);
        let expressions = [
            format!("&{runtime}.stamps.decision"),
            format!("&{runtime}.ledger.stop"),
            format!("&{line}.own.state"),
            "sizeof(stop_protocol::line::CpuLine)".to_owned(),
        ];
        let mut command = Command::new("gdb");
        command.args(["-nx", "-batch", "-ex", "set language rust"]);
        for expression in &expressions {
            command.args(["-ex", &format!("p/x {expression}")]);
        }
        command.arg(&planted.image.elf);
        let text = process::run(&command, Duration::from_secs(60))?.ok()?;
        let value = |l: &str| u64::from_str_radix(l.strip_prefix('$')?.split_once("= 0x")?.1, 16).ok();
        let values: Vec<u64> = text.lines().filter_map(value).collect();
        match values[..] {
            [decision, stop, state, stride] => Ok(Words { decision, stop, state, stride }),
            _ => Err(Error::Invalid(format!("gdb does not find the runtime's words:\n{text}"))),
        }
    }

    /// The address of the state of `cpu`.
    pub fn state_of(&self, cpu: usize) -> u64 {
        self.state + cpu as u64 * self.stride
    }
}

/// The 32-bit word at `address`.
pub fn read(debugger: &mut Debugger, address: u64) -> Result<u32> {
    let bytes = debugger.read(address, 4)?;
    Ok(bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte)))
}

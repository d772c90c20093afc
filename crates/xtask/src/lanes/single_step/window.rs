//! The situations in which the save path is swept, and a CPU's way through it.

use std::collections::HashMap;
use std::collections::HashSet;

use super::words::{self, Words, state};
use crate::error::{Error, Result};
use crate::gdb_remote::{Debugger, Point};
use crate::lanes::planted::Planted;

/// More instructions than the path can have.
const MOST_STEPS: usize = 20_000;
/// HLT (SDM vol. 2A).
const HLT: u8 = 0xF4;

/// Where the winner stands while the others are swept, and how they came to the save path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// The winner has published the stop and sent nothing; each CPU enters `panic_smp_self_stop` in ordinary context.
    /// The second NMI is as good as the stop NMI.
    Published,
    /// The winner has only claimed the panic; each CPU enters `panic_smp_self_stop` in ordinary context. The second NMI
    /// is one of which nobody knows yet what it is.
    Claimed,
    /// The stop is published; each CPU takes an NMI. The second one finds NMIs blocked.
    InNmi,
}

impl Window {
    /// All of them.
    pub const ALL: [Window; 3] = [Window::Published, Window::Claimed, Window::InNmi];

    /// Its name as a check.
    pub fn name(self) -> &'static str {
        match self {
            Window::Published => "stop-published",
            Window::Claimed => "panic-claimed",
            Window::InNmi => "in-nmi",
        }
    }
}

/// The winner.
pub const WINNER: usize = 0;
/// The CPU that stops first and watches the winner, so that the others all take the same way.
pub const GUARD: usize = 1;

/// A stopped machine in a window, and what drives it.
pub struct Stage<'a> {
    /// The firmware.
    pub planted: &'a Planted,
    /// Where the runtime's words are.
    pub words: &'a Words,
    /// The debugger, which holds all CPUs.
    pub debugger: &'a mut Debugger,
    /// Which window.
    pub window: Window,
    /// Where the winner stands once the stop is published, if that was measured.
    pub published_at: Option<u64>,
}

impl Stage<'_> {
    /// Brings the winner to its place, and the guard where there is a stop already.
    pub fn set(&mut self) -> Result<()> {
        self.debugger.set_rip(WINNER, self.planted.symbols.planted_panic)?;
        self.run_to_store(WINNER, self.words.decision, 8)?;
        if self.window == Window::Claimed {
            return Ok(());
        }
        self.publish()?;
        self.debugger.set_rip(GUARD, self.planted.symbols.planted_self_stop)?;
        let word = self.words.state_of(GUARD);
        while words::read(self.debugger, word)? != state::GUARDING {
            self.run_to_store(GUARD, word, 4)?;
        }
        Ok(())
    }

    /// Lets the winner publish the stop. That is an exchange, which is no store to the emulator's watchpoints: the first
    /// time by single steps.
    fn publish(&mut self) -> Result<()> {
        match self.published_at {
            Some(rip) => self.debugger.run_alone_to(WINNER, rip)?,
            None => {
                for _ in 0..MOST_STEPS {
                    if words::read(self.debugger, self.words.stop)? != 0 {
                        break;
                    }
                    self.debugger.step(WINNER)?;
                }
                self.published_at = Some(self.debugger.rip(WINNER)?);
            }
        }
        if words::read(self.debugger, self.words.stop)? == 0 {
            return Err(Error::Guest("the winner published no stop".into()));
        }
        Ok(())
    }

    fn run_to_store(&mut self, cpu: usize, word: u64, bytes: u64) -> Result<()> {
        self.debugger.insert(Point::Store(word, bytes))?;
        self.debugger.run_alone(cpu)?;
        self.debugger.remove(Point::Store(word, bytes))
    }

    /// Brings `cpu` to the first instruction of its path. For a path in an NMI, one must be pending.
    pub fn begin(&mut self, cpu: usize) -> Result<()> {
        match self.window {
            Window::Published | Window::Claimed => {
                self.debugger.set_rip(cpu, self.planted.symbols.planted_self_stop)
            }
            Window::InNmi => self.debugger.run_alone_to(cpu, self.planted.symbols.nmi_entry),
        }
    }

    /// Steps `cpu` from the first instruction of its path to the last: the halt, or, where the stop is not published, one
    /// turn of the wait for it.
    pub fn trace(&mut self, cpu: usize) -> Result<Path> {
        let mut path = Vec::new();
        let mut since_saved = HashSet::new();
        loop {
            let rip = self.debugger.rip(cpu)?;
            path.push(rip);
            let ends = match self.window {
                Window::Published | Window::InNmi => self.debugger.read(rip, 1)? == [HLT],
                Window::Claimed => {
                    let saved = words::read(self.debugger, self.words.state_of(cpu))? == state::SAVED;
                    saved && !since_saved.insert(rip)
                }
            };
            if ends {
                return Ok(Path::new(path));
            }
            if path.len() > MOST_STEPS {
                return Err(Error::Guest(format!("the path of CPU {cpu} has no end")));
            }
            self.debugger.step(cpu)?;
        }
    }

    /// Brings `cpu` from the first instruction of its path to instruction `k`, before which it stands then. False when it
    /// took another way: the one branch of the path that the clock decides (whether a gap was long) can go either way.
    pub fn advance(&mut self, cpu: usize, path: &Path, k: usize) -> Result<bool> {
        let anchor = path.anchor(k);
        if anchor > 0 {
            self.debugger.run_alone_to(cpu, path.instructions[anchor])?;
        }
        for _ in anchor..k {
            self.debugger.step(cpu)?;
        }
        Ok(self.debugger.rip(cpu)? == path.instructions[k])
    }
}

/// The instructions that a CPU executes, in order, by address.
pub struct Path {
    instructions: Vec<u64>,
    /// For each, the last one up to it that is executed only once: a breakpoint there cannot stop too early.
    anchors: Vec<usize>,
}

impl Path {
    fn new(instructions: Vec<u64>) -> Path {
        let mut count: HashMap<u64, u32> = HashMap::new();
        for address in &instructions {
            *count.entry(*address).or_default() += 1;
        }
        let mut last = 0;
        let anchors = instructions.iter().enumerate().map(|(k, address)| {
            if count[address] == 1 {
                last = k;
            }
            last
        });
        let anchors = anchors.collect();
        Path { instructions, anchors }
    }

    /// How many instructions it has.
    pub fn len(&self) -> usize {
        self.instructions.len()
    }

    fn anchor(&self, k: usize) -> usize {
        self.anchors[k]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchor_is_executed_once() {
        let path = Path::new(vec![10, 20, 30, 20, 30, 40]);
        assert_eq!(path.anchors, [0, 0, 0, 0, 0, 5]);
        assert_eq!(path.len(), 6);
    }
}

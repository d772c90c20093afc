//! One CPU of an emulated machine, instruction by instruction, while all others stand still.

use std::collections::BTreeMap;

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::elf::Elf;
use crate::error::{Error, Result};
use crate::gdb_remote::{Debugger, LiveRegisters};

/// More instructions than anything measured here has: a way that misses its end is an error, not a hang.
const MOST_STEPS: u64 = 200_000;

/// What an instruction did that can end a measurement.
pub struct Done {
    /// Its memory operand: the address, and whether it was written.
    pub memory: Vec<(u64, bool)>,
    /// What it is.
    pub mnemonic: Mnemonic,
}

impl Done {
    /// Whether it wrote the object at `address`.
    pub fn wrote(&self, address: u64) -> bool {
        self.memory.contains(&(address, true))
    }

    /// Whether it had the object at `address` as its operand.
    pub fn touched(&self, address: u64) -> bool {
        self.memory.iter().any(|(at, _)| *at == address)
    }
}

/// A CPU that stands at an instruction, and how many it executed since it was taken over.
pub struct Stepper<'b, 'e> {
    elf: &'b Elf<'e>,
    cpu: usize,
    registers: LiveRegisters,
    /// Instructions executed. One with a REP prefix counts once.
    pub count: u64,
    /// The count at the last RDTSC.
    last_tsc: Option<u64>,
    /// For each address written since the first RDTSC, the count at the last RDTSC before its first store: of a stamp
    /// that is the one it was read by.
    stamps: BTreeMap<u64, u64>,
    /// How often the instruction at each address was executed.
    executed: BTreeMap<u64, u64>,
}

impl<'b, 'e> Stepper<'b, 'e> {
    /// Takes over `cpu` where it stands.
    pub fn new(elf: &'b Elf<'e>, debugger: &mut Debugger, cpu: usize) -> Result<Stepper<'b, 'e>> {
        let registers = debugger.registers(cpu)?;
        Ok(Stepper {
            elf,
            cpu,
            registers,
            count: 0,
            last_tsc: None,
            stamps: BTreeMap::new(),
            executed: BTreeMap::new(),
        })
    }

    /// Executes instructions until one for which `is_end` holds; the count is then the one with that instruction.
    pub fn until(
        &mut self,
        debugger: &mut Debugger,
        what: &str,
        mut is_end: impl FnMut(&mut Debugger, &Done) -> Result<bool>,
    ) -> Result<u64> {
        for _ in 0..MOST_STEPS {
            let done = self.step(debugger)?;
            if is_end(debugger, &done)? {
                return Ok(self.count);
            }
        }
        Err(Error::Guest(format!("CPU {}: no {what} in {MOST_STEPS} instructions", self.cpu)))
    }

    /// How many instructions were executed when the time that was stored at `address` was read.
    pub fn stamp(&self, address: u64) -> Result<u64> {
        let count = self.stamps.get(&address).copied();
        count.ok_or_else(|| Error::Guest(format!("CPU {}: no time was stored at {address:#x}", self.cpu)))
    }

    /// How many instructions of each function of the source were executed so far, most first. One of the core library
    /// counts for its caller.
    pub fn by_function(&self) -> Vec<(String, u64)> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (address, count) in &self.executed {
            *counts.entry(self.elf.owner(*address)).or_default() += count;
        }
        let mut counts = Vec::from_iter(counts);
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        counts
    }

    fn step(&mut self, debugger: &mut Debugger) -> Result<Done> {
        let rip = self.get("rip");
        let instruction = self.elf.instruction(rip)?;
        let mut stands = 0;
        let done = Done { memory: self.memory(&instruction), mnemonic: instruction.mnemonic() };
        loop {
            if instruction.mnemonic() == Mnemonic::Pause {
                // QEMU leaves its loop at a PAUSE without a stop of the step, and would execute the next one too.
                debugger.set_rip(self.cpu, instruction.next_ip())?;
            } else {
                debugger.step(self.cpu)?;
            }
            self.registers = debugger.registers(self.cpu)?;
            // A string instruction stays while it repeats, and a step may end before it retired anything.
            if self.get("rip") != rip {
                break;
            }
            stands += 1;
            if stands > MOST_STEPS {
                return Err(Error::Guest(format!("CPU {}: stands still at {rip:#x}", self.cpu)));
            }
        }
        let now = self.get("rip");
        if instruction.flow_control() == FlowControl::Next && now != instruction.next_ip() {
            return Err(Error::Guest(format!("a step from {rip:#x} came to {now:#x}: not one instruction")));
        }
        self.count += 1;
        *self.executed.entry(rip).or_default() += 1;
        if instruction.mnemonic() == Mnemonic::Rdtsc {
            self.last_tsc = Some(self.count);
        }
        if let Some(at) = self.last_tsc {
            let written = done.memory.iter().filter(|(_, written)| *written);
            for (address, _) in written {
                self.stamps.entry(*address).or_insert(at);
            }
        }
        Ok(done)
    }

    fn get(&self, name: &str) -> u64 {
        self.registers.get(name).unwrap_or(0)
    }

    fn memory(&self, instruction: &Instruction) -> Vec<(u64, bool)> {
        // LEA and the like name memory that they do not touch.
        if !(0..instruction.op_count()).any(|op| instruction.op_kind(op) == OpKind::Memory) {
            return Vec::new();
        }
        let mut factory = InstructionInfoFactory::new();
        let info = factory.info(instruction);
        let register = |register: Register, _, _| match register {
            Register::DS | Register::ES | Register::SS | Register::CS => Some(0),
            Register::FS => Some(self.get("fs_base")),
            Register::GS => Some(self.get("gs_base")),
            other => self.registers.get(&format!("{:?}", other.full_register()).to_lowercase()),
        };
        let used = info.used_memory().iter().filter_map(|memory| {
            let written = match memory.access() {
                OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite => true,
                OpAccess::Read | OpAccess::CondRead => false,
                _ => return None,
            };
            Some((memory.virtual_address(0, register)?, written))
        });
        used.collect()
    }
}

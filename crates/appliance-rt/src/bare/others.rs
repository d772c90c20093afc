//! The other CPUs: how [`init_sipi`] reaches them, and their first Rust code.

use core::sync::atomic::{AtomicU64, Ordering};

use panic_smp::{CpuIndex, Runtime};

use super::{apic::LocalApic, boot::CPUS, clock, interrupts};
use crate::{
    Machine,
    init_sipi::{self, Others, Reason, Stage},
    phase::Phase,
    println,
};

struct Hardware<'a> {
    machine: &'a Machine,
    runtime: &'a Runtime,
    apic: LocalApic,
    trampoline: u64,
    /// The words of the directory.
    stacks: &'a [AtomicU64],
}

/// Starts the CPUs that are `enabled`, the first one aside. When it returns, each is ready or was named on the console.
pub fn start(
    machine: &Machine,
    runtime: &Runtime,
    apic: LocalApic,
    trampoline: u64,
    stacks: &[AtomicU64],
    enabled: &[bool],
) {
    let mut cpus = heapless::Vec::<CpuIndex, CPUS>::new();
    for ((index, id), _) in (0..).zip(machine.apic_ids).zip(enabled).skip(1).filter(|(_, enabled)| **enabled)
    {
        let cpu = CpuIndex(index);
        if apic.reaches(*id) {
            // There is room for every CPU that was read.
            let _ = cpus.push(cpu);
        } else {
            println!("appliance-rt: {cpu}, APIC id {id}, cannot be addressed without x2APIC mode: left out");
        }
    }
    init_sipi::start(&mut Hardware { machine, runtime, apic, trampoline, stacks }, &cpus);
}

impl Hardware<'_> {
    fn apic_id(&self, cpu: CpuIndex) -> Option<u32> {
        self.machine.apic_ids.get(cpu.as_usize()).copied()
    }

    /// The stack that `cpu` may take from now on; 0 for none.
    fn set_stack(&self, cpu: CpuIndex, top: u64) {
        if let Some(word) = self.stacks.get(cpu.as_usize()) {
            // Relaxed: see `Directory`.
            word.store(top, Ordering::Relaxed);
        }
    }
}

impl Others for Hardware<'_> {
    fn announce(&mut self, cpu: CpuIndex) {
        self.runtime.starting(cpu);
        self.set_stack(cpu, self.machine.stack(cpu).map_or(0, |stack| stack.end));
    }

    fn send_init(&mut self, cpu: CpuIndex) {
        if let Some(id) = self.apic_id(cpu) {
            self.apic.send_init(id);
        }
    }

    fn send_startup(&mut self, cpu: CpuIndex) {
        if let Some(id) = self.apic_id(cpu) {
            self.apic.send_startup(id, self.trampoline);
        }
    }

    fn delay(&mut self, microseconds: u64) -> u64 {
        let start = clock::now();
        clock::delay(microseconds);
        clock::microseconds_since(start)
    }

    fn stage(&self, cpu: CpuIndex) -> Stage {
        self.machine.phases.get(cpu.as_usize()).map_or(Stage::Failed, Phase::get)
    }

    fn fail(&mut self, cpu: CpuIndex, at: Stage) -> bool {
        self.machine.phases.get(cpu.as_usize()).is_some_and(|phase| phase.advance(at, Stage::Failed))
    }

    fn left_out(&mut self, cpu: CpuIndex, reason: Reason) {
        let id = self.apic_id(cpu).unwrap_or(u32::MAX);
        match reason {
            // The runtime may have admitted it: then a stop reaches it, and else names it.
            Reason::StillJoining => println!("appliance-rt: {cpu}, APIC id {id}, {reason}"),
            Reason::NoAnswer | Reason::Stuck | Reason::Refused => {
                self.set_stack(cpu, 0);
                self.runtime.start_failed(cpu);
                println!("appliance-rt: {cpu}, APIC id {id}, {reason}: left out");
            }
        }
    }
}

/// The first Rust code of a started CPU, on its own stack, without an interrupt descriptor table.
pub extern "C" fn ap_main(cpu: u32) -> ! {
    interrupts::load();
    let cpu = CpuIndex(cpu as u16);
    let (machine, entry) = super::boot::shared();
    let (Some(phase), Some(tables)) = (machine.phases.get(cpu.as_usize()), super::boot::tables(cpu)) else {
        halt()
    };
    if !phase.advance(Stage::Waiting, Stage::Alive) {
        halt();
    }
    // SAFETY: whoever got here took the one stack of this CPU, so nobody else reaches its tables; they live for ever.
    unsafe { (&mut *tables).load() };
    // `started_cpu` has brought it into the mode of all.
    LocalApic::of_this_cpu().enable();
    if !phase.advance(Stage::Alive, Stage::Joining) {
        halt();
    }
    // Held for ever: `main` does not return.
    let _ready = match entry.runtime.ready(cpu) {
        Ok(ready) => ready,
        Err(error) => {
            println!("appliance-rt: {cpu} is not ready: {error}");
            phase.advance(Stage::Joining, Stage::Failed);
            halt()
        }
    };
    phase.advance(Stage::Joining, Stage::Ready);
    (entry.main)(machine, cpu)
}

/// Halts a CPU that was given up; the first CPU puts it into wait-for-SIPI.
fn halt() -> ! {
    loop {
        // SAFETY: stops this CPU; it holds nothing.
        unsafe { core::arch::asm!("cli", "hlt", options(nostack)) };
    }
}

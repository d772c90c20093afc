//! The least that a firmware needs: a panic runtime, a panic handler, an entry.
#![no_std]
#![no_main]

use appliance_rt::{Machine, println};
use panic_smp::{CpuIndex, sink::CONSOLE};

panic_smp::runtime! {
    /// The one runtime of this firmware.
    pub static PANIC: 64 cpus = Config::new()
        .boards(&[&board_qemu::BOARD])
        .sinks(&[&CONSOLE])
        .then(FinalAction::Reset);
}
panic_smp::panic_handler!();
appliance_rt::entry!(PANIC, main);

fn main(machine: &'static Machine, cpu: CpuIndex) -> ! {
    if cpu.0 == 0 {
        println!("armed: {} CPUs", machine.cpus_running());
    }
    machine.idle()
}

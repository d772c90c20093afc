//! Declared for as many CPUs as a runtime can hold: for machines whose tables name more than there are.
#![no_std]
#![no_main]

use appliance_rt::{Machine, println};
use panic_smp::{CpuIndex, ExternalNmi, sink::CONSOLE};

panic_smp::runtime! {
    /// The one runtime of this firmware.
    pub static PANIC: 1024 cpus = Config::new()
        .boards(&[&board_qemu::BOARD])
        .sinks(&[&CONSOLE])
        .external_nmi(ExternalNmi::All)
        .stack_bytes(256)
        .then(FinalAction::Custom(board_qemu::exit_success));
}
panic_smp::panic_handler!();
appliance_rt::entry!(PANIC, main);

fn main(machine: &'static Machine, cpu: CpuIndex) -> ! {
    if cpu.0 == 0 {
        println!("armed: {} CPUs", machine.wait_for_all());
    }
    machine.idle()
}

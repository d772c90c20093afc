//! One scenario per boot, chosen by `case=NAME` on the command line. The lane `scenarios` of `cargo xtask test` boots
//! each and judges it from outside.
//!
//! | word | what it chooses |
//! |---|---|
//! | `case=NAME` | the scenario: a row of `scenario::ALL`, which is a file here |
//! | `nmi=bsp`, `all`, `none`, `message` | how the button arrives; `message` is an I/O APIC message to every CPU |
//! | `gate=depth` | who identifies an NMI waits until every CPU is in its NMI handler |
//! | `cpu=N` | the CPU that a scenario is about, where it leaves the choice |
//! | `then=exit`, `halt`, `reset` | the final action; `exit` (of QEMU) if it is not said |
//!
//! An unknown word or case ends QEMU with a status of its own.
#![no_std]
#![no_main]

mod cases;
mod cpu;
mod gate;
mod observe;
mod options;
mod scenario;

use appliance_rt::{Machine, println};
use panic_smp::sink::CONSOLE;
use panic_smp::{CpuIndex, Microseconds, Region, Timings};

/// Short enough for a test that waits for a guard; long enough for an emulator of which two run on two host CPUs.
const TIMINGS: Timings = Timings {
    stage: Microseconds::from_millis(2_000),
    record: Microseconds::from_millis(60_000),
    ..Timings::DEFAULT
};

panic_smp::runtime! {
    /// The one runtime of this firmware. For few CPUs, so that a machine can have more.
    pub static PANIC: 16 cpus = Config::new()
        .boards(&[&gate::BOARD])
        .sinks(&[&observe::OBSERVER, &CONSOLE])
        .screens(&[&observe::SCREEN])
        .nmi_handlers(&[scenario::nmi])
        .on_stop(scenario::on_stop)
        .settle(&[critical_section_smp::owners_are_stopped, scenario::settle])
        .hooks(&[scenario::hook])
        .regions(&[Region { name: "notes", address: observe::address, bytes: observe::BYTES }])
        .timings(TIMINGS)
        .then(FinalAction::Custom(board_qemu::exit_success));
}
panic_smp::panic_handler!();
critical_section_smp::set_impl!();
appliance_rt::entry!(PANIC, prepare, main);

/// On the first CPU, before any is ready.
fn prepare(machine: &'static Machine) {
    let chosen = options::Options::read(machine.command_line()).and_then(|options| {
        if let Some(route) = options.route() {
            PANIC.set_external_nmi(route);
        }
        if let Some(action) = options.then {
            PANIC.set_final_action(action);
        }
        options.choose()
    });
    if let Err(error) = chosen {
        println!("scenarios: {error}");
        board_qemu::exit(board_qemu::SUCCESS + 1);
    }
    (scenario::current().prepare)();
}

/// On each CPU, once it is ready.
fn main(machine: &'static Machine, cpu: CpuIndex) -> ! {
    machine.wait_for_all();
    (scenario::current().main)(cpu)
}

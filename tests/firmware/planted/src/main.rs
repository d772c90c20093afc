//! Every CPU holds values that the host knows, different on each CPU and in each register, and runs in a known loop
//! below a known chain of frames: what the record then says of it can be compared bit by bit.
//!
//! The values are a function of CPU and register ([`values`]); the host computes them by itself. The labels that it
//! looks up are in [`frames`].
//!
//! | word of the command line | what it chooses |
//! |---|---|
//! | `nmi=all`, `nmi=bsp`, `nmi=none` | which CPUs take external NMIs from LINT1; `all` if it is not said |
//! | `nmi=message` | LINT1 masked; instead each press of a key is an I/O APIC message to every CPU |
//! | `nmi=timer` | LINT1 masked; CPU `by=` makes the interval timer send that message, `after=` ticks from then |
//! | `turns=` | a bit for each CPU whose loop has a PAUSE |
//! | `gate` | an NMI handler that holds each CPU until all are in theirs: then only one wins, and all others poll |
//! | `nest` | an NMI handler that unmasks NMIs by IRET and waits for the next one, or for `PLANTED_UNWIND` |
//! | `then=halt` | the final action; QEMU is ended if it is not said |
#![no_std]
#![no_main]

mod frames;
mod handlers;
mod message;
mod start;
mod values;

use appliance_rt::{Machine, println};
use panic_smp::sink::CONSOLE;
use panic_smp::{CpuIndex, ExternalNmi};

panic_smp::runtime! {
    /// The one runtime of this firmware.
    pub static PANIC: 64 cpus = Config::new()
        .boards(&[&board_qemu::BOARD])
        .stack_bytes(512)
        .sinks(&[&CONSOLE])
        .nmi_handlers(&[handlers::gate, handlers::nest])
        .then(FinalAction::Custom(board_qemu::exit_success));
}
panic_smp::panic_handler!();
appliance_rt::entry!(PANIC, prepare, main);

fn is_timed(machine: &Machine) -> bool {
    machine.option("nmi") == Some("timer")
}

fn number(machine: &Machine, option: &str) -> u16 {
    machine.option(option).and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn prepare(machine: &'static Machine) {
    let route = match machine.option("nmi") {
        Some("message" | "timer") => ExternalNmi::None,
        Some(name) => ExternalNmi::from_name(name).unwrap_or(ExternalNmi::All),
        None => ExternalNmi::All,
    };
    PANIC.set_external_nmi(route);
    if machine.option("then") == Some("halt") {
        PANIC.set_final_action(panic_smp::FinalAction::Halt);
    }
    handlers::choose(machine.option("gate").is_some(), machine.option("nest").is_some());
}

fn main(machine: &'static Machine, cpu: CpuIndex) -> ! {
    if cpu.0 != 0 {
        start::wait();
    } else {
        start::wait_for(machine.cpus_running() - 1);
        handlers::expect(machine.cpus_running());
        if machine.option("nmi") == Some("message") {
            message::route_keyboard();
        }
        println!("armed: {} CPUs", machine.cpus_running());
        start::release_all();
    }
    if is_timed(machine) && cpu.0 == number(machine, "by") {
        // SAFETY: every CPU of the machine is ready, so each has its NMI handler.
        let bus = unsafe { panic_smp::machine_bus() };
        board_qemu::broadcast_nmi_after(&bus, number(machine, "after"));
    }
    frames::plant(cpu, number(machine, "turns") >> cpu.0 & 1 == 1)
}

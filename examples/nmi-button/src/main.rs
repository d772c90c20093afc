//! The NMI button, end to end: every CPU is busy with something that a person can recognise, the button is pressed, and
//! the record shows what each was doing.
//!
//! Command line (`cargo xtask run nmi-button --cmdline "..."`):
//!
//! | word | what it chooses |
//! |---|---|
//! | `nmi=bsp`, `nmi=all`, `nmi=none` | which CPUs take external NMIs from LINT1; `all` if it is not said |
//! | `nmi=message` | LINT1 masked; an I/O APIC message to every CPU instead, after `after=` ticks of the interval timer |
//! | `panic=N` | CPU N panics by itself once every CPU is in its role; several: `panic=1,2` |
//! | `then=exit`, `then=halt`, `then=reset` | the final action; `exit` (of QEMU) if it is not said |
#![no_std]
#![no_main]

mod options;
mod roles;
mod screens;

use appliance_rt::{Machine, println};
use options::{Button, Options};
use panic_smp::CpuIndex;
use panic_smp::sink::CONSOLE;

panic_smp::runtime! {
    /// The one runtime of this firmware.
    pub static PANIC: 288 cpus = Config::new()
        .boards(&[&board_qemu::BOARD])
        .sinks(&[&CONSOLE])
        .screens(&[&screens::FRAMEBUFFER, &screens::VGA])
        .settle(&[critical_section_smp::owners_are_stopped])
        .then(FinalAction::Custom(board_qemu::exit_success));
}
panic_smp::panic_handler!();
critical_section_smp::set_impl!();
appliance_rt::entry!(PANIC, prepare, main);

/// On the first CPU, before any other runs.
fn prepare(machine: &'static Machine) {
    screens::find(machine);
    match Options::read(machine.command_line()) {
        Ok(options) => {
            PANIC.set_external_nmi(options.button.route());
            if let Some(action) = options.then {
                PANIC.set_final_action(action);
            }
        }
        Err(error) => {
            println!("nmi-button: {error}");
            board_qemu::exit(board_qemu::SUCCESS + 1);
        }
    }
}

fn main(machine: &'static Machine, cpu: CpuIndex) -> ! {
    // Read once before and found good; the same words give the same options.
    let Ok(options) = Options::read(machine.command_line()) else { roles::idle_in_halt() };
    roles::enter();
    if cpu.0 == 0 {
        wait_for_every_role(machine);
        println!("armed: {} CPUs", machine.cpus_running());
        if let Button::Message { after } = options.button {
            // SAFETY: every CPU of the machine has its NMI handler, as `wait_for_every_role` made sure.
            let bus = unsafe { panic_smp::machine_bus() };
            board_qemu::broadcast_nmi_after(&bus, after);
        }
    }
    if options.panics(cpu) {
        wait_for_every_role(machine);
        roles::break_an_invariant(cpu);
    }
    match cpu.0 {
        1 | 4 | 5 => roles::checksum_packets(),
        2 | 6 => roles::wait_with_interrupts_off(),
        3 => roles::rebuild_index_in_critical_section(),
        // The first CPU, and all those of a large machine: an emulator has no processor for each.
        _ => roles::idle_in_halt(),
    }
}

fn wait_for_every_role(machine: &Machine) {
    while roles::entered() < machine.cpus_running() {
        core::hint::spin_loop();
    }
}

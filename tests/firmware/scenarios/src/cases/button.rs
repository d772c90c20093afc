//! The NMI button, pressed while every CPU is at something else.

use appliance_rt::println;
use nmi_source::NmiContext;
use panic_smp::{CpuIndex, Microseconds};

use crate::scenario::Scenario;
use crate::{cpu, gate, options};

pub const BUTTON: Scenario = Scenario { name: "button", main, nmi, identify, ..Scenario::IDLE };

/// Ticks of the interval timer before the message: some milliseconds.
const MESSAGE_AFTER: u16 = 10_000;

fn nmi() -> bool {
    gate::count();
    false
}

fn identify(cx: &mut NmiContext<'_>) {
    if options::gated() {
        // A bound for the test's own failure: the verdicts then show which CPU never came.
        let _ = cx.wait(Microseconds::from_millis(10_000), |_| gate::every_cpu_is_in_its_handler());
    }
}

fn main(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu.0 == 0 {
        println!("armed: {} CPUs", cpu::cpus());
        if options::button_is_a_message() {
            // SAFETY: every CPU of the machine is ready, and so has its NMI handler.
            let bus = unsafe { panic_smp::machine_bus() };
            board_qemu::broadcast_nmi_after(&bus, MESSAGE_AFTER);
        }
    }
    // Asleep and awake ones, with interrupts on and off.
    if cpu.0.is_multiple_of(2) { cpu::idle() } else { cpu::spin() }
}

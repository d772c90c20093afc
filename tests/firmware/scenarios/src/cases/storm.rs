//! The button, pressed again and again while the owner writes its report.

use panic_smp::CpuIndex;
use panic_smp::sink::{CONSOLE, Sink};

use crate::scenario::Scenario;
use crate::{PANIC, cpu};

pub const STORM: Scenario = Scenario { name: "storm", main, report, ..Scenario::IDLE };

/// How often the host presses.
const PRESSES: u32 = 3;

fn main(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu.0 == 0 {
        panic!("before the storm");
    }
    cpu::idle()
}

/// Holds the report until every press has arrived here, each in an NMI of its own.
fn report() {
    // Without the line the host does not press, and its deadline ends the run.
    let _ = Sink::write(&CONSOLE, b"reporting\r\n");
    cpu::until(|| PANIC.ledger().nmi_count(CpuIndex(0)) >= PRESSES);
}

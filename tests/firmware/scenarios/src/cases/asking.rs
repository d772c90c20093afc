//! A panic while the other CPUs handle an NMI: one asks the board, which waits for its device, and the rest wait for
//! their turn to ask. Each of them has to look for the stop where it waits.

use nmi_source::NmiContext;
use panic_smp::{CpuIndex, Microseconds};

use crate::scenario::Scenario;
use crate::{PANIC, cpu, gate};

pub const ASKING: Scenario =
    Scenario { name: "asking", main, nmi: super::button::BUTTON.nmi, identify, ..Scenario::IDLE };

fn main(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu.0 == 0 {
        let others = 1..cpu::cpus();
        others.clone().for_each(|other| cpu::send_nmi(PANIC.ledger().apic_id(CpuIndex(other as u16))));
        cpu::until(|| gate::counted() >= others.len());
        panic!("while the others handle an NMI");
    }
    cpu::idle()
}

/// A device that never answers. Longer than the host waits for the whole run.
fn identify(cx: &mut NmiContext<'_>) {
    let _ = cx.wait(Microseconds::from_millis(120_000), |_| false);
}

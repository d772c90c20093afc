//! A panic inside the firmware's own NMI handler, on all CPUs at once.

use crate::scenario::Scenario;
use crate::{cpu, gate};

pub const IN_NMI: Scenario =
    Scenario { name: "in-nmi", main: super::button::BUTTON.main, nmi, ..Scenario::IDLE };

fn nmi() -> bool {
    gate::count();
    // Nobody can have ordered a stop before all are here, so there is none to look for in this wait.
    cpu::until(gate::every_cpu_is_in_its_handler);
    panic!("in an NMI handler, APIC id {}", cpu::apic_id())
}

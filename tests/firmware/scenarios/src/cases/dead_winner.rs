//! A CPU that wins and dies before it stops anybody.

use panic_smp::CpuIndex;
use stop_protocol::{Claim, Owner, Purpose};

use crate::scenario::Scenario;
use crate::{PANIC, cpu};

pub const DEAD_WINNER: Scenario = Scenario { name: "dead-winner", main, ..Scenario::IDLE };

fn main(cpu: CpuIndex) -> ! {
    cpu::meet();
    match cpu.0 {
        0 => {
            if PANIC.ledger().claim(Owner::Cpu(cpu), Purpose::Panic) != Claim::Won {
                board_qemu::exit(board_qemu::SUCCESS + 2);
            }
            cpu::spin()
        }
        1 => {
            cpu::until(|| PANIC.ledger().is_panicking());
            panic!("the panic that lost to a dead CPU")
        }
        _ => cpu::idle(),
    }
}

//! Stopping CPUs without a panic.
//!
//! Each says on the console what the call returned, then waits for the button on the first CPU: its record shows
//! whom the shootdown had stopped, and how often the callback ran.

use appliance_rt::println;
use core::sync::atomic::{AtomicU32, Ordering};
use panic_smp::{CpuIndex, CpuSet, Microseconds, ShootdownError, StopReport};

use crate::observe::NOTES;
use crate::scenario::Scenario;
use crate::{PANIC, cpu};

pub const SET: Scenario = Scenario { name: "shootdown-set", main: set, ..Scenario::IDLE };
pub const ALL_OTHERS: Scenario = Scenario { name: "shootdown-all", main: all_others, ..Scenario::IDLE };
pub const TWICE: Scenario = Scenario { name: "shootdown-twice", main: twice, ..Scenario::IDLE };
pub const NESTED: Scenario = Scenario { name: "shootdown-nested", main: nested, ..Scenario::IDLE };
pub const PANIC_OVER: Scenario =
    Scenario { name: "panic-over-shootdown", main: panic_over, ..Scenario::IDLE };

pub const PANIC_IN_CALLBACK: Scenario =
    Scenario { name: "panic-in-shootdown", main: panic_in_callback, ..Scenario::IDLE };

const ENOUGH: Microseconds = Microseconds::from_millis(5_000);

fn callback(_cpu: CpuIndex) {
    NOTES.callbacks.fetch_add(1, Ordering::Relaxed);
}

fn one() -> CpuSet {
    [CpuIndex(1)].into_iter().collect()
}

fn tell(result: Result<StopReport, ShootdownError>) {
    match result {
        Ok(StopReport { stopped, silent, absent }) => {
            println!("shootdown: stopped {stopped:?} silent {silent:?} absent {absent:?}");
        }
        Err(error) => println!("shootdown: {error}"),
    }
}

fn armed() -> ! {
    println!("armed: {} CPUs", cpu::cpus());
    cpu::idle()
}

fn set(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu.0 == 0 {
        // The caller itself is left out, whether it is named or not.
        let set: CpuSet = [CpuIndex(0), CpuIndex(1)].into_iter().collect();
        tell(PANIC.shootdown(&set, ENOUGH, callback));
        armed()
    }
    cpu::idle()
}

fn all_others(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu.0 == 0 {
        tell(panic_smp::nmi_shootdown_cpus(callback));
        armed()
    }
    cpu::idle()
}

fn twice(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu.0 == 0 {
        tell(PANIC.shootdown(&one(), ENOUGH, callback));
        tell(PANIC.shootdown(&one(), ENOUGH, callback));
        tell(panic_smp::nmi_shootdown_cpus(callback));
        armed()
    }
    cpu::idle()
}

/// What the nested call returned: 1 for the error it must return, 2 for anything else.
static NESTED_RESULT: AtomicU32 = AtomicU32::new(0);

fn nested(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu.0 == 0 {
        let stopped = PANIC.shootdown(&one(), ENOUGH, |cpu| {
            callback(cpu);
            let last = [cpu::last()].into_iter().collect();
            let result = PANIC.shootdown(&last, ENOUGH, callback);
            let code = if result == Err(ShootdownError::Nested) { 1 } else { 2 };
            NESTED_RESULT.store(code, Ordering::Relaxed);
        });
        tell(stopped);
        println!("nested: {}", NESTED_RESULT.load(Ordering::Relaxed));
        armed()
    }
    cpu::idle()
}

/// CPU 0 waits for CPU 2, which takes no NMI until a panic is under way; CPU 1 panics meanwhile. CPU 0 takes none either,
/// so that it has to find by itself that it lost the word.
fn panic_over(cpu: CpuIndex) -> ! {
    let silent = CpuIndex(2);
    if cpu.0 == 0 || cpu == silent {
        cpu::hold_nmis(cpu);
    }
    cpu::meet();
    match cpu.0 {
        0 => {
            let set = [silent].into_iter().collect();
            let result = PANIC.shootdown(&set, Microseconds::from_millis(60_000), callback);
            // Never reached: the panic took over.
            tell(result);
            board_qemu::exit(board_qemu::SUCCESS + 2)
        }
        1 => {
            cpu::until(|| PANIC.ledger().ordered(silent).is_some());
            panic!("over a shootdown")
        }
        2 => {
            cpu::until(|| PANIC.ledger().ordered(silent) == Some(stop_protocol::Order::Panic));
            cpu::admit_nmis();
            cpu::spin()
        }
        _ => cpu::idle(),
    }
}

fn panic_in_callback(cpu: CpuIndex) -> ! {
    cpu::meet();
    if cpu.0 == 0 {
        let _ = PANIC.shootdown(&one(), ENOUGH, |_| panic!("a panic in the callback of a shootdown"));
        // Never reached: the panic took over.
        board_qemu::exit(board_qemu::SUCCESS + 2)
    }
    cpu::idle()
}

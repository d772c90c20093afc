//! The shootdown API without a panic: one CPU stops one other, then the rest, writes a record of
//! what they were doing, and goes on.
#![no_std]
#![no_main]

use appliance_rt::{Machine, println};
use core::sync::atomic::{AtomicU32, Ordering};
use panic_smp::sink::CONSOLE;
use panic_smp::{CpuIndex, CpuSet, Microseconds, StopReport};

panic_smp::runtime! {
    /// The one runtime of this firmware.
    pub static PANIC: 64 cpus = Config::new()
        .boards(&[&board_qemu::BOARD])
        .sinks(&[&CONSOLE])
        .then(FinalAction::Custom(board_qemu::exit_success));
}
panic_smp::panic_handler!();
appliance_rt::entry!(PANIC, main);

/// How many CPUs ran the callback.
static CALLED: AtomicU32 = AtomicU32::new(0);

/// Runs once on each CPU that is stopped, on that CPU, after its registers were saved.
fn last_words(_cpu: CpuIndex) {
    // Relaxed: read after the CPU was seen stopped, which orders it.
    CALLED.fetch_add(1, Ordering::Relaxed);
}

fn main(machine: &'static Machine, cpu: CpuIndex) -> ! {
    if cpu.0 != 0 {
        machine.idle();
    }
    machine.wait_for_all();
    let others = machine.cpus_running() - 1;
    println!("stopping 1 of {others} other CPUs");
    let one: CpuSet = [CpuIndex(1)].into_iter().filter(|_| others > 0).collect();
    tell(PANIC.shootdown(&one, Microseconds::from_millis(1_000), last_words));
    println!("stopping the rest");
    tell(panic_smp::nmi_shootdown_cpus(last_words));
    let called = CALLED.load(Ordering::Relaxed);
    println!("{called} of {others} callbacks ran");
    if called as usize != others {
        board_qemu::exit(board_qemu::SUCCESS + 1);
    }
    if let Err(error) = PANIC.write_record() {
        println!("no record: {error}");
    }
    println!("shootdown-only: done");
    board_qemu::exit_success()
}

fn tell(report: Result<StopReport, panic_smp::ShootdownError>) {
    match report {
        Ok(StopReport { stopped, silent, absent }) => {
            println!("stopped {stopped:?}, silent {silent:?}, absent: {} slots", absent.len());
        }
        Err(error) => println!("not stopped: {error}"),
    }
}

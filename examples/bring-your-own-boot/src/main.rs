//! panic-smp without appliance-rt and its linker script: started by Multiboot 2, with descriptor tables, AP start and a
//! linker script of its own. Every CPU then holds vector registers that the crash record must show.
#![no_std]
#![no_main]

mod clock;
mod image;
mod loader;
mod local_apic;
#[cfg(not(target_os = "none"))]
mod memory;
mod others;
mod registers;
mod start;
mod tables;
mod work;

use core::fmt::Write;
use core::sync::atomic::Ordering;
use panic_smp::CpuIndex;
use panic_smp::sink::{COM1, Sink};

/// The most CPUs that this firmware starts.
const CPUS: usize = 8;

panic_smp::runtime! {
    /// The one runtime of this firmware.
    pub static PANIC: 8 cpus = Config::new()
        .boards(&[&board_qemu::BOARD])
        .sinks(&[&COM1])
        .nmi_handlers(&[work::answer])
        .then(FinalAction::Custom(board_qemu::exit_success));
}
panic_smp::panic_handler!();

/// Where `start.S` calls, on each CPU, on a stack of its own.
extern "C" fn enter(magic: u32, information: u32) -> ! {
    // Relaxed: taking the stack, a locked exchange, came first.
    let cpu = CpuIndex(others::NEXT.load(Ordering::Relaxed) as u16);
    if cpu.0 == 0 {
        tables::prepare();
    }
    tables::load(cpu);
    let own = local_apic::enable();
    if cpu.0 == 0 {
        first_cpu(magic, information, own)
    }
    become_ready(cpu);
    work::work(cpu)
}

/// Tells the runtime that this CPU can be stopped. Everything that it needs for that, it reads back from the processor.
fn become_ready(cpu: CpuIndex) {
    match PANIC.ready(cpu) {
        // Release: with it the other CPUs may be sent NMIs.
        Ok(_ready) => _ = others::READY.fetch_add(1, Ordering::Release),
        Err(error) => panic!("{cpu} is not ready: {error}"),
    }
}

fn first_cpu(magic: u32, information: u32, own: u32) -> ! {
    PANIC.set_image(image::this());
    if let Some(hz) = clock::measure() {
        PANIC.set_tsc_hz(hz);
    }
    let (cpus, count) = loader::cpus(magic, information, own);
    let apic_ids = cpus.map(|cpu| cpu.apic_id);
    if let Err(error) = PANIC.declare_cpus(&apic_ids[..count]) {
        panic!("{error}");
    }
    become_ready(CpuIndex(0));

    others::prepare();
    for (index, cpu) in (0..).zip(&cpus[..count]).skip(1) {
        let cpu_index = CpuIndex(index);
        if cpu.enabled && !(others::start(cpu_index, cpu.apic_id) && work::probe(cpu.apic_id)) {
            say(format_args!("{cpu_index}, APIC id {}, did not start", cpu.apic_id));
        }
    }
    say(format_args!("armed: {} CPUs", others::READY.load(Ordering::Relaxed)));
    work::work(CpuIndex(0))
}

/// Writes a line to the serial port that the record goes to.
fn say(line: core::fmt::Arguments<'_>) {
    struct Console;
    impl core::fmt::Write for Console {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            Sink::write(&COM1, text.as_bytes()).map_err(|_| core::fmt::Error)
        }
    }
    // A machine without the port has nobody to tell.
    let _ = Console.write_fmt(format_args!("{line}\r\n"));
}

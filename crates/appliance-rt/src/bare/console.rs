//! The console is found before anything is printed.

use core::ops::Range;

use firmware_tables::{Rsdp, Spcr, Tables};
use panic_smp::sink::CONSOLE;

use super::memory::{BOOT_LIMIT, BootView};
use crate::{
    console::port::{self, Port},
    println,
};

/// The console, which is not printed on yet if the boot tables do not map it.
pub struct Start {
    port: Port,
    waits: bool,
}

/// Finds the console and prints on it from now on; what cannot be used is said there.
///
/// A port that firmware does not name may belong to something else: nothing is written to COM1 before the table was looked
/// for. One at or above 4 GiB is printed on from [`Start::finish`] on; what comes before goes to COM1, as it is set.
pub fn start(rsdp: Option<Rsdp>) -> Start {
    // What is wrong with the root tables is said when the CPUs are read.
    let tables = rsdp.map(|rsdp| Tables::new(&BootView, rsdp, |_| {}));
    let spcr = tables.and_then(|tables| tables.open(Spcr::SIGNATURE, Spcr::new, |_| {}));
    // SAFETY: the boot tables map memory below 4 GiB, where the memory-type range registers keep device registers uncached;
    // the final tables, which are those of every CPU, map `Start::range` uncached.
    let named = spcr.as_ref().map(|spcr| unsafe { port::named_by(spcr) });
    let port = named.and_then(Result::ok).unwrap_or(Port::COM1);
    let waits = port.address.memory_range().is_some_and(|range| range.end > BOOT_LIMIT);
    let start = Start { port, waits };
    if !waits {
        start.begin();
    }
    if let Some(spcr) = spcr {
        spcr.check(super::boot::warn);
    }
    if let Some(Err(error)) = named {
        println!("appliance-rt: {error}; the console is COM1");
    }
    start
}

impl Start {
    /// The memory of its registers, which the final tables have to map uncached.
    pub fn range(&self) -> Option<Range<u64>> {
        self.port.address.memory_range()
    }

    /// Prints on the console if that had to wait for the final tables, which are loaded.
    pub fn finish(self) {
        if self.waits {
            self.begin();
        }
    }

    fn begin(&self) {
        CONSOLE.move_to(self.port.address);
        CONSOLE.init();
        if let Some(baud) = self.port.baud {
            // One that the UART's clock does not give stays as firmware set it.
            CONSOLE.set_speed(baud);
        }
    }
}

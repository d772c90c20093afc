//! What the record carries of the run itself: a region of words, and a sink that sees when the first byte leaves. And a
//! screen that nobody sees.
//!
//! # Context
//! Panic path: atomics only.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use panic_smp::screen::{Emphasis, Screen, ScreenSize};
use panic_smp::sink::{Sink, SinkError};
use stop_protocol::Stage;

use crate::{PANIC, scenario};

/// The words, in the order in which the lane reads them.
#[repr(C)]
pub struct Notes {
    /// Time stamp of the first byte that left.
    pub first_output: AtomicU64,
    /// How often a callback ran.
    pub callbacks: AtomicU64,
    /// What a scenario counts besides.
    pub count: AtomicU64,
    /// Where the registers of a scenario's fault are to be found, or what it expects in them.
    pub expected: AtomicU64,
}

/// Bytes of [`Notes`].
pub const BYTES: u32 = size_of::<Notes>() as u32;

/// Relaxed wherever they are used: each is a number by itself.
pub static NOTES: Notes = Notes {
    first_output: AtomicU64::new(0),
    callbacks: AtomicU64::new(0),
    count: AtomicU64::new(0),
    expected: AtomicU64::new(0),
};

/// Where the words are.
pub fn address() -> u64 {
    (&raw const NOTES).addr() as u64
}

/// A sink before all others, which keeps nothing.
pub static OBSERVER: Observer =
    Observer { reporting: AtomicBool::new(false), recording: AtomicBool::new(false) };

/// Sees the stages begin.
pub struct Observer {
    reporting: AtomicBool,
    recording: AtomicBool,
}

impl Sink for Observer {
    fn write(&self, _bytes: &[u8]) -> Result<(), SinkError> {
        // SAFETY: every CPU in long mode has it, and CPL 0 may use it.
        let now = unsafe { x86::time::rdtsc() };
        // Relaxed, all: one CPU at a time writes the report and the record.
        let _ = NOTES.first_output.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        let begun = match PANIC.ledger().authority().stage {
            Stage::Report => (&self.reporting, scenario::current().report),
            Stage::Record => (&self.recording, scenario::current().record),
            Stage::Elected
            | Stage::Contain
            | Stage::Settle
            | Stage::Screen
            | Stage::Hooks
            | Stage::Final
            | Stage::Done => return Ok(()),
        };
        if !begun.0.swap(true, Ordering::Relaxed) {
            begun.1();
        }
        Ok(())
    }
}

/// A screen that keeps nothing.
pub static SCREEN: Blind = Blind;

/// Has the scenario's turn at its second row, when a screen was begun and is not done.
pub struct Blind;

impl Screen for Blind {
    fn size(&self) -> Option<ScreenSize> {
        Some(ScreenSize { columns: 80, rows: 25 })
    }

    fn show(&self, row: u16, _text: &[u8], _emphasis: Emphasis) {
        if row == 1 {
            (scenario::current().screen)();
        }
    }
}

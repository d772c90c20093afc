//! What leaves the machine: a few lines for whoever watches the console, the record, and a page for whoever stands
//! before a screen.
//!
//! # Context
//! Report zone: every other CPU is contained or given up; perhaps in NMI context; on a stack of its own. The text runs
//! what the firmware formats its panics by, so it is left out at level 2. The record formats nothing; the screens format
//! numbers and names only, after it.

mod facts;
mod fate;
mod layout;
mod lines;
mod messages;
mod page;
mod record;
mod sentences;
mod text;

pub(crate) use fate::Fates;
pub(crate) use record::{View, record};
pub(crate) use text::text;

use crate::runtime::Runtime;
use core::sync::atomic::Ordering;
use nmi_source::Contained;
use stop_protocol::{Level, Owner};

/// The line that ends a complete run.
const COMPLETE: &[u8] = b"panic-smp: record complete\r\n";

/// Tells the boards that the machine has panicked.
pub(crate) fn tell_boards(runtime: &'static Runtime, me: Owner) {
    // SAFETY: the caller owns the panic.
    let cause = unsafe { runtime.nmi_cause.get() }.map(|(_, what)| what);
    // Relaxed: written by an owner, and ownership orders it.
    let uncontained = runtime.uncontained.load(Ordering::Relaxed);
    let message = me.index().and_then(|cpu| messages::unformatted(runtime, cpu)).unwrap_or("");
    let panic = Contained::new()
        .with_cause(cause)
        .with_message(message.as_bytes())
        .with_possibly_running(uncontained.min(u16::MAX.into()) as u16);
    runtime.with_boards(me, |boards, cx| {
        for board in boards {
            board.on_contained(cx, &panic);
        }
    });
}

/// Draws the report on every screen.
pub(crate) fn screens(runtime: &'static Runtime, me: Owner, level: Level) {
    let facts = facts::RuntimeFacts { runtime, me, level };
    let record = runtime.record_fates.of(runtime.config.sinks.len());
    let end = layout::End { record, action: runtime.final_action() };
    runtime.config.screens.iter().for_each(|screen| layout::draw(*screen, &facts, &end));
}

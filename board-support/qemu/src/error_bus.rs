//! The PC's error bus: SERR# and IOCHK#, behind port 0x61.
//!
//! # Context
//! Runs in NMI context. One bounded delay; no other loop.

use nmi_source::{Microseconds, NmiContext, Source};

use crate::registers::{
    ABSENT, NMI_CONTROL_IOCHK_OFF, NMI_CONTROL_SERR_OFF, NMI_CONTROL_WRITABLE, NMI_STATUS, NMI_STATUS_IOCHK,
    NMI_STATUS_SERR,
};

/// How long IOCHK# stays disabled before it is armed again, so that a line which still bounces raises no second NMI.
const IOCHK_SETTLE: Microseconds = Microseconds(1_000);

/// The status, or `None` where there is no such port (a machine without the PC's legacy devices).
pub fn status(cx: &NmiContext<'_>) -> Option<u8> {
    let status = cx.bus().ports().in8(NMI_STATUS);
    // All four writable bits and both sources at once is what an empty bus reads as, not a state of the device.
    (status != ABSENT).then_some(status)
}

/// The source that this status names. SERR# first: data may be wrong, which says more than a line that was pulled.
pub const fn source(status: u8) -> Option<Source> {
    if status & NMI_STATUS_SERR != 0 {
        Some(Source::Serr)
    } else if status & NMI_STATUS_IOCHK != 0 {
        Some(Source::IoChk)
    } else {
        None
    }
}

/// Clears every source that is set now and arms it again. A source that stays set is left so: no second try.
pub fn clear_and_rearm(cx: &mut NmiContext<'_>) {
    let Some(status) = status(cx) else {
        return;
    };
    if status & NMI_STATUS_SERR != 0 {
        pulse(cx, NMI_CONTROL_SERR_OFF, Microseconds(0));
    }
    if status & NMI_STATUS_IOCHK != 0 {
        pulse(cx, NMI_CONTROL_IOCHK_OFF, IOCHK_SETTLE);
    }
}

/// Disables a source, which clears it, and enables it again.
fn pulse(cx: &mut NmiContext<'_>, off: u8, settle: Microseconds) {
    let ports = cx.bus().ports();
    // The speaker's bits and the other source's control stay as they are; the status bits are written as 0.
    let others = ports.in8(NMI_STATUS) & NMI_CONTROL_WRITABLE & !off;
    ports.out8(NMI_STATUS, others | off);
    cx.delay(settle);
    ports.out8(NMI_STATUS, others);
}

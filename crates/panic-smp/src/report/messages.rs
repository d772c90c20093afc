//! Why each CPU says it panicked.

use crate::runtime::Runtime;
use crate::slot::{MESSAGE_BYTES, Message};
use core::fmt::{self, Write};
use core::panic::PanicInfo;
use stop_protocol::CpuIndex;

/// The panic of a CPU that is contained, or of the caller's.
fn panic_of(runtime: &'static Runtime, cpu: CpuIndex) -> Option<&'static PanicInfo<'static>> {
    let contained = runtime.ledger.verdict(cpu).containment.is_contained();
    // SAFETY: the CPU is contained, or it is the owner, on whose stack nothing below the panic changes any more.
    contained.then(|| runtime.slot(cpu)).flatten().and_then(|slot| unsafe { slot.panic_info() })
}

/// As much of the reason of `cpu` as needs no formatting.
pub(super) fn unformatted(runtime: &'static Runtime, cpu: CpuIndex) -> Option<&'static str> {
    runtime.slot(cpu)?.reason().or_else(|| panic_of(runtime, cpu)?.message().as_str())
}

/// Formats the reason of `cpu` into its slot, for the report and the record.
pub(super) fn format(runtime: &'static Runtime, cpu: CpuIndex) {
    let Some(slot) = runtime.slot(cpu) else { return };
    // SAFETY: called by the owner in its report stage.
    let message = unsafe { slot.message_mut() };
    message.length = 0;
    let mut to = Truncating { message, cut: false };
    // Errors are not possible: what does not fit is cut.
    let _ = match (slot.reason(), panic_of(runtime, cpu)) {
        (Some(reason), _) => to.write_str(reason),
        (None, Some(panic)) => write!(to, "{panic}"),
        (None, None) => Ok(()),
    };
    to.mark();
}

/// Keeps the front of what is written, and says so when there was more.
struct Truncating<'m> {
    message: &'m mut Message,
    cut: bool,
}

const CUT: &[u8] = b" [cut]";

impl Truncating<'_> {
    fn mark(&mut self) {
        if self.cut {
            let end = self.message.bytes.iter_mut().rev().zip(CUT.iter().rev());
            end.for_each(|(place, byte)| *place = *byte);
        }
    }
}

impl Write for Truncating<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            match self.message.bytes.get_mut(usize::from(self.message.length)) {
                // Once something was cut nothing later may land behind the gap.
                Some(place) if !self.cut => {
                    *place = byte;
                    self.message.length += 1;
                }
                Some(_) | None => self.cut = true,
            }
        }
        Ok(())
    }
}

const _: () = assert!(MESSAGE_BYTES <= u16::MAX as usize && MESSAGE_BYTES > CUT.len());

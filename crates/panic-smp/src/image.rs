//! The image that this firmware was linked to: where it lies, and its build-id.
//!
//! # Context
//! Report zone, any context. Nothing here waits or panics.

use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use crash_record::BuildId;

/// Set once at boot by whoever knows the linker script; see [`Runtime::set_image`](crate::Runtime::set_image).
static NOTE: AtomicPtr<u8> = AtomicPtr::new(core::ptr::null_mut());
static NOTE_BYTES: AtomicU64 = AtomicU64::new(0);
static BASE: AtomicU64 = AtomicU64::new(0);
static END: AtomicU64 = AtomicU64::new(0);

/// Where the firmware's image lies in memory.
#[derive(Clone, Copy, Debug)]
pub struct Image {
    /// Its first byte.
    pub base: u64,
    /// The byte after its last.
    pub end: u64,
    /// The contents of `.note.gnu.build-id`; empty if there is none.
    pub build_id_note: &'static [u8],
}

pub(crate) fn set(image: Image) {
    // Relaxed but for the last, Release: whoever sees the note sees the rest.
    BASE.store(image.base, Ordering::Relaxed);
    END.store(image.end, Ordering::Relaxed);
    NOTE_BYTES.store(image.build_id_note.len() as u64, Ordering::Relaxed);
    NOTE.store(image.build_id_note.as_ptr().cast_mut(), Ordering::Release);
}

pub(crate) fn range() -> (u64, u64) {
    // Relaxed: set at boot.
    (BASE.load(Ordering::Relaxed), END.load(Ordering::Relaxed))
}

pub(crate) fn build_id() -> BuildId {
    // Acquire: pairs with `set`.
    let note = NOTE.load(Ordering::Acquire);
    if note.is_null() {
        return BuildId::NONE;
    }
    // SAFETY: both come from one `&'static [u8]`.
    let note = unsafe { core::slice::from_raw_parts(note, NOTE_BYTES.load(Ordering::Relaxed) as usize) };
    descriptor(note).map_or(BuildId::NONE, BuildId::new)
}

/// The descriptor of an ELF note: name size, descriptor size and type, 4 bytes each, the name "GNU\0", the descriptor
/// (ELF gABI, "Note Section").
fn descriptor(note: &[u8]) -> Option<&[u8]> {
    const GNU_BUILD_ID: [u8; 4] = 3u32.to_le_bytes();
    let (name_bytes, rest) = note.split_first_chunk::<4>()?;
    let (descriptor_bytes, rest) = rest.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_first_chunk::<4>()?;
    let (name, descriptor) = rest.split_first_chunk::<4>()?;
    if *kind != GNU_BUILD_ID || name != b"GNU\0" || u32::from_le_bytes(*name_bytes) != 4 {
        return None;
    }
    descriptor.get(..u32::from_le_bytes(*descriptor_bytes) as usize)
}

#[cfg(test)]
mod tests {
    use super::descriptor;

    #[test]
    fn only_a_whole_build_id_note_has_a_descriptor() {
        let note = b"\x04\0\0\0\x03\0\0\0\x03\0\0\0GNU\0abc";
        assert_eq!(descriptor(note), Some(&b"abc"[..]));
        for cut in 0..note.len() {
            assert_eq!(descriptor(&note[..cut]), None);
        }
        assert_eq!(descriptor(b"\x04\0\0\0\x03\0\0\0\x01\0\0\0GNU\0abc"), None);
    }
}

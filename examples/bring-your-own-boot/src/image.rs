//! What `link.ld` says of this image.

use panic_smp::Image;

/// Where it lies, and its build-id: the record names both, so that a dump finds its ELF.
pub fn this() -> Image {
    unsafe extern "C" {
        static image_start: u8;
        static image_end: u8;
        static build_id_start: u8;
        static build_id_end: u8;
    }
    let note = &raw const build_id_start;
    let bytes = (&raw const build_id_end).addr() - note.addr();
    Image {
        base: (&raw const image_start).addr() as u64,
        end: (&raw const image_end).addr() as u64,
        // SAFETY: the linker script puts the symbols around constants of the image, in this order.
        build_id_note: unsafe { core::slice::from_raw_parts(note, bytes) },
    }
}

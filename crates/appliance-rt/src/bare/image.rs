//! The image, by the symbols of the linker script (`panic-smp-linker`, README.md).

use core::ops::Range;

macro_rules! addresses {
    ($($name:ident = $symbol:ident;)*) => {
        $(pub fn $name() -> u64 {
            unsafe extern "C" {
                static $symbol: u8;
            }
            (&raw const $symbol).addr() as u64
        })*
    };
}

addresses! {
    start = __image_start;
    end = __image_end;
    text_start = __text_start;
    text_end = __text_end;
    rodata_start = __rodata_start;
    rodata_end = __rodata_end;
    data_start = __data_start;
    data_end = __data_end;
    build_id_start = __build_id_start;
    build_id_end = __build_id_end;
    trampoline_start = __trampoline_start;
    trampoline_end = __trampoline_end;
    load_marker = __load_marker;
    boot_stack_guard = boot_stack_guard;
    trampoline_halt = trampoline_halt;
    trampoline_32 = trampoline_32;
    trampoline_64 = trampoline_64;
    trampoline_gdt = trampoline_gdt;
    trampoline_gdt_end = trampoline_gdt_end;
    trampoline_parameters = trampoline_parameters;
    started_cpu = started_cpu;
    unexpected_interrupt = unexpected_interrupt;
    spurious_interrupt = spurious_interrupt;
}

/// What the last eight loaded bytes are.
const MARKER: [u8; 8] = *b"LOAD_END";

/// Everything that the image occupies.
pub fn all() -> Range<u64> {
    start()..end()
}

/// The bytes between two symbols of the image's constants.
///
/// # Safety
/// `start..end` is a range of `.rodata` or `.trampoline`.
unsafe fn constants(start: u64, end: u64) -> &'static [u8] {
    // SAFETY: by the caller; constants never change.
    unsafe { core::slice::from_raw_parts(start as *const u8, (end - start) as usize) }
}

/// The ELF note with the build-id.
pub fn build_id() -> &'static [u8] {
    // SAFETY: the linker script puts both symbols around the note, in a read-only segment.
    unsafe { constants(build_id_start(), build_id_end()) }
}

/// The code to copy to the trampoline page.
pub fn trampoline() -> &'static [u8] {
    // SAFETY: the linker script puts both symbols around the code, in a read-only segment.
    unsafe { constants(trampoline_start(), trampoline_end()) }
}

/// Whether the loader copied the image's last bytes to where they belong.
pub fn is_whole() -> bool {
    // SAFETY: the linker script puts 8 aligned bytes at the marker; nothing writes them. Volatile, since the compiler
    // knows no such object.
    unsafe { (load_marker() as *const [u8; 8]).read_volatile() == MARKER }
}

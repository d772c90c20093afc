//! The last step: out of EFI's long mode, and into the firmware.

use core::{arch::asm, convert::Infallible, mem::offset_of, ptr::NonNull};

use boot_handoff::{Header, handoff};

/// Numbers of the processor, by the titles of the SDM's and the APM's sections.
mod registers {
    /// SDM vol. 3A, Control Registers: physical-address extension, and 5-level paging.
    pub const CR4_PAE_AND_LA57: u32 = 1 << 5 | 1 << 12;
    /// SDM vol. 3A, Control Registers: protection enable and extension type.
    pub const CR0_PROTECTED: u32 = 1 << 0 | 1 << 4;
    /// SDM vol. 4, IA32_EFER.
    pub const EFER: u32 = 0xc000_0080;
    /// SDM vol. 3A, Segment Descriptors: flat 32-bit code, present, accessed.
    pub const CODE32_DESCRIPTOR: u64 = 0x00cf_9b00_0000_ffff;
    /// The same: flat data, present, writable, accessed.
    pub const DATA_DESCRIPTOR: u64 = 0x00cf_9300_0000_ffff;
    /// Selector of the code, second in the table.
    pub const CODE32: u16 = 0x08;
    /// Selector of the data, third in the table.
    pub const DATA: u16 = 0x10;
}

/// What the code reads.
#[repr(C)]
pub struct Parameters {
    source: u32,
    destination: u32,
    words: u32,
    entry: u32,
    magic: u32,
    handoff: u32,
}

impl Parameters {
    /// The image of `bytes` bytes lies at `source` and belongs where `header` says; EBX is to be `handoff`.
    pub const fn new(source: u32, bytes: usize, header: &Header, handoff: u32) -> Self {
        Self {
            source,
            destination: header.load,
            // Up to three bytes too many are copied: into the image's zeroed part, or the padding of its last page.
            words: bytes.div_ceil(4) as u32,
            entry: header.entry,
            magic: handoff::MAGIC,
            handoff,
        }
    }
}

core::arch::global_asm!(
    include_str!("handover.S"),
    CR4_KEPT = const registers::CR4_PAE_AND_LA57,
    CR0_PROTECTED = const registers::CR0_PROTECTED,
    EFER = const registers::EFER,
    CODE32_DESCRIPTOR = const registers::CODE32_DESCRIPTOR,
    DATA_DESCRIPTOR = const registers::DATA_DESCRIPTOR,
    CODE32 = const registers::CODE32,
    DATA = const registers::DATA,
    SOURCE = const offset_of!(Parameters, source),
    DESTINATION = const offset_of!(Parameters, destination),
    WORDS = const offset_of!(Parameters, words),
    ENTRY = const offset_of!(Parameters, entry),
    MAGIC = const offset_of!(Parameters, magic),
    HANDOFF = const offset_of!(Parameters, handoff),
    PARAMETER_BYTES = const size_of::<Parameters>(),
    options(att_syntax),
);

unsafe extern "C" {
    static handover_start: u8;
    static handover_end: u8;
    static handover_gdt_pointer: u8;
    static handover_far: u8;
    static handover_parameters: u8;
}

/// The code, to be copied below 4 GiB.
pub fn code() -> &'static [u8] {
    let start = &raw const handover_start;
    let length = (&raw const handover_end).addr() - start.addr();
    // SAFETY: both symbols lie around the code, in a section that nobody writes.
    unsafe { core::slice::from_raw_parts(start, length) }
}

/// Keeps EFI's interrupt handlers from running: what they use is being taken away.
pub fn interrupts_off() {
    // SAFETY: boot services have ended; nobody waits for an interrupt. Not `nomem`: what follows must stay behind it.
    unsafe { asm!("cli", options(nostack)) };
}

/// Enters the firmware.
///
/// # Safety
/// `copy` is a copy of [`code`] below 4 GiB, writable and executable. Boot services have ended, interrupts are off. The
/// memory that `parameters` names lies below 4 GiB; source and destination do not overlap each other nor the copy, and
/// the destination is free.
pub unsafe fn enter(copy: NonNull<u8>, parameters: &Parameters) -> Result<Infallible, crate::Error> {
    let within = |symbol: *const u8| symbol.addr() - (&raw const handover_start).addr();
    let base = copy.addr().get();
    // SAFETY: all three places lie inside the copy, which is ours; they are not aligned for their types. Adding the
    // copy's address turns the offsets in it into addresses, below 4 GiB by the caller.
    unsafe {
        let gdt_base = copy.add(within(&raw const handover_gdt_pointer) + 2).cast::<u64>();
        gdt_base.write_unaligned(gdt_base.read_unaligned() + base as u64);
        let far = copy.add(within(&raw const handover_far)).cast::<u32>();
        far.write_unaligned(far.read_unaligned() + base as u32);
        let place = copy.add(within(&raw const handover_parameters)).cast::<Parameters>();
        core::ptr::copy_nonoverlapping(parameters, place.as_ptr(), 1);
    }
    // SAFETY: by the caller, and nothing is needed any more of what is here. The code ends in the firmware.
    unsafe {
        asm!("jmp {code}", code = in(reg) base, in("rdi") base, options(noreturn));
    }
}

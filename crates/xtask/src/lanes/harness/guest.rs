//! A guest of a few bytes: a flat Multiboot 1 image that says one thing at its start and another when the button is
//! pressed.

/// Where the guest is loaded and runs: 1 MiB, without paging.
pub const LOAD: u32 = 0x10_0000;

/// What a guest does after its first text.
#[derive(Clone, Copy)]
pub enum Then<'a> {
    /// Writes 0x10 to the debug-exit port.
    Exit,
    /// Halts with interrupts off; at an NMI it says this and then writes 0x10 to the debug-exit port.
    Wait(&'a str),
}

/// Places in the image, from its start.
const GDT: u32 = 32;
const IDT: u32 = GDT + 16;
const GDT_POINTER: u32 = IDT + 24;
const IDT_POINTER: u32 = GDT_POINTER + 6;
const CODE: u32 = IDT_POINTER + 6;
const NMI: u32 = CODE + 36;
const TEXT: u32 = CODE + 80;

/// The image of a guest that writes `text` to COM1.
pub fn image(text: &str, then: Then) -> Vec<u8> {
    // Multiboot specification 0.6.96, 3.1.1: magic, flags (bit 16: the address fields are valid), checksum, then the
    // header, load, load end, bss end and entry addresses; a load end of 0 means the whole file.
    let (magic, flags) = (0x1BAD_B002_u32, 1_u32 << 16);
    let header = [magic, flags, 0_u32.wrapping_sub(magic.wrapping_add(flags)), LOAD, LOAD, 0, 0, LOAD + CODE];
    let mut image: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    // The null descriptor, and selector 8: a flat 32-bit code segment (SDM vol. 3A, 3.4.5).
    image.extend([0_u64, 0x00CF_9A00_0000_FFFF].iter().flat_map(|d| d.to_le_bytes()));
    // Vectors 0 and 1 are absent; vector 2 is a 32-bit interrupt gate to `nmi` (SDM vol. 3A, 6.11).
    let nmi = u64::from(LOAD + NMI);
    let gate = (nmi & 0xFFFF) | 0x8 << 16 | 0x8E00 << 32 | (nmi >> 16) << 48;
    image.extend([0, 0, gate].iter().flat_map(|d| d.to_le_bytes()));
    for (bytes, at) in [(16_u16, GDT), (24, IDT)] {
        image.extend((bytes - 1).to_le_bytes());
        image.extend((LOAD + at).to_le_bytes());
    }
    let (answer, end) = match then {
        Then::Exit => ("", [0xB0, 0x10, 0xE6, 0xF4]), // mov al, 0x10; out 0xf4, al
        Then::Wait(answer) => (answer, [0x90; 4]),
    };
    let answer_at = LOAD + TEXT + u32::try_from(text.len()).unwrap_or(0) + 1;
    image.extend([0xBC, 0, 0, 0x18, 0]); // mov esp, 0x180000
    image.extend([0x0F, 0x01, 0x15]); // lgdt
    image.extend((LOAD + GDT_POINTER).to_le_bytes());
    image.extend([0x0F, 0x01, 0x1D]); // lidt
    image.extend((LOAD + IDT_POINTER).to_le_bytes());
    image.push(0xBE); // mov esi, text
    image.extend((LOAD + TEXT).to_le_bytes());
    image.extend([0xE8, 24, 0, 0, 0]); // call say
    image.extend(end);
    image.extend([0xF4, 0xEB, 0xFD]); // wait: hlt; jmp wait
    image.push(0xBE); // nmi: mov esi, answer
    image.extend(answer_at.to_le_bytes());
    image.extend([0xE8, 7, 0, 0, 0]); // call say
    image.extend([0xB0, 0x10, 0xE6, 0xF4]); // mov al, 0x10; out 0xf4, al
    image.extend([0xF4, 0xEB, 0xFD]); // halt: hlt; jmp halt
    image.extend([0xFC]); // say: cld
    image.extend([0xAC, 0x84, 0xC0, 0x74, 0x14]); // next: lodsb; test al, al; jz done
    // A byte written before the last one has left would take its place (16550 line status, bit 5).
    image.extend([0x88, 0xC4, 0x66, 0xBA, 0xFD, 0x03]); // mov ah, al; mov dx, 0x3fd
    image.extend([0xEC, 0xA8, 0x20, 0x74, 0xFB]); // full: in al, dx; test al, 0x20; jz full
    image.extend([0x66, 0xBA, 0xF8, 0x03, 0x88, 0xE0]); // mov dx, 0x3f8; mov al, ah
    image.extend([0xEE, 0xEB, 0xE7, 0xC3]); // out dx, al; jmp next; done: ret
    image.extend(text.bytes().chain([0]));
    image.extend(answer.bytes().chain([0]));
    image
}

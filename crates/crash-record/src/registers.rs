//! The one table of the registers that are saved of every CPU. The struct, the numbers of the fields, their names and
//! their places in an ELF note all come from it.
//!
//! # Context
//! The capture code of the runtime fills [`BasicRegisters`] in NMI context; nothing here allocates, waits or panics.

/// One register of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RegisterField {
    /// Its number: its place in the table, and its bit in [`BasicRegisters::valid`].
    pub id: u8,
    /// Its name, in lower case, as gdb and the JSON form write it.
    pub name: &'static str,
    /// Its offset in bytes from the start of an `NT_PRSTATUS` descriptor of x86-64, if it has a place there.
    ///
    /// `pr_reg` begins at byte 112 of the 336 and holds 27 words in the order of Linux's `struct user_regs_struct`;
    /// word 15 (`orig_rax`) belongs to no register.
    pub prstatus_offset: Option<u16>,
}

/// One register of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegisterValue {
    /// Which.
    pub field: RegisterField,
    /// What was saved.
    pub value: u64,
    /// Whether that is what the register held. The stale content of a register that was overwritten before the
    /// capture is not.
    pub valid: bool,
}

macro_rules! register_table {
    ($( $(#[$doc:meta])* $name:ident $(@ $word:literal)?; )+) => {
        /// The registers saved of every CPU, all as 64 bits.
        ///
        /// Layout: `repr(C)`, [`Self::valid`] first, then one word per row of the table. Entry stubs may write it by
        /// `core::mem::offset_of!`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(C)]
        pub struct BasicRegisters {
            /// Bit i is set when field i of the table holds what the register held.
            pub valid: u64,
            $( $(#[$doc])* pub $name: u64, )+
        }

        #[allow(non_camel_case_types)]
        #[derive(Clone, Copy)]
        enum Id { $( $name, )+ }

        impl BasicRegisters {
            /// The table, in the order of the ids.
            pub const FIELDS: &'static [RegisterField] = &[ $(
                RegisterField {
                    id: Id::$name as u8,
                    name: stringify!($name),
                    prstatus_offset: register_table!(@offset $($word)?),
                },
            )+ ];

            /// No register valid, all zero.
            pub const ZERO: Self = Self { valid: 0, $( $name: 0, )+ };

            /// The words in the order of the layout: `valid`, then the fields by id.
            #[must_use]
            pub const fn to_words(&self) -> [u64; Self::WORDS] {
                [self.valid, $( self.$name, )+]
            }

            /// The inverse of [`Self::to_words`].
            #[must_use]
            pub const fn from_words(words: [u64; Self::WORDS]) -> Self {
                let [valid, $( $name, )+] = words;
                Self { valid, $( $name, )+ }
            }
        }
    };
    (@offset) => { None };
    (@offset $word:literal) => { Some(112 + 8 * $word) };
}

// `@ n`: word n of pr_reg.
register_table! {
    /// R15.
    r15 @ 0;
    /// R14.
    r14 @ 1;
    /// R13.
    r13 @ 2;
    /// R12.
    r12 @ 3;
    /// RBP.
    rbp @ 4;
    /// RBX.
    rbx @ 5;
    /// R11.
    r11 @ 6;
    /// R10.
    r10 @ 7;
    /// R9.
    r9 @ 8;
    /// R8.
    r8 @ 9;
    /// RAX.
    rax @ 10;
    /// RCX.
    rcx @ 11;
    /// RDX.
    rdx @ 12;
    /// RSI.
    rsi @ 13;
    /// RDI.
    rdi @ 14;
    /// RIP.
    rip @ 16;
    /// The CS selector.
    cs @ 17;
    /// RFLAGS.
    rflags @ 18;
    /// RSP.
    rsp @ 19;
    /// The SS selector.
    ss @ 20;
    /// The base of FS (IA32_FS_BASE).
    fs_base @ 21;
    /// The active base of GS (IA32_GS_BASE).
    gs_base @ 22;
    /// The DS selector.
    ds @ 23;
    /// The ES selector.
    es @ 24;
    /// The FS selector.
    fs @ 25;
    /// The GS selector.
    gs @ 26;
    /// The inactive base of GS (IA32_KERNEL_GS_BASE).
    kernel_gs_base;
    /// CR0.
    cr0;
    /// CR2: the address of the last page fault.
    cr2;
    /// CR3: the page tables.
    cr3;
    /// CR4.
    cr4;
    /// CR8: the task priority.
    cr8;
    /// IA32_EFER.
    efer;
    /// DR0.
    dr0;
    /// DR1.
    dr1;
    /// DR2.
    dr2;
    /// DR3.
    dr3;
    /// DR6.
    dr6;
    /// DR7.
    dr7;
    /// The base of the global descriptor table.
    gdtr_base;
    /// The limit of the global descriptor table.
    gdtr_limit;
    /// The base of the interrupt descriptor table.
    idtr_base;
    /// The limit of the interrupt descriptor table.
    idtr_limit;
    /// The selector in the task register.
    tr;
    /// The selector in LDTR.
    ldtr;
}

impl BasicRegisters {
    /// Words of the layout.
    pub const WORDS: usize = 1 + Self::FIELDS.len();

    /// Bytes of the layout, in memory and in the record.
    pub const BYTES: usize = Self::WORDS * 8;

    /// [`Self::valid`] when every field is.
    pub const ALL_VALID: u64 = (1 << Self::FIELDS.len()) - 1;

    /// The id of the field with this name; for constants, where an unknown name fails the build.
    #[must_use]
    pub const fn id_of(name: &str) -> u8 {
        let mut i = 0;
        while i < Self::FIELDS.len() {
            if same(Self::FIELDS[i].name, name) {
                return i as u8;
            }
            i += 1;
        }
        panic!("no register of this name")
    }

    /// The bits in [`Self::valid`] of the fields with these names; for constants, as [`Self::id_of`].
    #[must_use]
    pub const fn mask_of(names: &[&str]) -> u64 {
        let mut mask = 0;
        let mut i = 0;
        while i < names.len() {
            mask |= 1 << Self::id_of(names[i]);
            i += 1;
        }
        mask
    }

    /// Every register with its value, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = RegisterValue> + use<> {
        let valid = self.valid;
        Self::FIELDS.iter().zip(self.to_words().into_iter().skip(1)).map(move |(field, value)| {
            RegisterValue { field: *field, value, valid: valid.wrapping_shr(u32::from(field.id)) & 1 == 1 }
        })
    }

    /// The value of the register with this name, if there is such a register and it is valid.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        self.iter()
            .find(|register| register.valid && register.field.name == name)
            .map(|register| register.value)
    }

    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        for (to, word) in out.as_chunks_mut::<8>().0.iter_mut().zip(self.to_words()) {
            *to = word.to_le_bytes();
        }
        out
    }
}

impl Default for BasicRegisters {
    fn default() -> Self {
        Self::ZERO
    }
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

// The record format of version 1 and the entry stubs rest on these.
const _: () =
    assert!(BasicRegisters::FIELDS.len() == 45 && size_of::<BasicRegisters>() == BasicRegisters::BYTES);
const _: () = assert!(core::mem::offset_of!(BasicRegisters, r15) == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_layout() {
        let words = core::array::from_fn(|i| 0x100 + i as u64);
        let registers = BasicRegisters::from_words(words);
        assert_eq!(registers.to_words(), words);
        assert_eq!(registers.valid, 0x100);
        assert_eq!(registers.rip, 0x100 + 16);
        assert_eq!(registers.ldtr, 0x100 + 45);
        assert_eq!(registers.encode()[8 * 16..8 * 17], 0x110_u64.to_le_bytes());
    }

    #[test]
    fn note_offsets_of_the_registers_that_debuggers_need() {
        let offset =
            |name: &str| BasicRegisters::FIELDS[usize::from(BasicRegisters::id_of(name))].prstatus_offset;
        // Measured with the C compiler's offsetof on Linux's struct elf_prstatus.
        assert_eq!(offset("r15"), Some(112));
        assert_eq!(offset("rip"), Some(240));
        assert_eq!(offset("rsp"), Some(264));
        assert_eq!(offset("gs"), Some(320));
        assert_eq!(offset("cr3"), None);
        let placed = BasicRegisters::FIELDS.iter().filter_map(|field| field.prstatus_offset);
        let mut sorted: [u16; 26] = [0; 26];
        let mut count = 0;
        for (slot, place) in sorted.iter_mut().zip(placed) {
            *slot = place;
            count += 1;
        }
        assert_eq!(count, 26);
        assert!(sorted.is_sorted_by(|a, b| a < b), "two registers share a word");
        assert!(!sorted.contains(&(112 + 8 * 15)), "orig_rax is no register");
    }

    #[test]
    fn only_valid_registers_are_given_by_name() {
        let registers = BasicRegisters {
            valid: BasicRegisters::mask_of(&["rip", "ldtr"]),
            rip: 1,
            rax: 2,
            ldtr: 3,
            ..BasicRegisters::ZERO
        };
        assert_eq!(registers.get("rip"), Some(1));
        assert_eq!(registers.get("rax"), None);
        assert_eq!(registers.get("ldtr"), Some(3));
        assert_eq!(registers.get("none"), None);
        assert_eq!(registers.iter().filter(|register| register.valid).count(), 2);
    }
}

//! The linked ELF: its functions by address, and the data that no code writes.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Decoder, DecoderOptions, OpKind, Register};
use object::elf::{PF_W, R_X86_64_RELATIVE, SHF_ALLOC, SHF_EXECINSTR, SHF_WRITE};
use object::{
    Object, ObjectSection, ObjectSegment, ObjectSymbol, SectionFlags, SectionKind, SegmentFlags, SymbolKind,
};

use crate::Error;
use crate::pattern::Pattern;
use crate::source::demangle;

/// A function: a symbol of type `STT_FUNC`, or a label in executable memory outside all of those.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub address: u64,
    /// Exclusive.
    pub end: u64,
    /// Demangled; several when the linker or the compiler gave one body several symbols. The first is shown.
    pub names: Vec<String>,
    /// Object file, which the symbol table knows for local symbols only.
    pub file: Option<String>,
}

impl Function {
    pub(crate) fn name(&self) -> &str {
        &self.names[0]
    }

    pub(crate) fn fits(&self, pattern: &Pattern) -> bool {
        self.names.iter().any(|name| pattern.matches(name))
    }
}

struct Section {
    address: u64,
    data: Vec<u8>,
    executable: bool,
    constant: bool,
}

/// The image as it lies in memory.
pub(crate) struct Image {
    sections: Vec<Section>,
    /// By address.
    functions: Vec<Function>,
    symbols: BTreeMap<String, u64>,
    /// Addresses in constant data that some instruction names: where one table may end since another thing begins.
    referenced: BTreeSet<u64>,
}

impl Image {
    pub(crate) fn load(file: &object::File<'_>) -> Result<Self, Error> {
        if file.architecture() != object::Architecture::X86_64 {
            return Err(Error::NotX86_64);
        }
        let mut sections = load_sections(file)?;
        apply_relative_relocations(file, &mut sections);
        let (functions, symbols) = load_functions(file, &sections);
        if functions.is_empty() {
            return Err(Error::NoSymbols);
        }
        let mut image = Self { sections, functions, symbols, referenced: BTreeSet::new() };
        image.referenced = image.find_references();
        Ok(image)
    }

    pub(crate) fn functions(&self) -> &[Function] {
        &self.functions
    }

    pub(crate) fn symbol(&self, name: &str) -> Option<u64> {
        self.symbols.get(name).copied()
    }

    /// Returns the index of the function that `address` lies in.
    pub(crate) fn containing(&self, address: u64) -> Option<usize> {
        let index = self.functions.partition_point(|function| function.address <= address).checked_sub(1)?;
        (address < self.functions[index].end).then_some(index)
    }

    /// Returns whether a function begins at `address`.
    pub(crate) fn is_function(&self, address: u64) -> bool {
        self.functions.binary_search_by_key(&address, |function| function.address).is_ok()
    }

    /// Returns the code from `address` to the end of its function.
    pub(crate) fn code(&self, address: u64) -> Option<&[u8]> {
        let end = self.functions[self.containing(address)?].end;
        let section = self.section(address).filter(|section| section.executable)?;
        let from = usize::try_from(address - section.address).ok()?;
        let to = usize::try_from(end - section.address).ok()?;
        section.data.get(from..to.min(section.data.len()))
    }

    /// Returns `N` bytes of data that no code writes.
    pub(crate) fn constant<const N: usize>(&self, address: u64) -> Option<[u8; N]> {
        let section = self.section(address).filter(|section| section.constant)?;
        let from = usize::try_from(address - section.address).ok()?;
        section.data.get(from..from.checked_add(N)?)?.try_into().ok()
    }

    /// Returns a word of data that no code writes.
    pub(crate) fn constant_word(&self, address: u64) -> Option<u64> {
        self.constant(address).map(u64::from_le_bytes)
    }

    /// Returns whether an instruction names this address of constant data.
    pub(crate) fn is_referenced(&self, address: u64) -> bool {
        self.referenced.contains(&address)
    }

    /// Returns the vtables that hold a method that fits: the addresses of their headers.
    ///
    /// A vtable is {drop glue or null, size, alignment, methods}; this is what rustc 1.95 lays out, not a promise of the
    /// language, and the tests pin it.
    pub(crate) fn vtables_with(&self, method: &Pattern) -> BTreeSet<u64> {
        const MOST_METHODS: u64 = 64;
        let mut found = BTreeSet::new();
        for section in self.sections.iter().filter(|section| section.constant) {
            let first = section.address.next_multiple_of(8);
            let end = section.address.saturating_add(section.data.len() as u64);
            let mut slot = first;
            while slot.saturating_add(8) <= end {
                let target = self.constant_word(slot).and_then(|word| self.function_at(word));
                if target.is_some_and(|function| function.fits(method)) {
                    let header = (3..3 + MOST_METHODS).map(|words| slot.wrapping_sub(8 * words)).take_while(
                        |header| {
                            // Everything between the header and this slot is a method.
                            (header.wrapping_add(24)..slot).step_by(8).all(|word| {
                                self.constant_word(word).is_some_and(|word| self.is_function(word))
                            })
                        },
                    );
                    found.extend(header.into_iter().find(|header| self.is_vtable_header(*header)));
                }
                slot += 8;
            }
        }
        found
    }

    fn is_vtable_header(&self, address: u64) -> bool {
        let word = |index: u64| self.constant_word(address.wrapping_add(8 * index));
        match (word(0), word(1), word(2)) {
            (Some(drop), Some(size), Some(align)) => {
                (drop == 0 || self.is_function(drop))
                    && !self.is_function(size)
                    && !self.is_function(align)
                    && size < 1 << 31
                    && align.is_power_of_two()
                    && align <= 1 << 29
                    && size % align == 0
            }
            _ => false,
        }
    }

    fn function_at(&self, address: u64) -> Option<&Function> {
        let index = self.functions.binary_search_by_key(&address, |function| function.address).ok()?;
        self.functions.get(index)
    }

    fn section(&self, address: u64) -> Option<&Section> {
        self.sections.iter().find(|section| {
            address.checked_sub(section.address).is_some_and(|at| at < section.data.len() as u64)
        })
    }

    fn find_references(&self) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        for function in &self.functions {
            let Some(code) = self.code(function.address) else { continue };
            for instruction in &mut Decoder::with_ip(64, code, function.address, DecoderOptions::NONE) {
                for operand in 0..instruction.op_count() {
                    let address = match instruction.op_kind(operand) {
                        OpKind::Memory
                            if instruction.memory_base() == Register::None
                                || instruction.is_ip_rel_memory_operand() =>
                        {
                            instruction.memory_displacement64()
                        }
                        // An absolute table with an index in the base register: [rax+table].
                        OpKind::Memory => instruction.memory_displacement64(),
                        OpKind::Immediate32 | OpKind::Immediate32to64 | OpKind::Immediate64 => {
                            instruction.immediate(operand)
                        }
                        _ => continue,
                    };
                    if self.constant::<1>(address).is_some() {
                        found.insert(address);
                    }
                }
            }
        }
        found
    }
}

fn load_sections(file: &object::File<'_>) -> Result<Vec<Section>, Error> {
    let mut sections = Vec::new();
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags: flags, .. } = section.flags() else { return Err(Error::NotElf) };
        let has = |flag: object::elf::SectionFlags| flags.0 & flag.0 != 0;
        let uninitialized =
            matches!(section.kind(), SectionKind::UninitializedData | SectionKind::UninitializedTls);
        if !has(SHF_ALLOC) || uninitialized {
            continue;
        }
        let name = section.name().unwrap_or_default();
        // A linker script that folds `.got` into constant data leaves a section that says it is writable in a segment
        // that is not: the segment is what is mapped.
        let in_constant_segment = |section: &object::Section<'_, '_>| {
            file.segments().any(|segment| {
                let end = segment.address().saturating_add(segment.size());
                let SegmentFlags::Elf { p_flags: flags, .. } = segment.flags() else { return false };
                (segment.address()..end).contains(&section.address()) && flags.0 & PF_W.0 == 0
            })
        };
        // Written by the loader at most, before any code of the image runs (RELRO).
        let relro = name == ".got" || name == ".got.plt" || name.starts_with(".data.rel.ro");
        sections.push(Section {
            address: section.address(),
            data: section.data().map_err(|_| Error::Malformed)?.to_vec(),
            executable: has(SHF_EXECINSTR),
            constant: !has(SHF_EXECINSTR) && (!has(SHF_WRITE) || relro || in_constant_segment(&section)),
        });
    }
    Ok(sections)
}

/// Writes the addends of a position-independent image to where the loader would, for a load at its link address.
fn apply_relative_relocations(file: &object::File<'_>, sections: &mut [Section]) {
    let Some(relocations) = file.dynamic_relocations() else { return };
    for (address, relocation) in relocations {
        if relocation.flags() != (object::RelocationFlags::Elf { r_type: R_X86_64_RELATIVE }) {
            continue;
        }
        for section in sections.iter_mut() {
            let Some(at) = address.checked_sub(section.address).and_then(|at| usize::try_from(at).ok())
            else {
                continue;
            };
            if let Some(field) = section.data.get_mut(at..at.saturating_add(8)) {
                field.copy_from_slice(&relocation.addend().to_le_bytes());
            }
        }
    }
}

fn load_functions(file: &object::File<'_>, sections: &[Section]) -> (Vec<Function>, BTreeMap<String, u64>) {
    struct Symbol {
        size: u64,
        typed: bool,
        name: String,
        file: Option<String>,
    }
    let mut at_address: BTreeMap<u64, Vec<Symbol>> = BTreeMap::new();
    let mut symbols = BTreeMap::new();
    let mut object_file: Option<String> = None;
    for symbol in file.symbols() {
        let Ok(raw) = symbol.name() else { continue };
        if symbol.kind() == SymbolKind::File {
            object_file = Some(raw.to_owned());
            continue;
        }
        if symbol.is_undefined() || raw.is_empty() || symbol.kind() == SymbolKind::Section {
            continue;
        }
        symbols.insert(raw.to_owned(), symbol.address());
        let executable = sections.iter().any(|section| {
            section.executable
                && symbol
                    .address()
                    .checked_sub(section.address)
                    .is_some_and(|at| at < section.data.len() as u64)
        });
        // STT_OBJECT in executable memory is data; a label has no type.
        if !executable || symbol.kind() == SymbolKind::Data {
            continue;
        }
        at_address.entry(symbol.address()).or_default().push(Symbol {
            size: symbol.size(),
            typed: symbol.kind() == SymbolKind::Text && symbol.size() > 0,
            name: demangle(raw),
            file: object_file.clone().filter(|_| symbol.is_local()),
        });
    }
    let starts: Vec<u64> = at_address.keys().copied().collect();
    let mut functions: Vec<Function> = Vec::new();
    for (index, (address, mut here)) in at_address.into_iter().enumerate() {
        here.sort_by_key(|symbol| !symbol.typed);
        let inside_typed = functions.last().is_some_and(|before| address < before.end);
        if inside_typed && !here[0].typed {
            continue;
        }
        let size = here.iter().filter(|symbol| symbol.typed).map(|symbol| symbol.size).max();
        // Assembly without `.size`: as far as the next symbol, or the section's end.
        let to_next = || {
            let section_end = sections
                .iter()
                .find(|s| address.checked_sub(s.address).is_some_and(|at| at < s.data.len() as u64))
                .map_or(address, |s| s.address + s.data.len() as u64);
            starts.get(index + 1).map_or(section_end, |next| (*next).min(section_end))
        };
        functions.push(Function {
            address,
            end: size.map_or_else(to_next, |size| address.saturating_add(size)),
            file: here.iter().find_map(|symbol| symbol.file.clone()),
            names: here.into_iter().map(|symbol| symbol.name).collect(),
        });
    }
    (functions, symbols)
}

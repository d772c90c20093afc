//! The firmware's ELF: instructions, objects, the layout of its types, and which functions of the source an instruction
//! belongs to.

use std::collections::BTreeMap;

use addr2line::Context;
use gimli::{AttributeValue, Dwarf, EndianSlice, LittleEndian};
use iced_x86::{Decoder, DecoderOptions, Instruction};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};

use crate::error::{Error, Result};

type Reader<'a> = EndianSlice<'a, LittleEndian>;

/// The longest x86 instruction (SDM vol. 2A, 2.3.11).
const LONGEST_INSTRUCTION: u64 = 15;

/// An object in `.data` or `.bss`, or a function.
#[derive(Clone, Debug)]
pub struct Symbol {
    /// Demangled, without its hash.
    pub name: String,
    /// Its first byte.
    pub address: u64,
    /// Its bytes.
    pub size: u64,
    /// Whether it is a function.
    pub is_code: bool,
}

/// A type.
#[derive(Clone, Debug, Default)]
struct Type {
    size: u64,
    members: BTreeMap<String, u64>,
}

/// An ELF with symbols and DWARF.
pub struct Elf<'a> {
    code: Vec<(u64, &'a [u8])>,
    symbols: Vec<Symbol>,
    types: BTreeMap<String, Type>,
    lines: Context<Reader<'a>>,
}

impl<'a> Elf<'a> {
    /// Reads it.
    pub fn read(bytes: &'a [u8]) -> Result<Elf<'a>> {
        let file = object::File::parse(bytes).map_err(|e| Error::Invalid(format!("the ELF: {e}")))?;
        let code = file.sections().filter(|s| s.kind() == SectionKind::Text);
        let code = code.filter_map(|s| Some((s.address(), s.data().ok()?))).collect();
        let symbols = file.symbols().filter(|s| s.size() != 0).map(|s| Symbol {
            name: demangle(s.name().unwrap_or_default()),
            address: s.address(),
            size: s.size(),
            is_code: s.kind() == object::SymbolKind::Text,
        });
        let symbols = symbols.collect();
        let section = |id: gimli::SectionId| -> std::result::Result<Reader<'a>, gimli::Error> {
            let data = file.section_by_name(id.name()).and_then(|s| s.data().ok()).unwrap_or(&[]);
            Ok(EndianSlice::new(data, LittleEndian))
        };
        let broken = |e: gimli::Error| Error::Invalid(format!("the ELF's DWARF: {e}"));
        let types = types(&Dwarf::load(section).map_err(broken)?).map_err(broken)?;
        let lines = Dwarf::load(section).and_then(Context::from_dwarf).map_err(broken)?;
        Ok(Elf { code, symbols, types, lines })
    }

    /// The instruction at `address`.
    pub fn instruction(&self, address: u64) -> Result<Instruction> {
        self.instructions(address, LONGEST_INSTRUCTION)
            .next()
            .filter(|i| !i.is_invalid())
            .ok_or_else(|| Error::Invalid(format!("no instruction of the image at {address:#x}")))
    }

    /// The instructions in these bytes.
    pub fn instructions(&self, address: u64, bytes: u64) -> impl Iterator<Item = Instruction> + 'a {
        let section = self.code.iter().find(|(start, data)| {
            address.checked_sub(*start).is_some_and(|offset| offset < data.len() as u64)
        });
        let bytes = section.map_or(&[][..], |(start, data)| {
            let rest = &data[(address - start) as usize..];
            &rest[..rest.len().min(bytes as usize)]
        });
        Decoder::with_ip(64, bytes, address, DecoderOptions::NONE).into_iter()
    }

    /// All symbols with a size.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// The symbol of this demangled name.
    pub fn symbol(&self, name: &str) -> Result<&Symbol> {
        let found = self.symbols.iter().find(|s| s.name == name);
        found.ok_or_else(|| Error::Invalid(format!("the image has no symbol `{name}`")))
    }

    /// The size of the type of this path.
    pub fn size_of(&self, path: &str) -> Result<u64> {
        self.type_of(path).map(|t| t.size)
    }

    /// The offset of a member of the type of this path.
    pub fn offset_of(&self, path: &str, member: &str) -> Result<u64> {
        let offset = self.type_of(path)?.members.get(member).copied();
        offset.ok_or_else(|| Error::Invalid(format!("the image's `{path}` has no member `{member}`")))
    }

    fn type_of(&self, path: &str) -> Result<&Type> {
        let found = self.types.get(path);
        found.ok_or_else(|| Error::Invalid(format!("the image's DWARF has no type `{path}`")))
    }

    /// The innermost function at `address` that is not of the core library; of code that is nobody's, its symbol.
    pub fn owner(&self, address: u64) -> String {
        let functions = self.functions_at(address);
        let own = functions.iter().find(|f| !is_library(f)).or(functions.last()).cloned();
        let symbol = || {
            let holds = |s: &&Symbol| s.is_code && (s.address..s.address + s.size).contains(&address);
            self.symbols.iter().find(holds).map(|s| s.name.clone())
        };
        own.or_else(symbol).unwrap_or_else(|| "unknown".into())
    }

    /// The functions of the source that the instruction at `address` belongs to, the innermost first: what was inlined,
    /// then the symbol.
    pub fn functions_at(&self, address: u64) -> Vec<String> {
        let mut names = Vec::new();
        let Ok(mut frames) = self.lines.find_frames(address).skip_all_loads() else { return names };
        while let Ok(Some(frame)) = frames.next() {
            let name = frame.function.as_ref().and_then(|f| f.raw_name().ok().map(|n| demangle(&n)));
            names.extend(name);
        }
        names
    }
}

fn is_library(function: &str) -> bool {
    ["core::", "<core::"].iter().any(|prefix| function.starts_with(prefix))
}

fn demangle(raw: &str) -> String {
    rustc_demangle::try_demangle(raw).map_or_else(|_| raw.to_owned(), |name| format!("{name:#}"))
}

/// Every structure that the DWARF describes, by its path.
fn types(dwarf: &Dwarf<Reader<'_>>) -> std::result::Result<BTreeMap<String, Type>, gimli::Error> {
    let mut types: BTreeMap<String, Type> = BTreeMap::new();
    let mut units = dwarf.units();
    while let Some(header) = units.next()? {
        let unit = dwarf.unit(header)?;
        // The path to the entry, one name for each depth.
        let mut path: Vec<(isize, String)> = Vec::new();
        let mut entries = unit.entries();
        while let Some(entry) = entries.next_dfs()? {
            let depth = entry.depth();
            while path.last().is_some_and(|(d, _)| *d >= depth) {
                path.pop();
            }
            let name = match entry.attr_value(gimli::DW_AT_name) {
                Some(value) => dwarf.attr_string(&unit, value)?.to_string_lossy().into_owned(),
                None => String::new(),
            };
            let joined = || path.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join("::");
            match entry.tag() {
                gimli::DW_TAG_namespace => path.push((depth, name)),
                gimli::DW_TAG_structure_type => {
                    path.push((depth, name));
                    let size = entry.attr_value(gimli::DW_AT_byte_size).and_then(|v| v.udata_value());
                    if let Some(size) = size {
                        let path = path.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join("::");
                        types.entry(path).or_default().size = size;
                    }
                }
                gimli::DW_TAG_member => {
                    let place = entry.attr_value(gimli::DW_AT_data_member_location);
                    if let Some(offset) = place.as_ref().and_then(AttributeValue::udata_value) {
                        types.entry(joined()).or_default().members.insert(name, offset);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(types)
}

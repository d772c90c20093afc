//! The firmware's ELF: build-id, instruction bytes, and which function and line an address belongs to.

use std::fmt;

use addr2line::Context;
use gimli::{EndianSlice, LittleEndian};
use object::{Architecture, Object, ObjectSection, ObjectSegment, ObjectSymbol, SymbolKind};

/// Why symbols are missing or not to be trusted. What can be said without them is said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ElfProblem {
    /// No ELF was given.
    NotGiven,
    /// The file is no ELF, or is damaged.
    NotAnElf {
        /// What the parser says.
        reason: String,
    },
    /// The file is an ELF for another machine.
    WrongMachine {
        /// Which, as far as known.
        machine: String,
    },
    /// The file is another firmware than the one that crashed. Nothing is taken from it, unless forced.
    Mismatch {
        /// Build-id of the file, in hexadecimal.
        elf: String,
        /// Build-id in the record, in hexadecimal.
        record: String,
        /// Whether its symbols are used all the same.
        forced: bool,
    },
    /// The build-ids cannot be compared, so the file is taken on trust.
    NotCompared {
        /// Which of the two has no build-id.
        missing_in: &'static str,
    },
    /// The file has no debug information: functions by the symbol table, and no source lines.
    NoDebugInfo,
    /// The file has neither debug information nor a symbol table.
    NoSymbols,
}

impl ElfProblem {
    /// Whether the ELF was given and cannot be used, or must not be.
    #[must_use]
    pub const fn is_unusable(&self) -> bool {
        match self {
            Self::NotAnElf { .. }
            | Self::WrongMachine { .. }
            | Self::Mismatch { forced: false, .. }
            | Self::NoSymbols => true,
            Self::NotGiven
            | Self::Mismatch { forced: true, .. }
            | Self::NotCompared { .. }
            | Self::NoDebugInfo => false,
        }
    }

    /// Whether the ELF is usable, but gives less than it should.
    #[must_use]
    pub const fn is_partial(&self) -> bool {
        matches!(self, Self::NoDebugInfo | Self::Mismatch { forced: true, .. })
    }
}

impl fmt::Display for ElfProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGiven => f.write_str("no ELF: addresses only; give the firmware by --elf"),
            Self::NotAnElf { reason } => write!(
                f,
                "the file given by --elf is not a readable ELF ({reason}); give the firmware as it was linked, \
                 not the bootable image made from it"
            ),
            Self::WrongMachine { machine } => {
                write!(f, "the file given by --elf is for {machine}, not for x86-64; give the firmware that crashed")
            }
            Self::Mismatch { elf, record, forced: false } => write!(
                f,
                "the ELF is not the firmware that crashed: its build-id is {elf}, the record's is {record}; give the \
                 ELF of that build, or use this one all the same by --force"
            ),
            Self::Mismatch { elf, record, forced: true } => write!(
                f,
                "the ELF is not the firmware that crashed (build-id {elf}, record {record}): by --force its symbols \
                 are shown, and may be wrong"
            ),
            Self::NotCompared { missing_in } => write!(
                f,
                "no build-id in the {missing_in}: whether the ELF is the firmware that crashed is unknown; link with \
                 --build-id"
            ),
            Self::NoDebugInfo => f.write_str(
                "the ELF has no debug information: functions only, no source lines; give the unstripped one, built \
                 with debug = \"full\"",
            ),
            Self::NoSymbols => {
                f.write_str("the ELF has neither debug information nor symbols; give the one before it was stripped")
            }
        }
    }
}

/// One function at an address. Several when calls were inlined there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The address: of the instruction that runs next, or that a call returns to.
    pub address: u64,
    /// The function, demangled and without its hash.
    pub function: Option<String>,
    /// The source file, as the compiler wrote it.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
    /// Whether this function was inlined into the next one of the list, which has the same address.
    pub inlined: bool,
}

/// The parts of an ELF that a post-mortem needs.
pub(crate) struct Firmware<'e> {
    context: Option<Context<EndianSlice<'e, LittleEndian>>>,
    /// Address, size, mangled name; by address.
    functions: Vec<(u64, u64, &'e str)>,
    segments: Vec<(u64, &'e [u8])>,
    pub build_id: Vec<u8>,
}

impl<'e> Firmware<'e> {
    pub fn parse(bytes: &'e [u8]) -> Result<Self, ElfProblem> {
        let unreadable = |error: object::Error| ElfProblem::NotAnElf { reason: error.to_string() };
        if !bytes.starts_with(b"\x7fELF") {
            return Err(ElfProblem::NotAnElf { reason: "it does not begin with the ELF magic".into() });
        }
        let file = object::File::parse(bytes).map_err(unreadable)?;
        if file.architecture() != Architecture::X86_64 {
            return Err(ElfProblem::WrongMachine { machine: format!("{:?}", file.architecture()) });
        }
        let mut functions: Vec<_> = file
            .symbols()
            .filter(|symbol| symbol.is_definition())
            // Entry stubs in assembly often have no type.
            .filter(|symbol| matches!(symbol.kind(), SymbolKind::Text | SymbolKind::Unknown))
            .filter_map(|symbol| Some((symbol.address(), symbol.size(), symbol.name().ok()?)))
            .filter(|(_, _, name)| !name.is_empty())
            .collect();
        functions.sort_unstable();
        let context = debug_info(&file);
        if context.is_none() && functions.is_empty() {
            return Err(ElfProblem::NoSymbols);
        }
        Ok(Self {
            context,
            functions,
            segments: file
                .segments()
                .filter_map(|segment| Some((segment.address(), segment.data().ok()?)))
                .collect(),
            build_id: file.build_id().ok().flatten().unwrap_or_default().to_vec(),
        })
    }

    pub fn has_debug_info(&self) -> bool {
        self.context.is_some()
    }

    /// The bytes of the image from this address on, to the end of their segment.
    pub fn bytes_at(&self, address: u64) -> Option<&'e [u8]> {
        self.segments.iter().find_map(|(start, bytes)| {
            let at = usize::try_from(address.checked_sub(*start)?).ok()?;
            bytes.get(at..).filter(|bytes| !bytes.is_empty())
        })
    }

    /// Where the function that covers this address begins.
    pub fn function_start(&self, address: u64) -> Option<u64> {
        self.symbol(address).map(|(start, _)| start)
    }

    /// The functions at this address, the innermost first, at least one. `is_return`: the address is one that a call
    /// returns to, so it is the call before it that counts; the call may be the last instruction of its function.
    pub fn frames_at(&self, address: u64, is_return: bool) -> Vec<Frame> {
        let probe = if is_return { address.wrapping_sub(1) } else { address };
        let mut frames = self.debug_frames(address, probe).unwrap_or_default();
        if frames.iter().all(|frame| frame.function.is_none()) {
            let lines = frames.pop().unwrap_or_default();
            let function = self.symbol(probe).map(|(_, name)| demangled(name));
            frames = vec![Frame { address, function, inlined: false, ..lines }];
        }
        frames
    }

    fn debug_frames(&self, address: u64, probe: u64) -> Option<Vec<Frame>> {
        let mut found = self.context.as_ref()?.find_frames(probe).skip_all_loads().ok()?;
        let mut frames = Vec::new();
        while let Ok(Some(frame)) = found.next() {
            let name = frame.function.as_ref().and_then(|function| function.raw_name().ok());
            let (file, line) = frame.location.map_or((None, None), |place| (place.file, place.line));
            frames.push(Frame {
                address,
                function: name.map(|name| demangled(&name)),
                file: file.map(str::to_owned),
                line,
                inlined: true,
            });
        }
        frames.last_mut()?.inlined = false;
        Some(frames)
    }

    fn symbol(&self, address: u64) -> Option<(u64, &'e str)> {
        let after = self.functions.partition_point(|(start, _, _)| *start <= address);
        let (start, size, name) = *self.functions.get(after.checked_sub(1)?)?;
        // A symbol of assembly has no size: it reaches to the next one.
        (size == 0 || address - start < size).then_some((start, name))
    }
}

fn debug_info<'e>(file: &object::File<'e>) -> Option<Context<EndianSlice<'e, LittleEndian>>> {
    let load = |id: gimli::SectionId| -> Result<EndianSlice<'e, LittleEndian>, gimli::Error> {
        let section = file.section_by_name(id.name());
        // A compressed section counts as absent: the firmware profile makes none.
        let plain = section.filter(|section| {
            section.compressed_file_range().is_ok_and(|range| range.format == object::CompressionFormat::None)
        });
        Ok(EndianSlice::new(plain.and_then(|section| section.data().ok()).unwrap_or(&[]), LittleEndian))
    };
    file.section_by_name(".debug_info").filter(|section| section.size() > 0)?;
    let context = Context::from_dwarf(gimli::Dwarf::load(load).ok()?).ok()?;
    Some(context)
}

fn demangled(name: &str) -> String {
    // The alternate form leaves the hash out.
    format!("{:#}", rustc_demangle::demangle(name))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

//! Function, file and line of an address, with what was inlined there.

use addr2line::Context;
use gimli::{Dwarf, EndianSlice, LittleEndian};
use object::{Object, ObjectSection};

/// One function of the source at an address.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Demangled path.
    pub function: Option<String>,
    /// `file:line` of the instruction, or in an outer function of the inlined call.
    pub place: Option<String>,
}

impl Frame {
    /// Whether this is code of the core library, for which its caller answers. A name like `<u64 as Trait>::method` does
    /// not tell; its file does. No file alone, though: code that the optimiser moved has a function and a foreign line.
    fn is_library(&self) -> bool {
        let name = self.function.as_deref().unwrap_or("<");
        let by_name =
            ["core::", "<core::", "alloc::", "<alloc::"].iter().any(|prefix| name.starts_with(prefix));
        by_name || (name.starts_with('<') && self.has_library_place())
    }

    fn has_library_place(&self) -> bool {
        let is_library =
            |place: &str| ["library/core/src/", "library/stdarch/"].iter().any(|part| place.contains(part));
        self.place.as_deref().is_some_and(is_library)
    }
}

/// DWARF of the image. Empty when it has none.
pub(crate) struct SourceLines<'a> {
    context: Option<Context<EndianSlice<'a, LittleEndian>>>,
}

impl<'a> SourceLines<'a> {
    pub(crate) fn load(file: &object::File<'a>) -> Self {
        let section = |id: gimli::SectionId| -> Result<EndianSlice<'a, LittleEndian>, gimli::Error> {
            let data = file.section_by_name(id.name()).and_then(|section| section.data().ok()).unwrap_or(&[]);
            Ok(EndianSlice::new(data, LittleEndian))
        };
        Self { context: Dwarf::load(section).and_then(Context::from_dwarf).ok() }
    }

    /// Returns the functions at `address`, the innermost first.
    pub(crate) fn frames(&self, address: u64) -> Vec<Frame> {
        let Some(context) = &self.context else { return Vec::new() };
        let mut frames = Vec::new();
        let Ok(mut found) = context.find_frames(address).skip_all_loads() else { return frames };
        while let Ok(Some(frame)) = found.next() {
            let function =
                frame.function.as_ref().and_then(|name| name.raw_name().ok().map(|raw| demangle(&raw)));
            // Line 0: the compiler's own code.
            let place = frame
                .location
                .and_then(|at| Some(format!("{}:{}", at.file?, at.line.filter(|line| *line > 0)?)));
            frames.push(Frame { function, place });
        }
        frames
    }

    /// Returns `file:line` of the first of these instructions that has one; of library code that of its caller, which
    /// tells more.
    pub(crate) fn place(&self, addresses: &[u64]) -> Option<String> {
        let mut library = None;
        for address in addresses {
            for frame in self.frames(*address).into_iter().filter(|frame| frame.place.is_some()) {
                if !frame.is_library() && !frame.has_library_place() {
                    return frame.place;
                }
                library = library.or(frame.place);
            }
        }
        library
    }

    /// Returns the function that answers for the code at `addresses`: the innermost one that encloses all of them and is
    /// not of the core library. `None` when that is the symbol itself, or unknown.
    pub(crate) fn inlined_owner(&self, addresses: &[u64]) -> Option<String> {
        let mut common: Option<Vec<Frame>> = None;
        for address in addresses {
            let mut frames = self.frames(*address);
            if frames.is_empty() {
                continue;
            }
            frames.reverse();
            common = Some(match common {
                None => frames,
                Some(before) => before
                    .into_iter()
                    .zip(frames)
                    .take_while(|(old, new)| old.function == new.function)
                    .map(|(old, _)| old)
                    .collect(),
            });
        }
        let frames = common?;
        // The first frame is the symbol, which may have several names; the caller knows them all.
        frames.iter().skip(1).rev().find(|frame| !frame.is_library()).and_then(|frame| frame.function.clone())
    }
}

/// Returns the demangled path without the hash, or the name itself when it is not mangled.
pub(crate) fn demangle(raw: &str) -> String {
    rustc_demangle::try_demangle(raw).map_or_else(|_| raw.to_owned(), |name| format!("{name:#}"))
}

//! Checks on the linked image that the contain zone does only what it may.
//!
//! The contain zone is what runs from the entry of an NMI, #DF, #MC or panic to the verdicts, with nothing else of the
//! machine to rely on. What it may not do is judged on the ELF that is shipped, not on the source: the optimiser adds
//! panics, `memcpy` calls and jump tables, and takes others away.
//!
//! [`check`] walks the call graph from the roots that the [`Rules`] name and reports each breach with its call chain,
//! the stack bound, all loops and all code of the zone. [`reachable_code`] only counts code. The firmware's own rules are
//! [`rules::firmware`].

use std::fmt;

mod bodies;
mod body;
mod image;
mod instructions;
mod loops;
mod pattern;
mod policy;
mod report;
pub mod rules;
mod source;
mod stack;
mod value;
mod walk;

pub use instructions::Class;
pub use pattern::Pattern;
pub use policy::{
    AddressEncoding, Exception, Forbidden, IndirectCalls, InstructionException, Landing, Root, Rules, Targets,
};
pub use report::{FunctionSize, IndirectCallSite, Link, LoopSite, Offence, OffenceKind, Report, StackUse};

/// Why an image could not be checked at all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Not an ELF file.
    NotElf,
    /// An ELF file for another architecture.
    NotX86_64,
    /// Sections that lie outside the file.
    Malformed,
    /// No symbol of a function: stripped.
    NoSymbols,
    /// No function fits this root.
    NoRoot(String),
    /// A landing of which this symbol or its partner is missing, or a table that is not in read-only data.
    Landing(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotElf => f.write_str("not an ELF file"),
            Self::NotX86_64 => f.write_str("not an image for x86-64"),
            Self::Malformed => f.write_str("the ELF file is cut short or damaged"),
            Self::NoSymbols => f.write_str("the image has no symbols; check it before it is stripped"),
            Self::NoRoot(pattern) => {
                write!(f, "no function of the image is {pattern}, where the walk should start")
            }
            Self::Landing(symbol) => write!(f, "the landing at {symbol} cannot be read"),
        }
    }
}

impl std::error::Error for Error {}

/// Checks a linked, static image against rules.
///
/// # Errors
/// When the image cannot be read or a root is missing. Breaches of the rules are no error but
/// [`Report::offences`].
pub fn check(elf: &[u8], rules: &Rules) -> Result<Report, Error> {
    let file = object::File::parse(elf).map_err(|_| Error::NotElf)?;
    let image = image::Image::load(&file)?;
    let lines = source::SourceLines::load(&file);
    walk::Walk::new(&image, &lines, rules)?.run()
}

/// Counts all code that can be reached from the function `root` without entering `boundaries`, by symbol in the order of
/// addresses, padding excluded.
///
/// Calls through pointers are not followed; for those take [`Report::functions`] of a [`check`] whose rules name the
/// targets.
///
/// # Errors
/// As for [`check`].
pub fn reachable_code(elf: &[u8], root: &str, boundaries: &[&str]) -> Result<Vec<FunctionSize>, Error> {
    let rules = Rules {
        roots: vec![Root { function: root.into(), label: root.to_owned(), entry_bytes: 0, optional: false }],
        boundaries: boundaries
            .iter()
            .map(|function| Exception { function: (*function).into(), reason: String::new() })
            .collect(),
        ..Rules::default()
    };
    check(elf, &rules).map(|report| report.functions)
}

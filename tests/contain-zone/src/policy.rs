//! What a set of rules can say. The rules of the firmware themselves are in [`crate::rules`].

use crate::instructions::Class;
use crate::pattern::Pattern;

/// Where the zone begins, where it ends, and what is allowed between.
///
/// A pattern that excuses something names the *owner* of the code: with DWARF that is the innermost function of the
/// source, inlined or not, that is not of the core library; without DWARF it is the symbol. So a rule for
/// `stop_protocol::wait` holds wherever that function is inlined, and excuses nothing else in the caller.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Where the walk starts.
    pub roots: Vec<Root>,
    /// Where it ends: these functions are not entered.
    pub boundaries: Vec<Exception>,
    /// What may not be called, nor be inlined.
    pub forbidden: Vec<Forbidden>,
    /// Which functions may call, or tail-jump, through a pointer, and what is behind it.
    pub indirect_calls: Vec<IndirectCalls>,
    /// Which functions may have loops, and what bounds them.
    pub loops: Vec<Exception>,
    /// Which functions may have an instruction of a class that is otherwise forbidden.
    pub instructions: Vec<InstructionException>,
    /// Which functions may load the stack pointer with something other than a sum on itself.
    pub stack_switches: Vec<Exception>,
    /// Where an exception handler resumes after an instruction that faulted.
    pub landings: Vec<Landing>,
}

/// One or more functions by which the zone is entered.
#[derive(Clone, Debug)]
pub struct Root {
    /// The functions. At least one must exist, unless `optional`.
    pub function: Pattern,
    /// What the report calls the way from here, for example `NMI entry -> Stopped`.
    pub label: String,
    /// Bytes on the stack when the first instruction runs: the frame pushed by the processor, or the return address.
    pub entry_bytes: u64,
    /// Whether an image without such a function is accepted.
    pub optional: bool,
}

/// A function to which a rule makes an exception.
#[derive(Clone, Debug)]
pub struct Exception {
    /// The functions.
    pub function: Pattern,
    /// Why it is right there. For a loop: what bounds it.
    pub reason: String,
}

/// A function that may not be called from the zone.
#[derive(Clone, Debug)]
pub struct Forbidden {
    /// The functions.
    pub function: Pattern,
    /// What calling it means, for example `formatting`.
    pub what: String,
    /// Functions defined in an object file of this name are allowed after all (`STT_FILE` of the local symbol).
    pub except_file: Option<Pattern>,
}

/// Functions that may call through a pointer.
#[derive(Clone, Debug)]
pub struct IndirectCalls {
    /// The callers.
    pub function: Pattern,
    /// What the pointer may be. All of it is walked. Empty: the rule's author vouches for the callee.
    pub targets: Vec<Targets>,
    /// Whether an image that has none of them is accepted.
    pub optional: bool,
    /// Why it is right there.
    pub reason: String,
}

/// Possible callees of an indirect call.
#[derive(Clone, Debug)]
pub enum Targets {
    /// Every function that fits.
    Functions(Pattern),
    /// Of every vtable that holds a method that fits, the slot that the instruction names by its displacement, or, when
    /// it names none, all methods. Vtables are found in read-only data by their shape, since they have no symbols.
    VtableSlot(Pattern),
}

/// Functions that may have instructions of one class.
#[derive(Clone, Debug)]
pub struct InstructionException {
    /// The class.
    pub class: Class,
    /// The functions.
    pub function: Pattern,
    /// Why it is right there.
    pub reason: String,
}

/// Instructions that may fault, and where an exception handler then resumes: ways that no branch shows.
#[derive(Clone, Debug)]
pub enum Landing {
    /// One pair of labels. An image that has neither was linked without that code.
    Labels {
        /// At the instruction that may fault.
        fault: String,
        /// At the instruction to resume at.
        resume: String,
    },
    /// A table between two symbols, in read-only data. An entry is the fault's address followed by the landing's.
    Table {
        /// Symbol at the first entry.
        start: String,
        /// Symbol behind the last entry.
        end: String,
        /// How addresses are stored.
        encoding: AddressEncoding,
    },
}

/// How a table stores an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressEncoding {
    /// Eight bytes, absolute.
    Absolute64,
    /// Four bytes, signed, relative to the field itself.
    Relative32,
}

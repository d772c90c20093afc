//! What the check found, for people and as data.

use std::fmt;

use serde::Serialize;

use crate::instructions::Class;

/// The result of a check.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What breaks the rules. Empty: the image is accepted.
    pub offences: Vec<Offence>,
    /// Stack use from each root.
    pub stack: Vec<StackUse>,
    /// Every loop of the zone, allowed or not.
    pub loops: Vec<LoopSite>,
    /// Every indirect call that a rule allowed, with what it may reach.
    pub indirect_calls: Vec<IndirectCallSite>,
    /// Every function of the zone.
    pub functions: Vec<FunctionSize>,
    /// Rules that matched nothing: they excuse what is no longer there, or are misspelt.
    pub unused_rules: Vec<String>,
}

/// One breach of the rules.
#[derive(Clone, Debug, Serialize)]
pub struct Offence {
    /// Of what kind.
    pub kind: OffenceKind,
    /// One line that says what it is.
    pub detail: String,
    /// The instruction.
    pub address: u64,
    /// Its `file:line`.
    pub source: Option<String>,
    /// The way from a root to the offender.
    pub chain: Vec<Link>,
}

/// Kinds of breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OffenceKind {
    /// A call of a forbidden function.
    ForbiddenCall,
    /// A forbidden function that the compiler inlined.
    ForbiddenInlined,
    /// A call through a pointer outside the list.
    IndirectCall,
    /// A jump whose targets are not known, outside the list.
    IndirectJump,
    /// A listed indirect call for which no target was found in the image.
    NoTarget,
    /// An instruction of a forbidden class.
    Instruction(Class),
    /// A function that can call itself, directly or through others.
    Recursion,
    /// A loop that no rule bounds.
    Loop,
    /// A dynamic stack allocation, an unlisted change of stacks, or a depth that is not the same on all ways.
    Stack,
    /// Bytes that are no instruction, or control that runs out of every function.
    BrokenCode,
}

/// One function on the way to an offender.
#[derive(Clone, Debug, Serialize)]
pub struct Link {
    /// Demangled name.
    pub function: String,
    /// In it, the call of the next function; in the last one the offence.
    pub address: u64,
    /// `file:line` of that instruction.
    pub source: Option<String>,
}

/// The greatest stack use from one root.
#[derive(Clone, Debug, Serialize)]
pub struct StackUse {
    /// The root's label.
    pub label: String,
    /// The root's function.
    pub root: String,
    /// Bytes on the stack that is active at the root's first instruction, with what was pushed before it.
    pub bytes: u64,
    /// Greatest number of bytes on any stack that is taken up on the way; 0 when there is none.
    pub switched_bytes: u64,
    /// The functions of the deepest way on the first stack.
    pub path: Vec<String>,
    /// The functions of the deepest way on another stack.
    pub switched_path: Vec<String>,
}

/// A loop.
#[derive(Clone, Debug, Serialize)]
pub struct LoopSite {
    /// The symbol it is in.
    pub function: String,
    /// The function of the source it belongs to, which may be inlined in `function`.
    pub owner: String,
    /// Its first instruction.
    pub address: u64,
    /// `file:line` of that.
    pub source: Option<String>,
    /// What bounds it, by the rule; `None` is an offence.
    pub reason: Option<String>,
}

/// An indirect call that a rule allows.
#[derive(Clone, Debug, Serialize)]
pub struct IndirectCallSite {
    /// The function of the source that calls.
    pub owner: String,
    /// The instruction.
    pub address: u64,
    /// `file:line` of that.
    pub source: Option<String>,
    /// Why the rule allows it.
    pub reason: String,
    /// What it may call, and what was walked.
    pub targets: Vec<String>,
}

/// The reachable code of one function, without padding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FunctionSize {
    /// Demangled name.
    pub symbol: String,
    /// Its first byte.
    pub address: u64,
    /// Bytes of all instructions that can be reached.
    pub bytes: u64,
    /// Number of these instructions.
    pub instructions: u64,
    /// Greatest depth of its own stack frame in bytes, without the return address and without callees.
    pub frame_bytes: u64,
}

impl Report {
    /// Returns whether the image keeps the rules.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.offences.is_empty()
    }

    /// Returns bytes and number of instructions of the whole zone.
    #[must_use]
    pub fn code_size(&self) -> (u64, u64) {
        self.functions
            .iter()
            .fold((0, 0), |(bytes, count), function| (bytes + function.bytes, count + function.instructions))
    }
}

struct At<'a>(u64, &'a Option<String>);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)?;
        self.1.as_ref().map_or(Ok(()), |source| write!(f, ", {source}"))
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offence: {} ({})", self.detail, At(self.address, &self.source))?;
        for (depth, link) in self.chain.iter().enumerate() {
            let arrow = if depth == 0 { "   " } else { "-> " };
            write!(f, "\n    {arrow}{} ({})", link.function, At(link.address, &link.source))?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for offence in &self.offences {
            writeln!(f, "{offence}")?;
        }
        for stack in &self.stack {
            writeln!(f, "stack: {} from {}: {} bytes", stack.label, stack.root, stack.bytes)?;
            writeln!(f, "    {}", stack.path.join(" -> "))?;
            if stack.switched_bytes > 0 {
                writeln!(f, "    and {} bytes on the stack it changes to", stack.switched_bytes)?;
                writeln!(f, "    {}", stack.switched_path.join(" -> "))?;
            }
        }
        for site in &self.loops {
            let reason = site.reason.as_deref().unwrap_or("NOT LISTED");
            writeln!(f, "loop: {} ({}): {reason}", site.owner, At(site.address, &site.source))?;
        }
        for site in &self.indirect_calls {
            writeln!(
                f,
                "indirect call: {} ({}): {}",
                site.owner,
                At(site.address, &site.source),
                site.reason
            )?;
            for target in &site.targets {
                writeln!(f, "    -> {target}")?;
            }
        }
        for rule in &self.unused_rules {
            writeln!(f, "unused rule: {rule}")?;
        }
        for function in &self.functions {
            writeln!(
                f,
                "code: {:6} bytes {:5} instructions {:5} bytes of frame  {}",
                function.bytes, function.instructions, function.frame_bytes, function.symbol
            )?;
        }
        let (bytes, instructions) = self.code_size();
        writeln!(f, "total: {} functions, {bytes} bytes, {instructions} instructions", self.functions.len())?;
        write!(f, "contain zone: {} offences", self.offences.len())
    }
}

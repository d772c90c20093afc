//! Bytes and instructions of the code that an NMI reaches, and of what it has in common with Linux's.

use std::collections::BTreeMap;

use contain_zone::{FunctionSize, Pattern};
use iced_x86::{Instruction, Mnemonic};

use super::Bench;
use super::document::{Part, Row, Table};
use super::elf::Elf;
use super::linux::{JOBS, MORE};
use crate::error::{Error, Result};

/// Where the walk starts.
const ROOT: &str = "panic_smp_nmi_entry";

/// Bytes and instructions.
#[derive(Clone, Copy, Default)]
struct Size {
    bytes: u64,
    instructions: u64,
}

impl Size {
    fn add(&mut self, instruction: &Instruction) {
        self.bytes += instruction.len() as u64;
        self.instructions += 1;
    }

    fn cells(self) -> [String; 2] {
        [self.bytes.to_string(), self.instructions.to_string()]
    }
}

impl std::iter::Sum for Size {
    fn sum<I: Iterator<Item = Size>>(sizes: I) -> Size {
        sizes.fold(Size::default(), |a, b| Size {
            bytes: a.bytes + b.bytes,
            instructions: a.instructions + b.instructions,
        })
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} B, {} instructions", self.bytes, self.instructions)
    }
}

/// What an instruction belongs to.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Share {
    /// A job, by its place in the table, and the function that matched.
    Job(usize, String),
    /// Something else, by its place in the table, or nothing that is named.
    More(usize),
    Rest,
}

/// The part.
pub fn measure(bench: &Bench, elf: &Elf<'_>) -> Result<Part> {
    let mut rules = contain_zone::rules::firmware();
    rules.roots.retain(|root| root.function.matches(ROOT));
    let report = contain_zone::check(&bench.elf, &rules).map_err(|e| Error::Invalid(e.to_string()))?;
    let (bytes, instructions) = report.code_size();
    let whole = Size { bytes, instructions };

    let shares = shares(elf, &report.functions)?;
    let of_job = |job: usize| -> Size {
        shares.iter().filter(|(s, _)| matches!(s, Share::Job(j, _) if *j == job)).map(|(_, size)| *size).sum()
    };
    let linux = |job: &super::linux::Job| Size {
        bytes: job.linux.iter().map(|f| f.1).sum(),
        instructions: job.linux.iter().map(|f| f.2).sum(),
    };
    let ours: Size = (0..JOBS.len()).map(of_job).sum();
    let theirs: Size = JOBS.iter().map(linux).sum();
    let met = ours.bytes <= theirs.bytes && ours.instructions <= theirs.instructions;

    let mut lines: Vec<Vec<String>> = Vec::new();
    for (index, job) in JOBS.iter().enumerate() {
        let [b, i] = linux(job).cells();
        let [our_b, our_i] = of_job(index).cells();
        let names = job.linux.iter().map(|f| format!("`{}`", f.0)).collect::<Vec<_>>().join(", ");
        lines.push(vec![job.what.into(), names, b, i, our_b, our_i]);
    }
    let [b, i] = theirs.cells();
    let [our_b, our_i] = ours.cells();
    lines.push(vec!["**all**".into(), String::new(), b, i, our_b, our_i]);

    let more = MORE.iter().enumerate().map(|(index, (what, _))| (*what, Share::More(index)));
    let more = more.chain([("the rest", Share::Rest)]);
    let more = more.map(|(what, share)| {
        let [b, i] = shares.get(&share).copied().unwrap_or_default().cells();
        vec![what.to_owned(), b, i]
    });
    let functions = shares.iter().filter_map(|(share, size)| match share {
        Share::Job(job, function) => {
            let [b, i] = size.cells();
            Some(vec![JOBS[*job].what.to_owned(), format!("`{function}`"), b, i])
        }
        Share::More(_) | Share::Rest => None,
    });
    Ok(Part {
        rows: vec![
            Row::stated("code reachable from NMI entry to Stopped", whole.to_string()),
            Row {
                what: "of it, what does the job of Linux's shootdown core".into(),
                measured: ours.to_string(),
                target: Some((format!("at most {theirs}"), met)),
            },
        ],
        how: HOW.into(),
        tables: vec![
            Table {
                title: "The same job, by Linux's symbols and ours.".into(),
                columns: vec!["job", "Linux", "bytes", "instructions", "ours: bytes", "ours: instructions"],
                lines,
            },
            Table {
                title: "What else is reachable from the NMI entry.".into(),
                columns: vec!["what", "bytes", "instructions"],
                lines: more.collect(),
            },
        ],
        appendix: vec![
            Table {
                title: "our functions in the comparison with Linux, with what is inlined in them".into(),
                columns: vec!["job", "function of the source", "bytes", "instructions"],
                lines: functions.collect(),
            },
            Table {
                title: "all code reachable from the NMI entry, by symbol".into(),
                columns: vec!["symbol", "bytes", "instructions"],
                lines: symbols(report.functions),
            },
        ],
    })
}

const HOW: &str = "\
Reachable instructions of the linked image without padding, found by the walk of the lane contain-zone from \
`panic_smp_nmi_entry` alone. That is the way of a CPU that is stopped *and* the way of the one that wins by an NMI, up to \
the report zone.

For the comparison with Linux each of these instructions is given to the innermost function of the source that a row \
names, by the inline ranges of the DWARF: the optimiser inlines across our crates, so symbols alone do not tell. A \
function inlined at two places counts twice, since it is there twice. Every instruction of a function that the walk \
entered counts. What to keep in mind: Linux's callback saves the general registers and segments, ours also control and debug registers, MSRs, \
GDTR, IDTR, TR and LDTR; Linux's wait is a count of milliseconds, ours has a silence, a ceiling and a re-send; Linux's \
`nmi_panic_self_stop` halts or spins, ours also ends when the winner dies. Linux's figures are of 7.2.13, gcc 12.2 \
-O2, x86_64_defconfig with KVM; NOPs are not counted as instructions.";

fn symbols(mut functions: Vec<FunctionSize>) -> Vec<Vec<String>> {
    functions.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.symbol.cmp(&b.symbol)));
    let line =
        |f: FunctionSize| vec![format!("`{}`", f.symbol), f.bytes.to_string(), f.instructions.to_string()];
    functions.into_iter().map(line).collect()
}

/// The size of each share of these functions.
fn shares(elf: &Elf<'_>, functions: &[FunctionSize]) -> Result<BTreeMap<Share, Size>> {
    let jobs: Vec<Vec<Pattern>> = JOBS.iter().map(|job| patterns(job.ours)).collect();
    let more: Vec<Vec<Pattern>> = MORE.iter().map(|(_, functions)| patterns(functions)).collect();
    let any = |of: &[Vec<Pattern>], name: &str| of.iter().position(|all| all.iter().any(|p| p.matches(name)));
    let share = |names: &[String]| {
        let found = names.iter().find_map(|name| {
            any(&more, name)
                .map(Share::More)
                .or_else(|| any(&jobs, name).map(|job| Share::Job(job, name.clone())))
        });
        found.unwrap_or(Share::Rest)
    };
    let mut sizes: BTreeMap<Share, Size> = BTreeMap::new();
    for function in functions {
        let symbol = elf.symbols().iter().find(|s| s.is_code && s.address == function.address);
        let symbol = symbol.ok_or_else(|| Error::Invalid(format!("no symbol for `{}`", function.symbol)))?;
        for instruction in elf.instructions(symbol.address, symbol.size).filter(|i| !is_padding(i)) {
            let mut names = elf.functions_at(instruction.ip());
            names.push(function.symbol.clone());
            sizes.entry(share(&names)).or_default().add(&instruction);
        }
    }
    Ok(sizes)
}

fn patterns(of: &[&str]) -> Vec<Pattern> {
    of.iter().map(|p| Pattern::from(*p)).collect()
}

fn is_padding(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3)
}

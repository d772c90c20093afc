//! Bytes of memory that the runtime takes.

use super::Bench;
use super::document::{Part, Row, Table};
use super::elf::Elf;
use crate::error::{Error, Result};

/// What `nmi-button` declares.
const DECLARED: u64 = 288;

/// The machines whose totals are stated.
const MACHINES: [u64; 3] = [4, 64, 288];

/// Bytes of FXSAVE's area (SDM vol. 1, 10.5.1).
const FXSAVE: u64 = 512;

const LINE: &str = "stop_protocol::line::CpuLine";
const SLOT: &str = "panic_smp::slot::Slot";
const BASIC: &str = "panic_smp::slot::Basic";
const EXTENDED: &str = "panic_smp::slot::Extended";
const MESSAGE: &str = "panic_smp::slot::Message";
const BLOCK: &str = "panic_smp::block::CpuBlock";

/// The part.
pub fn measure(_: &Bench, elf: &Elf<'_>) -> Result<Part> {
    let size = |path: &str| elf.size_of(path);
    let (line, slot, block) = (size(LINE)?, size(SLOT)?, size(BLOCK)?);
    let (basic, extended, message) = (size(BASIC)?, size(EXTENDED)?, size(MESSAGE)?);
    for (object, each) in [("LINES", line), ("SLOTS", slot), ("BLOCKS", block)] {
        let whole = elf.symbol(&format!("nmi_button::PANIC::{object}"))?.size;
        if whole != each * DECLARED {
            let why = format!("{object} has {whole} bytes, which is not {DECLARED} times {each}");
            return Err(Error::Invalid(why));
        }
    }
    let protocol = line + slot - FXSAVE - message;
    let stacks = elf.symbol("nmi_button::PANIC::REPORT_STACKS")?.size;
    let runtime = elf.symbol("nmi_button::PANIC")?.size;
    let own = elf.symbols().iter().filter(|s| !s.is_code && s.name.starts_with("panic_smp::"));
    let statics = runtime + own.map(|s| s.size).sum::<u64>();

    let mut rows = vec![Row {
        what: "memory per CPU, without stacks, extended state and message".into(),
        measured: format!("{protocol} B"),
        target: Some(("at most 1024 B".into(), protocol <= 1024)),
    }];
    rows.extend(MACHINES.map(|cpus| {
        let data = cpus * (line + slot);
        let all = data + cpus * block + stacks + statics;
        Row::stated(
            format!("memory in all, {cpus} CPUs declared"),
            format!("{} ({data} B of data, the rest stacks)", kib(all)),
        )
    }));
    let part = |what: &str, bytes: u64| vec![what.to_owned(), bytes.to_string()];
    Ok(Part {
        rows,
        how: format!(
            "Sizes of the types in the image's DWARF. That the image's objects (symbols `LINES`, `SLOTS`, `BLOCKS`) are \
             these sizes times the {DECLARED} CPUs that it declares is checked. Totals for other numbers of CPUs are \
             computed from them: all three are arrays with one element for each CPU."
        ),
        tables: vec![
            Table {
                title: "For each CPU.".into(),
                columns: vec!["what", "bytes"],
                lines: vec![
                    part("line of the ledger: state, stamps, counts, orders (two cache lines)", line),
                    part("slot", slot),
                    part("- basic registers, vector, error code", basic),
                    part("- extended: FXSAVE area", FXSAVE),
                    part("- extended: local APIC, flags, padding", extended - FXSAVE),
                    part("- message", message),
                    part("- addresses of message and frame, padding", slot - basic - extended - message),
                    part("block: stacks of NMI (one for each depth), #DF and #MC, with their pads", block),
                ],
            },
            Table {
                title: "Once.".into(),
                columns: vec!["what", "bytes"],
                lines: vec![
                    part("stacks of the report zone, one for each level", stacks),
                    part("the runtime and the crate's other objects", statics),
                ],
            },
        ],
        ..Part::default()
    })
}

fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

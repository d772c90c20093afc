//! Stack use of the contain zone.

use super::Bench;
use super::document::{Part, Row, Table};
use super::elf::Elf;
use crate::error::{Error, Result};

/// The root that runs on an area of the block, by the start of its label.
const AREA: &str = "NMI entry";

const BLOCK: &str = "panic_smp::block::CpuBlock";

/// The part.
pub fn measure(bench: &Bench, elf: &Elf<'_>) -> Result<Part> {
    let report = contain_zone::check(&bench.elf, &contain_zone::rules::firmware());
    let report = report.map_err(|e| Error::Invalid(e.to_string()))?;
    // Each area is as large as the machine check's, of which there is one.
    let first = elf.offset_of(BLOCK, "machine_check")?;
    let area = elf.offset_of(BLOCK, "nmi_areas")? - first;
    let used = |use_: &contain_zone::StackUse| use_.bytes.max(use_.switched_bytes);
    let nmi = report.stack.iter().find(|s| s.label.starts_with(AREA));
    let nmi = nmi.ok_or_else(|| Error::Invalid("the contain zone has no NMI entry".into()))?;
    let lines =
        report.stack.iter().map(|s| vec![s.label.clone(), s.bytes.to_string(), s.switched_bytes.to_string()]);
    let ways = report.stack.iter().flat_map(|s| {
        let way = if s.switched_bytes > s.bytes { &s.switched_path } else { &s.path };
        way.iter().enumerate().map(|(depth, function)| {
            vec![if depth == 0 { s.label.clone() } else { String::new() }, format!("`{function}`")]
        })
    });
    Ok(Part {
        rows: vec![Row::below("stack of the contain zone, from the NMI entry", used(nmi), area, " B")],
        how: format!(
            "The greatest depth on any way through the linked image, found by the walk of the lane contain-zone \
             (`tests/contain-zone`). The target is the size of an NMI area ({area} B). What the firmware's own handlers \
             and stop callback use comes on top."
        ),
        tables: vec![Table {
            title: "From each root: bytes on the stack it starts on, and on the largest it changes to. The zone ends \
                    where the report zone begins, on a stack of its own."
                .into(),
            columns: vec!["root", "bytes", "bytes after the change"],
            lines: lines.collect(),
        }],
        appendix: vec![Table {
            title: "the deepest way of the contain zone, from each root".into(),
            columns: vec!["root", "function"],
            lines: ways.collect(),
        }],
    })
}

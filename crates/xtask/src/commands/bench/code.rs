//! Bytes and instructions of the code that an NMI reaches, by function.

use super::{Bench, Row};
use crate::error::{Error, Result};

/// The section's rows: the whole zone, then each of its functions, largest first.
pub fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let report = contain_zone::check(&bench.elf, &contain_zone::rules::firmware());
    let report = report.map_err(|e| Error::Invalid(e.to_string()))?;
    let row = |what: String, bytes: u64, instructions: u64| Row {
        what,
        target: String::new(),
        measured: format!("{bytes} B, {instructions} instructions"),
    };
    let (bytes, instructions) = report.code_size();
    let mut rows = vec![row("all code reachable from NMI entry to Stopped".into(), bytes, instructions)];
    let mut functions = report.functions;
    functions.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.symbol.cmp(&b.symbol)));
    rows.extend(functions.into_iter().map(|f| row(format!("`{}`", f.symbol), f.bytes, f.instructions)));
    Ok(rows)
}

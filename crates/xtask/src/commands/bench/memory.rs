//! Bytes of memory of the runtime's objects.

use object::{Object, ObjectSection, ObjectSymbol, SymbolKind};

use super::{Bench, Row};
use crate::error::{Error, Result};

/// Objects smaller than this are left out.
const WORTH_A_ROW: u64 = 256;

/// The section's rows: the image's sections, then its larger objects.
pub fn rows(bench: &Bench) -> Result<Vec<Row>> {
    let file = object::File::parse(&*bench.elf).map_err(|e| Error::Invalid(format!("the ELF: {e}")))?;
    let row = |what: String, bytes: u64| Row { what, target: String::new(), measured: format!("{bytes} B") };
    let loaded = file.sections().filter(|s| s.address() != 0 && s.size() != 0);
    let mut rows: Vec<Row> =
        loaded.map(|s| row(format!("section `{}`", s.name().unwrap_or_default()), s.size())).collect();
    let mut objects: Vec<(u64, String)> = file
        .symbols()
        .filter(|s| s.kind() == SymbolKind::Data && s.size() >= WORTH_A_ROW)
        .map(|s| (s.size(), s.name().unwrap_or_default().to_owned()))
        .collect();
    objects.sort_by(|a, b| b.cmp(a));
    rows.extend(objects.into_iter().map(|(bytes, name)| row(format!("object `{name}`"), bytes)));
    Ok(rows)
}

//! Wall time from the start of the machine to `armed`.

use super::{Bench, Row};
use crate::error::{Error, Result};
use crate::machine::{Machine, Options};
use crate::session::armed_line;
use crate::tools;

const BOOTS: usize = 5;

/// The section's rows, one for each number of CPUs.
pub fn rows(bench: &Bench) -> Result<Vec<Row>> {
    tools::QEMU.require()?;
    let folder = bench.workspace.folder("bench")?;
    let log = folder.join("serial.log");
    let mut rows = Vec::new();
    for cpus in [1, 2, 4, 16, 64] {
        let mut times = Vec::new();
        for _ in 0..BOOTS {
            let options = Options::new(cpus, "");
            let machine = Machine::boot(&bench.image.boot, &options, &log)?;
            times.push(machine.wait_for_line(&armed_line(cpus), options.limit)?);
        }
        times.sort();
        let median = times.get(BOOTS / 2).ok_or_else(|| Error::Invalid("no boot was timed".into()))?;
        rows.push(Row {
            what: format!("{cpus} CPUs"),
            target: String::new(),
            measured: format!("{:.2} s", median.as_secs_f64()),
        });
    }
    Ok(rows)
}

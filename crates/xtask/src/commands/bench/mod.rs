//! `cargo xtask bench`: measures, and writes docs/benchmarks.md.
//!
//! A section is one file here with one function that gives its rows, and one line in [`SECTIONS`].

mod boot;
mod code;
mod memory;

use crate::error::{Error, Result};
use crate::firmware::{self, Image};
use crate::progress::step;
use crate::workspace::Workspace;

/// The bench needs no choice.
#[derive(clap::Args)]
pub struct Args {}

/// A line of a table.
pub struct Row {
    /// What was measured.
    pub what: String,
    /// What it should be; empty where nothing is promised.
    pub target: String,
    /// What it is.
    pub measured: String,
}

/// A table with its heading.
struct Section {
    title: &'static str,
    /// How the figures came about.
    how: &'static str,
    measure: fn(&Bench) -> Result<Vec<Row>>,
}

const SECTIONS: &[Section] = &[
    Section {
        title: "Code",
        how: "Reachable instructions of the linked nmi-button (profile `firmware`), found by the walk of the lane \
              contain-zone. A function that the optimiser inlined counts where it ended up.",
        measure: code::rows,
    },
    Section { title: "Memory", how: "Sizes of the objects in the linked nmi-button.", measure: memory::rows },
    Section {
        title: "Time from boot to armed",
        how: "Wall time from the start of QEMU (TCG) to the line `armed`, the median of five boots. It includes \
              QEMU's and SeaBIOS's own start, and the CPUs of the machine share those of the host.",
        measure: boot::rows,
    },
];

/// What the sections measure.
pub struct Bench<'a> {
    /// The workspace.
    pub workspace: &'a Workspace,
    /// nmi-button.
    pub image: Image,
    /// Its ELF.
    pub elf: Vec<u8>,
}

/// Measures all sections and writes the document.
pub fn run(workspace: &Workspace, _: &Args) -> Result<bool> {
    step("building nmi-button");
    let image = firmware::build(workspace, "nmi-button")?;
    let elf = std::fs::read(&image.elf).map_err(Error::io(&image.elf))?;
    let bench = Bench { workspace, image, elf };
    let mut text = String::from("# Benchmarks\n\nWritten by `cargo xtask bench`; figures as they are.\n");
    for section in SECTIONS {
        step(section.title);
        let rows = (section.measure)(&bench)?;
        text += &format!("\n## {}\n\n{}\n\n{}", section.title, section.how, table(&rows));
    }
    let path = workspace.root.join("docs/benchmarks.md");
    std::fs::write(&path, &text).map_err(Error::io(&path))?;
    print!("{text}");
    step(&format!("written: {}", workspace.shown(&path)));
    Ok(true)
}

fn table(rows: &[Row]) -> String {
    let line = |r: &Row| format!("| {} | {} | {} |\n", r.what, r.target, r.measured);
    format!("| what | target | measured |\n|---|---|---|\n{}", rows.iter().map(line).collect::<String>())
}

//! `cargo xtask bench`: measures, and writes docs/benchmarks.md.
//!
//! A part of the document is one file here with one function that measures it, and one line in [`PARTS`].

mod boot;
mod code;
mod document;
mod elf;
mod instructions;
mod linux;
mod memory;
mod stack;
mod stepper;

use std::process::Command;
use std::time::Duration;

use self::document::{Document, Part};
use self::elf::Elf;
use crate::error::{Error, Result};
use crate::firmware::{self, Image};
use crate::process;
use crate::progress::step;
use crate::tools;
use crate::workspace::Workspace;

/// What the bench prints; the document is written in any case.
#[derive(clap::Args)]
pub struct Args {
    /// Print the figures as JSON
    #[arg(long)]
    json: bool,
}

/// What the parts measure.
pub struct Bench<'a> {
    /// The workspace.
    pub workspace: &'a Workspace,
    /// nmi-button.
    pub image: Image,
    /// Its ELF.
    pub elf: Vec<u8>,
}

type Measure = fn(&Bench, &Elf<'_>) -> Result<Part>;

const PARTS: &[(&str, Measure)] = &[
    ("Instructions", instructions::measure),
    ("Code", code::measure),
    ("Stack", stack::measure),
    ("Memory", memory::measure),
    ("Time", boot::measure),
];

/// Measures everything and writes the document.
pub fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    tools::QEMU.require()?;
    step("building nmi-button");
    let image = firmware::build(workspace, "nmi-button")?;
    let bytes = std::fs::read(&image.elf).map_err(Error::io(&image.elf))?;
    let bench = Bench { workspace, image, elf: bytes };
    let elf = Elf::read(&bench.elf)?;
    let mut document = Document { made_with: made_with(), parts: Vec::new() };
    for (title, measure) in PARTS {
        document.parts.push((*title, measure(&bench, &elf)?));
    }
    let path = workspace.root.join("docs/benchmarks.md");
    let text = document.markdown();
    std::fs::write(&path, &text).map_err(Error::io(&path))?;
    if args.json {
        let json =
            serde_json::to_string_pretty(&document.json()).map_err(|e| Error::Invalid(e.to_string()))?;
        println!("{json}");
    } else {
        print!("{text}");
    }
    step(&format!("written: {}", workspace.shown(&path)));
    Ok(true)
}

fn made_with() -> Vec<(&'static str, String)> {
    let says = |program: &str, words: &[&str]| {
        let mut command = Command::new(program);
        command.args(words);
        let said = process::run(&command, Duration::from_secs(30)).and_then(process::Output::ok);
        said.ok().and_then(|text| text.lines().next().map(str::to_owned)).unwrap_or_else(|| "unknown".into())
    };
    vec![
        ("command", "`cargo xtask bench`".into()),
        ("date", says("date", &["--utc", "+%Y-%m-%d"])),
        ("emulator", says("qemu-system-x86_64", &["--version"])),
        ("compiler", says("rustc", &["--version"])),
        (
            "firmware",
            "`nmi-button`, 288 CPUs declared, profile `firmware` (optimised, fat LTO, one codegen unit)"
                .into(),
        ),
        (
            "host CPUs",
            std::thread::available_parallelism().map_or_else(|_| "unknown".into(), |n| n.to_string()),
        ),
    ]
}

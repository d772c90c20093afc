//! `cargo xtask demo`: from a bare Debian machine to an opened dump.

use std::time::Duration;

use crate::error::Result;
use crate::firmware;
use crate::machine::Options;
use crate::progress::step;
use crate::session::{self, Files, Press};
use crate::tools::{self, GDB, QEMU, RUST_TARGET};
use crate::workspace::Workspace;

/// The demo needs no choice.
#[derive(clap::Args)]
pub struct Args {}

const EXAMPLE: &str = "nmi-button";
const CPUS: u32 = 4;

/// Runs the demo.
pub fn run(workspace: &Workspace, _: &Args) -> Result<bool> {
    step("looking for QEMU, gdb and the Rust target");
    let needed = [&QEMU, &GDB, &RUST_TARGET];
    tools::set_up(&needed)?;
    needed.iter().try_for_each(|tool| tool.require())?;
    step("building the firmware (cargo firmware)");
    firmware::build_all(workspace)?;
    let image = firmware::built(workspace, EXAMPLE)?;
    let files = Files::prepare(&workspace.folder("demo")?)?;
    step(&format!("booting {EXAMPLE} on {CPUS} CPUs; pressing its NMI button once it is armed"));
    let run = session::run(&image, &Options::new(CPUS, ""), Press::AfterArmed(Duration::ZERO), &files)?;
    let armed = run.armed.unwrap_or_default().as_secs_f64();
    step(&format!("armed after {armed:.2} s; the guest said that the record is complete"));

    println!("{}", run.dump.report());
    println!();
    for file in [&files.serial, &files.core, &files.json, &files.elf] {
        println!("left: {}", workspace.shown(file));
    }
    let shown = files.shown(workspace);
    println!("open: {} -ex 'info threads' -ex 'thread apply all bt'", shown.gdb());
    Ok(true)
}

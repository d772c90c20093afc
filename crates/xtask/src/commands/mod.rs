//! The commands, one module each. A command gives `Ok(false)` when it ran and what it checked did not hold.

mod bench;
mod demo;
pub mod dist;
mod image;
pub mod mutants;
mod overview;
mod run;
pub mod soak;
mod test;

use clap::{Parser, Subcommand};

use crate::error::Result;
use crate::workspace::Workspace;

/// Tasks of the panic-smp workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
pub struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Set up what is missing, boot nmi-button on 4 CPUs, press the button, show the report
    Demo(demo::Args),
    /// Run an example and leave its log, core, report and ELF
    Run(run::Args),
    /// Write the bootable file of an example
    Image(image::Args),
    /// Write every example's bootable file, symbols, checksums and iPXE scripts
    Dist(dist::Args),
    /// Everything CI runs, in named lanes
    Test(test::Args),
    /// Many free-running runs with the button pressed; outcomes in a table
    Soak(soak::Args),
    /// Measure, and write docs/benchmarks.md
    Bench(bench::Args),
    /// Apply each mutant to a copy and require that a lane sees it
    Mutants(mutants::Args),
}

/// Runs what was typed; alone, lists what there is.
pub fn dispatch(cli: Cli) -> Result<bool> {
    let workspace = Workspace::find()?;
    match cli.command {
        None => overview::run(&workspace),
        Some(Command::Demo(args)) => demo::run(&workspace, &args),
        Some(Command::Run(args)) => run::run(&workspace, &args),
        Some(Command::Image(args)) => image::run(&workspace, &args),
        Some(Command::Dist(args)) => dist::run(&workspace, &args),
        Some(Command::Test(args)) => test::run(&workspace, &args),
        Some(Command::Soak(args)) => soak::run(&workspace, &args),
        Some(Command::Bench(args)) => bench::run(&workspace, &args),
        Some(Command::Mutants(args)) => mutants::run(&workspace, &args),
    }
}

/// The commands with their one-line descriptions, for the overview.
fn described() -> Vec<(String, String)> {
    use clap::CommandFactory;
    let cli = Cli::command();
    let about = |c: &clap::Command| c.get_about().map(ToString::to_string).unwrap_or_default();
    cli.get_subcommands().map(|c| (c.get_name().to_owned(), about(c))).collect()
}

//! Everything a person or CI types: `cargo xtask` alone lists it.

mod bootable;
mod commands;
mod dump;
mod error;
mod firmware;
mod gdb_remote;
mod lanes;
mod machine;
mod process;
mod progress;
mod qmp;
mod session;
mod tools;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Cli;

fn main() -> ExitCode {
    match commands::dispatch(Cli::parse()) {
        Ok(success) => {
            if success {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

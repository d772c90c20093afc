//! Everything a person or CI types: `cargo xtask` alone lists it.

mod acpi_tables;
mod bootable;
mod commands;
mod dump;
mod error;
mod firmware;
mod gdb_remote;
mod grub;
mod http;
mod lanes;
mod machine;
mod media;
mod newer_emulator;
mod process;
mod progress;
mod qmp;
mod serial;
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

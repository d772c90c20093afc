//! Checks one linked image by the firmware's rules: `contain-zone [--json] IMAGE`.
//!
//! Exit codes: 0 the image keeps the rules, 1 it does not, 2 it could not be checked.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut json = false;
    let mut image = None;
    for argument in std::env::args_os().skip(1) {
        if argument == "--json" {
            json = true;
        } else if image.replace(argument).is_some() {
            return usage();
        }
    }
    let Some(image) = image else { return usage() };
    let report = std::fs::read(&image).map_err(|error| error.to_string()).and_then(|elf| {
        contain_zone::check(&elf, &contain_zone::rules::firmware()).map_err(|error| error.to_string())
    });
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            eprintln!("contain-zone: {}: {error}", image.display());
            return ExitCode::from(2);
        }
    };
    if json {
        match serde_json::to_string_pretty(&report) {
            Ok(text) => println!("{text}"),
            Err(error) => {
                eprintln!("contain-zone: {error}");
                return ExitCode::from(2);
            }
        }
    } else {
        println!("{report}");
    }
    if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn usage() -> ExitCode {
    eprintln!("usage: contain-zone [--json] IMAGE");
    ExitCode::from(2)
}

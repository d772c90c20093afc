//! The command line: `postmortem LOG --elf FIRMWARE`.

use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use postmortem::{Analysis, Options, Outcome, analyse_with};
use stop_protocol::CpuIndex;

/// A file could not be read or written.
const EXIT_FILE: u8 = 4;
/// Wrong use of the command, as `sysexits.h` numbers it.
const EXIT_USAGE: u8 = 64;

const AFTER_HELP: &str = "\
Exit codes:
  0   the record is complete
  1   the record is damaged or cut short, or the ELF has no debug information; the rest is reported
  2   the log holds no record that can be read
  3   the ELF cannot be used: missing, not an x86-64 ELF, another build, or without symbols;
      the record is reported without symbols
  4   a file could not be read or written
  64  wrong use

The core opens in gdb:  gdb FIRMWARE CORE -ex 'info threads' -ex 'thread apply all bt'";

/// Explains a panic-smp crash record: from a serial log and the firmware's ELF to a report, backtraces, an ELF core
/// and JSON.
#[derive(Parser)]
#[command(version, after_help = AFTER_HELP)]
struct Arguments {
    /// The serial log with the record; anything else in it is ignored. `-` for standard input
    log: PathBuf,
    /// The ELF of the firmware that crashed, with debug information
    #[arg(long, value_name = "FIRMWARE")]
    elf: Option<PathBuf>,
    /// Write an ELF core for gdb
    #[arg(long, value_name = "OUT")]
    core: Option<PathBuf>,
    /// Write JSON to OUT; without OUT print it instead of the report
    #[arg(long, value_name = "OUT", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
    /// Show everything about this CPU instead of all backtraces
    #[arg(long, value_name = "N")]
    cpu: Option<u16>,
    /// Show the one-screen report alone
    #[arg(long, conflicts_with = "cpu")]
    brief: bool,
    /// Use the ELF's symbols although its build-id is another one
    #[arg(long)]
    force: bool,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(EXIT_USAGE) } else { ExitCode::SUCCESS };
        }
    };
    match run(&arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("postmortem: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

/// What ends the command without a result.
enum Failure {
    ReadLog(PathBuf, std::io::Error),
    Write(PathBuf, std::io::Error),
    Print(std::io::Error),
    NoSuchCpu(u16),
}

impl Failure {
    const fn code(&self) -> u8 {
        match self {
            Self::ReadLog(..) | Self::Write(..) | Self::Print(..) => EXIT_FILE,
            Self::NoSuchCpu(_) => EXIT_USAGE,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadLog(path, error) => write!(f, "cannot read the log {}: {error}", path.display()),
            Self::Write(path, error) => write!(f, "cannot write {}: {error}", path.display()),
            Self::Print(error) => write!(f, "cannot print: {error}"),
            Self::NoSuchCpu(cpu) => write!(f, "the record has no CPU {cpu}; the report lists those it has"),
        }
    }
}

fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let log = read_log(&arguments.log).map_err(|error| Failure::ReadLog(arguments.log.clone(), error))?;
    // A record without symbols is better than none, so a missing ELF does not end it here.
    let elf = arguments.elf.as_ref().map(|path| std::fs::read(path).map_err(|error| (path, error)));
    let (elf, elf_missing) = match elf {
        Some(Ok(bytes)) => (Some(bytes), None),
        Some(Err((path, error))) => {
            let cure = "give the ELF as it was linked";
            (None, Some(format!("cannot read the ELF {}: {error}; {cure}", path.display())))
        }
        None => (None, None),
    };
    let analysis = analyse_with(&log, elf.as_deref(), Options::default().force(arguments.force));

    if let (Some(path), Some(core)) = (&arguments.core, analysis.core()) {
        std::fs::write(path, core).map_err(|error| Failure::Write(path.clone(), error))?;
    }
    let json = || format!("{:#}\n", analysis.to_json());
    match &arguments.json {
        Some(Some(path)) => {
            std::fs::write(path, json()).map_err(|error| Failure::Write(path.clone(), error))?;
            print(&report(&analysis, arguments)?)?;
        }
        Some(None) => print(&json())?,
        None => print(&report(&analysis, arguments)?)?,
    }

    if let Err(error) = &analysis.record {
        eprintln!(
            "postmortem: {error}; give the whole log of the serial line that the record goes to, from the crash to \
             `panic-smp: record complete`"
        );
        return Ok(Outcome::NoRecord as u8);
    }
    if let Some(missing) = elf_missing {
        eprintln!("postmortem: {missing}");
        return Ok(Outcome::ElfUnusable as u8);
    }
    if let Some(problem) = analysis.elf_error() {
        eprintln!("postmortem: {problem}");
    } else if !analysis.is_complete() {
        eprintln!("postmortem: the record is incomplete: see `missing` in the report");
    }
    Ok(analysis.outcome() as u8)
}

fn report(analysis: &Analysis, arguments: &Arguments) -> Result<String, Failure> {
    if analysis.record.is_err() {
        return Ok(String::new());
    }
    let mut text = analysis.report_text();
    match arguments.cpu {
        Some(cpu) => {
            let detail = analysis.cpu_text(CpuIndex(cpu)).ok_or(Failure::NoSuchCpu(cpu))?;
            text = detail;
        }
        None if arguments.brief => {}
        None => {
            text.push('\n');
            text.push_str(&analysis.backtraces_text());
        }
    }
    Ok(text)
}

fn read_log(path: &Path) -> std::io::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut log = Vec::new();
        std::io::stdin().read_to_end(&mut log)?;
        return Ok(log);
    }
    std::fs::read(path)
}

fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // The reader went away, as `head` does: nothing is wrong.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        result => result.map_err(Failure::Print),
    }
}

//! The emulator harness itself, on guests of a few bytes: it believes only what a guest says, keeps its deadline,
//! and ends the emulator.

mod guest;

use std::path::{Path, PathBuf};
use std::time::Duration;

use guest::Then;

use super::{Checks, Context};
use crate::commands::soak;
use crate::error::{Error, Result};
use crate::firmware::Image;
use crate::machine::{COMPLETE, Machine, Options, SAID_SUCCESS};
use crate::serial::lines;
use crate::session::{self, Files, Press};

const SOON: Duration = Duration::from_secs(20);

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    machines(context, checks);
    records(context, checks);
}

fn machines(context: &Context, checks: &mut Checks) {
    let boot = |name: &str, text: &str, then: Then, limit: Duration| -> Result<Machine> {
        let folder = context.folder("harness", name);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let image = folder.join("guest");
        std::fs::write(&image, guest::image(text, then)).map_err(Error::io(&image))?;
        let mut options = Options::new(1, "");
        options.limit = limit;
        Machine::boot(&image, &options, &folder.join("serial.log"))
    };
    let complete = format!("noise\r\n{COMPLETE}\r\n");

    checks.check("final-line-is-heard", || {
        let ended = boot("complete", &complete, Then::Exit, SOON)?.finish(SOON)?;
        expect(
            ended.complete && ended.status == Some(SAID_SUCCESS),
            &format!("exit status {:?}", ended.status),
        )?;
        expect(lines(&ended.serial).any(|l| l == "noise"), "the text before the final line is gone")
    });
    checks.check("an-exit-is-no-success", || {
        let result = boot("exit", "noise\r\n", Then::Exit, SOON)?.finish(SOON);
        expect(matches!(result, Err(Error::Guest(_))), "success was inferred from the exit status")
    });
    checks.check("a-quote-is-no-success", || {
        let result = boot("quote", &format!("said {COMPLETE}\r\n"), Then::Exit, SOON)?.finish(SOON);
        expect(matches!(result, Err(Error::Guest(_))), "success was inferred from a part of a line")
    });
    checks.check("an-emulator-that-cannot-start-is-said", || {
        let image = context.folder("harness", "complete").join("guest");
        let mut options = Options::new(1, "");
        options.extra = vec!["-no-such-option".into()];
        match Machine::boot(&image, &options, &context.folder("harness", "complete").join("refused.log")) {
            Err(Error::Guest(said)) => expect(said.contains("no-such-option"), &said),
            Err(error) => Err(error),
            Ok(_) => expect(false, "it booted"),
        }
    });
    checks.check("a-hang-meets-the-deadline", || {
        let machine = boot("hang", "armed: 1 CPUs\r\n", Then::Wait(""), Duration::from_secs(3))?;
        machine.wait_for_line("armed: 1 CPUs", SOON)?;
        let process = PathBuf::from(format!("/proc/{}", machine.id()));
        expect(process.exists(), "the emulator does not run")?;
        expect(matches!(machine.finish(SOON), Err(Error::Deadline { .. })), "a hanging guest finished")?;
        expect(!process.exists(), "the emulator outlived its run")
    });
    checks.check("a-halted-guest-is-ended", || {
        let ended = boot("halt", &complete, Then::Wait(""), SOON)?.finish(Duration::from_millis(100))?;
        expect(ended.complete && ended.status.is_none(), "a halted guest has an exit status")
    });
    checks.check("memory-is-read-from-outside", || {
        let mut machine = boot("memory", "armed: 1 CPUs\r\n", Then::Wait(""), SOON)?;
        machine.wait_for_line("armed: 1 CPUs", SOON)?;
        let image = machine.physical_memory(u64::from(guest::LOAD), 512)?;
        expect(
            image.windows(15).any(|w| w == b"armed: 1 CPUs\r\n"),
            "the guest's text is not in its memory",
        )?;
        let registers = machine.monitor("info registers")?;
        expect(registers.contains("EIP=") || registers.contains("RIP="), "the monitor shows no registers")
    });
    checks.check("the-button-arrives", || {
        let mut machine = boot("button", "armed: 1 CPUs\r\n", Then::Wait("pressed\r\n"), SOON)?;
        machine.wait_for_line("armed: 1 CPUs", SOON)?;
        machine.press()?;
        machine.wait_for_line("pressed", SOON)?;
        let ended = machine.end(SOON)?;
        expect(
            ended.status == Some(SAID_SUCCESS) && !ended.complete,
            &format!("exit status {:?}", ended.status),
        )
    });
    checks.check("a-debugger-finds-the-stub", || {
        let folder = context.folder("harness", "stub");
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let image = folder.join("guest");
        std::fs::write(&image, guest::image(&complete, Then::Exit)).map_err(Error::io(&image))?;
        let mut options = Options::new(1, "");
        (options.paused, options.gdbstub) = (true, true);
        let mut machine = Machine::boot(&image, &options, &folder.join("serial.log"))?;
        answers_as_stub(&machine.gdb_socket())?;
        machine.qmp("cont", serde_json::json!({}))?;
        machine.finish(SOON).map(drop)
    });
}

/// Replays a stored record, whole and cut, through a guest whose button is pressed: neither the line at the end alone
/// nor a record alone makes a run a success.
fn records(context: &Context, checks: &mut Checks) {
    let golden = context.workspace.root.join("tests/golden/record-v1.log");
    let prepare = |name: &str, share: usize, last: &str| -> Result<(Image, PathBuf)> {
        let log = std::fs::read_to_string(&golden).map_err(Error::io(&golden))?;
        let lines: Vec<&str> = log.lines().filter(|l| *l != COMPLETE).collect();
        let kept = lines[..lines.len() * share / 100].join("\r\n");
        let folder = context.folder("harness", name);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let image = Image::of(folder.join("guest"));
        let armed = format!("{}\r\n", session::armed_line(CPUS));
        let guest = guest::image(&armed, Then::Wait(&format!("{kept}\r\n{last}\r\n")));
        std::fs::write(&image.elf, guest).map_err(Error::io(&image.elf))?;
        Ok((image, folder))
    };
    let run = |name: &str, share: usize| -> Result<session::Run> {
        let (image, folder) = prepare(name, share, COMPLETE)?;
        let files = Files::prepare(&folder.join("run"))?;
        let press = Press::AfterArmed(Duration::ZERO);
        let run = session::run(&image, &Options::new(CPUS, ""), press, &files);
        expect(files.core.is_file() && files.json.is_file(), "a record that arrived left no core or report")?;
        run
    };
    checks.check("a-whole-record-is-success", || {
        let run = run("whole-record", 100)?;
        expect(run.dump.is_complete() && run.dump.cpus().len() == CPUS as usize, &run.dump.report())
    });
    checks.check("a-cut-record-is-no-success", || {
        let result = run("cut-record", 60);
        expect(matches!(result, Err(Error::Guest(_))), "a record with its end cut off was accepted")
    });
    checks.check("a-soak-sees-a-lost-cpu", || {
        // CPU 3 of the stored record never started, which no run of an armed example may show.
        let (image, folder) = prepare("soak", 100, COMPLETE)?;
        let table = soak(&image, &folder, 6)?;
        let text = table.text();
        let total: Vec<&str> = text.lines().last().unwrap_or_default().split_whitespace().collect();
        let said = format!("{text}{}", table.failures().join("\n"));
        expect(total == ["total", "6", "24", "6", "0"] && table.failures().len() == 6, &said)
    });
    checks.check("a-soak-wants-the-last-line", || {
        let (image, folder) = prepare("soak-no-end", 100, "no last line")?;
        let table = soak(&image, &folder, 1)?;
        expect(table.failures().len() == 1, &table.text())
    });
    checks.check("a-soak-sees-a-missing-record", || {
        let (image, folder) = prepare("soak-cut", 60, COMPLETE)?;
        let table = soak(&image, &folder, 1)?;
        let said = table.failures().first().map(String::as_str).unwrap_or_default();
        expect(said.contains("replay: cargo xtask soak --runs 1 --smp 4 --seed 7"), said)?;
        expect(folder.join("runs/seed-7/serial.log").is_file(), "a failing run left no log")
    });
}

fn soak(image: &Image, folder: &Path, runs: u64) -> Result<soak::Table> {
    soak::soak(image, &soak::Plan { runs, smp: CPUS, seed: 7 }, "", &folder.join("runs"), &|_| {})
}

/// The CPUs of the stored record.
const CPUS: u32 = 4;

/// Asks the stub why the target stopped; any reply packet starts with an acknowledgement (gdb manual, appendix E.1).
fn answers_as_stub(socket: &Path) -> Result<()> {
    use std::io::{Read, Write};
    let stub = std::os::unix::net::UnixStream::connect(socket).map_err(Error::io(socket))?;
    stub.set_read_timeout(Some(SOON)).map_err(Error::io(socket))?;
    (&stub).write_all(b"$?#3f").map_err(Error::io(socket))?;
    let mut first = [0; 2];
    (&stub).read_exact(&mut first).map_err(Error::io(socket))?;
    (&stub).write_all(b"+$D#44").map_err(Error::io(socket))?;
    expect(first == *b"+$", "the stub sent no packet")
}

fn expect(holds: bool, otherwise: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Guest(otherwise.to_owned())) }
}

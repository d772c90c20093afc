//! A whole run of an example: boot, press, record, analysis, and the four files it leaves.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::dump::Dump;
use crate::error::{Error, Result};
use crate::firmware::Image;
use crate::machine::{Ended, Machine, Options};
use crate::workspace::Workspace;

/// How long the emulator may take to end after the guest's final line, before a halted guest is ended.
const GRACE: Duration = Duration::from_secs(2);

/// The files of a run.
pub struct Files {
    /// What the guest said, as it said it.
    pub serial: PathBuf,
    /// The ELF core.
    pub core: PathBuf,
    /// The analysis as data.
    pub json: PathBuf,
    /// The firmware with its symbols.
    pub elf: PathBuf,
}

impl Files {
    /// The files in `folder`, which is created; what an earlier run left of them is removed.
    pub fn prepare(folder: &Path) -> Result<Files> {
        std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let file = |name: &str| folder.join(name);
        let files = Files {
            serial: file("serial.log"),
            core: file("crash.core"),
            json: file("report.json"),
            elf: file("firmware.elf"),
        };
        for path in [&files.serial, &files.core, &files.json, &files.elf] {
            match std::fs::remove_file(path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(path)(e)),
                _ => {}
            }
        }
        Ok(files)
    }

    /// The same files, relative to where the person stands.
    pub fn shown(&self, workspace: &Workspace) -> Files {
        let shown = |path: &Path| PathBuf::from(workspace.shown(path));
        Files {
            serial: shown(&self.serial),
            core: shown(&self.core),
            json: shown(&self.json),
            elf: shown(&self.elf),
        }
    }

    /// The gdb command that opens them.
    pub fn gdb(&self) -> String {
        let words = [&self.elf, &self.core].map(|p| crate::process::quote(&p.display().to_string()));
        format!("gdb {} {}", words[0], words[1])
    }
}

/// When the button is pressed.
#[derive(Clone, Copy)]
pub enum Press {
    /// Never: the example panics by itself.
    Never,
    /// This long after the guest said it is armed.
    AfterArmed(Duration),
}

/// A run that ended with the guest's own word that the record is complete.
pub struct Run {
    /// From the start of the emulator to `armed`, where the button was pressed.
    pub armed: Option<Duration>,
    /// The emulator's exit status; `None` when the guest's final action was to halt.
    pub status: Option<i32>,
    /// The analysis.
    pub dump: Dump,
}

/// Runs `image` and leaves the four files in `folder`, as far as the run got. An error also tells what the record
/// lacks; the log is there in any case.
pub fn run(image: &Image, options: &Options, press: Press, files: &Files) -> Result<Run> {
    std::fs::copy(&image.elf, &files.elf).map_err(Error::io(&image.elf))?;
    let elf = std::fs::read(&files.elf).map_err(Error::io(&files.elf))?;
    let machine = Machine::boot(&image.boot, options, &files.serial)?;
    let driven = drive(machine, options, press);
    // Whatever was said is analysed, also of a run that failed: a partial record is better than none.
    let serial = std::fs::read(&files.serial).map_err(Error::io(&files.serial))?;
    let dump = Dump::of(&serial, &elf);
    let json = serde_json::to_string_pretty(&dump.json()).map_err(|e| Error::Invalid(e.to_string()))?;
    std::fs::write(&files.json, json + "\n").map_err(Error::io(&files.json))?;
    if let Some(core) = dump.core() {
        std::fs::write(&files.core, core).map_err(Error::io(&files.core))?;
    }
    let (armed, ended) = driven?;
    if !(ended.complete && dump.is_complete()) {
        return Err(Error::Guest(format!("the record is not complete\n{}", dump.report())));
    }
    Ok(Run { armed, status: ended.status, dump })
}

fn drive(mut machine: Machine, options: &Options, press: Press) -> Result<(Option<Duration>, Ended)> {
    let mut armed = None;
    if let Press::AfterArmed(delay) = press {
        armed = Some(machine.wait_for_line(&armed_line(options.armed), options.limit)?);
        // Not a wait: the moment of the press is the input of the run.
        std::thread::sleep(delay);
        machine.press()?;
    }
    Ok((armed, machine.finish(GRACE)?))
}

/// What an example says when each of `cpus` CPUs is in its role.
pub fn armed_line(cpus: u32) -> String {
    format!("armed: {cpus} CPUs")
}

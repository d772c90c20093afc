//! Which way a machine was reset: as the emulator saw the writes to its reset control register.

use std::path::Path;

use super::NAME;
use crate::error::{Error, Result};
use crate::firmware::Image;
use crate::lanes::{Checks, Context};
use crate::machine::{Machine, Options};

/// A check, the machine, and the values that are written to its port CF9: where the FADT names a reset register, the
/// first that it says ends the machine; else SYS_RST comes first, then the full reset.
const WAYS: &[(&str, &str, &[u64])] =
    &[("reset-by-fadt", "q35", &[0x0f]), ("reset-by-chipset", "pc", &[0x02, 0x0e])];

/// The emulator's event for a write to a device, and how it names that register on both machines.
const EVENT: &str = "memory_region_ops_write";
const REGISTER: &str = "-reset-control'";

/// Runs both.
pub fn run(context: &Context, checks: &mut Checks, image: &Image) {
    for (name, machine, values) in WAYS {
        checks.check(name, || {
            let folder = context.folder(NAME, name);
            std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
            let written = written(image, machine, &folder)?;
            if written != *values {
                return Err(Error::Guest(format!(
                    "written to port CF9: {written:#x?}, expected {values:#x?}"
                )));
            }
            Ok(())
        });
    }
}

/// Boots, lets CPU 0 panic, and gives what was written to the reset control register until the emulator ended.
fn written(image: &Image, machine: &str, folder: &Path) -> Result<Vec<u64>> {
    let trace = folder.join("trace.log");
    let mut options = Options::new(2, "case=on-cpu then=reset");
    let file = trace.display().to_string();
    options.extra = ["-M", machine, "-trace", EVENT, "-D", &file].map(str::to_owned).into();
    let machine = Machine::boot(&image.elf, &options, &folder.join("serial.log"))?;
    let ended = machine.finish(options.limit)?;
    if ended.status != Some(0) {
        return Err(Error::Guest(format!("exit status {:?} is not that of a reset", ended.status)));
    }
    let text = std::fs::read_to_string(&trace).map_err(Error::io(&trace))?;
    let lines = text.lines().filter(|line| line.contains(REGISTER));
    lines.map(|line| value(line).ok_or_else(|| Error::Guest(format!("no value in `{line}`")))).collect()
}

/// The value of an event.
fn value(line: &str) -> Option<u64> {
    let digits = line.split_once(" value 0x")?.1.split_once(' ')?.0;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_value_of_an_event_is_found() {
        let line = "memory_region_ops_write cpu 0 mr 0x561c9aaf1e30 addr 0xcf9 value 0xf size 1 name 'lpc-reset-control'";
        assert_eq!(super::value(line), Some(0xf));
        assert!(line.contains(super::REGISTER));
        assert_eq!(super::value("value"), None);
    }
}

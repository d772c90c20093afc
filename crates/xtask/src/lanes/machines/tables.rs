//! ACPI tables that lie: start-up warns, and the machine works with the CPUs that are there.

use std::time::Duration;

use stop_protocol::Containment;

use super::super::attempt::{Attempt, CPUS};
use super::{Context, SideBySide, boot, prepare};
use crate::acpi_tables::{self, Fault, entry_without_length, local_apic, local_x2apic};
use crate::error::{Error, Result};
use crate::firmware::Image;
use crate::machine::Options;
use crate::media::{Firmware, Medium};
use crate::serial;
use crate::session::{self, Press, Run};
use crate::tools::OVMF;

/// A table of CPUs that is not true.
struct Lie {
    name: &'static str,
    entries: fn() -> Vec<Vec<u8>>,
    fault: Fault,
    /// How many CPUs are there to be armed for one that reads what it is told.
    armed: u32,
    /// What start-up has to say about it, if anything.
    warning: Option<&'static str>,
}

/// Bigger than any machine that there is, and than the 288 CPUs of the example.
const MANY: u32 = 1000;

/// What start-up says when it cannot know of another CPU. The button still reaches the first, and its stop must not reach
/// those that nobody started.
const ALONE: &str = "no ACPI table of CPUs: only this one runs";

const LIES: &[Lie] = &[
    Lie {
        name: "1000-slots-of-4-cpus",
        entries: || (0..MANY).map(|id| local_x2apic(id, id < CPUS)).collect(),
        fault: Fault::None,
        armed: CPUS,
        warning: None,
    },
    Lie {
        name: "duplicate-apic-ids",
        entries: || cpus().chain([local_apic(2, true), local_x2apic(3, true)]).collect(),
        fault: Fault::None,
        armed: CPUS,
        warning: Some("APIC id 2 is listed twice"),
    },
    Lie {
        name: "bad-checksum",
        entries: || cpus().collect(),
        fault: Fault::MadtChecksum,
        armed: CPUS,
        warning: Some("APIC has a wrong checksum"),
    },
    Lie {
        name: "bad-rsdp",
        entries: || cpus().take(1).collect(),
        fault: Fault::RsdpChecksum,
        // The machine's own tables are found instead.
        armed: CPUS,
        warning: Some("bad RSDP at 0x1c000000"),
    },
    Lie {
        name: "entry-without-length",
        entries: || cpus().take(2).chain([entry_without_length()]).chain(cpus().skip(2)).collect(),
        fault: Fault::None,
        // What follows such an entry cannot be found.
        armed: 2,
        warning: Some("has an impossible length"),
    },
    Lie {
        name: "root-lists-itself",
        entries: || cpus().collect(),
        fault: Fault::RootListsItself,
        armed: CPUS,
        warning: None,
    },
    Lie {
        name: "no-madt",
        entries: || cpus().collect(),
        fault: Fault::NoMadt,
        armed: 1,
        warning: Some(ALONE),
    },
    Lie {
        name: "this-cpu-is-not-listed",
        entries: || cpus().skip(1).collect(),
        fault: Fault::None,
        armed: CPUS,
        warning: Some("does not list this CPU"),
    },
];

/// The checks.
pub fn add<'l>(context: &'l Context, side_by_side: &mut SideBySide<'l>, image: &'l Image) {
    for lie in LIES {
        side_by_side.check(lie.name, move || {
            let attempt = prepare(context, image, lie.name)?;
            let options = Options { armed: lie.armed, ..told(&attempt, &(lie.entries)(), lie.fault)? };
            warned(&attempt, &options, lie.warning)
        });
    }
    side_by_side.check_with(&[&OVMF], "uefi-no-tables", move || {
        let attempt = prepare(context, image, "uefi-no-tables")?;
        let mut options = attempt.on_esp(Firmware::ovmf())?;
        options.extra = ["-machine", "q35,acpi=off"].map(str::to_owned).into();
        options.armed = 1;
        warned(&attempt, &options, Some(ALONE))
    });
    let name = "12-cpus-are-not-there";
    side_by_side.check(name, move || {
        let attempt = prepare(context, image, name)?;
        let entries: Vec<Vec<u8>> = (0..CPUS as u8 + 12).map(|id| local_apic(id, true)).collect();
        let options = told(&attempt, &entries, Fault::None)?;
        let press = Press::AfterArmed(Duration::ZERO);
        let run = session::run(&attempt.image, &options, press, &attempt.files)?;
        absent_are_named(&run, &attempt, 12)
    });
    let name = "996-cpus-are-not-there";
    side_by_side.check(name, move || {
        let mut attempt = prepare(context, image, name)?;
        attempt.image = Image::of(context.firmware("many-cpus")?.elf);
        let entries: Vec<Vec<u8>> = (0..MANY).map(|id| local_x2apic(id, true)).collect();
        let options = told(&attempt, &entries, Fault::None)?;
        let press = Press::AfterArmed(Duration::ZERO);
        let run = session::run(&attempt.image, &options, press, &attempt.files)?;
        absent_are_named(&run, &attempt, (MANY - CPUS) as usize)
    });
    let name = "1000-cpus";
    side_by_side.check(name, move || {
        let attempt = prepare(context, image, name)?;
        let entries: Vec<Vec<u8>> = (0..MANY).map(|id| local_x2apic(id, true)).collect();
        let options = told(&attempt, &entries, Fault::None)?;
        let press = Press::AfterArmed(Duration::ZERO);
        let run = session::run(&attempt.image, &options, press, &attempt.files)?;
        let log = std::fs::read(&attempt.files.serial).map_err(Error::io(&attempt.files.serial))?;
        let warns = |line: &String| line.contains("holds 288 CPUs") && line.contains("can have 1000");
        if !serial::lines(&log).any(|line| warns(&line)) {
            return Err(Error::Guest(
                "nobody was told that there are more CPUs than the runtime holds".into(),
            ));
        }
        absent_are_named(&run, &attempt, 288 - CPUS as usize)
    });
}

/// Boots, presses the button, and requires that no CPU is lost and that start-up said the `warning`.
fn warned(attempt: &Attempt, options: &Options, warning: Option<&str>) -> Result<()> {
    boot::pressed(&attempt.image, options, &attempt.files)?;
    let log = std::fs::read(&attempt.files.serial).map_err(Error::io(&attempt.files.serial))?;
    match warning {
        Some(warning) if !serial::lines(&log).any(|line| line.contains(warning)) => {
            Err(Error::Guest(format!("nobody was told `{warning}`")))
        }
        _ => Ok(()),
    }
}

/// Requires that no CPU of the machine is lost, and that each of the `others` never started and was named at start-up.
fn absent_are_named(run: &Run, attempt: &Attempt, others: usize) -> Result<()> {
    let cpus = run.dump.cpus();
    let absent = cpus.get(CPUS as usize..).unwrap_or_default();
    let started = absent
        .iter()
        .filter(|cpu| cpu.summary.is_none_or(|s| s.verdict.containment != Containment::NeverStarted))
        .count();
    let log = std::fs::read(&attempt.files.serial).map_err(Error::io(&attempt.files.serial))?;
    let is_named = |id: usize| {
        serial::lines(&log).any(|l| l.contains(&format!("APIC id {id},")) && l.ends_with("left out"))
    };
    let unnamed: Vec<usize> = (CPUS as usize..cpus.len()).filter(|id| !is_named(*id)).collect();
    if absent.len() == others && started == 0 && run.dump.lost() == absent.len() && unnamed.is_empty() {
        return Ok(());
    }
    Err(Error::Guest(format!(
        "{started} CPUs that are not there started, {unnamed:?} were not named\n{}",
        run.dump.report()
    )))
}

/// The CPUs that the machine has.
fn cpus() -> impl Iterator<Item = Vec<u8>> {
    (0..CPUS as u8).map(|id| local_apic(id, true))
}

/// A machine that is told where to find tables with these entries.
fn told(attempt: &Attempt, entries: &[Vec<u8>], fault: Fault) -> Result<Options> {
    let words = format!("acpi_rsdp={:#x}", acpi_tables::ADDRESS);
    let mut options = attempt.options(Firmware::Bios, Medium::Kernel, &words);
    options.extra = acpi_tables::place(&acpi_tables::blob(entries, fault), &attempt.folder.join("tables"))?;
    Ok(options)
}

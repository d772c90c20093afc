//! The lanes of `cargo xtask test`: what there is, and how a check reports.
//!
//! A lane is one file here with one function, and one row in [`ALL`]. It adds named checks to [`Checks`]; each
//! passed, failed with the reason and the command that replays it, or was skipped with the reason.

mod attempt;
mod boot;
mod boot_paths;
mod bring_your_own_boot;
mod buttons;
mod cargo_tests;
mod consoles;
mod contain_zone;
mod deny;
mod docs;
mod edges;
mod efi;
mod firmware_build;
mod gdb;
mod harness;
mod lint;
mod machines;
mod model;
mod mutants;
mod outside;
mod package;
mod panics;
mod planted;
mod readme;
mod registers;
mod replay;
mod scenarios;
mod screens;
mod side_by_side;
mod single_step;
mod soak;
mod unit;
mod x2apic;

use std::path::PathBuf;
use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::firmware::{self, Image};
use crate::tools::{self, Tool};
use crate::workspace::Workspace;

/// The name of the check that says a lane's subject compiles. A mutant that fails it was not caught, it is wrong.
pub const BUILD: &str = "build";

/// One lane.
pub struct Lane {
    /// What `--lane` takes.
    pub name: &'static str,
    /// What it shows, in one line.
    pub about: &'static str,
    /// Without these it is skipped, but for those that only some of its checks need.
    pub needs: &'static [&'static Tool],
    /// Adds its checks.
    pub run: fn(&Context, &mut Checks),
}

/// Every lane, cheap ones first.
#[rustfmt::skip]
pub const ALL: &[Lane] = &[
    Lane { name: "fmt", about: "the sources are formatted", needs: &[&tools::RUSTFMT], run: lint::fmt },
    Lane { name: "edges", about: "who may depend on whom", needs: &[], run: edges::run },
    Lane { name: "readme", about: "the README shows examples/minimal, byte for byte", needs: &[], run: readme::run },
    Lane { name: "deny", about: "licences, versions, advisories", needs: &[&tools::DENY], run: deny::run },
    Lane { name: "clippy", about: "lints, host and firmware", needs: &[&tools::CLIPPY, &tools::RUST_TARGET, &tools::RUST_EFI_TARGET], run: lint::clippy },
    Lane { name: "unit", about: "the unit and documentation tests of every host package", needs: &[], run: unit::run },
    Lane { name: "docs", about: "documentation without warnings", needs: &[], run: docs::run },
    Lane { name: "package", about: "every published package can be packed", needs: &[], run: package::run },
    Lane { name: "model", about: "the stop protocol under the model checker", needs: &[], run: model::run },
    Lane { name: "firmware", about: "every firmware builds in one command", needs: &[&tools::RUST_TARGET], run: firmware_build::run },
    Lane { name: "contain-zone", about: "the linked images do on the panic path only what they may", needs: &[&tools::RUST_TARGET], run: contain_zone::run },
    Lane { name: "harness", about: "the emulator harness can fail", needs: &[&tools::QEMU], run: harness::run },
    Lane { name: "boot", about: "nmi-button on 1, 2, 4, 16 and 255 CPUs: every CPU has a verdict", needs: &[&tools::QEMU, &tools::RUST_TARGET, &tools::RUST_EFI_TARGET], run: boot::run },
    Lane { name: "boot-paths", about: "nmi-button by every loader, BIOS and UEFI: every CPU has a verdict", needs: BOOT_MEDIA, run: boot_paths::run },
    Lane { name: "efi", about: "EFI machines that keep the image's place, page by 5 levels, forbid execution, ask for a signature", needs: EFI, run: efi::run },
    Lane { name: "machines", about: "other machines: memory sizes, ACPI tables that lie, images and CPUs that cannot run", needs: BOOT_MEDIA, run: machines::run },
    Lane { name: "x2apic", about: "nmi-button where firmware left x2APIC on, and on 288 CPUs", needs: X2APIC, run: x2apic::run },
    Lane { name: "bring-your-own-boot", about: "panic-smp under another start-up, loaded by GRUB, without and with SSE: registers and vector registers are right", needs: OTHER_BOOT, run: bring_your_own_boot::run },
    Lane { name: "outside", about: "the same firmware builds and boots outside the workspace, from the packed packages", needs: OTHER_BOOT, run: outside::run },
    Lane { name: "buttons", about: "the ways in which an NMI button arrives", needs: EMULATOR, run: buttons::run },
    Lane { name: "consoles", about: "the console is where ACPI says, or nowhere: COM2, memory above 4 GiB, no serial port", needs: EMULATOR, run: consoles::run },
    Lane { name: "scenarios", about: "each window of the stop protocol, forced once", needs: EMULATOR, run: scenarios::run },
    Lane { name: "panics", about: "a CPU panics by itself, or two at once", needs: EMULATOR, run: panics::run },
    Lane { name: "screens", about: "the panic screen says what the record says; without one nothing is lost", needs: SCREENS, run: screens::run },
    Lane { name: "gdb", about: "a plain gdb opens the core", needs: &[&tools::QEMU, &tools::RUST_TARGET, &tools::GDB], run: gdb::run },
    Lane { name: "registers", about: "the record holds the registers that each CPU had, as gdb and the emulator tell them", needs: DEBUGGER, run: registers::run },
    Lane { name: "single-step", about: "a second NMI at every instruction of the save path loses nothing", needs: DEBUGGER, run: single_step::run },
    Lane { name: "replay", about: "a run under -icount is the same each time, whichever CPU wins", needs: EMULATOR, run: replay::run },
    Lane { name: "soak", about: "30 free-running runs: none lost, none hung", needs: EMULATOR, run: soak::run },
    Lane { name: "mutants", about: "each mutant is seen by its lane", needs: &[&tools::GIT, &tools::QEMU, &tools::RUST_TARGET], run: mutants::run },
];

/// What a lane that boots firmware needs.
const EMULATOR: &[&Tool] = &[&tools::QEMU, &tools::RUST_TARGET];

/// What a lane needs that boots by other loaders than the emulator's own.
const BOOT_MEDIA: &[&Tool] = &[
    &tools::QEMU,
    &tools::RUST_TARGET,
    &tools::RUST_EFI_TARGET,
    &tools::OVMF,
    &tools::IPXE,
    &tools::GRUB,
    &tools::GRUB_BIOS,
    &tools::GRUB_EFI,
    &tools::XORRISO,
];

/// What the lane needs whose machines can have more CPUs than an xAPIC can address.
const X2APIC: &[&Tool] =
    &[&tools::QEMU, &tools::RUST_TARGET, &tools::RUST_EFI_TARGET, &tools::NEWER_EMULATOR];

/// What the lane of the panic screens needs.
const SCREENS: &[&Tool] = &[&tools::QEMU, &tools::RUST_TARGET, &tools::RUST_EFI_TARGET, &tools::OVMF];

/// What the lane of the EFI loader needs.
const EFI: &[&Tool] = &[
    &tools::QEMU,
    &tools::NEWER_EMULATOR,
    &tools::RUST_TARGET,
    &tools::RUST_EFI_TARGET,
    &tools::OVMF,
    &tools::SBSIGN,
    &tools::OPENSSL,
];

/// What a lane needs that boots what only GRUB loads, and looks at it with gdb.
const OTHER_BOOT: &[&Tool] =
    &[&tools::QEMU, &tools::RUST_TARGET, &tools::GDB, &tools::GRUB, &tools::GRUB_BIOS, &tools::XORRISO];

/// What a lane needs that also looks at the firmware with gdb.
const DEBUGGER: &[&Tool] = &[&tools::QEMU, &tools::RUST_TARGET, &tools::GDB];

/// The lane called `name`.
pub fn find(name: &str) -> Result<&'static Lane> {
    ALL.iter().find(|l| l.name == name).ok_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|l| l.name).collect();
        Error::Invalid(format!("no lane `{name}`; there are: {}", names.join(", ")))
    })
}

/// Which lane, and which of its checks: `boot` or `boot/4-cpus`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// The lane.
    pub lane: &'static str,
    /// The one check, if not all.
    pub check: Option<String>,
}

impl Selection {
    /// Reads `LANE` or `LANE/CHECK`.
    pub fn parse(text: &str) -> Result<Selection> {
        let (lane, check) = match text.split_once('/') {
            Some((lane, check)) => (lane, Some(check.to_owned())),
            None => (text, None),
        };
        Ok(Selection { lane: find(lane)?.name, check })
    }
}

/// What the lanes of one `test` share.
pub struct Context<'a> {
    /// The workspace under test: for a mutant, its copy.
    pub workspace: &'a Workspace,
    /// Whether each firmware is built when it is asked for, and no other.
    one_by_one: bool,
    firmware: OnceLock<std::result::Result<(), String>>,
}

impl<'a> Context<'a> {
    /// A context in which nothing is built yet.
    pub fn new(workspace: &'a Workspace) -> Context<'a> {
        Context { workspace, one_by_one: false, firmware: OnceLock::new() }
    }

    /// The same for a few checks of a tree that changes: only what they boot is built.
    pub fn of_few(workspace: &'a Workspace) -> Context<'a> {
        Context { one_by_one: true, ..Context::new(workspace) }
    }

    /// The image of `name`; all firmware is built at the first call, unless the context is of few.
    pub fn firmware(&self, name: &str) -> Result<Image> {
        if self.one_by_one {
            return firmware::build(self.workspace, name);
        }
        let build = || firmware::build_all(self.workspace).map_err(|e| e.to_string());
        self.firmware.get_or_init(build).clone().map_err(Error::Invalid)?;
        firmware::built(self.workspace, name)
    }

    /// A folder for the files that a check leaves.
    pub fn folder(&self, lane: &str, check: &str) -> PathBuf {
        self.workspace.target.join("test").join(lane).join(check)
    }
}

/// An error of the guest's that says `why`, unless it `holds`.
pub fn require(holds: bool, why: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Guest(why())) }
}

/// How a check ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It held.
    Passed,
    /// It did not.
    Failed {
        /// What was seen.
        why: String,
        /// The command that shows it again.
        replay: String,
    },
    /// It was not tried.
    Skipped {
        /// Why not, and what would allow it.
        why: String,
    },
}

/// A named check that has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name within the lane.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// Collects the checks of one lane as it runs.
pub struct Checks {
    lane: &'static str,
    only: Option<String>,
    list: Vec<Check>,
    notes: Vec<String>,
}

impl Checks {
    /// Runs `lane`, or the one check of it that `only` names.
    pub fn of(lane: &Lane, only: Option<&str>, context: &Context) -> Checks {
        let mut checks =
            Checks { lane: lane.name, only: only.map(str::to_owned), list: Vec::new(), notes: Vec::new() };
        let missing = lane.needs.iter().find(|t| !t.for_single_checks && !t.is_here());
        if let Some(tool) = missing {
            checks.push("all", Outcome::Skipped { why: tool.why_skipped() });
            return checks;
        }
        (lane.run)(context, &mut checks);
        if checks.list.is_empty() {
            // A lane that checked nothing must not look like one that passed.
            let why = match only {
                Some(name) => format!("the lane has no check `{name}`"),
                None => "the lane ran no check".to_owned(),
            };
            let replay = checks.replay("");
            checks.push("all", Outcome::Failed { why, replay });
        }
        checks
    }

    /// Whether the check called `name` is asked for. Expensive lanes ask before they prepare one.
    pub fn wants(&self, name: &str) -> bool {
        name == BUILD || self.only.as_ref().is_none_or(|only| only == name)
    }

    /// Runs a check if it is asked for; its replay is this lane with its name.
    pub fn check(&mut self, name: &str, body: impl FnOnce() -> Result<()>) -> bool {
        let replay = self.replay(name);
        self.check_replayed(name, replay, body)
    }

    /// Runs a check if it is asked for and `tools`, which only some checks of the lane need, are here.
    pub fn check_with(&mut self, tools: &[&Tool], name: &str, body: impl FnOnce() -> Result<()>) -> bool {
        match tools.iter().find(|t| !t.is_here()) {
            Some(tool) if self.wants(name) => {
                self.push(name, Outcome::Skipped { why: tool.why_skipped() });
                true
            }
            _ => self.check(name, body),
        }
    }

    /// Runs a check if it is asked for; `replay` is the command that shows its failure again.
    pub fn check_replayed(&mut self, name: &str, replay: String, body: impl FnOnce() -> Result<()>) -> bool {
        if !self.wants(name) {
            return true;
        }
        let result = body();
        let passed = result.is_ok();
        let outcome = match result {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed { why: error.to_string(), replay },
        };
        self.push(name, outcome);
        passed
    }

    /// The one check that is asked for, if not all are.
    pub fn only(&self) -> Option<&str> {
        self.only.as_deref()
    }

    /// Adds a check that has run.
    pub fn push(&mut self, name: &str, outcome: Outcome) {
        self.list.push(Check { name: name.to_owned(), outcome });
    }

    /// A line to print with the lane: a count, a time, a table.
    pub fn note(&mut self, line: impl Into<String>) {
        self.notes.push(line.into());
    }

    /// The command that runs the check `name` of this lane again.
    pub fn replay(&self, name: &str) -> String {
        let slash = if name.is_empty() { "" } else { "/" };
        format!("cargo xtask test --lane {}{slash}{name}", self.lane)
    }

    /// The checks, in the order in which they ran.
    pub fn list(&self) -> &[Check] {
        &self.list
    }

    /// The lines to print.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lane_names_are_unique() {
        let mut names: Vec<&str> = ALL.iter().map(|l| l.name).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|w| w[0] != w[1]));
    }

    #[test]
    fn a_selection_names_a_lane_that_exists() {
        let one = Selection::parse("boot/4-cpus").unwrap();
        assert_eq!((one.lane, one.check.as_deref()), ("boot", Some("4-cpus")));
        assert!(Selection::parse("boots").is_err());
    }

    fn nowhere() -> Workspace {
        Workspace { root: PathBuf::new(), target: PathBuf::new(), packages: Vec::new() }
    }

    #[test]
    fn a_lane_that_checks_nothing_fails() {
        let workspace = nowhere();
        let empty = Lane { name: "empty", about: "", needs: &[], run: |_, _| {} };
        let checks = Checks::of(&empty, None, &Context::new(&workspace));
        assert!(matches!(checks.list(), [Check { outcome: Outcome::Failed { .. }, .. }]));
    }

    #[test]
    fn a_check_without_its_tool_is_skipped_and_the_others_run() {
        static ABSENT: Tool = Tool::absent_for_single_checks();
        static NEEDS: [&Tool; 1] = [&ABSENT];
        let workspace = nowhere();
        let run: fn(&Context, &mut Checks) = |_, checks| {
            checks.check_with(&NEEDS, "a", || Err(Error::Invalid("cannot run".into())));
            checks.check_with(&[], "b", || Ok(()));
        };
        let lane = Lane { name: "two", about: "", needs: &NEEDS, run };
        let checks = Checks::of(&lane, None, &Context::new(&workspace));
        assert!(
            matches!(
                checks.list(),
                [Check { outcome: Outcome::Skipped { .. }, .. }, Check { outcome: Outcome::Passed, .. }]
            ),
            "{:?}",
            checks.list()
        );
    }

    #[test]
    fn one_check_can_be_asked_for() {
        let workspace = nowhere();
        let run: fn(&Context, &mut Checks) = |_, checks| {
            checks.check("a", || Err(Error::Invalid("not asked for".into())));
            checks.check("b", || Ok(()));
        };
        let lane = Lane { name: "two", about: "", needs: &[], run };
        let checks = Checks::of(&lane, Some("b"), &Context::new(&workspace));
        assert_eq!(checks.list(), [Check { name: "b".into(), outcome: Outcome::Passed }]);
        let none = Checks::of(&lane, Some("c"), &Context::new(&workspace));
        assert!(matches!(none.list(), [Check { outcome: Outcome::Failed { .. }, .. }]));
    }
}

//! The linked images keep the rules of the contain zone: no allocation, lock, panic, formatting, unlisted indirect
//! call or unbounded loop from the entry stubs to Stopped. Its stack use and size are shown.

use super::{BUILD, Checks, Context};
use crate::error::{Error, Result};
use crate::firmware::{self, Image};

/// The lane: one check for each firmware image.
pub fn run(context: &Context, checks: &mut Checks) {
    for name in firmware::names(context.workspace) {
        let mut image = None;
        if checks.wants(name) {
            checks.check(BUILD, || {
                image = Some(context.firmware(name)?);
                Ok(())
            });
        }
        let Some(image) = image else { continue };
        let mut notes = Vec::new();
        checks.check(name, || check(&image, &mut notes));
        for note in notes {
            checks.note(format!("{name}: {note}"));
        }
    }
}

fn check(image: &Image, notes: &mut Vec<String>) -> Result<()> {
    let elf = std::fs::read(&image.elf).map_err(Error::io(&image.elf))?;
    let report = contain_zone::check(&elf, &contain_zone::rules::firmware());
    let report = report.map_err(|e| Error::Invalid(e.to_string()))?;
    let (bytes, instructions) = report.code_size();
    notes.push(format!("{} functions, {bytes} bytes, {instructions} instructions", report.functions.len()));
    for stack in &report.stack {
        let switched = match stack.switched_bytes {
            0 => String::new(),
            bytes => format!(" and {bytes} on the stack it changes to"),
        };
        notes.push(format!("{}: {} bytes of stack{switched}", stack.label, stack.bytes));
    }
    // A rule that matches nothing excuses what is no longer there.
    let unused = report.unused_rules.iter().map(|rule| format!("unused rule: {rule}"));
    let offences: Vec<String> = report.offences.iter().map(ToString::to_string).chain(unused).collect();
    if offences.is_empty() { Ok(()) } else { Err(Error::Invalid(offences.join("\n"))) }
}

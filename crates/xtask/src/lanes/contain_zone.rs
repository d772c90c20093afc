//! The linked images keep the rules of the contain zone: no allocation, lock, panic, formatting, unlisted indirect
//! call or unbounded loop from the entry stubs to Stopped. Its stack use and size are shown.

use std::collections::BTreeSet;

use super::{BUILD, Checks, Context};
use crate::error::{Error, Result};
use crate::firmware::{self, Image};

/// The lane: one check for each example, and one for the rules themselves.
pub fn run(context: &Context, checks: &mut Checks) {
    let mut images = Vec::new();
    checks.check(BUILD, || {
        for name in firmware::examples(context.workspace) {
            images.push((name, context.firmware(name)?));
        }
        Ok(())
    });
    let mut idle_rules: Option<BTreeSet<String>> = None;
    for (name, image) in images {
        // The rules are judged by all images together, so that check needs each of them too.
        if !checks.wants(name) && !checks.wants(RULES) {
            continue;
        }
        let report = match report(&image) {
            Ok(report) => report,
            Err(error) => {
                checks.check(name, || Err(error));
                continue;
            }
        };
        let unused: BTreeSet<String> = report.unused_rules.iter().cloned().collect();
        idle_rules = Some(match idle_rules {
            Some(idle) => &idle & &unused,
            None => unused,
        });
        for line in sizes(&report) {
            checks.note(format!("{name}: {line}"));
        }
        checks.check(name, || {
            let offences: Vec<String> = report.offences.iter().map(ToString::to_string).collect();
            if offences.is_empty() { Ok(()) } else { Err(Error::Invalid(offences.join("\n"))) }
        });
    }
    checks.check(RULES, || match idle_rules {
        None => Err(Error::Invalid("there is no example to check".into())),
        Some(idle) if idle.is_empty() => Ok(()),
        // Such a rule excuses what is no longer there.
        Some(idle) => Err(Error::Invalid(Vec::from_iter(idle).join("\n"))),
    });
}

/// The check that each rule matches something in at least one image.
const RULES: &str = "every-rule-is-used";

fn report(image: &Image) -> Result<contain_zone::Report> {
    let elf = std::fs::read(&image.elf).map_err(Error::io(&image.elf))?;
    let report = contain_zone::check(&elf, &contain_zone::rules::firmware());
    report.map_err(|e| Error::Invalid(e.to_string()))
}

fn sizes(report: &contain_zone::Report) -> Vec<String> {
    let (bytes, instructions) = report.code_size();
    let mut lines =
        vec![format!("{} functions, {bytes} bytes, {instructions} instructions", report.functions.len())];
    for stack in &report.stack {
        let switched = match stack.switched_bytes {
            0 => String::new(),
            bytes => format!(" and {bytes} on the stack it changes to"),
        };
        lines.push(format!("{}: {} bytes of stack{switched}", stack.label, stack.bytes));
    }
    lines
}

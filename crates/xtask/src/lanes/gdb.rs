//! A plain gdb opens the core of a real run: one thread for each CPU, each with a function in its frame.

use std::process::Command;
use std::time::Duration;

use super::{Checks, Context, boot};
use crate::error::{Error, Result};
use crate::machine::Options;
use crate::process;
use crate::session::Files;

const CPUS: u32 = 4;

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let Some(image) = boot::image(context, checks) else { return };
    let mut files = None;
    checks.check("record", || {
        let prepared = Files::prepare(&context.folder("gdb", "record"))?;
        boot::pressed(&image, &Options::new(CPUS, ""), &prepared)?;
        files = Some(prepared);
        Ok(())
    });
    let Some(files) = files else { return };
    let gdb = |command: &str| {
        let mut line = Command::new("gdb");
        line.args(["-nx", "-batch", "-ex", command]).arg(&files.elf).arg(&files.core);
        process::run(&line, Duration::from_secs(60))?.ok()
    };
    checks.check("one-thread-per-cpu", || threads(&gdb("info threads")?));
    checks.check("every-thread-has-a-backtrace", || backtraces(&gdb("thread apply all bt")?));
}

fn threads(text: &str) -> Result<()> {
    // `* 1    LWP 1    worker () at src/main.rs:1`: a number, the thread, its innermost frame.
    let is_row = |l: &&str| l.trim_start_matches(['*', ' ']).starts_with(|c: char| c.is_ascii_digit());
    let rows = text.lines().filter(|l| l.contains("LWP ")).filter(is_row);
    let symbolised = rows.clone().filter(|l| l.contains(" (") && !l.contains("?? ()")).count();
    if rows.count() == CPUS as usize && symbolised == CPUS as usize {
        return Ok(());
    }
    Err(Error::Guest(format!("not {CPUS} threads with a function each:\n{text}")))
}

/// Each thread's backtrace begins in a function and leads through the example's own code.
fn backtraces(text: &str) -> Result<()> {
    let explained = |thread: &&str| {
        let mut frames = thread.lines().filter(|l| l.starts_with('#'));
        let first = frames.clone().next().is_some_and(|f| f.starts_with("#0 ") && !f.contains("?? ()"));
        first && frames.any(|f| f.contains("nmi_button::"))
    };
    let found = text.split("\nThread ").skip(1).filter(explained).count();
    if found == CPUS as usize {
        return Ok(());
    }
    Err(Error::Guest(format!("{found} of {CPUS} threads have a backtrace through the example:\n{text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_without_a_function_is_seen() {
        let good = "[New LWP 1]\n#0  f () at a.rs:1\n[Current thread is 1 (LWP 1)]\n* 1 LWP 1 worker () at a.rs:1\n\
                    \x20 2 LWP 2 idle () at a.rs:2\n  3 LWP 3 f ()\n  4 LWP 4 g ()\n";
        assert!(threads(good).is_ok());
        assert!(threads(&good.replace("idle ()", "0x0 in ?? ()")).is_err());
        assert!(threads("* 1 LWP 1 worker () at a.rs:1\n").is_err());
    }

    #[test]
    fn a_backtrace_that_leads_nowhere_is_seen() {
        let thread =
            |n: u32| format!("\nThread {n} (LWP {n}):\n#0  pause ()\n#1  nmi_button::roles::idle ()\n");
        let good: String = (1..=CPUS).map(thread).collect();
        assert!(backtraces(&good).is_ok());
        assert!(backtraces(&good.replacen("nmi_button::roles::idle", "??", 1)).is_err());
        assert!(backtraces(&good.replacen("pause ()", "0x1 in ?? ()", 1)).is_err());
    }
}

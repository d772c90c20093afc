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
    // `* 1    LWP 1 worker () at src/main.rs:1`: a number, the thread, its innermost frame.
    let named = text.lines().filter(|l| l.contains("LWP") || l.contains("Thread "));
    let symbolised = named.clone().filter(|l| l.contains(" (") && !l.contains("?? ()")).count();
    if named.count() == CPUS as usize && symbolised == CPUS as usize {
        return Ok(());
    }
    Err(Error::Guest(format!("not {CPUS} threads with a function each:\n{text}")))
}

fn backtraces(text: &str) -> Result<()> {
    let first_frames = text.lines().filter(|l| l.starts_with("#0 ") && !l.contains("?? ()")).count();
    if first_frames == CPUS as usize {
        return Ok(());
    }
    Err(Error::Guest(format!("not {CPUS} backtraces that start in a function:\n{text}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_without_a_function_is_seen() {
        let good =
            "* 1 LWP 1 worker () at a.rs:1\n  2 LWP 2 idle () at a.rs:2\n  3 LWP 3 f ()\n  4 LWP 4 g ()\n";
        assert!(threads(good).is_ok());
        assert!(threads(&good.replace("idle ()", "0x0 in ?? ()")).is_err());
        assert!(threads("* 1 LWP 1 worker () at a.rs:1\n").is_err());
        assert!(backtraces("#0  f ()\n#1  g ()\n#0  f ()\n#0  f ()\n").is_err());
    }
}

//! Programs that never outlive the task: each is ended when its deadline passes, when its handle is dropped, and
//! when the task itself dies of a signal.
//!
//! The last of the three needs the kernel's parent-death signal (prctl(2), PR_SET_PDEATHSIG). Debian's `setpriv`
//! (util-linux) sets it without unsafe code here; where it is missing, the first two still hold.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::tools;

/// A running program, killed and reaped on drop.
pub struct Guarded {
    child: Child,
}

impl Guarded {
    /// Starts `command` with the kernel told to kill it when this thread ends. The command's stdin is closed.
    pub fn spawn(command: &Command, stdout: Stdio, stderr: Stdio) -> Result<Guarded> {
        let mut wrapped = dies_with_parent(command, "KILL");
        let child = wrapped.stdin(Stdio::null()).stdout(stdout).stderr(stderr).spawn();
        let child = child.map_err(|source| Error::Start { command: line(command), source })?;
        Ok(Guarded { child })
    }

    /// The pipe from the program's stdout, once.
    pub fn take_stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// The process id, for outside oracles.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status once the program has ended, `None` if it still runs at `deadline`.
    pub fn wait_until(&mut self, deadline: Instant) -> Result<Option<ExitStatus>> {
        loop {
            let ended = self.child.try_wait();
            let ended = ended.map_err(|source| Error::Start { command: "wait".into(), source })?;
            if ended.is_some() || Instant::now() >= deadline {
                return Ok(ended);
            }
            // The standard library has no wait with a deadline; this paces the polling of the condition above.
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // Both fail only when the program has ended and was reaped already, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a finished program said.
pub struct Output {
    /// Whether it exited with status 0.
    pub success: bool,
    /// Its stdout and stderr in the order in which they were written.
    pub text: String,
    /// Its command line, to be typed again.
    pub command: String,
}

impl Output {
    /// The text, or an error that carries it.
    pub fn ok(self) -> Result<String> {
        if self.success {
            Ok(self.text)
        } else {
            Err(Error::Status { command: self.command, output: tail(&self.text, 40) })
        }
    }
}

/// Runs `command` to its end, at most `limit` long, and returns what it said.
///
/// `timeout` (coreutils) leads a process group of its own, so that a compiler or test started by the program ends
/// with it.
pub fn run(command: &Command, limit: Duration) -> Result<Output> {
    let mut timed = Command::new("timeout");
    timed.arg("--kill-after=5").arg(limit.as_secs().max(1).to_string());
    copy_into(command, &mut timed);
    let mut wrapped = dies_with_parent(&timed, "TERM");

    let start = |source| Error::Start { command: line(command), source };
    let (mut reader, writer) = std::io::pipe().map_err(start)?;
    let second = writer.try_clone().map_err(start)?;
    let mut child =
        Guarded { child: wrapped.stdin(Stdio::null()).stdout(writer).stderr(second).spawn().map_err(start)? };
    drop(wrapped); // closes this process's copies of the pipe's write end

    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A read error ends the text early; the exit status below still decides.
        let _ = reader.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    // `timeout` ends the program; the margin covers its --kill-after.
    let late = || Error::Deadline { what: format!("`{}`", line(command)), limit };
    let bytes = receiver.recv_timeout(limit + Duration::from_secs(10)).map_err(|_| late())?;
    let status = child.wait_until(Instant::now() + Duration::from_secs(10))?.ok_or_else(late)?;
    match status.code() {
        // timeout(1): 124 timed out, 137 needed SIGKILL.
        Some(124 | 137) => Err(late()),
        code => Ok(Output {
            success: code == Some(0),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            command: line(command),
        }),
    }
}

/// `command` as a person would type it.
pub fn line(command: &Command) -> String {
    // Settings of this task, and no part of what a person types.
    const SILENT: &[&str] = &["CARGO_TARGET_DIR", "CARGO_TERM_COLOR", "DEBIAN_FRONTEND"];
    let mut words: Vec<String> = Vec::new();
    for (key, value) in command.get_envs() {
        if let (Some(key), Some(value)) = (key.to_str(), value.and_then(|v| v.to_str()))
            && !SILENT.contains(&key)
        {
            words.push(format!("{key}={}", quote(value)));
        }
    }
    words.push(quote(&command.get_program().to_string_lossy()));
    words.extend(command.get_args().map(|a| quote(&a.to_string_lossy())));
    words.join(" ")
}

/// `word` quoted for a shell where it needs to be.
pub fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The last `lines` lines of `text`.
pub fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.trim_end().lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

fn dies_with_parent(command: &Command, signal: &str) -> Command {
    if !tools::on_path("setpriv") {
        let mut same = Command::new(command.get_program());
        same.args(command.get_args());
        copy_setting(command, &mut same);
        return same;
    }
    let mut wrapped = Command::new("setpriv");
    wrapped.args(["--pdeathsig", signal, "--"]);
    copy_into(command, &mut wrapped);
    wrapped
}

/// Appends `command` to the words of `outer`, with its environment and folder.
fn copy_into(command: &Command, outer: &mut Command) {
    outer.arg(command.get_program()).args(command.get_args());
    copy_setting(command, outer);
}

fn copy_setting(from: &Command, to: &mut Command) {
    for (key, value) in from.get_envs() {
        match value {
            Some(value) => to.env(key, value),
            None => to.env_remove(key),
        };
    }
    if let Some(folder) = from.get_current_dir() {
        to.current_dir(folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_keeps_the_order_of_both_streams() {
        let output = run(&shell("echo a; echo b >&2; echo c"), Duration::from_secs(10)).unwrap();
        assert!(output.success);
        assert_eq!(output.text, "a\nb\nc\n");
    }

    #[test]
    fn a_failing_program_is_an_error_with_its_text() {
        let error = run(&shell("echo because; exit 3"), Duration::from_secs(10)).unwrap().ok().unwrap_err();
        assert!(error.to_string().contains("because"), "{error}");
    }

    #[test]
    fn a_program_past_its_deadline_is_ended_with_its_children() {
        let start = Instant::now();
        let result = run(&shell("sleep 60 & wait"), Duration::from_secs(1));
        assert!(matches!(result, Err(Error::Deadline { .. })));
        assert!(start.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn dropping_the_handle_ends_the_program() {
        let child = Guarded::spawn(&shell("exec sleep 60"), Stdio::null(), Stdio::null()).unwrap();
        let proc = std::path::PathBuf::from(format!("/proc/{}", child.id()));
        assert!(proc.exists());
        drop(child);
        assert!(!proc.exists());
    }

    #[test]
    fn the_program_dies_with_the_thread_that_forgot_it() {
        if !tools::on_path("setpriv") {
            return; // then only the deadline and the drop are promised
        }
        let forget = || {
            let child = Guarded::spawn(&shell("echo up; exec sleep 60"), Stdio::piped(), Stdio::null());
            let mut child = child.unwrap();
            // Once it speaks it is past setpriv.
            child.take_stdout().unwrap().read_exact(&mut [0; 3]).unwrap();
            let id = child.id();
            std::mem::forget(child);
            id
        };
        let id = std::thread::spawn(forget).join().unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        // Nobody reaps it here, so it stays as a zombie: state Z, the field after the name (proc(5)).
        let state = || std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        while !state().contains(") Z ") {
            assert!(Instant::now() < deadline, "still runs: {}", state());
            std::thread::yield_now();
        }
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        let mut command = Command::new("run");
        command.args(["--cmdline", "nmi=all final=exit", "it's"]);
        assert_eq!(line(&command), r"run --cmdline 'nmi=all final=exit' 'it'\''s'");
    }
}

//! One emulated machine: booted, watched by its serial line, pressed, and always ended.
//!
//! What the guest says is read as it arrives and written to the log at once, so that a run which fails in any way
//! leaves its log. Success is a line of the guest's own, [`COMPLETE`]; silence, an exit or a deadline is never
//! taken for it.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::process::{self, Guarded};
use crate::qmp::Qmp;

/// The guest's last line of a completed run.
pub const COMPLETE: &str = "panic-smp: record complete";

/// QEMU's exit status when the guest wrote 0x10 to the debug-exit port: `(value << 1) | 1` (hw/misc/debugexit.c).
pub const SAID_SUCCESS: i32 = 0x10 << 1 | 1;

/// How a machine is put together. [`Options::new`] gives the reference machine.
#[derive(Clone)]
pub struct Options {
    /// Number of CPUs.
    pub smp: u32,
    /// The firmware's command line.
    pub cmdline: String,
    /// The emulator.
    pub qemu: PathBuf,
    /// The serial ports, in their order, as QEMU's `-serial` takes them. The guest is heard on the one that is `stdio`.
    pub serial: Vec<String>,
    /// More words for the emulator, after all others.
    pub extra: Vec<String>,
    /// Whether the CPUs wait at reset for [`Machine::qmp`] `cont` or a debugger.
    pub paused: bool,
    /// Whether a gdb stub listens at [`Machine::gdb_socket`].
    pub gdbstub: bool,
    /// How long the whole run may take.
    pub limit: Duration,
}

impl Options {
    /// `smp` CPUs under TCG with `cmdline`, and a deadline that grows with the CPUs, which share the host's.
    pub fn new(smp: u32, cmdline: &str) -> Options {
        Options {
            smp,
            cmdline: cmdline.to_owned(),
            qemu: PathBuf::from("qemu-system-x86_64"),
            serial: vec!["stdio".into()],
            extra: Vec::new(),
            paused: false,
            gdbstub: false,
            limit: Duration::from_secs(60 + 2 * u64::from(smp)),
        }
    }
}

/// A running machine. Dropping it ends the emulator.
pub struct Machine {
    // Declared before the folder: the emulator ends before its sockets are removed.
    emulator: Guarded,
    qmp: Qmp,
    serial: Arc<Serial>,
    started: Instant,
    deadline: Instant,
    folder: SocketFolder,
}

/// A machine that has ended.
pub struct Ended {
    /// Everything the guest said.
    pub serial: Vec<u8>,
    /// The emulator's exit status; `None` when the guest's final action was to halt and the task ended it.
    pub status: Option<i32>,
    /// Whether the guest said [`COMPLETE`] on a line of its own.
    pub complete: bool,
}

impl Machine {
    /// Boots `image`; the serial line is kept in `log`.
    pub fn boot(image: &Path, options: &Options, log: &Path) -> Result<Machine> {
        let folder = SocketFolder::create()?;
        let command = command(image, options, &folder);
        let errors = folder.path.join("errors");
        let errors_file = std::fs::File::create(&errors).map_err(Error::io(&errors))?;
        let log_file = std::fs::File::create(log).map_err(Error::io(log))?;

        let started = Instant::now();
        let deadline = started + options.limit;
        let mut emulator = Guarded::spawn(&command, Stdio::piped(), errors_file.into())?;
        let serial = Arc::new(Serial::default());
        if let Some(pipe) = emulator.take_stdout() {
            let serial = Arc::clone(&serial);
            std::thread::spawn(move || serial.follow(pipe, log_file));
        }
        let has_ended = || !matches!(emulator.wait_until(Instant::now()), Ok(None));
        let qmp = Qmp::connect(&folder.qmp(), (started + Duration::from_secs(20)).min(deadline), has_ended);
        let qmp = qmp.map_err(|e| {
            let said = std::fs::read_to_string(&errors).unwrap_or_default();
            Error::Guest(format!("{e}\n`{}` said: {}", process::line(&command), said.trim()))
        })?;
        Ok(Machine { emulator, qmp, serial, started, deadline, folder })
    }

    /// Waits for the line `wanted` (whole, without its line end) and gives the time since the start of the boot.
    pub fn wait_for_line(&self, wanted: &str, limit: Duration) -> Result<Duration> {
        self.wait_for(&format!("the line `{wanted}`"), limit, |line| line == wanted)
    }

    /// Waits for a line that `is_wanted` accepts; `what` names it in the error.
    pub fn wait_for(
        &self,
        what: &str,
        limit: Duration,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Duration> {
        let until = (Instant::now() + limit).min(self.deadline);
        self.serial.wait_for(what, until, is_wanted).map(|at| at.saturating_duration_since(self.started))
    }

    /// Presses the NMI button, as QEMU models it: LINT1 of every local APIC.
    ///
    /// The guest may end the machine before QEMU has answered. What came of the press is for the guest to say, so that is
    /// no error here.
    pub fn press(&mut self) -> Result<()> {
        let deadline = self.command_deadline();
        self.qmp.execute_until_end("inject-nmi", json!({}), deadline).map(drop)
    }

    /// Runs one QMP command.
    pub fn qmp(&mut self, command: &str, arguments: Value) -> Result<Value> {
        let deadline = self.command_deadline();
        self.qmp.execute(command, arguments, deadline)
    }

    fn command_deadline(&self) -> Instant {
        self.deadline.min(Instant::now() + Duration::from_secs(30))
    }

    /// Runs one command of the human monitor, for what QMP does not offer, such as `info registers -a`.
    pub fn monitor(&mut self, line: &str) -> Result<String> {
        let text = self.qmp("human-monitor-command", json!({ "command-line": line }))?;
        Ok(text.as_str().unwrap_or_default().to_owned())
    }

    /// Reads guest-physical memory, without the guest's help.
    pub fn physical_memory(&mut self, address: u64, bytes: u64) -> Result<Vec<u8>> {
        let file = self.folder.path.join("memory");
        self.qmp("pmemsave", json!({ "val": address, "size": bytes, "filename": file }))?;
        std::fs::read(&file).map_err(Error::io(&file))
    }

    /// The socket of the gdb stub: `target remote PATH` in gdb. It exists when [`Options::gdbstub`] was set.
    pub fn gdb_socket(&self) -> PathBuf {
        self.folder.path.join("gdb")
    }

    /// Waits for the guest's final line, then for the emulator to end, and collects what is left.
    ///
    /// A guest whose final action is to halt is ended here, `grace` after its final line.
    pub fn finish(self, grace: Duration) -> Result<Ended> {
        let limit = self.deadline.saturating_duration_since(Instant::now());
        self.wait_for_line(COMPLETE, limit)?;
        self.end(grace)
    }

    /// Ends the machine whatever it said: waits `grace` for the guest to end it by itself, then ends it.
    pub fn end(mut self, grace: Duration) -> Result<Ended> {
        let status = self.emulator.wait_until(self.deadline.min(Instant::now() + grace))?;
        drop(self.emulator);
        let serial = self.serial.after_end();
        let complete = lines(&serial).any(|line| line == COMPLETE);
        Ok(Ended { serial, status: status.and_then(|s| s.code()), complete })
    }

    /// The emulator's process id.
    pub fn id(&self) -> u32 {
        self.emulator.id()
    }
}

/// The emulator's command line for `image`. Every word is there for a reason.
fn command(image: &Path, options: &Options, folder: &SocketFolder) -> Command {
    let socket = |path: &Path| path.display().to_string().replace(',', ",,");
    let mut command = Command::new(&options.qemu);
    // TCG exists everywhere and models NMI blocking exactly.
    command.args(["-accel", "tcg", "-m", "512", "-smp", &options.smp.to_string()]);
    command.arg("-kernel").arg(image).args(["-append", &options.cmdline]);
    // No default devices that could raise an interrupt or boot something else; the serial line is our stdout.
    command.args(["-display", "none", "-nic", "none"]);
    command.args(options.serial.iter().flat_map(|port| ["-serial", port]));
    // The guest's way to say success by an exit status, and a reset that ends the run instead of booting again.
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=1", "-no-reboot"]);
    command.args(["-qmp", &format!("unix:{},server=on,wait=off", socket(&folder.qmp()))]);
    if options.gdbstub {
        let path = socket(&folder.path.join("gdb"));
        command.args(["-chardev", &format!("socket,id=gdb,path={path},server=on,wait=off")]);
        command.args(["-gdb", "chardev:gdb"]);
    }
    if options.paused {
        command.arg("-S");
    }
    command.args(&options.extra);
    command
}

/// What the guest said, filled by a thread that reads the pipe.
#[derive(Default)]
struct Serial {
    heard: Mutex<Heard>,
    changed: Condvar,
}

#[derive(Default)]
struct Heard {
    bytes: Vec<u8>,
    /// End of each whole line in `bytes`, with the time at which it was read.
    ends: Vec<(usize, Instant)>,
    closed: bool,
}

impl Serial {
    fn follow(&self, mut pipe: impl Read, mut log: impl Write) {
        let mut buffer = [0; 4096];
        loop {
            // An error on the pipe means the same as its end: nothing more will be heard.
            let count = pipe.read(&mut buffer).unwrap_or(0);
            // The log is for people; the bytes kept here decide, so a full disk does not change a verdict.
            let _ = log.write_all(&buffer[..count]);
            let mut heard = self.lock();
            if count == 0 {
                heard.closed = true;
                self.changed.notify_all();
                return;
            }
            let from = heard.bytes.len();
            heard.bytes.extend_from_slice(&buffer[..count]);
            let now = Instant::now();
            let ends = buffer[..count].iter().enumerate().filter(|(_, b)| **b == b'\n');
            heard.ends.extend(ends.map(|(i, _)| (from + i + 1, now)));
            self.changed.notify_all();
        }
    }

    fn wait_for(&self, what: &str, until: Instant, is_wanted: impl Fn(&str) -> bool) -> Result<Instant> {
        let began = Instant::now();
        let mut heard = self.lock();
        let mut seen = 0;
        loop {
            while let Some(&(end, at)) = heard.ends.get(seen) {
                let start = if seen == 0 { 0 } else { heard.ends[seen - 1].0 };
                let line = String::from_utf8_lossy(&heard.bytes[start..end]);
                if is_wanted(line.trim_end_matches(['\r', '\n'])) {
                    return Ok(at);
                }
                seen += 1;
            }
            if heard.closed {
                return Err(Error::Guest(format!(
                    "{what} was never said; the machine ended\n{}",
                    heard.tail()
                )));
            }
            let now = Instant::now();
            if now >= until {
                let what = format!("{what}\n{}\nwaited for", heard.tail());
                return Err(Error::Deadline { what, limit: now - began });
            }
            let waited = self.changed.wait_timeout(heard, until - now);
            heard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Everything, once the emulator has ended and the pipe is drained.
    fn after_end(&self) -> Vec<u8> {
        let open = |heard: &mut Heard| !heard.closed;
        let drained = self.changed.wait_timeout_while(self.lock(), Duration::from_secs(5), open);
        std::mem::take(&mut drained.unwrap_or_else(PoisonError::into_inner).0.bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        // Each update leaves the value whole, so a thread that panicked while it held the lock changes nothing.
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    fn tail(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        let quoted = process::tail(&text, 8).lines().map(|l| format!("    | {l}\n")).collect::<String>();
        if quoted.is_empty() { "    | (silence)\n".into() } else { quoted }
    }
}

/// The lines of a serial log, without their ends.
pub fn lines(serial: &[u8]) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
    serial.split(|b| *b == b'\n').map(|l| String::from_utf8_lossy(l.strip_suffix(b"\r").unwrap_or(l)))
}

/// A folder for sockets with a path short enough for `sockaddr_un` (108 bytes), removed on drop.
struct SocketFolder {
    path: PathBuf,
}

impl SocketFolder {
    fn create() -> Result<SocketFolder> {
        use std::sync::atomic::{AtomicU32, Ordering};
        // Relaxed: only the numbers' being different matters.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("xtask-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).map_err(Error::io(&path))?;
        Ok(SocketFolder { path })
    }

    fn qmp(&self) -> PathBuf {
        self.path.join("qmp")
    }
}

impl Drop for SocketFolder {
    fn drop(&mut self) {
        // Left-over sockets harm nothing.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Serial {
        let serial = Serial::default();
        serial.follow(text.as_bytes(), std::io::sink());
        serial
    }

    fn find(serial: &Serial, wanted: &str) -> bool {
        serial.wait_for(wanted, Instant::now() + Duration::from_secs(5), |l| l == wanted).is_ok()
    }

    #[test]
    fn only_a_whole_line_counts() {
        let serial = said("noise\r\nsaid panic-smp: record complete\r\narmed: 4 CPUs\r\npanic-smp: rec");
        assert!(find(&serial, "armed: 4 CPUs"));
        assert!(!find(&serial, COMPLETE));
        assert!(!find(&serial, "panic-smp: rec"), "a line without its end is not a line");
    }

    #[test]
    fn a_machine_that_ended_is_not_waited_for() {
        let start = Instant::now();
        let error =
            said("last words\n").wait_for("x", start + Duration::from_secs(60), |_| false).unwrap_err();
        assert!(error.to_string().contains("last words"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_deadline_says_what_was_heard() {
        let serial = Serial::default();
        let error =
            serial.wait_for("the end", Instant::now() + Duration::from_millis(20), |_| true).unwrap_err();
        assert!(matches!(error, Error::Deadline { .. }));
        assert!(error.to_string().contains("(silence)"), "{error}");
    }
}

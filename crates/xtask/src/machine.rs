//! One emulated machine: booted, watched by its serial line, pressed, and always ended.
//!
//! What the guest says is read as it arrives and written to the log at once, so that a run which fails in any way
//! leaves its log. Success is a line of the guest's own, [`COMPLETE`]; silence, an exit or a deadline is never
//! taken for it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::media::{Firmware, Medium};
use crate::process::{self, Guarded};
use crate::qmp::Qmp;
use crate::serial::{self, Serial};

/// The guest's last line of a completed run.
pub const COMPLETE: &str = "panic-smp: record complete";

/// QEMU's exit status when the guest wrote 0x10 to the debug-exit port: `(value << 1) | 1` (hw/misc/debugexit.c).
pub const SAID_SUCCESS: i32 = 0x10 << 1 | 1;

/// How a machine is put together. [`Options::new`] gives the reference machine.
#[derive(Clone)]
pub struct Options {
    /// Number of CPUs.
    pub smp: u32,
    /// How many of them the guest is to arm: all, unless its tables hide some.
    pub armed: u32,
    /// The firmware's command line. A medium other than [`Medium::Kernel`] brings its own.
    pub cmdline: String,
    /// What the machine starts with.
    pub firmware: Firmware,
    /// Where the image comes from.
    pub medium: Medium,
    /// Memory in MiB.
    pub memory_mib: u32,
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
            armed: smp,
            cmdline: cmdline.to_owned(),
            firmware: Firmware::Bios,
            medium: Medium::Kernel,
            memory_mib: 512,
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
    /// Boots `image`, which a medium other than [`Medium::Kernel`] holds already; the serial line is kept in `log`.
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
        let complete = serial::lines(&serial).any(|line| line == COMPLETE);
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
    command.args(["-accel", "tcg", "-m", &options.memory_mib.to_string(), "-smp", &options.smp.to_string()]);
    command.args(options.firmware.words()).args(options.medium.words(image, &options.cmdline));
    // No window; one of the serial ports is our stdout.
    command.args(["-display", "none"]);
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

//! The emulator harness itself, on guests of a few bytes: it believes only what a guest says, keeps its deadline,
//! and ends the emulator.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Checks, Context};
use crate::error::{Error, Result};
use crate::machine::{COMPLETE, Machine, Options, SAID_SUCCESS, lines};

const SOON: Duration = Duration::from_secs(20);

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let boot = |name: &str, text: &str, end: End, limit: Duration| -> Result<Machine> {
        let folder = context.folder("harness", name);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let image = folder.join("guest");
        std::fs::write(&image, guest(text, end)).map_err(Error::io(&image))?;
        let mut options = Options::new(1, "");
        options.limit = limit;
        Machine::boot(&image, &options, &folder.join("serial.log"))
    };
    let complete = format!("noise\r\n{COMPLETE}\r\n");

    checks.check("final-line-is-heard", || {
        let ended = boot("complete", &complete, End::Exit, SOON)?.finish(SOON)?;
        expect(
            ended.complete && ended.status == Some(SAID_SUCCESS),
            &format!("exit status {:?}", ended.status),
        )?;
        expect(lines(&ended.serial).any(|l| l == "noise"), "the text before the final line is gone")
    });
    checks.check("an-exit-is-no-success", || {
        let result = boot("exit", "noise\r\n", End::Exit, SOON)?.finish(SOON);
        expect(matches!(result, Err(Error::Guest(_))), "success was inferred from the exit status")
    });
    checks.check("a-quote-is-no-success", || {
        let result = boot("quote", &format!("said {COMPLETE}\r\n"), End::Exit, SOON)?.finish(SOON);
        expect(matches!(result, Err(Error::Guest(_))), "success was inferred from a part of a line")
    });
    checks.check("a-hang-meets-the-deadline", || {
        let machine = boot("hang", "armed: 1 CPUs\r\n", End::Hang, Duration::from_secs(3))?;
        machine.wait_for_line("armed: 1 CPUs", SOON)?;
        let process = PathBuf::from(format!("/proc/{}", machine.id()));
        expect(process.exists(), "the emulator does not run")?;
        expect(matches!(machine.finish(SOON), Err(Error::Deadline { .. })), "a hanging guest finished")?;
        expect(!process.exists(), "the emulator outlived its run")
    });
    checks.check("a-halted-guest-is-ended", || {
        let ended = boot("halt", &complete, End::Hang, SOON)?.finish(Duration::from_millis(100))?;
        expect(ended.complete && ended.status.is_none(), "a halted guest has an exit status")
    });
    checks.check("memory-is-read-from-outside", || {
        let mut machine = boot("memory", "armed: 1 CPUs\r\n", End::Hang, SOON)?;
        machine.wait_for_line("armed: 1 CPUs", SOON)?;
        let image = machine.physical_memory(u64::from(LOAD), 512)?;
        expect(
            image.windows(15).any(|w| w == b"armed: 1 CPUs\r\n"),
            "the guest's text is not in its memory",
        )?;
        let registers = machine.monitor("info registers")?;
        expect(registers.contains("EIP=") || registers.contains("RIP="), "the monitor shows no registers")
    });
    checks.check("the-button-arrives", || {
        // This guest has no IDT, so the NMI shuts the CPU down, and the emulator ends instead of resetting.
        let mut machine = boot("button", "armed: 1 CPUs\r\n", End::Hang, SOON)?;
        machine.wait_for_line("armed: 1 CPUs", SOON)?;
        machine.press()?;
        let ended = machine.end(SOON)?;
        expect(ended.status == Some(0) && !ended.complete, &format!("exit status {:?}", ended.status))
    });
    checks.check("a-debugger-finds-the-stub", || {
        let folder = context.folder("harness", "stub");
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        let image = folder.join("guest");
        std::fs::write(&image, guest(&complete, End::Exit)).map_err(Error::io(&image))?;
        let mut options = Options::new(1, "");
        (options.paused, options.gdbstub) = (true, true);
        let mut machine = Machine::boot(&image, &options, &folder.join("serial.log"))?;
        answers_as_stub(&machine.gdb_socket())?;
        machine.qmp("cont", serde_json::json!({}))?;
        machine.finish(SOON).map(drop)
    });
}

/// Asks the stub why the target stopped; any reply packet starts with an acknowledgement (gdb manual, appendix E.1).
fn answers_as_stub(socket: &Path) -> Result<()> {
    use std::io::{Read, Write};
    let stub = std::os::unix::net::UnixStream::connect(socket).map_err(Error::io(socket))?;
    stub.set_read_timeout(Some(SOON)).map_err(Error::io(socket))?;
    (&stub).write_all(b"$?#3f").map_err(Error::io(socket))?;
    let mut first = [0; 2];
    (&stub).read_exact(&mut first).map_err(Error::io(socket))?;
    (&stub).write_all(b"+$D#44").map_err(Error::io(socket))?;
    expect(first == *b"+$", "the stub sent no packet")
}

fn expect(holds: bool, otherwise: &str) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::Guest(otherwise.to_owned())) }
}

/// What a guest does after its text.
#[derive(Clone, Copy)]
enum End {
    /// Writes 0x10 to the debug-exit port.
    Exit,
    /// Halts; interrupts are off.
    Hang,
}

/// Where the guest is loaded, identity mapped: 1 MiB.
const LOAD: u32 = 0x10_0000;

/// A flat Multiboot 1 image that writes `text` to COM1 in 32-bit protected mode.
fn guest(text: &str, end: End) -> Vec<u8> {
    // Multiboot specification 0.6.96, 3.1.1: magic, flags (bit 16: the address fields are valid), checksum, then
    // header, load, load end, bss end and entry addresses; a load end of 0 means the whole file.
    let (magic, flags) = (0x1BAD_B002_u32, 1_u32 << 16);
    let header = [magic, flags, 0_u32.wrapping_sub(magic.wrapping_add(flags)), LOAD, LOAD, 0, 0, LOAD + 32];
    let mut image: Vec<u8> = header.iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut code: Vec<u8> = vec![0xBE, 0, 0, 0, 0]; // mov esi, text
    code.extend([0xFC, 0x66, 0xBA, 0xF8, 0x03]); // cld; mov dx, 0x3f8
    code.extend([0xAC, 0x84, 0xC0, 0x74, 0x03, 0xEE, 0xEB, 0xF8]); // next: lodsb; test al, al; jz done; out dx, al; jmp next
    code.extend(match end {
        End::Exit => [0xB0, 0x10, 0xE6, 0xF4], // done: mov al, 0x10; out 0xf4, al
        End::Hang => [0x90; 4],
    });
    code.extend([0xFA, 0xF4, 0xEB, 0xFD]); // cli; halt: hlt; jmp halt
    let text_at = LOAD + 32 + u32::try_from(code.len()).unwrap_or(0);
    code[1..5].copy_from_slice(&text_at.to_le_bytes());
    image.extend(code);
    image.extend(text.bytes());
    image.push(0);
    image
}

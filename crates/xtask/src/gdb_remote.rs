//! The debugger's side of the GDB remote protocol (GDB manual, appendix E), as much of it as lanes need to hold one CPU
//! of an emulated machine at one instruction.
//!
//! QEMU calls CPU `n` thread `n + 1`. Connecting stops the machine. A CPU that is not named in a `vCont` packet stays
//! where it is while the others run.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// How long the stub may take for one answer, a CPU for what it was let run for included.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// What a lane may ask the stub to stop at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Before the instruction at this address is executed, on any CPU.
    Instruction(u64),
    /// After a store to the word of this many bytes at this address.
    Store(u64, u64),
}

impl Point {
    fn packet(self, verb: char) -> String {
        match self {
            // Kind 1: the length of the breakpoint instruction, which x86 stubs take for "software breakpoint".
            Point::Instruction(address) => format!("{verb}0,{address:x},1"),
            Point::Store(address, bytes) => format!("{verb}2,{address:x},{bytes:x}"),
        }
    }
}

/// A connection to a stub.
pub struct Debugger {
    stub: UnixStream,
    received: Vec<u8>,
    selected: Option<usize>,
}

impl Debugger {
    /// Connects, which stops every CPU.
    pub fn connect(socket: &Path) -> Result<Debugger> {
        let stub = UnixStream::connect(socket).map_err(Error::io(socket))?;
        stub.set_read_timeout(Some(ANSWER_LIMIT)).map_err(Error::io(socket))?;
        let mut debugger = Debugger { stub, received: Vec::new(), selected: None };
        // QEMU takes vCont only from a debugger that asked whether it has it. If the machine ran until now, a stop reply
        // comes before the answer.
        debugger.send("vCont?")?;
        loop {
            let answer = debugger.receive()?;
            if answer.starts_with("vCont;c") {
                break;
            }
            if stopped_cpu(&answer).is_none() {
                return Err(Error::Guest(format!("the stub cannot run one CPU alone: `{answer}`")));
            }
        }
        // And single registers only for one that has read its description of them.
        debugger.ask("qXfer:features:read:target.xml:0,ffb")?;
        Ok(debugger)
    }

    /// The registers of `cpu`.
    pub fn registers(&mut self, cpu: usize) -> Result<LiveRegisters> {
        self.select(cpu)?;
        let answer = self.ask("g")?;
        LiveRegisters::parse(&answer)
            .ok_or_else(|| Error::Guest(format!("the stub's registers do not parse: `{answer}`")))
    }

    /// RIP of `cpu`.
    pub fn rip(&mut self, cpu: usize) -> Result<u64> {
        self.select(cpu)?;
        let answer = self.ask(&format!("p{RIP_NUMBER:x}"))?;
        let bytes = hex(&answer).and_then(|b| b.try_into().ok());
        bytes.map(u64::from_le_bytes).ok_or_else(|| Error::Guest(format!("the stub's RIP: `{answer}`")))
    }

    /// Makes `cpu` go on at `rip`.
    pub fn set_rip(&mut self, cpu: usize, rip: u64) -> Result<()> {
        self.select(cpu)?;
        self.done(&format!("P{RIP_NUMBER:x}={}", unhex(&rip.to_le_bytes())))
    }

    /// Memory, by the address space of the CPU that was asked last.
    pub fn read(&mut self, address: u64, bytes: u64) -> Result<Vec<u8>> {
        let answer = self.ask(&format!("m{address:x},{bytes:x}"))?;
        hex(&answer)
            .filter(|b| b.len() as u64 == bytes)
            .ok_or_else(|| Error::Guest(format!("no {bytes} bytes of memory at {address:#x}: `{answer}`")))
    }

    /// The 64-bit words from `address` on.
    pub fn read_words(&mut self, address: u64, words: usize) -> Result<Vec<u64>> {
        let bytes = self.read(address, words as u64 * 8)?;
        Ok(bytes.chunks_exact(8).filter_map(|w| w.try_into().ok()).map(u64::from_le_bytes).collect())
    }

    /// Writes memory.
    pub fn write(&mut self, address: u64, bytes: &[u8]) -> Result<()> {
        self.done(&format!("M{address:x},{:x}:{}", bytes.len(), unhex(bytes)))
    }

    /// Stops the machine at `point` from now on.
    pub fn insert(&mut self, point: Point) -> Result<()> {
        self.done(&point.packet('Z'))
    }

    /// No longer stops the machine at `point`.
    pub fn remove(&mut self, point: Point) -> Result<()> {
        self.done(&point.packet('z'))
    }

    /// One instruction of `cpu`, interrupts held off; the others stand still.
    pub fn step(&mut self, cpu: usize) -> Result<()> {
        self.send(&format!("vCont;s:{:x}", cpu + 1))?;
        self.expect_stop_of(cpu)
    }

    /// Lets `cpu` alone run to the next point.
    pub fn run_alone(&mut self, cpu: usize) -> Result<()> {
        self.send(&format!("vCont;c:{:x}", cpu + 1))?;
        self.expect_stop_of(cpu)
    }

    /// Lets `cpu` alone run to the instruction at `address`, where it stops before executing it.
    pub fn run_alone_to(&mut self, cpu: usize, address: u64) -> Result<()> {
        self.insert(Point::Instruction(address))?;
        self.run_alone(cpu)?;
        self.remove(Point::Instruction(address))?;
        let rip = self.rip(cpu)?;
        if rip == address {
            return Ok(());
        }
        Err(Error::Guest(format!("CPU {cpu} stopped at {rip:#x}, not at {address:#x}")))
    }

    /// Lets every CPU run. The next answer of the stub is the next stop.
    pub fn run_all(&mut self) -> Result<()> {
        self.send("vCont;c")
    }

    /// Waits for the next stop, and gives the CPU that the stub names.
    pub fn wait_for_stop(&mut self) -> Result<usize> {
        let answer = self.receive()?;
        stopped_cpu(&answer).ok_or_else(|| Error::Guest(format!("not a stop: `{answer}`")))
    }

    /// Lets go of the machine, which runs on.
    pub fn detach(mut self) -> Result<()> {
        self.done("D")
    }

    fn expect_stop_of(&mut self, cpu: usize) -> Result<()> {
        let stopped = self.wait_for_stop()?;
        if stopped == cpu {
            return Ok(());
        }
        Err(Error::Guest(format!("CPU {stopped} stopped, though only CPU {cpu} was to run")))
    }

    fn select(&mut self, cpu: usize) -> Result<()> {
        if self.selected != Some(cpu) {
            self.done(&format!("Hg{:x}", cpu + 1))?;
            self.selected = Some(cpu);
        }
        Ok(())
    }

    fn done(&mut self, request: &str) -> Result<()> {
        match self.ask(request)?.as_str() {
            "OK" => Ok(()),
            other => Err(Error::Guest(format!("the stub answered `{other}` to `{request}`"))),
        }
    }

    fn ask(&mut self, request: &str) -> Result<String> {
        self.send(request)?;
        self.receive()
    }

    fn send(&mut self, request: &str) -> Result<()> {
        self.send_raw(format!("${request}#{:02x}", checksum(request.as_bytes())).as_bytes())
    }

    fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.stub.write_all(bytes).map_err(|e| Error::Guest(format!("the gdb stub: {e}")))
    }

    fn receive(&mut self) -> Result<String> {
        let until = Instant::now() + ANSWER_LIMIT;
        loop {
            if let Some(packet) = take_packet(&mut self.received)? {
                // Each packet is acknowledged; QEMU 7.2 has no other mode.
                self.send_raw(b"+")?;
                return Ok(packet);
            }
            let mut buffer = [0; 4096];
            match self.stub.read(&mut buffer) {
                Ok(0) => return Err(Error::Guest("the gdb stub closed the connection".into())),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(e) => return Err(Error::Guest(format!("no answer of the gdb stub: {e}"))),
            }
            if Instant::now() > until {
                return Err(Error::Guest("no whole answer of the gdb stub in time".into()));
            }
        }
    }
}

/// Takes the first whole packet out of `received`: `$body#cc`. Acknowledgements before it are passed over.
fn take_packet(received: &mut Vec<u8>) -> Result<Option<String>> {
    let Some(start) = received.iter().position(|b| *b == b'$') else { return Ok(None) };
    let Some(length) = received[start..].iter().position(|b| *b == b'#') else { return Ok(None) };
    let end = start + length;
    let Some(sum) = received.get(end + 1..end + 3) else { return Ok(None) };
    let body = received[start + 1..end].to_vec();
    let sum = std::str::from_utf8(sum).ok().and_then(|s| u8::from_str_radix(s, 16).ok());
    received.drain(..end + 3);
    if sum != Some(checksum(&body)) {
        return Err(Error::Guest("a packet of the gdb stub has a wrong checksum".into()));
    }
    Ok(Some(String::from_utf8_lossy(&body).into_owned()))
}

fn checksum(body: &[u8]) -> u8 {
    body.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}

/// The CPU of a stop reply: `T05thread:02;`, the thread's number in hexadecimal.
fn stopped_cpu(reply: &str) -> Option<usize> {
    let thread = reply.strip_prefix('T')?.get(2..)?;
    let number = thread.split(';').find_map(|pair| pair.strip_prefix("thread:"))?;
    usize::from_str_radix(number, 16).ok()?.checked_sub(1)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.len().is_multiple_of(2).then(|| digits.chunks_exact(2).map(byte).collect())?
}

fn unhex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// RIP in the stub's numbering.
const RIP_NUMBER: usize = 16;

/// The registers in the order of a `g` packet, with their bytes: QEMU's target description `i386-64bit.xml`, which is
/// GDB's org.gnu.gdb.i386.core and .linux features with a block of system registers between. What follows is not read.
const ORDER: &[(&str, usize)] = &[
    ("rax", 8),
    ("rbx", 8),
    ("rcx", 8),
    ("rdx", 8),
    ("rsi", 8),
    ("rdi", 8),
    ("rbp", 8),
    ("rsp", 8),
    ("r8", 8),
    ("r9", 8),
    ("r10", 8),
    ("r11", 8),
    ("r12", 8),
    ("r13", 8),
    ("r14", 8),
    ("r15", 8),
    ("rip", 8),
    ("rflags", 4),
    ("cs", 4),
    ("ss", 4),
    ("ds", 4),
    ("es", 4),
    ("fs", 4),
    ("gs", 4),
    ("fs_base", 8),
    ("gs_base", 8),
    ("kernel_gs_base", 8),
    ("cr0", 8),
    ("cr2", 8),
    ("cr3", 8),
    ("cr4", 8),
    ("cr8", 8),
    ("efer", 8),
];

/// The registers of one CPU as the emulator has them, by the names of the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveRegisters(Vec<(&'static str, u64)>);

impl LiveRegisters {
    fn parse(packet: &str) -> Option<LiveRegisters> {
        let bytes = hex(packet)?;
        let mut rest = bytes.as_slice();
        let mut values = Vec::new();
        for &(name, size) in ORDER {
            let (field, after) = rest.split_at_checked(size)?;
            values.push((name, field.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))));
            rest = after;
        }
        Some(LiveRegisters(values))
    }

    /// The value of the register called `name` in the record; `None` for one that the stub does not tell.
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_taken_one_by_one_and_only_whole() {
        let mut received = b"+$OK#9a$T05thread:02;#08$m".to_vec();
        assert_eq!(take_packet(&mut received).unwrap().as_deref(), Some("OK"));
        assert_eq!(take_packet(&mut received).unwrap().as_deref(), Some("T05thread:02;"));
        assert_eq!(take_packet(&mut received).unwrap(), None);
        assert!(take_packet(&mut b"$OK#9b".to_vec()).is_err());
    }

    #[test]
    fn a_stop_names_its_cpu() {
        assert_eq!(stopped_cpu("T05thread:1f;"), Some(30));
        assert_eq!(stopped_cpu("T05watch:1000;thread:01;"), Some(0));
        assert_eq!(stopped_cpu("W00"), None);
        assert_eq!(stopped_cpu("OK"), None);
    }

    #[test]
    fn registers_have_their_widths() {
        let bytes = ORDER.iter().map(|(_, size)| size).sum::<usize>();
        let packet: String = (0..bytes).map(|i| format!("{:02x}", i % 251)).collect();
        let registers = LiveRegisters::parse(&packet).unwrap();
        assert_eq!(registers.get("rax"), Some(0x0706_0504_0302_0100));
        assert_eq!(registers.get("rflags"), Some(0x8B8A_8988));
        assert!(LiveRegisters::parse(&packet[2..]).is_none());
    }
}

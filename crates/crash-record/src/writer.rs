//! The writer on the target.
//!
//! # Context
//! Runs in the report zone at every level of re-entry, with every other CPU contained or given up, perhaps in NMI
//! context. Nothing here allocates, formats, locks or panics; each call sends a number of lines that follows from its
//! arguments. It needs about 1 KiB of stack: one line ([`LINE_MAX`] bytes) and the encoded form of one item.

use core::fmt;

use stop_protocol::CpuIndex;

use crate::crc::Crc32;
use crate::format::{
    CHUNK_HEADER_BYTES, Kind, LINE_MAX, MARKER, MEMORY_MAX, NO_CPU, PAYLOAD_MAX, RECORD_VERSION,
};
use crate::{ApicState, BasicRegisters, CpuSummary, Header};

/// Where the lines of a record go.
pub trait RecordSink {
    /// Sends these bytes, one whole line per call.
    ///
    /// Called in the context of the writer, so it waits only for a bounded time and takes no lock that a stopped CPU
    /// may hold.
    ///
    /// # Errors
    /// When the line was not sent, or not sent whole. The writer then sends nothing more.
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkError>;
}

/// Why a sink takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SinkError {
    /// The device did not become ready in its time.
    Timeout,
    /// Its budget of bytes or of time is spent.
    Budget,
    /// There is no such device, or it reports a failure.
    Device,
}

impl fmt::Display for SinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "the sink did not become ready in time",
            Self::Budget => "the sink's budget is spent",
            Self::Device => "the sink's device failed",
        })
    }
}

impl core::error::Error for SinkError {}

/// Writes one record to one sink, or counts what it would write.
///
/// The calls may come in any order; the order recommended is the one of [`Kind`], all CPUs of one kind before the next
/// kind, the winner first, so that a record that is cut short has the most useful part. After an error every call
/// returns that error at once: what was sent stays readable.
#[derive(Debug)]
pub struct Writer<'s, S: ?Sized> {
    /// `None` while counting.
    sink: Option<&'s mut S>,
    failed: Option<SinkError>,
    /// The same in every chunk of a record: tells two records in one log apart.
    record: u32,
    sequence: u32,
    bytes: u64,
}

impl<'s, S: RecordSink + ?Sized> Writer<'s, S> {
    /// A writer that sends nothing: make the same calls on it, then take [`Self::chunks`] for
    /// [`Header::total_chunks`]. It reads no memory, so it is fast.
    #[must_use]
    pub fn counting() -> Self {
        let mut counter = Self { sink: None, failed: None, record: 0, sequence: 0, bytes: 0 };
        counter.count(Header::BYTES);
        counter
    }

    /// Sends the header.
    ///
    /// # Errors
    /// When the sink took nothing; there is no record then.
    pub fn begin(sink: &'s mut S, header: &Header) -> Result<Self, SinkError> {
        let payload = header.encode();
        let mut writer =
            Self { sink: Some(sink), failed: None, record: Crc32::of(&payload), sequence: 0, bytes: 0 };
        writer.chunk(Kind::Header, NO_CPU, 0, 1, &payload)?;
        Ok(writer)
    }

    /// Chunks of the record when it ends here: those sent or counted so far, and the end.
    #[must_use]
    pub const fn chunks(&self) -> u32 {
        self.sequence.saturating_add(1)
    }

    /// Bytes of the lines so far, those of the end not included. While counting it is the upper bound, reached when
    /// all memory can be read.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Sends the verdict and the stamps of a CPU.
    ///
    /// # Errors
    /// When the sink fails or has failed; nothing more is sent then. The same holds for every method below.
    pub fn summary(&mut self, cpu: CpuIndex, summary: &CpuSummary) -> Result<(), SinkError> {
        self.item(Kind::Summary, cpu.0, &summary.encode(), &[])
    }

    /// Sends the basic registers of a CPU.
    ///
    /// # Errors
    /// As for [`Self::summary`].
    pub fn basic(&mut self, cpu: CpuIndex, registers: &BasicRegisters) -> Result<(), SinkError> {
        self.item(Kind::Basic, cpu.0, &registers.encode(), &[])
    }

    /// Sends a message of a CPU, or of the machine: UTF-8, though a reader shows anything.
    ///
    /// # Errors
    /// As for [`Self::summary`].
    pub fn message(&mut self, cpu: Option<CpuIndex>, text: &[u8]) -> Result<(), SinkError> {
        self.item(Kind::Message, cpu_field(cpu), text, &[])
    }

    /// Sends the name of a board.
    ///
    /// # Errors
    /// As for [`Self::summary`].
    pub fn board(&mut self, name: &str) -> Result<(), SinkError> {
        self.item(Kind::Board, NO_CPU, name.as_bytes(), &[])
    }

    /// Sends where the NMI came from, in words, and on which CPU it was found out.
    ///
    /// # Errors
    /// As for [`Self::summary`].
    pub fn nmi_source(&mut self, cpu: Option<CpuIndex>, name: &str) -> Result<(), SinkError> {
        self.item(Kind::NmiSource, cpu_field(cpu), name.as_bytes(), &[])
    }

    /// Sends one raw register with its name: of a board, of a machine-check bank, a model-specific one.
    ///
    /// # Errors
    /// As for [`Self::summary`].
    pub fn value(&mut self, cpu: Option<CpuIndex>, name: &str, value: u64) -> Result<(), SinkError> {
        self.item(Kind::NamedValue, cpu_field(cpu), &value.to_le_bytes(), name.as_bytes())
    }

    /// Sends the local APIC of a CPU.
    ///
    /// # Errors
    /// As for [`Self::summary`].
    pub fn apic(&mut self, cpu: CpuIndex, state: &ApicState) -> Result<(), SinkError> {
        self.item(Kind::Apic, cpu.0, &state.encode(), &[])
    }

    /// Sends the x87 and SSE state of a CPU, as FXSAVE64 wrote it.
    ///
    /// # Errors
    /// As for [`Self::summary`].
    pub fn fxsave(&mut self, cpu: CpuIndex, area: &[u8; 512]) -> Result<(), SinkError> {
        self.item(Kind::FxSave, cpu.0, area, &[])
    }

    /// Sends `len` bytes of memory at `address` as a stack of a CPU; at most 12,058,440 of them.
    ///
    /// `read` copies memory at an address into a buffer of at most [`MEMORY_MAX`] bytes, or says `false` when it
    /// cannot; the record then has a hole there, and says so. It is called once per chunk, in order, and not at all
    /// while counting. No bytes are no chunk.
    ///
    /// # Errors
    /// As for [`Self::summary`].
    pub fn stack(
        &mut self,
        cpu: CpuIndex,
        address: u64,
        len: u32,
        read: impl FnMut(u64, &mut [u8]) -> bool,
    ) -> Result<(), SinkError> {
        self.memory(Kind::Stack, cpu.0, address, len, read)
    }

    /// Sends a named region of memory, as [`Self::stack`] does.
    ///
    /// # Errors
    /// As for [`Self::summary`].
    pub fn region(
        &mut self,
        name: &str,
        address: u64,
        len: u32,
        read: impl FnMut(u64, &mut [u8]) -> bool,
    ) -> Result<(), SinkError> {
        self.item(Kind::RegionName, NO_CPU, &address.to_le_bytes(), name.as_bytes())?;
        self.memory(Kind::Region, NO_CPU, address, len, read)
    }

    /// Sends the end of the firmware's log: the two halves of a ring, the older first.
    ///
    /// # Errors
    /// As for [`Self::summary`].
    pub fn log_tail(&mut self, older: &[u8], newer: &[u8]) -> Result<(), SinkError> {
        self.item(Kind::LogTail, NO_CPU, older, newer)
    }

    /// Ends the record. Returns the number of chunks sent.
    ///
    /// # Errors
    /// As for [`Self::summary`].
    pub fn finish(mut self) -> Result<u32, SinkError> {
        let count = self.chunks();
        self.item(Kind::End, NO_CPU, &count.to_le_bytes(), &[])?;
        Ok(count)
    }

    /// Sends the bytes of `first` and then of `second`, over as many chunks as they need, at least one.
    fn item(&mut self, kind: Kind, cpu: u16, first: &[u8], second: &[u8]) -> Result<(), SinkError> {
        let len = first.len().saturating_add(second.len()).min(PAYLOAD_MAX * usize::from(u16::MAX));
        let count = parts(len, PAYLOAD_MAX);
        let mut left = len;
        let mut bytes = first.iter().chain(second).copied();
        for part in 0..count {
            let size = left.min(PAYLOAD_MAX);
            left = left.saturating_sub(size);
            if self.sink.is_none() {
                self.count(size);
                continue;
            }
            let mut payload = [0; PAYLOAD_MAX];
            for (to, from) in payload.iter_mut().take(size).zip(&mut bytes) {
                *to = from;
            }
            self.chunk(kind, cpu, part, count, payload.get(..size).unwrap_or(&[]))?;
        }
        Ok(())
    }

    fn memory(
        &mut self,
        kind: Kind,
        cpu: u16,
        address: u64,
        len: u32,
        mut read: impl FnMut(u64, &mut [u8]) -> bool,
    ) -> Result<(), SinkError> {
        let len = (len as usize).min(MEMORY_MAX * usize::from(u16::MAX));
        if len == 0 {
            return self.failed.map_or(Ok(()), Err);
        }
        let count = parts(len, MEMORY_MAX);
        let mut left = len;
        let mut at = address;
        for part in 0..count {
            let size = left.min(MEMORY_MAX);
            left = left.saturating_sub(size);
            if self.sink.is_none() {
                self.count(size.saturating_add(8));
                continue;
            }
            // Not sent when an earlier chunk failed: no reading of memory for nothing.
            if let Some(error) = self.failed {
                return Err(error);
            }
            let mut payload = [0; PAYLOAD_MAX];
            let (to, data) = payload.split_first_chunk_mut::<8>().ok_or(SinkError::Device)?;
            *to = at.to_le_bytes();
            let got = data.get_mut(..size).is_some_and(|data| read(at, data));
            // The address alone means that nothing could be read there.
            let size_sent = if got { size.saturating_add(8) } else { 8 };
            self.chunk(kind, cpu, part, count, payload.get(..size_sent).unwrap_or(&[]))?;
            at = at.wrapping_add(size as u64);
        }
        Ok(())
    }

    fn chunk(
        &mut self,
        kind: Kind,
        cpu: u16,
        part: u16,
        parts: u16,
        payload: &[u8],
    ) -> Result<(), SinkError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let mut line = Line::new();
        line.all(&[RECORD_VERSION, kind as u8]);
        line.all(&cpu.to_le_bytes());
        line.all(&self.record.to_le_bytes());
        line.all(&self.sequence.to_le_bytes());
        line.all(&part.to_le_bytes());
        line.all(&parts.to_le_bytes());
        line.all(&(payload.len() as u16).to_le_bytes());
        line.all(payload);
        let text = line.finish();
        self.bytes = self.bytes.saturating_add(text.len() as u64);
        self.sequence = self.sequence.wrapping_add(1);
        if let Some(sink) = &mut self.sink
            && let Err(error) = sink.write(text)
        {
            self.failed = Some(error);
            return Err(error);
        }
        Ok(())
    }

    fn count(&mut self, payload: usize) {
        let chunk = CHUNK_HEADER_BYTES.saturating_add(payload).saturating_add(4);
        let line = MARKER.len().saturating_add(chunk.div_ceil(3).saturating_mul(4)).saturating_add(1);
        self.bytes = self.bytes.saturating_add(line as u64);
        self.sequence = self.sequence.wrapping_add(1);
    }
}

fn cpu_field(cpu: Option<CpuIndex>) -> u16 {
    cpu.map_or(NO_CPU, |cpu| cpu.0)
}

/// How many chunks `len` bytes need; an empty item is one empty chunk.
const fn parts(len: usize, each: usize) -> u16 {
    let parts = len.div_ceil(each);
    if parts == 0 { 1 } else { parts as u16 }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// One line: takes the bytes of a chunk, keeps their CRC, and holds the base64 text.
struct Line {
    text: [u8; LINE_MAX],
    len: usize,
    /// Up to three bytes that wait for a group of four characters.
    group: u32,
    waiting: u8,
    crc: Crc32,
}

impl Line {
    fn new() -> Self {
        let mut line = Self { text: [0; LINE_MAX], len: 0, group: 0, waiting: 0, crc: Crc32::new() };
        for &byte in MARKER {
            line.put(byte);
        }
        line
    }

    fn all(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.crc.update(byte);
            self.encode(byte);
        }
    }

    fn finish(&mut self) -> &[u8] {
        for byte in self.crc.value().to_le_bytes() {
            self.encode(byte);
        }
        let missing = match self.waiting {
            1 => 2,
            2 => 1,
            _ => 0,
        };
        for _ in 0..missing {
            self.encode(0);
        }
        // The characters that stand only for the zeros just added.
        let end = self.len;
        for slot in self.text.iter_mut().take(end).skip(end.saturating_sub(missing)) {
            *slot = b'=';
        }
        self.put(b'\n');
        self.text.get(..self.len).unwrap_or(&[])
    }

    fn encode(&mut self, byte: u8) {
        self.group = (self.group << 8) | u32::from(byte);
        self.waiting = self.waiting.wrapping_add(1);
        if self.waiting == 3 {
            let group = self.group;
            for shift in [18_u32, 12, 6, 0] {
                // The mask keeps the index below 64, so the character is always there.
                let character =
                    ALPHABET.get((group.wrapping_shr(shift) & 63) as usize).copied().unwrap_or(b'A');
                self.put(character);
            }
            (self.group, self.waiting) = (0, 0);
        }
    }

    /// `LINE_MAX` is the longest line there is, so nothing is ever left out.
    fn put(&mut self, byte: u8) {
        if let Some(slot) = self.text.get_mut(self.len) {
            *slot = byte;
            self.len = self.len.wrapping_add(1);
        }
    }
}

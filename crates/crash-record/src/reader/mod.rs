//! The reader on the host: from the bytes of a serial log to a [`CrashRecord`].

mod assemble;
mod damage;
mod record;
mod scan;

pub use damage::{BadLine, Damage, ReadError};
pub use record::{CpuRecord, CrashRecord, Memory, NamedValue, OtherRecord, Region};

use std::collections::BTreeMap;
use std::vec::Vec;

use crate::format::Kind;
use scan::{Chunk, Scan};

/// Reads the record in a serial log.
///
/// The log may hold anything before, after and between the lines of the record: other text on the same line, prefixes
/// such as time stamps, carriage returns, duplicated, corrupted or cut lines, lines wrapped by a terminal. Of several
/// records the last complete one is taken, or without one the one with the most chunks; [`CrashRecord::others`] tells
/// of the rest. Never panics.
///
/// # Errors
/// When not one chunk could be read: see [`ReadError`]. Everything else is a record with [`CrashRecord::damage`].
pub fn read(log: &[u8]) -> Result<CrashRecord, ReadError> {
    let Scan { chunks, bad_lines, markers, foreign } = scan::scan(log);
    let mut candidates: BTreeMap<u32, Candidate> = BTreeMap::new();
    for (place, chunk) in chunks.into_iter().enumerate() {
        let candidate = candidates.entry(chunk.record).or_default();
        candidate.last = place;
        candidate.conflicts.extend(
            candidate
                .chunks
                .insert(chunk.sequence, chunk.clone())
                .filter(|earlier| *earlier != chunk)
                .map(|earlier| earlier.sequence),
        );
    }
    let mut candidates: Vec<Candidate> = candidates.into_values().collect();
    candidates.sort_by_key(|candidate| (candidate.is_complete(), candidate.rank(), candidate.last));
    let Some(chosen) = candidates.pop() else {
        return Err(match (markers, foreign) {
            (0, Some(version)) => ReadError::OtherFraming { version },
            (0, None) => ReadError::NoRecord,
            (lines, _) => ReadError::NothingReadable { lines },
        });
    };
    let others = candidates.iter().map(Candidate::describe).collect();
    assemble::assemble(chosen, others, bad_lines)
}

/// The chunks of one record in the log.
#[derive(Default)]
struct Candidate {
    chunks: BTreeMap<u32, Chunk>,
    /// Sequence numbers of which two different chunks were found.
    conflicts: Vec<u32>,
    /// Place of its last chunk among all chunks of the log.
    last: usize,
}

impl Candidate {
    fn header(&self) -> Option<crate::Header> {
        let chunk = self.chunks.get(&0).filter(|chunk| chunk.kind == Kind::Header as u8)?;
        crate::Header::decode(&chunk.payload)
    }

    fn end_count(&self) -> Option<u32> {
        let chunk = self.chunks.values().next_back().filter(|chunk| chunk.kind == Kind::End as u8)?;
        Some(u32::from_le_bytes(*chunk.payload.first_chunk()?))
    }

    /// The number of chunks that the record should have, if anything says. The end knows better than the header what
    /// was sent: the count in the header was made before.
    fn total(&self) -> Option<u32> {
        self.end_count()
            .or_else(|| self.header().map(|header| header.total_chunks).filter(|&total| total != 0))
    }

    fn is_complete(&self) -> bool {
        self.header().is_some()
            && self.end_count().is_some()
            && self.total() == u32::try_from(self.chunks.len()).ok()
            && self.chunks.keys().copied().eq(0..self.chunks.len() as u32)
    }

    /// Complete records are ranked by their place alone, others by their size first.
    fn rank(&self) -> usize {
        if self.is_complete() { 0 } else { self.chunks.len() }
    }

    fn describe(&self) -> OtherRecord {
        OtherRecord { chunks: self.chunks.len(), total: self.total(), complete: self.is_complete() }
    }
}

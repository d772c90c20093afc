//! From the bytes of a log to chunks whose CRC is right.

use std::vec::Vec;

use super::damage::BadLine;
use crate::crc::Crc32;
use crate::format::{CHUNK_HEADER_BYTES, CHUNK_MAX, MARKER, PAYLOAD_MAX};

/// A chunk as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub version: u8,
    pub kind: u8,
    pub cpu: u16,
    pub record: u32,
    pub sequence: u32,
    pub part: u16,
    pub parts: u16,
    pub payload: Vec<u8>,
}

pub(super) struct Scan {
    pub chunks: Vec<Chunk>,
    pub bad_lines: Vec<BadLine>,
    /// Markers found.
    pub markers: usize,
    /// The digit of a marker of another framing.
    pub foreign: Option<u8>,
}

pub(super) fn scan(log: &[u8]) -> Scan {
    let mut scan = Scan { chunks: Vec::new(), bad_lines: Vec::new(), markers: 0, foreign: None };
    let mut line = 1;
    let mut counted = 0;
    let mut rest_at = 0;
    while let Some(found) = find(log.get(rest_at..).unwrap_or(&[]), b"~psmp") {
        let at = rest_at + found;
        rest_at = at + 1;
        let text = log.get(at..).unwrap_or(&[]);
        let Some(text) = text.strip_prefix(MARKER) else {
            if let [_, _, _, _, _, version @ b'0'..=b'9', b':', ..] = text {
                scan.foreign = Some(version - b'0');
            }
            continue;
        };
        line += log.get(counted..at).unwrap_or(&[]).iter().filter(|&&byte| byte == b'\n').count();
        counted = at;
        scan.markers += 1;
        match chunk(text, false).or_else(|reason| chunk(text, true).map_err(|_| reason)) {
            Ok(chunk) => scan.chunks.push(chunk),
            Err(problem) => scan.bad_lines.push(BadLine { line, offset: at, problem }),
        }
    }
    scan
}

/// Decodes the chunk at the start of the text. `wrapped`: line ends may be anywhere in it.
fn chunk(text: &[u8], wrapped: bool) -> Result<Chunk, &'static str> {
    let characters = text
        .iter()
        .copied()
        .filter(|&byte| !(wrapped && matches!(byte, b'\r' | b'\n')))
        .map_while(value_of)
        .take(CHUNK_MAX.div_ceil(3) * 4);
    let bytes = decode(characters);
    let (header, rest) = bytes.split_first_chunk::<CHUNK_HEADER_BYTES>().ok_or("cut short")?;
    let [version, kind, c0, c1, r0, r1, r2, r3, s0, s1, s2, s3, p0, p1, n0, n1, l0, l1] = *header;
    let len = usize::from(u16::from_le_bytes([l0, l1]));
    if len > PAYLOAD_MAX {
        return Err("corrupted");
    }
    let (payload, rest) = rest.split_at_checked(len).ok_or("cut short")?;
    let crc = rest.first_chunk::<4>().ok_or("cut short")?;
    if Crc32::of(bytes.get(..CHUNK_HEADER_BYTES + len).unwrap_or(&[])) != u32::from_le_bytes(*crc) {
        return Err("corrupted");
    }
    Ok(Chunk {
        version,
        kind,
        cpu: u16::from_le_bytes([c0, c1]),
        record: u32::from_le_bytes([r0, r1, r2, r3]),
        sequence: u32::from_le_bytes([s0, s1, s2, s3]),
        part: u16::from_le_bytes([p0, p1]),
        parts: u16::from_le_bytes([n0, n1]),
        payload: payload.to_vec(),
    })
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Decodes base64; the bits of an incomplete last byte are dropped.
fn decode(values: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut bits, mut waiting) = (0_u32, 0_u32);
    for value in values {
        bits = ((bits << 6) | u32::from(value)) & 0xFFFF;
        waiting += 6;
        if waiting >= 8 {
            waiting -= 8;
            out.push((bits >> waiting) as u8);
        }
    }
    out
}

fn value_of(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

//! Nothing that happens to a log makes the reader panic, and nothing lost goes unsaid.

mod common;

use std::sync::LazyLock;

use common::*;
use crash_record::{CrashRecord, elf_core, read};
use proptest::prelude::*;

static LOG: LazyLock<Vec<u8>> = LazyLock::new(|| record(SMALL));
static WHOLE: LazyLock<CrashRecord> = LazyLock::new(|| read(&LOG).unwrap());

/// A record that calls itself complete holds exactly what was sent.
fn check(log: &[u8]) -> bool {
    let Ok(record) = read(log) else { return false };
    let _ = elf_core(&record);
    for problem in &record.damage {
        let _ = problem.to_string();
    }
    if record.is_complete() {
        let plain = CrashRecord { damage: Vec::new(), ..record };
        assert_eq!(plain, *WHOLE, "called complete, but is not what was sent");
        return true;
    }
    assert!(!record.damage.is_empty());
    false
}

#[test]
fn truncated_at_every_byte() {
    for len in 0..LOG.len() {
        // Without its last newline the last line is still whole; its padding characters carry nothing either.
        let complete = check(&LOG[..len]);
        let padding = LOG.iter().rev().take_while(|&&byte| matches!(byte, b'\n' | b'=')).count();
        assert_eq!(complete, len >= LOG.len() - padding, "cut at byte {len} of {}", LOG.len());
    }
}

#[test]
fn every_byte_corrupted() {
    let mut unharmed = 0;
    for at in 0..LOG.len() {
        let mut log = LOG.clone();
        log[at] = if log[at] == b'Q' { b'R' } else { b'Q' };
        unharmed += usize::from(check(&log));
    }
    // Newlines and padding carry nothing; a changed last character may differ only in bits that are not used.
    let carry_nothing = LOG.iter().filter(|byte| matches!(byte, b'\n' | b'=')).count();
    let lines = LOG.iter().filter(|&&byte| byte == b'\n').count();
    assert!((carry_nothing..=carry_nothing + lines).contains(&unharmed), "{unharmed} of {}", LOG.len());
}

#[test]
fn every_line_lost_is_said() {
    let lines: Vec<&[u8]> = LOG.split_inclusive(|&byte| byte == b'\n').collect();
    for lost in 0..lines.len() {
        let log: Vec<u8> = lines
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != lost)
            .flat_map(|(_, line)| *line)
            .copied()
            .collect();
        assert!(!check(&log), "line {lost} is missing");
    }
}

#[test]
fn half_of_the_registers_are_the_true_half() {
    let lines: Vec<&[u8]> = LOG.split_inclusive(|&byte| byte == b'\n').collect();
    // Header, two summaries, then two chunks per CPU.
    for (lost, present) in [(3, "ldtr"), (4, "r15")] {
        let log: Vec<u8> = lines
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != lost)
            .flat_map(|(_, line)| *line)
            .copied()
            .collect();
        let record = read(&log).unwrap();
        let found = record.cpus[0].registers.as_deref().unwrap();
        let wanted = registers(0);
        for (found, wanted) in found.iter().zip(wanted.iter()) {
            assert!(!found.valid || found.value == wanted.value, "{}", found.field.name);
        }
        // The mask of valid registers is in the first half: without it nothing is known to be true.
        assert_eq!(found.get(present).is_some(), lost == 4);
        assert_eq!(found.get("cr8"), None, "a register of the lost half");
    }
}

proptest! {
    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        check(&bytes);
    }

    #[test]
    fn random_bytes_after_a_marker(lines in prop::collection::vec("[A-Za-z0-9+/=~:\r\n]{0,310}", 0..8)) {
        let log: String = lines.iter().flat_map(|line| ["~psmp1:", line, "\n"]).collect();
        check(log.as_bytes());
    }

    #[test]
    fn cut_out_repeated_and_overwritten(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..400_usize, 0..3_u8), 1..6)
    ) {
        let mut log = LOG.clone();
        for (at, len, what) in cuts {
            if log.is_empty() { break; }
            let at = at.index(log.len());
            let end = (at + len).min(log.len());
            match what {
                0 => drop(log.drain(at..end)),
                1 => log[at..end].fill(b'z'),
                _ => { let piece = log[at..end].to_vec(); log.splice(at..at, piece); }
            }
        }
        check(&log);
    }

    /// Chunks with a right CRC and any content: what a newer or a broken writer could send.
    #[test]
    fn valid_frames_with_any_content(chunks in prop::collection::vec(
        (0..3_u8, 0..17_u8, prop_oneof![0..4_u16, Just(u16::MAX), any::<u16>()], 0..6_u32, 0..4_u16, 0..4_u16,
         prop::collection::vec(any::<u8>(), 0..193)), 0..12)) {
        let mut log = Vec::new();
        for (version, kind, cpu, sequence, part, parts, payload) in chunks {
            let mut chunk = vec![version.max(1), kind];
            chunk.extend(cpu.to_le_bytes());
            chunk.extend(7_u32.to_le_bytes());
            chunk.extend(sequence.to_le_bytes());
            chunk.extend(part.to_le_bytes());
            chunk.extend(parts.to_le_bytes());
            chunk.extend((payload.len() as u16).to_le_bytes());
            chunk.extend(payload);
            chunk.extend(crc32(&chunk).to_le_bytes());
            log.extend(b"~psmp1:");
            log.extend(base64(&chunk).bytes());
            log.push(b'\n');
        }
        if let Ok(record) = read(&log) {
            let _ = elf_core(&record);
        }
    }
}

/// The checksum and the encoding of the specification, written a second time on purpose.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits =
            group.iter().enumerate().fold(0_u32, |bits, (at, &byte)| bits | u32::from(byte) << (16 - 8 * at));
        for place in 0..4 {
            if place > group.len() {
                out.push('=');
            } else {
                out.push(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize] as char);
            }
        }
    }
    out
}

#[test]
fn the_writer_uses_the_encoding_of_the_specification() {
    let line = LOG.split(|&byte| byte == b'\n').next().unwrap();
    let header = [1, 1, 0xFF, 0xFF];
    assert!(line.starts_with(format!("~psmp1:{}", &base64(&header)[..5]).as_bytes()));
    assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
}

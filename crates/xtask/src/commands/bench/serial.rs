//! How long the record takes on a real serial line: its bytes, phase by phase.

use crash_record::Kind;

use super::Bench;
use super::document::{Part, Row, Table};
use super::elf::Elf;
use crate::error::{Error, Result};
use crate::machine::{COMPLETE, Machine, Options};
use crate::progress::step;
use crate::session::armed_line;

const MACHINES: [u32; 3] = [16, 64, 224];
/// Bits per second.
const BAUD: f64 = 115_200.0;
/// Bits on the line for each byte: start, eight, stop.
const BITS: f64 = 10.0;

/// What a person has when a phase has left, and the last kind of chunk that belongs to it; `None` for text.
const PHASES: &[(&str, Option<Kind>)] = &[
    ("the first line: who may still be running", None),
    ("the report", None),
    ("the state and the verdict of each CPU", Some(Kind::Summary)),
    ("the registers of each CPU", Some(Kind::Basic)),
    ("messages, board, NMI source", Some(Kind::NamedValue)),
    ("APIC and vector state", Some(Kind::FxSave)),
    ("everything: stacks and regions", Some(Kind::End)),
];

/// The part.
pub fn measure(bench: &Bench, _: &Elf<'_>) -> Result<Part> {
    let log = bench.workspace.folder("bench")?.join("serial.log");
    let mut columns = Vec::new();
    for cpus in MACHINES {
        step(&format!("serial: the record of {cpus} CPUs"));
        let options = Options::new(cpus, "");
        let mut machine = Machine::boot(&bench.image.boot, &options, &log)?;
        machine.wait_for_line(&armed_line(cpus), options.limit)?;
        machine.press()?;
        machine.wait_for_line(COMPLETE, options.limit)?;
        let serial = machine.end(std::time::Duration::from_secs(2))?.serial;
        columns.push(ends(&String::from_utf8_lossy(&serial), &armed_line(cpus))?);
    }
    let mut part = Part { how: HOW.into(), ..Part::default() };
    for (cpus, ends) in MACHINES.iter().zip(&columns) {
        let all = ends.last().copied().unwrap_or_default();
        part.rows.push(Row::stated(format!("record of {cpus} CPUs at 115200 baud"), seconds(all)));
    }
    part.tables.push(Table {
        title: "Seconds from the report's start until a phase has left the machine, at 115200 baud.".into(),
        columns: vec!["what has left", "16 CPUs", "64 CPUs", "224 CPUs"],
        lines: PHASES
            .iter()
            .enumerate()
            .map(|(phase, (what, _))| {
                let cells = columns.iter().map(|ends| seconds(ends[phase]));
                std::iter::once((*what).to_owned()).chain(cells).collect()
            })
            .collect(),
    });
    Ok(part)
}

const HOW: &str = "\
Computed: bytes of a real record, with two bytes at each line's end, times ten bits at 115200 bits per second. The record \
is that of `nmi-button` with 2 KiB of each stack (4 KiB of the winner's). Nothing else takes time that counts: making a \
line is microseconds.";

fn seconds(bytes: usize) -> String {
    let seconds = bytes as f64 * BITS / BAUD;
    if seconds < 10.0 { format!("{seconds:.2} s") } else { format!("{seconds:.0} s") }
}

/// How many bytes after the line `armed` each phase ends.
fn ends(serial: &str, armed: &str) -> Result<Vec<usize>> {
    let missing = |what: &str| Error::Invalid(format!("the log has no {what}"));
    let report = serial.lines().skip_while(|line| *line != armed).skip(1).skip_while(|line| line.is_empty());
    let mut ends = vec![0; PHASES.len()];
    let mut sent = 0;
    for line in report {
        sent += line.len() + 2;
        if line == COMPLETE {
            break;
        }
        let phase = match kind(line) {
            None if ends[0] == 0 => 0,
            None => 1,
            Some(Kind::Header) => continue,
            Some(kind) => PHASES
                .iter()
                .position(|(_, last)| last.is_some_and(|last| kind as u8 <= last as u8))
                .ok_or_else(|| missing("place for a kind of chunk"))?,
        };
        ends[phase] = sent;
    }
    // A phase that has no chunk of its own ends with the one before.
    for phase in 1..ends.len() {
        ends[phase] = ends[phase].max(ends[phase - 1]);
    }
    if ends[0] == 0 { Err(missing("report")) } else { Ok(ends) }
}

/// The kind of the chunk that `line` holds: its second byte. The first four characters after the marker are three bytes.
fn kind(line: &str) -> Option<Kind> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let text = line.strip_prefix("~psmp1:")?.as_bytes().get(..4)?;
    let word = text.iter().try_fold(0_u32, |word, character| {
        let value = ALPHABET.iter().position(|letter| letter == character)?;
        Some(word << 6 | value as u32)
    })?;
    Kind::ALL.into_iter().find(|kind| *kind as u32 == word >> 8 & 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_end_with_their_last_chunk() {
        let log = "noise\narmed: 1 CPUs\n\nall contained\nrow\n~psmp1:AQH//4lg\n~psmp1:AQIAAA==\n~psmp1:AQMAAA==\n\
                   ~psmp1:AQoAAA==\n~psmp1:AQ7//w==\npanic-smp: record complete\nlater\n";
        let ends = ends(log, "armed: 1 CPUs").unwrap();
        let (first, row, chunk) = (15, 5, 17);
        let report = first + row;
        assert_eq!(
            ends,
            [
                first,
                report,
                report + 2 * chunk,
                report + 3 * chunk,
                report + 3 * chunk,
                report + 3 * chunk,
                report + 5 * chunk
            ]
        );
        assert!(super::ends("armed: 1 CPUs\n", "armed: 1 CPUs").is_err());
        assert_eq!(seconds(11_520), "1.00 s");
    }
}

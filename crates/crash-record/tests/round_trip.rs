//! What the writer sends, the reader gives back: alone, amid noise, cut by the sink.

mod common;

use common::*;
use crash_record::{Damage, Header, ReadError, SinkError, Writer, read};
use stop_protocol::CpuIndex;

#[test]
fn everything_comes_back() {
    let log = record(FULL);
    let record = read(&log).unwrap();
    assert_eq!(record.damage, []);
    assert!(record.is_complete());
    assert_eq!(record.total_chunks, Some(record.chunks));
    assert_eq!(record.header, Some(Header { total_chunks: record.chunks, ..header(4) }));
    assert_eq!(record.winner(), Some(WINNER));
    assert_eq!(record.cpus.len(), 4);
    for (index, cpu) in record.cpus.iter().enumerate() {
        let index = index as u16;
        assert_eq!(cpu.index, CpuIndex(index));
        assert!(cpu.declared);
        assert_eq!(cpu.summary, Some(summary(index)));
        if index == 3 {
            assert!(
                cpu.registers.is_none() && cpu.apic.is_none() && cpu.fxsave.is_none() && cpu.stack.is_empty()
            );
            continue;
        }
        assert_eq!(cpu.registers.as_deref(), Some(&registers(index)));
        assert_eq!(cpu.apic.as_deref(), Some(&apic(index)));
        assert_eq!(cpu.fxsave.as_deref(), Some(&FXSAVE));
        let [slice] = cpu.stack.as_slice() else { panic!("{} slices", cpu.stack.len()) };
        assert_eq!((slice.address, slice.bytes.len()), (STACK + 0x1000 * u64::from(index), 400));
        assert!((slice.address..).zip(&slice.bytes).all(|(at, &byte)| byte == memory_byte(at)));
    }
    assert_eq!(record.messages, ["NMI button pressed — ünïcode"]);
    assert_eq!(record.cpus[0].messages, ["x".repeat(300)]);
    assert_eq!(record.cpus[1].messages, [""]);
    assert_eq!(record.boards, ["qemu"]);
    assert_eq!(record.cpus[2].nmi_sources, ["front panel"]);
    assert_eq!((record.values[0].name.as_str(), record.values[0].value), ("port 0x61", 0xA0));
    assert_eq!(record.cpus[1].values[0].value, 0xBE00_0000_0000_0001);
    assert_eq!(record.regions.len(), 2);
    assert_eq!((record.regions[0].name.as_str(), record.regions[0].memory[0].bytes.len()), ("journal", 200));
    assert_eq!((record.regions[1].name.as_str(), record.regions[1].memory.len()), ("nothing", 0));
    assert_eq!(record.log_tail.as_deref(), Some(b"first line\nsecond line\n".as_slice()));
}

#[test]
fn noise_around_and_between_changes_nothing() {
    let log = String::from_utf8(record(FULL)).unwrap();
    let plain = read(log.as_bytes()).unwrap();
    let mut noisy = b"SeaBIOS\r\n\xFF\x00garbage ~psmp ~psmp1 no colon\r\n".to_vec();
    for (number, line) in log.lines().enumerate() {
        match number % 4 {
            0 => noisy.extend(format!("[2026-01-01T00:00:{number:02}] com1: {line}\r\n").bytes()),
            1 => noisy.extend(format!("half a sentence{line}\n").bytes()),
            2 => noisy.extend(format!("{line} trailing text\r\n").bytes()),
            // Twice, and without a newline in between.
            _ => noisy.extend(format!("{line}{line}\n").bytes()),
        }
    }
    noisy.extend(b"panic-smp: record complete\r\n");
    assert_eq!(read(&noisy).unwrap(), plain);
}

#[test]
fn a_terminal_that_wraps_lines_is_undone() {
    let log = String::from_utf8(record(FULL)).unwrap();
    let mut wrapped = String::new();
    for line in log.lines() {
        for piece in line.as_bytes().chunks(80) {
            wrapped.push_str(core::str::from_utf8(piece).unwrap());
            wrapped.push_str("\r\n");
        }
    }
    assert_eq!(read(wrapped.as_bytes()).unwrap(), read(log.as_bytes()).unwrap());
}

#[test]
fn the_header_and_verdicts_survive_a_sink_that_fails() {
    let whole = read(&record(FULL)).unwrap();
    for limit in 1..whole.chunks as usize {
        let mut sink = Lines::new(limit);
        let mut writer =
            Writer::begin(&mut sink, &Header { total_chunks: whole.chunks, ..header(4) }).unwrap();
        let result = emit(&mut writer, FULL, registers);
        assert_eq!(writer.summary(CpuIndex(0), &summary(0)), result.and(Err(SinkError::Budget)));
        assert_eq!(writer.finish(), Err(SinkError::Budget));
        assert_eq!(sink.lines, limit, "nothing is sent after a failure");
        let part = read(&sink.text).unwrap();
        assert!(!part.is_complete());
        assert!(part.damage.contains(&Damage::NoEnd));
        assert!(
            part.damage.contains(&Damage::Missing { first: limit as u32, last: whole.chunks - 1 }),
            "{:?}",
            part.damage
        );
        assert_eq!(part.header, whole.header);
        assert_eq!(part.cpus.len(), 4, "declared CPUs are there, also without content");
        let summaries = part.cpus.iter().filter(|cpu| cpu.summary.is_some()).count();
        assert_eq!(summaries, (limit - 1).min(4));
    }
    let mut dead = Lines::new(0);
    assert_eq!(Writer::begin(&mut dead, &header(4)).err(), Some(SinkError::Budget));
}

#[test]
fn memory_that_the_machine_cannot_read_is_a_hole_that_is_named() {
    let hole = STACK + 0x1000 + 184;
    let record = read(&record(Plan { hole, ..FULL })).unwrap();
    assert!(record.is_complete(), "nothing was lost on the way");
    assert!(record.damage.contains(&Damage::Unreadable { address: hole, cpu: Some(CpuIndex(1)) }));
    assert_eq!(record.cpus[0].stack[0].bytes.len(), 400);
    assert_eq!(record.cpus[1].stack[0].bytes.len(), 184);
    assert!(record.cpus[2].stack.is_empty());
}

#[test]
fn a_count_that_changed_after_the_header_is_no_loss() {
    for announced in [0, 3, 1000] {
        let mut sink = Lines::new(usize::MAX);
        let header = Header { total_chunks: announced, ..header(4) };
        let mut writer = Writer::begin(&mut sink, &header).unwrap();
        emit(&mut writer, FULL, registers).unwrap();
        let end = writer.finish().unwrap();
        let record = read(&sink.text).unwrap();
        assert!(record.is_complete());
        assert_eq!(record.total_chunks, Some(end));
        let noted = [Damage::CountMismatch { header: announced, end }];
        assert_eq!(record.damage, if announced == 0 { &[] } else { noted.as_slice() });
    }
}

#[test]
fn of_two_records_the_last_complete_one_is_taken() {
    let first = record(FULL);
    let second = record_of(Header { tsc_decision: 7, ..header(2) }, SMALL, registers);
    let both = [first.as_slice(), b"reboot\n", &second].concat();
    let read_both = read(&both).unwrap();
    assert_eq!(read_both.header.unwrap().tsc_decision, 7);
    assert_eq!(read_both.others.len(), 1);
    assert!(read_both.others[0].complete && read_both.is_complete());

    // The second was cut: the first one is complete.
    let cut = &both[..both.len() - 50];
    let read_cut = read(cut).unwrap();
    assert_eq!(read_cut.header.unwrap().tsc_decision, 1_000_000);
    assert!(!read_cut.others[0].complete);

    // Neither is complete: the one with more chunks.
    let neither = [&first[..first.len() - 50], b"\n", &second[..second.len() - 50]].concat();
    let read_neither = read(&neither).unwrap();
    assert_eq!(read_neither.header.unwrap().tsc_decision, 1_000_000);
    assert!(!read_neither.is_complete());
}

#[test]
fn interleaved_records_are_told_apart() {
    let first = String::from_utf8(record(SMALL)).unwrap();
    let second = first.clone();
    let other = record_of(Header { tsc_decision: 7, ..header(2) }, SMALL, registers);
    let other = String::from_utf8(other).unwrap();
    let mixed: String =
        first.lines().zip(other.lines()).flat_map(|(a, b)| [a, "\n", b, "\n"]).collect::<String>() + &second;
    let record = read(mixed.as_bytes()).unwrap();
    assert!(record.is_complete());
    assert_eq!(record.others.len(), 1);
}

#[test]
fn no_record_has_a_reason() {
    assert_eq!(read(b""), Err(ReadError::NoRecord));
    assert_eq!(read(b"booting\narmed: 4 CPUs\n"), Err(ReadError::NoRecord));
    assert_eq!(read(b"~psmp1:AAAA\n~psmp1:\n"), Err(ReadError::NothingReadable { lines: 2 }));
    assert_eq!(read(b"~psmp9:AAAA\n"), Err(ReadError::OtherFraming { version: 9 }));
}

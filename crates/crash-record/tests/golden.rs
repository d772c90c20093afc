//! The golden record of each version of the format decodes for ever.
//!
//! A golden file is never changed. A change of the format that an old reader would not understand, or that an old
//! record would not satisfy, is a new version with a golden file of its own.

mod common;

use common::*;
use crash_record::{BasicRegisters, Header, read};
use stop_protocol::{Containment, RegisterSource};

const VERSION_1: &[u8] =
    include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/golden/record-v1.log"));

fn log_of_version_1() -> Vec<u8> {
    [b"SeaBIOS (version)\r\narmed: 4 CPUs\n".as_slice(), &record(FULL), b"panic-smp: record complete\n"]
        .concat()
}

#[test]
fn version_1_decodes() {
    let record = read(VERSION_1).unwrap();
    assert_eq!(record.damage, []);
    assert_eq!((record.version, record.chunks), (1, 46));
    let header = record.header.unwrap();
    // Values as they are in the file, not as today's code would write them.
    assert_eq!(header.total_chunks, 46);
    assert_eq!(header.declared_cpus, 4);
    assert_eq!(header.winner.unwrap().0, 2);
    assert_eq!(header.winner_apic_id, 0x14);
    assert_eq!((header.level as u8, header.cause.0, header.vector), (1, 2, 2));
    assert_eq!(header.build_id.as_bytes(), b"0123456789abcdefghij");
    assert_eq!(header.tsc_hz, 2_000_000_000);
    assert_eq!(
        (header.tsc_decision, header.tsc_stop_sent, header.tsc_contained),
        (1_000_000, 1_000_400, 1_050_000)
    );
    assert_eq!((header.image_base, header.image_end), (0x20_0000, 0x30_0000));
    let verdicts: Vec<_> = record.cpus.iter().map(|cpu| cpu.summary.unwrap().verdict).collect();
    assert_eq!(
        verdicts.iter().map(|verdict| verdict.registers).collect::<Vec<_>>(),
        [RegisterSource::Nmi, RegisterSource::Poll, RegisterSource::OwnPanic, RegisterSource::None]
    );
    assert_eq!(verdicts[0].containment, Containment::Stopped);
    assert_eq!(verdicts[2].containment, Containment::Reporting);
    assert_eq!(verdicts[3].containment, Containment::NeverStarted);
    let registers = record.cpus[1].registers.as_deref().unwrap();
    assert_eq!(registers.valid, (1 << 45) - 1);
    // Ids of fields are for ever, too.
    for (name, id) in
        [("r15", 1_u64), ("rbp", 5), ("rip", 16), ("gs", 26), ("kernel_gs_base", 27), ("ldtr", 45)]
    {
        assert_eq!(registers.get(name), Some(0xC1_0000_0000 | id), "{name}");
        assert_eq!(u64::from(BasicRegisters::id_of(name)) + 1, id, "{name}");
    }
    assert_eq!(registers.rsp, 0x20_1000);
    let apic = record.cpus[2].apic.as_deref().unwrap();
    assert_eq!((apic.id, apic.lvt_lint1, apic.isr[7]), (200, 207, 227));
    assert_eq!(record.cpus[0].fxsave.as_deref(), Some(&FXSAVE));
    assert_eq!((record.cpus[2].stack[0].address, record.cpus[2].stack[0].bytes.len()), (0x20_2000, 400));
    assert_eq!(record.messages, ["NMI button pressed — ünïcode"]);
    assert_eq!((record.regions[0].name.as_str(), record.regions[0].address), ("journal", 0x90_0000));
    assert_eq!(record.log_tail.as_deref(), Some(b"first line\nsecond line\n".as_slice()));
}

#[test]
fn the_writer_still_writes_version_1() {
    assert_eq!(Header::BYTES, 84);
    assert!(
        log_of_version_1() == VERSION_1,
        "the writer's output changed: that is a new version of the record, with a golden file of its own"
    );
}

/// How the golden file was made; for the file of the next version.
#[test]
#[ignore = "writes a golden file"]
fn write_golden_file() {
    let path = std::env::var_os("GOLDEN_FILE").expect("GOLDEN_FILE names the file to write");
    std::fs::write(path, log_of_version_1()).unwrap();
}

//! The board against the register model: which accesses, in which order.

use board_qemu::{BOARD, Qemu};
use nmi_source::model::{Location, Model, Register};
use nmi_source::{Board, Contained, ExternalNmi, Identification, Identified, Policy, Source};

const STATUS: Location = Location::Port(0x61);
const PVPANIC: Location = Location::Port(0x505);

/// Port 0x61: bits 7 and 6 hold a source until its disable bit (2, 3) is written as 1.
fn error_bus(value: u8) -> Register {
    Register::port8(0x61, "HP dc71xx Technical Reference Guide, page 4-15").holds(value.into()).on_write(
        |held, written| {
            assert_eq!(written & 0xF0, 0, "the upper half of port 0x61 must be written as 0");
            let mut status = *held & 0xF0;
            if written & 1 << 2 != 0 {
                status &= !(1 << 7);
            }
            if written & 1 << 3 != 0 {
                status &= !(1 << 6);
            }
            *held = status | written;
        },
    )
}

/// A port that nothing answers at. Writing to it fails the test.
fn absent(port: u16) -> Register {
    Register::port8(port, "an empty bus").holds(0xFF)
}

fn pvpanic(events: u8) -> Register {
    // A write is an event and changes nothing that can be read.
    Register::port8(0x505, "QEMU docs/specs/pvpanic").holds(events.into()).on_write(|_, _| {})
}

fn identified(board: &Qemu, model: &Model) -> Identified {
    match board.identify(&mut model.context()) {
        Identification::Mine(what) => what,
        Identification::NotMine => panic!("the board claims every NMI"),
    }
}

#[test]
fn an_nmi_that_no_register_explains_is_the_button_and_touches_nothing() {
    for quiet in [0x20, 0x30, 0x00, 0x0F] {
        let model = Model::new([error_bus(quiet)]);
        let what = identified(&BOARD, &model);
        assert_eq!((what.source(), what.policy()), (Source::Button, Policy::Panic));
        assert_eq!(what.raw_value("port 0x61"), Some(quiet.into()));
        BOARD.acknowledge(&mut model.context(), &what);
        assert_eq!(model.writes(), []);
    }
}

#[test]
fn serr_is_cleared_and_armed_again_with_the_speaker_as_it_was() {
    let model = Model::new([error_bus(0xB3)]);
    let what = identified(&BOARD, &model);
    assert_eq!(what.source(), Source::Serr);
    assert_eq!(model.writes(), [], "identifying must change nothing");
    BOARD.acknowledge(&mut model.context(), &what);
    assert_eq!(model.writes(), [(STATUS, 0x07), (STATUS, 0x03)]);
    assert_eq!(model.held(STATUS), 0x33);
    assert_eq!(identified(&BOARD, &model).source(), Source::Button);
}

#[test]
fn iochk_stays_off_for_a_millisecond_and_polls_for_the_stop_meanwhile() {
    let model = Model::new([error_bus(0x61)]);
    let what = identified(&BOARD, &model);
    assert_eq!(what.source(), Source::IoChk);
    BOARD.acknowledge(&mut model.context(), &what);
    assert_eq!(model.writes(), [(STATUS, 0x09), (STATUS, 0x01)]);
    assert!(model.elapsed_us() >= 1_000, "{} us", model.elapsed_us());
    assert!(model.polls() >= 1_000, "{} polls", model.polls());
    assert_eq!(model.held(STATUS), 0x21);
}

#[test]
fn both_sources_are_cleared_and_neither_is_left_off() {
    let model = Model::new([error_bus(0xC0)]);
    let what = identified(&BOARD, &model);
    assert_eq!(what.source(), Source::Serr, "SERR# says more");
    BOARD.acknowledge(&mut model.context(), &what);
    assert_eq!(model.held(STATUS), 0);
}

#[test]
fn a_source_that_firmware_had_disabled_stays_disabled() {
    // SERR# pending, IOCHK# disabled (bit 3).
    let model = Model::new([error_bus(0x88)]);
    let what = identified(&BOARD, &model);
    BOARD.acknowledge(&mut model.context(), &what);
    assert_eq!(model.writes(), [(STATUS, 0x0C), (STATUS, 0x08)]);
}

#[test]
fn a_source_that_raised_the_nmi_ends_armed_whatever_its_disable_bit_read_as() {
    for (found, left) in [(0x84, 0x00), (0x48, 0x00)] {
        let model = Model::new([error_bus(found)]);
        let what = identified(&BOARD, &model);
        BOARD.acknowledge(&mut model.context(), &what);
        assert_eq!(model.held(STATUS), left, "found {found:#x}");
    }
}

#[test]
fn a_status_that_never_clears_is_tried_once() {
    let model = Model::new([Register::port8(0x61, "stuck").holds(0xC0).on_write(|_, _| {})]);
    let what = identified(&BOARD, &model);
    BOARD.acknowledge(&mut model.context(), &what);
    assert_eq!(model.writes().len(), 4);
}

#[test]
fn a_clock_that_stands_still_does_not_hang_the_acknowledgement() {
    let model = Model::new([error_bus(0x40)]);
    model.set_tick(0);
    let what = identified(&BOARD, &model);
    BOARD.acknowledge(&mut model.context(), &what);
    assert_eq!(model.held(STATUS), 0);
}

#[test]
fn a_machine_without_port_61_has_a_button_all_the_same() {
    let model = Model::new([absent(0x61)]);
    let what = identified(&BOARD, &model);
    assert_eq!(what.source(), Source::Button);
    assert_eq!(what.raw().count(), 0);
    // Even if the port vanished between the two.
    BOARD.acknowledge(&mut model.context(), &Identified::new(Source::Serr, Policy::Panic));
    assert_eq!(model.writes(), []);
}

#[test]
fn policy_is_data() {
    let board = Qemu::new().with_policy(Source::Button, Policy::Ignore);
    assert_eq!(identified(&board, &Model::new([error_bus(0x20)])).policy(), Policy::Ignore);
    assert_eq!(identified(&board, &Model::new([error_bus(0x80)])).policy(), Policy::Panic);
}

#[test]
fn the_host_is_told_of_the_crash_and_not_made_to_act() {
    for events in [0b11, 0b111, 0b10] {
        let model = Model::new([pvpanic(events)]);
        BOARD.on_contained(&mut model.context(), &Contained::new());
        BOARD.on_recorded(&mut model.context());
        assert_eq!(model.writes(), [(PVPANIC, 0b10)]);
    }
}

#[test]
fn a_device_that_does_not_know_the_event_or_is_absent_is_left_alone() {
    for register in [pvpanic(0b01), absent(0x505), pvpanic(0)] {
        let model = Model::new([register]);
        BOARD.on_contained(&mut model.context(), &Contained::new());
        assert_eq!(model.writes(), []);
    }
}

#[test]
fn the_host_takes_over_after_the_record_where_that_was_asked_for() {
    let board = Qemu::new().hand_over_to_host();
    let model = Model::new([pvpanic(0b11)]);
    board.on_contained(&mut model.context(), &Contained::new());
    assert_eq!(model.writes(), [(PVPANIC, 0b10)]);
    board.on_recorded(&mut model.context());
    assert_eq!(model.writes(), [(PVPANIC, 0b10), (PVPANIC, 0b01)]);
}

#[test]
fn every_cpu_gets_the_button() {
    assert_eq!(BOARD.route(), Some(ExternalNmi::All));
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_exit_status_of_success_is_the_documented_one() {
    assert_eq!(board_qemu::SUCCESS_STATUS, 33);
}

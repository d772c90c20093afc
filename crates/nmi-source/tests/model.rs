//! The register model fails on what its table does not list.
#![cfg(feature = "model")]

use nmi_source::model::{Location, Model, Register};
use nmi_source::{Mmio, PciAddress, PciConfig, Port, Smn};

fn model() -> Model {
    Model::new([
        Register::port8(0x61, "invented").holds(0x30),
        Register::mmio32(0xFED0_0000, "invented").writable(),
        Register::smn32(0x13B1_0130, "invented").holds(1).on_write(|held, written| *held &= !written),
        Register::new(Location::Pci(function(), 0x50), 16, "invented").holds(0x1_2345),
    ])
}

fn function() -> PciAddress {
    PciAddress::new(0, 0, 31, 4).expect("fits")
}

#[test]
fn listed_registers_behave_as_their_rows_say() {
    let model = model();
    assert_eq!(model.in8(0x61), 0x30);
    Mmio::write32(&model, 0xFED0_0000, 7);
    assert_eq!(Mmio::read32(&model, 0xFED0_0000), 7);
    Smn::write32(&model, 0x13B1_0130, 1);
    assert_eq!(Smn::read32(&model, 0x13B1_0130), 0);
    // A value wider than the register does not show.
    assert_eq!(PciConfig::read16(&model, function(), 0x50), 0x2345);
    assert_eq!(model.writes(), [(Location::Mmio(0xFED0_0000), 7), (Location::Smn(0x13B1_0130), 1)]);
}

#[test]
#[should_panic(expected = "not in the table")]
fn another_address_fails() {
    model().in8(0x62);
}

#[test]
#[should_panic(expected = "not in the table")]
fn another_width_fails() {
    model().in16(0x61);
}

#[test]
#[should_panic(expected = "not in the table")]
fn a_write_elsewhere_fails() {
    Mmio::write32(&model(), 0xFED0_0004, 0);
}

#[test]
#[should_panic(expected = "read only")]
fn a_write_to_what_is_read_only_fails() {
    model().out8(0x61, 0);
}

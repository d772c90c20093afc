//! A 16550 serial port that is polled and never waited for without bound.
//!
//! # Context
//! NMI context, in any stage. No lock: a CPU that was stopped while it wrote cannot block the writer of the record;
//! at worst one of its bytes lies amid the record.

mod address;

use core::num::NonZeroU16;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::clock::{CLOCK, Clock, Microseconds};
use crate::cpu::registers::uart;
use crate::sink::{Sink, SinkError};

pub use address::UartAddress;

/// Longest wait for one byte. A full 16-byte FIFO at 9600 baud empties in 17 ms; slower lines do not carry a record.
const BYTE_TIMEOUT: Microseconds = Microseconds::from_millis(20);

/// The registers of a UART.
trait Registers {
    fn read(&self, register: u16) -> u8;
    fn write(&self, register: u16, value: u8);
}

/// A 16550 at I/O ports or in memory. PC16550D data sheet (National Semiconductor).
#[derive(Debug)]
pub struct Uart16550 {
    place: Place,
}

impl Uart16550 {
    /// The UART at this base port. Constructing it touches nothing.
    #[must_use]
    pub const fn at(base: u16) -> Self {
        Self { place: Place::new(UartAddress::ports(base)) }
    }

    /// The first serial port of a PC-compatible machine, at 0x3F8.
    #[must_use]
    pub const fn com1() -> Self {
        Self::at(uart::COM1)
    }

    /// Where its registers are.
    #[must_use]
    pub fn address(&self) -> UartAddress {
        self.place.address()
    }

    /// From now on this is the UART at `address`; that there was none at the last place is forgotten. Touches no
    /// register.
    ///
    /// Normal context. A write that is under way on another CPU, or that an NMI interrupted on this one, ends at the old
    /// place; each later one is at the new one.
    pub fn move_to(&self, address: UartAddress) {
        self.place.move_to(address);
    }

    /// Sets 8N1, empty FIFOs, DTR and RTS, and no interrupts; the divisor stays as the machine's firmware set it.
    ///
    /// Normal context at boot, CPL 0. Without it a port that the machine's firmware has set up works as it is.
    pub fn init(&self) {
        init(&self.address());
    }

    /// Sets the speed in bits per second, if the UART is at I/O ports, where its clock is the 1.8432 MHz of a PC, and
    /// that clock gives the speed exactly; whether it was set. The clock of a UART in memory is not known: it keeps its
    /// speed.
    ///
    /// Normal context at boot, CPL 0. A panic meanwhile writes its record all the same, at the speed that the UART has at
    /// that moment.
    pub fn set_speed(&self, baud: u32) -> bool {
        let address = self.address();
        match divisor(baud) {
            Some(divisor) if address.first_port().is_some() => {
                set_divisor(&address, divisor);
                true
            }
            _ => false,
        }
    }

    /// Writes the bytes, waiting for room at most 20 ms for each. Any context, CPL 0.
    ///
    /// # Errors
    /// `Absent` when no device answers: from then on, until it is moved, at once and without touching it. `TimedOut` at
    /// the first byte for which there was no room in time; the bytes before it are written.
    pub fn write(&self, bytes: &[u8], clock: &Clock) -> Result<(), SinkError> {
        write_at(&self.place, |address| address, bytes, clock)
    }
}

impl Sink for Uart16550 {
    fn write(&self, bytes: &[u8]) -> Result<(), SinkError> {
        self.write(bytes, &CLOCK)
    }
}

/// An address, and whether a device was missed there, as one word: neither is ever seen without the other.
#[derive(Debug)]
struct Place(AtomicU64);

/// No device answered at this address.
const ABSENT: u64 = 1 << 63;
const _: () = assert!(ABSENT & UartAddress::UNUSED == ABSENT);

impl Place {
    const fn new(address: UartAddress) -> Self {
        Self(AtomicU64::new(address.to_word()))
    }

    fn address(&self) -> UartAddress {
        UartAddress::from_word(self.word())
    }

    #[inline]
    fn word(&self) -> u64 {
        // Relaxed, here and below: the word is all there is to know, and publishes no memory. That the new place is
        // mapped for whoever reads it is the contract of `UartAddress::memory`.
        self.0.load(Ordering::Relaxed)
    }

    fn move_to(&self, address: UartAddress) {
        self.0.store(address.to_word(), Ordering::Relaxed);
    }

    /// No device answered at the address in `word`. Changes nothing if it was moved meanwhile.
    fn miss(&self, word: u64) {
        let _ = self.0.compare_exchange(word, word | ABSENT, Ordering::Relaxed, Ordering::Relaxed);
    }
}

/// See [`Uart16550::init`].
fn init(registers: &impl Registers) {
    // LCR first: it clears DLAB, with which IER would be half of the divisor.
    registers.write(uart::LCR, uart::LCR_8N1);
    registers.write(uart::IER, 0);
    registers.write(uart::FCR, uart::FCR_ENABLE_AND_CLEAR);
    registers.write(uart::MCR, uart::MCR_DTR_RTS);
}

/// The divisor for a speed in bits per second, if a PC's clock gives it exactly.
const fn divisor(baud: u32) -> Option<NonZeroU16> {
    if baud == 0 || !uart::FASTEST.is_multiple_of(baud) || uart::FASTEST / baud > u16::MAX as u32 {
        return None;
    }
    NonZeroU16::new((uart::FASTEST / baud) as u16)
}

/// Leaves 8N1. DLAB is closed again by whoever writes next, should this be interrupted for ever.
fn set_divisor(registers: &impl Registers, divisor: NonZeroU16) {
    let [low, high] = divisor.get().to_le_bytes();
    registers.write(uart::LCR, uart::LCR_8N1 | uart::LCR_DLAB);
    // With DLAB these two are the divisor.
    registers.write(uart::DATA, low);
    registers.write(uart::IER, high);
    registers.write(uart::LCR, uart::LCR_8N1);
}

/// See [`Uart16550::write`]. `open` leads to the registers at an address.
#[inline]
fn write_at<R: Registers>(
    place: &Place,
    open: impl FnOnce(UartAddress) -> R,
    bytes: &[u8],
    clock: &Clock,
) -> Result<(), SinkError> {
    // Read once: all of these bytes go to one place, also if it is moved meanwhile.
    let word = place.word();
    if word & ABSENT != 0 {
        return Err(SinkError::Absent);
    }
    let result = write(&open(UartAddress::from_word(word)), bytes, clock);
    if result == Err(SinkError::Absent) {
        place.miss(word);
    }
    result
}

fn write(registers: &impl Registers, bytes: &[u8], clock: &Clock) -> Result<(), SinkError> {
    if bytes.is_empty() {
        return Ok(());
    }
    // Whoever set the speed may have been stopped, for ever, with DLAB set: the bytes would become the divisor.
    let line = registers.read(uart::LCR);
    if line & uart::LCR_DLAB != 0 && line != uart::ABSENT {
        registers.write(uart::LCR, line & !uart::LCR_DLAB);
    }
    for &byte in bytes {
        let mut status = 0;
        let answered = clock.wait(BYTE_TIMEOUT, || {
            status = registers.read(uart::LSR);
            status & uart::LSR_THRE != 0
        });
        // All ones has THRE set and so ends the wait at its first poll.
        if status == uart::ABSENT {
            return Err(SinkError::Absent);
        }
        if !answered {
            return Err(SinkError::TimedOut);
        }
        registers.write(uart::DATA, byte);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use core::cell::{Cell, RefCell};
    use std::vec::Vec;

    use super::*;

    /// A UART whose transmitter is busy for some status reads after each byte.
    struct Model {
        status: Option<u8>,
        busy_reads: u32,
        busy: Cell<u32>,
        reads: Cell<u32>,
        line: Cell<u8>,
        divisor: Cell<[u8; 2]>,
        sent: RefCell<Vec<u8>>,
        writes: RefCell<Vec<(u16, u8)>>,
    }

    impl Model {
        fn new(status: Option<u8>, busy_reads: u32) -> Self {
            Self {
                status,
                busy_reads,
                busy: Cell::new(0),
                reads: Cell::new(0),
                line: Cell::new(status.unwrap_or(uart::LCR_8N1)),
                divisor: Cell::new([12, 0]),
                sent: RefCell::default(),
                writes: RefCell::default(),
            }
        }
    }

    impl Registers for &Model {
        fn read(&self, register: u16) -> u8 {
            self.reads.set(self.reads.get() + 1);
            if register == uart::LCR {
                return self.line.get();
            }
            assert_eq!(register, uart::LSR);
            if let Some(status) = self.status {
                return status;
            }
            if self.busy.get() > 0 {
                self.busy.set(self.busy.get() - 1);
                return 0;
            }
            uart::LSR_THRE
        }

        fn write(&self, register: u16, value: u8) {
            self.writes.borrow_mut().push((register, value));
            let latch = self.line.get() & uart::LCR_DLAB != 0;
            let [low, high] = self.divisor.get();
            match register {
                uart::LCR => self.line.set(value),
                uart::DATA if latch => self.divisor.set([value, high]),
                uart::IER if latch => self.divisor.set([low, value]),
                uart::DATA => {
                    assert_eq!(self.busy.get(), 0, "a byte was written while the transmitter was busy");
                    self.sent.borrow_mut().push(value);
                    self.busy.set(self.busy_reads);
                }
                _ => {}
            }
        }
    }

    fn clock() -> Clock {
        let clock = Clock::new();
        assert!(clock.set_hz(100_000_000));
        clock
    }

    #[test]
    fn every_byte_leaves_when_there_is_room() {
        let model = Model::new(None, 3);
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(write(&&model, &bytes, &clock()), Ok(()));
        assert_eq!(*model.sent.borrow(), bytes);
    }

    const COM2: UartAddress = UartAddress::ports(0x2F8);

    #[test]
    fn an_absent_port_is_read_once_and_never_again_until_it_is_moved() {
        let (absent, present) = (Model::new(Some(0xFF), 0), Model::new(None, 0));
        let open = |address| if address == COM2 { &present } else { &absent };
        let place = Place::new(UartAddress::COM1);
        assert_eq!(write_at(&place, open, b"text", &clock()), Err(SinkError::Absent));
        let reads = absent.reads.get();
        assert!(reads <= 2, "{reads}");
        assert_eq!(write_at(&place, open, b"text", &clock()), Err(SinkError::Absent));
        assert_eq!(absent.reads.get(), reads);
        assert!(absent.writes.borrow().is_empty());
        assert_eq!(place.address(), UartAddress::COM1);

        place.move_to(COM2);
        assert_eq!(write_at(&place, open, b"text", &clock()), Ok(()));
        assert_eq!(*present.sent.borrow(), b"text");
        // And back: whatever was found there before may have changed.
        place.move_to(UartAddress::COM1);
        assert_eq!(write_at(&place, open, b"text", &clock()), Err(SinkError::Absent));
        assert!(absent.reads.get() > reads);
    }

    #[test]
    fn a_device_that_was_missed_at_the_old_place_is_not_missed_at_the_new_one() {
        let absent = Model::new(Some(0xFF), 0);
        let place = Place::new(UartAddress::COM1);
        // Moved by another CPU after this one has read where to write.
        let open = |_| {
            place.move_to(COM2);
            &absent
        };
        assert_eq!(write_at(&place, open, b"text", &clock()), Err(SinkError::Absent));
        let present = Model::new(None, 0);
        assert_eq!(write_at(&place, |_| &present, b"text", &clock()), Ok(()));
    }

    #[test]
    fn a_stuck_transmitter_times_out_and_is_tried_again() {
        let model = Model::new(Some(0), 0);
        let place = Place::new(UartAddress::COM1);
        assert_eq!(write_at(&place, |_| &model, b"text", &clock()), Err(SinkError::TimedOut));
        let reads = model.reads.get();
        assert_eq!(write_at(&place, |_| &model, b"text", &clock()), Err(SinkError::TimedOut));
        assert!(model.sent.borrow().is_empty());
        assert!(model.reads.get() > reads);
    }

    #[test]
    fn nothing_to_write_touches_nothing() {
        let model = Model::new(Some(0xFF), 0);
        assert_eq!(write(&&model, b"", &clock()), Ok(()));
        assert_eq!(model.reads.get(), 0);
    }

    #[test]
    fn init_leaves_the_divisor_alone() {
        let model = Model::new(None, 0);
        model.line.set(uart::LCR_8N1 | uart::LCR_DLAB);
        init(&&model);
        assert!(model.sent.borrow().is_empty());
        assert_eq!((model.line.get(), model.divisor.get()), (uart::LCR_8N1, [12, 0]));
    }

    #[test]
    fn a_speed_becomes_its_divisor() {
        for (baud, bytes) in [(115_200, [1, 0]), (57_600, [2, 0]), (9600, [12, 0]), (300, [0x80, 1])] {
            let model = Model::new(None, 0);
            set_divisor(&&model, divisor(baud).expect("exact"));
            assert_eq!((model.divisor.get(), model.line.get()), (bytes, uart::LCR_8N1), "{baud}");
        }
        for baud in [0, 1, 921_600, 14_401, u32::MAX] {
            assert_eq!(divisor(baud), None, "{baud}");
        }
    }

    /// Stops after some writes, as a CPU does that takes an NMI and never comes back.
    struct Stopped<'a> {
        model: &'a Model,
        writes: Cell<u32>,
    }

    impl Registers for Stopped<'_> {
        fn read(&self, register: u16) -> u8 {
            self.model.read(register)
        }

        fn write(&self, register: u16, value: u8) {
            if let Some(left) = self.writes.get().checked_sub(1) {
                self.writes.set(left);
                self.model.write(register, value);
            }
        }
    }

    #[test]
    fn a_record_leaves_whole_wherever_setting_the_speed_was_interrupted() {
        for writes in 0..=4 {
            let model = Model::new(None, 0);
            set_divisor(&Stopped { model: &model, writes: Cell::new(writes) }, divisor(9600).expect("exact"));
            assert_eq!(write(&&model, b"record", &clock()), Ok(()));
            assert_eq!(*model.sent.borrow(), b"record", "after {writes} writes");
        }
    }

    #[test]
    fn the_speed_of_a_uart_in_memory_is_kept() {
        let uart = Uart16550::com1();
        assert_eq!(uart.address(), UartAddress::COM1);
        // SAFETY: nothing is written there: that is what is tested.
        uart.move_to(unsafe { UartAddress::memory(0x1000, 4, 4) }.expect("aligned"));
        assert!(!uart.set_speed(9600));
    }
}

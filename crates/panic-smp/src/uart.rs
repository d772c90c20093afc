//! A 16550 serial port that is polled and never waited for without bound.
//!
//! # Context
//! NMI context, in any stage. No lock: a CPU that was stopped while it wrote cannot block the writer of the record;
//! at worst one of its bytes lies amid the record.

use core::sync::atomic::{AtomicBool, Ordering};

use crate::clock::{CLOCK, Clock, Microseconds};
use crate::cpu;
use crate::cpu::registers::uart;
use crate::sink::{Sink, SinkError};

/// Longest wait for one byte. A full 16-byte FIFO at 9600 baud empties in 17 ms; slower lines do not carry a record.
pub const BYTE_TIMEOUT: Microseconds = Microseconds::from_millis(20);

/// The registers of a UART.
trait Registers {
    fn read(&self, register: u16) -> u8;
    fn write(&self, register: u16, value: u8);
}

/// Registers in I/O port space, from a base.
struct Ports(u16);

impl Registers for Ports {
    #[inline]
    fn read(&self, register: u16) -> u8 {
        // SAFETY: the panic path runs at CPL 0. Only LSR is read here, which clears error bits that nobody needs
        // any more.
        unsafe { cpu::inb(self.0.wrapping_add(register)) }
    }

    #[inline]
    fn write(&self, register: u16, value: u8) {
        // SAFETY: CPL 0; a UART in port space touches no memory.
        unsafe { cpu::outb(self.0.wrapping_add(register), value) }
    }
}

/// A 16550 at an I/O port. PC16550D data sheet (National Semiconductor).
#[derive(Debug)]
pub struct Uart16550 {
    base: u16,
    /// Set for ever by the first status read that found no device.
    absent: AtomicBool,
}

impl Uart16550 {
    /// The UART at this base port. Constructing it touches nothing.
    #[must_use]
    pub const fn at(base: u16) -> Self {
        Self { base, absent: AtomicBool::new(false) }
    }

    /// The first serial port of a PC-compatible machine, at 0x3F8.
    #[must_use]
    pub const fn com1() -> Self {
        Self::at(uart::COM1)
    }

    /// Sets 8N1, empty FIFOs, DTR and RTS, and no interrupts; the divisor stays as the machine's firmware set it.
    ///
    /// Normal context at boot, CPL 0. Without it a port that the machine's firmware has set up works as it is.
    pub fn init(&self) {
        init(&Ports(self.base));
    }

    /// Writes the bytes, waiting for room at most [`BYTE_TIMEOUT`] for each. Any context, CPL 0.
    ///
    /// # Errors
    /// `Absent` when no device answers at the port: from then on at once and without touching it. `TimedOut` at the
    /// first byte for which there was no room in time; the bytes before it are written.
    pub fn write(&self, bytes: &[u8], clock: &Clock) -> Result<(), SinkError> {
        write(&Ports(self.base), &self.absent, bytes, clock)
    }
}

impl Sink for Uart16550 {
    fn write(&self, bytes: &[u8]) -> Result<(), SinkError> {
        self.write(bytes, &CLOCK)
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

/// See [`Uart16550::write`].
#[inline]
fn write(
    registers: &impl Registers,
    absent: &AtomicBool,
    bytes: &[u8],
    clock: &Clock,
) -> Result<(), SinkError> {
    // Relaxed, here and below: the flag says something about the device, not about memory, and being late costs one
    // port read.
    if absent.load(Ordering::Relaxed) {
        return Err(SinkError::Absent);
    }
    for &byte in bytes {
        let mut status = 0;
        let answered = clock.wait(BYTE_TIMEOUT, || {
            status = registers.read(uart::LSR);
            status & uart::LSR_THRE != 0
        });
        // All ones has THRE set and so ends the wait at its first poll.
        if status == uart::LSR_ABSENT {
            absent.store(true, Ordering::Relaxed);
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
                sent: RefCell::default(),
                writes: RefCell::default(),
            }
        }
    }

    impl Registers for Model {
        fn read(&self, register: u16) -> u8 {
            assert_eq!(register, uart::LSR);
            self.reads.set(self.reads.get() + 1);
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
            if register == uart::DATA {
                assert_eq!(self.busy.get(), 0, "a byte was written while the transmitter was busy");
                self.sent.borrow_mut().push(value);
                self.busy.set(self.busy_reads);
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
        assert_eq!(write(&model, &AtomicBool::new(false), &bytes, &clock()), Ok(()));
        assert_eq!(*model.sent.borrow(), bytes);
    }

    #[test]
    fn an_absent_port_is_read_once_and_never_again() {
        let model = Model::new(Some(0xFF), 0);
        let absent = AtomicBool::new(false);
        assert_eq!(write(&model, &absent, b"text", &clock()), Err(SinkError::Absent));
        assert_eq!(write(&model, &absent, b"text", &clock()), Err(SinkError::Absent));
        assert_eq!(model.reads.get(), 1);
        assert!(model.sent.borrow().is_empty());
    }

    #[test]
    fn a_stuck_transmitter_times_out() {
        let model = Model::new(Some(0), 0);
        let absent = AtomicBool::new(false);
        assert_eq!(write(&model, &absent, b"text", &clock()), Err(SinkError::TimedOut));
        assert!(model.sent.borrow().is_empty());
        assert!(!absent.load(Ordering::Relaxed));
    }

    #[test]
    fn nothing_to_write_touches_nothing() {
        let model = Model::new(Some(0xFF), 0);
        assert_eq!(write(&model, &AtomicBool::new(false), b"", &clock()), Ok(()));
        assert_eq!(model.reads.get(), 0);
    }

    #[test]
    fn init_leaves_the_divisor_alone() {
        let model = Model::new(None, 0);
        init(&model);
        assert!(model.sent.borrow().is_empty());
        for &(register, value) in model.writes.borrow().iter() {
            assert!(register != uart::LCR || value & 0x80 == 0, "DLAB was set");
        }
        assert_eq!(model.writes.borrow().first(), Some(&(uart::LCR, 3)));
    }
}

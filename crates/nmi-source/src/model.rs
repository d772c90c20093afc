//! A device as a table of registers, for the host tests of board modules.
//!
//! An access that the table does not list (another address, another width, a write to what can only be read) fails
//! the test, and names itself. The table is the whole of what a board may touch, and each row says where it is
//! from.
//!
//! Time is the model's own: each look at the clock moves it on by [`Model::TICK_US`]. Nothing here waits.

extern crate alloc;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::fmt;

use stop_protocol::CpuIndex;

use crate::{Bus, Mmio, NmiContext, NmiEnvironment, PciAddress, PciConfig, Port, Smn};

/// Where a register is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// An I/O port.
    Port(u16),
    /// A physical address.
    Mmio(u64),
    /// A PCI function's configuration space, and the offset in it.
    Pci(PciAddress, u16),
    /// An address on AMD's System Management Network.
    Smn(u32),
}

/// One access that a board made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It read this value there.
    Read(Location, u64),
    /// It wrote this value there.
    Write(Location, u64),
}

type OnRead = Box<dyn FnMut(&mut u64, u64) -> u64>;
type OnWrite = Box<dyn FnMut(&mut u64, u64)>;

/// A row of the table: one register.
pub struct Register {
    location: Location,
    bits: u32,
    source: &'static str,
    held: u64,
    on_read: Option<OnRead>,
    on_write: Option<OnWrite>,
}

impl Register {
    /// A register of `bits` bits at `location`. `source` says where it is described. It holds zero and can be read
    /// only.
    #[must_use]
    pub fn new(location: Location, bits: u32, source: &'static str) -> Self {
        Self { location, bits, source, held: 0, on_read: None, on_write: None }
    }

    /// A byte-wide I/O port.
    #[must_use]
    pub fn port8(port: u16, source: &'static str) -> Self {
        Self::new(Location::Port(port), 8, source)
    }

    /// A four-byte device register in memory.
    #[must_use]
    pub fn mmio32(address: u64, source: &'static str) -> Self {
        Self::new(Location::Mmio(address), 32, source)
    }

    /// A register on AMD's System Management Network.
    #[must_use]
    pub fn smn32(address: u32, source: &'static str) -> Self {
        Self::new(Location::Smn(address), 32, source)
    }

    /// With this value in it.
    #[must_use]
    pub fn holds(mut self, value: u64) -> Self {
        self.held = value;
        self
    }

    /// Writable: it holds what was last written.
    #[must_use]
    pub fn writable(self) -> Self {
        self.on_write(|held, written| *held = written)
    }

    /// Writable: `react` gets the held value and the written one.
    #[must_use]
    pub fn on_write(mut self, react: impl FnMut(&mut u64, u64) + 'static) -> Self {
        self.on_write = Some(Box::new(react));
        self
    }

    /// A read gives what `react` makes of the held value and the time in microseconds.
    #[must_use]
    pub fn on_read(mut self, react: impl FnMut(&mut u64, u64) -> u64 + 'static) -> Self {
        self.on_read = Some(Box::new(react));
        self
    }
}

impl fmt::Debug for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {} bits ({}): {:#x}", self.location, self.bits, self.source, self.held)
    }
}

/// A machine of listed registers, with a clock and a stop request of its own.
pub struct Model {
    registers: RefCell<Vec<Register>>,
    accesses: RefCell<Vec<Access>>,
    now_us: Cell<u64>,
    tick_us: Cell<u64>,
    polls: Cell<u64>,
    stop_at_poll: Cell<Option<u64>>,
}

impl Model {
    /// How far each look at the clock moves it on, unless [`Model::set_tick`] said otherwise.
    pub const TICK_US: u64 = 1;

    /// A machine with these registers.
    #[must_use]
    pub fn new(registers: impl IntoIterator<Item = Register>) -> Self {
        Self {
            registers: RefCell::new(registers.into_iter().collect()),
            accesses: RefCell::new(Vec::new()),
            now_us: Cell::new(0),
            tick_us: Cell::new(Self::TICK_US),
            polls: Cell::new(0),
            stop_at_poll: Cell::new(None),
        }
    }

    /// The context of an NMI on CPU 0.
    #[must_use]
    pub fn context(&self) -> NmiContext<'_> {
        self.context_on(CpuIndex(0))
    }

    /// The context of an NMI on `cpu`.
    #[must_use]
    pub fn context_on(&self, cpu: CpuIndex) -> NmiContext<'_> {
        NmiContext::new(cpu, self)
    }

    /// Moves the clock on by this much at each look from now on. Zero: the clock stands still.
    pub fn set_tick(&self, tick_us: u64) {
        self.tick_us.set(tick_us);
    }

    /// The `poll`-th look for the stop request (the first is 1) finds it. "Never returns" is a panic here, with
    /// [`Model::STOPPED`] in its message.
    pub fn stop_at_poll(&self, poll: u64) {
        self.stop_at_poll.set(Some(poll));
    }

    /// What the panic says that stands for "this CPU stopped".
    pub const STOPPED: &'static str = "this CPU was told to stop, and stopped";

    /// How often the stop request was looked for.
    #[must_use]
    pub fn polls(&self) -> u64 {
        self.polls.get()
    }

    /// How much time has passed in the model.
    #[must_use]
    pub fn elapsed_us(&self) -> u64 {
        self.now_us.get()
    }

    /// Every access so far, in order.
    #[must_use]
    pub fn accesses(&self) -> Vec<Access> {
        self.accesses.borrow().clone()
    }

    /// Every write so far, in order.
    #[must_use]
    pub fn writes(&self) -> Vec<(Location, u64)> {
        self.accesses
            .borrow()
            .iter()
            .filter_map(|access| match *access {
                Access::Write(location, value) => Some((location, value)),
                Access::Read(..) => None,
            })
            .collect()
    }

    /// What the register at `location` holds, without an access.
    ///
    /// # Panics
    /// If the table has no such register.
    #[must_use]
    pub fn held(&self, location: Location) -> u64 {
        match self.registers.borrow().iter().find(|register| register.location == location) {
            Some(register) => register.held,
            None => panic!("no register at {location:?} in the table"),
        }
    }

    fn read(&self, location: Location, bits: u32) -> u64 {
        let mut registers = self.registers.borrow_mut();
        let Some(register) = registers.iter_mut().find(|row| row.location == location && row.bits == bits)
        else {
            panic!("read of {bits} bits at {location:?}, which is not in the table: {registers:#?}");
        };
        let value = match &mut register.on_read {
            Some(react) => react(&mut register.held, self.now_us.get()),
            None => register.held,
        } & mask(bits);
        self.accesses.borrow_mut().push(Access::Read(location, value));
        value
    }

    fn write(&self, location: Location, bits: u32, value: u64) {
        let mut registers = self.registers.borrow_mut();
        let Some(register) = registers.iter_mut().find(|row| row.location == location && row.bits == bits)
        else {
            panic!(
                "write of {value:#x}, {bits} bits, at {location:?}, which is not in the table: {registers:#?}"
            );
        };
        let Some(react) = &mut register.on_write else {
            panic!("write of {value:#x} to a register that can be read only: {register:?}");
        };
        react(&mut register.held, value);
        self.accesses.borrow_mut().push(Access::Write(location, value));
    }
}

const fn mask(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

impl NmiEnvironment for Model {
    fn poll_stop(&self) {
        let poll = self.polls.get() + 1;
        self.polls.set(poll);
        if self.stop_at_poll.get().is_some_and(|at| poll >= at) {
            panic!("{}", Self::STOPPED);
        }
    }

    fn now_us(&self) -> u64 {
        let now = self.now_us.get() + self.tick_us.get();
        self.now_us.set(now);
        now
    }

    fn bus(&self) -> Bus<'_> {
        Bus::new(self, self).with_pci(self).with_smn(self)
    }
}

impl Port for Model {
    fn in8(&self, port: u16) -> u8 {
        self.read(Location::Port(port), 8) as u8
    }
    fn in16(&self, port: u16) -> u16 {
        self.read(Location::Port(port), 16) as u16
    }
    fn in32(&self, port: u16) -> u32 {
        self.read(Location::Port(port), 32) as u32
    }
    fn out8(&self, port: u16, value: u8) {
        self.write(Location::Port(port), 8, value.into());
    }
    fn out16(&self, port: u16, value: u16) {
        self.write(Location::Port(port), 16, value.into());
    }
    fn out32(&self, port: u16, value: u32) {
        self.write(Location::Port(port), 32, value.into());
    }
}

impl Mmio for Model {
    fn read8(&self, address: u64) -> u8 {
        self.read(Location::Mmio(address), 8) as u8
    }
    fn read16(&self, address: u64) -> u16 {
        self.read(Location::Mmio(address), 16) as u16
    }
    fn read32(&self, address: u64) -> u32 {
        self.read(Location::Mmio(address), 32) as u32
    }
    fn read64(&self, address: u64) -> u64 {
        self.read(Location::Mmio(address), 64)
    }
    fn write8(&self, address: u64, value: u8) {
        self.write(Location::Mmio(address), 8, value.into());
    }
    fn write16(&self, address: u64, value: u16) {
        self.write(Location::Mmio(address), 16, value.into());
    }
    fn write32(&self, address: u64, value: u32) {
        self.write(Location::Mmio(address), 32, value.into());
    }
    fn write64(&self, address: u64, value: u64) {
        self.write(Location::Mmio(address), 64, value);
    }
}

impl PciConfig for Model {
    fn read8(&self, function: PciAddress, offset: u16) -> u8 {
        self.read(Location::Pci(function, offset), 8) as u8
    }
    fn read16(&self, function: PciAddress, offset: u16) -> u16 {
        self.read(Location::Pci(function, offset), 16) as u16
    }
    fn read32(&self, function: PciAddress, offset: u16) -> u32 {
        self.read(Location::Pci(function, offset), 32) as u32
    }
    fn write8(&self, function: PciAddress, offset: u16, value: u8) {
        self.write(Location::Pci(function, offset), 8, value.into());
    }
    fn write16(&self, function: PciAddress, offset: u16, value: u16) {
        self.write(Location::Pci(function, offset), 16, value.into());
    }
    fn write32(&self, function: PciAddress, offset: u16, value: u32) {
        self.write(Location::Pci(function, offset), 32, value.into());
    }
}

impl Smn for Model {
    fn read32(&self, address: u32) -> u32 {
        self.read(Location::Smn(address), 32) as u32
    }
    fn write32(&self, address: u32, value: u32) {
        self.write(Location::Smn(address), 32, value.into());
    }
}

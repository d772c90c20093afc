//! A local APIC in xAPIC mode, as far as this crate uses one, for the tests.

extern crate std;

use std::boxed::Box;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::vec::Vec;

use super::Registers;
use crate::cpu::registers::{apic, icr, lvt, svr};

type Interrupt = Box<dyn FnOnce(&Model)>;

pub(super) struct Model {
    registers: RefCell<BTreeMap<u32, u32>>,
    forbidden: RefCell<Vec<u32>>,
    sent: RefCell<Vec<(u32, u32)>>,
    accesses: Cell<u32>,
    interrupt: RefCell<Option<(u32, Interrupt)>>,
    keep_pending: Cell<bool>,
    keep_disabled: Cell<bool>,
    pending_error: Cell<u32>,
}

impl Model {
    /// As after reset, entries of the local vector table masked, six of them.
    pub(super) fn new() -> Self {
        let model = Self {
            registers: RefCell::default(),
            forbidden: RefCell::default(),
            sent: RefCell::default(),
            accesses: Cell::new(0),
            interrupt: RefCell::default(),
            keep_pending: Cell::new(false),
            keep_disabled: Cell::new(false),
            pending_error: Cell::new(0),
        };
        model.set(apic::VERSION, 0x0005_0014);
        model.set(apic::SVR, 0xFF);
        for offset in [apic::LVT_TIMER, apic::LVT_LINT0, apic::LVT_LINT1, apic::LVT_ERROR] {
            model.set(offset, lvt::MASKED);
        }
        model
    }

    /// Sets a register as the hardware would.
    pub(super) fn set(&self, offset: u32, value: u32) {
        self.registers.borrow_mut().insert(offset, value);
    }

    /// What a register holds.
    pub(super) fn get(&self, offset: u32) -> u32 {
        self.registers.borrow().get(&offset).copied().unwrap_or(0)
    }

    /// Every command sent, with the high half at that time.
    pub(super) fn sent(&self) -> Vec<(u32, u32)> {
        self.sent.borrow().clone()
    }

    /// How many accesses there were.
    pub(super) fn accesses(&self) -> u32 {
        self.accesses.get()
    }

    /// Any access to this register fails the test.
    pub(super) fn forbid(&self, offset: u32) {
        self.forbidden.borrow_mut().push(offset);
    }

    /// Runs an interrupt handler before the access of this number.
    pub(super) fn interrupt_before(&self, access: u32, handler: impl FnOnce(&Model) + 'static) {
        *self.interrupt.borrow_mut() = Some((access, Box::new(handler)));
    }

    /// A pending send never leaves.
    pub(super) fn keep_pending(&self) {
        self.keep_pending.set(true);
    }

    /// The software enable bit cannot be set.
    pub(super) fn keep_disabled(&self) {
        self.keep_disabled.set(true);
    }

    /// Errors since the last write to ESR.
    pub(super) fn pend_error(&self, bits: u32) {
        self.pending_error.set(bits);
    }

    fn access(&self, offset: u32) {
        assert!(!self.forbidden.borrow().contains(&offset), "access to register {offset:#x}");
        let due = self.interrupt.borrow().as_ref().is_some_and(|(at, _)| *at == self.accesses.get());
        if due && let Some((_, handler)) = self.interrupt.take() {
            handler(self);
        }
        self.accesses.set(self.accesses.get() + 1);
    }
}

impl Registers for Model {
    fn read(&self, offset: u32) -> u32 {
        self.access(offset);
        let value = self.get(offset);
        // A pending send leaves after it was seen once.
        if offset == apic::ICR_LOW && !self.keep_pending.get() {
            self.set(offset, value & !icr::PENDING);
        }
        value
    }

    fn write(&self, offset: u32, value: u32) {
        self.access(offset);
        let enabled = self.get(apic::SVR) & svr::ENABLE != 0;
        let value = match offset {
            apic::ICR_LOW => {
                self.sent.borrow_mut().push((self.get(apic::ICR_HIGH), value));
                value | icr::PENDING
            }
            apic::ESR => self.pending_error.replace(0),
            apic::SVR if self.keep_disabled.get() => value & !svr::ENABLE,
            apic::LVT_CMCI | apic::LVT_TIMER..=apic::LVT_ERROR if !enabled => value | lvt::MASKED,
            _ => value,
        };
        self.set(offset, value);
    }

    fn read_optional(&self, offset: u32) -> u32 {
        self.read(offset)
    }
}

//! What is saved of each CPU.
//!
//! # Context
//! Contain path, any context including NMI.

use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU64, Ordering};
use crash_record::{ApicState, BasicRegisters};

/// Bytes of a message that are kept.
pub(crate) const MESSAGE_BYTES: usize = 400;

/// A formatted message, cut to its room.
#[derive(Clone, Copy)]
pub(crate) struct Message {
    pub bytes: [u8; MESSAGE_BYTES],
    pub length: u16,
}

impl Message {
    const EMPTY: Self = Self { bytes: [0; MESSAGE_BYTES], length: 0 };

    /// The text, perhaps cut in the middle of a character.
    pub(crate) fn text(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

/// What is published with `Saved`.
#[derive(Clone, Copy)]
pub(crate) struct Basic {
    pub registers: BasicRegisters,
    /// Vector of the exception, or `VECTOR_CALL`, and its error code.
    pub vector: u64,
    pub error_code: u64,
    /// Where the entry stub kept the vector state, 0 for nowhere: on this CPU's own stack, which it does not leave.
    pub vector_state: u64,
}

/// The bytes of FXSAVE64, at an address that the instruction takes (SDM vol. 2A, FXSAVE).
#[derive(Clone, Copy)]
#[repr(C, align(16))]
pub(crate) struct VectorState(pub [u8; 512]);

/// What is published with `Stopped`, or by the owner: it may fail, so it comes after the registers.
#[derive(Clone, Copy)]
pub(crate) struct Extended {
    pub fxsave: VectorState,
    pub has_fxsave: bool,
    pub has_apic: bool,
    pub apic: ApicState,
}

/// The memory of one CPU for its registers; all zeroes at first, so that an array of them stays in `.bss`.
pub struct Slot {
    basic: UnsafeCell<Basic>,
    extended: UnsafeCell<Extended>,
    message: UnsafeCell<Message>,
    /// Address of the `PanicInfo` of this CPU's own panic, 0 for none. It lies on that CPU's stack, which is frozen.
    panic_info: AtomicU64,
    /// Address of a `&'static str` that this CPU gave as the reason, and its length.
    reason: AtomicU64,
    reason_bytes: AtomicU64,
    /// The frame of the NMI that this CPU handles, 0 for none.
    nmi_frame: AtomicU64,
}

// SAFETY: `basic` and `extended` are written only by the CPU that the slot belongs to, inside its one save (the ledger's
// save-once), and read by others only after its state says that they were published. `message` is touched only by the
// owner of the panic, in its stages, each of which is given out once. The rest is atomic.
unsafe impl Sync for Slot {}

impl Slot {
    /// A slot in which nothing was saved.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "made in constants, where Default cannot be called")]
    pub const fn new() -> Self {
        Self {
            basic: UnsafeCell::new(Basic {
                registers: BasicRegisters::ZERO,
                vector: 0,
                error_code: 0,
                vector_state: 0,
            }),
            extended: UnsafeCell::new(Extended {
                fxsave: VectorState([0; 512]),
                has_fxsave: false,
                has_apic: false,
                apic: ApicState::ZERO,
            }),
            message: UnsafeCell::new(Message::EMPTY),
            panic_info: AtomicU64::new(0),
            reason: AtomicU64::new(0),
            reason_bytes: AtomicU64::new(0),
            nmi_frame: AtomicU64::new(0),
        }
    }

    /// Where this CPU's registers go.
    ///
    /// # Safety
    /// Called on this CPU, within its one save.
    #[expect(clippy::mut_from_ref, reason = "the save-once of the ledger is the borrow check here")]
    pub(crate) unsafe fn basic_mut(&self) -> &mut Basic {
        // SAFETY: the caller is the one writer, and nobody reads before the state is published.
        unsafe { &mut *self.basic.get() }
    }

    /// This CPU's registers.
    ///
    /// # Safety
    /// A verdict that names registers was read before.
    pub(crate) unsafe fn basic(&self) -> &Basic {
        // SAFETY: published, and written only once.
        unsafe { &*self.basic.get() }
    }

    /// Where this CPU's extended state goes.
    ///
    /// # Safety
    /// Called on this CPU, after its save and before it announces its end.
    #[expect(clippy::mut_from_ref, reason = "the ledger's states are the borrow check here")]
    pub(crate) unsafe fn extended_mut(&self) -> &mut Extended {
        // SAFETY: the caller is the one writer, and nobody reads before the end is announced.
        unsafe { &mut *self.extended.get() }
    }

    /// This CPU's extended state.
    ///
    /// # Safety
    /// This CPU announced its end, or it is the owner and runs here.
    pub(crate) unsafe fn extended(&self) -> &Extended {
        // SAFETY: published.
        unsafe { &*self.extended.get() }
    }

    /// The formatted message.
    ///
    /// # Safety
    /// Called by the owner of the panic in one of its stages, which lets go of it before the next.
    #[expect(clippy::mut_from_ref, reason = "the stages of the ledger are the borrow check here")]
    pub(crate) unsafe fn message_mut(&self) -> &mut Message {
        // SAFETY: one owner, one stage at a time.
        unsafe { &mut *self.message.get() }
    }

    pub(crate) fn set_panic_info(&self, info: &PanicInfo<'_>) {
        // Release: whoever sees the address sees what it points to.
        self.panic_info.store(core::ptr::from_ref(info).addr() as u64, Ordering::Release);
    }

    /// This CPU's panic.
    ///
    /// # Safety
    /// The CPU is contained, so that its stack is frozen, or the caller runs on it below the panic.
    pub(crate) unsafe fn panic_info(&self) -> Option<&PanicInfo<'_>> {
        // Acquire: pairs with `set_panic_info`.
        let address = self.panic_info.load(Ordering::Acquire);
        // SAFETY: set from a reference whose stack frame never ends: a panic does not return, and the caller promises
        // that the CPU no longer runs.
        (address != 0).then(|| unsafe { &*(address as *const PanicInfo<'_>) })
    }

    pub(crate) fn no_panic_info(&self) -> bool {
        // Relaxed: asked by the CPU that sets it.
        self.panic_info.load(Ordering::Relaxed) == 0
    }

    pub(crate) fn set_reason(&self, reason: &'static str) {
        // Relaxed, then Release: the length is seen with the address.
        self.reason_bytes.store(reason.len() as u64, Ordering::Relaxed);
        self.reason.store(reason.as_ptr().addr() as u64, Ordering::Release);
    }

    pub(crate) fn reason(&self) -> Option<&'static str> {
        // Acquire: pairs with `set_reason`.
        let address = self.reason.load(Ordering::Acquire);
        if address == 0 {
            return None;
        }
        let length = self.reason_bytes.load(Ordering::Relaxed) as usize;
        // SAFETY: both were taken from one `&'static str` by this CPU, which sets a reason once per panic.
        Some(unsafe { str::from_utf8_unchecked(core::slice::from_raw_parts(address as *const u8, length)) })
    }

    /// Notes the frame of the NMI being handled, and returns the one before.
    pub(crate) fn set_nmi_frame(&self, frame: u64) -> u64 {
        // Relaxed: only this CPU and its nested NMIs use it, in program order.
        self.nmi_frame.swap(frame, Ordering::Relaxed)
    }

    pub(crate) fn nmi_frame(&self) -> u64 {
        // Relaxed: as above.
        self.nmi_frame.load(Ordering::Relaxed)
    }
}

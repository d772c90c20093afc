//! What the protocol keeps for each CPU.
//!
//! # Context
//! Contain path, any context including NMI.

use crate::sync::{AtomicU32, AtomicU64, const_unless_modelled};

/// Where a CPU is in its life, as far as stopping it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum CpuState {
    /// Never announced.
    Absent = 0,
    /// Being started: no NMI may be sent to it, since it has no handler.
    Starting = 1,
    /// It proved that it can take the stop NMI.
    Ready = 2,
    /// Taken offline on purpose.
    Parked = 3,
    /// Its registers are being saved.
    Seen = 4,
    /// Its registers are published.
    Saved = 5,
    /// It owns the panic; its registers are published.
    Leading = 6,
    /// Stopped, but awake to watch over the owner.
    Guarding = 7,
    /// Halted for ever.
    Stopped = 8,
}

impl CpuState {
    /// The state with this code; `Absent` for any other.
    #[must_use]
    pub const fn from_code(code: u32) -> Self {
        match code {
            1 => Self::Starting,
            2 => Self::Ready,
            3 => Self::Parked,
            4 => Self::Seen,
            5 => Self::Saved,
            6 => Self::Leading,
            7 => Self::Guarding,
            8 => Self::Stopped,
            _ => Self::Absent,
        }
    }
}

/// What the firmware says of a CPU that decides whether it can be rescued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuFlags(pub u32);

impl CpuFlags {
    /// It is in VMX root operation, where INIT stays pending (SDM vol. 3C, "Restrictions on VMX Operation").
    pub const VMX_ROOT: Self = Self(1 << 0);
    /// Its global interrupt flag is clear, so NMI and INIT stay pending (APM vol. 2, 15.17 "Global Interrupt Flag").
    pub const GIF_CLEAR: Self = Self(1 << 1);

    /// Whether all of `other` is said.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The words that only the CPU itself writes, in one cache line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct OwnWords {
    pub state: AtomicU32,
    pub source: AtomicU32,
    pub nmi_depth: AtomicU32,
    pub nmi_count: AtomicU32,
    pub flags: AtomicU32,
    pub apic_id: AtomicU32,
    pub entered: AtomicU64,
    pub saved: AtomicU64,
    pub stopped: AtomicU64,
}

/// The words that only the owner of a stop writes, apart from the CPU's own line.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct OwnerWords {
    /// The callback that this CPU is to run when it stops, 0 while it is not told to. Never cleared: stopping is
    /// one-way.
    pub order: AtomicU64,
    /// How often the stop NMI was sent to it.
    pub sends: AtomicU32,
}

/// The protocol's memory for one CPU. All zeroes at first, so that an array of them stays in `.bss`.
#[derive(Debug)]
#[repr(C)]
pub struct CpuLine {
    pub(crate) own: OwnWords,
    pub(crate) owner: OwnerWords,
}

impl CpuLine {
    const_unless_modelled! {
        /// A CPU that never announced itself.
        #[must_use]
        #[expect(clippy::new_without_default, reason = "made in constants, where Default cannot be called")]
        pub fn new() -> Self {
            Self {
                own: OwnWords {
                    state: AtomicU32::new(0),
                    source: AtomicU32::new(0),
                    nmi_depth: AtomicU32::new(0),
                    nmi_count: AtomicU32::new(0),
                    flags: AtomicU32::new(0),
                    apic_id: AtomicU32::new(0),
                    entered: AtomicU64::new(0),
                    saved: AtomicU64::new(0),
                    stopped: AtomicU64::new(0),
                },
                owner: OwnerWords { order: AtomicU64::new(0), sends: AtomicU32::new(0) },
            }
        }
    }
}

//! What the processor can do, read once at boot.
//!
//! # Context
//! Normal context, at boot, before a CPU becomes Ready. Never on the path of a panic: CPUID is a VM exit under a
//! hypervisor. What is in use (and not merely possible) is read from control registers and MSRs by
//! `Unsupported::in_use`.

use core::fmt;

use raw_cpuid::{CpuId, CpuIdReader, CpuIdReaderNative};

use crate::cpu;
use crate::cpu::registers::{control, msr};

/// CPUID leaf 7 sub-leaf 1, EAX: FRED. SDM vol. 2A "CPUID"; APM vol. 3 appendix E "CPUID Fn0000_0007_EAX_x1".
const FRED: u32 = 1 << 17;
/// The leaf of structured extended features.
const EXTENDED_FEATURES: u32 = 7;

/// What one processor can do, from CPUID.
///
/// CPUs of one machine agree in all of it as far as this crate uses it: reading it on one CPU is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "the snapshot is whole, whether or not each field has a reader")]
pub(crate) struct Capabilities {
    /// The local APIC has x2APIC mode. IA32_APIC_BASE says whether it is on.
    pub(crate) x2apic: bool,
    /// Supervisor-mode access prevention: RFLAGS.AC matters in the kernel.
    pub(crate) smap: bool,
    /// RDFSBASE and RDGSBASE exist; CR4.FSGSBASE turns them on.
    pub(crate) fsgsbase: bool,
    /// FXSAVE and FXRSTOR exist.
    pub(crate) fxsr: bool,
    /// XSAVE and XCR0 exist; CR4.OSXSAVE turns them on.
    pub(crate) xsave: bool,
    /// The machine-check exception exists; CR4.MCE turns it on.
    pub(crate) mce: bool,
    /// The machine-check banks exist; IA32_MCG_CAP says how many.
    pub(crate) mca: bool,
    /// Flexible return and event delivery.
    pub(crate) fred: bool,
    /// Shadow stacks.
    pub(crate) shadow_stacks: bool,
    /// Memory encryption of guests: SEV_STATUS exists.
    pub(crate) sev: bool,
    /// Encryption of a guest's registers too.
    pub(crate) sev_es: bool,
    /// The time-stamp counter runs at one rate in all power states.
    pub(crate) invariant_tsc: bool,
    /// A hypervisor says that it is there.
    pub(crate) hypervisor: bool,
}

impl Capabilities {
    /// Those of the processor that this runs on. Executes CPUID.
    pub(crate) fn read() -> Self {
        Self::from_reader(CpuIdReaderNative)
    }

    /// Those that a reader of CPUID leaves tells.
    pub(crate) fn from_reader<R: CpuIdReader>(reader: R) -> Self {
        let cpuid = CpuId::with_cpuid_reader(reader.clone());
        let features = cpuid.get_feature_info();
        let features = features.as_ref();
        let extended = cpuid.get_extended_feature_info();
        let extended = extended.as_ref();
        let encryption = cpuid.get_memory_encryption_info();
        let encryption = encryption.as_ref();
        // EAX of sub-leaf 0 is the last sub-leaf.
        let fred = extended.is_some()
            && reader.cpuid2(EXTENDED_FEATURES, 0).eax >= 1
            && reader.cpuid2(EXTENDED_FEATURES, 1).eax & FRED != 0;
        Self {
            x2apic: features.is_some_and(|info| info.has_x2apic()),
            smap: extended.is_some_and(|info| info.has_smap()),
            fsgsbase: extended.is_some_and(|info| info.has_fsgsbase()),
            fxsr: features.is_some_and(|info| info.has_fxsave_fxstor()),
            xsave: features.is_some_and(|info| info.has_xsave()),
            mce: features.is_some_and(|info| info.has_mce()),
            mca: features.is_some_and(|info| info.has_mca()),
            fred,
            shadow_stacks: extended.is_some_and(|info| info.has_cet_ss()),
            sev: encryption.is_some_and(|info| info.has_sev()),
            sev_es: encryption.is_some_and(|info| info.has_sev_es()),
            invariant_tsc: cpuid.get_advanced_power_mgmt_info().is_some_and(|info| info.has_invariant_tsc()),
            hypervisor: features.is_some_and(|info| info.has_hypervisor()),
        }
    }
}

/// A feature in use with which this runtime does not work yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unsupported {
    /// Events are delivered by FRED (CR4.FRED): the IDT and the IST are not used.
    Fred,
    /// Shadow stacks in supervisor mode (CR4.CET and IA32_S_CET.SH_STK_EN): leaving an exception without IRET, as
    /// the fix-ups do, would leave a token of it behind.
    SupervisorShadowStack,
    /// The guest's registers are encrypted (SEV_STATUS): instructions that exit raise #VC, and NMIs stay blocked
    /// until the hypervisor is told.
    SevEs,
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fred => "FRED event delivery is on (CR4.FRED)",
            Self::SupervisorShadowStack => "supervisor shadow stacks are on (CR4.CET, IA32_S_CET)",
            Self::SevEs => "this is an SEV-ES guest",
        })
    }
}

impl core::error::Error for Unsupported {}

impl Unsupported {
    /// The first such feature that is in use on this CPU.
    ///
    /// # Safety
    /// CPL 0, and the capabilities are those of this processor.
    pub(crate) unsafe fn in_use(capabilities: &Capabilities) -> Option<Self> {
        // SAFETY: CPL 0.
        let cr4 = unsafe { cpu::cr4() };
        let s_cet = if capabilities.shadow_stacks {
            // SAFETY: CPL 0; IA32_S_CET exists with shadow stacks.
            unsafe { cpu::rdmsr(msr::S_CET) }
        } else {
            0
        };
        let sev_status = if capabilities.sev {
            // SAFETY: CPL 0; SEV_STATUS exists with SEV.
            unsafe { cpu::rdmsr(msr::SEV_STATUS) }
        } else {
            0
        };
        Self::from_registers(cr4, s_cet, sev_status)
    }

    /// The first such feature by these registers.
    const fn from_registers(cr4: u64, s_cet: u64, sev_status: u64) -> Option<Self> {
        if cr4 & control::CR4_FRED != 0 {
            Some(Self::Fred)
        } else if cr4 & control::CR4_CET != 0 && s_cet & control::S_CET_SH_STK_EN != 0 {
            Some(Self::SupervisorShadowStack)
        } else if sev_status & control::SEV_STATUS_SEV_ES != 0 {
            Some(Self::SevEs)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use raw_cpuid::CpuIdResult;

    use super::*;

    /// Leaf, sub-leaf, and EAX, EBX, ECX, EDX.
    type Dump = [(u32, u32, [u32; 4])];

    // Captured; only the leaves that are read here.

    const CORE_I7_12700K: &Dump = &[
        (0x0000_0000, 0, [0x0000_0020, 0x756E_6547, 0x6C65_746E, 0x4965_6E69]),
        (0x0000_0001, 0, [0x0009_0672, 0x0080_0800, 0x7FFA_FBFF, 0xBFEB_FBFF]),
        (0x0000_0007, 0, [0x0000_0002, 0x239C_27EB, 0x98C0_27BC, 0xFC1C_C410]),
        (0x0000_0007, 1, [0x0040_0810, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
        (0x8000_0000, 0, [0x8000_0008, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
        (0x8000_0007, 0, [0x0000_0000, 0x0000_0000, 0x0000_0000, 0x0000_0100]),
    ];

    const XEON_GOLD_6252: &Dump = &[
        (0x0000_0000, 0, [0x0000_0016, 0x756E_6547, 0x6C65_746E, 0x4965_6E69]),
        (0x0000_0001, 0, [0x0005_0657, 0xC740_0800, 0x7FFE_FBFF, 0xBFEB_FBFF]),
        (0x0000_0007, 0, [0x0000_0000, 0xD39F_F7EB, 0x0000_0818, 0xBC00_0400]),
        (0x8000_0000, 0, [0x8000_0008, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
        (0x8000_0007, 0, [0x0000_0000, 0x0000_0000, 0x0000_0000, 0x0000_0100]),
    ];

    const RYZEN_3000: &Dump = &[
        (0x0000_0000, 0, [0x0000_0010, 0x6874_7541, 0x444D_4163, 0x6974_6E65]),
        (0x0000_0001, 0, [0x0087_0F10, 0x000C_0800, 0x7ED8_320B, 0x178B_FBFF]),
        (0x0000_0007, 0, [0x0000_0000, 0x219C_91A9, 0x0040_0004, 0x0000_0000]),
        (0x8000_0000, 0, [0x8000_0020, 0x6874_7541, 0x444D_4163, 0x6974_6E65]),
        (0x8000_0007, 0, [0x0000_0000, 0x0000_001B, 0x0000_0000, 0x0000_6799]),
        (0x8000_001F, 0, [0x0001_000F, 0x0000_016F, 0x0000_01FD, 0x0000_0001]),
    ];

    /// A guest of KVM on a server of 2023.
    const XEON_KVM_GUEST: &Dump = &[
        (0x0000_0000, 0, [0x0000_0024, 0x756E_6547, 0x6C65_746E, 0x4965_6E69]),
        (0x0000_0001, 0, [0x000A_0671, 0x0102_0800, 0xFFFA_3203, 0x1F8B_FBFF]),
        (0x0000_0007, 0, [0x0000_0002, 0xF1BF_2FFB, 0x1A41_5F46, 0x23C1_4010]),
        (0x0000_0007, 1, [0x0000_1C30, 0x0000_0000, 0x0000_0000, 0x0008_4000]),
        (0x4000_0000, 0, [0x4000_0001, 0x4B4D_564B, 0x564B_4D56, 0x0000_004D]),
        (0x8000_0000, 0, [0x8000_0008, 0x0000_0000, 0x0000_0000, 0x0000_0000]),
        (0x8000_0007, 0, [0x0000_0000, 0x0000_0000, 0x0000_0000, 0x0000_0100]),
    ];

    /// A leaf that is not in the dump reads as zero.
    fn read(dump: &'static Dump) -> Capabilities {
        Capabilities::from_reader(move |leaf, sub_leaf| {
            let [eax, ebx, ecx, edx] = dump
                .iter()
                .find(|entry| (entry.0, entry.1) == (leaf, sub_leaf))
                .map_or([0; 4], |entry| entry.2);
            CpuIdResult { eax, ebx, ecx, edx }
        })
    }

    #[test]
    fn captured_processors_have_what_they_have() {
        let all = Capabilities {
            x2apic: true,
            smap: true,
            fsgsbase: true,
            fxsr: true,
            xsave: true,
            mce: true,
            mca: true,
            fred: false,
            shadow_stacks: false,
            sev: false,
            sev_es: false,
            invariant_tsc: true,
            hypervisor: false,
        };
        assert_eq!(read(CORE_I7_12700K), Capabilities { shadow_stacks: true, ..all });
        assert_eq!(read(XEON_GOLD_6252), all);
        assert_eq!(read(RYZEN_3000), Capabilities { x2apic: false, sev: true, sev_es: true, ..all });
        assert_eq!(read(XEON_KVM_GUEST), Capabilities { hypervisor: true, ..all });
    }

    #[test]
    fn an_empty_processor_has_nothing() {
        let none = read(&[]);
        assert!(!none.x2apic && !none.xsave && !none.fred && !none.invariant_tsc);
    }

    #[test]
    fn fred_is_read_only_from_a_sub_leaf_that_exists() {
        // Constructed: FRED is in no captured dump.
        let dump = |last: u32| {
            move |leaf, sub_leaf| {
                let eax = match (leaf, sub_leaf) {
                    (0, _) => 0x20,
                    (7, 0) => last,
                    (7, 1) => 1 << 17,
                    _ => 0,
                };
                CpuIdResult { eax, ebx: 0, ecx: 0, edx: 0 }
            }
        };
        assert!(Capabilities::from_reader(dump(1)).fred);
        assert!(!Capabilities::from_reader(dump(0)).fred);
    }

    #[test]
    fn the_host_can_be_read() {
        let host = Capabilities::read();
        // Every x86-64 processor has them.
        assert!(host.fxsr && host.mce);
    }

    #[test]
    fn only_what_is_on_is_refused() {
        let (fred, cet) = (1 << 32, 1 << 23);
        assert_eq!(Unsupported::from_registers(fred, 0, 0), Some(Unsupported::Fred));
        assert_eq!(Unsupported::from_registers(cet, 1, 0), Some(Unsupported::SupervisorShadowStack));
        // Indirect-branch tracking alone, and shadow stacks prepared but off, do no harm.
        assert_eq!(Unsupported::from_registers(cet, 1 << 2, 0), None);
        assert_eq!(Unsupported::from_registers(0, 1, 0), None);
        assert_eq!(Unsupported::from_registers(0, 0, 0b10), Some(Unsupported::SevEs));
        // SEV without ES.
        assert_eq!(Unsupported::from_registers(0, 0, 0b01), None);
    }
}

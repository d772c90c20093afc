//! What CPUID says about the frequency of the time-stamp counter.

use raw_cpuid::{CpuId, CpuIdReader};

use super::{Figure, Source};

/// Crystals of processors that give the ratio to theirs and not its frequency, in Hz (SDM vol. 3B, Determining the Processor
/// Base Frequency, table Nominal Core Crystal Clock Frequency: Core of the 6th and 7th generation; Xeon Scalable;
/// Goldmont).
const CRYSTALS: [u64; 3] = [24_000_000, 25_000_000, 19_200_000];
/// How far the crystal that follows from a base frequency, which is rounded to 1 MHz or to the next 100 MHz, may be from one
/// of them: 1 %.
const NEAR: u64 = 100;
/// How far a base frequency is from that of the counter: 4000 MHz stand for 4008, 3600 for 3609.6. In millionths.
const BASE_DOUBT_PPM: u32 = 10_000;

/// The best that CPUID says. Executes CPUID by `reader`, on the CPU that this runs on. Normal context.
///
/// In this order: crystal and ratio (leaf 15H); the ratio with the crystal that follows from the base frequency (leaf 16H);
/// the hypervisor's timing leaf (4000_0010H, in kHz: "Hypervisor CPUID Interface Proposal" of VMware, 2008; VMware has it,
/// and QEMU as `vmware-cpuid-freq`); the base frequency alone. AMD processors have only the hypervisor's.
pub fn told_by_cpuid<R: CpuIdReader>(reader: R) -> Option<Figure> {
    let cpuid = CpuId::with_cpuid_reader(reader);
    let tsc = cpuid.get_tsc_info();
    let base_hz = cpuid
        .get_processor_frequency_info()
        .map(|info| u64::from(info.processor_base_frequency()) * 1_000_000)
        .filter(|hz| *hz != 0);

    let exact = tsc.as_ref().and_then(|tsc| tsc.tsc_frequency());
    let from_ratio = || {
        let (numerator, denominator) = tsc.as_ref().map(|tsc| (tsc.numerator(), tsc.denominator()))?;
        from_ratio(base_hz?, numerator.into(), denominator.into())
    };
    let from_hypervisor = || Some(u64::from(cpuid.get_hypervisor_info()?.tsc_frequency()?) * 1000);

    let exactly = |source| move |hz| Figure { hz, source, doubt_ppm: 0 };
    let some = |hz: &u64| *hz != 0;
    exact
        .filter(some)
        .map(exactly(Source::Crystal))
        .or_else(|| from_ratio().filter(some).map(exactly(Source::Ratio)))
        .or_else(|| from_hypervisor().filter(some).map(exactly(Source::Hypervisor)))
        .or_else(|| base_hz.map(|hz| Figure { hz, source: Source::Base, doubt_ppm: BASE_DOUBT_PPM }))
}

/// The counter runs at crystal x numerator / denominator. The base frequency is nearly that and so gives the crystal nearly:
/// near enough to know which it is.
fn from_ratio(base_hz: u64, numerator: u64, denominator: u64) -> Option<u64> {
    let counter = |crystal: u64| crystal.checked_mul(numerator)?.checked_div(denominator);
    let nearly = base_hz.checked_mul(denominator)?.checked_div(numerator)?;
    let known = CRYSTALS.into_iter().find(|crystal| crystal.abs_diff(nearly) <= crystal / NEAR);
    known.and_then(counter).or(counter(nearly))
}

#[cfg(test)]
mod tests {
    use raw_cpuid::CpuIdResult;

    use super::*;

    /// Leaves with EAX, EBX, ECX; the others read as zero.
    fn told(leaves: &'static [(u32, [u32; 3])]) -> Option<Figure> {
        told_by_cpuid(move |leaf, _| {
            let [eax, ebx, ecx] = leaves.iter().find(|entry| entry.0 == leaf).map_or([0; 3], |entry| entry.1);
            CpuIdResult { eax, ebx, ecx, edx: 0 }
        })
    }

    const LAST: (u32, [u32; 3]) = (0, [0x20, 0, 0]);
    const UNDER_HYPERVISOR: (u32, [u32; 3]) = (1, [0, 0, 1 << 31]);

    fn figure(hz: u64, source: Source) -> Option<Figure> {
        Some(Figure { hz, source, doubt_ppm: 0 })
    }

    #[test]
    fn a_crystal_that_is_told_counts() {
        // Captured: Core i7-12700K.
        let leaves = &[LAST, (0x15, [2, 0xBC, 0x0249_F000]), (0x16, [0x0E10, 0x1388, 0x64])];
        assert_eq!(told(leaves), figure(3_609_600_000, Source::Crystal));
    }

    #[test]
    fn a_crystal_that_is_not_told_follows_from_the_base_frequency() {
        // Captured: Xeon Gold 6252, 2100 MHz, 25 MHz crystal.
        let leaves = &[LAST, (0x15, [2, 0xA8, 0]), (0x16, [0x0834, 0x0E74, 0x64])];
        assert_eq!(told(leaves), figure(2_100_000_000, Source::Ratio));
        // By the manual's formula and table: 24 MHz x 334 / 2, where the base frequency is 4000 MHz.
        let leaves = &[LAST, (0x15, [2, 334, 0]), (0x16, [4000, 4200, 100])];
        assert_eq!(told(leaves), figure(4_008_000_000, Source::Ratio));
        // A crystal that the manual does not have: 38.4 MHz.
        let leaves = &[LAST, (0x15, [2, 100, 0]), (0x16, [1920, 0, 0])];
        assert_eq!(told(leaves), figure(1_920_000_000, Source::Ratio));
    }

    #[test]
    fn the_hypervisor_comes_before_a_base_frequency_alone() {
        let leaves = &[
            LAST,
            UNDER_HYPERVISOR,
            (0x16, [2000, 0, 0]),
            (0x4000_0000, [0x4000_0010, 0, 0]),
            (0x4000_0010, [2_394_000, 0, 0]),
        ];
        assert_eq!(told(leaves), figure(2_394_000_000, Source::Hypervisor));
        // A hypervisor without the leaf.
        let leaves = &[LAST, UNDER_HYPERVISOR, (0x4000_0000, [0x4000_0001, 0, 0])];
        assert_eq!(told(leaves), None);
        let base = told(&[LAST, (0x16, [2000, 0, 0])]);
        assert_eq!(base.map(|f| (f.hz, f.source)), Some((2_000_000_000, Source::Base)));
        assert!(base.is_some_and(|figure| figure.doubt_ppm > 0));
    }

    #[test]
    fn zeros_say_nothing() {
        assert_eq!(told(&[]), None);
        for ratio in [[0, 0, 0], [2, 0, 0], [0, 168, 0], [0, 168, 25_000_000], [2, 0, 25_000_000]] {
            assert_eq!(told_ratio(ratio), None, "{ratio:?}");
        }
    }

    fn told_ratio(ratio: [u32; 3]) -> Option<Figure> {
        told_by_cpuid(move |leaf, _| {
            let [eax, ebx, ecx] = match leaf {
                0 => [0x20, 0, 0],
                0x15 => ratio,
                _ => [0; 3],
            };
            CpuIdResult { eax, ebx, ecx, edx: 0 }
        })
    }
}

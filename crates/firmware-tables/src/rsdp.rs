//! The Root System Description Pointer.

use crate::{PhysicalMemory, Warning, bytes, warning::Limited};

/// Where the root tables are (ACPI 6.5, 5.2.5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rsdp {
    /// 0 for ACPI 1.0, else at least 2.
    pub revision: u8,
    /// Physical address of the RSDT; 0 if there is none.
    pub rsdt: u32,
    /// Physical address of the XSDT, from revision 2 on.
    pub xsdt: Option<u64>,
}

const SIGNATURE: &[u8; 8] = b"RSD PTR ";
/// Bytes of the ACPI 1.0 structure, which its first checksum covers.
const LENGTH_1: usize = 20;
/// Bytes of the structure from revision 2 on, which the second checksum covers.
const LENGTH_2: usize = 36;
/// No RSDP is larger: bounds the length field.
const LENGTH_MAX: usize = 256;
/// The structure lies on a 16-byte boundary (ACPI 6.5, 5.2.5.1).
const ALIGNMENT: usize = 16;

/// The word in the BIOS data area that holds the segment of the extended BIOS data area.
const EBDA_SEGMENT: u64 = 0x40e;
/// Of the extended BIOS data area only the first KiB is searched.
const EBDA_SEARCHED: usize = 1024;
/// The BIOS read-only area.
const BIOS_START: u64 = 0xe_0000;
const BIOS_LENGTH: usize = 0x2_0000;

impl Rsdp {
    /// Looks for the RSDP where PC firmware puts it: the first KiB of the extended BIOS data area, then
    /// 0xE0000 to 0xFFFFF (ACPI 6.5, 5.2.5.1). Under UEFI it is in the configuration table instead: see [`Rsdp::at`].
    pub fn search<M: PhysicalMemory>(memory: &M, warn: impl FnMut(Warning)) -> Option<Self> {
        let mut warn = Limited::new(warn);
        let ebda = memory
            .read(EBDA_SEGMENT, 2)
            .and_then(|word| bytes::u16(word, 0))
            .map(|segment| u64::from(segment) << 4)
            .filter(|start| *start >= 0x400);
        if let Some(start) = ebda
            && let Some(area) = memory.read(start, EBDA_SEARCHED)
            && let Some(found) = search_area(start, area, &mut warn)
        {
            return Some(found);
        }
        search_area(BIOS_START, memory.read(BIOS_START, BIOS_LENGTH)?, &mut warn)
    }

    /// The RSDP at a known physical address.
    ///
    /// # Errors
    ///
    /// [`Warning::BadRsdp`] if there is none or its checksum is wrong.
    pub fn at<M: PhysicalMemory>(memory: &M, address: u64) -> Result<Self, Warning> {
        let bad = Warning::BadRsdp { address };
        let first = memory.read(address, LENGTH_1).ok_or(bad)?;
        let revision = bytes::u8(first, 15).ok_or(bad)?;
        let all = if revision >= 2 {
            let head = memory.read(address, LENGTH_2).ok_or(bad)?;
            let length = bytes::u32(head, 20).and_then(|length| usize::try_from(length).ok()).ok_or(bad)?;
            if length > LENGTH_MAX {
                return Err(bad);
            }
            memory.read(address, length).ok_or(bad)?
        } else {
            first
        };
        Self::parse(all).ok_or(bad)
    }

    /// The RSDP at the start of `bytes`; `None` if signature, length or a checksum is wrong.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let first = bytes.get(..LENGTH_1)?;
        if !first.starts_with(SIGNATURE) || !bytes::sums_to_zero(first) {
            return None;
        }
        let revision = bytes::u8(bytes, 15)?;
        let rsdt = bytes::u32(bytes, 16)?;
        if revision < 2 {
            return Some(Self { revision, rsdt, xsdt: None });
        }
        let length = usize::try_from(bytes::u32(bytes, 20)?).ok()?;
        if !(LENGTH_2..=LENGTH_MAX).contains(&length) || !bytes::sums_to_zero(bytes.get(..length)?) {
            return None;
        }
        Some(Self { revision, rsdt, xsdt: Some(bytes::u64(bytes, 24)?).filter(|address| *address != 0) })
    }
}

fn search_area(start: u64, area: &[u8], warn: &mut Limited<impl FnMut(Warning)>) -> Option<Rsdp> {
    for (index, chunk) in area.chunks(ALIGNMENT).enumerate() {
        if !chunk.starts_with(SIGNATURE) {
            continue;
        }
        let offset = index.saturating_mul(ALIGNMENT);
        if let Some(found) = area.get(offset..).and_then(Rsdp::parse) {
            return Some(found);
        }
        warn.warn(Warning::BadRsdp { address: start.saturating_add(offset as u64) });
    }
    None
}

//! System description tables: their common header, and the root tables that list them.

use core::fmt;

use crate::{PhysicalMemory, Rsdp, Warning, bytes, warning::Limited};

/// The four characters that name a table.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature(pub [u8; 4]);

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{}", byte.escape_ascii()))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One table: its header was checked, its bytes are all there.
#[derive(Clone, Copy, Debug)]
pub struct Table<'m> {
    /// Its name.
    pub signature: Signature,
    /// The revision of its layout.
    pub revision: u8,
    /// Physical address.
    pub address: u64,
    /// The whole table, header included.
    pub bytes: &'m [u8],
}

impl<'m> Table<'m> {
    /// Bytes of the common header (ACPI 6.5, 5.2.6).
    pub const HEADER: usize = 36;
    /// The largest table that is read, 1 MiB: a longer length field is taken for garbage. 65,536 CPUs fit.
    pub const MAX: usize = 1 << 20;

    /// The table at a physical address. A wrong checksum is warned about and otherwise ignored.
    pub fn at<M: PhysicalMemory>(memory: &'m M, address: u64, mut warn: impl FnMut(Warning)) -> Option<Self> {
        let table = Self::read(memory, address);
        match table {
            None => warn(Warning::UnreadableTable { address }),
            Some(table) if !bytes::sums_to_zero(table.bytes) => {
                warn(Warning::BadChecksum { signature: table.signature });
            }
            Some(_) => {}
        }
        table
    }

    fn read<M: PhysicalMemory>(memory: &'m M, address: u64) -> Option<Self> {
        let header = memory.read(address, Self::HEADER)?;
        let length = usize::try_from(bytes::u32(header, 4)?).ok()?;
        if !(Self::HEADER..=Self::MAX).contains(&length) {
            return None;
        }
        Some(Self {
            signature: Signature(bytes::array(header, 0)?),
            revision: bytes::u8(header, 8)?,
            address,
            bytes: memory.read(address, length)?,
        })
    }

    /// What follows the common header.
    #[must_use]
    pub fn body(&self) -> &'m [u8] {
        self.bytes.get(Self::HEADER..).unwrap_or_default()
    }
}

/// How many tables of one name are tried: a root table of 1 MiB may list one large table 131,000 times.
const TRIED: usize = 8;

/// The tables that the root table lists.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'m, M> {
    memory: &'m M,
    pointers: &'m [u8],
    width: usize,
}

impl<'m, M: PhysicalMemory> Tables<'m, M> {
    /// Opens the XSDT, or the RSDT where there is no usable XSDT (ACPI 6.5, 5.2.7 and 5.2.8). Without either the list
    /// is empty.
    pub fn new(memory: &'m M, rsdp: Rsdp, mut warn: impl FnMut(Warning)) -> Self {
        if let Some(address) = rsdp.xsdt {
            match Table::at(memory, address, &mut warn).filter(|table| table.signature.0 == *b"XSDT") {
                Some(table) => return Self { memory, pointers: table.body(), width: 8 },
                None => warn(Warning::NoXsdt { address }),
            }
        }
        let root = match u64::from(rsdp.rsdt) {
            0 => None,
            address => Table::at(memory, address, &mut warn).filter(|table| table.signature.0 == *b"RSDT"),
        };
        if root.is_none() {
            warn(Warning::NoRootTable);
        }
        Self { memory, pointers: root.map(|table| table.body()).unwrap_or_default(), width: 4 }
    }

    /// The physical addresses in the root table, in its order, without null pointers.
    pub fn addresses(&self) -> impl Iterator<Item = u64> + 'm {
        let width = self.width;
        self.pointers
            .chunks_exact(width)
            .filter_map(move |pointer| {
                if width == 8 { bytes::u64(pointer, 0) } else { bytes::u32(pointer, 0).map(u64::from) }
            })
            .filter(|address| *address != 0)
    }

    /// The first table of that name that can be read.
    pub fn find(&self, signature: Signature, warn: impl FnMut(Warning)) -> Option<Table<'m>> {
        self.open(signature, Some, warn)
    }

    /// What `new` makes of the first table of that name that it accepts:
    /// `tables.open(Fadt::SIGNATURE, Fadt::new, warn)`. Only the first eight of that name are tried.
    pub fn open<T>(
        &self,
        signature: Signature,
        new: impl Fn(Table<'m>) -> Option<T>,
        warn: impl FnMut(Warning),
    ) -> Option<T> {
        let mut warn = Limited::new(warn);
        // Only the signature of the others is looked at: their faults do not matter here.
        self.addresses()
            .filter(|address| {
                self.memory.read(*address, 4).and_then(|name| bytes::array(name, 0)) == Some(signature.0)
            })
            .take(TRIED)
            .find_map(|address| {
                let table = Table::at(self.memory, address, |warning| warn.warn(warning))?;
                let opened = new(table);
                if opened.is_none() {
                    warn.warn(Warning::ShortTable { signature, length: table.bytes.len() });
                }
                opened
            })
    }
}

//! What is said first about each CPU.
//!
//! # Context
//! The encoder runs in the report zone at every level of re-entry, also in NMI context: nothing here allocates, waits
//! or panics. The decoder is for the host.

use stop_protocol::Verdict;

/// One CPU on one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuSummary {
    /// What it ended as.
    pub verdict: Verdict,
    /// Its APIC id.
    pub apic_id: u32,
    /// The code of its last state in the stop protocol's ledger.
    pub state: u8,
    /// NMIs that it took.
    pub nmi_count: u32,
    /// What the runtime noted about it, bit by bit as the runtime documents them.
    pub flags: u32,
    /// Time stamp when it entered the stop path, or panicked; 0 when it did not.
    pub entered: u64,
    /// Time stamp when its registers were saved; 0 when they were not.
    pub saved: u64,
    /// Time stamp when it announced its end; 0 when it did not.
    pub stopped: u64,
}

impl CpuSummary {
    /// Bytes of the payload of a summary chunk.
    pub const BYTES: usize = 40;

    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let mut to = out.iter_mut();
        let mut put = |bytes: &[u8]| {
            for (slot, byte) in to.by_ref().take(bytes.len()).zip(bytes) {
                *slot = *byte;
            }
        };
        put(&[self.verdict.registers as u8, self.verdict.containment as u8, self.state, 0]);
        put(&self.apic_id.to_le_bytes());
        put(&self.nmi_count.to_le_bytes());
        put(&self.flags.to_le_bytes());
        put(&self.entered.to_le_bytes());
        put(&self.saved.to_le_bytes());
        put(&self.stopped.to_le_bytes());
        out
    }
}

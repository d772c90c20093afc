//! The table of the local APIC's registers.
//!
//! # Context
//! Filled on a stopping CPU in NMI context; nothing here allocates, waits or panics.

/// One register of a local APIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApicValue {
    /// Its name in lower case; of `irr` and `isr` there are eight each.
    pub name: &'static str,
    /// Which of several words of that name, from the lowest vectors up; 0 for a single one.
    pub index: u8,
    /// What it held.
    pub value: u32,
}

macro_rules! apic_table {
    ($( $(#[$doc:meta])* $name:ident: $words:literal => $ty:ty; )+) => {
        /// The local APIC of a CPU as it was at the stop, all words of 32 bits.
        ///
        /// Layout: `repr(C)`, the fields in order. Registers and what they mean: SDM vol. 3A, chapter "Advanced
        /// Programmable Interrupt Controller (APIC)".
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(C)]
        pub struct ApicState {
            $( $(#[$doc])* pub $name: $ty, )+
        }

        impl ApicState {
            /// Name and number of words of each field, in order.
            pub const FIELDS: &'static [(&'static str, u8)] = &[ $( (stringify!($name), $words), )+ ];

            /// All zero.
            pub const ZERO: Self = Self { $( $name: <$ty as Words>::ZERO, )+ };

            /// The words in the order of the layout.
            #[must_use]
            pub fn to_words(&self) -> [u32; Self::WORDS] {
                let mut out = [0; Self::WORDS];
                let mut to = out.iter_mut();
                $( for (slot, word) in to.by_ref().take($words).zip(self.$name.words()) { *slot = *word; } )+
                out
            }

            /// The inverse of [`Self::to_words`].
            #[must_use]
            pub fn from_words(words: &[u32; Self::WORDS]) -> Self {
                let mut state = Self::ZERO;
                let mut from = words.iter();
                $( for (word, slot) in from.by_ref().take($words).zip(state.$name.words_mut()) { *slot = *word; } )+
                state
            }
        }
    };
}

trait Words {
    const ZERO: Self;
    fn words(&self) -> &[u32];
    fn words_mut(&mut self) -> &mut [u32];
}

impl Words for u32 {
    const ZERO: Self = 0;
    fn words(&self) -> &[u32] {
        core::slice::from_ref(self)
    }
    fn words_mut(&mut self) -> &mut [u32] {
        core::slice::from_mut(self)
    }
}

impl Words for [u32; 8] {
    const ZERO: Self = [0; 8];
    fn words(&self) -> &[u32] {
        self
    }
    fn words_mut(&mut self) -> &mut [u32] {
        self
    }
}

apic_table! {
    /// The id register.
    id: 1 => u32;
    /// The version register.
    version: 1 => u32;
    /// Task priority.
    tpr: 1 => u32;
    /// Spurious-interrupt vector.
    svr: 1 => u32;
    /// Error status.
    esr: 1 => u32;
    /// LVT timer.
    lvt_timer: 1 => u32;
    /// LVT LINT0.
    lvt_lint0: 1 => u32;
    /// LVT LINT1.
    lvt_lint1: 1 => u32;
    /// LVT error.
    lvt_error: 1 => u32;
    /// LVT performance counters.
    lvt_pmc: 1 => u32;
    /// LVT thermal sensor.
    lvt_thermal: 1 => u32;
    /// LVT CMCI.
    lvt_cmci: 1 => u32;
    /// Interrupt request register, vectors 0..=31 in word 0.
    irr: 8 => [u32; 8];
    /// In-service register, vectors 0..=31 in word 0.
    isr: 8 => [u32; 8];
}

impl ApicState {
    /// Words of the layout.
    pub const WORDS: usize = size_of::<Self>() / 4;

    /// Bytes of the layout, in memory and in the record.
    pub const BYTES: usize = Self::WORDS * 4;

    /// Every word with its name.
    pub fn iter(&self) -> impl Iterator<Item = ApicValue> + use<> {
        Self::FIELDS
            .iter()
            .flat_map(|&(name, words)| (0..words).map(move |index| (name, index)))
            .zip(self.to_words())
            .map(|((name, index), value)| ApicValue { name, index, value })
    }

    pub(crate) fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        for (to, word) in out.as_chunks_mut::<4>().0.iter_mut().zip(self.to_words()) {
            *to = word.to_le_bytes();
        }
        out
    }
}

impl Default for ApicState {
    fn default() -> Self {
        Self::ZERO
    }
}

const _: () = assert!(ApicState::WORDS == 28);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_the_layout() {
        let words = core::array::from_fn(|i| 7 + i as u32);
        let state = ApicState::from_words(&words);
        assert_eq!(state.to_words(), words);
        assert_eq!((state.id, state.lvt_cmci, state.irr[0], state.isr[7]), (7, 18, 19, 34));
        let mut named = state.iter().filter(|word| word.name == "isr" && word.index == 7);
        assert_eq!(named.next().map(|word| word.value), Some(34));
        assert_eq!(state.iter().count(), ApicState::WORDS);
    }
}

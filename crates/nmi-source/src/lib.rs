//! What a board module implements for panic-smp: who raised an NMI, and what to do about it.
#![no_std]

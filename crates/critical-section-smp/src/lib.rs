//! An SMP critical section for x86-64 firmware that survives stopped owners.
#![no_std]

//! Panic runtime for SMP x86-64 appliance firmware: stops every CPU, keeps every register.
#![no_std]

//! The crash record of panic-smp: framed chunks, register tables, and the ELF core made from them.
#![no_std]

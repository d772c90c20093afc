//! A replaceable start-up for panic-smp firmware: Multiboot entry, long mode, paging, AP start.
#![no_std]

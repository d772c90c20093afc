//! QEMU as a board: its NMI button, its panic notification, its exit.
#![no_std]

//! Bounded readers of ACPI tables over byte slices.
#![no_std]

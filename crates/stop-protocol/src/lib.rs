//! The stop protocol of panic-smp: election, ledger, verdicts, deadlines and stages, without hardware.
#![no_std]

//! From a frame to the registers that are kept.
//!
//! # Context
//! Contain path, any context including NMI: no loop, no panicking operation. Only registers and MSRs that every
//! x86-64 processor has are read here, so nothing can fault.

use crate::cpu;
use crate::cpu::registers::msr;
use crate::entry::note_caller;
use crate::frame::{TrapFrame, VECTOR_CALL};
use crash_record::BasicRegisters;

/// What a call can know of its caller: the rest was changed before the call.
const TRUE_IN_A_CALL: u64 =
    !BasicRegisters::mask_of(&["rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11"]);

/// Fills `to` with the registers of the context in `frame` and of the processor.
pub(crate) fn capture(frame: &TrapFrame, to: &mut BasicRegisters) {
    to.r15 = frame.r15;
    to.r14 = frame.r14;
    to.r13 = frame.r13;
    to.r12 = frame.r12;
    to.rbp = frame.rbp;
    to.rbx = frame.rbx;
    to.r11 = frame.r11;
    to.r10 = frame.r10;
    to.r9 = frame.r9;
    to.r8 = frame.r8;
    to.rax = frame.rax;
    to.rcx = frame.rcx;
    to.rdx = frame.rdx;
    to.rsi = frame.rsi;
    to.rdi = frame.rdi;
    to.rip = frame.rip;
    to.cs = frame.cs & 0xFFFF;
    to.rflags = frame.rflags;
    to.rsp = frame.rsp;
    to.ss = frame.ss & 0xFFFF;
    to.cr2 = frame.cr2;
    to.dr7 = frame.dr7;
    to.ds = cpu::ds().into();
    to.es = cpu::es().into();
    to.fs = cpu::fs().into();
    to.gs = cpu::gs().into();
    // SAFETY: CPL 0 is what every context of this crate runs at; these registers and MSRs exist on every processor
    // with long mode (SDM vol. 4, table 2-2; APM vol. 2, appendix A), and reading them changes nothing.
    unsafe {
        to.fs_base = cpu::rdmsr(msr::FS_BASE);
        to.gs_base = cpu::rdmsr(msr::GS_BASE);
        to.kernel_gs_base = cpu::rdmsr(msr::KERNEL_GS_BASE);
        to.efer = cpu::rdmsr(msr::EFER);
        to.cr0 = cpu::cr0();
        to.cr3 = cpu::cr3();
        to.cr4 = cpu::cr4();
        to.cr8 = cpu::cr8();
        to.dr0 = cpu::dr0();
        to.dr1 = cpu::dr1();
        to.dr2 = cpu::dr2();
        to.dr3 = cpu::dr3();
        to.dr6 = cpu::dr6();
        let gdtr = cpu::gdtr();
        to.gdtr_base = gdtr.base;
        to.gdtr_limit = gdtr.limit.into();
        let idtr = cpu::idtr();
        to.idtr_base = idtr.base;
        to.idtr_limit = idtr.limit.into();
        to.tr = cpu::task_register().into();
        to.ldtr = cpu::ldtr().into();
    }
    to.valid =
        BasicRegisters::ALL_VALID & if frame.vector == VECTOR_CALL { TRUE_IN_A_CALL } else { u64::MAX };
}

/// Fills `to` with the registers of the caller's context.
#[inline(always)]
pub(crate) fn capture_caller(to: &mut BasicRegisters) {
    let mut frame = TrapFrame { vector: VECTOR_CALL, ..TrapFrame::EMPTY };
    note_caller(&mut frame);
    capture(&frame, to);
}

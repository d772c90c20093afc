//! What the processor and the entry stubs leave of an interrupted context.

/// The interrupted context, as an entry stub of this crate leaves it on the handler's stack. Firmware that has its own
/// stubs builds one for [`nmi_enter`](crate::nmi_enter).
///
/// Layout: `repr(C)`, ascending: the stub's part, then what the processor pushed (SDM vol. 3A, 6.14.2 "64-Bit Mode
/// Stack Frame").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct TrapFrame {
    /// R15.
    pub r15: u64,
    /// R14.
    pub r14: u64,
    /// R13.
    pub r13: u64,
    /// R12.
    pub r12: u64,
    /// R11.
    pub r11: u64,
    /// R10.
    pub r10: u64,
    /// R9.
    pub r9: u64,
    /// R8.
    pub r8: u64,
    /// RBP.
    pub rbp: u64,
    /// RDI.
    pub rdi: u64,
    /// RSI.
    pub rsi: u64,
    /// RDX.
    pub rdx: u64,
    /// RCX.
    pub rcx: u64,
    /// RBX.
    pub rbx: u64,
    /// RAX.
    pub rax: u64,
    /// CR2, before the handler could fault.
    pub cr2: u64,
    /// DR7, which the stub has zeroed since.
    pub dr7: u64,
    /// Address of the 512 bytes that FXSAVE64 stored before any Rust code ran, for targets whose Rust code uses the vector
    /// registers; 0 where nothing was stored. As long as the frame, those bytes stay as they are.
    pub vector_state: u64,
    /// The vector.
    pub vector: u64,
    /// The error code, 0 for vectors that have none.
    pub error_code: u64,
    /// RIP.
    pub rip: u64,
    /// CS.
    pub cs: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// RSP.
    pub rsp: u64,
    /// SS.
    pub ss: u64,
}

// The processor aligns RSP to 16 before it pushes. The stubs push an odd number of words, and take another eight bytes
// before they call.
const _: () = assert!(size_of::<TrapFrame>() % 16 == 8);

/// The vector of a frame that no exception made: a call asked for it.
pub(crate) const VECTOR_CALL: u64 = 0x100;
/// Non-maskable interrupt (SDM vol. 3A, table 6-1).
pub(crate) const VECTOR_NMI: u64 = 2;
/// Double fault.
pub(crate) const VECTOR_DOUBLE_FAULT: u64 = 8;
/// Machine check.
pub(crate) const VECTOR_MACHINE_CHECK: u64 = 18;

impl TrapFrame {
    /// A frame of nothing.
    pub const EMPTY: Self = Self {
        r15: 0,
        r14: 0,
        r13: 0,
        r12: 0,
        r11: 0,
        r10: 0,
        r9: 0,
        r8: 0,
        rbp: 0,
        rdi: 0,
        rsi: 0,
        rdx: 0,
        rcx: 0,
        rbx: 0,
        rax: 0,
        cr2: 0,
        dr7: 0,
        vector_state: 0,
        vector: 0,
        error_code: 0,
        rip: 0,
        cs: 0,
        rflags: 0,
        rsp: 0,
        ss: 0,
    };
}

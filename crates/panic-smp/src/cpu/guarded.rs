//! Instructions that may fault, and where to go on when they do.
//!
//! Each of them has an entry in a fix-up table: the address of the instruction and the address to go on at. The
//! exception entry asks [`resume_address`] with the RIP of the fault and, when there is an answer, jumps to it with
//! RSP and the general registers as at the fault. It need not execute IRET (which would unmask NMIs): at the resume
//! address nothing else is assumed; RFLAGS may hold anything but a set AC or TF. A fault therefore leaves maskable
//! interrupts as the exception entry left them: callers in normal context save and restore IF.
//!
//! The exception must be one that is raised before the instruction changed anything: #GP, #PF, #SS, #AC. For #MC it
//! holds only when MCG_STATUS says that the stored RIP is that of the error (EIPV) and that it can be returned to
//! (RIPV): SDM vol. 3B 16.3.1.2.
//!
//! # Context
//! NMI context, contain path; also normal context at boot. A stack of 8 bytes is used. The functions are assembly so
//! that the address of the faulting instruction and the registers at that point are fixed.

use core::arch::global_asm;

global_asm!(
    ".pushsection .text.panic_smp_guarded, \"ax\", @progbits",
    ".balign 16",
    // u32 panic_smp_guarded_rdmsr(u32 msr /* edi */, u64 *value /* rsi */)
    ".globl panic_smp_guarded_rdmsr",
    ".hidden panic_smp_guarded_rdmsr",
    ".type panic_smp_guarded_rdmsr, @function",
    "panic_smp_guarded_rdmsr:",
    "mov ecx, edi",
    ".globl panic_smp_rdmsr_fault",
    ".hidden panic_smp_rdmsr_fault",
    "panic_smp_rdmsr_fault:",
    "rdmsr",
    "shl rdx, 32",
    "mov eax, eax",
    "or rax, rdx",
    "mov qword ptr [rsi], rax",
    "mov eax, 1",
    "ret",
    ".size panic_smp_guarded_rdmsr, . - panic_smp_guarded_rdmsr",
    ".balign 16",
    // u32 panic_smp_guarded_wrmsr(u32 msr /* edi */, u64 value /* rsi */)
    ".globl panic_smp_guarded_wrmsr",
    ".hidden panic_smp_guarded_wrmsr",
    ".type panic_smp_guarded_wrmsr, @function",
    "panic_smp_guarded_wrmsr:",
    "mov ecx, edi",
    "mov eax, esi",
    "mov rdx, rsi",
    "shr rdx, 32",
    ".globl panic_smp_wrmsr_fault",
    ".hidden panic_smp_wrmsr_fault",
    "panic_smp_wrmsr_fault:",
    "wrmsr",
    "mov eax, 1",
    "ret",
    // Both MSR functions go on here: nothing was changed, the answer is 0.
    ".globl panic_smp_msr_resume",
    ".hidden panic_smp_msr_resume",
    "panic_smp_msr_resume:",
    "cld",
    "xor eax, eax",
    "ret",
    ".size panic_smp_guarded_wrmsr, . - panic_smp_guarded_wrmsr",
    ".balign 16",
    // usize panic_smp_guarded_read(usize from /* rdi */, u8 *to /* rsi */, usize length /* rdx */)
    // rax counts the bytes copied. Eight at a time while eight are left, then one at a time; a fault in an
    // eight-byte load goes on with single bytes, so that the count is exact.
    ".globl panic_smp_guarded_read",
    ".hidden panic_smp_guarded_read",
    ".type panic_smp_guarded_read, @function",
    "panic_smp_guarded_read:",
    "xor eax, eax",
    "2:",
    "mov rcx, rdx",
    "sub rcx, rax",
    "cmp rcx, 8",
    "jb 3f",
    ".globl panic_smp_read_eight_fault",
    ".hidden panic_smp_read_eight_fault",
    "panic_smp_read_eight_fault:",
    "mov r8, qword ptr [rdi + rax]",
    "mov qword ptr [rsi + rax], r8",
    "add rax, 8",
    "jmp 2b",
    ".globl panic_smp_read_eight_resume",
    ".hidden panic_smp_read_eight_resume",
    "panic_smp_read_eight_resume:",
    "cld",
    "3:",
    "cmp rax, rdx",
    "jae 4f",
    ".globl panic_smp_read_one_fault",
    ".hidden panic_smp_read_one_fault",
    "panic_smp_read_one_fault:",
    "movzx r8d, byte ptr [rdi + rax]",
    "mov byte ptr [rsi + rax], r8b",
    "inc rax",
    "jmp 3b",
    ".globl panic_smp_read_one_resume",
    ".hidden panic_smp_read_one_resume",
    "panic_smp_read_one_resume:",
    "cld",
    "4:",
    "ret",
    ".size panic_smp_guarded_read, . - panic_smp_guarded_read",
    ".popsection",
);

unsafe extern "sysv64" {
    fn panic_smp_guarded_rdmsr(msr: u32, value: *mut u64) -> u32;
    fn panic_smp_guarded_wrmsr(msr: u32, value: u64) -> u32;
    fn panic_smp_guarded_read(from: u64, to: *mut u8, length: usize) -> usize;
}

/// Labels within the code above. Only their addresses are used.
mod label {
    unsafe extern "C" {
        pub(super) static panic_smp_rdmsr_fault: u8;
        pub(super) static panic_smp_wrmsr_fault: u8;
        pub(super) static panic_smp_msr_resume: u8;
        pub(super) static panic_smp_read_eight_fault: u8;
        pub(super) static panic_smp_read_eight_resume: u8;
        pub(super) static panic_smp_read_one_fault: u8;
        pub(super) static panic_smp_read_one_resume: u8;
    }
}

/// An instruction that may fault, and where to go on.
struct Fixup {
    fault: *const u8,
    resume: *const u8,
}

// SAFETY: the pointers are addresses of code, compared and never dereferenced.
unsafe impl Sync for Fixup {}

/// Every guarded instruction.
static FIXUPS: [Fixup; 4] = [
    Fixup { fault: &raw const label::panic_smp_rdmsr_fault, resume: &raw const label::panic_smp_msr_resume },
    Fixup { fault: &raw const label::panic_smp_wrmsr_fault, resume: &raw const label::panic_smp_msr_resume },
    Fixup {
        fault: &raw const label::panic_smp_read_eight_fault,
        resume: &raw const label::panic_smp_read_eight_resume,
    },
    Fixup {
        fault: &raw const label::panic_smp_read_one_fault,
        resume: &raw const label::panic_smp_read_one_resume,
    },
];

/// Where to go on after a fault at `fault_rip`; `None` when that is no guarded instruction.
///
/// At the answer, RSP and the general registers must be as at the fault; see the module's documentation.
#[inline]
pub(crate) fn resume_address(fault_rip: u64) -> Option<u64> {
    for fixup in &FIXUPS {
        if fixup.fault.addr() as u64 == fault_rip {
            return Some(fixup.resume.addr() as u64);
        }
    }
    None
}

/// Reads an MSR that may not exist; `None` when the read faults.
///
/// # Safety
/// CPL 0, and the exception entry resumes by [`resume_address`].
#[inline]
pub(crate) unsafe fn guarded_rdmsr(msr: u32) -> Option<u64> {
    let mut value = 0;
    // SAFETY: stores only to `value`; a fault is resumed as the caller promises.
    let read = unsafe { panic_smp_guarded_rdmsr(msr, &raw mut value) };
    if read == 0 { None } else { Some(value) }
}

/// Writes an MSR that may not exist or may refuse the value; whether it was written.
///
/// # Safety
/// CPL 0, the exception entry resumes by [`resume_address`], and the effect of the write breaks nothing that Rust
/// relies on.
#[inline]
pub(crate) unsafe fn guarded_wrmsr(msr: u32, value: u64) -> bool {
    // SAFETY: touches no memory; a fault is resumed as the caller promises.
    unsafe { panic_smp_guarded_wrmsr(msr, value) != 0 }
}

/// Copies memory from `address` until `to` is full or a read faults; the number of bytes copied.
///
/// The bytes are a snapshot without any order: another CPU may be writing them.
///
/// # Safety
/// The exception entry resumes by [`resume_address`]. What is mapped at `address` is memory: reading a device may
/// have effects.
#[inline]
pub(crate) unsafe fn guarded_read(address: u64, to: &mut [u8]) -> usize {
    // SAFETY: stores only to `to`, no more than its length; the reads are guarded and are not accesses of the Rust
    // abstract machine, so that racing with a writer is no undefined behaviour.
    unsafe { panic_smp_guarded_read(address, to.as_mut_ptr(), to.len()) }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::sync::Once;
    use std::{ptr, vec};

    use super::*;

    /// What a firmware's exception entry does, done by a signal handler.
    extern "C" fn resume(_signal: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let context = context.cast::<libc::ucontext_t>();
        // SAFETY: the kernel passes a context that it restores on return.
        let rip = unsafe { &mut (*context).uc_mcontext.gregs[libc::REG_RIP as usize] };
        match resume_address(*rip as u64) {
            Some(address) => *rip = address as i64,
            // SAFETY: abort is callable in a signal handler.
            None => unsafe { libc::abort() },
        }
    }

    fn catch_faults() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            for signal in [libc::SIGSEGV, libc::SIGBUS] {
                // SAFETY: a zeroed sigaction is a valid one; the handler follows the rules of signal handlers.
                unsafe {
                    let mut action: libc::sigaction = core::mem::zeroed();
                    action.sa_sigaction = resume as *const () as usize;
                    action.sa_flags = libc::SA_SIGINFO;
                    assert_eq!(libc::sigaction(signal, &action, ptr::null_mut()), 0);
                }
            }
        });
    }

    /// Two pages, of which the second cannot be read.
    fn page_before_a_hole() -> *mut u8 {
        // SAFETY: a fresh private mapping; taking the access away from its second half touches nobody else.
        unsafe {
            let page = libc::mmap(
                ptr::null_mut(),
                8192,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(page, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(page.byte_add(4096), 4096, libc::PROT_NONE), 0);
            page.cast()
        }
    }

    #[test]
    fn msr_access_that_faults_says_so() {
        catch_faults();
        // At CPL 3 every RDMSR and WRMSR raises #GP.
        // SAFETY: `resume` resumes by `resume_address`; neither instruction completes.
        unsafe {
            assert_eq!(guarded_rdmsr(0x1B), None);
            assert!(!guarded_wrmsr(0x1B, u64::MAX));
        }
    }

    #[test]
    fn reading_stops_exactly_at_the_hole() {
        catch_faults();
        let page = page_before_a_hole();
        for i in 0..4096 {
            // SAFETY: within the first page, which is writable.
            unsafe { page.add(i).write((i * 7 + i / 256) as u8) };
        }
        for offset in (0..24).chain(4060..4097) {
            for length in [0usize, 1, 7, 8, 9, 16, 17, 40, 100] {
                let mut to = vec![0xAAu8; length + 8];
                let (to, guard) = to.split_at_mut(length);
                // SAFETY: `resume` resumes by `resume_address`; the address is memory or a hole.
                let read = unsafe { guarded_read(page as u64 + offset as u64, to) };
                assert_eq!(read, length.min(4096 - offset), "offset {offset} length {length}");
                for (i, &byte) in to.iter().enumerate() {
                    let at = offset + i;
                    assert_eq!(byte, if i < read { (at * 7 + at / 256) as u8 } else { 0xAA });
                }
                assert_eq!(guard, [0xAA; 8]);
            }
        }
        // SAFETY: unmapped after its last use.
        unsafe { libc::munmap(page.cast(), 8192) };
    }

    #[test]
    fn a_non_canonical_address_reads_nothing() {
        catch_faults();
        let mut to = [0u8; 16];
        // SAFETY: `resume` resumes by `resume_address`; nothing can be mapped there.
        assert_eq!(unsafe { guarded_read(0x8000_0000_0000_0000, &mut to) }, 0);
    }

    #[test]
    fn only_guarded_instructions_resume() {
        for fixup in &FIXUPS {
            assert!(resume_address(fixup.fault.addr() as u64).is_some());
            assert_eq!(resume_address(fixup.fault.addr() as u64 + 1), None);
            assert_eq!(resume_address(fixup.resume.addr() as u64), None);
        }
        assert_eq!(resume_address(0), None);
    }
}

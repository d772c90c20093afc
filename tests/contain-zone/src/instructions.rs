//! Classes of instructions that the zone must not have, or only in named functions.

use iced_x86::{CpuidFeature, Instruction, InstructionInfoFactory, Mnemonic};
use serde::Serialize;

/// A class of instructions that is forbidden where no rule allows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// CPUID: a VM exit under every hypervisor (SDM vol. 3C, "Instructions That Cause VM Exits Unconditionally").
    Cpuid,
    /// x87, MMX, SSE, AVX, AVX-512 or AMX: the interrupted context's state is not saved yet, or never will be.
    FloatingPoint,
    /// FXSAVE, XSAVE, FNINIT, LDMXCSR and their like, which move or set that state as a whole.
    VectorState,
    /// DIV and IDIV: they fault on zero and on overflow.
    Division,
    /// HLT: waits for an event that may not come.
    Halt,
    /// UD2, INT3, INT n: the compiler's form of abort, or an entry into somebody else's gate.
    Trap,
}

/// Returns the class of an instruction, or `None` for one that the zone may have anywhere.
pub(crate) fn class_of(instruction: &Instruction, info: &mut InstructionInfoFactory) -> Option<Class> {
    match instruction.mnemonic() {
        Mnemonic::Cpuid => return Some(Class::Cpuid),
        Mnemonic::Div | Mnemonic::Idiv => return Some(Class::Division),
        Mnemonic::Hlt => return Some(Class::Halt),
        Mnemonic::Ud0 | Mnemonic::Ud1 | Mnemonic::Ud2 | Mnemonic::Int | Mnemonic::Int1 | Mnemonic::Int3 => {
            return Some(Class::Trap);
        }
        Mnemonic::Fninit
        | Mnemonic::Fnclex
        | Mnemonic::Fldcw
        | Mnemonic::Fnstcw
        | Mnemonic::Fnstsw
        | Mnemonic::Fnsave
        | Mnemonic::Frstor
        | Mnemonic::Emms
        | Mnemonic::Ldmxcsr
        | Mnemonic::Stmxcsr
        | Mnemonic::Vldmxcsr
        | Mnemonic::Vstmxcsr
        | Mnemonic::Vzeroall
        | Mnemonic::Vzeroupper => return Some(Class::VectorState),
        _ => {}
    }
    let state = [
        CpuidFeature::FXSR,
        CpuidFeature::XSAVE,
        CpuidFeature::XSAVEC,
        CpuidFeature::XSAVEOPT,
        CpuidFeature::XSAVES,
    ];
    let x87 = [CpuidFeature::FPU, CpuidFeature::FPU287, CpuidFeature::FPU387];
    let features = instruction.cpuid_features();
    // XGETBV reads XCR0 and touches no register of the state.
    if features.iter().any(|feature| state.contains(feature)) && instruction.mnemonic() != Mnemonic::Xgetbv {
        return Some(Class::VectorState);
    }
    if features.iter().any(|feature| x87.contains(feature)) {
        return Some(Class::FloatingPoint);
    }
    // By registers and not by feature bits: LFENCE, MFENCE, PAUSE, MOVNTI and CLFLUSH come with SSE but use none.
    let uses_vector = info.info(instruction).used_registers().iter().any(|used| {
        let register = used.register();
        register.is_st()
            || register.is_mm()
            || register.is_vector_register()
            || register.is_k()
            || register.is_tmm()
    });
    uses_vector.then_some(Class::FloatingPoint)
}

/// Returns whether the instruction is padding, which is not counted as code.
pub(crate) fn is_padding(instruction: &Instruction) -> bool {
    instruction.mnemonic() == Mnemonic::Nop
}

#[cfg(test)]
mod tests {
    use super::{Class, class_of};
    use iced_x86::{Decoder, DecoderOptions, InstructionInfoFactory};

    #[test]
    fn classes() {
        let cases: [(&str, &[u8], Option<Class>); 17] = [
            ("cpuid", &[0x0f, 0xa2], Some(Class::Cpuid)),
            ("movaps xmm0, xmm1", &[0x0f, 0x28, 0xc1], Some(Class::FloatingPoint)),
            ("vpxor ymm0, ymm0, ymm0", &[0xc5, 0xfd, 0xef, 0xc0], Some(Class::FloatingPoint)),
            ("fld1", &[0xd9, 0xe8], Some(Class::FloatingPoint)),
            ("movq mm0, mm1", &[0x0f, 0x6f, 0xc1], Some(Class::FloatingPoint)),
            ("fxsave64 [rdi]", &[0x48, 0x0f, 0xae, 0x07], Some(Class::VectorState)),
            ("xsave64 [rdi]", &[0x48, 0x0f, 0xae, 0x27], Some(Class::VectorState)),
            ("xsavec [rdi]", &[0x0f, 0xc7, 0x27], Some(Class::VectorState)),
            ("fninit", &[0xdb, 0xe3], Some(Class::VectorState)),
            ("div rcx", &[0x48, 0xf7, 0xf1], Some(Class::Division)),
            ("hlt", &[0xf4], Some(Class::Halt)),
            ("ud2", &[0x0f, 0x0b], Some(Class::Trap)),
            ("xgetbv", &[0x0f, 0x01, 0xd0], None),
            ("mfence", &[0x0f, 0xae, 0xf0], None),
            ("pause", &[0xf3, 0x90], None),
            ("movnti [rdi], rax", &[0x48, 0x0f, 0xc3, 0x07], None),
            ("cmovz eax, ecx", &[0x0f, 0x44, 0xc1], None),
        ];
        for (text, bytes, expected) in cases {
            let instruction = Decoder::new(64, bytes, DecoderOptions::NONE).decode();
            assert!(!instruction.is_invalid(), "{text}");
            assert_eq!(class_of(&instruction, &mut InstructionInfoFactory::new()), expected, "{text}");
        }
    }
}

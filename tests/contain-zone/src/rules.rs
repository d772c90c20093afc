//! The rules of this repository's firmware. Data: what a rule means is said in [`crate::Rules`].
//!
//! A new exception belongs here only with the bound or the reason that makes it right, in words that a reviewer can check.

use crate::{Exception, Forbidden, Root, Rules};

/// Frame that the processor pushes in 64-bit mode: SS, RSP, RFLAGS, CS, RIP (SDM vol. 3A, "64-Bit Mode Stack Frame").
const INTERRUPT_FRAME: u64 = 40;
/// The same with an error code.
const EXCEPTION_FRAME: u64 = INTERRUPT_FRAME + 8;

/// Returns the rules for an image that links `panic-smp`.
#[must_use]
pub fn firmware() -> Rules {
    Rules {
        roots: vec![
            root("panic_smp_nmi_entry", "NMI entry -> Stopped", INTERRUPT_FRAME),
            root("panic_smp_double_fault_entry", "#DF entry -> Stopped", EXCEPTION_FRAME),
            root("panic_smp_machine_check_entry", "#MC entry -> Stopped", INTERRUPT_FRAME),
        ],
        boundaries: Vec::new(),
        forbidden: forbidden(),
        indirect_calls: Vec::new(),
        loops: vec![bounded(
            "compiler_builtins::mem::*",
            "by the length, a constant or the size of a type at each caller",
        )],
        instructions: Vec::new(),
        stack_switches: Vec::new(),
        landings: Vec::new(),
    }
}

/// Returns what no contain zone may call or inline.
#[must_use]
pub fn forbidden() -> Vec<Forbidden> {
    let mut all = Vec::new();
    for (what, functions) in [
        (
            "panicking operation",
            &["core::panicking::*", "core::option::*failed", "core::result::*failed", "core::cell::panic_*"]
                [..],
        ),
        (
            "an index that can panic",
            &["core::slice::*fail*", "core::str::*fail*", "core::slice::copy_from_slice_impl::*"],
        ),
        ("the panic handler, from inside the zone", &["*rust_begin_unwind", "*rust_panic*"]),
        ("formatting", &["core::fmt::*", "<* as core::fmt::*>::*", "core::num::*fmt*"]),
        (
            "allocation",
            &["alloc::*", "<alloc::*", "*__rust_alloc*", "*__rust_realloc*", "*__rust_dealloc*", "*__rdl_*"],
        ),
        (
            "a lock that a stopped CPU may hold",
            &["_critical_section_1_0_acquire", "_critical_section_1_0_release", "critical_section::*"],
        ),
        ("floating point", &["compiler_builtins::float::*", "__*sf2", "__*df2", "__*sf3", "__*df3"]),
    ] {
        all.extend(functions.iter().map(|function| Forbidden {
            function: (*function).into(),
            what: what.to_owned(),
            except_file: None,
        }));
    }
    // Also what the compiler emits by itself for copies; only its own, never a firmware's replacement.
    all.extend(["memcpy", "memmove", "memset", "memcmp", "bcmp"].map(|function| Forbidden {
        function: function.into(),
        what: "not the compiler's own memory function".to_owned(),
        except_file: Some("compiler_builtins*".into()),
    }));
    all
}

fn root(function: &str, label: &str, entry_bytes: u64) -> Root {
    Root { function: function.into(), label: label.to_owned(), entry_bytes, optional: false }
}

/// A function whose loops end, and why.
fn bounded(function: &str, reason: &str) -> Exception {
    Exception { function: function.into(), reason: reason.to_owned() }
}

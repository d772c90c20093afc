//! The rules of this repository's firmware. Data: what a rule means is said in [`crate::Rules`].
//!
//! A new exception belongs here only with the bound or the reason that makes it right, in words that a reviewer can check.

use crate::{
    Class, Exception, Forbidden, IndirectCalls, InstructionException, Landing, Root, Rules, Targets,
};

/// Frame that the processor pushes in 64-bit mode: SS, RSP, RFLAGS, CS, RIP (SDM vol. 3A, "64-Bit Mode Stack Frame").
const INTERRUPT_FRAME: u64 = 40;
/// The same with an error code.
const EXCEPTION_FRAME: u64 = INTERRUPT_FRAME + 8;

/// What an ordinary call pushes.
const RETURN_ADDRESS: u64 = 8;

/// Returns the rules for an image that links `panic-smp`.
#[must_use]
pub fn firmware() -> Rules {
    Rules {
        roots: roots(),
        boundaries: vec![excuse(
            "panic_smp::stages::panic_smp_report_zone",
            "begins after the verdicts, on a stack of its own",
        )],
        forbidden: forbidden(),
        indirect_calls: indirect_calls(),
        loops: loops(),
        instructions: instructions(),
        stack_switches: [
            ("panic_smp_nmi_entry", "from the landing pad to the area of this depth"),
            ("panic_smp_double_fault_entry", "from the landing pad to the rest of its block"),
            ("panic_smp_machine_check_entry", "from the landing pad to the rest of its block"),
            ("panic_smp_exception_common", "resumes after an expected fault, on the stack of the fault"),
            ("panic_smp::entry::stubs::on_stack", "to the report zone's stack of this level, for good"),
        ]
        .map(|(function, reason)| excuse(function, reason))
        .into(),
        landings: [
            ("panic_smp_rdmsr_fault", "panic_smp_msr_resume"),
            ("panic_smp_wrmsr_fault", "panic_smp_msr_resume"),
            ("panic_smp_read_eight_fault", "panic_smp_read_eight_resume"),
            ("panic_smp_read_one_fault", "panic_smp_read_one_resume"),
        ]
        .map(|(fault, resume)| Landing::Labels { fault: fault.to_owned(), resume: resume.to_owned() })
        .into(),
    }
}

fn roots() -> Vec<Root> {
    let stubs = [
        ("panic_smp_nmi_entry", "NMI entry -> Stopped", INTERRUPT_FRAME),
        ("panic_smp_double_fault_entry", "#DF entry -> Stopped", EXCEPTION_FRAME),
        ("panic_smp_machine_check_entry", "#MC entry -> Stopped", INTERRUPT_FRAME),
        // Entered by a jump after vector and error code were pushed.
        ("panic_smp_exception_common", "exception entry -> Stopped", EXCEPTION_FRAME + 8),
        // The panic handler is often inlined into its caller; this is what it calls.
        ("panic_smp::entry::stubs::capture_frame", "panic or self-stop -> Stopped", RETURN_ADDRESS),
    ];
    let calls = [
        ("*rust_begin_unwind", "panic -> Stopped"),
        ("panic_smp::*::panic_smp_self_stop", "panic_smp_self_stop -> Stopped"),
        ("panic_smp::*::nmi_panic", "nmi_panic -> Stopped"),
        ("panic_smp::*::nmi_panic_self_stop", "nmi_panic_self_stop -> Stopped"),
        ("<* as nmi_source::board::Board>::identify", "board: identify"),
        ("<* as nmi_source::board::Board>::acknowledge", "board: acknowledge"),
    ];
    let root = |function: &str, label: &str, entry_bytes, optional| Root {
        function: function.into(),
        label: label.to_owned(),
        entry_bytes,
        optional,
    };
    stubs
        .into_iter()
        .map(|(function, label, bytes)| root(function, label, bytes, false))
        .chain(calls.into_iter().map(|(function, label)| root(function, label, RETURN_ADDRESS, true)))
        .collect()
}

fn indirect_calls() -> Vec<IndirectCalls> {
    const REQUIRED: bool = false;
    // A firmware without boards or handlers has the calls all the same.
    const IF_ANY: bool = true;
    let boards = || vec![Targets::VtableSlot("<* as nmi_source::board::Board>::identify".into())];
    let method = |of: &str| vec![Targets::VtableSlot(of.into())];
    let function = |name: &str| vec![Targets::Functions(name.into())];
    [
        (
            "panic_smp::entry::stubs::on_stack",
            function("panic_smp::stages::panic_smp_report_zone"),
            REQUIRED,
            "the report zone",
        ),
        (
            "panic_smp::entry::stubs::capture_frame",
            function("panic_smp::*::*_captured"),
            REQUIRED,
            "where a panic, a self-stop or a shootdown goes on with its frame",
        ),
        (
            "panic_smp::nmi::*::identify::{{closure}}",
            boards(),
            IF_ANY,
            "the firmware's NMI handlers and boards",
        ),
        ("panic_smp::nmi::*::identify", boards(), IF_ANY, "the board that claimed the NMI"),
        ("panic_smp::nmi::cause", boards(), IF_ANY, "the name of that board"),
        (
            "<panic_smp::stop_path::Stopping as stop_protocol::stop::StopPath>::after_saved",
            Vec::new(),
            IF_ANY,
            "the firmware's stop callback, once per CPU, after its save",
        ),
        (
            "nmi_source::context::NmiContext::*",
            method("<* as nmi_source::context::NmiEnvironment>::poll_stop"),
            REQUIRED,
            "a board's wait, clock and buses, which are the runtime's",
        ),
        ("board_*::*", method("<* as nmi_source::bus::*>::*"), REQUIRED, "a board's device registers"),
    ]
    .into_iter()
    .map(|(function, targets, optional, reason)| IndirectCalls {
        function: function.into(),
        targets,
        optional,
        reason: reason.to_owned(),
    })
    .collect()
}

fn loops() -> Vec<Exception> {
    [
        ("panic_smp_guarded_read", "by the length; each turn moves at least one byte"),
        ("panic_smp::cpu::halt_forever", "the last state of a stopped CPU"),
        ("panic_smp::clock::wait", "by its time, and by POLLS_WITHOUT_TICK if the counter stands still"),
        ("panic_smp::nmi::*::begin_asking", "by its Deadline"),
        ("panic_smp::nmi::*::identify", "by the number of NMI handlers and boards"),
        (
            "nmi_source::context::NmiContext::wait",
            "by its bound, and by TURNS_WITHOUT_TICK if the clock stands still",
        ),
        ("stop_protocol::election::*", "by ATTEMPTS"),
        ("stop_protocol::ledger::*::cpu_with_apic_id", "by the number of CPUs"),
        ("stop_protocol::wait::*::contain", "by Patience: a total ceiling"),
        ("stop_protocol::wait::*::publish_and_send", "by the number of CPUs"),
        ("stop_protocol::wait::*::scan", "by the number of CPUs"),
        ("stop_protocol::wait::*::resend", "by the number of CPUs"),
        (
            "stop_protocol::wait::*::await_stop",
            "by Patience; anew only when the authority word changed, which it does finitely often",
        ),
        ("stop_protocol::wait::*::guard", "by Patience for each stage; stages only go up"),
    ]
    .map(|(function, reason)| excuse(function, reason))
    .into()
}

fn instructions() -> Vec<InstructionException> {
    [
        (Class::Halt, "panic_smp::cpu::halt_forever", "the last state of a stopped CPU"),
        (
            Class::VectorState,
            "panic_smp::entry::vector_state::copy",
            "the record has the vector state; CR0.EM and CR0.TS are clear",
        ),
        (Class::Trap, "panic_smp::entry::stubs::on_stack", "behind a call that never returns"),
        (Class::Trap, "panic_smp::entry::stubs::capture_frame", "behind a call that never returns"),
    ]
    .map(|(class, function, reason)| InstructionException {
        class,
        function: function.into(),
        reason: reason.to_owned(),
    })
    .into()
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

fn excuse(function: &str, reason: &str) -> Exception {
    Exception { function: function.into(), reason: reason.to_owned() }
}

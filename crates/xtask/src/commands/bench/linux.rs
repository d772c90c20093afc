//! Which of our functions do the same job as which of Linux's.
//!
//! Linux 7.2.13, gcc 12.2 -O2, x86_64_defconfig with KVM, retpolines and call padding: bytes of each symbol, and its
//! instructions without NOPs.

/// A function of Linux: symbol, bytes, instructions.
pub type Function = (&'static str, u64, u64);

/// A job that both do.
pub struct Job {
    /// What it is.
    pub what: &'static str,
    /// Who does it in Linux.
    pub linux: &'static [Function],
    /// Who does it here: patterns of demangled paths. A function that is inlined in one of these belongs to it, unless
    /// it is in [`MORE`] or does another job.
    pub ours: &'static [&'static str],
}

/// The jobs.
pub const JOBS: &[Job] = &[
    Job {
        what: "elect one CPU",
        linux: &[("nmi_panic", 76, 16), ("panic_try_start", 32, 6), ("panic_on_other_cpu", 45, 11)],
        ours: &["panic_smp::fatal::*::fatal_nmi", "stop_protocol::election::*::claim"],
    },
    Job {
        what: "wait in an NMI for the stop",
        linux: &[("nmi_panic_self_stop", 34, 12)],
        ours: &["panic_smp::fatal::*::wait_in_nmi", "stop_protocol::wait::*::await_stop"],
    },
    Job {
        what: "order the stop, send, wait with a bound",
        linux: &[
            ("nmi_shootdown_cpus", 143, 34),
            ("kdump_nmi_shootdown_cpus", 21, 4),
            ("crash_smp_send_stop", 62, 14),
            ("set_emergency_nmi_handler", 44, 10),
        ],
        ours: &[
            "panic_smp::stages::*::contain_others",
            "stop_protocol::wait::*::contain",
            "<panic_smp::environment::RuntimePatience as *>::*",
        ],
    },
    Job {
        what: "stop: learn of the order, save once, call back, halt",
        linux: &[
            ("crash_nmi_callback", 89, 21),
            ("run_crash_ipi_callback", 29, 8),
            ("kdump_nmi_callback", 26, 7),
        ],
        ours: &[
            "stop_protocol::stop::*::enter_nmi",
            "stop_protocol::stop::*::ordered",
            "stop_protocol::stop::*::save_once",
            "stop_protocol::stop::*::stop_self",
            "stop_protocol::stop::*::finish_stop",
            "panic_smp::stop_path::*::stop_here",
            "<panic_smp::stop_path::Stopping as *>::after_saved",
        ],
    },
    Job {
        what: "save the registers",
        linux: &[("crash_save_cpu", 576, 110), ("append_elf_note", 121, 40), ("final_note", 23, 4)],
        ours: &["<panic_smp::stop_path::Stopping as *>::save_registers", "panic_smp::capture::capture"],
    },
];

/// What Linux's functions above do not do, also where it is inlined in ours.
pub const MORE: &[(&str, &[&str])] = &[
    (
        "the local APIC's driver (Linux's is not in its count either)",
        &["panic_smp::apic::*", "<panic_smp::apic::*", "<panic_smp::environment::ApicTransport as *>::*"],
    ),
    ("extended state and the APIC's registers", &["panic_smp::stop_path::*::capture_extended"]),
    (
        "guard, take-over, second send",
        &[
            "stop_protocol::wait::*::guard",
            "stop_protocol::wait::*::resend",
            "stop_protocol::election::*::take_over",
            "panic_smp::fatal::*::take_place",
        ],
    ),
    (
        "the owner's stages",
        &[
            "panic_smp::stages::*::drive",
            "panic_smp::stages::*::go_on",
            "stop_protocol::election::*::next_stage",
        ],
    ),
    (
        "the NMI's stub and dispatch (Linux's are not in its count either)",
        &["panic_smp_nmi_entry", "panic_smp::nmi::*"],
    ),
    (
        "boards",
        &["board_*", "<board_*", "nmi_source::*", "<*BoardEnvironment as *>::*", "<*MachineBus as *>::*"],
    ),
];

//! From log and ELF to report, backtraces, JSON and core.

mod common;

use common::*;
use postmortem::{Analysis, Backtrace, ElfProblem, End, Outcome, analyse};
use stop_protocol::CpuIndex;

fn functions(backtrace: &Backtrace) -> Vec<&str> {
    backtrace.frames.iter().map(|frame| frame.function.as_deref().unwrap_or("?")).collect()
}

fn analysed(name: &str) -> (Firmware, Analysis) {
    let firmware = firmware(&dir(name), Debug::Full, true);
    let log = log(header(&firmware.build_id(), 3), &crash(&firmware));
    let analysis = analyse(&log, Some(&firmware.bytes));
    (firmware, analysis)
}

#[test]
fn the_report_says_what_happened_on_one_screen() {
    let (_, analysis) = analysed("report");
    assert_eq!(analysis.outcome(), Outcome::Complete);
    assert!(analysis.is_complete());
    let report = analysis.report_text();
    for wanted in [
        "NMI: front panel",
        "CPU 1: button pressed | second line \u{FFFD}[31m",
        "winner    CPU 1 (APIC id 0x2), level 1",
        "stop sent after 0.2 us, contained after 25.0 us",
        "WARNING   CPU 2 may still have been running",
        "(also from CPU 0: see --cpu)",
        ", the same in the ELF",
    ] {
        assert!(report.contains(wanted), "{wanted} is not in\n{report}");
    }
    let row = |cpu: u16| {
        let row = report.lines().find(|line| line.get(2..5) == Some(&format!("{cpu:>3}")));
        row.unwrap_or_else(|| panic!("no row of CPU {cpu}:\n{report}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(row(0)[..6], ["0", "0x0", "stopped", "poll", "15.0", "firmware::roles::worker"]);
    assert!(row(0)[6].ends_with("firmware.rs:7"), "{report}");
    assert_eq!(row(1)[..7], ["*", "1", "0x2", "reporting", "own", "panic", "-"]);
    assert_eq!(row(2), ["2", "0x4", "POSSIBLY", "RUNNING", "none", "-", "-"]);
    let full = report + &analysis.backtraces_text();
    assert!(full.lines().all(|line| line.chars().count() <= 100), "{full}");
    assert!(full.lines().count() <= 40, "{} lines:\n{full}", full.lines().count());
}

#[test]
fn backtraces_follow_the_frame_pointers() {
    let (_, analysis) = analysed("frames");
    let first = &analysis.cpus[0].backtrace;
    // The return address into `outer` is the first byte after it: the call was its last instruction.
    assert_eq!(
        functions(first),
        ["firmware::roles::worker", "firmware::roles::idle", "firmware::outer", "_start"]
    );
    assert_eq!(first.end, End::Outermost);
    assert!(first.frames.iter().all(|frame| frame.line.is_some() && !frame.inlined));
    // At the entry of a function its caller is found by RSP.
    let second = &analysis.cpus[1].backtrace;
    assert_eq!(functions(second), ["firmware::roles::idle", "firmware::outer", "_start"]);
    let third = &analysis.cpus[2].backtrace;
    assert_eq!((third.frames.len(), third.end), (0, End::NoRegisters));
    let text = analysis.backtraces_text();
    assert!(text.find("CPU 1:") < text.find("CPU 0:"), "the winner comes first:\n{text}");
}

#[test]
fn a_chain_that_ends_or_breaks_is_said() {
    let firmware = firmware(&dir("chains"), Debug::Full, true);
    let whole = crash(&firmware);
    let base = Cpu::base(0);
    let end_of = |change: &dyn Fn(&mut Cpu)| {
        let mut cpus = whole.clone();
        change(&mut cpus[0]);
        let analysis = analyse(&log(header(&firmware.build_id(), 3), &cpus), Some(&firmware.bytes));
        let backtrace = &analysis.cpus[0].backtrace;
        assert!(analysis.is_complete());
        assert_eq!(
            analysis.backtraces_text().contains(&backtrace.end.to_string()),
            backtrace.end != End::Outermost
        );
        (backtrace.frames.len(), backtrace.end)
    };
    assert_eq!(end_of(&|_| {}), (4, End::Outermost));
    assert_eq!(end_of(&|cpu| cpu.stack.truncate(7)), (2, End::StackNotInRecord { at: base + 48 }));
    assert_eq!(end_of(&|cpu| cpu.stack.clear()), (1, End::StackNotInRecord { at: base + 16 }));
    // The same frame again, one below, and one that is not aligned.
    assert_eq!(end_of(&|cpu| cpu.stack[2] = base + 16), (2, End::BrokenChain { frame_pointer: base + 16 }));
    assert_eq!(end_of(&|cpu| cpu.stack[2] = base), (2, End::BrokenChain { frame_pointer: base }));
    assert_eq!(end_of(&|cpu| cpu.stack[2] = base + 49), (2, End::BrokenChain { frame_pointer: base + 49 }));
    assert_eq!(end_of(&|cpu| cpu.stack[2] = u64::MAX - 7), (2, End::StackNotInRecord { at: u64::MAX - 7 }));
    // A stack of two hundred frames.
    let deep = |cpu: &mut Cpu| {
        let frame = |number: u64| [base + 16 * (number + 1), 0x1234];
        cpu.rbp = Some(0);
        cpu.stack = (0..200).flat_map(frame).collect();
    };
    assert_eq!(end_of(&deep), (65, End::TooDeep));
}

#[test]
fn the_json_form_has_every_register_and_says_which_are_true() {
    let (firmware, analysis) = analysed("json");
    let json = analysis.to_json();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["outcome"], "complete");
    let record = &json["record"];
    assert_eq!(record["header"]["winner"], 1);
    assert_eq!(record["header"]["contained_us"], 25.0);
    assert_eq!(record["header"]["build_id"].as_str().unwrap().len(), 40);
    let cpu = &record["cpus"][0];
    assert_eq!((&cpu["containment"], &cpu["register_source"]), (&"stopped".into(), &"poll".into()));
    let registers = cpu["registers"].as_array().unwrap();
    assert_eq!(registers.len(), 45);
    let named = |name: &str| registers.iter().find(|register| register["name"] == name).unwrap();
    let (worker, _) = firmware.function("firmware::roles::worker");
    assert_eq!(
        (&named("rip")["value"], &named("rip")["valid"]),
        (&format!("{:#x}", worker + 30).into(), &true.into())
    );
    assert_eq!(named("rax")["valid"], false);
    assert_eq!(cpu["backtrace"][1]["function"], "firmware::roles::idle");
    assert_eq!(cpu["backtrace_end"], "outermost");
    assert_eq!(cpu["values"][0]["value"], "0x77");
    assert!(record["cpus"][2]["registers"].is_null());
    assert_eq!(record["log_tail"], "armed: 3 CPUs\n");
}

#[test]
fn everything_about_one_cpu() {
    let (_, analysis) = analysed("detail");
    let text = analysis.cpu_text(CpuIndex(0)).unwrap();
    for wanted in [
        "rbx            000000b000000000",
        "rax            not saved",
        "MC4_STATUS",
        "lost the race",
        "apic isr7",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    assert!(!text.contains("dead0000"), "a register that was not saved is shown:\n{text}");
    assert!(analysis.cpu_text(CpuIndex(2)).unwrap().contains("no registers"));
    assert_eq!(analysis.cpu_text(CpuIndex(3)), None);
}

#[test]
fn without_debug_information_the_functions_are_still_named() {
    let firmware = firmware(&dir("no-debug"), Debug::None, true);
    let analysis = analyse(&log(header(&firmware.build_id(), 3), &crash(&firmware)), Some(&firmware.bytes));
    assert_eq!(analysis.outcome(), Outcome::Partial);
    assert_eq!(analysis.elf_problems, [ElfProblem::NoDebugInfo]);
    let names = functions(&analysis.cpus[0].backtrace);
    assert_eq!(names, ["firmware::roles::worker", "firmware::roles::idle", "firmware::outer", "_start"]);
    assert!(analysis.cpus[0].backtrace.frames.iter().all(|frame| frame.line.is_none()));
}

#[test]
fn without_a_build_id_the_elf_is_taken_on_trust_and_that_is_said() {
    let firmware = firmware(&dir("no-build-id"), Debug::Full, false);
    let analysis = analyse(&log(header(b"abc", 3), &crash(&firmware)), Some(&firmware.bytes));
    assert_eq!(analysis.elf_problems, [ElfProblem::NotCompared { missing_in: "ELF" }]);
    assert_eq!(analysis.outcome(), Outcome::Complete);
    assert!(analysis.report_text().contains("no build-id in the ELF"));
    let analysis = analyse(&log(header(b"", 3), &crash(&firmware)), Some(&firmware.bytes));
    assert_eq!(analysis.elf_problems, [ElfProblem::NotCompared { missing_in: "record" }]);
}

#[test]
fn a_record_cut_anywhere_gives_a_report_or_a_reason() {
    let firmware = firmware(&dir("cut"), Debug::Full, true);
    let log = log(header(&firmware.build_id(), 3), &crash(&firmware));
    let record_end = log.len() - b"panic-smp: record complete\n".len();
    for len in (0..record_end - 4).step_by(97) {
        let analysis = analyse(&log[..len], Some(&firmware.bytes));
        assert!(!analysis.is_complete());
        assert!(matches!(analysis.outcome(), Outcome::Partial | Outcome::NoRecord));
        assert!(analysis.report_text().contains(if analysis.record.is_ok() {
            "INCOMPLETE"
        } else {
            "no crash record"
        }));
        assert!(!analysis.to_json().is_null());
        assert_eq!(analysis.core().is_some(), analysis.record.is_ok());
        let _ = analysis.backtraces_text();
    }
}

#[test]
fn damaged_elves_never_panic() {
    let firmware = firmware(&dir("damaged-elf"), Debug::Full, true);
    let log = log(header(&firmware.build_id(), 3), &crash(&firmware));
    for len in (0..firmware.bytes.len()).step_by(firmware.bytes.len() / 40) {
        let analysis = analyse(&log, Some(&firmware.bytes[..len]));
        assert!(analysis.record.is_ok());
        let mut bytes = firmware.bytes.clone();
        bytes[len..].iter_mut().step_by(13).for_each(|byte| *byte = byte.wrapping_mul(31).wrapping_add(7));
        let _ = analyse(&log, Some(&bytes)).report_text();
    }
}

//! The check on small images of its own: each breach is seen with its call chain, and a clean image passes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use contain_zone::{
    AddressEncoding, Class, Exception, Forbidden, IndirectCalls, InstructionException, Landing, Offence,
    OffenceKind, Report, Root, Rules, Targets, check, reachable_code, rules,
};

/// How an image is linked.
#[derive(Clone, Copy, Debug)]
enum Link {
    Static,
    StaticWithoutDwarf,
    PositionIndependent,
}

/// Compiles a fixture for bare metal as firmware is: optimised, with symbols and DWARF.
fn image(name: &str, entry: &str, link: Link) -> Option<Vec<u8>> {
    let target_is_there =
        Command::new(rustc()).args(["--print", "target-libdir", "--target", "x86_64-unknown-none"]).output();
    let libdir = String::from_utf8(target_is_there.expect("rustc runs").stdout).expect("a path");
    if !Path::new(libdir.trim()).is_dir() {
        eprintln!("SKIPPED {name}: the target x86_64-unknown-none is not installed (rustup target add)");
        return None;
    }
    // Tests share images: one compiles, the others wait.
    static COMPILED: Mutex<BTreeMap<PathBuf, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let mut compiled = COMPILED.lock().unwrap_or_else(PoisonError::into_inner);
    let output = path_of(name, entry, link);
    if let Some(elf) = compiled.get(&output) {
        return Some(elf.clone());
    }
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name).with_extension("rs");
    // Other processes may run the same tests: what has the final name is whole.
    let written = output.with_extension(std::process::id().to_string());
    let mut command = Command::new(rustc());
    command
        .args(["--edition", "2024", "--target", "x86_64-unknown-none", "-O"])
        .args(["-Cpanic=abort", "-Ccodegen-units=1", "-Cforce-frame-pointers=yes"])
        .arg(format!("-Clink-arg=-e{entry}"));
    match link {
        Link::Static => command.args(["-g", "-Crelocation-model=static", "-Clink-arg=--no-pie"]),
        Link::StaticWithoutDwarf => command.args(["-Crelocation-model=static", "-Clink-arg=--no-pie"]),
        Link::PositionIndependent => command.arg("-g"),
    };
    let result = command.arg("-o").arg(&written).arg(&source).output().expect("rustc runs");
    assert!(result.status.success(), "{name}: {}", String::from_utf8_lossy(&result.stderr));
    let elf = std::fs::read(&written).expect("the image was written");
    std::fs::rename(written, &output).expect("the image gets its name");
    compiled.insert(output, elf.clone());
    Some(elf)
}

fn path_of(name: &str, entry: &str, link: Link) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{entry}-{link:?}.elf"))
}

fn rustc() -> std::ffi::OsString {
    std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// The rules of the firmware for an image whose zone begins at `root`.
fn rules_for(root: &str) -> Rules {
    Rules {
        roots: vec![Root {
            function: root.into(),
            label: "entry -> end".into(),
            entry_bytes: 40,
            optional: false,
        }],
        forbidden: rules::forbidden(),
        ..Rules::default()
    }
}

fn exception(function: &str) -> Exception {
    Exception { function: function.into(), reason: format!("{function} is right") }
}

fn check_fixture(name: &str, rules: &Rules) -> Option<Report> {
    let report = check(&image(name, "zone_entry", Link::Static)?, rules).expect("the image is readable");
    eprintln!("{report}");
    Some(report)
}

/// Asserts that the report has exactly one offence, and returns it.
fn only(report: &Report) -> &Offence {
    assert_eq!(report.offences.len(), 1, "{report}");
    &report.offences[0]
}

/// Asserts the functions from the root to the offender, by the ends of their names.
fn assert_chain(offence: &Offence, expected: &[&str]) {
    let chain: Vec<&str> = offence.chain.iter().map(|link| link.function.as_str()).collect();
    let fits =
        chain.len() == expected.len() && chain.iter().zip(expected).all(|(name, end)| name.ends_with(end));
    assert!(fits, "{chain:?} is not {expected:?}");
}

fn assert_source(offence: &Offence, file: &str) {
    assert!(offence.source.as_ref().is_some_and(|source| source.contains(file)), "{offence}");
}

fn clean_rules() -> Rules {
    Rules {
        boundaries: vec![exception("report_entry")],
        indirect_calls: vec![IndirectCalls {
            function: "clean::middle".into(),
            targets: vec![Targets::VtableSlot("<clean::* as clean::Source>::identify".into())],
            optional: false,
            reason: "the sources".into(),
        }],
        loops: vec![exception("clean::wait_bounded")],
        ..rules_for("zone_entry")
    }
}

#[test]
fn a_clean_image_passes() {
    for link in [Link::Static, Link::PositionIndependent] {
        let Some(elf) = image("clean", "zone_entry", link) else { return };
        let report = check(&elf, &clean_rules()).expect("the image is readable");
        assert!(report.is_clean(), "{link:?}: {report}");
        assert!(report.unused_rules.is_empty(), "{link:?}: {report}");
        let names: Vec<&str> = report.functions.iter().map(|function| function.symbol.as_str()).collect();
        // Behind the jump table, in the vtable slot that is called, the compiler's memcpy.
        for expected in ["by_table_leaf", "first_only", "memcpy"] {
            assert!(names.contains(&expected), "{link:?}: {expected} not in {names:?}");
        }
        // In another slot; behind the boundary.
        for unexpected in ["never_walked", "report_entry"] {
            assert!(!names.contains(&unexpected), "{link:?}: {unexpected} in {names:?}");
        }
        assert_eq!(report.loops.len(), 1, "{link:?}: {report}");
        assert_eq!(report.loops[0].owner, "clean::wait_bounded");
        assert_eq!(report.loops[0].function, "clean::middle");
    }
}

#[test]
fn each_rule_of_the_clean_image_is_needed() {
    let Some(elf) = image("clean", "zone_entry", Link::Static) else { return };
    let kinds = |rules: &Rules| {
        let report = check(&elf, rules).expect("the image is readable");
        report.offences.iter().map(|offence| offence.kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&Rules { boundaries: Vec::new(), ..clean_rules() }), [OffenceKind::ForbiddenCall]);
    assert_eq!(kinds(&Rules { indirect_calls: Vec::new(), ..clean_rules() }), [OffenceKind::IndirectCall]);
    assert_eq!(kinds(&Rules { loops: Vec::new(), ..clean_rules() }), [OffenceKind::Loop]);
}

#[test]
fn an_index_that_can_panic() {
    let Some(report) = check_fixture("index", &rules_for("zone_entry")) else { return };
    let offence = only(&report);
    assert_eq!(offence.kind, OffenceKind::ForbiddenCall);
    assert_chain(offence, &["zone_entry", "index::middle", "core::panicking::panic_bounds_check"]);
    assert_source(offence, "index.rs:8");
}

#[test]
fn a_range_that_can_panic() {
    let Some(report) = check_fixture("slice", &rules_for("zone_entry")) else { return };
    let offence = only(&report);
    assert_eq!(offence.kind, OffenceKind::ForbiddenCall);
    assert_eq!(offence.chain.len(), 3, "{offence}");
    assert!(offence.chain[2].function.starts_with("core::slice::index::slice_"), "{offence}");
}

#[test]
fn a_critical_section() {
    let Some(report) = check_fixture("lock", &rules_for("zone_entry")) else { return };
    let offence = only(&report);
    assert_eq!(offence.kind, OffenceKind::ForbiddenCall);
    assert_chain(offence, &["zone_entry", "lock::middle", "_critical_section_1_0_acquire"]);
}

#[test]
fn a_forbidden_function_that_was_inlined() {
    let mut rules = rules_for("zone_entry");
    rules.forbidden.push(Forbidden {
        function: "*::take_lock".into(),
        what: "a lock".into(),
        except_file: None,
    });
    let Some(report) = check_fixture("inlined", &rules) else { return };
    let offence = only(&report);
    assert_eq!(offence.kind, OffenceKind::ForbiddenInlined);
    assert_chain(offence, &["zone_entry", "inlined::middle"]);
}

#[test]
fn dyn_calls() {
    let Some(report) = check_fixture("dyn_call", &rules_for("zone_entry")) else { return };
    assert_eq!(report.offences.len(), 2, "{report}");
    for (offence, caller) in report.offences.iter().zip(["dyn_call::middle", "tail"]) {
        assert_eq!(offence.kind, OffenceKind::IndirectCall, "{offence}");
        assert_chain(offence, &["zone_entry", caller]);
        assert_source(offence, "dyn_call.rs");
    }
}

#[test]
fn an_allowed_dyn_call_is_followed() {
    let allow = |target: &str| Rules {
        indirect_calls: ["dyn_call::middle", "tail"]
            .map(|caller| IndirectCalls {
                function: caller.into(),
                targets: vec![Targets::Functions(target.into())],
                optional: false,
                reason: "the board".into(),
            })
            .into(),
        ..rules_for("zone_entry")
    };
    let Some(report) = check_fixture("dyn_call", &allow("<dyn_call::Known as *>::identify")) else { return };
    assert!(report.is_clean(), "{report}");
    assert!(report.functions.iter().any(|function| function.symbol.contains("Known")), "{report}");
    let Some(report) = check_fixture("dyn_call", &allow("<dyn_call::Misspelt as *>::identify")) else {
        return;
    };
    assert!(report.offences.iter().all(|offence| offence.kind == OffenceKind::NoTarget), "{report}");
    assert_eq!(report.offences.len(), 2);
}

#[test]
fn formatting() {
    let Some(report) = check_fixture("formatting", &rules_for("zone_entry")) else { return };
    let call =
        report.offences.iter().find(|offence| offence.kind == OffenceKind::ForbiddenCall).expect("a call");
    assert_chain(call, &["zone_entry", "formatting::middle", "core::fmt::write"]);
    assert!(call.detail.contains("formatting"), "{call}");
}

#[test]
fn recursion() {
    let Some(report) = check_fixture("recursion", &rules_for("zone_entry")) else { return };
    let offence = only(&report);
    assert_eq!(offence.kind, OffenceKind::Recursion);
    assert_chain(offence, &["zone_entry", "ping", "pong"]);
    assert!(offence.detail.contains("ping -> pong -> ping"), "{offence}");
}

#[test]
fn instructions() {
    let expected = [
        (Class::Cpuid, "instructions::middle_cpuid"),
        (Class::FloatingPoint, "instructions::middle_sse"),
        (Class::VectorState, "instructions::middle_save"),
        (Class::Halt, "instructions::middle_halt"),
        (Class::Division, "instructions::middle_divide"),
    ];
    let Some(report) = check_fixture("instructions", &rules_for("zone_entry")) else { return };
    assert_eq!(report.offences.len(), expected.len(), "{report}");
    for (class, function) in expected {
        let offence = report
            .offences
            .iter()
            .find(|offence| offence.kind == OffenceKind::Instruction(class))
            .unwrap_or_else(|| panic!("{class:?} in {report}"));
        assert_chain(offence, &["zone_entry", function]);
    }
    let mut rules = rules_for("zone_entry");
    rules.instructions = expected
        .iter()
        .map(|(class, function)| InstructionException {
            class: *class,
            function: (*function).into(),
            reason: String::new(),
        })
        .collect();
    let Some(report) = check_fixture("instructions", &rules) else { return };
    assert!(report.is_clean(), "{report}");
    // The rule is for its class only.
    rules.instructions.iter_mut().for_each(|rule| rule.class = Class::Trap);
    let Some(report) = check_fixture("instructions", &rules) else { return };
    assert_eq!(report.offences.len(), expected.len(), "{report}");
}

#[test]
fn a_loop_that_is_not_listed() {
    let rules = Rules { loops: vec![exception("unlisted_loop::wait_bounded")], ..rules_for("zone_entry") };
    let Some(report) = check_fixture("unlisted_loop", &rules) else { return };
    let offence = only(&report);
    assert_eq!(offence.kind, OffenceKind::Loop);
    assert_chain(offence, &["zone_entry", "unlisted_loop::middle"]);
    assert!(offence.detail.contains("unlisted_loop::wait_for_ever"), "{offence}");
    assert_eq!(report.loops.len(), 2, "{report}");
}

#[test]
fn a_known_stack() {
    let Some(elf) = image("stack", "_start", Link::Static) else { return };
    let report = check(&elf, &rules_for("zone_entry")).expect("the image is readable");
    assert!(report.is_clean(), "{report}");
    let stack = &report.stack[0];
    // Interrupt frame, two pushes, the frame, the return address, three pushes in `leaf`.
    assert_eq!(stack.bytes, 40 + 16 + 0x120 + 8 + 24, "{report}");
    assert_eq!(stack.path, ["zone_entry", "leaf"]);
    assert_eq!(stack.switched_bytes, 0);
    assert!(report.to_string().contains("stack: entry -> end from zone_entry: 376 bytes"), "{report}");
}

#[test]
fn a_change_of_stacks() {
    let Some(elf) = image("stack", "_start", Link::Static) else { return };
    let mut rules = rules_for("switching_entry");
    rules.loops.push(exception("switching_entry"));
    rules.instructions.push(InstructionException {
        class: Class::Halt,
        function: "switching_entry".into(),
        reason: "its last state".into(),
    });
    let report = check(&elf, &rules).expect("the image is readable");
    assert_eq!(only(&report).kind, OffenceKind::Stack);
    rules.stack_switches.push(exception("switching_entry"));
    let report = check(&elf, &rules).expect("the image is readable");
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.stack[0].bytes, report.stack[0].switched_bytes), (40 + 16, 0x40 + 8 + 24), "{report}");
    assert_eq!(report.stack[0].switched_path, ["switching_entry", "leaf"]);
}

#[test]
fn stacks_without_a_bound() {
    let Some(elf) = image("stack", "_start", Link::Static) else { return };
    for root in ["alloca_entry", "computed_return_entry"] {
        let report = check(&elf, &rules_for(root)).expect("the image is readable");
        assert!(report.offences.iter().any(|offence| offence.kind == OffenceKind::Stack), "{root}: {report}");
    }
}

#[test]
fn a_probed_frame() {
    let Some(elf) = image("stack", "_start", Link::Static) else { return };
    let report = check(&elf, &rules_for("large_entry")).expect("the image is readable");
    assert!(report.is_clean(), "{report}");
    assert!((40_000..40_200).contains(&report.stack[0].bytes), "{report}");
    assert!(report.loops.is_empty(), "{report}");
}

#[test]
fn a_landing_is_walked() {
    let mut rules = rules_for("zone_entry");
    let Some(elf) = image("landing", "_start", Link::Static) else { return };
    let report = check(&elf, &rules).expect("the image is readable");
    assert!(report.is_clean(), "{report}");
    let by_labels = Landing::Labels { fault: "may_fault".into(), resume: "resume_here".into() };
    let report =
        check(&elf, &Rules { landings: vec![by_labels], ..rules.clone() }).expect("the image is readable");
    assert_chain(only(&report), &["zone_entry", "other+0x1"]);
    assert_eq!(only(&report).kind, OffenceKind::Instruction(Class::Trap));
    rules.landings.push(Landing::Table {
        start: "landings_start".into(),
        end: "landings_end".into(),
        encoding: AddressEncoding::Absolute64,
    });
    let report = check(&elf, &rules).expect("the image is readable");
    assert_eq!(only(&report).kind, OffenceKind::Instruction(Class::Cpuid));
}

#[test]
fn a_memcpy_of_the_firmwares_own() {
    let Some(report) = check_fixture("own_memcpy", &rules_for("zone_entry")) else { return };
    assert_chain(only(&report), &["zone_entry", "memcpy"]);
}

#[test]
fn code_sizes() {
    let Some(elf) = image("stack", "_start", Link::Static) else { return };
    let sizes = reachable_code(&elf, "zone_entry", &["tail"]).expect("the image is readable");
    let size = |sizes: &[contain_zone::FunctionSize], name: &str| {
        sizes.iter().find(|size| size.symbol == name).map(|size| (size.bytes, size.instructions))
    };
    // By the encodings of SDM vol. 2: 1+3+1+7+3+2+5+4+1+1+1, and 2+2+1+4 with a jump of 2 or 5 bytes.
    assert_eq!(size(&sizes, "zone_entry"), Some((29, 11)));
    assert!(matches!(size(&sizes, "leaf"), Some((11 | 14, 5))), "{sizes:?}");
    assert_eq!(size(&sizes, "tail"), None);
    let sizes = reachable_code(&elf, "zone_entry", &[]).expect("the image is readable");
    assert_eq!(size(&sizes, "tail"), Some((3, 3)));
}

#[test]
fn what_cannot_be_checked_is_an_error() {
    assert_eq!(check(b"no elf", &rules_for("x")).err(), Some(contain_zone::Error::NotElf));
    let Some(elf) = image("index", "zone_entry", Link::Static) else { return };
    assert_eq!(
        check(&elf, &rules_for("not_there")).err(),
        Some(contain_zone::Error::NoRoot("not_there".into()))
    );
}

#[test]
fn without_dwarf_the_symbol_is_the_owner() {
    let Some(elf) = image("unlisted_loop", "zone_entry", Link::StaticWithoutDwarf) else { return };
    let rules = Rules { loops: vec![exception("unlisted_loop::wait_bounded")], ..rules_for("zone_entry") };
    let report = check(&elf, &rules).expect("the image is readable");
    assert_eq!(report.offences.len(), 2, "{report}");
    for offence in &report.offences {
        assert_eq!(offence.kind, OffenceKind::Loop);
        assert_eq!(offence.source, None);
        assert_chain(offence, &["zone_entry", "unlisted_loop::middle"]);
    }
    assert_eq!(report.unused_rules, ["loop in unlisted_loop::wait_bounded"]);
}

#[test]
fn the_report_as_data() {
    let Some(report) = check_fixture("index", &rules_for("zone_entry")) else { return };
    let json = serde_json::to_value(&report).expect("a report is data");
    assert_eq!(json["offences"][0]["kind"], "forbidden-call");
    assert_eq!(json["offences"][0]["chain"][0]["function"], "zone_entry");
    assert_eq!(json["stack"][0]["label"], "entry -> end");
}

#[test]
fn exit_code_when_nothing_could_be_checked() {
    let run = |arguments: &[&std::ffi::OsStr]| {
        Command::new(env!("CARGO_BIN_EXE_contain-zone")).args(arguments).output().expect("it runs")
    };
    assert_eq!(run(&[]).status.code(), Some(2));
    assert_eq!(run(&["not-there".as_ref()]).status.code(), Some(2));
    if image("index", "zone_entry", Link::Static).is_some() {
        let result = run(&[path_of("index", "zone_entry", Link::Static).as_os_str()]);
        assert_eq!(result.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&result.stderr).contains("panic_smp_nmi_entry"), "{result:?}");
    }
}

//! The command itself: what it prints, what it writes, and its exit codes.

mod common;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use common::*;

fn postmortem(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_postmortem")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it exits")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with `firmware.elf` and `serial.log`, as paths.
fn setup(name: &str) -> (std::path::PathBuf, String, String, Firmware) {
    let dir = dir(name);
    let firmware = firmware(&dir, Debug::Full, true);
    let path = dir.join("serial.log");
    std::fs::write(&path, log(header(&firmware.build_id(), 3), &crash(&firmware))).unwrap();
    (dir, path.to_str().unwrap().into(), firmware.path.to_str().unwrap().into(), firmware)
}

fn rewrite(path: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    std::fs::write(path, change(std::fs::read(path).unwrap())).unwrap();
}

#[test]
fn complete_0_with_report_core_and_json() {
    let (dir, log, elf, _) = setup("cli-complete");
    let core = dir.join("crash.core");
    let json = dir.join("report.json");
    let out = postmortem(&[
        &log,
        "--elf",
        &elf,
        "--core",
        core.to_str().unwrap(),
        "--json",
        json.to_str().unwrap(),
    ]);
    assert_eq!((code(&out), stderr(&out).as_str()), (0, ""));
    assert!(
        stdout(&out).contains("front panel") && stdout(&out).contains("firmware::outer"),
        "{}",
        stdout(&out)
    );
    let json: serde_json::Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(json["outcome"], "complete");

    let text = gdb(Path::new(&elf), &core, &["info threads", "thread apply all bt"]);
    let is_thread = |line: &&str| {
        let mut words = line.trim_start_matches('*').split_whitespace();
        words.next().is_some_and(|id| id.parse::<u32>().is_ok()) && words.next() == Some("LWP")
    };
    assert_eq!(text.lines().filter(is_thread).count(), 3, "{text}");
    let current = text.lines().find(|line| line.starts_with("* ")).unwrap();
    assert!(current.contains("LWP 2") && current.contains("idle"), "{text}");
    for wanted in ["firmware::roles::worker (", "in firmware::roles::idle (", "in firmware::outer ("] {
        assert!(text.contains(wanted), "{wanted} is not in\n{text}");
    }
    assert!(!text.to_lowercase().contains("warning"), "{text}");
}

#[test]
fn variants_of_the_output() {
    let (_, log, elf, _) = setup("cli-variants");
    let json = postmortem(&[&log, "--elf", &elf, "--json"]);
    assert_eq!(code(&json), 0);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&json.stdout).unwrap()["schema_version"], 1);
    let brief = stdout(&postmortem(&[&log, "--elf", &elf, "--brief"]));
    assert!(brief.contains("front panel") && !brief.contains("firmware::outer"), "{brief}");
    let cpu = stdout(&postmortem(&[&log, "--elf", &elf, "--cpu", "0"]));
    assert!(cpu.starts_with("CPU 0") && cpu.contains("not saved"), "{cpu}");
    let mut from_stdin = Command::new(env!("CARGO_BIN_EXE_postmortem"));
    let input = std::fs::File::open(&log).unwrap();
    let out = from_stdin.args(["-", "--elf", &elf]).stdin(input).output().unwrap();
    assert_eq!(code(&out), 0);
    assert!(stdout(&out).contains("front panel"));
}

#[test]
fn without_an_elf_0_with_addresses() {
    let (_, log, _, firmware) = setup("cli-no-elf");
    let out = postmortem(&[&log]);
    assert_eq!(code(&out), 0);
    let (worker, _) = firmware.function("firmware::roles::worker");
    assert!(
        stdout(&out).contains(&format!("{:#x}", worker + 30)) && stdout(&out).contains("no ELF"),
        "{}",
        stdout(&out)
    );
}

#[test]
fn truncated_1_names_what_is_missing() {
    let (dir, log, elf, _) = setup("cli-truncated");
    rewrite(&log, |bytes| bytes[..bytes.len() / 2].to_vec());
    let core = dir.join("crash.core");
    let out = postmortem(&[&log, "--elf", &elf, "--core", core.to_str().unwrap()]);
    assert_eq!(code(&out), 1);
    assert!(
        stdout(&out).contains("INCOMPLETE") && stdout(&out).contains("the end is missing"),
        "{}",
        stdout(&out)
    );
    assert!(stdout(&out).contains("firmware::roles::worker"), "what is there is reported: {}", stdout(&out));
    assert!(stderr(&out).contains("incomplete"));
    assert!(core.exists());
}

#[test]
fn corrupted_1_names_the_line() {
    let (_, log, elf, _) = setup("cli-corrupt");
    rewrite(&log, |mut bytes| {
        // In the middle of the third line of the record, which is the fifth of the log.
        let line = bytes.split(|&byte| byte == b'\n').take(4).map(|line| line.len() + 1).sum::<usize>();
        bytes[line + 30] = if bytes[line + 30] == b'A' { b'B' } else { b'A' };
        bytes
    });
    let out = postmortem(&[&log, "--elf", &elf]);
    assert_eq!(code(&out), 1);
    assert!(stdout(&out).contains("chunk 2 is missing"), "{}", stdout(&out));
    assert!(stdout(&out).contains("line 5 of the log is corrupted"), "{}", stdout(&out));
}

#[test]
fn no_record_2() {
    let (_, log, elf, _) = setup("cli-no-record");
    for text in ["", "armed: 4 CPUs\n", "~psmp1:AAAA\n"] {
        std::fs::write(&log, text).unwrap();
        let out = postmortem(&[&log, "--elf", &elf]);
        assert_eq!((code(&out), stdout(&out).as_str()), (2, ""), "{text:?}");
        assert!(
            stderr(&out).contains("crash record") && stderr(&out).contains("give the whole log"),
            "{}",
            stderr(&out)
        );
    }
}

#[test]
fn unusable_elf_3_with_cause_and_cure() {
    let (dir, log, elf, firmware) = setup("cli-elf");
    let other = dir.join("other.elf");
    let other_path = other.to_str().unwrap().to_owned();
    let check = |bytes: Option<&[u8]>, cause: &str, cure: &str| {
        let _ = std::fs::remove_file(&other);
        if let Some(bytes) = bytes {
            std::fs::write(&other, bytes).unwrap();
        }
        let out = postmortem(&[&log, "--elf", &other_path]);
        assert_eq!(code(&out), 3, "{}", stderr(&out));
        assert!(stderr(&out).contains(cause) && stderr(&out).contains(cure), "{}", stderr(&out));
        // The record itself is worth showing, without a single symbol of that file.
        assert!(
            stdout(&out).contains("front panel") && !stdout(&out).contains("firmware::"),
            "{}",
            stdout(&out)
        );
    };
    check(None, "cannot read the ELF", "give the ELF");
    check(Some(b"MZ not an ELF"), "not a readable ELF", "give the firmware as it was linked");
    check(Some(&firmware.bytes[..100]), "not a readable ELF", "give the firmware as it was linked");
    let mut arm = firmware.bytes.clone();
    // e_machine: AArch64 is 183.
    arm[18..20].copy_from_slice(&183_u16.to_le_bytes());
    check(Some(&arm), "not for x86-64", "give the firmware that crashed");
    let mut rebuilt = firmware.bytes.clone();
    let id = firmware.build_id();
    let at = rebuilt.windows(id.len()).position(|window| window == id).unwrap();
    rebuilt[at] ^= 0xFF;
    check(Some(&rebuilt), "not the firmware that crashed", "--force");

    // `--force` uses its symbols, and says so; the result counts as partial.
    let out = postmortem(&[&log, "--elf", &other_path, "--force"]);
    assert_eq!(code(&out), 1);
    assert!(
        stdout(&out).contains("firmware::roles::worker")
            && stdout(&out).split_whitespace().collect::<Vec<_>>().join(" ").contains("may be wrong")
    );
    assert_eq!(code(&postmortem(&[&log, "--elf", &elf, "--force"])), 0);
}

#[test]
fn files_4_and_usage_64() {
    let (_, log, elf, _) = setup("cli-files");
    let out = postmortem(&["/nonexistent/serial.log", "--elf", &elf]);
    assert_eq!(code(&out), 4);
    assert!(stderr(&out).contains("/nonexistent/serial.log"));
    assert_eq!(code(&postmortem(&[&log, "--core", "/nonexistent/core"])), 4);
    for wrong in
        [vec![], vec![log.as_str(), "--unknown"], vec![&log, "--cpu", "x"], vec![&log, "--cpu", "99"]]
    {
        assert_eq!(code(&postmortem(&wrong)), 64, "{wrong:?}");
    }
    let help = postmortem(&["--help"]);
    assert_eq!(code(&help), 0);
    for line in ["  0  ", "  1  ", "  2  ", "  3  ", "  4  ", "  64 "] {
        assert!(stdout(&help).contains(line), "exit code {line} is not in --help");
    }
}

fn gdb(firmware: &Path, core: &Path, commands: &[&str]) -> String {
    let mut gdb = Command::new("gdb");
    gdb.args(["-nx", "-batch", "-iex", "set debuginfod enabled off"]).args([firmware, core]);
    for command in commands {
        gdb.args(["-ex", command]);
    }
    let output = gdb.output().expect(
        "gdb runs; where it is not installed: apt-get install gdb, or cargo xtask test, which gets it",
    );
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

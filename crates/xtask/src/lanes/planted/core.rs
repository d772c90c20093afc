//! The core of a run, asked through a plain gdb: what a person would see.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use super::values::FRAME_WORDS;
use crate::error::{Error, Result};
use crate::process;
use crate::session::Files;

/// The registers that a core has, by the names of the record. gdb calls RFLAGS eflags.
pub const REGISTERS: &[&str] = &[
    "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
    "r15", "rip", "rflags", "cs", "ss", "ds", "es", "fs", "gs", "fs_base", "gs_base",
];

/// What gdb shows of one thread.
#[derive(Default)]
pub struct Thread {
    /// Its registers.
    pub registers: BTreeMap<String, u64>,
    /// The functions of its frames, innermost first.
    pub functions: Vec<String>,
    /// The words from RSP on.
    pub stack: Vec<u64>,
}

/// What gdb shows of the core.
pub struct Core {
    /// The threads, by CPU.
    pub threads: BTreeMap<usize, Thread>,
    /// The CPU of the current thread.
    pub current: Option<usize>,
}

/// Opens the core in `files`.
pub fn open(files: &Files) -> Result<Core> {
    let names = REGISTERS.join(" ").replace("rflags", "eflags");
    let text = gdb(
        files,
        &[
            "info threads",
            "echo @registers\\n",
            &format!("thread apply all info registers {names}"),
            "echo @stack\\n",
            &format!("thread apply all x/{FRAME_WORDS}gx $rsp"),
            "echo @backtrace\\n",
            "thread apply all bt",
        ],
    )?;
    Ok(parse(&text))
}

/// The callee-saved registers that gdb unwinds for the frame of `cpu` whose function is `function`.
pub fn unwound(files: &Files, core: &Core, cpu: usize, function: &str) -> Result<BTreeMap<String, u64>> {
    let thread = core.threads.get(&cpu);
    let level = thread.and_then(|t| t.functions.iter().position(|f| f == function));
    let level = level.ok_or_else(|| Error::Guest(format!("CPU {cpu} has no frame of {function}")))?;
    let commands = [
        "echo @registers\\n".to_owned(),
        format!("thread apply all frame apply level {level} -q info registers rbx rbp r12 r13 r14 r15 rsp"),
    ];
    let text = gdb(files, &commands.each_ref().map(String::as_str))?;
    let mut threads = parse(&text).threads;
    Ok(threads.remove(&cpu).unwrap_or_default().registers)
}

/// What gdb says to `commands` when it opens the core in `files`.
pub fn gdb(files: &Files, commands: &[&str]) -> Result<String> {
    let mut line = Command::new("gdb");
    line.args(["-nx", "-batch"]);
    for command in commands {
        line.args(["-ex", command]);
    }
    line.arg(&files.elf).arg(&files.core);
    process::run(&line, Duration::from_secs(60))?.ok()
}

fn parse(text: &str) -> Core {
    let mut core = Core { threads: BTreeMap::new(), current: None };
    let mut section = "";
    let mut cpu = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('@') {
            (section, cpu) = (name, None);
        } else if section.is_empty() {
            // `* 1    LWP 3 planted_loop () at ...`; before the first section also what gdb says while it opens.
            if let (Some(lwp), true) = (lwp(line), line.starts_with('*')) {
                core.current = Some(lwp);
            }
        } else if line.starts_with("Thread ") {
            cpu = lwp(line);
        } else if let Some(cpu) = cpu {
            let thread = core.threads.entry(cpu).or_default();
            match section {
                "registers" => thread.registers.extend(register(line)),
                "stack" => thread.stack.extend(words(line)),
                _ => thread.functions.extend(function(line)),
            }
        }
    }
    core
}

/// The CPU of `... LWP 3 ...` or `... (LWP 3) ...`: thread ids are index + 1.
pub fn lwp(line: &str) -> Option<usize> {
    let (_, rest) = line.split_once("LWP ")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse::<usize>().ok()?.checked_sub(1)
}

/// `rax            0xcc623af8783354e7  -3719262261922872089`
fn register(line: &str) -> Option<(String, u64)> {
    let mut words = line.split_whitespace();
    let name = words.next()?.replace("eflags", "rflags");
    let value = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
    Some((name, value))
}

/// `0x203bfa0 <PLANTED_STACKS+16288>:`, then the words, each after a tab.
fn words(line: &str) -> Vec<u64> {
    let Some((_, values)) = line.split_once(":\t") else { return Vec::new() };
    values.split_whitespace().filter_map(|w| u64::from_str_radix(w.strip_prefix("0x")?, 16).ok()).collect()
}

/// `#1  0x000000000200104c in planted_middle ()` or `#0  planted::main (machine=...) at ...`
fn function(line: &str) -> Option<String> {
    let mut words = line.strip_prefix('#')?.split_whitespace().skip(1).peekable();
    if words.peek()?.starts_with("0x") {
        words.nth(1);
    }
    words.next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_told_by_their_cpu() {
        let text = "[New LWP 2]\n* 1    LWP 2 planted_loop ()\n  2    LWP 1 planted_loop ()\n@registers\n\n\
                    Thread 2 (LWP 1):\nrax  0xcc  204\neflags  0x12  [ AF ]\n\nThread 1 (LWP 2):\nrax  0xdd  221\n@stack\n\
                    Thread 2 (LWP 1):\n0x203bfa0 <A+8>:\t0x01\t0x02\n@backtrace\nThread 2 (LWP 1):\n\
                    #0  planted_loop () at a.rs:1\n#1  0x0200 in planted_middle ()\n";
        let core = parse(text);
        assert_eq!(core.current, Some(1));
        assert_eq!(core.threads[&0].registers["rax"], 0xCC);
        assert_eq!(core.threads[&0].registers["rflags"], 0x12);
        assert_eq!(core.threads[&1].registers["rax"], 0xDD);
        assert_eq!(core.threads[&0].stack, [1, 2]);
        assert_eq!(core.threads[&0].functions, ["planted_loop", "planted_middle"]);
    }
}

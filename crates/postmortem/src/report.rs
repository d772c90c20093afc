//! The report on one screen.

use std::fmt::Write;

use crash_record::{Cause, CpuRecord, CrashRecord, Damage, Header};
use stop_protocol::{Containment, CpuIndex};

use crate::analysis::Analysis;
use crate::backtrace::Backtrace;
use crate::elf::{ElfProblem, Frame};
use crate::text::{WIDTH, cut, cut_front, microseconds, place, plain, since_decision_us};

/// Most rows of damage shown; the rest is counted.
const MAX_DAMAGE: usize = 8;

impl Analysis {
    /// The report: why, who won, a table of the CPUs, what is missing. About 20 lines for 4 CPUs, at most 100 columns.
    #[must_use]
    pub fn report_text(&self) -> String {
        let mut lines = Vec::new();
        match &self.record {
            Ok(record) => {
                self.heading(&mut lines, record);
                self.table(&mut lines, record);
                missing(&mut lines, record);
            }
            Err(error) => lines.push(format!("no crash record: {error}")),
        }
        if !self.elf_problems.is_empty() {
            lines.push(String::new());
        }
        for problem in &self.elf_problems {
            // It is a sentence with a cure, so it is wrapped and not cut.
            wrap(&mut lines, "ELF", &problem.to_string());
        }
        let mut out = String::new();
        for line in lines {
            let _ = writeln!(out, "{}", cut(&line, WIDTH).trim_end());
        }
        out
    }

    fn heading(&self, lines: &mut Vec<String>, record: &CrashRecord) {
        let state = if record.is_complete() { "complete" } else { "INCOMPLETE" };
        let chunks = match record.total_chunks {
            Some(total) => format!("{} of {total} chunks", record.chunks),
            None => format!("{} chunks, total unknown", record.chunks),
        };
        lines.push(format!("panic-smp crash record, version {}: {state}, {chunks}", record.version));
        let mut field = |name: &str, value: String| lines.push(format!("{name:<10}{value}"));
        let running: Vec<CpuIndex> =
            record.cpus.iter().filter(|cpu| is_running(cpu)).map(|cpu| cpu.index).collect();
        if !running.is_empty() {
            let names: Vec<String> = running.iter().map(|cpu| cpu.0.to_string()).collect();
            field("WARNING", format!("CPU {} may still have been running during the dump", names.join(", ")));
        }
        let Some(header) = &record.header else {
            field("why", "unknown: the header is missing".into());
            messages(&mut field, record);
            return;
        };
        field("why", why(header, record));
        messages(&mut field, record);
        let winner = match header.winner {
            Some(cpu) => format!("{cpu} (APIC id {:#x})", header.winner_apic_id),
            None => format!("APIC id {:#x}, not yet ready", header.winner_apic_id),
        };
        field("winner", format!("{winner}, level {}", header.level as u8));
        let sent = microseconds(since_decision_us(header, header.tsc_stop_sent));
        let contained = microseconds(since_decision_us(header, header.tsc_contained));
        field("times", format!("stop sent after {sent} us, contained after {contained} us"));
        if !record.boards.is_empty() {
            field("board", plain(&record.boards.join(", ")));
        }
        let same = if self.elf_problems.is_empty() { ", the same in the ELF" } else { "" };
        field("build-id", format!("{}{same}", header.build_id));
    }

    fn table(&self, lines: &mut Vec<String>, record: &CrashRecord) {
        lines.push(String::new());
        lines.push(format!(
            "  {:>3} {:>5} {:<16} {:<9} {:>9}  where",
            "CPU", "APIC", "containment", "registers", "after us"
        ));
        for (cpu, backtrace) in self.rows() {
            let mark = if record.winner() == Some(cpu.index) { '*' } else { ' ' };
            let (apic, containment, registers) = match &cpu.summary {
                Some(summary) => (
                    format!("{:#x}", summary.apic_id),
                    summary.verdict.containment.name(),
                    summary.verdict.registers.name(),
                ),
                None => ("?".into(), "not in record", "?"),
            };
            let after = microseconds(record.header.as_ref().and_then(|header| contained_after(header, cpu)));
            let row =
                format!("{mark} {:>3} {apic:>5} {containment:<16} {registers:<9} {after:>9}  ", cpu.index.0);
            let room = WIDTH.saturating_sub(row.chars().count());
            lines.push(row + &whereabouts(backtrace, room));
        }
    }
}

fn is_running(cpu: &CpuRecord) -> bool {
    cpu.summary.is_some_and(|summary| summary.verdict.containment == Containment::PossiblyRunning)
}

fn why(header: &Header, record: &CrashRecord) -> String {
    let mut why = header.cause.to_string();
    if header.cause == Cause::EXCEPTION {
        let _ = write!(why, ", vector {}", header.vector);
    }
    let sources = record.nmi_sources.iter().chain(record.cpus.iter().flat_map(|cpu| &cpu.nmi_sources));
    let sources: Vec<String> = sources.map(|source| plain(source)).collect();
    if !sources.is_empty() {
        let _ = write!(why, ": {}", sources.join(", "));
    }
    why
}

/// The machine's messages and the winner's in full lines, of the others only that there are some.
fn messages(field: &mut impl FnMut(&str, String), record: &CrashRecord) {
    for message in &record.messages {
        field("message", plain(message));
    }
    let winner = record.winner();
    for cpu in record.cpus.iter().filter(|cpu| winner.is_none_or(|winner| winner == cpu.index)) {
        for message in cpu.messages.iter().filter(|message| !message.is_empty()) {
            field("message", format!("{}: {}", cpu.index, plain(message)));
        }
    }
    let others: Vec<String> = record
        .cpus
        .iter()
        .filter(|cpu| winner.is_some_and(|winner| winner != cpu.index))
        .filter(|cpu| cpu.messages.iter().any(|message| !message.is_empty()))
        .map(|cpu| cpu.index.0.to_string())
        .collect();
    if !others.is_empty() {
        field("", format!("(also from CPU {}: see --cpu)", others.join(", ")));
    }
}

/// Microseconds from the decision until the CPU was contained: it announced its end, or its registers were saved.
pub(crate) fn contained_after(header: &Header, cpu: &CpuRecord) -> Option<f64> {
    let summary = cpu.summary?;
    match summary.verdict.containment {
        Containment::Stopped => since_decision_us(header, summary.stopped),
        Containment::HaltedUnquiesced => since_decision_us(header, summary.saved),
        Containment::PossiblyRunning
        | Containment::NeverStarted
        | Containment::Parked
        | Containment::HaltedByInit
        | Containment::Reporting => None,
    }
}

fn whereabouts(backtrace: &Backtrace, room: usize) -> String {
    let Some(frame) = telling_frame(&backtrace.frames) else { return "-".into() };
    let Some(function) = &frame.function else { return format!("{:#x}", frame.address) };
    let place = |parts| match &frame.file {
        Some(file) => format!("  {}", place(file, frame.line, parts)),
        None => String::new(),
    };
    let fits = |place: &String| function.chars().count() + place.chars().count() <= room;
    // The name of the folder only where there is room for it.
    let place = Some(place(2)).filter(fits).unwrap_or_else(|| place(1));
    let room = room.saturating_sub(place.chars().count());
    // The end of a path says more than its start.
    cut_front(function, room.max(12)) + &place
}

/// The innermost frame that says what the firmware was doing: not one of the library, nor of the panic itself.
fn telling_frame(frames: &[Frame]) -> Option<&Frame> {
    /// How far from the innermost frame a panic's own frames can reach.
    const PANIC_FRAMES: usize = 40;
    let of_panic = |frame: &Frame| {
        frame.function.as_ref().is_some_and(|function| function.starts_with("core::panicking::"))
    };
    // The sources of the standard library keep the path of the machine that built the toolchain.
    let of_library = |frame: &&Frame| frame.file.as_ref().is_some_and(|file| file.starts_with("/rustc/"));
    let panic = frames.iter().take(PANIC_FRAMES).rposition(of_panic).map_or(0, |last| last + 1);
    frames.get(panic..).and_then(|frames| frames.iter().find(|frame| !of_library(frame))).or(frames.first())
}

fn missing(lines: &mut Vec<String>, record: &CrashRecord) {
    if !record.damage.is_empty() || !record.others.is_empty() {
        lines.push(String::new());
    }
    // What is lost before what is only remarkable.
    let (lost, rest): (Vec<&Damage>, Vec<&Damage>) =
        record.damage.iter().partition(|damage| damage.is_loss());
    let name = |damage: &Damage| if damage.is_loss() { "missing" } else { "note" };
    let all: Vec<&Damage> = lost.into_iter().chain(rest).collect();
    for damage in all.iter().take(MAX_DAMAGE) {
        lines.push(format!("{:<10}{damage}", name(damage)));
    }
    if all.len() > MAX_DAMAGE {
        lines.push(format!("{:<10}and {} more: see --json", "", all.len() - MAX_DAMAGE));
    }
    for other in &record.others {
        let state = if other.complete { "complete" } else { "incomplete" };
        lines.push(format!("{:<10}the log holds another record, {state}, {} chunks", "note", other.chunks));
    }
}

fn wrap(lines: &mut Vec<String>, name: &str, text: &str) {
    let mut line = format!("{name:<10}");
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push(std::mem::replace(&mut line, " ".repeat(10)));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
}

impl Analysis {
    /// The problems with the ELF that make it unusable, for an error message.
    #[must_use]
    pub fn elf_error(&self) -> Option<&ElfProblem> {
        self.elf_problems.iter().find(|problem| problem.is_unusable())
    }
}

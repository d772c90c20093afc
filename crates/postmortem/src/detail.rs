//! Backtraces of all CPUs, and everything about one.

use std::fmt::Write;

use stop_protocol::CpuIndex;

use crate::analysis::Analysis;
use crate::backtrace::{Backtrace, End};
use crate::text::{WIDTH, cut, cut_front, place, plain};

impl Analysis {
    /// The backtrace of every CPU, the winner first.
    #[must_use]
    pub fn backtraces_text(&self) -> String {
        let winner = self.record.as_ref().ok().and_then(|record| record.winner());
        let mut rows: Vec<_> = self.rows().collect();
        rows.sort_by_key(|(cpu, _)| (Some(cpu.index) != winner, cpu.index));
        let mut out = String::new();
        for (cpu, backtrace) in rows {
            let _ = writeln!(out, "{}:", cpu.index);
            frames(&mut out, backtrace);
        }
        out
    }

    /// Everything about one CPU; `None` when the record has no such CPU.
    #[must_use]
    pub fn cpu_text(&self, index: CpuIndex) -> Option<String> {
        let (cpu, backtrace) = self.rows().find(|(cpu, _)| cpu.index == index)?;
        let mut out = format!("{index}");
        if !cpu.declared {
            out.push_str(", not known to be declared");
        }
        out.push('\n');
        if let Some(summary) = &cpu.summary {
            let _ = writeln!(out, "  {}", summary.verdict);
            let _ = writeln!(
                out,
                "  APIC id {:#x}, last state {}, {} NMIs, flags {:#x}",
                summary.apic_id, summary.state, summary.nmi_count, summary.flags
            );
            let _ = writeln!(
                out,
                "  TSC: entered {}, saved {}, stopped {}",
                summary.entered, summary.saved, summary.stopped
            );
        }
        for text in cpu.messages.iter().filter(|text| !text.is_empty()) {
            let _ = writeln!(out, "  message: {}", plain(text));
        }
        for text in &cpu.nmi_sources {
            let _ = writeln!(out, "  NMI source: {}", plain(text));
        }
        frames(&mut out, backtrace);
        match &cpu.registers {
            Some(registers) => {
                let cells = registers.iter().map(|register| match register.valid {
                    true => format!("{:<14} {:016x}", register.field.name, register.value),
                    false => format!("{:<14} {:<16}", register.field.name, "not saved"),
                });
                grid(&mut out, cells.collect(), 3);
            }
            None => out.push_str("  no registers\n"),
        }
        if let Some(apic) = &cpu.apic {
            let cells = apic.iter().map(|word| match word.name {
                "irr" | "isr" => {
                    format!("{:<14} {:08x}", format!("apic {}{}", word.name, word.index), word.value)
                }
                name => {
                    format!("{:<14} {:08x}", format!("apic {}", name.trim_start_matches("lvt_")), word.value)
                }
            });
            grid(&mut out, cells.collect(), 4);
        }
        for value in &cpu.values {
            let _ = writeln!(out, "  {:<14} {:016x}", plain(&value.name), value.value);
        }
        for slice in &cpu.stack {
            let _ = writeln!(out, "  stack: {} bytes at {:#x}", slice.bytes.len(), slice.address);
        }
        Some(out)
    }
}

fn grid(out: &mut String, cells: Vec<String>, columns: usize) {
    for row in cells.chunks(columns) {
        let _ = writeln!(out, "  {}", row.join("  ").trim_end());
    }
}

fn frames(out: &mut String, backtrace: &Backtrace) {
    for (number, frame) in backtrace.frames.iter().enumerate() {
        let head = format!("  {number:>2} {:#018x} ", frame.address);
        let inlined = if frame.inlined { " (inlined)" } else { "" };
        let function = frame.function.as_deref().unwrap_or("?");
        let place = frame.file.as_ref().map(|file| place(file, frame.line, 3)).unwrap_or_default();
        let room = WIDTH.saturating_sub(head.chars().count() + inlined.len() + place.chars().count() + 2);
        let line = format!("{head}{}{inlined}  {place}", cut_front(function, room.max(20)));
        let _ = writeln!(out, "{}", cut(line.trim_end(), WIDTH));
    }
    // The usual end needs no word.
    if backtrace.end != End::Outermost {
        let _ = writeln!(out, "     ({})", backtrace.end);
    }
}

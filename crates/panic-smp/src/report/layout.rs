//! The report on one screen: what does not fit is chosen and said.
//!
//! From the top: who may still be running; why the machine panicked; the message of who panicked; the CPUs, those first
//! that a person has to look at; what other CPUs say; and on the last row what became of the record and what comes next.

use super::facts::{CpuFacts, Facts};
use super::fate::Fate;
use super::page::{Page, Paragraph};
use super::sentences;
use crate::config::FinalAction;
use crate::screen::{Emphasis, Screen};
use core::fmt::{self, Write};
use stop_protocol::{Containment, CpuIndex, RegisterSource};

/// How it ends: what became of the record, and what comes after the screens.
pub(super) struct End<F> {
    /// The fate of the record at each sink.
    pub record: F,
    pub action: FinalAction,
}

/// Draws the report on `screen`, if there is one.
pub(super) fn draw(screen: &dyn Screen, facts: &impl Facts, end: &End<impl Iterator<Item = Fate> + Clone>) {
    let Some(mut page) = Page::of(screen) else { return };
    // A share of the rows for each text, so that none takes the room of the CPUs.
    let (few, some) = ((page.rows() / 8).max(1), (page.rows() / 6).max(1));
    let urgent = sentences::not_contained(facts).next().is_some();
    let first = if urgent { Emphasis::Alert } else { Emphasis::Title };
    page.paragraph(few, first, |to| sentences::running(to, facts));
    page.paragraph(few, Emphasis::Winner, |to| sentences::why(to, facts));
    let speaker = speaker(facts);
    if let Some(cpu) = speaker {
        page.paragraph(some, Emphasis::Winner, |to| message(to, facts, cpu));
    }
    let roomy = page.rows() >= ROOMY;
    if roomy {
        page.skip_until(page.left() - 1);
    }
    table(&mut page, facts, end.record.clone().any(|fate| fate == Fate::Written));
    // What is left above the last row.
    let others = facts.cpus().filter(|cpu| Some(*cpu) != speaker && !facts.message(*cpu).is_empty());
    for cpu in others {
        page.paragraph(few.min(page.left().saturating_sub(1)), Emphasis::Normal, |to| {
            message(to, facts, cpu)
        });
    }
    page.skip_until(1);
    let failed = end.record.clone().any(|fate| fate != Fate::Written);
    let last = if failed { Emphasis::Alert } else { Emphasis::Title };
    page.paragraph(1, last, |to| ending(to, end));
}

/// From so many rows on there is an empty one above the table.
const ROOMY: usize = 20;

/// Whose message stands at the top: the owner's, or, where the owner took the place of another, the first there is.
fn speaker(facts: &impl Facts) -> Option<CpuIndex> {
    let speaks = |cpu: &CpuIndex| !facts.message(*cpu).is_empty();
    facts.owner().index().filter(speaks).or_else(|| facts.cpus().find(speaks))
}

fn message(to: &mut impl Write, facts: &impl Facts, cpu: CpuIndex) -> fmt::Result {
    write!(to, "{cpu}: ")?;
    facts.message(cpu).utf8_chunks().try_for_each(|chunk| {
        to.write_str(chunk.valid())?;
        if chunk.invalid().is_empty() { Ok(()) } else { to.write_str("?") }
    })
}

/// Why a CPU is worth a look, most first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rank {
    /// It may still be running.
    NotContained,
    /// It ran, and its registers are not known.
    NoRegisters,
    /// It is the owner.
    Winner,
    /// It was stopped as it should be.
    Stopped,
    /// It did not run when the machine panicked.
    Idle,
}

impl Rank {
    const ALL: [Self; 5] = [Self::NotContained, Self::NoRegisters, Self::Winner, Self::Stopped, Self::Idle];

    fn of(facts: &impl Facts, cpu: CpuIndex) -> Self {
        let verdict = facts.cpu(cpu).verdict;
        match verdict.containment {
            Containment::PossiblyRunning => Self::NotContained,
            _ if facts.owner().index() == Some(cpu) => Self::Winner,
            Containment::NeverStarted | Containment::Parked => Self::Idle,
            Containment::HaltedUnquiesced
            | Containment::HaltedByInit
            | Containment::Stopped
            | Containment::Reporting => match verdict.registers {
                RegisterSource::None => Self::NoRegisters,
                RegisterSource::OwnPanic
                | RegisterSource::Nmi
                | RegisterSource::Poll
                | RegisterSource::Residual
                | RegisterSource::Arrival => Self::Stopped,
            },
        }
    }

    const fn emphasis(self) -> Emphasis {
        match self {
            Self::NotContained | Self::NoRegisters => Emphasis::Alert,
            Self::Winner => Emphasis::Winner,
            Self::Stopped | Self::Idle => Emphasis::Normal,
        }
    }
}

/// The CPUs, as many as there is room for above the last row; and how many there was none for.
fn table(page: &mut Page<'_>, facts: &impl Facts, recorded: bool) {
    let columns = Columns::of(page.columns());
    let room = page.left().saturating_sub(2);
    let cpus = facts.cpus().count();
    if room == 0 {
        return;
    }
    page.paragraph(1, Emphasis::Title, |to| columns.title(to));
    let shown = if cpus > room { room - 1 } else { cpus };
    let (mut left, mut hidden_alerts) = (shown, 0);
    for rank in Rank::ALL {
        // However many are worse off, the owner keeps its row.
        let kept = match rank {
            Rank::NotContained | Rank::NoRegisters => usize::from(owner_has_row(facts)),
            Rank::Winner | Rank::Stopped | Rank::Idle => 0,
        };
        for cpu in facts.cpus().filter(|cpu| Rank::of(facts, *cpu) == rank) {
            if left > kept {
                left -= 1;
                page.paragraph(1, rank.emphasis(), |to| columns.row(to, cpu, &facts.cpu(cpu)));
            } else if rank == Rank::NotContained {
                hidden_alerts += 1;
            }
        }
    }
    if cpus > shown {
        let emphasis = if hidden_alerts > 0 { Emphasis::Alert } else { Emphasis::Title };
        page.paragraph(1, emphasis, |to| {
            write!(to, "... {} more CPUs", cpus - shown)?;
            if hidden_alerts > 0 {
                write!(to, ", {hidden_alerts} NOT CONTAINED")?;
            }
            to.write_str(if recorded { ", in the record" } else { "" })
        });
    }
}

/// Whether the owner is a CPU of its own rank.
fn owner_has_row(facts: &impl Facts) -> bool {
    facts.owner().index().is_some_and(|cpu| Rank::of(facts, cpu) == Rank::Winner)
}

/// The columns of the table that a row has room for.
#[derive(Clone, Copy)]
enum Columns {
    /// All.
    Wide,
    /// Without APIC id, source of the registers, and RSP.
    Narrow,
}

impl Columns {
    const fn of(columns: usize) -> Self {
        match columns {
            77.. => Self::Wide,
            _ => Self::Narrow,
        }
    }

    fn title(self, to: &mut impl Write) -> fmt::Result {
        to.write_str(match self {
            Self::Wide => " CPU     APIC  containment       registers  RIP               RSP",
            Self::Narrow => " CPU  containment       RIP",
        })
    }

    fn row(self, to: &mut Paragraph<'_, '_>, cpu: CpuIndex, known: &CpuFacts) -> fmt::Result {
        let (containment, registers) = (known.verdict.containment.name(), known.verdict.registers.name());
        write!(to, "{:>4}  ", cpu.0)?;
        match (self, known.at) {
            (Self::Wide, Some((rip, rsp))) => {
                let apic_id = known.apic_id;
                write!(to, "{apic_id:>#7x}  {containment:<16}  {registers:<9}  {rip:016x}  {rsp:016x}")
            }
            (Self::Wide, None) => write!(to, "{:>#7x}  {containment:<16}  {registers}", known.apic_id),
            (Self::Narrow, Some((rip, _))) => write!(to, "{containment:<16}  {rip:016x}"),
            (Self::Narrow, None) => to.write_str(containment),
        }
    }
}

/// `record written; next: reset`, and for several sinks the fate at each.
fn ending(to: &mut impl Write, end: &End<impl Iterator<Item = Fate> + Clone>) -> fmt::Result {
    let sinks = end.record.clone().count();
    match sinks {
        0 => to.write_str("no sink: no record")?,
        _ => to.write_str("record")?,
    }
    for (sink, fate) in (1..).zip(end.record.clone()) {
        match sinks {
            1 => write!(to, " {fate}")?,
            _ => write!(to, "{} {sink} {fate}", if sink == 1 { ":" } else { "," })?,
        }
    }
    write!(to, "; next: {}", next(end.action))
}

const fn next(action: FinalAction) -> &'static str {
    match action {
        FinalAction::Halt => "halt",
        FinalAction::Reset => "reset",
        FinalAction::Custom(_) => "the firmware's own end",
    }
}

#[cfg(test)]
mod tests {
    use super::super::facts::Reason;
    use super::super::page::tests::Kept;
    use super::*;
    use crate::clock::Microseconds;
    use nmi_source::{Identified, Policy, Source};
    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;
    use stop_protocol::{Level, Owner, Verdict};

    struct Sample {
        cpus: Vec<CpuFacts>,
        messages: Vec<(u16, &'static str)>,
        owner: u16,
        cause: (&'static str, Identified),
    }

    fn at(cpu: u16) -> (u64, u64) {
        (0x200_0000 + u64::from(cpu), 0xFFFF_8000_0000_0000 + u64::from(cpu) * 0x1_0000)
    }

    impl Sample {
        /// `count` CPUs, all stopped but the first, which reports.
        fn of(count: u16) -> Self {
            let cpu = |cpu| CpuFacts {
                apic_id: u32::from(cpu) * 2,
                verdict: Verdict {
                    registers: RegisterSource::Nmi,
                    containment: if cpu == 0 { Containment::Reporting } else { Containment::Stopped },
                },
                at: Some(at(cpu)),
            };
            let what = Identified::new(Source::Button, Policy::Panic).with("port 0x61", 0x20);
            Self {
                cpus: (0..count).map(cpu).collect(),
                messages: Vec::new(),
                owner: 0,
                cause: ("qemu", what),
            }
        }

        fn with(mut self, cpus: impl IntoIterator<Item = usize>, containment: Containment) -> Self {
            for cpu in cpus {
                let verdict = Verdict { registers: RegisterSource::None, containment };
                self.cpus[cpu] = CpuFacts { verdict, at: None, ..self.cpus[cpu] };
            }
            self
        }

        fn drawn(&self, columns: u16, rows: u16) -> Drawn {
            self.drawn_after(columns, rows, &[Fate::Written], FinalAction::Halt)
        }

        fn drawn_after(&self, columns: u16, rows: u16, record: &[Fate], action: FinalAction) -> Drawn {
            let screen = Kept::new(columns, rows);
            draw(&screen, self, &End { record: record.iter().copied(), action });
            let drawn = Drawn(screen.rows());
            assert_eq!(drawn.0.len(), usize::from(rows), "each row is written: {drawn:#?}");
            drawn
        }
    }

    impl Facts for Sample {
        fn cpus(&self) -> impl Iterator<Item = CpuIndex> {
            (0..self.cpus.len() as u16).map(CpuIndex)
        }

        fn cpu(&self, cpu: CpuIndex) -> CpuFacts {
            self.cpus[cpu.as_usize()]
        }

        fn message(&self, cpu: CpuIndex) -> &[u8] {
            self.messages.iter().find(|(of, _)| *of == cpu.0).map_or(&[], |(_, text)| text.as_bytes())
        }

        fn owner(&self) -> Owner {
            Owner::Cpu(CpuIndex(self.owner))
        }

        fn reason(&self) -> Option<Reason<'_>> {
            Some(Reason::Nmi(Some(&self.cause)))
        }

        fn level(&self) -> Level {
            Level::First
        }

        fn stopped_after(&self) -> Option<Microseconds> {
            Some(Microseconds(31))
        }
    }

    #[derive(Debug)]
    struct Drawn(Vec<(String, Emphasis)>);

    impl Drawn {
        /// The CPUs of the table, in its order, with how they are shown.
        fn cpus(&self) -> Vec<(u16, Emphasis)> {
            let title = self.0.iter().position(|(text, _)| text.starts_with(" CPU")).expect("a table");
            let rows = self.0.iter().skip(title + 1);
            rows.map_while(|(text, emphasis)| Some((text.get(..4)?.trim().parse().ok()?, *emphasis)))
                .collect()
        }

        fn row(&self, text: &str) -> (usize, Emphasis) {
            let found = self.0.iter().position(|(shown, _)| shown == text);
            let row = found.unwrap_or_else(|| panic!("`{text}` is not in {:#?}", self.0));
            (row, self.0[row].1)
        }

        fn last(&self) -> (&str, Emphasis) {
            self.0.last().map(|(text, emphasis)| (text.as_str(), *emphasis)).expect("rows")
        }
    }

    #[test]
    fn four_cpus_on_a_text_screen() {
        let mut sample = Sample::of(4);
        sample.messages = Vec::from([(0, "first words"), (3, "other words")]);
        let drawn = sample.drawn(80, 25);
        let rows = [
            ("panic-smp: all 4 CPUs contained 31 us after the stop was sent", 0, Emphasis::Title),
            ("panic-smp: CPU 0 won with an NMI: button, says qemu, port 0x61 0x20", 1, Emphasis::Winner),
            ("CPU 0: first words", 2, Emphasis::Winner),
            (" CPU     APIC  containment       registers  RIP               RSP", 4, Emphasis::Title),
            (
                "   0      0x0  reporting         NMI        0000000002000000  ffff800000000000",
                5,
                Emphasis::Winner,
            ),
            (
                "   3      0x6  stopped           NMI        0000000002000003  ffff800000030000",
                8,
                Emphasis::Normal,
            ),
            ("CPU 3: other words", 9, Emphasis::Normal),
            ("record written; next: halt", 24, Emphasis::Title),
        ];
        for (text, row, emphasis) in rows {
            assert_eq!(drawn.row(text), (row, emphasis), "{text}");
        }
    }

    #[test]
    fn every_size_has_every_cpu_or_says_how_many_it_has_not() {
        for (columns, rows) in [(80, 25), (128, 48), (40, 10), (40, 8), (300, 200)] {
            for count in [1, 4, 224] {
                let drawn = Sample::of(count).drawn(columns, rows);
                let shown = drawn.cpus().len();
                let more = drawn.0.iter().find_map(|(text, _)| text.strip_prefix("... ").map(str::to_string));
                let missing = usize::from(count) - shown;
                match more {
                    None => assert_eq!(missing, 0, "{columns}x{rows}, {count}: {drawn:#?}"),
                    Some(more) => {
                        assert_eq!(more, format!("{missing} more CPUs, in the record"))
                    }
                }
                assert_eq!(drawn.last().1, Emphasis::Title);
            }
        }
        assert_eq!(Sample::of(4).drawn(40, 10).cpus().len(), 4);
        assert_eq!(Sample::of(224).drawn(80, 25).cpus().len(), 19);
        assert_eq!(Sample::of(224).drawn(300, 250).cpus().len(), 224);
        let drawn = Sample::of(224).drawn(80, 25);
        assert_eq!(drawn.row("... 205 more CPUs, in the record"), (23, Emphasis::Title));
    }

    #[test]
    fn those_that_need_a_look_come_first() {
        let mut sample = Sample::of(224)
            .with([7, 9], Containment::NeverStarted)
            .with([200], Containment::HaltedUnquiesced)
            .with([150, 3], Containment::PossiblyRunning);
        sample.owner = 100;
        let drawn = sample.drawn(80, 25);
        let first =
            [(3, Emphasis::Alert), (150, Emphasis::Alert), (200, Emphasis::Alert), (100, Emphasis::Winner)];
        assert_eq!(drawn.cpus()[..4], first);
        let running = drawn.row("panic-smp: POSSIBLY RUNNING: CPU 3 CPU 150 (of 224 CPUs)");
        assert_eq!(running, (0, Emphasis::Alert));
        // Those that did not run come after all that did.
        let shown = sample.drawn(80, 250).cpus();
        assert_eq!(shown.iter().map(|(cpu, _)| *cpu).skip(222).collect::<Vec<_>>(), [7, 9]);
    }

    #[test]
    fn the_owner_keeps_its_row_and_those_left_out_are_counted() {
        let sample = Sample::of(224).with(1..200, Containment::PossiblyRunning);
        let drawn = sample.drawn(80, 25);
        let cpus = drawn.cpus();
        let (last, worse) = cpus.split_last().expect("rows");
        assert_eq!(*last, (0, Emphasis::Winner));
        let (shown, hidden) = (worse.len(), 199 - worse.len());
        assert!(shown > 10);
        let more = format!("... {} more CPUs, {hidden} NOT CONTAINED, in the record", 224 - shown - 1);
        assert_eq!(drawn.row(&more).1, Emphasis::Alert);
        assert!(drawn.0[2].0.ends_with("..."), "the first line is cut: {drawn:#?}");
    }

    #[test]
    fn the_last_row_says_what_became_of_the_record() {
        use crash_record::SinkError::{Device, Timeout};
        let ends: [(&[Fate], FinalAction, &str); 5] = [
            (&[Fate::Written], FinalAction::Reset, "record written; next: reset"),
            (&[], FinalAction::Halt, "no sink: no record; next: halt"),
            (
                &[Fate::Interrupted],
                FinalAction::Custom(|| panic!("never run")),
                "record CUT OFF; next: the firmware's own end",
            ),
            (
                &[Fate::Failed(Device)],
                FinalAction::Halt,
                "record FAILED, the sink's device failed; next: halt",
            ),
            (
                &[Fate::Failed(Timeout), Fate::Written],
                FinalAction::Halt,
                "record: 1 FAILED, the sink did not become ready in time, 2 written; next: halt",
            ),
        ];
        for (record, action, text) in ends {
            let drawn = Sample::of(1).drawn_after(80, 25, record, action);
            let failed = record.iter().any(|fate| *fate != Fate::Written);
            assert_eq!(drawn.last(), (text, if failed { Emphasis::Alert } else { Emphasis::Title }));
        }
    }

    #[test]
    fn a_long_message_leaves_room_for_the_cpus() {
        let mut sample = Sample::of(4);
        let long: &'static str = std::boxed::Box::leak("word ".repeat(200).into_boxed_str());
        sample.messages = Vec::from([(0, long), (1, long), (2, long), (3, long)]);
        for (columns, rows) in [(80, 25), (128, 48)] {
            let drawn = sample.drawn(columns, rows);
            assert_eq!(drawn.cpus().len(), 4, "{drawn:#?}");
            assert!(drawn.last().0.starts_with("record written"));
        }
        assert_eq!(sample.drawn(40, 10).cpus().len(), 4);
    }
}

//! The cases: how each is driven, and what must have come of it.

use std::time::Duration;

use crash_record::CpuRecord;
use stop_protocol::{Containment, CpuFlags, CpuState, RegisterSource, Verdict};

use super::outside::{Line, Outside};
use super::seen::{Seen, Won, stopped, without};
use crate::error::Result;
use crate::lanes::require;
use crate::machine::{COMPLETE, Machine};
use crate::session;

/// One row.
pub struct Case {
    /// Its name; that of a check has the number of CPUs behind it.
    pub name: &'static str,
    /// The firmware's command line.
    pub words: &'static str,
    /// The machines that it is run on.
    pub cpus: &'static [u32],
    /// What the host does while it runs.
    pub drive: fn(&mut Machine, &Outside, u32) -> Result<()>,
    /// How the guest ends.
    pub end: End,
    /// What must have come of it.
    pub judge: fn(&Seen) -> Result<()>,
}

/// How a guest ends.
#[derive(Clone, Copy)]
pub enum End {
    /// With a whole record, then by its final action.
    Record,
    /// With a whole record; the final action leaves the machine running.
    RecordAndHalt,
    /// By itself, without a record.
    NoRecord,
}

const SOON: Duration = Duration::from_secs(30);

const CASE: Case =
    Case { name: "", words: "", cpus: &[4], drive: |_, _, _| Ok(()), end: End::Record, judge: |_| Ok(()) };

const ALL_SIZES: &[u32] = &[1, 2, 4, 16];
const SMP: &[u32] = &[2, 4, 16];

/// Every case.
#[rustfmt::skip]
pub const CASES: &[Case] = &[
    Case { name: "unknown-case", words: "case=nonsense", end: End::NoRecord, judge: refused, ..CASE },
    Case { name: "button-bsp", words: "case=button nmi=bsp", cpus: ALL_SIZES, drive: press, judge: button_bsp, ..CASE },
    Case { name: "button-all", words: "case=button nmi=all", cpus: ALL_SIZES, drive: press, judge: button_all, ..CASE },
    Case { name: "button-all-gated", words: "case=button nmi=all gate=depth", cpus: ALL_SIZES, drive: press, judge: button_gated, ..CASE },
    Case { name: "button-message", words: "case=button nmi=message", cpus: ALL_SIZES, judge: button_all, ..CASE },
    Case { name: "button-message-gated", words: "case=button nmi=message gate=depth", cpus: ALL_SIZES, judge: button_gated, ..CASE },
    Case { name: "asking", words: "case=asking", cpus: SMP, judge: asking, ..CASE },
    Case { name: "in-nmi", words: "case=in-nmi nmi=all", cpus: ALL_SIZES, drive: press, judge: in_nmi, ..CASE },
    Case { name: "before-ready", words: "case=before-ready", cpus: ALL_SIZES, judge: before_ready, ..CASE },
    Case { name: "before-ready-on-ap", words: "case=before-ready-on-ap", cpus: SMP, judge: before_ready_on_ap, ..CASE },
    Case { name: "more-cpus-than-held", words: "case=on-cpu", cpus: &[17], judge: more_cpus_than_held, ..CASE },
    Case { name: "on-first", words: "case=on-cpu", cpus: ALL_SIZES, judge: |seen| on_cpu(seen, 0), ..CASE },
    Case { name: "on-ap", words: "case=on-cpu cpu=1", cpus: SMP, judge: |seen| on_cpu(seen, 1), ..CASE },
    Case { name: "two-at-once", words: "case=two-at-once", cpus: SMP, judge: two_at_once, ..CASE },
    Case { name: "overlap", words: "case=overlap", cpus: SMP, judge: overlap, ..CASE },
    Case { name: "in-callback", words: "case=in-callback", cpus: SMP, judge: in_callback, ..CASE },
    Case { name: "in-every-callback", words: "case=in-every-callback", cpus: SMP, judge: in_every_callback, ..CASE },
    Case { name: "storm", words: "case=storm", cpus: ALL_SIZES, drive: storm, judge: stormed, ..CASE },
    Case { name: "late-ready", words: "case=late-ready", cpus: SMP, judge: late_ready, ..CASE },
    Case { name: "dead-winner", words: "case=dead-winner", cpus: SMP, judge: dead_winner, ..CASE },
    Case { name: "wedged-settle", words: "case=wedged-settle", cpus: &[2, 4], judge: wedged, ..CASE },
    Case { name: "wedged-settle-in-nmi", words: "case=wedged-settle nmi=bsp cpu=99", cpus: &[2, 4], drive: press, judge: wedged_in_nmi, ..CASE },
    Case { name: "wedged-report", words: "case=wedged-report", cpus: &[2, 4], judge: wedged, ..CASE },
    Case { name: "wedged-screen", words: "case=wedged-screen", cpus: &[2, 4], judge: failed_screen, ..CASE },
    Case { name: "wedged-hook", words: "case=wedged-hook", cpus: &[2, 4], judge: wedged_hook, ..CASE },
    Case { name: "wedged-hook-halt", words: "case=wedged-hook then=halt", cpus: &[2, 4], drive: guard_ended, end: End::RecordAndHalt, judge: wedged_hook_halted },
    Case { name: "panic-in-final-action", words: "case=panic-in-final-action", cpus: &[1, 4], judge: reset, ..CASE },
    Case { name: "wedged-final-action", words: "case=wedged-final-action", cpus: &[2, 4], judge: reset, ..CASE },
    Case { name: "parked", words: "case=parked nmi=all", cpus: SMP, drive: press, judge: parked, ..CASE },
    Case { name: "unparked", words: "case=unparked", cpus: SMP, judge: unparked, ..CASE },
    Case { name: "silent", words: "case=silent", cpus: SMP, judge: silent, ..CASE },
    Case { name: "lock-held", words: "case=lock-held", cpus: SMP, judge: lock_held, ..CASE },
    Case { name: "fault-ud", words: "case=fault-ud", cpus: &[1, 4], judge: |seen| fault(seen, 0, INVALID_OPCODE), ..CASE },
    Case { name: "fault-gp", words: "case=fault-gp", cpus: &[1, 4], judge: |seen| fault(seen, 0, GENERAL_PROTECTION), ..CASE },
    Case { name: "fault-pf", words: "case=fault-pf", cpus: &[1, 4], judge: |seen| fault(seen, 0, PAGE_FAULT), ..CASE },
    Case { name: "fault-df", words: "case=fault-df", cpus: &[1, 4], judge: |seen| fault(seen, 0, DOUBLE_FAULT), ..CASE },
    Case { name: "fault-pf-on-ap", words: "case=fault-pf cpu=3", judge: |seen| fault(seen, 3, PAGE_FAULT), ..CASE },
    Case { name: "fault-df-on-ap", words: "case=fault-df cpu=3", judge: |seen| fault(seen, 3, DOUBLE_FAULT), ..CASE },
    Case { name: "fault-mc", words: "case=button", cpus: &[2, 4], drive: machine_check, judge: machine_checked, ..CASE },
    Case { name: "fault-in-report", words: "case=fault-in-report", cpus: &[1, 4], judge: level_2, ..CASE },
    Case { name: "panic-in-settle", words: "case=panic-in-settle", cpus: &[1, 4], judge: level_2, ..CASE },
    Case { name: "panic-in-screen", words: "case=panic-in-screen", cpus: &[1, 4], judge: failed_screen, ..CASE },
    Case { name: "fault-then-screen", words: "case=fault-then-screen", cpus: &[1, 4], judge: level_2_drawn, ..CASE },
    Case { name: "fault-twice", words: "case=fault-twice", cpus: &[1, 4], end: End::NoRecord, judge: level_3, ..CASE },
    Case { name: "shootdown-set", words: "case=shootdown-set", cpus: SMP, drive: |m, o, n| shot(m, o, n, |cpu| cpu == 1), judge: shootdown_set, ..CASE },
    Case { name: "shootdown-all", words: "case=shootdown-all", cpus: SMP, drive: |m, o, n| shot(m, o, n, |_| true), judge: shootdown_all, ..CASE },
    Case { name: "shootdown-twice", words: "case=shootdown-twice", cpus: SMP, drive: |m, o, n| shot(m, o, n, |_| true), judge: shootdown_twice, ..CASE },
    Case { name: "shootdown-nested", words: "case=shootdown-nested", cpus: SMP, drive: |m, o, n| shot(m, o, n, |cpu| cpu == 1), judge: shootdown_nested, ..CASE },
    Case { name: "panic-in-shootdown", words: "case=panic-in-shootdown", cpus: SMP, judge: panic_in_shootdown, ..CASE },
    Case { name: "panic-over-shootdown", words: "case=panic-over-shootdown", cpus: &[4, 16], judge: panic_over_shootdown, ..CASE },
];

use RegisterSource::{Arrival, Nmi, OwnPanic, Poll};

fn press(machine: &mut Machine, _: &Outside, cpus: u32) -> Result<()> {
    machine.wait_for_line(&session::armed_line(cpus), SOON)?;
    machine.press()
}

/// Presses three times while the report is held up, each time when the last one has arrived: an NMI that comes while one
/// is pending already would be lost in it.
fn storm(machine: &mut Machine, outside: &Outside, cpus: u32) -> Result<()> {
    machine.wait_for_line("reporting", SOON)?;
    for count in 1..=3 {
        machine.press()?;
        let what = format!("press {count} arrived at CPU 0");
        outside
            .wait_for(machine, cpus, &what, |lines| lines.first().is_some_and(|l| l.nmi_count >= count))?;
    }
    Ok(())
}

/// A machine check on CPU 1: an uncorrected error in bank 1 (IA32_MC1_STATUS: VAL, UC and EN), after which the processor
/// could go on (IA32_MCG_STATUS: RIPV and MCIP).
fn machine_check(machine: &mut Machine, _: &Outside, cpus: u32) -> Result<()> {
    machine.wait_for_line(&session::armed_line(cpus), SOON)?;
    machine.monitor("mce 1 1 0xb000000000000000 5 0 0").map(drop)
}

fn machine_checked(seen: &Seen) -> Result<()> {
    seen.won([1], Won::EXCEPTION, |_| [stopped(Nmi)])?;
    require(seen.vector()? == 18, || format!("vector {:?}", seen.vector()))
}

/// Once the shootdown has returned: those that it was for are stopped, the others run; then the button.
fn shot(machine: &mut Machine, outside: &Outside, cpus: u32, target: fn(u32) -> bool) -> Result<()> {
    machine.wait_for_line(&session::armed_line(cpus), SOON)?;
    for (cpu, line) in (0..).zip(outside.ledger(machine, cpus)?) {
        let (state, source) = if cpu != 0 && target(cpu) {
            (CpuState::Stopped, Nmi)
        } else {
            (CpuState::Ready, RegisterSource::None)
        };
        require(line.state == state && line.source == source, || {
            format!("CPU {cpu} is {line:?} in memory, not {state:?} with registers from {source}")
        })?;
    }
    machine.press()
}

/// Once the record is out: the guard leads, and the CPU that wedged was stopped by it.
fn guard_ended(machine: &mut Machine, outside: &Outside, cpus: u32) -> Result<()> {
    machine.wait_for_line(COMPLETE, SOON)?;
    let done = |lines: &[Line]| {
        let led = lines.iter().skip(1).filter(|l| l.state == CpuState::Leading).count();
        let stopped = lines.iter().filter(|l| l.state == CpuState::Stopped).count();
        led == 1 && stopped == lines.len() - 1
    };
    outside.wait_for(machine, cpus, "the guard leads and all others are stopped", done).map(drop)
}

fn all(seen: &Seen) -> std::ops::Range<u32> {
    0..seen.cpus
}

fn refused(seen: &Seen) -> Result<()> {
    require(seen.status == Some(0x11 << 1 | 1), || format!("exit status {:?}", seen.status))?;
    require(seen.text().contains("scenarios: no case `nonsense`; there are: "), || "no error was said".into())
}

fn button_bsp(seen: &Seen) -> Result<()> {
    seen.won([0], Won::NMI, |_| [stopped(Nmi)])?;
    let source = seen.cpu(0)?.nmi_sources.clone();
    require(source == ["button"], || format!("the NMI came from {source:?}"))
}

fn button_all(seen: &Seen) -> Result<()> {
    seen.won(all(seen), Won::NMI, |_| [stopped(Nmi), stopped(Poll)]).map(drop)
}

/// Every CPU was in its NMI handler before anybody was elected.
fn button_gated(seen: &Seen) -> Result<()> {
    seen.won(all(seen), Won::NMI, |_| [stopped(Poll)]).map(drop)
}

fn asking(seen: &Seen) -> Result<()> {
    seen.won([0], Won::PANIC, |_| [stopped(Poll)]).map(drop)
}

fn in_nmi(seen: &Seen) -> Result<()> {
    seen.won(all(seen), Won::PANIC, |_| [stopped(Poll)])?;
    all(seen).try_for_each(|cpu| seen.message(cpu, &format!("in an NMI handler, APIC id {cpu}")))
}

fn before_ready(seen: &Seen) -> Result<()> {
    seen.won([0], Won::PANIC, |_| [without(Containment::NeverStarted)])?;
    seen.message(0, "before any CPU is ready")
}

/// Every other one is ready, since they are started one by one.
/// The others start at the same time: the stop finds some of them ready, and some become ready after it.
fn before_ready_on_ap(seen: &Seen) -> Result<()> {
    let last = seen.cpus - 1;
    let others = |cpu| [stopped(Nmi), stopped(if cpu == 0 { Nmi } else { Arrival })];
    seen.won([last], Won::PANIC, others)?;
    seen.message(last, "before this CPU is ready")
}

/// More CPUs than the runtime holds: those that it holds run, and the other one is never started.
fn more_cpus_than_held(seen: &Seen) -> Result<()> {
    seen.ended_by_final_action()?;
    let record = seen.record()?;
    let verdicts: Vec<Option<Verdict>> =
        record.cpus.iter().map(|cpu| cpu.summary.map(|s| s.verdict)).collect();
    let winner = Verdict { registers: OwnPanic, containment: Containment::Reporting };
    let expected: Vec<Option<Verdict>> =
        std::iter::once(winner).chain([stopped(Nmi); 15]).map(Some).collect();
    require(record.is_complete() && verdicts == expected, || format!("{verdicts:?}, {:?}", record.damage))?;
    let warning = "holds 16 CPUs and this machine can have 17";
    require(seen.text().contains(warning), || format!("nobody was told that it {warning}"))
}

fn on_cpu(seen: &Seen, cpu: u32) -> Result<()> {
    seen.won([cpu], Won::PANIC, |_| [stopped(Nmi)])?;
    seen.message(cpu, &format!("on CPU {cpu}"))
}

fn two_at_once(seen: &Seen) -> Result<()> {
    let own = |cpu| if cpu < 2 { [stopped(OwnPanic)] } else { [stopped(Nmi)] };
    seen.won([0, 1], Won::PANIC, own)?;
    (0..2).try_for_each(|cpu| {
        seen.message(cpu, &format!("on CPU {cpu}, of two at once"))?;
        let flags = seen.cpu(cpu)?.summary.map_or(0, |summary| summary.flags);
        require(CpuFlags(flags).contains(CpuFlags::GIF_CLEAR), || {
            format!("CPU {cpu} has the flags {flags:#x}")
        })
    })
}

fn overlap(seen: &Seen) -> Result<()> {
    two_at_once(seen)?;
    let callbacks = seen.notes()?.callbacks;
    require(callbacks == 1, || format!("{callbacks} callbacks went on after the NMI that came into them"))
}

fn in_callback(seen: &Seen) -> Result<()> {
    seen.won([0], Won::PANIC.at_level_2(), |_| [stopped(Nmi)])?;
    seen.message(0, "the first panic")?;
    seen.message(1, "a panic in the stop callback")?;
    let callbacks = seen.notes()?.callbacks;
    require(callbacks == u64::from(seen.cpus - 1), || format!("{callbacks} callbacks"))
}

/// However many fail, the record comes.
fn in_every_callback(seen: &Seen) -> Result<()> {
    seen.won([0], Won::PANIC.at_level_2(), |_| [stopped(Nmi)])?;
    (1..seen.cpus).try_for_each(|cpu| seen.message(cpu, "a panic in every stop callback"))
}

fn stormed(seen: &Seen) -> Result<()> {
    seen.won([0], Won::PANIC, |_| [stopped(Nmi)])?;
    let count = seen.cpu(0)?.summary.map_or(0, |summary| summary.nmi_count);
    require(count == 3, || format!("CPU 0 took {count} NMIs"))
}

fn late_ready(seen: &Seen) -> Result<()> {
    let last = seen.cpus - 1;
    seen.won([0], Won::NMI, |cpu| if cpu == last { [stopped(Arrival)] } else { [stopped(Nmi)] }).map(drop)
}

fn dead_winner(seen: &Seen) -> Result<()> {
    seen.won([1], Won::taken_over(OwnPanic), |_| [stopped(Nmi)])?;
    seen.message(1, "the panic that lost to a dead CPU")
}

fn wedged(seen: &Seen) -> Result<()> {
    seen.won(1..seen.cpus, Won::taken_over(Nmi), wedged_first)?;
    seen.message(0, "an owner that wedges")
}

fn wedged_first(cpu: u32) -> [Verdict; 1] {
    [stopped(if cpu == 0 { OwnPanic } else { Nmi })]
}

/// It wedged in NMI context, where no NMI reaches it: the record says so.
fn wedged_in_nmi(seen: &Seen) -> Result<()> {
    let running = Verdict { registers: Nmi, containment: Containment::PossiblyRunning };
    let others = |cpu| if cpu == 0 { [running] } else { [stopped(Nmi)] };
    seen.won(1..seen.cpus, Won::taken_over(Nmi), others).map(drop)
}

/// The record was out; that the machine ended at all was the guard's doing.
fn wedged_hook(seen: &Seen) -> Result<()> {
    seen.won([0], Won::PANIC, |_| [stopped(Nmi)]).map(drop)
}

/// The screen was begun, and cost neither the record, which was out, nor the final action.
fn failed_screen(seen: &Seen) -> Result<()> {
    seen.won([0], Won::PANIC, |_| [stopped(Nmi)])?;
    require(seen.said("drawing"), || "the screen was not drawn at all".into())?;
    require(!seen.text().contains("a hook after"), || "the hooks ran at level 2".into())
}

fn wedged_hook_halted(seen: &Seen) -> Result<()> {
    require(seen.status.is_none(), || format!("exit status {:?}", seen.status))?;
    seen.won_however_it_ended([0], Won::PANIC, |_| [stopped(Nmi)]).map(drop)
}

/// The final action failed, and the reset that follows it ended the emulator, which was told not to boot again.
fn reset(seen: &Seen) -> Result<()> {
    require(seen.status == Some(0), || format!("exit status {:?}", seen.status))?;
    seen.won_however_it_ended([0], Won::PANIC, |_| [stopped(Nmi)]).map(drop)
}

fn parked(seen: &Seen) -> Result<()> {
    let last = seen.cpus - 1;
    let others =
        |cpu| if cpu == last { [without(Containment::Parked); 2] } else { [stopped(Nmi), stopped(Poll)] };
    seen.won(0..last, Won::NMI, others)?;
    let (summary, woken) = (seen.cpu(last)?.summary, seen.notes()?.count);
    let count = summary.map_or(0, |summary| summary.nmi_count);
    require((count, woken) == (1, 1), || format!("{count} NMIs came to the parked CPU and {woken} returned"))
}

fn unparked(seen: &Seen) -> Result<()> {
    let last = seen.cpus - 1;
    seen.won([0], Won::PANIC, |cpu| [stopped(if cpu == last { Arrival } else { Nmi })]).map(drop)
}

fn silent(seen: &Seen) -> Result<()> {
    let others = |cpu| if cpu == 1 { [without(Containment::PossiblyRunning)] } else { [stopped(Nmi)] };
    seen.won([0], Won::PANIC, others).map(drop)
}

fn lock_held(seen: &Seen) -> Result<()> {
    seen.won([0], Won::PANIC, |_| [stopped(Nmi)])?;
    let stolen = seen.notes()?.count;
    require(stolen == 1, || "the section was not taken from its owner".into())
}

/// An exception: its vector, its instruction, its error code.
#[derive(Clone, Copy)]
struct Fault {
    vector: u8,
    at: &'static str,
    error_code: u64,
}

const INVALID_OPCODE: Fault = Fault { vector: 6, at: "scenario_invalid_opcode", error_code: 0 };
const GENERAL_PROTECTION: Fault = Fault { vector: 13, at: "scenario_general_protection_at", error_code: 0 };
/// A write to a page that is not present (SDM vol. 3A, 4.7).
const PAGE_FAULT: Fault = Fault { vector: 14, at: "scenario_page_fault_at", error_code: 0b10 };
/// The manual leaves RIP open after a double fault; processors and QEMU save that of the first fault.
const DOUBLE_FAULT: Fault = Fault { vector: 8, at: "scenario_stack_overflow", error_code: 0 };

fn fault(seen: &Seen, cpu: u32, fault: Fault) -> Result<()> {
    seen.won([cpu], Won::EXCEPTION, |_| [stopped(Nmi)])?;
    let record: &CpuRecord = seen.cpu(cpu)?;
    let Some(registers) = &record.registers else { return require(false, || "no registers".into()) };
    let error_code = record.values.iter().find(|value| value.name == "error code").map(|value| value.value);
    let at = seen.outside.address(fault.at)?;
    require(seen.vector()? == fault.vector, || format!("vector {:?}", seen.vector()))?;
    require(error_code == Some(fault.error_code), || format!("error code {error_code:?}"))?;
    require(registers.rip == at, || format!("RIP {:#x}, not {at:#x}", registers.rip))?;
    match fault.vector {
        14 => require(registers.cr2 == registers.rdi && registers.cr2 == 0x7000_0000_1000, || {
            format!("CR2 {:#x}, RDI {:#x}", registers.cr2, registers.rdi)
        }),
        13 => require(registers.rdi == 1 << 63, || format!("RDI {:#x}", registers.rdi)),
        // The push that did not fit.
        8 => require(registers.cr2 == registers.rsp.wrapping_sub(8), || {
            format!("CR2 {:#x}, RSP {:#x}", registers.cr2, registers.rsp)
        }),
        _ => {
            let rsp = seen.notes()?.expected;
            require(registers.rsp < rsp + 64 && registers.rsp + 64 > rsp, || {
                format!("RSP {:#x}, some bytes from {rsp:#x}", registers.rsp)
            })
        }
    }
}

fn level_2(seen: &Seen) -> Result<()> {
    seen.won([0], Won::PANIC.at_level_2(), |_| [stopped(Nmi)])?;
    seen.message(0, "the first panic")
}

/// A screen is drawn although the report failed.
fn level_2_drawn(seen: &Seen) -> Result<()> {
    level_2(seen)?;
    require(seen.said("drawing at level 2"), || "the screen was not drawn at level 2".into())
}

/// Only the final action is left, and it comes.
fn level_3(seen: &Seen) -> Result<()> {
    seen.ended_by_final_action()?;
    require(seen.record().is_err() && !seen.said(COMPLETE), || "a record came after all".into())
}

/// `{1, 2}`, as the firmware prints a set.
fn set(cpus: impl Iterator<Item = u32>) -> String {
    format!("{{{}}}", cpus.map(|cpu| cpu.to_string()).collect::<Vec<_>>().join(", "))
}

fn returned(stopped: &str, absent: &str) -> String {
    format!("shootdown: stopped {stopped} silent {{}} absent {absent}")
}

/// The call for one CPU returned as often as `times` says, the one for all others as often as `whole` says, and the callback
/// ran on every target, once. The button's panic then stopped whoever was left.
fn shootdown(seen: &Seen, times: usize, whole: usize, targets: u32) -> Result<()> {
    seen.won([0], Won::NMI, |_| [stopped(Nmi)])?;
    let count = |line: &str| seen.text().lines().filter(|said| *said == line).count();
    let (one, everyone) = (returned("{1}", "{}"), returned(&set(1..seen.cpus), &set(seen.cpus..16)));
    require(count(&one) == times || (one == everyone), || format!("`{one}` was not said {times} times"))?;
    require(count(&everyone) == whole || one == everyone, || {
        format!("`{everyone}` was not said {whole} times")
    })?;
    let callbacks = seen.notes()?.callbacks;
    require(callbacks == u64::from(targets), || format!("the callback ran {callbacks} times"))
}

fn shootdown_set(seen: &Seen) -> Result<()> {
    shootdown(seen, 1, 0, 1)
}

fn shootdown_all(seen: &Seen) -> Result<()> {
    shootdown(seen, 0, 1, seen.cpus - 1)
}

fn shootdown_twice(seen: &Seen) -> Result<()> {
    shootdown(seen, 2, 1, seen.cpus - 1)
}

fn shootdown_nested(seen: &Seen) -> Result<()> {
    require(seen.said("nested: 1"), || "the nested call did not return its error".into())?;
    shootdown(seen, 1, 0, 1)
}

fn panic_over_shootdown(seen: &Seen) -> Result<()> {
    seen.won([1], Won::PANIC, |cpu| [stopped(if cpu == 0 { OwnPanic } else { Nmi })])?;
    seen.message(1, "over a shootdown")
}

/// The CPU that was being stopped wins, with the registers that it was stopped with. The shooter finds out by itself or by
/// NMI.
fn panic_in_shootdown(seen: &Seen) -> Result<()> {
    let won = Won { by: Nmi, ..Won::PANIC };
    seen.won([1], won, |cpu| if cpu == 0 { [stopped(OwnPanic), stopped(Nmi)] } else { [stopped(Nmi); 2] })?;
    seen.message(1, "a panic in the callback of a shootdown")
}

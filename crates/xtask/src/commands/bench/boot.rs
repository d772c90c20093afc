//! Wall time from the start of the machine to `armed`, and from the button to the record's end; and the guest's own time
//! from its entry until every CPU is ready.

use std::cell::Cell;
use std::time::{Duration, Instant};

use super::Bench;
use super::document::{Part, Row};
use super::elf::Elf;
use crate::error::{Error, Result};
use crate::machine::{COMPLETE, Machine, Options};
use crate::progress::step;
use crate::session::armed_line;

const BOOTS: usize = 5;
const MACHINES: [u32; 5] = [1, 4, 16, 64, 255];

/// The part.
pub fn measure(bench: &Bench, _: &Elf<'_>) -> Result<Part> {
    let log = bench.workspace.folder("bench")?.join("serial.log");
    let mut part = Part { how: HOW.into(), ..Part::default() };
    let (mut started, mut pressed) = (Vec::new(), Vec::new());
    for cpus in MACHINES {
        step(&format!("time: {BOOTS} boots on {cpus} CPUs"));
        let (mut to_armed, mut to_ready, mut to_complete) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..BOOTS {
            let options = Options::new(cpus, "");
            let mut machine = Machine::boot(&bench.image.boot, &options, &log)?;
            to_ready.push(ready(&machine, cpus, options.limit)?);
            let armed = machine.wait_for_line(&armed_line(cpus), options.limit)?;
            let pressed = Instant::now();
            machine.press()?;
            machine.wait_for_line(COMPLETE, options.limit)?;
            to_armed.push(armed);
            to_complete.push(pressed.elapsed());
        }
        part.rows.push(row(&format!("time, boot -> armed, {cpus} CPUs"), to_armed)?);
        started.push(row(&format!("time, of it from entry to all ready, {cpus} CPUs"), to_ready)?);
        pressed.push(row(&format!("time, button -> record complete, {cpus} CPUs"), to_complete)?);
    }
    part.rows.extend(started);
    part.rows.extend(pressed);
    Ok(part)
}

/// How long the guest took, by its time-stamp counter, from its entry until each of `cpus` CPUs was ready.
fn ready(machine: &Machine, cpus: u32, limit: Duration) -> Result<Duration> {
    let start = format!("appliance-rt: {cpus} of {cpus} CPUs ready ");
    let said = Cell::new(None);
    machine.wait_for(&format!("the line `{start}...`"), limit, |line| {
        let milliseconds = line.strip_prefix(&start).and_then(|rest| rest.split(' ').next());
        said.set(milliseconds.and_then(|number| number.parse().ok()).map(Duration::from_millis));
        said.get().is_some()
    })?;
    said.get().ok_or_else(|| Error::Invalid("the guest gave no time".into()))
}

const HOW: &str = "\
Wall time under QEMU's TCG, the median of five, in brackets the least and the most; behaviour, not the latency of \
hardware. The boot includes QEMU's and SeaBIOS's own start, which on many CPUs is most of it: SeaBIOS starts them all too. \
From entry to all ready is what the guest says, by its time-stamp counter: interval timer and tables, then the start of \
all other CPUs together, with one INIT delay of 10 ms. The CPUs of the machine share those of the host, on which \
other programs ran. The record leaves by the emulated UART, which is not slowed to a line's speed: at 115200 baud it \
takes about 87 us for each byte.";

fn row(what: &str, mut times: Vec<Duration>) -> Result<Row> {
    times.sort();
    let (Some(least), Some(median), Some(most)) = (times.first(), times.get(times.len() / 2), times.last())
    else {
        return Err(Error::Invalid("nothing was timed".into()));
    };
    let [least, median, most] = [least, median, most].map(Duration::as_secs_f64);
    Ok(Row::stated(what, format!("{median:.2} s ({least:.2}–{most:.2})")))
}

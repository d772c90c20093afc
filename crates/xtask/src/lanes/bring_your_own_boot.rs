//! The example that starts without appliance-rt: loaded by GRUB, pressed, and the record holds every CPU with the vector
//! registers that it had, also where Rust code uses them. The emulator shows them from outside; the values are known here.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use object::{Object, ObjectSymbol};

use super::planted::{self, core, monitor};
use super::{BUILD, Checks, Context, boot};
use crate::dump::Dump;
use crate::error::{Error, Result};
use crate::firmware::{self, Image};
use crate::grub;
use crate::machine::{Machine, Options};
use crate::media::Medium;
use crate::session::{self, Files};
use crate::tools::{GRUB, GRUB_BIOS, XORRISO};

/// The example.
pub const EXAMPLE: &str = "bring-your-own-boot";

const CPUS: usize = 4;
/// Vector registers of a CPU.
const REGISTERS: usize = 16;
/// From `armed` to every CPU being at work, and from the guest's last line to its end.
const SOON: Duration = Duration::from_secs(20);
/// Where FXSAVE has XMM0 (SDM vol. 1, 10.5.1, "FXSAVE Area").
const XMM0: usize = 160;

/// XMM0 to XMM15.
type Vectors = [u128; REGISTERS];

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let mut images = None;
    checks.check(BUILD, || {
        let plain = context.firmware(EXAMPLE)?;
        images = Some([("soft-float", plain), ("sse", firmware::build_for_sse(context.workspace, EXAMPLE)?)]);
        Ok(())
    });
    for (name, image) in images.into_iter().flatten() {
        checks.check_with(&[&GRUB, &GRUB_BIOS, &XORRISO], name, || {
            stopped_at_work(&image, &context.folder("bring-your-own-boot", name))
        });
    }
}

/// The machine that boots `image` from a disc made in `folder`.
pub fn options(image: &Image, folder: &Path) -> Result<Options> {
    let disc = folder.join("disc.iso");
    grub::rescue_disc_by_multiboot2(&image.boot, "", &folder.join("disc"), &disc)?;
    Ok(Options { medium: Medium::Cdrom(disc), ..Options::new(CPUS as u32, "") })
}

fn stopped_at_work(image: &Image, folder: &Path) -> Result<()> {
    let files = Files::prepare(folder)?;
    std::fs::copy(&image.elf, &files.elf).map_err(Error::io(&image.elf))?;
    let options = options(image, folder)?;
    let mut machine = Machine::boot(&image.boot, &options, &files.serial)?;
    machine.wait_for_line(&session::armed_line(options.smp), options.limit)?;
    let before = all_at_work(&mut machine, &image.elf)?;
    machine.press()?;
    let dump = planted::finish(machine, &files, SOON)?;
    boot::none_lost_in(&dump, options.smp)?;

    let mut wrong = Vec::new();
    for (what, vectors) in
        [("the emulator", before), ("the record", recorded(&dump)), ("gdb", shown_by_gdb(&files)?)]
    {
        wrong.extend((0..CPUS).flat_map(|cpu| differences(what, cpu, vectors.get(&cpu))));
    }
    wrong.extend(backtraces(&core::open(&files)?));
    planted::none_wrong(wrong)
}

/// Waits until every CPU is in its loop; the vector registers that the emulator then shows.
fn all_at_work(machine: &mut Machine, elf: &Path) -> Result<BTreeMap<usize, Vectors>> {
    let bytes = std::fs::read(elf).map_err(Error::io(elf))?;
    let file = object::File::parse(&*bytes).map_err(|e| Error::Invalid(format!("the ELF: {e}")))?;
    let symbol = file.symbols().find(|s| s.name() == Ok("vector_work_loop"));
    let work = symbol.ok_or_else(|| Error::Invalid("no symbol `vector_work_loop`".into()))?.address();
    let until = Instant::now() + SOON;
    loop {
        let text = machine.monitor("info registers -a")?;
        // PAUSE, two bytes, and the jump back to it.
        let at_work =
            |cpu: &BTreeMap<_, _>| cpu.get("rip").is_some_and(|rip| (work..=work + 2).contains(rip));
        let count = monitor::parse(&text).iter().filter(|cpu| at_work(cpu)).count();
        if count == CPUS {
            return Ok(shown_by_emulator(&text));
        }
        if Instant::now() > until {
            return Err(Error::Guest(format!("{count} of {CPUS} CPUs came to their work")));
        }
    }
}

/// XMM`register` of `cpu` at work: the formula of the example's `work.rs`.
fn expected(cpu: usize, register: usize) -> u128 {
    let low = (cpu as u64 * 16 + register as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    u128::from(!low) << 64 | u128::from(low)
}

fn differences(what: &str, cpu: usize, vectors: Option<&Vectors>) -> Vec<String> {
    let Some(vectors) = vectors else {
        return vec![format!("{what}: CPU {cpu} has no vector registers")];
    };
    let compared =
        vectors.iter().enumerate().map(|(register, value)| (register, *value, expected(cpu, register)));
    compared
        .filter(|(_, value, expected)| value != expected)
        .map(|(register, value, expected)| {
            format!("{what}: xmm{register} of CPU {cpu} is {value:#034x}, not {expected:#034x}")
        })
        .collect()
}

/// `XMM00=61c8864680b583ea 9e3779b97f4a7c15 XMM01=...`, after the line `CPU#0`.
fn shown_by_emulator(text: &str) -> BTreeMap<usize, Vectors> {
    let mut cpus = BTreeMap::new();
    let mut cpu = None;
    for line in text.lines().map(str::trim_end) {
        if let Some(number) = line.strip_prefix("CPU#") {
            cpu = number.parse().ok();
        }
        let (Some(cpu), true) = (cpu, line.starts_with("XMM")) else { continue };
        let vectors: &mut Vectors = cpus.entry(cpu).or_default();
        for register in line.split("XMM").skip(1) {
            let Some((number, digits)) = register.split_once('=') else { continue };
            let value = u128::from_str_radix(&digits.replace(' ', ""), 16).ok();
            let place = number.parse().ok().and_then(|number: usize| vectors.get_mut(number));
            if let (Some(place), Some(value)) = (place, value) {
                *place = value;
            }
        }
    }
    cpus
}

fn recorded(dump: &Dump) -> BTreeMap<usize, Vectors> {
    let of = |area: &[u8; 512]| {
        let mut vectors = Vectors::default();
        for (place, bytes) in vectors.iter_mut().zip(area[XMM0..].chunks_exact(16)) {
            *place = bytes.iter().rev().fold(0, |value, byte| value << 8 | u128::from(*byte));
        }
        vectors
    };
    let cpus = dump.cpus().iter().enumerate();
    cpus.filter_map(|(cpu, record)| Some((cpu, of(record.fxsave.as_deref()?)))).collect()
}

fn shown_by_gdb(files: &Files) -> Result<BTreeMap<usize, Vectors>> {
    let commands: Vec<String> =
        (0..REGISTERS).map(|register| format!("thread apply all p/x $xmm{register}.uint128")).collect();
    let text = core::gdb(files, &commands.iter().map(String::as_str).collect::<Vec<_>>())?;
    Ok(values_of_gdb(&text))
}

/// `Thread 4 (LWP 4):`, then `$1 = 0xb761b37ea2be3ffa489e4c815d41c005`; each thread's values in the order of the
/// registers.
fn values_of_gdb(text: &str) -> BTreeMap<usize, Vectors> {
    let mut values: BTreeMap<usize, Vec<u128>> = BTreeMap::new();
    let mut cpu = None;
    for line in text.lines() {
        if line.starts_with("Thread ") {
            cpu = core::lwp(line);
        } else if let (Some(cpu), Some((_, value))) = (cpu, line.split_once(" = 0x")) {
            values.entry(cpu).or_default().extend(u128::from_str_radix(value, 16).ok());
        }
    }
    values.into_iter().filter_map(|(cpu, values)| Some((cpu, values.try_into().ok()?))).collect()
}

/// Every thread's backtrace leads from the loop to the example's first Rust function.
fn backtraces(core: &core::Core) -> Vec<String> {
    let leads_home = |cpu: &usize| {
        let functions = core.threads.get(cpu).map(|thread| thread.functions.as_slice()).unwrap_or_default();
        functions.first().is_some_and(|f| f == "vector_work")
            && ["work::work", "enter"]
                .iter()
                .all(|f| functions.iter().any(|g| g == &format!("bring_your_own_boot::{f}")))
    };
    (0..CPUS)
        .filter(|cpu| !leads_home(cpu))
        .map(|cpu| format!("gdb: CPU {cpu} has no backtrace to `enter`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_read_as_they_are_shown() {
        let text = "\r\nCPU#0\r\nRIP=01\r\nXMM00=61c8864680b583ea 9e3779b97f4a7c15 XMM01=c3910c8d016b07d5 3c6ef372fe94f82a\r\n\
                    CPU#1\r\nXMM00=7e50eaae8c0dc29a 81af155173f23d65 XMM01=0 0\r\n";
        let cpus = shown_by_emulator(text);
        assert_eq!(cpus[&0][..2], [expected(0, 0), expected(0, 1)]);
        assert_eq!(cpus[&1][0], expected(1, 0));
        assert_eq!(cpus[&1][1], 0);
    }

    #[test]
    fn a_thread_without_all_registers_has_none() {
        let all: String =
            (0..REGISTERS).map(|n| format!("Thread 2 (LWP 2):\n${n} = {:#x}\n", expected(1, n))).collect();
        assert_eq!(differences("gdb", 1, values_of_gdb(&all).get(&1)), [""; 0]);
        let less = all.replacen("$3 = 0x", "$3 = <unavailable> ", 1);
        assert_eq!(differences("gdb", 1, values_of_gdb(&less).get(&1)).len(), 1);
    }

    #[test]
    fn each_wrong_register_is_named() {
        let mut vectors: Vectors = std::array::from_fn(|n| expected(2, n));
        vectors[7] ^= 1;
        let wrong = differences("the record", 2, Some(&vectors));
        assert!(wrong.len() == 1 && wrong[0].contains("xmm7 of CPU 2"), "{wrong:?}");
    }
}

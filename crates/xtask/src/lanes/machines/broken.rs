//! Where it cannot run: one line says why. None of these machines is silent.

use std::fs;
use std::time::Duration;

use stop_protocol::{Containment, RegisterSource, Verdict};

use super::super::attempt::{Attempt, FILE, SCRIPT};
use super::{Context, SideBySide, prepare};
use crate::error::{Error, Result};
use crate::firmware::Image;
use crate::http::Server;
use crate::machine::{Machine, Options};
use crate::media::{self, Client, Firmware, Medium};
use crate::session::{self, Press};
use crate::tools::{IPXE, OVMF};

/// What start-up and the EFI loader say of an image that is not as it was written.
const DAMAGED: &str = "panic-smp: the image is damaged";

/// What iPXE says of a file that EFI does not load, which it finds out from the file's headers.
const NOT_LOADED: &str = "Could not boot image: Exec format error";

/// The checks.
pub fn add<'l>(context: &'l Context, side_by_side: &mut SideBySide<'l>, image: &'l Image) {
    side_by_side.check("damaged-image", move || {
        let attempt = prepare(context, image, "damaged-image")?;
        damage(&attempt)?;
        says(&attempt, &attempt.options(Firmware::Bios, Medium::Kernel, ""), &[DAMAGED])
    });
    side_by_side.check_with(&[&OVMF], "uefi-damaged-image", move || {
        let attempt = prepare(context, image, "uefi-damaged-image")?;
        damage(&attempt)?;
        says(&attempt, &attempt.on_esp(Firmware::ovmf())?, &[DAMAGED])
    });
    side_by_side.check_with(&[&IPXE], "cut-short", move || {
        cut_short(&prepare(context, image, "cut-short")?, Firmware::Bios, DAMAGED)
    });
    side_by_side.check_with(&[&IPXE, &OVMF], "uefi-cut-short", move || {
        cut_short(&prepare(context, image, "uefi-cut-short")?, Firmware::ovmf(), NOT_LOADED)
    });
    side_by_side.check("not-whole", move || {
        let attempt = prepare(context, image, "not-whole")?;
        not_whole(&attempt)
    });
    side_by_side.check("32-bit-cpu", move || {
        let attempt = prepare(context, image, "32-bit-cpu")?;
        let mut options = attempt.options(Firmware::Bios, Medium::Kernel, "");
        options.extra = ["-cpu", "qemu32"].map(str::to_owned).into();
        says(&attempt, &options, &["no 64-bit CPU"])
    });
}

/// Boots, and waits for a line with all of `words`.
pub fn says(attempt: &Attempt, options: &Options, words: &[&str]) -> Result<()> {
    let machine = Machine::boot(&attempt.image.boot, options, &attempt.files.serial)?;
    let what = format!("a line with `{}`", words.join("` and `"));
    machine.wait_for(&what, options.limit, |line| words.iter().all(|word| line.contains(word)))?;
    machine.end(Duration::ZERO).map(drop)
}

/// Boots an ELF that was never sealed and whose last loaded bytes are others: start-up finds it out before the CPUs are
/// declared, and that panic has a record as any other.
fn not_whole(attempt: &Attempt) -> Result<()> {
    let Attempt { image, files, .. } = attempt;
    let mut elf = fs::read(&image.elf).map_err(Error::io(&image.elf))?;
    let marker = elf.windows(8).rposition(|window| window == b"LOAD_END");
    let marker = marker.ok_or_else(|| Error::Invalid("the image has no marker at its end".into()))?;
    elf[marker] ^= 1;
    let boot = attempt.folder.join("not-whole.elf");
    fs::write(&boot, &elf).map_err(Error::io(&boot))?;
    let options = attempt.options(Firmware::Bios, Medium::Kernel, "");
    let run = session::run(&Image { boot, elf: image.elf.clone() }, &options, Press::Never, files)?;
    let verdicts: Vec<Option<Verdict>> =
        run.dump.cpus().iter().map(|cpu| cpu.summary.map(|summary| summary.verdict)).collect();
    let alone = Verdict { registers: RegisterSource::OwnPanic, containment: Containment::Reporting };
    let messages: Vec<&String> = run.dump.cpus().iter().flat_map(|cpu| &cpu.messages).collect();
    let is_said = messages.iter().any(|message| message.contains("did not copy the whole image"));
    if verdicts == [Some(alone)] && is_said {
        return Ok(());
    }
    Err(Error::Guest(format!("another record than that of its panic: {messages:?}\n{}", run.dump.report())))
}

/// Flips one bit in the middle of the image's code.
fn damage(attempt: &Attempt) -> Result<()> {
    let (boot, elf) = (&attempt.image.boot, &attempt.image.elf);
    let mut bytes = fs::read(boot).map_err(Error::io(boot))?;
    let elf = fs::read(elf).map_err(Error::io(elf))?;
    // The bootable file holds the ELF's loaded part somewhere; this piece of code occurs once in it.
    let code = elf.get(0x8000..0x8040).unwrap_or_default();
    let places: Vec<usize> =
        bytes.windows(code.len().max(1)).enumerate().filter(|(_, w)| *w == code).map(|(at, _)| at).collect();
    let &[at] = places.as_slice() else {
        return Err(Error::Invalid(format!("the code is {} times in the image", places.len())));
    };
    bytes[at] ^= 0x10;
    fs::write(boot, bytes).map_err(Error::io(boot))
}

/// Boots by iPXE from a web server on which the upload of the image broke off half-way.
fn cut_short(attempt: &Attempt, firmware: Firmware, said: &str) -> Result<()> {
    let served = attempt.served()?;
    let bytes = fs::metadata(&attempt.image.boot).map_err(Error::io(&attempt.image.boot))?.len() / 2;
    let server = Server::start(&served, Some((FILE, bytes as usize)))?;
    let script = served.join(SCRIPT);
    fs::write(&script, media::ipxe_script(&server.url(FILE), "")).map_err(Error::io(&script))?;
    let network = attempt.network(served, SCRIPT, Client::Ipxe);
    says(attempt, &attempt.options(firmware, Medium::Network(network), ""), &[said])?;
    match server.requests().as_slice() {
        [request] if request.sent == bytes => Ok(()),
        requests => Err(Error::Guest(format!("the server was asked: {requests:?}"))),
    }
}

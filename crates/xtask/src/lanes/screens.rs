//! What a person who stands before the machine sees after a panic, read from outside: the VGA's memory, or the picture that
//! QEMU makes of the display, against the record that the serial line carried.

use std::path::Path;
use std::time::{Duration, Instant};

use crash_record::CpuRecord;
use panic_smp_screen::decode::{Emphasis, Picture, Row, rows};
use serde_json::json;

use super::attempt::{self, Attempt};
use super::{Checks, Context, boot, require};
use crate::dump::Dump;
use crate::error::{Error, Result};
use crate::firmware::Image;
use crate::machine::{COMPLETE, Machine, Options, SAID_SUCCESS};
use crate::media::{self, Firmware, Medium};
use crate::session::{self, Files};
use crate::tools::{OVMF, RUST_EFI_TARGET};

/// The colour text memory of a VGA, its columns and rows in the mode that a BIOS leaves.
const TEXT_MEMORY: u64 = 0xB8000;
const COLUMNS: usize = 80;
const ROWS: usize = 25;
/// Attributes: yellow on blue, white on blue.
const WINNER: u8 = 0x1E;
const NORMAL: u8 = 0x1F;
/// Pixels of the picture of that mode: letters of 9x16.
const PICTURE: (u32, u32) = (720, 400);

/// How the last row ends.
const NEXT: &str = "; next: halt";

const SOON: Duration = Duration::from_secs(60);

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let Some(image) = boot::image(context, checks) else { return };
    // 24 are more than a screen of 25 rows holds.
    for cpus in [1, 4, 24] {
        let name = format!("vga-text-{cpus}-cpus");
        checks.check(&name, || vga_text(&image, cpus, &context.folder("screens", &name)));
    }
    checks.check_with(&[&OVMF, &RUST_EFI_TARGET], "framebuffer", || {
        framebuffer(context, &image, &context.folder("screens", "framebuffer"))
    });
    checks.check("no-vga", || no_vga(&image, &context.folder("screens", "no-vga")));
}

fn vga_text(image: &Image, cpus: u32, folder: &Path) -> Result<()> {
    let files = Files::prepare(folder)?;
    let elf = std::fs::read(&image.elf).map_err(Error::io(&image.elf))?;
    let mut machine = press(image, &Options::new(cpus, "then=halt"), &files)?;
    machine.wait_for_line(COMPLETE, SOON)?;
    let rows = until_drawn(|| {
        let memory = machine.physical_memory(TEXT_MEMORY, (COLUMNS * ROWS * 2) as u64)?;
        Ok(memory.chunks_exact(COLUMNS * 2).map(row).collect())
    })?;
    let picture = picture(&mut machine, &folder.join("screen.ppm"))?;
    let dump = Dump::of(&machine.end(Duration::ZERO)?.serial, &elf);

    require((picture.width, picture.height) == PICTURE, || "the display is in another mode".into())?;
    require(picture.pixels.iter().any(|pixel| *pixel != picture.pixels[0]), || {
        "the display is blank".into()
    })?;
    agrees(&rows, &dump)
}

/// The same by EFI, whose display is a framebuffer: the text is read off the picture.
fn framebuffer(context: &Context, image: &Image, folder: &Path) -> Result<()> {
    let boot = folder.join(attempt::FILE);
    std::fs::create_dir_all(folder).map_err(Error::io(folder))?;
    crate::bootable::write(context.workspace, image, &boot)?;
    let attempt = Attempt::prepare(&Image { boot, elf: image.elf.clone() }, &folder.join("try"))?;
    let esp = attempt.new_folder("esp")?;
    attempt.copy_image(&esp.join(media::ESP_IMAGE))?;
    let script = esp.join("startup.nsh");
    std::fs::write(&script, media::startup_script("then=halt")).map_err(Error::io(&script))?;
    let elf = std::fs::read(&image.elf).map_err(Error::io(&image.elf))?;
    let options = attempt.options(Firmware::ovmf(), Medium::Folder(esp), "");
    let mut machine = press(&attempt.image, &options, &attempt.files)?;
    machine.wait_for_line(COMPLETE, SOON)?;
    let file = folder.join("screen.ppm");
    let drawn = until_drawn(|| Ok(rows(&picture(&mut machine, &file)?).unwrap_or_default()))?;
    let dump = Dump::of(&machine.end(Duration::ZERO)?.serial, &elf);
    agrees(&drawn, &dump)
}

/// Boots, and presses the button once all are in their roles.
fn press(image: &Image, options: &Options, files: &Files) -> Result<Machine> {
    let mut machine = Machine::boot(&image.boot, options, &files.serial)?;
    machine.wait_for_line(&session::armed_line(options.smp), SOON)?;
    machine.press()?;
    Ok(machine)
}

/// Reads the screen until its last row is there.
fn until_drawn(mut read: impl FnMut() -> Result<Vec<Row>>) -> Result<Vec<Row>> {
    let until = Instant::now() + SOON;
    loop {
        let rows = read()?;
        if rows.last().is_some_and(|row| row.text.ends_with(NEXT)) {
            // The last row is drawn last, but these rows were read one after another while it was: only what is read from
            // here on is the whole screen.
            return read();
        }
        if Instant::now() >= until {
            let what = format!("`{NEXT}` at the end of the screen; it shows:\n{}", text(&rows));
            return Err(Error::Deadline { what, limit: SOON });
        }
    }
}

/// A row of the VGA's memory: characters and attributes.
fn row(words: &[u8]) -> Row {
    let text: String = words.iter().step_by(2).map(|byte| char::from(*byte)).collect();
    let emphasis = match words[1] {
        WINNER => Some(Emphasis::Winner),
        NORMAL => Some(Emphasis::Normal),
        _ => None,
    };
    Row { text: text.trim_end().to_owned(), emphasis }
}

fn text(rows: &[Row]) -> String {
    rows.iter().map(|row| row.text.as_str()).collect::<Vec<_>>().join("\n")
}

fn picture(machine: &mut Machine, file: &Path) -> Result<Picture> {
    machine.qmp("screendump", json!({ "filename": file }))?;
    let bytes = std::fs::read(file).map_err(Error::io(file))?;
    Picture::from_ppm(&bytes).ok_or_else(|| Error::Invalid(format!("{} is no picture", file.display())))
}

/// The screen says what the record says: of every CPU, or of as many as there are rows for.
fn agrees(rows: &[Row], dump: &Dump) -> Result<()> {
    says_what_the_record_says(rows, dump).map_err(|error| Error::Guest(format!("{error}\n{}", text(rows))))
}

fn says_what_the_record_says(rows: &[Row], dump: &Dump) -> Result<()> {
    let find = |text: &str| {
        let found = rows.iter().find(|row| row.text == text);
        found.ok_or_else(|| Error::Guest(format!("`{text}` is not on the screen")))
    };
    let winner = dump.winner().ok_or_else(|| Error::Guest("the record has no winner".into()))?;
    let why = format!("panic-smp: CPU {winner} won with an NMI: button, says qemu, port 0x61 ");
    let [first, second, .., last] = rows else {
        return Err(Error::Guest("the screen has no rows".into()));
    };
    require(second.text.starts_with(&why) && second.emphasis == Some(Emphasis::Winner), || {
        format!("the second row is not `{why}...`")
    })?;
    let all = format!("panic-smp: all {} CPUs contained ", dump.cpus().len());
    require(first.text.starts_with(&all), || format!("the first row is not `{all}...`"))?;
    require(last.text == format!("record written{NEXT}"), || "the last row is another".into())?;

    let is_shown = |cpu: &&CpuRecord| {
        let start = format!("{:>4}  ", cpu.index.0);
        rows.iter().any(|row| row.text.starts_with(&start))
    };
    let shown: Vec<&CpuRecord> = dump.cpus().iter().filter(is_shown).collect();
    for cpu in &shown {
        let emphasis = find(&expected(cpu)?)?.emphasis;
        let is_winner = cpu.index.as_usize() == winner;
        let wanted = if is_winner { Emphasis::Winner } else { Emphasis::Normal };
        require(emphasis == Some(wanted), || format!("CPU {} is shown as {emphasis:?}", cpu.index.0))?;
    }
    require(shown.iter().any(|cpu| cpu.index.as_usize() == winner), || "the winner is not shown".into())?;
    match dump.cpus().len() - shown.len() {
        0 => Ok(()),
        left => {
            require(shown.len() > ROWS / 2, || format!("only {} CPUs are shown", shown.len()))?;
            find(&format!("... {left} more CPUs, in the record")).map(drop)
        }
    }
}

/// The row of a CPU, made from the record.
fn expected(cpu: &CpuRecord) -> Result<String> {
    let index = cpu.index.0;
    let (Some(summary), Some(registers)) = (&cpu.summary, &cpu.registers) else {
        return Err(Error::Guest(format!("the record lacks CPU {index}")));
    };
    let (containment, source) = (summary.verdict.containment.name(), summary.verdict.registers.name());
    let apic_id = summary.apic_id;
    let (rip, rsp) = (registers.rip, registers.rsp);
    Ok(format!("{index:>4}  {apic_id:>#7x}  {containment:<16}  {source:<9}  {rip:016x}  {rsp:016x}"))
}

/// A machine with nothing but a serial line: the record comes, and the final action follows at once.
fn no_vga(image: &Image, folder: &Path) -> Result<()> {
    let files = Files::prepare(folder)?;
    let mut options = Options::new(4, "");
    options.extra = ["-vga", "none"].map(str::to_owned).into();
    let ended = press(image, &options, &files)?.finish(Duration::from_secs(1))?;
    let shown = String::from_utf8_lossy(&ended.serial).contains("a panic is shown in text mode");
    require(!shown, || "a screen was found".into())?;
    require(ended.status == Some(SAID_SUCCESS), || {
        format!("not ended a second after the record: status {:?}", ended.status)
    })
}

//! Where the console is: COM1, the port that ACPI's SPCR table names, or nowhere.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use object::{Object, ObjectSymbol};

use super::{Checks, Context, boot, require};
use crate::error::{Error, Result};
use crate::firmware::Image;
use crate::machine::{Machine, Options, SAID_SUCCESS};
use crate::serial::lines;
use crate::session::Files;

const CPUS: u32 = 4;

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let Some(image) = boot::image(context, checks) else { return };
    let folder = |name: &str| -> Result<PathBuf> {
        let folder = context.folder("consoles", name);
        std::fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        Ok(folder)
    };
    checks.check("com2", || {
        let folder = folder("com2")?;
        let silent = folder.join("com1.log");
        let mut options = Options::new(CPUS, "");
        options.limit = Duration::from_secs(30);
        options.serial = vec![format!("file:{}", silent.display()), "stdio".into()];
        options.extra = Spcr::COM2.words(&folder)?;
        boot::pressed(&image, &options, &Files::prepare(&folder)?)?;
        expect_silence(&silent)
    });
    for (name, spcr, said) in [
        ("off", Spcr { address: 0, ..Spcr::COM2 }, "names no port"),
        (
            "no-16550",
            Spcr { interface: 3, ..Spcr::COM2 },
            "names a port that is no 16550, interface type 0x3",
        ),
        (
            "pci",
            Spcr { space: PCI, address: 0x16_0003_0010, ..Spcr::COM2 },
            "names a port in PCI configuration space",
        ),
    ] {
        let name = format!("unusable-{name}");
        checks.check(&name, || {
            let folder = folder(&name)?;
            let silent = folder.join("com2.log");
            let mut options = Options::new(CPUS, "");
            options.serial = vec!["stdio".into(), format!("file:{}", silent.display())];
            options.extra = spcr.words(&folder)?;
            let files = Files::prepare(&folder)?;
            boot::pressed(&image, &options, &files)?;
            let wanted = format!("appliance-rt: ACPI: SPCR {said}; the console is COM1");
            let heard = std::fs::read(&files.serial).map_err(Error::io(&files.serial))?;
            let times = lines(&heard).filter(|line| *line == wanted).count();
            require(times == 1, || format!("`{wanted}` was said {times} times"))?;
            expect_silence(&silent)
        });
    }
    checks.check("memory-above-4-gib", || in_memory(&image, &folder("memory-above-4-gib")?));
    checks.check("no-serial-port", || {
        let folder = folder("no-serial-port")?;
        let with = Mute { serial: "null", memory_mib: 512, extra: Vec::new() }.run(&image, &folder)?;
        let without = Mute { serial: "none", memory_mib: 512, extra: Vec::new() }.run(&image, &folder)?;
        // Waiting for a port that is not there would take seconds: 20 ms for each character.
        let bound = with + Duration::from_secs(2);
        require(without <= bound, || {
            format!("in their roles after {with:?} with a serial port, after {without:?} without")
        })
    });
}

/// ACPI's number of the space of PCI configuration (ACPI 6.5, 5.2.3.2).
const PCI: u8 = 2;

/// The fields of an SPCR table of revision 2 that matter here.
struct Spcr {
    interface: u8,
    space: u8,
    bit_width: u8,
    access_size: u8,
    address: u64,
}

impl Spcr {
    /// A full 16550 at COM2.
    const COM2: Spcr = Spcr { interface: 0, space: 1, bit_width: 8, access_size: 1, address: 0x2F8 };

    /// The words that give it to the emulator, which makes the header.
    fn words(&self, folder: &Path) -> Result<Vec<String>> {
        const HEADER: usize = 36;
        let mut table = [0; 80];
        table[36] = self.interface;
        table[40..44].copy_from_slice(&[self.space, self.bit_width, 0, self.access_size]);
        table[44..52].copy_from_slice(&self.address.to_le_bytes());
        // 115200 baud.
        table[58] = 7;
        let file = folder.join("spcr");
        std::fs::write(&file, &table[HEADER..]).map_err(Error::io(&file))?;
        let path = file.display().to_string().replace(',', ",,");
        Ok(vec!["-acpitable".into(), format!("sig=SPCR,rev=2,data={path}")])
    }
}

/// A UART at 4.5 GiB, four bytes from register to register. The emulator has none there: RAM stands in for it, whose status
/// register says for ever that there is room, and whose other registers hold what was written last.
fn in_memory(image: &Image, folder: &Path) -> Result<()> {
    const BASE: u64 = 0x1_2000_0000;
    const ROOM: u32 = 1 << 5;
    let mut extra =
        Spcr { space: 0, bit_width: 32, access_size: 3, address: BASE, ..Spcr::COM2 }.words(folder)?;
    extra.push("-device".into());
    extra.push(format!("loader,addr={:#x},data={ROOM:#x},data-len=4", BASE + 4 * 5));
    let mute = Mute { serial: "stdio", memory_mib: 5 << 10, extra };
    let mut machine = mute.boot(image, folder)?;
    mute.wait_for_roles(&mut machine, image)?;
    let bytes = machine.physical_memory(BASE, 6 * 4)?;
    let registers: Vec<u32> = bytes.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
    // The end of a line; no interrupts; empty FIFOs; 8N1; DTR and RTS; untouched.
    let wanted = [u32::from(b'\n'), 0, 7, 3, 3, ROOM];
    require(registers == wanted, || format!("the registers hold {registers:x?}, not {wanted:x?}"))?;
    let heard = mute.press_and_end(machine)?;
    // What was said before the last page tables were loaded may be there; nothing was wrong, so nothing was.
    require(heard.is_empty(), || format!("COM1 said: {}", String::from_utf8_lossy(&heard)))
}

/// A machine that is not heard: what it does is seen from outside.
struct Mute {
    serial: &'static str,
    memory_mib: u32,
    extra: Vec<String>,
}

impl Mute {
    fn boot(&self, image: &Image, folder: &Path) -> Result<Machine> {
        let mut options = Options::new(CPUS, "");
        options.serial = vec![self.serial.into()];
        options.memory_mib = self.memory_mib;
        options.extra.clone_from(&self.extra);
        Machine::boot(&image.elf, &options, &folder.join("serial.log"))
    }

    /// Boots, waits for the roles, presses; the time from the start of the emulator to the roles.
    fn run(&self, image: &Image, folder: &Path) -> Result<Duration> {
        let mut machine = self.boot(image, folder)?;
        let armed = self.wait_for_roles(&mut machine, image)?;
        self.press_and_end(machine)?;
        Ok(armed)
    }

    /// Waits until each CPU has taken up its role, which the example counts.
    fn wait_for_roles(&self, machine: &mut Machine, image: &Image) -> Result<Duration> {
        const LIMIT: Duration = Duration::from_secs(60);
        let counter = entered(image)?;
        let start = Instant::now();
        loop {
            let count = machine.physical_memory(counter, 8)?;
            if count == u64::from(CPUS).to_le_bytes() {
                return Ok(start.elapsed());
            }
            if start.elapsed() >= LIMIT {
                let what = format!("{CPUS} CPUs in their roles; the count is {count:x?}");
                return Err(Error::Deadline { what, limit: LIMIT });
            }
        }
    }

    /// Presses the button. The final action, which comes once the record is written, must follow.
    fn press_and_end(&self, mut machine: Machine) -> Result<Vec<u8>> {
        machine.press()?;
        let ended = machine.end(Duration::from_secs(20))?;
        require(ended.status == Some(SAID_SUCCESS), || format!("exit status {:?}", ended.status))?;
        Ok(ended.serial)
    }
}

/// The address of the example's count of CPUs in their roles.
fn entered(image: &Image) -> Result<u64> {
    let elf = std::fs::read(&image.elf).map_err(Error::io(&image.elf))?;
    let file = object::File::parse(&*elf).map_err(|e| Error::Invalid(format!("the firmware's ELF: {e}")))?;
    // `nmi_button::roles::ENTERED`, whose mangled name may end in a hash.
    let is_wanted = |name: &str| name.contains("5roles7ENTERED");
    let found = file.symbols().find(|symbol| symbol.name().is_ok_and(&is_wanted));
    found
        .map(|s| s.address())
        .ok_or_else(|| Error::Invalid("the firmware's ELF has no count of roles".into()))
}

fn expect_silence(log: &Path) -> Result<()> {
    let heard = std::fs::read(log).map_err(Error::io(log))?;
    require(heard.is_empty(), || format!("{} holds: {}", log.display(), String::from_utf8_lossy(&heard)))
}

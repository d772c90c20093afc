//! nmi-button by every loader that a server may have: one file, 4 CPUs, the button pressed, no CPU lost.
//!
//! Where the medium can pass a command line, it says that the machine is reset at the end, and the emulator's exit status
//! tells a reset from the exit that the example makes without being told: so the words arrived.

use std::fs;
use std::path::Path;

use super::attempt::{self, Attempt, FILE, SCRIPT};
use super::side_by_side::SideBySide;
use super::{Checks, Context, boot};
use crate::error::{Error, Result};
use crate::grub;
use crate::http::Server;
use crate::machine::SAID_SUCCESS;
use crate::media::{self, Client, Firmware, Medium, Network};
use crate::tools::{GRUB, GRUB_BIOS, GRUB_EFI, IPXE, OVMF, XORRISO};

/// The lane's name.
const NAME: &str = "boot-paths";

/// The command line where the medium can pass one.
const WORDS: &str = "nmi=all then=reset";

/// The emulator's exit status when the guest resets the machine (`-no-reboot`).
const WAS_RESET: i32 = 0;

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let folder = context.folder(NAME, "image");
    let Some(image) = attempt::image(context, checks, &folder) else { return };
    let mut side_by_side = SideBySide::default();
    let attempt = &|name: &str| Attempt::prepare(&image, &context.folder(NAME, name));
    let by_http = &|name: &str, firmware: Firmware| {
        let attempt = attempt(name)?;
        let served = attempt.served()?;
        let server = Server::start(&served, None)?;
        write(&served.join(SCRIPT), &media::ipxe_script(&server.url(FILE), WORDS))?;
        let network = attempt.network(served.clone(), SCRIPT, Client::Ipxe);
        by(&attempt, firmware, Medium::Network(network.clone()), Words::Passed)?;
        asked(&network, SCRIPT)?;
        fetched(&server, &served.join(FILE))
    };

    side_by_side
        .check("kernel", || by(&attempt("kernel")?, Firmware::Bios, Medium::Kernel, Words::Passed).map(drop));
    side_by_side.check_with(&[&IPXE], "bios-ipxe-tftp", || {
        let attempt = attempt("bios-ipxe-tftp")?;
        let served = attempt.served()?;
        write(&served.join(SCRIPT), &media::ipxe_script(FILE, WORDS))?;
        let network = attempt.network(served, SCRIPT, Client::Ipxe);
        by(&attempt, Firmware::Bios, Medium::Network(network.clone()), Words::Passed)?;
        asked(&network, SCRIPT)?;
        asked(&network, FILE)
    });
    side_by_side.check_with(&[&IPXE], "bios-ipxe-http", || by_http("bios-ipxe-http", Firmware::Bios));
    side_by_side.check_with(&[&IPXE], "bios-dist", || {
        let attempt = attempt("bios-dist")?;
        let dist = attempt.new_folder("dist")?;
        crate::commands::dist::write(context.workspace, &dist)?;
        let script = "nmi-button.ipxe";
        let network = attempt.network(dist.join("ipxe"), script, Client::Ipxe);
        // The script's own words have the machine halt at the end.
        let options = attempt.options(Firmware::Bios, Medium::Network(network.clone()), "");
        let run = boot::pressed(&attempt.image, &options, &attempt.files)?;
        asked(&network, script)?;
        asked(&network, FILE)?;
        match run.status {
            None => Ok(()),
            other => {
                Err(Error::Guest(format!("the emulator's exit status is {other:?}: other words arrived")))
            }
        }
    });
    side_by_side.check_with(&[&GRUB, &GRUB_BIOS, &XORRISO], "bios-grub", || {
        let attempt = attempt("bios-grub")?;
        let disc = attempt.folder.join("disc.iso");
        grub::rescue_disc(&attempt.image.boot, WORDS, &attempt.new_folder("disc")?, &disc)?;
        by(&attempt, Firmware::Bios, Medium::Cdrom(disc), Words::Passed).map(drop)
    });
    side_by_side.check_with(&[&OVMF], "uefi-esp", || {
        let attempt = attempt("uefi-esp")?;
        by(&attempt, Firmware::ovmf(), Medium::Folder(attempt.esp()?), Words::None).map(drop)
    });
    side_by_side.check_with(&[&OVMF], "uefi-shell", || {
        let attempt = attempt("uefi-shell")?;
        let esp = attempt.new_folder("esp")?;
        attempt.copy_image(&esp.join(media::ESP_IMAGE))?;
        write(&esp.join("startup.nsh"), &media::startup_script(WORDS))?;
        by(&attempt, Firmware::ovmf(), Medium::Folder(esp), Words::Passed).map(drop)
    });
    side_by_side
        .check_with(&[&OVMF, &IPXE], "uefi-ipxe-http", || by_http("uefi-ipxe-http", Firmware::ovmf()));
    side_by_side.check_with(&[&OVMF], "uefi-pxe", || {
        let attempt = attempt("uefi-pxe")?;
        let network = attempt.network(attempt.served()?, FILE, Client::Firmware);
        by(&attempt, Firmware::ovmf(), Medium::Network(network.clone()), Words::None)?;
        asked(&network, FILE)
    });
    side_by_side.check_with(&[&OVMF, &GRUB, &GRUB_EFI], "uefi-grub", || {
        let attempt = attempt("uefi-grub")?;
        let esp = attempt.new_folder("esp")?;
        grub::chainload_partition(&attempt.image.boot, WORDS, &esp)?;
        let serial = by(&attempt, Firmware::ovmf(), Medium::Folder(esp), Words::Passed)?;
        if String::from_utf8_lossy(&serial).contains("GRUB") {
            return Ok(());
        }
        Err(Error::Guest("it booted, and GRUB was not heard".into()))
    });
    side_by_side.run(checks);
}

/// Whether the medium passes [`WORDS`].
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    Passed,
    None,
}

/// Boots, presses the button, and requires that no CPU is lost. Gives the serial log.
fn by(attempt: &Attempt, firmware: Firmware, medium: Medium, words: Words) -> Result<Vec<u8>> {
    let run = boot::pressed(&attempt.image, &attempt.options(firmware, medium, WORDS), &attempt.files)?;
    let wanted = match words {
        Words::Passed => WAS_RESET,
        Words::None => SAID_SUCCESS,
    };
    if run.status != Some(wanted) {
        let why =
            format!("the emulator's exit status is {:?}, not {wanted}: other words arrived", run.status);
        return Err(Error::Guest(why));
    }
    fs::read(&attempt.files.serial).map_err(Error::io(&attempt.files.serial))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).map_err(Error::io(file))
}

/// Requires that the machine asked for `name` by TFTP.
fn asked(network: &Network, name: &str) -> Result<()> {
    if network.was_asked_for(name)? {
        return Ok(());
    }
    Err(Error::Guest(format!("it booted, and no packet asks for {name}")))
}

/// Requires that iPXE fetched the whole file once.
fn fetched(server: &Server, file: &Path) -> Result<()> {
    let bytes = fs::metadata(file).map_err(Error::io(file))?.len();
    let requests = server.requests();
    let whole = |r: &&crate::http::Request| r.name == FILE && r.method == "GET" && r.sent == bytes;
    if requests.iter().filter(whole).count() == 1 && requests.iter().all(|r| r.agent.starts_with("iPXE/")) {
        return Ok(());
    }
    Err(Error::Guest(format!("it booted, and the server was asked: {requests:?}")))
}

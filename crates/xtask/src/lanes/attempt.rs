//! One try to boot the bootable file of an example, with the folder that holds its medium and what it leaves.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{BUILD, Checks, Context, boot};
use crate::bootable;
use crate::error::{Error, Result};
use crate::firmware::Image;
use crate::machine::Options;
use crate::media::{self, Client, Firmware, Medium, Network};
use crate::session::Files;

/// CPUs of each machine.
pub const CPUS: u32 = 4;

/// The name of the image on the boot server.
pub const FILE: &str = "nmi-button.efi";

/// The name of iPXE's script there.
pub const SCRIPT: &str = "boot.ipxe";

/// Firmware that looks for boot media takes longer than QEMU's own loader.
const LIMIT: Duration = Duration::from_secs(120);

/// The image of [`boot::EXAMPLE`] with its bootable file in `folder`; a build that fails is the lane's failure.
pub fn image(context: &Context, checks: &mut Checks, folder: &Path) -> Option<Image> {
    let mut image = None;
    checks.check(BUILD, || {
        let elf = context.firmware(boot::EXAMPLE)?.elf;
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
        let boot = folder.join(FILE);
        bootable::write(context.workspace, &Image::of(elf.clone()), &boot)?;
        image = Some(Image { elf, boot });
        Ok(())
    });
    image
}

/// A try, before its boot.
pub struct Attempt {
    /// Its bootable file is the attempt's own.
    pub image: Image,
    /// Where everything lies.
    pub folder: PathBuf,
    /// What the run leaves.
    pub files: Files,
}

impl Attempt {
    /// Copies `image` to `folder`.
    pub fn prepare(image: &Image, folder: &Path) -> Result<Attempt> {
        let files = Files::prepare(folder)?;
        let boot = folder.join(FILE);
        fs::copy(&image.boot, &boot).map_err(Error::io(&image.boot))?;
        let image = Image { boot, elf: image.elf.clone() };
        Ok(Attempt { image, folder: folder.to_owned(), files })
    }

    /// A machine for it. Only [`Medium::Kernel`] takes `words` from here.
    pub fn options(&self, firmware: Firmware, medium: Medium, words: &str) -> Options {
        Options { firmware, medium, limit: LIMIT, ..Options::new(CPUS, words) }
    }

    /// A folder that is an EFI system partition with nothing but the image.
    pub fn esp(&self) -> Result<PathBuf> {
        let esp = self.new_folder("esp")?;
        self.copy_image(&esp.join(media::ESP_DEFAULT))?;
        Ok(esp)
    }

    /// A machine with this UEFI `firmware`, which boots the image from there without load options.
    pub fn on_esp(&self, firmware: Firmware) -> Result<Options> {
        Ok(self.options(firmware, Medium::Folder(self.esp()?), ""))
    }

    /// A folder for a boot server, with the image.
    pub fn served(&self) -> Result<PathBuf> {
        let served = self.new_folder("served")?;
        self.copy_image(&served.join(FILE))?;
        Ok(served)
    }

    /// The network of a boot server that names `bootfile`.
    pub fn network(&self, served: PathBuf, bootfile: &str, client: Client) -> Network {
        Network { served, bootfile: bootfile.to_owned(), client, capture: self.folder.join("packets.pcap") }
    }

    /// An empty folder: nothing of an earlier run may be booted.
    pub fn new_folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        match fs::remove_dir_all(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::io(&folder)(e)),
            _ => {}
        }
        fs::create_dir_all(&folder).map_err(Error::io(&folder))?;
        Ok(folder)
    }

    /// Copies the image to the file `to`, whose folder is created.
    pub fn copy_image(&self, to: &Path) -> Result<()> {
        let folder = to.parent().unwrap_or(to);
        fs::create_dir_all(folder).map_err(Error::io(folder))?;
        fs::copy(&self.image.boot, to).map(drop).map_err(Error::io(to))
    }
}

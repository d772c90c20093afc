//! Media that GRUB boots.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::media::{ESP_DEFAULT, ESP_IMAGE};
use crate::process;

/// Where Debian's `grub-pc-bin` and `grub-efi-amd64-bin` put GRUB's modules.
pub const BIOS_MODULES: &str = "/usr/lib/grub/i386-pc";
/// See [`BIOS_MODULES`].
pub const EFI_MODULES: &str = "/usr/lib/grub/x86_64-efi";

const LIMIT: Duration = Duration::from_secs(60);

/// Writes the rescue disc `disc`, on which GRUB loads `image` by Multiboot 1 with the command line `words`. `folder` is
/// used for the disc's files.
pub fn rescue_disc(image: &Path, words: &str, folder: &Path, disc: &Path) -> Result<()> {
    let boot = folder.join("boot");
    create(&boot.join("grub"))?;
    let copy = boot.join("image");
    fs::copy(image, &copy).map_err(Error::io(&copy))?;
    write(&boot.join("grub/grub.cfg"), &format!("multiboot /boot/image {words}\nboot\n"))?;
    let mut command = Command::new("grub-mkrescue");
    command.args(["--directory", BIOS_MODULES, "--install-modules", "biosdisk iso9660 multiboot normal"]);
    command.args(["--locales=", "--fonts=", "--themes=", "--output"]).arg(disc).arg(folder);
    process::run(&command, LIMIT)?.ok().map(drop)
}

/// Makes `folder` an EFI system partition whose firmware starts GRUB, which hands over to `image` as another EFI
/// application, with the load options `words`.
pub fn chainload_partition(image: &Path, words: &str, folder: &Path) -> Result<()> {
    for file in [ESP_DEFAULT, ESP_IMAGE] {
        create(folder.join(file).parent().unwrap_or(folder))?;
    }
    let copy = folder.join(ESP_IMAGE);
    fs::copy(image, &copy).map_err(Error::io(&copy))?;
    let config = folder.join("grub.cfg");
    write(&config, &format!("search.file /{ESP_IMAGE} root\nchainloader /{ESP_IMAGE} {words}\nboot\n"))?;
    let mut command = Command::new("grub-mkimage");
    command.args(["--directory", EFI_MODULES, "--format", "x86_64-efi", "--prefix", "/EFI/BOOT", "--config"]);
    command.arg(&config).arg("--output").arg(folder.join(ESP_DEFAULT));
    command.args(["part_msdos", "fat", "search_fs_file", "chain", "boot"]);
    process::run(&command, LIMIT)?.ok().map(drop)
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).map_err(Error::io(folder))
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).map_err(Error::io(file))
}

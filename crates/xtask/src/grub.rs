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
    disc_by("multiboot", image, words, folder, disc)
}

/// The same by Multiboot 2.
pub fn rescue_disc_by_multiboot2(image: &Path, words: &str, folder: &Path, disc: &Path) -> Result<()> {
    disc_by("multiboot2", image, words, folder, disc)
}

/// Whether `elf` is an image that only Multiboot 2 loads: it has that header and not the one of Multiboot 1.
pub fn is_for_multiboot2_alone(elf: &[u8]) -> bool {
    // Multiboot2 Specification 2.0, 3.1: a multiple of 8 in the first 32 KiB. Multiboot Specification 0.6.96, 3.1: a
    // multiple of 4 in the first 8 KiB. Both begin with a number, and their first words have a sum of zero.
    const MULTIBOOT2: (u32, usize, usize, usize) = (0xE852_50D6, 8, 32 << 10, 4);
    const MULTIBOOT1: (u32, usize, usize, usize) = (0x1BAD_B002, 4, 8 << 10, 3);
    let has = |(magic, alignment, reach, words): (u32, usize, usize, usize)| {
        let head = &elf[..elf.len().min(reach)];
        (0..head.len()).step_by(alignment).any(|at| {
            let header: Vec<u32> = head[at..].chunks_exact(4).take(words).map(little_endian).collect();
            header.first() == Some(&magic)
                && header.iter().fold(0, |sum: u32, word| sum.wrapping_add(*word)) == 0
        })
    };
    has(MULTIBOOT2) && !has(MULTIBOOT1)
}

fn little_endian(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u32::from(*byte))
}

/// `command` is the name of GRUB's command, and of the module that has it.
fn disc_by(command: &str, image: &Path, words: &str, folder: &Path, disc: &Path) -> Result<()> {
    let boot = folder.join("boot");
    create(&boot.join("grub"))?;
    let copy = boot.join("image");
    fs::copy(image, &copy).map_err(Error::io(&copy))?;
    write(&boot.join("grub/grub.cfg"), &format!("{command} /boot/image {words}\nboot\n"))?;
    let modules = format!("biosdisk iso9660 {command} normal");
    let mut command = Command::new("grub-mkrescue");
    command.args(["--directory", BIOS_MODULES, "--install-modules", &modules]);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn image(magic: u32, words: usize) -> Vec<u8> {
        let mut bytes = vec![0x7F; 64];
        let header = [magic, 3, 0, 0];
        let checksum = header.iter().fold(0, |sum: u32, word| sum.wrapping_add(*word)).wrapping_neg();
        let header = header[..words - 1].iter().chain([&checksum]);
        bytes.extend(header.flat_map(|word| word.to_le_bytes()));
        bytes
    }

    #[test]
    fn the_header_tells_which_loaders_there_are() {
        let (one, two) = (image(0x1BAD_B002, 3), image(0xE852_50D6, 4));
        assert!(is_for_multiboot2_alone(&two));
        assert!(!is_for_multiboot2_alone(&one));
        assert!(!is_for_multiboot2_alone(&[two.clone(), one].concat()));
        assert!(!is_for_multiboot2_alone(&two[..two.len() - 1]), "a number is no header");
        assert!(!is_for_multiboot2_alone(b""));
    }
}

//! Where a machine boots from, and by which firmware: data, from which the emulator's words are made.
//!
//! A medium other than [`Medium::Kernel`] holds the image and, in its own way, the firmware's command line: a lane
//! prepares it before the boot, by the functions here and in [`crate::grub`].

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Where Debian's package `ovmf` puts the firmware's code, and the variables of a machine that has never booted.
pub const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
/// See [`OVMF_CODE`].
pub const OVMF_VARS: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// What a machine starts with.
#[derive(Clone)]
pub enum Firmware {
    /// SeaBIOS, which comes with QEMU.
    Bios,
    /// UEFI, as two flash images. Neither is changed.
    Uefi {
        /// The firmware.
        code: PathBuf,
        /// Its variables.
        vars: PathBuf,
    },
}

impl Firmware {
    /// OVMF as Debian packages it.
    pub fn ovmf() -> Firmware {
        Firmware::Uefi { code: OVMF_CODE.into(), vars: OVMF_VARS.into() }
    }

    /// The emulator's words.
    pub fn words(&self) -> Vec<String> {
        match self {
            Firmware::Bios => Vec::new(),
            Firmware::Uefi { code, vars } => vec![
                "-drive".into(),
                format!("if=pflash,format=raw,readonly=on,file={}", value(code)),
                "-drive".into(),
                format!("if=pflash,format=raw,snapshot=on,file={}", value(vars)),
            ],
        }
    }
}

/// Where the image comes from.
#[derive(Clone)]
pub enum Medium {
    /// QEMU loads the image by itself, and passes the command line.
    Kernel,
    /// An optical disc.
    Cdrom(PathBuf),
    /// A folder, shown to the machine as a FAT disk: an EFI system partition.
    Folder(PathBuf),
    /// A network with DHCP and TFTP.
    Network(Network),
}

/// A boot server.
#[derive(Clone)]
pub struct Network {
    /// The folder that TFTP serves.
    pub served: PathBuf,
    /// The file that DHCP names.
    pub bootfile: String,
    /// What asks for it.
    pub client: Client,
    /// Every packet, in the format of libpcap: what lanes look at to see that the medium was used.
    pub capture: PathBuf,
}

/// Who speaks to the boot server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// iPXE, in the option ROM of the network card that QEMU takes from the package `ipxe-qemu`.
    Ipxe,
    /// The firmware's own PXE: the card has no ROM.
    Firmware,
}

impl Medium {
    /// The emulator's words for booting `image` with `cmdline`, both of which only [`Medium::Kernel`] needs.
    pub fn words(&self, image: &Path, cmdline: &str) -> Vec<String> {
        let no_network = ["-nic", "none"].map(str::to_owned);
        let words: Vec<String> = match self {
            Medium::Kernel => {
                vec!["-kernel".into(), image.display().to_string(), "-append".into(), cmdline.into()]
            }
            Medium::Cdrom(disc) => vec![
                "-drive".into(),
                format!("if=none,id=disc,media=cdrom,format=raw,readonly=on,file={}", value(disc)),
                "-device".into(),
                "ide-cd,drive=disc,bootindex=0".into(),
            ],
            Medium::Folder(folder) => vec![
                "-blockdev".into(),
                format!("driver=vvfat,node-name=disk,read-only=on,dir={}", value(folder)),
                "-device".into(),
                "virtio-blk-pci,drive=disk,bootindex=0".into(),
            ],
            Medium::Network(network) => return network.words(),
        };
        words.into_iter().chain(no_network).collect()
    }
}

impl Network {
    fn words(&self) -> Vec<String> {
        let Network { served, bootfile, client, capture } = self;
        let rom = match client {
            Client::Ipxe => "",
            Client::Firmware => ",romfile=",
        };
        vec![
            "-netdev".into(),
            format!("user,id=net,tftp={},bootfile={}", value(served), bootfile.replace(',', ",,")),
            "-device".into(),
            format!("virtio-net-pci,netdev=net,bootindex=0{rom}"),
            "-object".into(),
            format!("filter-dump,id=capture,netdev=net,file={}", value(capture)),
        ]
    }

    /// Whether the machine asked by TFTP for the file `name`.
    pub fn was_asked_for(&self, name: &str) -> Result<bool> {
        let packets = fs::read(&self.capture).map_err(Error::io(&self.capture))?;
        // A read request (RFC 1350, section 5): opcode 1, the name, 0, the mode, 0.
        let request = [b"\0\x01", name.as_bytes(), b"\0octet\0"].concat();
        Ok(packets.windows(request.len()).any(|window| window == request))
    }
}

/// A path as a value in a list that QEMU splits at commas.
fn value(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// The iPXE script that boots `url`, which may be relative to the script, with the command line `words`.
pub fn ipxe_script(url: &str, words: &str) -> String {
    format!("#!ipxe\nkernel {url} {words}\nboot\n")
}

/// Where an EFI system partition has an image that is booted by a loader or by the shell.
pub const ESP_IMAGE: &str = "EFI/panic-smp/nmi-button.efi";

/// What an EFI system partition's firmware boots without being told (UEFI specification 2.10, 3.5.1.1).
pub const ESP_DEFAULT: &str = "EFI/BOOT/BOOTX64.EFI";

/// What the EFI shell runs at its start: [`ESP_IMAGE`] with the command line `words`.
pub fn startup_script(words: &str) -> String {
    let image = ESP_IMAGE.replace('/', "\\");
    format!("@echo -off\r\nfs0:\r\n\\{image} {words}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_in_a_path_does_not_end_the_value() {
        let words = Medium::Folder("/a,b".into()).words(Path::new(""), "").join(" ");
        assert!(words.contains("dir=/a,,b"), "{words}");
    }

    #[test]
    fn only_a_kernel_gets_the_command_line_from_the_emulator() {
        let words = |medium: Medium| medium.words(Path::new("image.elf"), "nmi=all");
        assert_eq!(words(Medium::Kernel), ["-kernel", "image.elf", "-append", "nmi=all", "-nic", "none"]);
        assert!(!words(Medium::Cdrom("disc.iso".into())).contains(&"nmi=all".to_owned()));
    }

    #[test]
    fn a_request_is_found_whole() {
        let capture = std::env::temp_dir().join(format!("xtask-capture-{}", std::process::id()));
        fs::write(&capture, b"\xd4\xc3..\x04\x00\x00\x01boot.ipxe\0octet\0tsize\0").unwrap();
        let network = Network {
            served: "".into(),
            bootfile: String::new(),
            client: Client::Ipxe,
            capture: capture.clone(),
        };
        assert!(network.was_asked_for("boot.ipxe").unwrap());
        assert!(!network.was_asked_for("ot.ipxe").unwrap());
        fs::remove_file(capture).unwrap();
    }
}

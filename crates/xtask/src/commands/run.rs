//! `cargo xtask run EXAMPLE`: one run, its four files, and the guest's own word as the exit status.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::firmware::{self, Image};
use crate::grub;
use crate::machine::Options;
use crate::media::Medium;
use crate::progress::step;
use crate::session::{self, Files, Press};
use crate::tools::{GRUB, GRUB_BIOS, QEMU, XORRISO};
use crate::workspace::Workspace;

/// What to run and how. Exits with 0 only when the guest said that the record is complete and it decodes whole.
#[derive(clap::Args)]
pub struct Args {
    /// The example, or test firmware
    example: String,
    /// Number of CPUs
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    smp: u32,
    /// Press the NMI button once the guest says that it is armed
    #[arg(long)]
    press: bool,
    /// Milliseconds from armed to the press
    #[arg(long, value_name = "MS", default_value_t = 0, requires = "press")]
    press_delay: u64,
    /// The firmware's command line
    #[arg(long, value_name = "STR", default_value = "")]
    cmdline: String,
    /// The emulator
    #[arg(long, value_name = "PATH", default_value = "qemu-system-x86_64")]
    qemu: PathBuf,
    /// One more word for the emulator; may be given again
    #[arg(long = "qemu-arg", value_name = "ARG", allow_hyphen_values = true)]
    qemu_args: Vec<String>,
    /// Where the files go [default: run/EXAMPLE in the target folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Seconds after which the run is ended as failed
    #[arg(long, value_name = "SECONDS")]
    limit: Option<u64>,
}

/// Builds and runs the example.
pub fn run(workspace: &Workspace, args: &Args) -> Result<bool> {
    if args.qemu.as_os_str() == QEMU.name {
        QEMU.require()?;
    }
    step(&format!("building {}", args.example));
    let image = firmware::build(workspace, &args.example)?;
    let folder = args.out.clone().unwrap_or_else(|| workspace.target.join("run").join(&args.example));
    let files = Files::prepare(&folder)?;
    let mut options = Options::new(args.smp, &args.cmdline);
    options.qemu = args.qemu.clone();
    options.extra = args.qemu_args.clone();
    if let Some(seconds) = args.limit {
        options.limit = Duration::from_secs(seconds);
    }
    if grub::is_for_multiboot2_alone(&std::fs::read(&image.elf).map_err(Error::io(&image.elf))?) {
        options.medium = disc(&image, &args.cmdline, &folder)?;
    }
    let press =
        if args.press { Press::AfterArmed(Duration::from_millis(args.press_delay)) } else { Press::Never };
    step(&format!("running it on {} CPUs", args.smp));
    let shown = files.shown(workspace);
    let run = session::run(&image, &options, press, &files)
        .inspect_err(|_| eprintln!("the log is kept: {}", shown.serial.display()))?;
    if let Some(armed) = run.armed {
        step(&format!("it was armed {:.2} s after the start of the emulator", armed.as_secs_f64()));
    }
    if args.json {
        println!("{}", run.dump.json());
    } else {
        println!("{}\n\nopen: {}", run.dump.report(), shown.gdb());
    }
    Ok(true)
}

/// A disc for an image that the emulator cannot load by itself.
fn disc(image: &Image, words: &str, folder: &Path) -> Result<Medium> {
    for tool in [&GRUB, &GRUB_BIOS, &XORRISO] {
        tool.require()?;
    }
    let disc = folder.join("disc.iso");
    grub::rescue_disc_by_multiboot2(&image.boot, words, &folder.join("disc"), &disc)?;
    Ok(Medium::Cdrom(disc))
}

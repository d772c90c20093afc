//! nmi-button in x2APIC mode: as firmware leaves it on a machine that can have more CPUs than an xAPIC can address, and on
//! a machine that has them.

use super::attempt::{self, Attempt};
use super::{Checks, Context, boot};
use crate::error::{Error, Result};
use crate::machine::Options;
use crate::media::{Firmware, Medium};
use crate::newer_emulator;
use crate::session::Run;
use crate::tools::NEWER_EMULATOR;

/// The lane's name.
const NAME: &str = "x2apic";

/// More than an xAPIC can address, which makes firmware turn x2APIC on.
const MANY: u32 = 288;

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let folder = context.folder(NAME, "image");
    let Some(image) = attempt::image(context, checks, &folder) else { return };
    let prepare = |name: &str| Attempt::prepare(&image, &context.folder(NAME, name));
    checks.check_with(&[&NEWER_EMULATOR], "bios", || {
        let attempt = prepare("bios")?;
        pressed(&attempt, attempt.options(Firmware::Bios, Medium::Kernel, ""))
    });
    checks.check_with(&[&NEWER_EMULATOR], "uefi", || {
        let attempt = prepare("uefi")?;
        pressed(&attempt, attempt.on_esp(newer_emulator::ovmf())?)
    });
    checks.check_with(&[&NEWER_EMULATOR], "288-cpus", || {
        let attempt = prepare("288-cpus")?;
        pressed(&attempt, Options::new(MANY, ""))
    });
}

/// Boots, presses the button, and requires that no CPU is lost and that all were in x2APIC mode.
fn pressed(attempt: &Attempt, mut options: Options) -> Result<()> {
    options.qemu = newer_emulator::program();
    // QEMU has APIC ids above 254 only behind an IOMMU that can address them.
    let words = ["-machine", "q35,kernel-irqchip=split", "-device", "intel-iommu,intremap=on,eim=on"];
    options.extra = words.map(str::to_owned).into();
    options.extra.extend(["-cpu".into(), "qemu64,+x2apic".into()]);
    options.extra.extend(["-smp".into(), format!("{},maxcpus={MANY}", options.smp)]);
    let run = boot::pressed(&attempt.image, &options, &attempt.files)?;
    in_x2apic_mode(&run)
}

/// The id register holds the whole id in x2APIC mode, and 8 bits of it at its upper end in xAPIC mode (SDM vol. 3A, APIC
/// chapter, "Local APIC ID" and "x2APIC Register Address Space").
fn in_x2apic_mode(run: &Run) -> Result<()> {
    let cpus = run.dump.cpus();
    let ids = cpus.iter().map(|cpu| Some((cpu.apic.as_ref()?.id, cpu.summary?.apic_id)));
    let found = ids.clone().flatten().filter(|(register, id)| register == id).count();
    if found == cpus.len() && found > 1 {
        return Ok(());
    }
    let ids: Vec<String> = ids.map(|ids| format!("{ids:x?}")).collect();
    Err(Error::Guest(format!("not every CPU was in x2APIC mode; id register, id: {}", ids.join(" "))))
}

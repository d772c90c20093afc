//! The ways in which an NMI button arrives: at LINT1 of the BSP only, at LINT1 of every CPU, or as an NMI message
//! of the IOAPIC to every CPU.

use std::time::Duration;

use super::{Checks, Context, boot};
use crate::machine::Options;
use crate::session::{self, Files, Press};

/// Each way, the example's words for it, and whether the emulator's button is pressed: the IOAPIC's message is raised
/// inside the guest, by a timer.
const WAYS: &[(&str, &str, bool)] = &[
    ("lint1-all", "nmi=all", true),
    ("lint1-bsp", "nmi=bsp", true),
    ("message", "nmi=message after=5000", false),
];

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let Some(image) = boot::image(context, checks) else { return };
    for &(way, words, pressed) in WAYS {
        for cpus in [1, 2, 4, 16] {
            let name = format!("{way}-{cpus}-cpus");
            checks.check(&name, || {
                let files = Files::prepare(&context.folder("buttons", &name))?;
                let options = Options::new(cpus, words);
                let press = if pressed { Press::AfterArmed(Duration::ZERO) } else { Press::Never };
                let run = session::run(&image, &options, press, &files)?;
                boot::none_lost(&run, cpus)
            });
        }
    }
}

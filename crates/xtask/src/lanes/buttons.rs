//! The ways in which an NMI button arrives: at LINT1 of the BSP only, at LINT1 of every CPU, or as an NMI message
//! of the IOAPIC to every CPU.

use std::time::Duration;

use super::{Checks, Context, boot};
use crate::machine::Options;
use crate::session::{self, Files, Press};

/// What the example's command line calls each way, and whether the emulator's button is needed for it: the IOAPIC's
/// message is raised inside the guest by a timer.
const WAYS: &[(&str, bool)] = &[("all", true), ("bsp", true), ("ioapic", false)];

/// The lane.
pub fn run(context: &Context, checks: &mut Checks) {
    let Some(image) = boot::image(context, checks) else { return };
    for &(way, pressed) in WAYS {
        for cpus in [1, 2, 4, 16] {
            let name = format!("{way}-{cpus}-cpus");
            checks.check(&name, || {
                let files = Files::prepare(&context.folder("buttons", &name))?;
                let options = Options::new(cpus, &format!("nmi={way}"));
                let press = if pressed { Press::AfterArmed(Duration::ZERO) } else { Press::Never };
                let run = session::run(&image, &options, press, &files)?;
                boot::none_lost(&run, cpus)
            });
        }
    }
}

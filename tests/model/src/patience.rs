//! The model's clock: it has no time, so a wait either lasts as long as others go on, or may end at any moment.

use crate::machine::Machine;
use std::rc::Rc;
use stop_protocol::{Awaited, CpuIndex, Patience, Turn};

/// How a CPU waits.
#[derive(Clone, Copy, Debug)]
pub enum Wait {
    /// Never expires: it must end by what the others do. The first look comes at any moment; each further one once
    /// the others can do nothing without this CPU, since a look that finds nothing new changes nothing. One re-send.
    Fair,
    /// Expires on this turn without giving way, so that the expiry meets every moment of the others. One re-send, on
    /// the turn before.
    Expires(u32),
    /// Lets the others run once, then expires at any moment.
    LetsRunThenExpires,
}

/// How a CPU waits for each of the three.
#[derive(Clone, Copy, Debug)]
pub struct Waits {
    /// For the winner's publication.
    pub publication: Wait,
    /// For the targets.
    pub containment: Wait,
    /// For the owner's next stage.
    pub stage: Wait,
}

impl Waits {
    /// Every wait is fair.
    pub const FAIR: Self = Self { publication: Wait::Fair, containment: Wait::Fair, stage: Wait::Fair };
}

pub(crate) struct Turns {
    machine: Rc<Machine>,
    cpu: CpuIndex,
    now: Wait,
    turn: u32,
}

impl Turns {
    pub(crate) const fn new(machine: Rc<Machine>, cpu: CpuIndex) -> Self {
        Self { machine, cpu, now: Wait::Fair, turn: 0 }
    }
}

/// The turn of a fair wait that re-sends: late, for a sender that was stopped between noting and sending is rare.
const FAIR_RESEND: u32 = 6;

impl Patience for Turns {
    fn begin(&mut self, awaited: Awaited) {
        self.turn = 0;
        self.now = match awaited {
            Awaited::Publication => self.machine.setup.waits.publication,
            Awaited::Containment => self.machine.setup.waits.containment,
            Awaited::Stage(_) => self.machine.setup.waits.stage,
        };
    }

    fn turn(&mut self, _progress: bool) -> Turn {
        self.turn += 1;
        match self.now {
            Wait::Fair => {
                self.machine.give_way(self.cpu);
                if self.turn == FAIR_RESEND { Turn::Resend } else { Turn::Wait }
            }
            Wait::LetsRunThenExpires if self.turn == 1 => {
                loom::thread::yield_now();
                Turn::Wait
            }
            Wait::LetsRunThenExpires => Turn::Expired,
            Wait::Expires(last) if self.turn >= last => Turn::Expired,
            Wait::Expires(last) if self.turn + 1 == last => Turn::Resend,
            Wait::Expires(_) => Turn::Wait,
        }
    }
}

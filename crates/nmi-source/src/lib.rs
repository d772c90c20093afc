//! What a board module implements for panic-smp: who raised an NMI, and what to do about it.
//!
//! An NMI carries no cause. Whoever knows the machine must ask its registers: was it the front-panel button, the
//! watchdog, the error bus? A [`Board`] is that knowledge, one value per device. panic-smp asks each linked board
//! in turn, on one CPU at a time; the first that says [`Identification::Mine`] ends the search, and its
//! [`Policy`] says whether this is a panic.
//!
//! A board never touches hardware by itself and never loops by itself. It gets an [`NmiContext`]: the registers
//! through [`NmiContext::bus`], and time through [`NmiContext::wait`], the only wait there is, which notices while
//! it waits that this CPU has been told to stop. So a board module is host code, tested against the register model
//! (feature `model`) with no machine at all.
//!
//! # A board on one page
//!
//! A made-up management controller: bit 0 of port 0xA00 says that it raised the NMI, and is cleared by writing it.
//! While bit 7 is set the controller is busy.
//!
//! ```
//! use nmi_source::{Board, Identification, Identified, Microseconds, NmiContext, Policy, Source, WaitOutcome};
//!
//! /// Status: bit 7 busy (read only), bit 0 NMI raised (write 1 to clear). All ones: no such device.
//! const STATUS: u16 = 0xA00;
//! const BUSY: u8 = 1 << 7;
//! const RAISED: u8 = 1 << 0;
//!
//! pub struct Controller;
//!
//! // SAFETY: the only register touched is the controller's own status byte, which has no effect on memory; the
//! // methods are straight-line code but for the bounded wait.
//! unsafe impl Board for Controller {
//!     fn name(&self) -> &'static str {
//!         "example-controller"
//!     }
//!
//!     fn identify(&self, cx: &mut NmiContext<'_>) -> Identification {
//!         let status = cx.bus().ports().in8(STATUS);
//!         if status == 0xFF || status & RAISED == 0 {
//!             return Identification::NotMine;
//!         }
//!         let what = Identified::new(Source::Button, Policy::Panic).with("status", status.into());
//!         Identification::Mine(what)
//!     }
//!
//!     fn acknowledge(&self, cx: &mut NmiContext<'_>, _what: &Identified) {
//!         let idle = cx.wait(Microseconds(100), |bus| bus.ports().in8(STATUS) & BUSY == 0);
//!         if idle == WaitOutcome::Met {
//!             cx.bus().ports().out8(STATUS, RAISED);
//!         }
//!     }
//! }
//!
//! # #[cfg(feature = "model")] {
//! // Its test: the device as a table of registers. An access outside the table fails.
//! use nmi_source::model::{Model, Register};
//!
//! let model = Model::new([Register::port8(STATUS, "data sheet 3.2")
//!     .holds(RAISED.into())
//!     .on_write(|held, written| *held &= !written)]);
//! let mut cx = model.context();
//! let Identification::Mine(what) = Controller.identify(&mut cx) else { panic!("not recognised") };
//! assert_eq!(what.source(), Source::Button);
//! Controller.acknowledge(&mut cx, &what);
//! assert_eq!(Controller.identify(&mut cx), Identification::NotMine);
//! # }
//! ```
#![no_std]

mod board;
mod bus;
mod context;
mod identified;
#[cfg(feature = "model")]
pub mod model;
mod source;

pub use board::{Board, Contained, ExternalNmi, NotReset};
pub use bus::{Bus, Mmio, PciAddress, PciConfig, Port, Smn};
pub use context::{Microseconds, NmiContext, NmiEnvironment, WaitOutcome};
pub use identified::{Identification, Identified, RawRegister};
pub use source::{Policies, Policy, Source};
pub use stop_protocol::CpuIndex;

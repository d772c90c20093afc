//! The one wait: it ends by its bound, notices the stop, and sees a condition that came true in time.
#![cfg(feature = "model")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use nmi_source::model::{Access, Location, Model, Register};
use nmi_source::{Microseconds, NmiContext, WaitOutcome};

const STATUS: u16 = 0xA00;

fn ready_at(us: u64) -> Model {
    Model::new([Register::port8(STATUS, "invented").on_read(move |_, now| u64::from(now >= us))])
}

#[test]
fn a_condition_that_holds_already_needs_one_look_and_one_poll() {
    let model = ready_at(0);
    assert_eq!(model.context().wait(Microseconds(50), |bus| bus.ports().in8(STATUS) == 1), WaitOutcome::Met);
    assert_eq!(model.accesses(), [Access::Read(Location::Port(STATUS), 1)]);
    assert_eq!(model.polls(), 1);
}

#[test]
fn a_condition_that_comes_true_within_the_bound_is_met() {
    let model = ready_at(40);
    assert_eq!(model.context().wait(Microseconds(50), |bus| bus.ports().in8(STATUS) == 1), WaitOutcome::Met);
    assert_eq!(model.elapsed_us(), 40);
}

#[test]
fn a_condition_that_never_holds_ends_at_the_bound() {
    let model = ready_at(u64::MAX);
    assert_eq!(
        model.context().wait(Microseconds(50), |bus| bus.ports().in8(STATUS) == 1),
        WaitOutcome::TimedOut
    );
    // One look at the clock before the first turn.
    assert_eq!(model.elapsed_us(), 51);
    assert_eq!(model.polls(), 50);
}

#[test]
fn a_bound_of_zero_still_looks_once() {
    assert_eq!(
        ready_at(0).context().wait(Microseconds(0), |bus| bus.ports().in8(STATUS) == 1),
        WaitOutcome::Met
    );
    let never = ready_at(u64::MAX);
    never.set_tick(0);
    assert_eq!(
        never.context().wait(Microseconds(0), |bus| bus.ports().in8(STATUS) == 1),
        WaitOutcome::TimedOut
    );
}

#[test]
fn a_clock_that_stands_still_ends_the_wait() {
    let model = Model::new([]);
    model.set_tick(0);
    assert_eq!(model.context().wait(Microseconds(50), |_| false), WaitOutcome::ClockStopped);
    assert_eq!(model.polls(), u64::from(NmiContext::TURNS_WITHOUT_TICK));
}

#[test]
fn time_in_which_the_cpu_did_not_run_counts_for_a_millisecond() {
    let model = Model::new([]);
    model.set_tick(1_000_000);
    assert_eq!(model.context().wait(Microseconds(5_000), |_| false), WaitOutcome::TimedOut);
    assert_eq!(model.polls(), 5);
}

#[test]
fn the_stop_is_noticed_in_the_middle_of_a_wait_and_before_the_condition_is_looked_at() {
    let model = ready_at(u64::MAX);
    model.stop_at_poll(10);
    let stopped = catch_unwind(AssertUnwindSafe(|| {
        let _ = model.context().wait(Microseconds(50), |bus| bus.ports().in8(STATUS) == 1);
    }));
    let message = stopped.expect_err("the wait returned after the stop");
    assert_eq!(message.downcast_ref::<String>().map(String::as_str), Some(Model::STOPPED));
    assert_eq!(model.polls(), 10);
    assert_eq!(model.accesses().len(), 9);
}

#[test]
fn a_delay_lets_the_time_pass_and_polls() {
    let model = Model::new([]);
    model.context().delay(Microseconds(30));
    assert_eq!(model.polls(), 30);
}

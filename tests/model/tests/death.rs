//! The winner dies or stands still: a loser or the guard takes over, and whoever wakes can only stop. Then re-entry.
#![cfg(loom)]

use model::{At, Death, Event, Machine, Scenario, Setup, Wait, Waits, explore};
use stop_protocol::Stage;

/// A wait that may end at any moment, whether or not the awaited one is alive.
const HASTY: Waits =
    Waits { publication: Wait::Expires(1), containment: Wait::Fair, stage: Wait::LetsRunThenExpires };

#[test]
fn dead_before_it_publishes() {
    explore(
        Scenario::exhaustive(
            "winner dead before it publishes",
            &[Event::LoserTookOver, Event::StoppedByNmi, Event::All, Event::Done],
        ),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready; 2], Setup { waits: HASTY, ..Setup::PLAIN });
            machine.elect(0);
            let cpus = [
                machine.boot(0, |cpu| {
                    cpu.dies(Death::Elected);
                    cpu.won();
                }),
                machine.boot(1, |cpu| cpu.panic()),
            ];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

#[test]
fn slow_before_it_publishes() {
    explore(
        Scenario::bounded(
            "winner slow before it publishes, loser hasty",
            2,
            &[Event::LoserTookOver, Event::LoserStopped, Event::Superseded, Event::All, Event::Done],
        ),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready; 2], Setup { waits: HASTY, ..Setup::PLAIN });
            machine.elect(0);
            let cpus = [machine.boot(0, |cpu| cpu.won()), machine.boot(1, |cpu| cpu.panic())];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

#[test]
fn dead_in_a_stage() {
    explore(
        Scenario::bounded(
            "winner dead in a stage, guard hasty",
            2,
            &[Event::GuardTookOver, Event::OldOwnerHalted, Event::Done],
        ),
        |tally| {
            let setup = Setup { waits: HASTY, guards: true, ..Setup::PLAIN };
            let machine = Machine::new(tally, &[At::Ready; 2], setup);
            machine.elect(0);
            let cpus = [
                machine.boot(0, |cpu| {
                    cpu.dies(Death::In(Stage::Report));
                    cpu.won();
                }),
                machine.boot(1, |cpu| cpu.run(1)),
            ];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

#[test]
fn slow_in_a_stage() {
    explore(
        Scenario::bounded(
            "winner slow in a stage, guard hasty",
            2,
            &[Event::GuardTookOver, Event::OldOwnerHalted, Event::Superseded, Event::Done],
        ),
        |tally| {
            let setup = Setup { waits: HASTY, guards: true, ..Setup::PLAIN };
            let machine = Machine::new(tally, &[At::Ready; 2], setup);
            machine.elect(0);
            let cpus = [machine.boot(0, |cpu| cpu.won()), machine.boot(1, |cpu| cpu.run(0))];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

#[test]
fn guarded_to_the_end() {
    const PATIENT: Setup = Setup { guards: true, ..Setup::PLAIN };
    explore(
        Scenario::exhaustive("guard watches to the end", &[Event::GuardFinished, Event::Done]),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready; 2], PATIENT);
            let cpus = [machine.boot(0, |cpu| cpu.panic()), machine.boot(1, |cpu| cpu.run(0))];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

#[test]
fn reentry() {
    explore(
        Scenario::bounded(
            "owner panics again, guard hasty",
            2,
            &[Event::Reentered, Event::GuardTookOver, Event::Done],
        ),
        |tally| {
            let setup = Setup { waits: HASTY, guards: true, ..Setup::PLAIN };
            let machine = Machine::new(tally, &[At::Ready; 2], setup);
            machine.elect(0);
            let cpus = [
                machine.boot(0, |cpu| {
                    cpu.reenters(Stage::Report);
                    cpu.won();
                }),
                machine.boot(1, |cpu| cpu.run(0)),
            ];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

#[test]
fn three_cpus() {
    explore(
        Scenario::bounded(
            "three CPUs: winner slow, two losers hasty",
            1,
            &[Event::LoserTookOver, Event::LoserStopped, Event::Superseded, Event::Done],
        ),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready; 3], Setup { waits: HASTY, ..Setup::PLAIN });
            machine.elect(0);
            let cpus = [
                machine.boot(0, |cpu| cpu.won()),
                machine.boot(1, |cpu| cpu.panic()),
                machine.boot(2, |cpu| cpu.panic()),
            ];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

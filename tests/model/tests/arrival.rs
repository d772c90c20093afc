//! A CPU that becomes Ready, or comes back from being parked, at the moment of a panic: it must not escape.
#![cfg(loom)]

use model::{At, Event, Machine, Scenario, Setup, Wait, Waits, explore};

const SETUP: Setup = Setup::PLAIN;

#[test]
fn starting() {
    explore(
        Scenario::bounded(
            "panic, one becomes Ready",
            3,
            &[Event::MustStop, Event::Admitted, Event::StoppedByNmi, Event::All],
        ),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready, At::Starting], SETUP);
            machine.elect(0);
            let cpus = [machine.boot(0, |cpu| cpu.won()), machine.boot(1, |cpu| cpu.start())];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

#[test]
fn starting_with_an_end_to_the_wait() {
    const WAITS: Waits = Waits { containment: Wait::Expires(2), ..Waits::FAIR };
    explore(
        Scenario::bounded(
            "panic that gives up, one becomes Ready",
            3,
            &[Event::MustStop, Event::Admitted, Event::Without, Event::All],
        ),
        |tally| {
            let setup = Setup { waits: WAITS, broadcast: true, ..SETUP };
            let machine = Machine::new(tally, &[At::Ready, At::Starting], setup);
            machine.elect(0);
            let cpus = [machine.boot(0, |cpu| cpu.won()), machine.boot(1, |cpu| cpu.start())];
            let [owner, other] = cpus;
            owner.join().unwrap();
            machine.power_off();
            other.join().unwrap();
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

#[test]
fn unparking() {
    explore(
        Scenario::bounded(
            "panic, one unparks",
            3,
            &[Event::MustStop, Event::Admitted, Event::StoppedByNmi, Event::All],
        ),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready, At::Parked], SETUP);
            machine.elect(0);
            let [owner, other] = [machine.boot(0, |cpu| cpu.won()), machine.boot(1, |cpu| cpu.unpark())];
            owner.join().unwrap();
            other.join().unwrap();
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

#[test]
fn unparking_against_a_broadcast() {
    explore(
        Scenario::bounded(
            "panic by broadcast, one unparks",
            3,
            &[Event::MustStop, Event::Admitted, Event::StoppedByNmi, Event::All],
        ),
        |tally| {
            let setup = Setup { broadcast: true, ..SETUP };
            let machine = Machine::new(tally, &[At::Ready, At::Parked], setup);
            machine.elect(0);
            let cpus = [machine.boot(0, |cpu| cpu.won()), machine.boot(1, |cpu| cpu.unpark())];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

#[test]
fn unparking_beside_a_third() {
    explore(
        Scenario::bounded(
            "three CPUs: panic, one unparks, one runs",
            1,
            &[Event::MustStop, Event::Admitted, Event::All],
        ),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready, At::Parked, At::Ready], Setup::PLAIN);
            machine.elect(0);
            let cpus = [
                machine.boot(0, |cpu| cpu.won()),
                machine.boot(1, |cpu| cpu.unpark()),
                machine.boot(2, |cpu| cpu.run(0)),
            ];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

//! Panics at once, and a panic against CPUs that run.
#![cfg(loom)]

use model::{At, Event, Machine, Scenario, Setup, explore};

const SEEN: &[Event] = &[Event::StoppedByNmi, Event::All, Event::Done];

#[test]
fn panic_against_running() {
    explore(Scenario::exhaustive("panic, one runs", SEEN), |tally| {
        let machine = Machine::new(tally, &[At::Ready; 2], Setup { late: true, ..Setup::PLAIN });
        let cpus = [machine.boot(0, |cpu| cpu.panic()), machine.boot(1, |cpu| cpu.run(2))];
        cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
        machine.check_panic_done();
        machine.check_end();
    });
}

#[test]
fn panic_by_broadcast() {
    explore(Scenario::exhaustive("panic by broadcast, one runs", SEEN), |tally| {
        let setup = Setup { late: true, broadcast: true, ..Setup::PLAIN };
        let machine = Machine::new(tally, &[At::Ready; 2], setup);
        let cpus = [machine.boot(0, |cpu| cpu.panic()), machine.boot(1, |cpu| cpu.run(2))];
        cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
        machine.check_panic_done();
        machine.check_end();
    });
}

#[test]
fn two_panics_elect() {
    explore(
        Scenario::exhaustive("two panics, NMIs left out", &[Event::LoserStopped, Event::All, Event::Done]),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready; 2], Setup { nmis: 0, ..Setup::PLAIN });
            let cpus = [machine.boot(0, |cpu| cpu.panic()), machine.boot(1, |cpu| cpu.panic())];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

#[test]
fn loser_against_nmi() {
    explore(
        Scenario::bounded(
            "panic won, the other panics, NMI anywhere",
            3,
            &[
                Event::LoserStopped,
                Event::StoppedByNmi,
                Event::NmiDuringSave,
                Event::NmiReturned,
                Event::Done,
            ],
        ),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready; 2], Setup::PLAIN);
            machine.elect(0);
            let cpus = [machine.boot(0, |cpu| cpu.won()), machine.boot(1, |cpu| cpu.panic())];
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
            "three CPUs: one won, one panics, one runs",
            1,
            &[Event::LoserStopped, Event::StoppedByNmi, Event::NmiReturned, Event::All, Event::Done],
        ),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready; 3], Setup::PLAIN);
            machine.elect(0);
            let cpus = [
                machine.boot(0, |cpu| cpu.won()),
                machine.boot(1, |cpu| cpu.panic()),
                machine.boot(2, |cpu| cpu.run(0)),
            ];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

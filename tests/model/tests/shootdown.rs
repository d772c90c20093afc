//! Shootdowns of a set, against CPUs that run, against each other, and against panics.
#![cfg(loom)]

use model::{At, Event, Machine, Scenario, Setup, explore};

#[test]
fn of_a_running_cpu() {
    explore(
        Scenario::exhaustive("shootdown, one runs", &[Event::Callback, Event::All, Event::Released]),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready; 2], Setup { late: true, ..Setup::PLAIN });
            let cpus = [machine.boot(0, |cpu| cpu.shoot_down(&[1])), machine.boot(1, |cpu| cpu.run(2))];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_end();
        },
    );
}

#[test]
fn of_each_other() {
    explore(
        Scenario::exhaustive("two shootdowns of each other", &[Event::Callback, Event::All, Event::Released]),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready; 2], Setup::PLAIN);
            let cpus =
                [machine.boot(0, |cpu| cpu.shoot_down(&[1])), machine.boot(1, |cpu| cpu.shoot_down(&[0]))];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_end();
        },
    );
}

#[test]
fn against_a_panic_of_the_target() {
    explore(
        Scenario::bounded(
            "shootdown, its target panics",
            2,
            &[Event::Callback, Event::Overridden, Event::Released, Event::StoppedByNmi, Event::Done],
        ),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready; 2], Setup::PLAIN);
            let cpus = [machine.boot(0, |cpu| cpu.shoot_down(&[1])), machine.boot(1, |cpu| cpu.panic())];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_end();
        },
    );
}

#[test]
fn against_a_panic_of_a_third() {
    explore(
        Scenario::bounded(
            "three CPUs: shootdown, one runs, one panics",
            1,
            &[Event::Callback, Event::All, Event::Done],
        ),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready; 3], Setup::PLAIN);
            let cpus = [
                machine.boot(0, |cpu| {
                    cpu.shoot_down(&[1]);
                    cpu.run(0);
                }),
                machine.boot(1, |cpu| cpu.run(0)),
                machine.boot(2, |cpu| cpu.panic()),
            ];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            machine.check_panic_done();
            machine.check_end();
        },
    );
}

//! The button that raises an NMI on every CPU: one CPU wins in its handler, the others can never take the stop NMI and
//! must poll.
#![cfg(loom)]

use model::{At, Event, Machine, Scenario, Setup, explore};
use std::rc::Rc;
use std::sync::Arc;

const POLLED: &[Event] = &[Event::StoppedByPoll, Event::All, Event::Done];

fn press(tally: &Arc<model::Tally>, setup: Setup, cpus: u16) {
    let machine = Machine::new(tally, &vec![At::Ready; usize::from(cpus)], setup);
    machine.press_button();
    let threads: Vec<_> = (0..cpus).map(|cpu| machine.boot(cpu, |cpu| cpu.run(1))).collect();
    threads.into_iter().for_each(|cpu| cpu.join().unwrap());
    finish(&machine);
}

fn finish(machine: &Rc<Machine>) {
    machine.check_panic_done();
    machine.check_end();
}

#[test]
fn on_both() {
    explore(Scenario::exhaustive("button on both", POLLED), |tally| press(tally, Setup::PLAIN, 2));
}

#[test]
fn one_handler_is_unmasked() {
    explore(
        Scenario::exhaustive(
            "button, NMI inside the poller's handler",
            &[Event::StoppedByPoll, Event::StoppedByNmi, Event::NmiDuringSave, Event::Done],
        ),
        |tally| {
            let setup = Setup { unmasks: true, nmis: 2, ..Setup::PLAIN };
            let machine = Machine::new(tally, &[At::Ready; 2], setup);
            machine.elect(0);
            machine.press_button();
            let cpus = [machine.boot(0, |cpu| cpu.won()), machine.boot(1, |cpu| cpu.run(1))];
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            finish(&machine);
        },
    );
}

#[test]
fn against_a_panic() {
    explore(
        Scenario::bounded(
            "panic won, then the button",
            3,
            &[Event::StoppedByPoll, Event::StoppedByNmi, Event::NmiReturned, Event::Done],
        ),
        |tally| {
            let machine = Machine::new(tally, &[At::Ready; 2], Setup::PLAIN);
            machine.elect(0);
            let cpus = [machine.boot(0, |cpu| cpu.won()), machine.boot(1, |cpu| cpu.run(1))];
            machine.press_button();
            cpus.into_iter().for_each(|cpu| cpu.join().unwrap());
            finish(&machine);
        },
    );
}

#[test]
fn on_three() {
    explore(Scenario::bounded("button on three", 1, POLLED), |tally| press(tally, Setup::PLAIN, 3));
}

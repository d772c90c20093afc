//! Every path of the authority word ends: the reachable words and their steps, computed by the shipped ledger itself.
//!
//! A state is the decoded word plus, for each CPU, what became of it. A step is one call of the ledger: a stage is
//! entered, a level is raised, the panic is taken over. A word is reached in a fresh ledger by making the calls that
//! led to it, so that no transition is written down a second time.
#![cfg(not(loom))]

use std::collections::{BTreeMap, BTreeSet};
use stop_protocol::{Authority, Claim, CpuIndex, CpuLine, Ledger, Level, NextStage, Owner, Purpose, Stage};

const CPUS: u16 = 3;
/// Re-entries in one path; the level saturates below that.
const RAISES: u8 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Next,
    Raise,
    /// By this CPU, which has not led yet: a superseded owner only stops.
    TakeOver(u16),
}

/// Owner, level, stage, who has led, how many re-entries. The epoch only counts take-overs, which the set of those
/// who led bounds.
type Key = (Option<u16>, u8, u8, BTreeSet<u16>, u8);

fn replay(steps: &[Step]) -> (Authority, BTreeSet<u16>, u8, bool) {
    let lines: [CpuLine; CPUS as usize] = std::array::from_fn(|_| CpuLine::new());
    let ledger = Ledger::new(&lines);
    assert_eq!(ledger.claim(Owner::Cpu(CpuIndex(0)), Purpose::Panic), Claim::Won);
    let mut led = BTreeSet::from([0]);
    let mut raises = 0;
    let mut moved = true;
    for step in steps {
        let before = ledger.authority();
        let owner = before.owner.unwrap();
        match step {
            Step::Next => {
                let NextStage::Run(stage, level) = ledger.next_stage(owner) else {
                    panic!("{owner:?} lost it")
                };
                assert_eq!((stage, level), (before.stage.after(before.level), before.level));
                assert!(stage > before.stage || stage == Stage::Done);
            }
            Step::Raise => {
                raises += 1;
                assert_eq!(ledger.raise_level(), before.level.raised());
            }
            Step::TakeOver(cpu) => {
                let taken = ledger.take_over(before, Owner::Cpu(CpuIndex(*cpu)));
                assert!(taken && led.insert(*cpu), "CPU {cpu} took over from {before:?}");
                assert_eq!(ledger.next_stage(owner), NextStage::Superseded, "the old owner still acts");
                assert!(!ledger.take_over(before, Owner::Cpu(CpuIndex(*cpu))), "a stale word was taken over");
            }
        }
        moved = ledger.authority() != before;
    }
    (ledger.authority(), led, raises, moved)
}

fn key(authority: Authority, led: BTreeSet<u16>, raises: u8) -> Key {
    let owner = authority.owner.and_then(Owner::index).map(|cpu| cpu.0);
    (owner, authority.level as u8, authority.stage as u8, led, raises)
}

#[test]
fn every_path_of_the_authority_ends() {
    let mut seen: BTreeMap<Key, Vec<Key>> = BTreeMap::new();
    let mut work = vec![Vec::new()];
    while let Some(path) = work.pop() {
        let (authority, led, raises, _) = replay(&path);
        let here = key(authority, led.clone(), raises);
        if seen.contains_key(&here) {
            continue;
        }
        let mut steps = Vec::new();
        if authority.stage != Stage::Done {
            steps.push(Step::Next);
            steps.extend((0..CPUS).filter(|cpu| !led.contains(cpu)).map(Step::TakeOver));
        }
        if authority.stage != Stage::Done && raises < RAISES {
            steps.push(Step::Raise);
        }
        let mut next = Vec::new();
        for step in steps {
            let longer: Vec<Step> = path.iter().copied().chain([step]).collect();
            let (authority, led, raises, moved) = replay(&longer);
            assert!(
                moved || step == Step::Raise && authority.level == Level::Third,
                "{step:?} changed nothing"
            );
            next.push(key(authority, led, raises));
            work.push(longer);
        }
        seen.insert(here, next);
    }
    // Longest path from each state; a cycle would have none.
    let mut lengths: BTreeMap<Key, usize> = BTreeMap::new();
    while lengths.len() < seen.len() {
        let before = lengths.len();
        for (state, next) in &seen {
            if let Some(longest) = next.iter().try_fold(0, |most, to| Some(most.max(lengths.get(to)? + 1))) {
                lengths.insert(state.clone(), longest);
            }
        }
        assert!(lengths.len() > before, "there is a cycle among {} states", seen.len() - before);
    }
    let ends = seen.iter().filter(|(_, next)| next.is_empty());
    assert!(ends.clone().all(|(state, _)| state.2 == Stage::Done as u8), "a path ends before Done");
    println!(
        "termination: {} states, {} steps, {} ends, longest path {}",
        seen.len(),
        seen.values().map(Vec::len).sum::<usize>(),
        ends.count(),
        lengths.values().max().unwrap()
    );
}

//! The lock under the critical section, with threads for CPUs.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use critical_section_smp::{Acquired, CpuIdentity, Released, SectionLock, Stolen};

fn cpu(number: u64) -> CpuIdentity {
    CpuIdentity::new(number).expect("not zero")
}

/// Enters a section that other CPUs share; they are in it for microseconds each.
fn enter(lock: &SectionLock, me: CpuIdentity) -> Acquired {
    const CEILING: Duration = Duration::from_secs(20);
    let start = Instant::now();
    lock.acquire(
        true,
        || me,
        || {
            assert!(start.elapsed() < CEILING, "{me} waits for ever");
            thread::yield_now();
            0
        },
    )
}

/// Ticks that pass in a turn of these tests.
const TURN: u64 = 1000;
/// Turns until a take-over.
const TURNS: u64 = SectionLock::TICKS_BEFORE_TAKE_OVER / TURN + 1;

/// Enters a section that must be free, own, or open to take-over: waiting for longer than a take-over needs fails.
fn enter_soon(lock: &SectionLock, me: CpuIdentity) -> Acquired {
    let mut turns = 0;
    lock.acquire(
        true,
        || me,
        || {
            turns += 1;
            assert!(turns <= TURNS, "{me} waits for ever");
            turns * TURN
        },
    )
}

struct Guarded(UnsafeCell<u64>);

// SAFETY: every access in these tests is inside the section under test.
unsafe impl Sync for Guarded {}

#[test]
fn one_cpu_at_a_time_and_each_sees_what_the_last_one_did() {
    const CPUS: u64 = 4;
    const ROUNDS: u64 = 5_000;
    let lock = SectionLock::new();
    let inside = AtomicU32::new(0);
    let guarded = Guarded(UnsafeCell::new(0));
    thread::scope(|scope| {
        for number in 1..=CPUS {
            let (lock, inside, guarded) = (&lock, &inside, &guarded);
            scope.spawn(move || {
                for _ in 0..ROUNDS {
                    assert_eq!(enter(lock, cpu(number)), Acquired::Outer);
                    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0, "two CPUs inside");
                    assert_eq!(enter(lock, cpu(number)), Acquired::Nested);
                    // SAFETY: inside the section.
                    unsafe { *guarded.0.get() += 1 };
                    inside.fetch_sub(1, Ordering::Relaxed);
                    assert_eq!(lock.release(cpu(number)), Released::Free { interrupts_were_on: true });
                }
            });
        }
    });
    assert_eq!(guarded.0.into_inner(), CPUS * ROUNDS);
    assert_eq!(lock.stolen(), None);
}

#[test]
fn interrupts_come_back_as_the_outer_section_found_them() {
    let lock = SectionLock::new();
    for were_on in [true, false] {
        let entered = lock.acquire(were_on, || cpu(1), || panic!("it is free"));
        assert_eq!(entered, Acquired::Outer);
        // Inside, interrupts are off; a nested section must not overwrite what the outer one found.
        assert_eq!(lock.acquire(false, || cpu(1), || panic!("it is ours")), Acquired::Nested);
        assert_eq!(lock.release(cpu(1)), Released::Free { interrupts_were_on: were_on });
    }
}

#[test]
fn code_that_moves_to_another_cpu_while_it_waits_enters_as_that_cpu() {
    let lock = SectionLock::new();
    assert_eq!(enter_soon(&lock, cpu(1)), Acquired::Outer);
    let moved = AtomicBool::new(false);
    let entered = lock.acquire(
        true,
        || if moved.load(Ordering::Relaxed) { cpu(3) } else { cpu(2) },
        || {
            assert_eq!(lock.release(cpu(1)), Released::Free { interrupts_were_on: true });
            moved.store(true, Ordering::Relaxed);
            0
        },
    );
    assert_eq!(entered, Acquired::Outer);
    assert_eq!(lock.release(cpu(2)), Released::TakenOver);
    assert_eq!(lock.release(cpu(3)), Released::Free { interrupts_were_on: true });
}

#[test]
fn the_survivor_takes_over_from_a_stopped_owner_and_says_so() {
    let lock = SectionLock::new();
    assert_eq!(enter_soon(&lock, cpu(1)), Acquired::Outer);
    lock.owners_are_stopped(cpu(2));
    assert_eq!(lock.stolen(), None, "nothing was taken yet");
    assert_eq!(enter_soon(&lock, cpu(2)), Acquired::Outer);
    assert!(matches!(lock.stolen(), Some(Stolen { owner, times: 1, .. }) if owner == cpu(1)));
    assert_eq!(enter_soon(&lock, cpu(2)), Acquired::Nested);
    assert_eq!(lock.release(cpu(2)), Released::Free { interrupts_were_on: true });
    // It is free now, and entering it is no second theft.
    assert_eq!(enter_soon(&lock, cpu(2)), Acquired::Outer);
    assert!(matches!(lock.stolen(), Some(Stolen { times: 1, .. })));
}

#[test]
fn an_owner_that_leaves_within_the_bound_is_not_robbed() {
    let lock = SectionLock::new();
    assert_eq!(enter_soon(&lock, cpu(1)), Acquired::Outer);
    lock.owners_are_stopped(cpu(2));
    let mut turns = 0;
    let entered = lock.acquire(
        true,
        || cpu(2),
        || {
            turns += 1;
            if turns == TURNS {
                assert_eq!(lock.release(cpu(1)), Released::Free { interrupts_were_on: true });
            }
            turns * TURN
        },
    );
    assert_eq!(entered, Acquired::Outer);
    assert_eq!(lock.stolen(), None);
}

#[test]
fn the_bound_is_time_wherever_the_counter_began() {
    for start in [0, 1 << 40, u64::MAX - 5] {
        for turn in [10, 1000, SectionLock::TICKS_BEFORE_TAKE_OVER] {
            let lock = SectionLock::new();
            assert_eq!(enter_soon(&lock, cpu(1)), Acquired::Outer);
            lock.owners_are_stopped(cpu(2));
            let mut ticks = 0;
            let relax = || {
                let now = u64::wrapping_add(start, ticks);
                ticks += turn;
                now
            };
            assert_eq!(lock.acquire(true, || cpu(2), relax), Acquired::Outer);
            let bound = SectionLock::TICKS_BEFORE_TAKE_OVER;
            assert!((bound..=2 * bound + 2 * turn).contains(&ticks), "{ticks}");
        }
    }
}

#[test]
fn a_counter_that_stands_still_does_not_keep_the_survivor_waiting() {
    let lock = SectionLock::new();
    assert_eq!(enter_soon(&lock, cpu(1)), Acquired::Outer);
    lock.owners_are_stopped(cpu(2));
    assert_eq!(lock.acquire(true, || cpu(2), || 42), Acquired::Outer);
}

#[test]
fn an_owner_that_wakes_does_not_free_the_section_under_the_survivor() {
    let lock = SectionLock::new();
    assert_eq!(enter_soon(&lock, cpu(1)), Acquired::Outer);
    lock.owners_are_stopped(cpu(2));
    assert_eq!(enter_soon(&lock, cpu(2)), Acquired::Outer);
    assert_eq!(lock.release(cpu(1)), Released::TakenOver);
    assert_eq!(enter_soon(&lock, cpu(2)), Acquired::Nested, "the survivor is still inside");
}

#[test]
fn nobody_but_the_survivor_takes_over() {
    let lock = SectionLock::new();
    assert_eq!(enter_soon(&lock, cpu(1)), Acquired::Outer);
    lock.owners_are_stopped(cpu(2));
    let mut turns = 0;
    let entered = lock.acquire(
        true,
        || cpu(3),
        || {
            turns += 1;
            if turns == 2 * TURNS {
                assert_eq!(lock.release(cpu(1)), Released::Free { interrupts_were_on: true });
            }
            turns * TURN
        },
    );
    assert_eq!(entered, Acquired::Outer);
    assert_eq!(turns, 2 * TURNS, "it entered before the owner left");
    assert_eq!(lock.stolen(), None);
}

#[test]
fn a_panic_inside_the_section_marks_it_on_the_same_cpu() {
    let lock = SectionLock::new();
    assert_eq!(enter_soon(&lock, cpu(1)), Acquired::Outer);
    lock.owners_are_stopped(cpu(1));
    assert!(matches!(lock.stolen(), Some(Stolen { owner, times: 1, .. }) if owner == cpu(1)));
    assert_eq!(enter_soon(&lock, cpu(1)), Acquired::Nested);
}

#[test]
fn announcing_it_again_from_inside_a_section_of_the_report_marks_nothing() {
    let lock = SectionLock::new();
    lock.owners_are_stopped(cpu(1));
    assert_eq!(enter_soon(&lock, cpu(1)), Acquired::Outer);
    lock.owners_are_stopped(cpu(1));
    assert_eq!(lock.stolen(), None);
}

#[test]
fn a_free_section_is_not_marked() {
    let lock = SectionLock::new();
    lock.owners_are_stopped(cpu(1));
    assert_eq!(enter_soon(&lock, cpu(1)), Acquired::Outer);
    assert_eq!(lock.stolen(), None);
}

//! Random programs on slots whose sessions come and go.

use std::collections::BTreeMap;

use capnweb_core::{Error, Promise, PromiseFuture, Stub};
use futures_util::FutureExt;

use super::{
    Scene,
    line::{Line, Log},
};

/// A random generator that is the same on every machine: xorshift64*.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % bound
    }

    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// A call that was made, and its state.
struct Made {
    future: Option<PromiseFuture<u32>>,
    is_idempotent: bool,
    is_detached: bool,
    /// True if it was dropped before it was sent, while it waited.
    is_withdrawn: bool,
}

const ALL: (usize, usize) = (usize::MAX, usize::MAX);

fn run(seed: u64) -> u32 {
    let (mut random, log) = (Random(seed), Log::default());
    let scene = Scene::repeating();
    let (mut lines, mut number): (Vec<Line>, u32) = (Vec::new(), 0);
    let mut calls: BTreeMap<u32, Made> = BTreeMap::new();
    let mut parents: Vec<(Stub, bool)> = Vec::new();
    for id in 1..=60 {
        match random.below(12) {
            // Switch to another session. Sometimes the old one continues, as in a drain.
            0 => {
                if random.chance(70) {
                    lines.iter_mut().for_each(Line::cut);
                }
                number += 1;
                let line = Line::new(&log, number, ALL);
                scene.slot.put(&line.session, line.session.main());
                lines.push(line);
            }
            1 => lines.iter_mut().for_each(Line::cut),
            2 | 3 => {
                for line in &mut lines {
                    for _ in 0..random.below(8) {
                        line.step(random.chance(50)).unwrap();
                    }
                }
            }
            4 => {
                drop(scene.slot.take(super::lost()));
            }
            5 => {
                let is_idempotent = random.chance(50);
                let promise = match is_idempotent {
                    true => scene.api.idempotent().call("me", ()),
                    false => scene.api.call("me", ()),
                };
                parents.push((Promise::into_pipeline(promise.clone()), is_idempotent));
                if random.chance(40) {
                    parents.remove(0);
                }
            }
            6 => {
                // Drop a promise.
                let at = u32::try_from(random.below(60)).unwrap();
                if let Some(made) = calls.get_mut(&at) {
                    let before = scene.group.waiting().calls;
                    made.future = None;
                    made.is_withdrawn = scene.group.waiting().calls < before;
                }
            }
            _ => {
                let parent =
                    (!parents.is_empty() && random.chance(40)).then(|| random.below(parents.len()));
                let (target, may_repeat) = match parent {
                    Some(at) => (&parents[at].0, parents[at].1),
                    None => (&scene.api, true),
                };
                let is_marked = random.chance(50);
                let promise = match is_marked {
                    true => target.idempotent().call("count", (id,)),
                    false => target.call("count", (id,)),
                };
                let is_detached = random.chance(10);
                let future = match is_detached {
                    true => {
                        Promise::detach(promise);
                        None
                    }
                    false => Some(promise.fetch::<u32>()),
                };
                calls.insert(
                    id,
                    Made {
                        future,
                        is_idempotent: is_marked && may_repeat,
                        is_detached,
                        is_withdrawn: false,
                    },
                );
            }
        }
    }
    lines.iter_mut().for_each(Line::run);
    lines.iter_mut().for_each(Line::cut);
    let mut last = Line::new(&log, number + 1, ALL);
    scene.slot.put(&last.session, last.session.main());
    last.run();
    // A retried call may run after later ones, if its session continued for a while.
    log.check_order(|id| calls.get(&id).is_some_and(|made| !made.is_idempotent));
    let counts = log.counts();
    let mut acknowledged = 0;
    for (id, made) in calls {
        let runs = counts.get(&id).copied().unwrap_or(0);
        let place = format!("seed {seed}, call {id}, which ran {runs} times");
        if !made.is_idempotent {
            assert!(runs <= 1, "{place}");
        }
        if made.is_withdrawn {
            // A call that was sent, lost and waited again may have run before.
            assert!(runs == 0 || made.is_idempotent, "{place}: it was withdrawn");
        }
        let Some(future) = made.future else {
            assert!(
                made.is_detached || runs <= 1 || made.is_idempotent,
                "{place}"
            );
            continue;
        };
        let outcome = future
            .now_or_never()
            .unwrap_or_else(|| panic!("{place}: it was not answered"));
        match outcome {
            Ok(value) => {
                assert_eq!(value, id);
                assert!(runs >= 1, "{place}: it was acknowledged");
                acknowledged += 1;
            }
            Err(error) => check_failure(&error, runs, made.is_idempotent, &place),
        }
    }
    acknowledged
}

#[track_caller]
fn check_failure(error: &Error, runs: u32, is_idempotent: bool, place: &str) {
    assert!(error.is_disconnected(), "{place}: {error}");
    assert!(
        error.may_have_run() || runs == 0,
        "{place}: it says that it has not run"
    );
    assert!(!is_idempotent, "{place}: {error}");
}

#[test]
fn random_programs_on_a_slot_answer_each_call_once_and_run_none_twice() {
    let acknowledged: u32 = (1..=1500).map(run).sum();
    assert!(acknowledged > 10_000, "{acknowledged}");
}

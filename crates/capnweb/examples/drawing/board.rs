//! The drawing, and what a page can do with it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use capnweb::{Callback, Promise, Result};

/// Older lines fade from memory.
const MAX_LINES: usize = 20_000;

/// What a page sees.
#[capnweb::interface]
pub(crate) trait Drawing {
    fn ping(&self) -> Result<()>;
    fn draw(&self, line: Line) -> Result<()>;
    /// The lines from the one with this number on: for pages that cannot be called.
    fn since(&self, number: usize) -> Result<Lines>;
    /// Has each new line passed to a function of the page's, until it lets go of what it gets for it, or
    /// is gone.
    fn watch(&self, on_line: Callback<Line>) -> Result<SeatStub>;
}

/// A page's place among those that watch.
#[capnweb::interface]
pub(crate) trait Seat {
    fn number(&self) -> Result<u64>;
}

/// A straight piece of what somebody draws, in parts of the canvas: 0 to 1.
#[capnweb::value]
#[derive(Clone, Debug)]
pub(crate) struct Line {
    color: String,
    from: (f64, f64),
    to: (f64, f64),
}

#[capnweb::value]
pub(crate) struct Lines {
    lines: Vec<Line>,
    /// The number of the line to come next.
    next: usize,
    /// How many pages watch.
    people: usize,
}

#[derive(Default)]
pub(crate) struct Board(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    lines: VecDeque<Line>,
    /// The number of the first line that is kept.
    first: usize,
    /// The functions of the pages that watch.
    watchers: BTreeMap<u64, Callback<Line>>,
    next_watcher: u64,
}

impl Drawing for Board {
    fn ping(&self) -> Result<()> {
        Ok(())
    }

    fn draw(&self, line: Line) -> Result<()> {
        let watchers: Vec<_> = {
            let mut state = lock(&self.0);
            state.lines.push_back(line.clone());
            if state.lines.len() > MAX_LINES {
                state.lines.pop_front();
                state.first += 1;
            }
            state.watchers.values().cloned().collect()
        };
        for on_line in watchers {
            // Nobody waits for the answer.
            Promise::detach(on_line.call(line.clone()));
        }
        Ok(())
    }

    fn since(&self, number: usize) -> Result<Lines> {
        let state = lock(&self.0);
        let known = number.saturating_sub(state.first);
        Ok(Lines {
            lines: state.lines.iter().skip(known).cloned().collect(),
            next: state.first + state.lines.len(),
            people: state.watchers.len(),
        })
    }

    fn watch(&self, on_line: Callback<Line>) -> Result<SeatStub> {
        let mut state = lock(&self.0);
        let number = state.next_watcher;
        state.next_watcher += 1;
        state.watchers.insert(number, on_line);
        Ok(SeatStub::new(Watching {
            state: self.0.clone(),
            number,
        }))
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Watching {
    state: Arc<Mutex<State>>,
    number: u64,
}

impl Seat for Watching {
    fn number(&self) -> Result<u64> {
        Ok(self.number)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let left = lock(&self.state).watchers.remove(&self.number);
        // After the lock: dropping a function of the page's is a message to it.
        drop(left);
    }
}

//! The drawing, and what a page can do with it.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use capnweb::{Object, Promise, Stub};
use serde::{Deserialize, Serialize};

/// Older lines fade from memory.
const MAX_LINES: usize = 20_000;

/// A straight piece of what somebody draws, in parts of the canvas: 0 to 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    color: String,
    from: (f64, f64),
    to: (f64, f64),
}

/// The lines from the one with this number on.
#[derive(Debug, Serialize)]
struct Lines {
    lines: Vec<Line>,
    /// The number of the line to come next.
    next: usize,
    /// How many pages watch.
    people: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Board(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Line>,
    /// The number of the first line that is kept.
    first: usize,
    /// The callbacks of the pages that watch.
    watchers: BTreeMap<u64, Stub>,
    next_watcher: u64,
}

impl Board {
    /// The object that a page sees.
    pub(crate) fn api(self: &Arc<Self>) -> Stub {
        let (board, drawn, watched) = (self.clone(), self.clone(), self.clone());
        Object::new()
            .sync_method("ping", || Ok(()))
            .sync_method("draw", move |line: Line| {
                drawn.draw(&line);
                Ok(())
            })
            // For pages that cannot be called.
            .sync_method("since", move |number: usize| Ok(board.since(number)))
            // What it gives ends watching when it is dropped, be it that the page lets go of it or that
            // the page is gone.
            .sync_method("watch", move |on_line: Stub| {
                let seat = watched.watch(on_line);
                Ok(Object::new()
                    .sync_method("number", move || Ok(seat.number()))
                    .into_stub())
            })
            .into_stub()
    }

    fn draw(&self, line: &Line) {
        let watchers: Vec<Stub> = {
            let mut state = self.lock();
            state.lines.push_back(line.clone());
            if state.lines.len() > MAX_LINES {
                state.lines.pop_front();
                state.first += 1;
            }
            state.watchers.values().cloned().collect()
        };
        for on_line in watchers {
            // Nobody waits for the answer.
            Promise::detach(on_line.invoke((line,)));
        }
    }

    fn since(&self, number: usize) -> Lines {
        let state = self.lock();
        let missed = number.saturating_sub(state.first);
        Lines {
            lines: state.lines.iter().skip(missed).cloned().collect(),
            next: state.first + state.lines.len(),
            people: state.watchers.len(),
        }
    }

    fn watch(self: &Arc<Self>, on_line: Stub) -> Seat {
        let mut state = self.lock();
        let number = state.next_watcher;
        state.next_watcher += 1;
        state.watchers.insert(number, on_line);
        Seat {
            board: self.clone(),
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One page's place among those that watch.
struct Seat {
    board: Arc<Board>,
    number: u64,
}

impl Seat {
    fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let left = self.board.lock().watchers.remove(&self.number);
        // After the lock: dropping a stub is a message to the page.
        drop(left);
    }
}

//! The drawing, and the interface that pages use.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use capnweb::{Callback, Result, SubscriberGuard, Subscribers};

/// The maximum number of lines. The oldest ones are dropped.
const MAX_LINES: usize = 20_000;

/// The interface for pages.
#[capnweb::interface]
pub(crate) trait Drawing {
    fn ping(&self) -> Result<()>;
    fn draw(&self, line: Line) -> Result<()>;
    /// Returns the lines from number `number` on, for pages that cannot be called back.
    fn since(&self, number: usize) -> Result<Lines>;
    /// Passes each new line to the page's function, until the page disconnects or drops the
    /// returned seat.
    fn watch(&self, on_line: Callback<Line>) -> Result<SeatStub>;
}

/// A page's subscription to new lines.
#[capnweb::interface]
pub(crate) trait Seat {
    fn number(&self) -> Result<u64>;
}

/// A straight segment of a drawing. Coordinates range from 0 to 1.
#[capnweb::value]
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) color: String,
    pub(crate) from: (f64, f64),
    pub(crate) to: (f64, f64),
}

#[capnweb::value]
pub(crate) struct Lines {
    pub(crate) lines: Vec<Line>,
    /// The number of the next line.
    pub(crate) next: usize,
    /// The number of pages that are watching.
    pub(crate) people: usize,
}

#[derive(Default)]
pub(crate) struct Board {
    drawn: Mutex<Drawn>,
    /// The functions of the pages that are watching.
    watchers: Subscribers<Callback<Line>>,
    next_watcher: AtomicU64,
}

#[derive(Default)]
struct Drawn {
    lines: VecDeque<Line>,
    /// The number of the first line that is still stored.
    first: usize,
}

impl Drawing for Board {
    fn ping(&self) -> Result<()> {
        Ok(())
    }

    fn draw(&self, line: Line) -> Result<()> {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        drawn.lines.push_back(line.clone());
        if drawn.lines.len() > MAX_LINES {
            drawn.lines.pop_front();
            drawn.first += 1;
        }
        drop(drawn);
        // Drop a page that does not keep up, since it would miss lines.
        self.watchers.publish(|on_line| on_line.call(line.clone()));
        Ok(())
    }

    fn since(&self, number: usize) -> Result<Lines> {
        let drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let known = number.saturating_sub(drawn.first);
        Ok(Lines {
            lines: drawn.lines.iter().skip(known).cloned().collect(),
            next: drawn.first + drawn.lines.len(),
            people: self.watchers.len(),
        })
    }

    fn watch(&self, on_line: Callback<Line>) -> Result<SeatStub> {
        Ok(SeatStub::new(Watching {
            number: self.next_watcher.fetch_add(1, Ordering::Relaxed),
            _watcher: self.watchers.add(on_line),
        }))
    }
}

struct Watching {
    number: u64,
    /// Removes the page's function when the page drops its seat.
    _watcher: SubscriberGuard,
}

impl Seat for Watching {
    fn number(&self) -> Result<u64> {
        Ok(self.number)
    }
}

#[cfg(all(test, feature = "describe"))]
mod tests {
    use super::*;

    #[test]
    fn declarations() {
        capnweb::typescript::of::<DrawingStub>().keep("examples/drawing/board.d.ts");
    }
}

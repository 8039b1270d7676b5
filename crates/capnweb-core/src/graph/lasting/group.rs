//! The state shared by the slots of one owner.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, Ordering},
};

use super::{
    call::LastingCall,
    deadlines::{Deadline, Deadlines, Due},
    options::{SlotOptions, WhileDown},
    slot::Slot,
};
use crate::{
    graph::{error::Error, hook::Hook, remote::Peer},
    runtime::Instant,
    util::lock::LockExt,
};

/// The settings of several slots, and the total of their waiting calls.
pub(crate) struct Group {
    pub(super) options: SlotOptions,
    /// The number of the next call. Waiting calls are sent in the order of their numbers.
    next: AtomicU64,
    usage: Mutex<Usage>,
    deadlines: Arc<Deadlines>,
}

/// The total of the waiting calls.
#[derive(Clone, Copy, Default)]
pub(crate) struct Usage {
    pub(crate) calls: usize,
    pub(crate) bytes: usize,
}

/// The room that is reserved for a waiting call.
pub(super) struct Room {
    group: Arc<Group>,
    bytes: usize,
    deadline: Option<Deadline>,
}

impl Room {
    /// Returns whether the call has waited too long.
    pub(super) fn is_overdue(&self) -> bool {
        self.deadline.as_ref().is_some_and(Deadline::is_past)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let mut usage = self.group.usage.acquire();
        usage.calls -= 1;
        usage.bytes -= self.bytes;
    }
}

impl Group {
    pub(crate) fn new(options: SlotOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            next: AtomicU64::new(0),
            usage: Mutex::default(),
            deadlines: Arc::default(),
        })
    }

    /// Returns the total of the waiting calls of all slots.
    pub(crate) fn usage(&self) -> Usage {
        *self.usage.acquire()
    }

    /// Returns a number greater than those of all earlier calls.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Reserves room for a call that has to wait.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no room, or if calls do not wait. `reason` is the reason why
    /// there is no session.
    pub(super) fn room(
        self: &Arc<Self>,
        call: &Arc<LastingCall>,
        bytes: usize,
        reason: &Error,
    ) -> Result<Room, Error> {
        let WhileDown::Queue {
            calls,
            bytes: max_bytes,
            wait,
        } = self.options.while_down
        else {
            return Err(unavailable("there is no session", reason));
        };
        let mut usage = self.usage.acquire();
        let full = if usage.calls >= calls {
            Some("calls")
        } else if bytes > max_bytes.saturating_sub(usage.bytes) {
            Some("bytes")
        } else {
            None
        };
        if let Some(full) = full {
            drop(usage);
            let message = format!("too many {full} wait for a session");
            return Err(Error::resource_exhausted(message)
                .with_cause(reason.clone())
                .with_may_have_run(false));
        }
        usage.calls += 1;
        usage.bytes += bytes;
        drop(usage);
        let at = Instant::now().checked_add(wait);
        let weak = Arc::downgrade(call);
        Ok(Room {
            group: self.clone(),
            bytes,
            deadline: at.map(|at| self.deadlines.set(at, call.number(), Due::Wait, weak)),
        })
    }

    /// Sets the deadline for answering a call, if there is a time limit.
    pub(super) fn answer_deadline(&self, call: &Arc<LastingCall>) -> Option<Deadline> {
        let at = call.called().checked_add(self.options.call_timeout?)?;
        let weak = Arc::downgrade(call);
        let number = call.number();
        Some(self.deadlines.set(at, number, Due::Answer, weak))
    }

    /// Fills slots with stubs of one session: see
    /// [`SlotGroup::put_all`](crate::lasting::SlotGroup::put_all).
    pub(crate) fn put_all(peer: &Arc<dyn Peer>, contents: Vec<(Arc<Slot>, Hook)>) {
        let mut filled = Vec::with_capacity(contents.len());
        for (slot, hook) in contents {
            if let Some(generation) = slot.fill(hook, peer) {
                filled.push((slot, generation));
            }
        }
        let mut waiting: Vec<(u64, usize)> = Vec::new();
        for (at, (slot, _)) in filled.iter().enumerate() {
            waiting.extend(slot.waiting().into_iter().map(|number| (number, at)));
        }
        capnweb_wire::sort_by_key(&mut waiting, |pair| *pair);
        for (number, at) in waiting {
            if let Some((slot, generation)) = filled.get(at) {
                slot.send_waiting(*generation, Some(number));
            }
        }
        for (slot, generation) in filled {
            while slot.send_waiting(generation, None) {}
        }
    }
}

/// Returns the error of a call that cannot be made because of `reason`.
pub(super) fn unavailable(message: &str, reason: &Error) -> Error {
    Error::disconnected(format!("{message}: {}", reason.message()))
        .with_code("unavailable")
        .with_cause(reason.clone())
        .with_may_have_run(false)
}

//! Slots for the stubs of one session after another.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, Weak},
    task::{Context, Poll, Waker},
};

use super::{
    call::LastingCall,
    group::Group,
    send::{Attempt, attempt, refuse_lost_arguments, stub_in},
};
use crate::{
    graph::{
        engine::invoke::{Operation, Origin},
        error::{Error, Result},
        hook::{Hook, Settled},
        import::Import,
        on_broken::next_number,
        payload::Path,
        remote::{Entered, GuardedCall, OnEnd, Peer, Place},
        work::{self, Work},
    },
    util::{lock::LockExt, wakers},
};

/// The target of a lasting stub.
pub(crate) struct Slot {
    group: Arc<Group>,
    state: Mutex<State>,
    fate: Arc<Fate>,
}

struct State {
    content: Content,
    /// The number of contents so far.
    generation: u64,
    /// The waiting calls, in the order in which they were made.
    waiting: BTreeMap<u64, Entry>,
    /// The calls that were sent and are tended.
    sent: BTreeMap<u64, Weak<LastingCall>>,
    /// The callbacks for the closing, in the order of their registration.
    on_broken: BTreeMap<u64, Arc<dyn OnEnd>>,
    /// The tasks that wait for a content.
    wakers: Vec<Waker>,
    /// A content that arrived while the previous one was being lost.
    next: Option<(Hook, Arc<dyn Peer>)>,
}

enum Content {
    Empty(Error),
    /// The slot is empty, and calls do not wait.
    Refusing(Error),
    /// The session is over, and calls that were lost with it return to the waiting ones.
    Losing(Error),
    /// Waiting calls are being sent before any others.
    Sending(Filled),
    Filled(Filled),
    Closed(Error),
}

struct Filled {
    hook: Hook,
    peer: Arc<dyn Peer>,
    /// The number under which the end of the session is watched.
    watch: u64,
}

/// A waiting call.
enum Entry {
    Observed(Weak<LastingCall>),
    Held(Arc<LastingCall>),
}

impl Entry {
    fn upgrade(self) -> Option<Arc<LastingCall>> {
        match self {
            Self::Observed(call) => call.upgrade(),
            Self::Held(call) => Some(call),
        }
    }
}

/// The path through a slot to a session.
#[derive(Clone)]
pub(super) struct Through {
    pub(super) hook: Hook,
    pub(super) peer: Arc<dyn Peer>,
    pub(super) generation: u64,
}

/// The state that a call finds in a slot.
enum Look {
    Through(Through),
    Wait {
        reason: Error,
        /// True if the call only has to wait for earlier ones.
        is_sending: bool,
    },
    /// Calls fail.
    Closed(Error),
}

/// The state of a slot, as its owner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Empty,
    Filled,
    Closed,
}

/// Notifies the owner of a slot when the slot is gone.
#[derive(Default)]
pub(crate) struct Fate {
    state: Mutex<(bool, Vec<Waker>)>,
}

impl Fate {
    /// Waits until the slot is gone.
    pub(crate) fn poll_gone(&self, cx: &Context<'_>) -> Poll<()> {
        let mut waker = Some(cx.waker().clone());
        let mut state = self.state.acquire();
        if state.0 {
            return Poll::Ready(());
        }
        wakers::register(&mut state.1, &mut waker);
        drop(state);
        Poll::Pending
    }
}

impl Slot {
    pub(crate) fn new(group: &Arc<Group>, reason: Error) -> Arc<Self> {
        Arc::new(Self {
            group: group.clone(),
            state: Mutex::new(State {
                content: Content::Empty(reason),
                generation: 0,
                waiting: BTreeMap::new(),
                sent: BTreeMap::new(),
                on_broken: BTreeMap::new(),
                wakers: Vec::new(),
                next: None,
            }),
            fate: Arc::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.acquire()
    }

    pub(crate) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    pub(crate) fn fate(&self) -> &Arc<Fate> {
        &self.fate
    }

    /// Returns whether calls have a time limit.
    pub(super) fn is_timed(&self) -> bool {
        self.group.options.call_timeout.is_some()
    }

    pub(crate) fn status(&self) -> Status {
        match &self.lock().content {
            Content::Empty(_) | Content::Refusing(_) | Content::Losing(_) => Status::Empty,
            Content::Sending(_) | Content::Filled(_) => Status::Filled,
            Content::Closed(_) => Status::Closed,
        }
    }

    /// Returns the reason why there is no session.
    pub(super) fn reason(&self) -> Error {
        match &self.lock().content {
            Content::Empty(reason)
            | Content::Refusing(reason)
            | Content::Losing(reason)
            | Content::Closed(reason) => reason.clone(),
            Content::Sending(_) | Content::Filled(_) => not_sent_yet(),
        }
    }

    fn look(&self) -> Look {
        let state = self.lock();
        match &state.content {
            Content::Filled(filled) => Look::Through(filled.through(state.generation)),
            Content::Empty(reason) | Content::Losing(reason) => Look::Wait {
                reason: reason.clone(),
                is_sending: false,
            },
            Content::Sending(_) => Look::Wait {
                reason: not_sent_yet(),
                is_sending: true,
            },
            Content::Refusing(error) | Content::Closed(error) => Look::Closed(error.clone()),
        }
    }

    /// Stores the outcome of the content, if that is another stub of its session.
    fn shorten(&self, hook: Hook, generation: u64) -> Hook {
        match &hook {
            Hook::Import(import) if import.is_resolved() => {}
            Hook::Promise(_) | Hook::Value(_) => {}
            _ => return hook,
        }
        let (Settled::Yes(end) | Settled::Not(end)) = hook.follow();
        let end = match stub_in(&end) {
            Some(stub @ Hook::Import(_)) => stub,
            _ => return hook,
        };
        let mut state = self.lock();
        if state.generation == generation
            && let Content::Filled(filled) = &mut state.content
        {
            let old = std::mem::replace(&mut filled.hook, end.clone());
            drop(state);
            work::submit(Work::DropHook(old));
        }
        end
    }

    /// Makes a call that waits if necessary.
    pub(super) fn wait(
        self: &Arc<Self>,
        path: &Path,
        operation: Operation,
        origin: &Origin,
    ) -> Hook {
        self.start(None, path, operation, origin, false)
    }

    /// Makes a call that is tended, on the result of `parent` or on the slot's content.
    pub(crate) fn start(
        self: &Arc<Self>,
        parent: Option<Arc<LastingCall>>,
        path: &Path,
        operation: Operation,
        origin: &Origin,
        is_idempotent: bool,
    ) -> Hook {
        let call = LastingCall::new(self, parent, path, operation, origin, is_idempotent);
        self.dispatch(&call);
        call.outcome().unwrap_or(Hook::Call(call))
    }

    /// Sends a call, lets it wait, or fails it.
    pub(super) fn dispatch(self: &Arc<Self>, call: &Arc<LastingCall>) {
        loop {
            let look = self.look();
            let through = match &look {
                Look::Through(through) => Some(through),
                Look::Wait { .. } | Look::Closed(_) => None,
            };
            if (through.is_some() || call.has_parent()) && call.try_send(through) {
                return;
            }
            match look {
                Look::Through(through) => {
                    self.lost(through.generation);
                    // Another thread may be handling its target.
                    std::thread::yield_now();
                }
                Look::Wait { reason, is_sending } => {
                    if !is_sending && !call.find_room(&reason) {
                        return;
                    }
                    let entry = match call.is_held() {
                        true => Entry::Held(call.clone()),
                        false => Entry::Observed(Arc::downgrade(call)),
                    };
                    let mut state = self.lock();
                    if state.content.lets_wait() {
                        state.waiting.insert(call.number(), entry);
                        return;
                    }
                }
                Look::Closed(error) => return call.fail(error),
            }
        }
    }

    /// Keeps a call alive while it waits.
    pub(super) fn hold(&self, call: &Arc<LastingCall>) {
        let mut state = self.lock();
        if let Some(entry) = state.waiting.get_mut(&call.number()) {
            *entry = Entry::Held(call.clone());
        }
    }

    /// Records that a call was sent, to handle it when the session is lost.
    pub(super) fn note_sent(&self, call: &Arc<LastingCall>) {
        let mut state = self.lock();
        state.sent.insert(call.number(), Arc::downgrade(call));
    }

    /// Forgets a call.
    pub(super) fn forget(&self, number: u64) {
        let mut state = self.lock();
        let waiting = state.waiting.remove(&number);
        let sent = state.sent.remove(&number);
        drop(state);
        drop((waiting, sent));
    }

    /// Returns the calls that wait for the result of `parent`.
    pub(super) fn waiting_on(&self, parent: &Arc<LastingCall>) -> Vec<Arc<LastingCall>> {
        let state = self.lock();
        let calls: Vec<_> = state
            .waiting
            .range(parent.number()..)
            .filter_map(|(_, entry)| match entry {
                Entry::Observed(call) => call.upgrade(),
                Entry::Held(call) => Some(call.clone()),
            })
            .collect();
        drop(state);
        let is_on = |call: &Arc<LastingCall>| call.is_on(parent);
        calls.into_iter().filter(is_on).collect()
    }

    /// Returns the numbers of the waiting calls.
    pub(super) fn waiting(&self) -> Vec<u64> {
        self.lock().waiting.keys().copied().collect()
    }

    /// Fills the slot with a hook of the session of `peer`. Returns the generation for
    /// [`send_waiting`](Self::send_waiting), or `None` if the slot is closed or the session is
    /// over.
    pub(super) fn fill(self: &Arc<Self>, hook: Hook, peer: &Arc<dyn Peer>) -> Option<u64> {
        let watch = next_number();
        let mut state = self.lock();
        match &state.content {
            Content::Closed(_) => {
                drop(state);
                work::submit(Work::DropHook(hook));
                return None;
            }
            Content::Losing(_) => {
                let old = state.next.replace((hook, peer.clone()));
                drop(state);
                if let Some((hook, _)) = old {
                    work::submit(Work::DropHook(hook));
                }
                return None;
            }
            Content::Empty(_) | Content::Refusing(_) | Content::Sending(_) | Content::Filled(_) => {
            }
        }
        state.generation += 1;
        let generation = state.generation;
        let filled = Filled {
            hook,
            peer: peer.clone(),
            watch,
        };
        let old = std::mem::replace(&mut state.content, Content::Sending(filled));
        drop(state);
        old.discard();
        let watch: Arc<dyn OnEnd> = Arc::new(SessionWatch {
            number: watch,
            slot: Arc::downgrade(self),
            generation,
        });
        if peer.add_on_broken(&watch).is_some() {
            self.lost(generation);
            return None;
        }
        Some(generation)
    }

    /// Sends one of the waiting calls: the one with `number`, or otherwise the first one. If there
    /// is none at all, later calls are sent directly. Returns whether there may be more.
    pub(super) fn send_waiting(self: &Arc<Self>, generation: u64, number: Option<u64>) -> bool {
        let mut state = self.lock();
        let through = match &state.content {
            Content::Sending(filled) if state.generation == generation => {
                filled.through(generation)
            }
            _ => return false,
        };
        let entry = match number {
            Some(number) => state.waiting.remove(&number),
            None => state.waiting.pop_first().map(|(_, entry)| entry),
        };
        let Some(entry) = entry else {
            if number.is_some() {
                return true;
            }
            state.set_filled();
            let wakers = std::mem::take(&mut state.wakers);
            drop(state);
            wakers.into_iter().for_each(Waker::wake);
            return false;
        };
        drop(state);
        if let Some(call) = entry.upgrade() {
            call.check_wait();
            if !call.try_send(Some(&through)) {
                self.lost(generation);
                self.dispatch(&call);
            }
        }
        true
    }

    /// Empties the slot if the session of its content is over and the content has this generation.
    /// Calls that may be retried return to the waiting ones, in their original order.
    pub(super) fn lost(self: &Arc<Self>, generation: u64) {
        let mut state = self.lock();
        if state.generation != generation {
            return;
        }
        let reason = match &state.content {
            Content::Sending(filled) | Content::Filled(filled) => filled.peer.end_reason(),
            Content::Empty(_) | Content::Refusing(_) | Content::Losing(_) | Content::Closed(_) => {
                None
            }
        };
        let Some(reason) = reason else { return };
        let losing = Content::Losing(reason.clone());
        let old = std::mem::replace(&mut state.content, losing);
        let sent = std::mem::take(&mut state.sent);
        drop(state);
        let mut pending = Vec::new();
        for (number, call) in sent {
            if let Some(strong) = call.upgrade()
                && strong.look()
            {
                pending.push((number, call));
            }
        }
        let mut state = self.lock();
        state.sent.extend(pending);
        if let Content::Losing(_) = state.content {
            state.content = Content::Empty(reason);
        }
        let next = state.next.take();
        drop(state);
        old.discard();
        if let Some((hook, peer)) = next {
            Group::put_all(&peer, vec![(self.clone(), hook)]);
        }
    }

    /// Takes the content out, although its session continues.
    pub(crate) fn take(&self, reason: Error) -> Option<Hook> {
        let mut state = self.lock();
        if !matches!(state.content, Content::Sending(_) | Content::Filled(_)) {
            return None;
        }
        let old = std::mem::replace(&mut state.content, Content::Empty(reason));
        drop(state);
        match old {
            Content::Sending(filled) | Content::Filled(filled) => {
                filled.peer.remove_on_broken(filled.watch);
                Some(filled.hook)
            }
            Content::Empty(_) | Content::Refusing(_) | Content::Losing(_) | Content::Closed(_) => {
                None
            }
        }
    }

    /// Sets the reason why the slot is empty, if it is. Calls wait from now on.
    pub(crate) fn set_reason(&self, reason: Error) {
        let mut state = self.lock();
        if matches!(state.content, Content::Empty(_) | Content::Refusing(_)) {
            let old = std::mem::replace(&mut state.content, Content::Empty(reason));
            drop(state);
            drop(old);
        }
    }

    /// Fails waiting calls with `error`, and calls made before the slot is filled or another reason
    /// is set. Has no effect on a slot that is not empty.
    pub(crate) fn refuse(self: &Arc<Self>, error: Error) {
        let error = error.with_may_have_run(false);
        let mut state = self.lock();
        if matches!(
            state.content,
            Content::Sending(_) | Content::Filled(_) | Content::Closed(_)
        ) {
            return;
        }
        let old = std::mem::replace(&mut state.content, Content::Refusing(error.clone()));
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(old);
        for call in waiting.into_values().filter_map(Entry::upgrade) {
            call.fail(error.clone());
        }
    }

    /// Closes the slot for good: waiting calls and all later ones fail with `error`.
    pub(crate) fn close(self: &Arc<Self>, error: Error) {
        let error = error.with_may_have_run(false);
        let mut state = self.lock();
        if matches!(state.content, Content::Closed(_)) {
            return;
        }
        let closed = Content::Closed(error.clone());
        let old = std::mem::replace(&mut state.content, closed);
        let waiting = std::mem::take(&mut state.waiting);
        let callbacks = std::mem::take(&mut state.on_broken);
        let wakers = std::mem::take(&mut state.wakers);
        let next = state.next.take();
        drop(state);
        for call in waiting.into_values().filter_map(Entry::upgrade) {
            call.fail(error.clone());
        }
        old.discard();
        if let Some((hook, _)) = next {
            work::submit(Work::DropHook(hook));
        }
        wakers.into_iter().for_each(Waker::wake);
        for registration in callbacks.into_values() {
            registration.ended(&error);
        }
    }
}

impl Place for Slot {
    fn import(&self) -> Option<Arc<Import>> {
        if self.is_timed() {
            return None;
        }
        match &self.lock().content {
            Content::Filled(Filled {
                hook: Hook::Import(import),
                ..
            }) if !import.is_resolved() => Some(import.clone()),
            _ => None,
        }
    }

    fn content_and_peer(&self) -> Option<(Hook, Arc<dyn Peer>)> {
        match &self.lock().content {
            Content::Sending(filled) | Content::Filled(filled) => {
                Some((filled.hook.clone(), filled.peer.clone()))
            }
            Content::Empty(_) | Content::Refusing(_) | Content::Losing(_) | Content::Closed(_) => {
                None
            }
        }
    }

    fn enter(self: Arc<Self>, path: &Path, mut operation: Operation, origin: &Origin) -> Entered {
        if self.is_timed() {
            return Entered::Done(self.wait(path, operation, origin));
        }
        loop {
            let through = match self.look() {
                Look::Through(through) => through,
                Look::Wait { .. } => return Entered::Done(self.wait(path, operation, origin)),
                Look::Closed(error) => return Entered::Done(Hook::Broken(error)),
            };
            if let Err(error) = refuse_lost_arguments(&operation) {
                return Entered::Done(Hook::Broken(error));
            }
            let Through {
                hook,
                peer,
                generation,
            } = through;
            let hook = self.shorten(hook, generation);
            match attempt(hook, &peer, path, operation) {
                Attempt::Sent(result) => return Entered::Done(result),
                Attempt::Onward(hook, operation) => return Entered::Onward(hook, operation),
                Attempt::Over(back) => operation = back,
            }
            self.lost(generation);
        }
    }

    fn add_on_broken(&self, registration: &Arc<dyn OnEnd>) -> Option<Error> {
        let mut state = self.lock();
        if let Content::Closed(error) = &state.content {
            return Some(error.clone());
        }
        let number = registration.number();
        state.on_broken.insert(number, registration.clone());
        None
    }

    fn remove_on_broken(&self, number: u64) {
        let removed = self.lock().on_broken.remove(&number);
        drop(removed);
    }

    fn poll_filled(&self, cx: &Context<'_>) -> Poll<Result<Arc<dyn Peer>>> {
        let mut waker = Some(cx.waker().clone());
        let mut state = self.lock();
        match &state.content {
            Content::Filled(filled) => return Poll::Ready(Ok(filled.peer.clone())),
            Content::Closed(error) => return Poll::Ready(Err(error.clone())),
            Content::Empty(_) | Content::Refusing(_) | Content::Losing(_) | Content::Sending(_) => {
            }
        }
        wakers::register(&mut state.wakers, &mut waker);
        drop(state);
        Poll::Pending
    }

    fn repeat(self: Arc<Self>, path: &Path, operation: Operation) -> Hook {
        self.start(None, path, operation, &Origin::App, true)
    }
}

fn not_sent_yet() -> Error {
    Error::disconnected("the calls before this one have not been sent")
}

impl Filled {
    fn through(&self, generation: u64) -> Through {
        Through {
            hook: self.hook.clone(),
            peer: self.peer.clone(),
            generation,
        }
    }
}

impl State {
    fn set_filled(&mut self) {
        let content = std::mem::replace(&mut self.content, Content::Losing(Error::internal()));
        self.content = match content {
            Content::Sending(filled) => Content::Filled(filled),
            other => other,
        };
    }
}

impl Content {
    /// Returns true if calls wait for the content to change.
    fn lets_wait(&self) -> bool {
        match self {
            Self::Empty(_) | Self::Losing(_) | Self::Sending(_) => true,
            Self::Refusing(_) | Self::Filled(_) | Self::Closed(_) => false,
        }
    }

    /// Drops the content of a slot, which can end its session.
    fn discard(self) {
        if let Self::Sending(filled) | Self::Filled(filled) = self {
            filled.peer.remove_on_broken(filled.watch);
            work::submit(Work::DropHook(filled.hook));
        }
    }
}

/// Notifies a slot of the end of its content's session.
struct SessionWatch {
    number: u64,
    slot: Weak<Slot>,
    generation: u64,
}

impl OnEnd for SessionWatch {
    fn number(&self) -> u64 {
        self.number
    }

    fn ended(&self, _: &Error) {
        if let Some(slot) = self.slot.upgrade() {
            slot.lost(self.generation);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let state = self.state.data_mut();
        let closed = Content::Closed(Error::internal());
        std::mem::replace(&mut state.content, closed).discard();
        let mut fate = self.fate.state.acquire();
        fate.0 = true;
        let wakers = std::mem::take(&mut fate.1);
        drop(fate);
        wakers.into_iter().for_each(Waker::wake);
    }
}

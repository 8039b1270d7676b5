//! Lasting stubs: stubs that outlive sessions.
//!
//! A session ends when its connection does, and all its stubs break. A lasting stub refers to a
//! [`Slot`] instead. Its owner, mostly a client that connects again and again, puts the stub of
//! each new session into the slot, and whoever holds the lasting stub goes on calling it.
//!
//! ```
//! # use capnweb_core::{Error, Object, Result, Session, SessionOptions, pair};
//! use capnweb_core::lasting::{SlotGroup, SlotOptions};
//!
//! # fn connect() -> Session {
//! #     let main = Object::new().method("add", async |a: i32, b: i32| Ok(a + b));
//! #     let (left, right) = pair();
//! #     let (_, mut server) = Session::server(SessionOptions::new());
//! #     server.set_main(main.into_stub());
//! #     tokio::spawn(server.drive(left));
//! #     let (session, client) = Session::client(SessionOptions::new());
//! #     tokio::spawn(client.drive(right));
//! #     session
//! # }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
//! let group = SlotGroup::new(SlotOptions::new());
//! let (slot, api) = group.slot();
//!
//! // There is no session yet, so the call waits for one.
//! let sum = api.call("add", (1, 2));
//! let session = connect();
//! slot.put(&session, session.main());
//! assert_eq!(sum.fetch::<i32>().await?, 3);
//!
//! // The session ends, and the stub goes on with the next one.
//! session.close(Error::new("the connection is lost"));
//! let session = connect();
//! slot.put(&session, session.main());
//! assert_eq!(api.call("add", (3, 4)).fetch::<i32>().await?, 7);
//! # Ok(()) }
//! ```
//!
//! # What a lasting stub is
//!
//! It is an ordinary [`Stub`], typed or not. A call on it is a call on the stub in the slot: the
//! arguments are sent as they are, a `map` takes one round trip, and a lasting stub that is passed
//! as an argument arrives as the peer's own object, if its slot is filled from the same session. For
//! another session it is an object of this process, which can be called across any number of sessions.
//!
//! [`Stub::on_broken`] of a lasting stub tells of [`Slot::close`], not of the end of a session.
//!
//! # Calls and the end of a session
//!
//! | the call | what becomes of it |
//! |---|---|
//! | was sent, and not answered | it fails; [`Error::may_have_run`] is true |
//! | was not taken by the transport | it fails; `may_have_run` is false |
//! | is [idempotent](Stub::idempotent), and so is all that leads to it | it is made again on the next session, if the [`RetryPolicy`] allows it |
//! | is made while the slot is empty | it waits, or fails at once: [`WhileDown`] |
//! | is made on the promise of a call that waits | it waits with that, and is sent behind it |
//! | has a stub of a session that is over among its arguments | it fails |
//!
//! Calls that wait are sent in the order in which they were made, before any that are made later. A
//! call that waits is dropped with its promise, for instance by a timeout; [`Promise::detach`] leaves
//! it in place.
//!
//! [`Promise::detach`]: crate::Promise::detach

use std::{
    fmt,
    future::{Future, poll_fn},
    sync::{Arc, Weak},
};

use super::{
    args::{ArgsWriter, CallArgs},
    promise::Promise,
    session::Session,
    stub::{Member, Stub},
    value::Value,
};
pub use crate::graph::lasting::{LostCall, RetryPolicy, SlotOptions, WhileDown};
use crate::graph::{
    asked::Asked,
    engine::{
        invoke::{Operation, Origin, invoke},
        map,
    },
    error::Error,
    hook::{Hook, Settled},
    lasting::{self, Fate, Group, Status},
    payload::{Cap, Path, with_scratch},
    stream,
};

/// Several slots with the same settings, and what waits in all of them.
///
/// A client has one group: for the server's main object, and for whatever it gets anew in each
/// session. Clones are handles on the same group.
#[derive(Clone)]
pub struct SlotGroup {
    group: Arc<Group>,
}

/// What waits in the slots of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// The number of calls.
    pub calls: usize,
    /// The bytes of their arguments.
    pub bytes: usize,
}

impl SlotGroup {
    /// Creates a group without slots.
    pub fn new(options: SlotOptions) -> Self {
        Self {
            group: Group::new(options),
        }
    }

    /// Creates an empty slot, and the first stub of it.
    pub fn slot(&self) -> (Slot, Stub) {
        let reason = Error::disconnected("there has been no session yet");
        let slot = lasting::Slot::new(&self.group, reason);
        let handle = Slot {
            slot: Arc::downgrade(&slot),
            fate: slot.fate().clone(),
        };
        (handle, Stub::from_hook(Hook::Lasting(slot)))
    }

    /// Puts stubs of one session into slots, all at once.
    ///
    /// First all slots are filled, so that each may be an argument of a call on another. Then what
    /// waited is sent, in the order in which it was called, whichever of these slots it is in. Calls
    /// that are made meanwhile come behind.
    ///
    /// What a stub is that a slot already holds is dropped, so a session can be the last thing to go
    /// with it: hold its [`Session`] until the calls that it has are answered. Slots that are closed or
    /// gone are left out.
    pub fn put_all(&self, session: &Session, stubs: impl IntoIterator<Item = (Slot, Stub)>) {
        let peer = session.peer();
        let contents = stubs.into_iter().filter_map(|(slot, stub)| {
            let slot = slot.slot.upgrade()?;
            Some((slot, stub.into_hook()))
        });
        Group::put_all(&peer, contents.collect());
    }

    /// Returns what waits in all slots.
    pub fn waiting(&self) -> Waiting {
        let usage = self.group.usage();
        Waiting {
            calls: usage.calls,
            bytes: usage.bytes,
        }
    }
}

impl fmt::Debug for SlotGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SlotGroup")
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

/// The state of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotState {
    /// Calls wait or fail.
    Empty,
    /// Calls go to a session.
    Filled,
    /// Calls fail, for good.
    Closed,
    /// Nobody holds a stub of it.
    Gone,
}

/// The place that a lasting stub refers to, for its owner.
///
/// It does not keep the slot: with the last stub and the last call that waits the slot is gone, and
/// what was in it is dropped. Clones are handles on the same slot.
#[derive(Clone)]
pub struct Slot {
    slot: Weak<lasting::Slot>,
    fate: Arc<Fate>,
}

impl Slot {
    /// Puts a stub of `session` into the slot, and sends what waited: see
    /// [`SlotGroup::put_all`]. The stub need not have settled.
    ///
    /// If the session has ended, or as soon as it does, the slot is empty.
    pub fn put(&self, session: &Session, stub: Stub) {
        if let Some(slot) = self.slot.upgrade() {
            Group::put_all(&session.peer(), vec![(slot, stub.into_hook())]);
        }
    }

    /// Takes the stub out, of a session that goes on. Calls that are made now wait, or fail with
    /// `reason`; those that were sent are answered.
    pub fn take(&self, reason: Error) -> Option<Stub> {
        self.slot.upgrade()?.take(reason).map(Stub::from_hook)
    }

    /// Sets why the slot is empty, for the errors of calls that fail for that. A slot that is not
    /// empty does not change.
    pub fn set_reason(&self, reason: Error) {
        if let Some(slot) = self.slot.upgrade() {
            slot.set_reason(reason);
        }
    }

    /// Closes the slot for good. What waits fails with `error`, as does every later call, and
    /// callbacks of [`Stub::on_broken`] are called. Calls that were sent are answered.
    pub fn close(&self, error: Error) {
        if let Some(slot) = self.slot.upgrade() {
            slot.close(error);
        }
    }

    /// Returns the state of the slot.
    pub fn state(&self) -> SlotState {
        match self.slot.upgrade().map(|slot| slot.status()) {
            Some(Status::Empty) => SlotState::Empty,
            Some(Status::Filled) => SlotState::Filled,
            Some(Status::Closed) => SlotState::Closed,
            None => SlotState::Gone,
        }
    }

    /// Returns another stub of the slot, while any is held.
    pub fn stub(&self) -> Option<Stub> {
        self.slot
            .upgrade()
            .map(|slot| Stub::from_hook(Hook::Lasting(slot)))
    }

    /// Waits until the slot is gone, since nobody holds a stub of it any more.
    pub fn gone(&self) -> impl Future<Output = ()> + Send + use<> {
        let fate = self.fate.clone();
        poll_fn(move |cx| fate.poll_gone(cx))
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// A stub whose calls are idempotent: made by [`Stub::idempotent`].
#[derive(Clone, Copy, Debug)]
pub struct Idempotent<'a> {
    stub: &'a Stub,
}

impl Stub {
    /// Marks the calls that are made through what this returns as idempotent: to make them twice
    /// does what making them once does.
    ///
    /// A [lasting stub](crate::lasting) makes such a call again if it was lost with its session,
    /// within what its [`RetryPolicy`] allows. The chain that leads to the call has to be idempotent
    /// too. Its arguments are kept until it is answered; with streams among them it is made once.
    /// On any other stub the mark means nothing.
    ///
    /// ```
    /// # use capnweb_core::{Object, Result};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// # let api = Object::new().method("balance", async |_: String| Ok(10)).into_stub();
    /// let balance = api.idempotent().call("balance", ("Ada",));
    /// assert_eq!(balance.fetch::<u32>().await?, 10);
    /// # Ok(()) }
    /// ```
    pub fn idempotent(&self) -> Idempotent<'_> {
        Idempotent { stub: self }
    }

    /// Makes an idempotent call of a member, or of what this refers to itself.
    pub(crate) fn call_idempotent(&self, member: Option<Member<'_>>, args: impl CallArgs) -> Hook {
        if !self.is_repeated() {
            return self.call_member(member, args);
        }
        with_scratch(|draft| {
            if let Err(error) = args.write(&mut ArgsWriter::new(draft)) {
                return Hook::Broken(error);
            }
            let caps = &mut draft.holes.caps;
            if caps.iter().any(Cap::is_placeholder) {
                return Hook::Broken(map::escaped());
            }
            if let Err(error) = stream::transfer(caps) {
                return Hook::Broken(error);
            }
            let path = member.map_or_else(|| self.path().clone(), |member| self.path_to(member));
            self.repeated(path, Operation::Call(draft.take_payload()))
        })
    }

    /// Returns whether idempotent calls on this are made again if they are lost.
    fn is_repeated(&self) -> bool {
        if map::is_recording() {
            return false;
        }
        match self.hook() {
            Hook::Lasting(_) => true,
            Hook::Call(call) => call.is_repeated(),
            Hook::Promise(_) => {
                matches!(self.hook().follow(), Settled::Yes(Hook::Lasting(_)))
            }
            _ => false,
        }
    }

    /// Reads a property of this at once, if the read may have to be made again.
    pub(crate) fn get_idempotent(&self, property: Self) -> Self {
        if !self.is_repeated() {
            return property;
        }
        let result = self.repeated(property.path().clone(), Operation::Get);
        property.with_hook(result)
    }

    fn repeated(&self, path: Path, operation: Operation) -> Hook {
        let hook = match self.hook() {
            hook @ Hook::Promise(_) => match hook.follow() {
                Settled::Yes(hook) | Settled::Not(hook) => hook,
            },
            hook => hook.clone(),
        };
        match hook {
            Hook::Lasting(slot) => slot.repeat(&path, operation),
            Hook::Call(call) => call.repeat(&path, operation),
            hook => invoke(hook, &path, operation, &Origin::App),
        }
    }
}

impl Idempotent<'_> {
    /// Calls a method.
    pub fn call(&self, method: &str, args: impl CallArgs) -> Promise<Value> {
        let result = self.stub.call_idempotent(Some(Member::Named(method)), args);
        Promise::from_stub(Stub::outcome(result, Asked::Named(method.into())))
    }

    /// Calls what the stub refers to, as a function.
    pub fn invoke(&self, args: impl CallArgs) -> Promise<Value> {
        let result = self.stub.call_idempotent(None, args);
        Promise::from_stub(Stub::outcome(result, Asked::function(self.stub.path())))
    }

    /// Reads a property, at once.
    pub fn get<'s>(&self, property: impl Into<capnweb_wire::Step<'s>>) -> Promise<Value> {
        let property = Promise::into_stub(self.stub.get(property));
        Promise::from_stub(self.stub.get_idempotent(property))
    }
}

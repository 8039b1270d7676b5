//! Lasting stubs: stubs that outlive sessions.
//!
//! When a connection ends, its session ends and all stubs of the session break. A lasting stub
//! refers to a [`Slot`] instead. The slot's owner, usually a client that reconnects, puts a stub of
//! each new session into the slot. The lasting stub then refers to that stub.
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
//! // The session ends. The lasting stub works with the next one.
//! session.close(Error::new("the connection is lost"));
//! let session = connect();
//! slot.put(&session, session.main());
//! assert_eq!(api.call("add", (3, 4)).fetch::<i32>().await?, 7);
//! # Ok(()) }
//! ```
//!
//! # Properties of a lasting stub
//!
//! A lasting stub is an ordinary [`Stub`], typed or not. A call on it is a call on the stub in the
//! slot: its arguments are sent unchanged, and a `map` takes one round trip. If a lasting stub is
//! passed as an argument to the session that fills its slot, it arrives as the peer's own object.
//! In any other session, it is an object of this process, which stays callable across sessions.
//!
//! [`Stub::on_broken`] of a lasting stub reports [`Slot::close`], but not the end of a session.
//!
//! # Calls and the end of a session
//!
//! | the call | what happens to it |
//! |---|---|
//! | was sent and not answered | it fails; [`Error::may_have_run`] is true |
//! | was not taken by the transport | it fails; `may_have_run` is false |
//! | is [idempotent](Stub::idempotent), like all calls that it depends on | it is retried on the next session, if the [`RetryPolicy`] allows it |
//! | is made while the slot is empty | it waits or fails at once: see [`WhileDown`] |
//! | is made on the promise of a waiting call | it waits too, and is sent after that call |
//! | has an argument that is a stub of an ended session | it fails |
//!
//! Waiting calls are sent in the order in which they were made, before any later calls. If the
//! promise of a waiting call is dropped, for example by a timeout, the call is dropped too. To
//! prevent this, use [`Promise::detach`].
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

/// A group of slots with the same settings and a common limit on waiting calls.
///
/// A client has one group, with a slot for the server's main object and for each object that it
/// requests again in each session. Clones are handles on the same group.
#[derive(Clone)]
pub struct SlotGroup {
    group: Arc<Group>,
}

/// The calls that wait in the slots of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waiting {
    /// The number of waiting calls.
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

    /// Creates an empty slot and its first lasting stub.
    pub fn slot(&self) -> (Slot, Stub) {
        let reason = Error::disconnected("there has been no session yet");
        let slot = lasting::Slot::new(&self.group, reason);
        let handle = Slot {
            slot: Arc::downgrade(&slot),
            fate: slot.fate().clone(),
        };
        (handle, Stub::from_hook(Hook::Lasting(slot)))
    }

    /// Fills several slots with stubs of one session.
    ///
    /// All slots are filled before any call is sent, so a stub may be an argument of a call on
    /// another one. Then the waiting calls of all slots are sent in the order in which they were
    /// made. Calls that are made meanwhile come after them.
    ///
    /// The slots' previous stubs are dropped. If nothing else holds the previous session, it ends:
    /// keep a [`Session`] handle until its calls are answered. Closed slots, and slots without
    /// stubs, are skipped.
    pub fn put_all(&self, session: &Session, stubs: impl IntoIterator<Item = (Slot, Stub)>) {
        let peer = session.peer();
        let contents = stubs.into_iter().filter_map(|(slot, stub)| {
            let slot = slot.slot.upgrade()?;
            Some((slot, stub.into_hook()))
        });
        Group::put_all(&peer, contents.collect());
    }

    /// Returns the calls that wait in all slots.
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
    /// There is no session. Calls wait or fail.
    Empty,
    /// Calls go to a session.
    Filled,
    /// The slot is closed for good. Calls fail.
    Closed,
    /// All of the slot's stubs were dropped.
    Gone,
}

/// The identity of a slot. It is unique among the slots on which there are handles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SlotId(usize);

impl SlotId {
    /// Returns the slot that a stub refers to, if it is a lasting stub.
    pub fn of(stub: &Stub) -> Option<Self> {
        match stub.hook().follow() {
            Settled::Yes(hook @ Hook::Lasting(_)) => hook.identity().map(Self),
            _ => None,
        }
    }
}

/// The owner's handle on the place that a lasting stub refers to.
///
/// It does not keep the slot alive: the slot and its content are dropped with the last stub and the
/// last waiting call. Clones are handles on the same slot.
#[derive(Clone)]
pub struct Slot {
    slot: Weak<lasting::Slot>,
    fate: Arc<Fate>,
}

impl Slot {
    /// Puts a stub of `session` into the slot, and sends the waiting calls: see
    /// [`SlotGroup::put_all`]. The stub may be an unsettled promise.
    ///
    /// When the session ends, or if it has ended already, the slot becomes empty.
    pub fn put(&self, session: &Session, stub: Stub) {
        if let Some(slot) = self.slot.upgrade() {
            Group::put_all(&session.peer(), vec![(slot, stub.into_hook())]);
        }
    }

    /// Takes the stub out, although its session continues. New calls wait or fail with `reason`.
    /// Calls that were already sent are still answered.
    pub fn take(&self, reason: Error) -> Option<Stub> {
        self.slot.upgrade()?.take(reason).map(Stub::from_hook)
    }

    /// Fails calls instead of letting them wait: those that wait now, and those made before the
    /// slot is filled or [`set_reason`](Self::set_reason) is called. They fail with `error` and
    /// have not run. Has no effect on a slot that is not empty.
    ///
    /// Use this when there will be no session for now, for example because the user has to sign in
    /// again.
    pub fn refuse(&self, error: Error) {
        if let Some(slot) = self.slot.upgrade() {
            slot.refuse(error);
        }
    }

    /// Sets the reason why the slot is empty, for the errors of calls that fail because of it. Has
    /// no effect on a slot that is not empty.
    pub fn set_reason(&self, reason: Error) {
        if let Some(slot) = self.slot.upgrade() {
            slot.set_reason(reason);
        }
    }

    /// Closes the slot for good. Waiting calls and all later ones fail with `error`, and the
    /// callbacks of [`Stub::on_broken`] run. Calls that were already sent are still answered.
    pub fn close(&self, error: Error) {
        if let Some(slot) = self.slot.upgrade() {
            slot.close(error);
        }
    }

    /// Returns the identity of the slot.
    pub fn id(&self) -> SlotId {
        SlotId(self.slot.as_ptr().addr())
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

    /// Returns another stub of the slot, or `None` if all of its stubs were dropped.
    pub fn stub(&self) -> Option<Stub> {
        self.slot
            .upgrade()
            .map(|slot| Stub::from_hook(Hook::Lasting(slot)))
    }

    /// Waits until all of the slot's stubs are dropped.
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

/// A stub whose calls are declared idempotent, from [`Stub::idempotent`].
#[derive(Clone, Copy, Debug)]
pub struct Idempotent<'a> {
    stub: &'a Stub,
}

impl Stub {
    /// Declares calls idempotent if they are made through the returned value: calling twice has the
    /// same effect as calling once.
    ///
    /// If such a call on a [lasting stub](crate::lasting) is lost with its session, it is retried
    /// as its [`RetryPolicy`] allows. All calls that it depends on must be idempotent too. The
    /// arguments are kept until the call is answered. A call with a stream as an argument is never
    /// retried. On any other stub, this has no effect.
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

    /// Makes an idempotent call of a member, or of the object itself.
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

    /// Returns whether idempotent calls on this stub are retried if they are lost.
    fn is_repeated(&self) -> bool {
        if map::is_recording() {
            return false;
        }
        match self.hook() {
            Hook::Lasting(_) => true,
            Hook::Call(call) => call.is_repeated(),
            Hook::Promise(_) | Hook::Import(_) => {
                matches!(self.hook().follow(), Settled::Yes(Hook::Lasting(_)))
            }
            _ => false,
        }
    }

    /// Reads a property now, if the read may have to be retried.
    pub(crate) fn get_idempotent(&self, property: Self) -> Self {
        if !self.is_repeated() {
            return property;
        }
        let result = self.repeated(property.path().clone(), Operation::Get);
        property.with_hook(result)
    }

    fn repeated(&self, path: Path, operation: Operation) -> Hook {
        let hook = match self.hook() {
            hook @ (Hook::Promise(_) | Hook::Import(_)) => match hook.follow() {
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

    /// Calls the object itself as a function.
    pub fn invoke(&self, args: impl CallArgs) -> Promise<Value> {
        let result = self.stub.call_idempotent(None, args);
        Promise::from_stub(Stub::outcome(result, Asked::function(self.stub.path())))
    }

    /// Reads a property at once.
    pub fn get<'s>(&self, property: impl Into<capnweb_wire::Step<'s>>) -> Promise<Value> {
        let property = Promise::into_stub(self.stub.get(property));
        Promise::from_stub(self.stub.get_idempotent(property))
    }
}

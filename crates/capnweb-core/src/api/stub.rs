//! Untyped references to objects.

use std::{
    fmt,
    future::{Future, poll_fn},
    sync::Arc,
};

use capnweb_wire::{DeError, Step};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

use crate::{
    api::{
        args::{ArgsWriter, CallArgs},
        object::{Function, Handler},
        promise::{Pipelined, Promise, PromiseFuture},
        value::Value,
    },
    graph::{
        asked::Asked,
        engine::{
            invoke::{Operation, Origin, invoke},
            map,
            target::Target,
        },
        error::{Error, Result},
        hook::{Hook, Settled},
        import::Import,
        lasting::refuse_lost,
        local_object::LocalObject,
        name::Name,
        on_broken,
        on_broken::BrokenGuard,
        payload::{Cap, Draft, Item, Located, Path, receive, stash, with_scratch},
        remote::Place,
        stream,
    },
};

/// A reference to an object, here or at a peer: the untyped one, on which the typed ones stand.
///
/// Cloning a stub duplicates the reference, dropping it disposes of it: the peer is told once the
/// last clone is gone. Calls return promises at once, and promises can be called like stubs, so
/// that a chain of calls takes one round trip:
///
/// ```
/// # use capnweb::{Object, Result, Stub};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// # let user = || Object::new().method("getUserId", async || Ok(7)).into_stub();
/// # let api = Object::new().method("authenticate", move |_: String| { let user = user(); async { Ok(user) } }).into_stub();
/// # let token = "token";
/// let id: u32 = api.call("authenticate", (token,)).call("getUserId", ()).fetch().await?;
/// assert_eq!(id, 7);
/// # Ok(()) }
/// ```
///
/// Arguments are a tuple of anything serde can serialize, with stubs and promises anywhere in it. A
/// promise is replaced by its outcome at the callee, without coming here first.
#[derive(Clone)]
pub struct Stub {
    hook: Hook,
    path: Path,
    /// What errors name.
    asked: Asked,
}

/// A method or property.
#[derive(Clone, Copy)]
pub(crate) enum Member<'a> {
    /// By any name.
    Named(&'a str),
    /// By one that is known when the program is compiled.
    Known(&'static Name),
}

impl<'a> Member<'a> {
    fn name(self) -> &'a str {
        match self {
            Self::Named(name) => name,
            Self::Known(name) => name.wire(),
        }
    }
}

impl Stub {
    /// A stub for an object of this process. The object is dropped with the last reference to it,
    /// here or at any peer.
    pub fn new(target: impl Target) -> Self {
        Self::from_arc(Arc::new(target))
    }

    /// [`Self::new`] for an object that is shared already.
    pub fn from_arc(target: Arc<dyn Target>) -> Self {
        Self::from_hook(Hook::Target(LocalObject::new(target)))
    }

    /// A callable, for instance a callback: an async closure of up to eight arguments, whose types
    /// are annotated.
    ///
    /// ```
    /// # use capnweb::{Result, Stub};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// let greet = Stub::function(|name: String| async move { Ok(format!("Hello, {name}!")) });
    /// assert_eq!(greet.invoke(("Ada",)).fetch::<String>().await?, "Hello, Ada!");
    /// # Ok(()) }
    /// ```
    pub fn function<M: 'static>(function: impl Handler<M>) -> Self {
        Self::new(Function::new(function))
    }

    /// A stub whose every use fails with `error`.
    pub fn broken(error: Error) -> Self {
        Self::from_hook(Hook::Broken(error))
    }

    pub(crate) fn hook(&self) -> &Hook {
        &self.hook
    }

    pub(crate) fn from_hook(hook: Hook) -> Self {
        Self::outcome(hook, Asked::Value)
    }

    /// The outcome of something, which errors name.
    pub(crate) fn outcome(hook: Hook, asked: Asked) -> Self {
        Self {
            hook,
            path: Path::default(),
            asked,
        }
    }

    /// The stub with the hook that [`into_hook`](Self::into_hook) returns, and what errors name.
    pub(crate) fn requested(mut self) -> Self {
        if !self.path.is_empty() {
            self.hook = self.request(&self.path, Operation::Get);
        }
        self
    }

    pub(crate) fn hook_mut(&mut self) -> &mut Hook {
        &mut self.hook
    }

    /// What errors say about an outcome that does not fit.
    pub(crate) fn misfit(&self, error: &DeError) -> Error {
        Error::type_error(self.asked.misfit(&self.path, error))
    }

    /// The hook; what the path leads to is asked for.
    pub(crate) fn into_hook(self) -> Hook {
        self.requested().hook
    }

    fn request(&self, path: &Path, request: Operation) -> Hook {
        if map::is_recording() {
            return map::record(self.hook.clone(), path, request);
        }
        invoke(self.hook.clone(), path, request, &Origin::App)
    }

    /// Calls a method. The call is on its way when this returns; the promise is pulled only if it is
    /// awaited.
    pub fn call(&self, method: &str, args: impl CallArgs) -> Promise<Value> {
        let result = self.call_member(Some(Member::Named(method)), args);
        Promise::from_stub(Self::outcome(result, Asked::Named(method.into())))
    }

    /// Calls what this refers to, as a function.
    pub fn invoke(&self, args: impl CallArgs) -> Promise<Value> {
        let result = self.call_member(None, args);
        Promise::from_stub(Self::outcome(result, Asked::function(&self.path)))
    }

    /// Calls a member, or what this refers to itself.
    pub(crate) fn call_member(&self, member: Option<Member<'_>>, args: impl CallArgs) -> Hook {
        with_scratch(|draft| {
            if let Err(error) = args.write(&mut ArgsWriter::new(draft)) {
                return Hook::Broken(error);
            }
            let recording = map::is_recording();
            if !recording && draft.holes.caps.iter().any(Cap::is_placeholder) {
                return Hook::Broken(map::escaped());
            }
            if let Hook::Import(import) = &self.hook
                && !import.is_resolved()
                && !recording
            {
                let sent = self.send_call(import, member, draft);
                if let Some(sent) = sent {
                    return sent;
                }
            } else if let Hook::Lasting(slot) = &self.hook
                && !recording
                && let Some(sent) = self.call_in_slot(slot, member, draft)
            {
                return sent;
            }
            if !recording && !draft.holes.caps.is_empty() {
                read_properties(&mut draft.holes.caps, None);
                if let Err(error) = stream::transfer(&mut draft.holes.caps) {
                    return Hook::Broken(error);
                }
            }
            let args = draft.take_payload();
            match member {
                Some(member) => self.request(&self.path_to(member), Operation::Call(args)),
                None => self.request(&self.path, Operation::Call(args)),
            }
        })
    }

    /// Sends a call to a peer. Returns `None` if the import has been resolved meanwhile.
    #[inline(always)]
    fn send_call(
        &self,
        import: &Arc<Import>,
        member: Option<Member<'_>>,
        draft: &mut Draft,
    ) -> Option<Hook> {
        read_properties(&mut draft.holes.caps, Some(import));
        let method = member.map(Member::name);
        import
            .peer()
            .send_call(import, &self.path, method, draft.view())
    }

    /// Sends a call straight through a slot. Returns `None` if there is more to do about it.
    #[inline(never)]
    fn call_in_slot(
        &self,
        slot: &Arc<dyn Place>,
        member: Option<Member<'_>>,
        draft: &mut Draft,
    ) -> Option<Hook> {
        if let Err(error) = refuse_lost(&draft.holes.caps) {
            return Some(Hook::Broken(error));
        }
        self.send_call(&slot.import()?, member, draft)
    }

    /// The outcome of what this asks for.
    pub(crate) fn with_hook(self, hook: Hook) -> Self {
        Self::outcome(hook, self.asked)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn path_to(&self, member: Member<'_>) -> Path {
        match member {
            Member::Known(name) if self.path.is_empty() => name.path().clone(),
            member => self.path.join(&Step::Key(member.name().into())),
        }
    }

    /// A property whose name is known.
    pub(crate) fn member(&self, name: &'static Name) -> Self {
        let asked = match &self.asked {
            Asked::Value if self.path.is_empty() => Asked::Property(name),
            asked => asked.clone(),
        };
        Self {
            hook: self.hook.clone(),
            path: self.path_to(Member::Known(name)),
            asked,
        }
    }

    /// A property. It is read when the promise is awaited or used; a chain of properties is read at
    /// once.
    pub fn get<'a>(&self, property: impl Into<Step<'a>>) -> Promise<Value> {
        let stub = Self {
            hook: self.hook.clone(),
            path: self.path.join(&property.into()),
            asked: self.asked.clone(),
        };
        Promise::from_stub(stub)
    }

    /// Applies a function to the value at the peer: to each element of an array, once to anything
    /// else, not at all to null and undefined.
    ///
    /// The closure runs once, here, on a placeholder, and what it asks for is written down and sent.
    /// So it cannot be async nor look at the value, and it has no side effects.
    ///
    /// ```
    /// # use capnweb::{Object, Result};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// # let api = Object::new()
    /// #     .method("friends", async || Ok([1, 2]))
    /// #     .method("name", async |id: u32| Ok(format!("user {id}")))
    /// #     .into_stub();
    /// let names = api.call("friends", ()).map(|id| (id.clone(), api.call("name", (id,))));
    /// assert_eq!(
    ///     names.fetch::<Vec<(u32, String)>>().await?,
    ///     [(1, "user 1".to_owned()), (2, "user 2".to_owned())],
    /// );
    /// # Ok(()) }
    /// ```
    pub fn map<R: Serialize>(&self, function: impl FnOnce(Promise<Value>) -> R) -> Promise<Value> {
        let result = map::record_map(&self.hook, &self.path, |input| {
            function(Promise::from_hook(input))
        });
        Promise::from_stub(Self::outcome(result, Asked::Map))
    }

    /// The same promise, of another type.
    ///
    /// Nothing is converted, and nothing checked before the promise is awaited: the outcome is then read
    /// as a `T`.
    pub fn cast<T: Pipelined>(&self) -> Promise<T> {
        Promise::from_stub(self.clone())
    }

    /// Awaits the outcome as any type that serde can deserialize.
    pub fn fetch<T: DeserializeOwned>(&self) -> PromiseFuture<T> {
        PromiseFuture::new(self.clone())
    }

    /// Calls `callback` when this breaks: the promise is rejected, or the session of the object is
    /// over. Callbacks are called in the order of their registration; one that is registered late is
    /// called at once. Dropping the guard takes it back.
    pub fn on_broken(&self, callback: impl FnOnce(Error) + Send + 'static) -> BrokenGuard {
        on_broken::register(self.clone().into_hook(), Box::new(callback))
    }

    /// Waits until this breaks, and gives the reason. For an object of this process that is never.
    pub fn closed(&self) -> impl Future<Output = Error> + Send + 'static {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let guard = self.on_broken(move |error| {
            // Whoever waited may be gone.
            let _ = sender.send(error);
        });
        async move {
            let _guard = guard;
            match receiver.await {
                Ok(error) => error,
                Err(_) => std::future::pending().await,
            }
        }
    }

    /// Waits until the session has room for more messages: back pressure for those who send many
    /// calls without awaiting them. A lasting stub waits for a session, too.
    ///
    /// # Errors
    ///
    /// The reason of the session's end, if it is over; or the error, if this is a promise that was
    /// rejected.
    pub async fn ready(&self) -> Result<()> {
        match self.hook.follow() {
            Settled::Yes(Hook::Broken(error)) => return Err(error),
            Settled::Yes(Hook::Lasting(slot)) => {
                poll_fn(|cx| slot.poll_filled(cx)).await?;
            }
            _ => {}
        }
        match self.session() {
            Some(session) => session.ready().await,
            None => Ok(()),
        }
    }

    /// Whether both refer to the same object, as far as can be told here.
    pub fn is_same(&self, other: &Self) -> bool {
        self.path == other.path && self.hook.is_same(&other.hook)
    }

    fn located(&self) -> Located {
        Located {
            hook: self.hook.clone(),
            path: self.path.clone(),
        }
    }

    pub(crate) fn give_promise<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        stash(
            Item::Cap(Cap::Promise(self.located())),
            capnweb_wire::CAPABILITY,
            serializer,
        )
    }
}

/// Asks for the properties among arguments, which are used now: behind the calls that were made
/// before, before those that come, and once. In a message to the peer of an import what is the peer's own stays a
/// property, and it is the peer that reads it.
fn read_properties(caps: &mut [Cap], of_peer: Option<&Import>) {
    for cap in caps {
        let Cap::Promise(located) = cap else { continue };
        if located.path.is_empty() {
            continue;
        }
        if let Some(target) = of_peer {
            let content = match located.hook.follow() {
                Settled::Yes(Hook::Lasting(slot)) => slot.content_and_peer().map(|(hook, _)| hook),
                _ => None,
            };
            match content.as_ref().unwrap_or(&located.hook).follow() {
                Settled::Yes(Hook::Value(_)) => continue,
                Settled::Yes(Hook::Import(import)) | Settled::Not(Hook::Import(import))
                    if import.has_peer_of(target) =>
                {
                    continue;
                }
                _ => {}
            }
        }
        *cap = Cap::promise(located.resolve());
    }
}

impl Serialize for Stub {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        stash(
            Item::Cap(Cap::Stub(self.located())),
            capnweb_wire::CAPABILITY,
            serializer,
        )
    }
}

impl<'de> Deserialize<'de> for Stub {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        match receive(capnweb_wire::CAPABILITY, "a stub", deserializer)? {
            Item::Cap(Cap::Stub(located) | Cap::Promise(located)) => Ok(Self {
                hook: located.hook,
                path: located.path,
                asked: Asked::Value,
            }),
            Item::Cap(cap) => Err(D::Error::custom(format_args!(
                "expected a stub, got {}",
                cap.kind()
            ))),
            Item::Payload(_) => Err(D::Error::custom("expected a stub, got a value")),
        }
    }
}

impl fmt::Debug for Stub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.hook {
            Hook::Target(_) => "local",
            Hook::Import(import) if import.is_promise() => "promise",
            Hook::Import(_) => "remote",
            Hook::Lasting(_) => "lasting",
            Hook::Promise(_) | Hook::Call(_) => "promise",
            Hook::Value(_) => "value",
            Hook::Broken(_) => "broken",
            Hook::PipeWriter(_) => "writable",
            Hook::Placeholder(_) => "placeholder",
            Hook::Starting => "starting",
        };
        write!(f, "Stub({kind}")?;
        if !self.path.is_empty() {
            write!(f, " .{}", self.path.dotted())?;
        }
        f.write_str(")")
    }
}

impl From<Promise<Value>> for Stub {
    fn from(promise: Promise<Value>) -> Self {
        (*promise).clone()
    }
}

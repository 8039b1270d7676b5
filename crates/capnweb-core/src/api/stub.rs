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
        remote::{Place, SentMethod},
        stream,
    },
};

/// An untyped reference to an object, here or at a peer. Typed stubs wrap it.
///
/// Cloning a stub duplicates the reference. Dropping the last clone disposes of it, and notifies
/// the peer. Calls return promises at once. Promises can be called like stubs, so a chain of calls
/// takes one round trip:
///
/// ```
/// # use capnweb::{Object, Result, Stub};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// # let user = || Object::new().method("getUserId", async || Ok(7)).into_stub();
/// # let api = Object::new()
/// #     .method("authenticate", move |_: String| { let user = user(); async { Ok(user) } })
/// #     .into_stub();
/// # let token = "token";
/// let id: u32 = api.call("authenticate", (token,)).call("getUserId", ()).fetch().await?;
/// assert_eq!(id, 7);
/// # Ok(()) }
/// ```
///
/// Arguments are a tuple of values that serde can serialize, with stubs and promises anywhere
/// inside. The callee replaces a promise by its outcome, which is not sent here first.
#[derive(Clone)]
pub struct Stub {
    hook: Hook,
    path: Path,
    /// The names for errors.
    asked: Asked,
}

/// A method or property.
#[derive(Clone, Copy)]
pub(crate) enum Member<'a> {
    /// An arbitrary name.
    Named(&'a str),
    /// A name that is known at compile time.
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
    /// Creates a stub for an object of this process. The object is dropped with its last reference,
    /// here or at any peer.
    pub fn new(target: impl Target) -> Self {
        Self::from_arc(Arc::new(target))
    }

    /// Creates a stub like [`new`](Self::new), for an object that is already shared.
    pub fn from_arc(target: Arc<dyn Target>) -> Self {
        Self::from_hook(Hook::Target(LocalObject::new(target)))
    }

    /// Creates a stub for a function, such as a callback. It is an async closure of up to eight
    /// arguments with type annotations.
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

    /// Returns a stub whose every use fails with `error`.
    pub fn broken(error: Error) -> Self {
        Self::from_hook(Hook::Broken(error))
    }

    pub(crate) fn hook(&self) -> &Hook {
        &self.hook
    }

    pub(crate) fn from_hook(hook: Hook) -> Self {
        Self::outcome(hook, Asked::Value)
    }

    /// Returns a stub for the outcome of the operation `asked`, which errors name.
    pub(crate) fn outcome(hook: Hook, asked: Asked) -> Self {
        Self {
            hook,
            path: Path::default(),
            asked,
        }
    }

    /// Returns the stub with the hook from [`into_hook`](Self::into_hook), and with its names for
    /// errors.
    pub(crate) fn requested(mut self) -> Self {
        if !self.path.is_empty() {
            self.hook = self.request(&self.path, Operation::Get);
        }
        self
    }

    pub(crate) fn hook_mut(&mut self) -> &mut Hook {
        &mut self.hook
    }

    /// Returns the error for an outcome of the wrong type.
    pub(crate) fn misfit(&self, error: &DeError) -> Error {
        Error::type_error(self.asked.misfit(&self.path, error))
    }

    /// Returns the hook. Reads the properties of the path, if there are any.
    pub(crate) fn into_hook(self) -> Hook {
        self.requested().hook
    }

    fn request(&self, path: &Path, request: Operation) -> Hook {
        if map::is_recording() {
            return map::record(self.hook.clone(), path, request);
        }
        invoke(self.hook.clone(), path, request, &Origin::App)
    }

    /// Calls a method. The call is sent without waiting; its result is only requested if the
    /// promise is awaited.
    pub fn call(&self, method: &str, args: impl CallArgs) -> Promise<Value> {
        let result = self.call_member(Some(Member::Named(method)), args);
        Promise::from_stub(Self::outcome(result, Asked::Named(method.into())))
    }

    /// Calls the object itself as a function.
    pub fn invoke(&self, args: impl CallArgs) -> Promise<Value> {
        let result = self.call_member(None, args);
        Promise::from_stub(Self::outcome(result, Asked::function(&self.path)))
    }

    /// Calls a member, or the object itself.
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
        let method = member.map(|member| SentMethod {
            name: member.name(),
            is_declared: matches!(member, Member::Known(_)),
        });
        import
            .peer()
            .send_call(import, &self.path, method, draft.view())
    }

    /// Sends a call directly to the stub in a slot. Returns `None` if the call needs more than
    /// that.
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

    /// Returns a stub for the outcome of this stub's operation.
    pub(crate) fn with_hook(self, hook: Hook) -> Self {
        Self::outcome(hook, self.asked)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn path_to(&self, member: Member<'_>) -> Path {
        match member {
            Member::Known(name) if self.path.is_empty() => name.path().clone(),
            Member::Known(name) => self.path.join_declared(name.wire()),
            Member::Named(name) => self.path.join(&Step::Key(name.into())),
        }
    }

    /// Returns a property whose name is known at compile time.
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

    /// Returns a promise of a property. It is read when the promise is awaited or used. A chain of
    /// properties is read at once.
    pub fn get<'a>(&self, property: impl Into<Step<'a>>) -> Promise<Value> {
        let stub = Self {
            hook: self.hook.clone(),
            path: self.path.join(&property.into()),
            asked: self.asked.clone(),
        };
        Promise::from_stub(stub)
    }

    /// Applies a function to the value at the peer: to each element of an array, or once to any
    /// other value except null and undefined.
    ///
    /// The closure runs once, on this side, with a placeholder. Its calls are recorded and sent to
    /// the peer. So it cannot be async, cannot inspect the value, and must not have side effects.
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

    /// Returns the same promise with another type.
    ///
    /// This neither converts nor checks anything: the outcome is read as a `T` when the promise is
    /// awaited.
    pub fn cast<T: Pipelined>(&self) -> Promise<T> {
        Promise::from_stub(self.clone())
    }

    /// Awaits the outcome as a type that serde can deserialize.
    pub fn fetch<T: DeserializeOwned>(&self) -> PromiseFuture<T> {
        PromiseFuture::new(self.clone())
    }

    /// Runs `callback` when this stub breaks: its promise is rejected, or the session of its object
    /// ends. Callbacks run in the order of their registration, or at once if the stub is already
    /// broken. Dropping the guard removes the callback.
    pub fn on_broken(&self, callback: impl FnOnce(Error) + Send + 'static) -> BrokenGuard {
        on_broken::register(self.clone().into_hook(), Box::new(callback))
    }

    /// Waits until this stub breaks, and returns the reason. A stub of a local object never breaks.
    pub fn closed(&self) -> impl Future<Output = Error> + Send + 'static {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let guard = self.on_broken(move |error| {
            // It fails if nobody waits any more.
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

    /// Waits until the session has room for more messages. This is back pressure for callers that
    /// make many calls without awaiting them. For a lasting stub, it also waits for a session.
    ///
    /// # Errors
    ///
    /// Returns the reason for the session's end if it is over, or the error of a rejected promise.
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

    /// Returns whether both refer to the same object, as far as this side can tell.
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

/// Reads the properties among the arguments, since they are used now. They are read once, after
/// earlier calls and before later ones. In a message to the peer of an import, the peer's own
/// properties remain properties, which the peer reads itself.
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

//! The handle of a node on its cluster.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use capnweb_core::{
    Error, Result, Stub, StubType,
    lasting::{Slot, SlotGroup, SlotId, SlotState},
};
use tokio::sync::watch;

use crate::{
    backbone::Backbone,
    bus::Bus,
    directory::{Directory, DirectoryError},
    flag::Flag,
    lease::{DIRECTORY_TIMEOUT, timed},
    member::Member,
    node_id::NodeId,
    obituaries::Obituaries,
    placement::{Activate, Hosting, Kinds, ObjectKey, follow, left},
    rights::Rights,
    settings::ClusterOptions,
    sturdy::{Content, Keyring, SturdyRef, unix_time},
    token::{join, random_token},
    topic::{Feeds, Topic},
};

/// The pause before a node that has lost its lease tries again to join.
const REJOIN_PAUSE: Duration = Duration::from_millis(250);

/// A node of a cluster.
///
/// Clones are handles on the same node. When the last one is dropped, the node leaves in the
/// background; call [`leave`](Self::leave) to wait for it.
#[derive(Clone)]
pub struct Cluster {
    guard: Arc<Guard>,
}

/// Makes the node leave when the last handle is dropped.
struct Guard(Arc<Inner>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.leaving.set();
    }
}

/// The parts of a node that outlive its memberships.
pub(crate) struct Inner {
    pub(crate) name: String,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) options: ClusterOptions,
    pub(crate) kinds: Kinds,
    pub(crate) obituaries: Obituaries,
    group: SlotGroup,
    slots: Mutex<Slots>,
    membership: watch::Sender<Membership>,
    leaving: Flag,
    feeds: Arc<Feeds>,
}

/// The slots of lasting stubs that this node uses.
#[derive(Default)]
struct Slots {
    by_object: HashMap<ObjectKey, Slot>,
    /// Each with its handle, which keeps the ID in use.
    objects: HashMap<SlotId, (Slot, ObjectKey)>,
}

#[derive(Clone)]
enum Membership {
    Joining,
    Member(Arc<Member>),
    Left,
}

impl Inner {
    /// Waits until the node is a member.
    ///
    /// # Errors
    ///
    /// Fails if the node has left the cluster.
    pub(crate) async fn member(&self) -> Result<Arc<Member>> {
        let mut membership = self.membership.subscribe();
        let joined = membership.wait_for(|now| !matches!(now, Membership::Joining));
        match joined.await.as_deref() {
            Ok(Membership::Member(member)) => Ok(member.clone()),
            _ => Err(left()),
        }
    }

    fn slots(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the object of a stub that [`stub`](Self::stub) has returned.
    pub(crate) fn object_of(&self, stub: &Stub) -> Option<ObjectKey> {
        let slots = self.slots();
        let (_, object) = slots.objects.get(&SlotId::of(stub)?)?;
        Some(object.clone())
    }

    /// Returns a lasting stub of an object, which all users of this node share.
    pub(crate) fn stub(self: &Arc<Self>, object: ObjectKey) -> Stub {
        let known = self.slots().by_object.get(&object).cloned();
        let usable = known.filter(|slot| slot.state() != SlotState::Closed);
        if let Some(stub) = usable.and_then(|slot| slot.stub()) {
            return stub;
        }
        let (slot, stub) = self.group.slot();
        let mut slots = self.slots();
        slots.by_object.insert(object.clone(), slot.clone());
        let entry = (slot.clone(), object.clone());
        slots.objects.insert(slot.id(), entry);
        drop(slots);
        let inner = Arc::downgrade(self);
        tokio::spawn(async move {
            follow(inner.clone(), slot.clone(), object.clone()).await;
            let Some(inner) = inner.upgrade() else {
                return;
            };
            let mut slots = inner.slots();
            slots.objects.remove(&slot.id());
            // Meanwhile there may be a new slot for the object.
            let is_over = |slot: &Slot| matches!(slot.state(), SlotState::Gone | SlotState::Closed);
            if slots.by_object.get(&object).is_some_and(is_over) {
                slots.by_object.remove(&object);
            }
        });
        stub
    }

    /// Returns a lasting stub of an object that has a slot of its own.
    pub(crate) fn unshared_stub(self: &Arc<Self>, object: ObjectKey) -> Stub {
        let (slot, stub) = self.group.slot();
        tokio::spawn(follow(Arc::downgrade(self), slot, object));
        stub
    }

    /// Keeps the node a member until it leaves.
    async fn run(self: Arc<Self>, mut member: Arc<Member>) {
        loop {
            tokio::select! {
                () = self.leaving.wait() => {
                    member.leave(self.options.drain).await;
                    break;
                }
                () = member.lease.over() => {}
            }
            member.lose();
            self.membership.send_replace(Membership::Joining);
            member = tokio::select! {
                () = self.leaving.wait() => break,
                member = self.rejoin() => member,
            };
            tracing::info!(node = %member.id, "the node has joined again");
            self.membership
                .send_replace(Membership::Member(member.clone()));
        }
        self.membership.send_replace(Membership::Left);
        // A factory may hold a handle on the cluster.
        self.kinds.clear();
        let slots = std::mem::take(&mut *self.slots());
        for slot in slots.by_object.into_values() {
            slot.close(left());
        }
    }

    async fn rejoin(self: &Arc<Self>) -> Arc<Member> {
        loop {
            let joining = tokio::time::timeout(self.options.lease, Member::join(self));
            match joining.await {
                Ok(Ok(member)) => return member,
                Ok(Err(error)) => tracing::warn!(%error, "the node cannot join again yet"),
                Err(_) => tracing::warn!("the node cannot join again yet: no answer"),
            }
            tokio::time::sleep(REJOIN_PAUSE).await;
        }
    }
}

impl Cluster {
    /// Joins the cluster `name` with the default settings.
    ///
    /// # Errors
    ///
    /// Fails if the bus or the directory cannot be reached.
    pub async fn join(backbone: impl Into<Backbone>, name: &str) -> Result<Self> {
        Self::join_with(backbone, name, ClusterOptions::new()).await
    }

    /// Joins the cluster `name`.
    ///
    /// # Errors
    ///
    /// Fails if the bus or the directory cannot be reached.
    pub async fn join_with(
        backbone: impl Into<Backbone>,
        name: &str,
        options: ClusterOptions,
    ) -> Result<Self> {
        let Backbone { bus, directory } = backbone.into();
        let inner = Arc::new(Inner {
            name: name.to_owned(),
            obituaries: Obituaries::new(directory.clone(), name),
            directory,
            kinds: Kinds::new(),
            group: SlotGroup::new(options.slots()),
            slots: Mutex::default(),
            membership: watch::Sender::new(Membership::Joining),
            leaving: Flag::new(),
            feeds: Feeds::new(bus.clone()),
            options,
            bus,
        });
        let member = Member::join(&inner).await?;
        inner
            .membership
            .send_replace(Membership::Member(member.clone()));
        tokio::spawn(inner.clone().run(member));
        Ok(Self {
            guard: Arc::new(Guard(inner)),
        })
    }

    fn inner(&self) -> &Arc<Inner> {
        &self.guard.0
    }

    /// Returns the name of the cluster.
    pub fn name(&self) -> &str {
        &self.inner().name
    }

    /// Returns the ID of this node, or `None` while it is not a member of the cluster.
    pub fn node(&self) -> Option<NodeId> {
        Some(self.current()?.id.clone())
    }

    pub(crate) fn current(&self) -> Option<Arc<Member>> {
        match &*self.inner().membership.borrow() {
            Membership::Member(member) => Some(member.clone()),
            _ => None,
        }
    }

    /// Hosts objects of a kind on this node.
    ///
    /// `factory` activates an object when it is called and lives on no node. It returns the object,
    /// or a stub, for the interface with the stub `T`. The object lives on this node until it
    /// [retires](crate::Activation::retire), the node [leaves](Self::leave) or loses its lease. A
    /// factory's error fails the calls that wait for the object.
    ///
    /// A factory that holds a handle on its cluster keeps the node a member until it
    /// [leaves](Self::leave).
    ///
    /// ```
    /// use capnweb_cluster::{Activation, Backbone, Cluster};
    /// use capnweb_core::Result;
    ///
    /// #[capnweb_macros::interface(crate = "capnweb_core")]
    /// trait Room {
    ///     async fn greet(&self, guest: String) -> Result<String>;
    /// }
    ///
    /// struct Lounge(String);
    ///
    /// impl Room for Lounge {
    ///     async fn greet(&self, guest: String) -> Result<String> {
    ///         Ok(format!("{guest}, welcome to {}", self.0))
    ///     }
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
    /// let cluster = Cluster::join(Backbone::memory(), "hotel").await?;
    /// cluster.host::<RoomStub, _>("room", async |name: String, _: Activation| Ok(Lounge(name)));
    ///
    /// let room: RoomStub = cluster.get("room", "the lobby");
    /// assert_eq!(room.greet("Ada").await?, "Ada, welcome to the lobby");
    /// # Ok(()) }
    /// ```
    pub fn host<T: StubType + 'static, M: 'static>(
        &self,
        kind: &str,
        factory: impl Activate<T, M>,
    ) -> Hosting<T> {
        self.inner().kinds.add(kind, factory)
    }

    /// Returns a lasting stub of an object, wherever it lives.
    ///
    /// Returns at once. Calls wait until the object is found: see
    /// [`ClusterOptions::with_patience`]. If its node crashes, sent calls fail, and
    /// [idempotent](Stub::idempotent) ones are made again when the object is activated elsewhere.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub fn get<T: StubType>(&self, kind: &str, name: &str) -> T {
        T::from_stub(self.inner().stub(ObjectKey {
            kind: kind.to_owned(),
            name: name.to_owned(),
            rights: Rights::ALL,
        }))
    }

    /// Returns a reference to an object as a text, which is valid for `lifetime`.
    ///
    /// The object need not be active, or exist. Rights other than [`Rights::ALL`] need a
    /// [restriction](Hosting::restrict) at the object's host.
    ///
    /// # Errors
    ///
    /// Fails with the code `failed_precondition` if this node has no
    /// [keys](ClusterOptions::with_keyring).
    pub fn persist(
        &self,
        kind: &str,
        name: &str,
        rights: Rights,
        lifetime: Duration,
    ) -> Result<SturdyRef> {
        self.seal(None, kind, name, rights, lifetime)
    }

    /// Returns a reference like [`persist`](Self::persist) that can only be restored
    /// [for](Self::restore_for) `audience`, for example a user.
    ///
    /// # Errors
    ///
    /// Fails like [`persist`](Self::persist).
    pub fn persist_for(
        &self,
        audience: &str,
        kind: &str,
        name: &str,
        rights: Rights,
        lifetime: Duration,
    ) -> Result<SturdyRef> {
        self.seal(Some(audience.to_owned()), kind, name, rights, lifetime)
    }

    fn seal(
        &self,
        audience: Option<String>,
        kind: &str,
        name: &str,
        rights: Rights,
        lifetime: Duration,
    ) -> Result<SturdyRef> {
        let content = Content {
            kind: kind.to_owned(),
            name: name.to_owned(),
            rights,
            expiry: unix_time().saturating_add(lifetime.as_secs()),
            audience,
            id: random_token(),
        };
        content.seal(self.keyring()?, self.name())
    }

    fn keyring(&self) -> Result<&Keyring> {
        self.inner().options.keyring.as_ref().ok_or_else(|| {
            Error::failed_precondition("this node has no keys for sturdy references")
        })
    }

    /// Returns a lasting stub of the object that a reference names, with the rights in it.
    ///
    /// # Errors
    ///
    /// Fails with the code `permission_denied` if the reference is forged, expired, revoked, or
    /// meant for an audience, and with `unavailable` if the directory does not answer.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub async fn restore<T: StubType>(&self, token: &SturdyRef) -> Result<T> {
        self.unseal(token, None).await
    }

    /// Restores a reference that was made [for](Self::persist_for) `audience`.
    ///
    /// # Errors
    ///
    /// Fails like [`restore`](Self::restore), and if the reference was made for another audience or
    /// for none.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub async fn restore_for<T: StubType>(&self, audience: &str, token: &SturdyRef) -> Result<T> {
        self.unseal(token, Some(audience)).await
    }

    async fn unseal<T: StubType>(&self, token: &SturdyRef, audience: Option<&str>) -> Result<T> {
        let content = Content::open(token, self.keyring()?, self.name(), audience)?;
        let key = self.revocation_key(&content);
        let revoked = timed(self.inner().directory.get(&key), DIRECTORY_TIMEOUT).await?;
        if revoked.is_some() {
            let error = Error::permission_denied("the reference is revoked");
            return Err(error.with_may_have_run(false));
        }
        Ok(T::from_stub(self.inner().stub(ObjectKey {
            kind: content.kind,
            name: content.name,
            rights: content.rights,
        })))
    }

    /// Revokes a reference on all nodes. Stubs that were restored from it keep working.
    ///
    /// The directory keeps the revocation. Revoking a reference twice has no further effect.
    ///
    /// # Errors
    ///
    /// Fails if the reference is forged, or if the directory does not answer.
    pub async fn revoke(&self, token: &SturdyRef) -> Result<()> {
        let content = Content::open_unchecked(token, self.keyring()?, self.name())?;
        let key = self.revocation_key(&content);
        let value = content.expiry.to_string().into();
        match timed(
            self.inner().directory.create(&key, value),
            DIRECTORY_TIMEOUT,
        )
        .await
        {
            Ok(_) | Err(DirectoryError::Conflict) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn revocation_key(&self, content: &Content) -> String {
        join(&[self.name(), "revoked", &content.id])
    }

    /// Returns a topic, on which nodes publish events of type `T` to all nodes.
    ///
    /// ```
    /// # use capnweb_cluster::{Backbone, Cluster};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> capnweb_core::Result<()> {
    /// # let cluster = Cluster::join(Backbone::memory(), "shop").await?;
    /// let topic = cluster.topic::<String>("news");
    /// let mut events = topic.subscribe().await?;
    /// topic.publish(&"hello".to_owned()).await?;
    /// assert_eq!(events.next().await.unwrap()?, "hello");
    /// # Ok(()) }
    /// ```
    pub fn topic<T>(&self, name: &str) -> Topic<T> {
        let subject = join(&[self.name(), "topic", name]);
        Topic::new(self.inner().feeds.clone(), subject)
    }

    /// Returns the number of objects that live on this node.
    pub fn objects(&self) -> usize {
        self.current().map_or(0, |member| member.objects.len())
    }

    /// Returns the number of sessions with nodes, including the one of this node with itself.
    pub fn sessions(&self) -> usize {
        self.current().map_or(0, |member| member.links.len())
    }

    /// Leaves the cluster. The objects of this node stop as planned, and are activated elsewhere
    /// when they are called. The stubs of [`get`](Self::get) break. A server whose clients use
    /// them calls [`leave_after`](Self::leave_after) instead.
    pub async fn leave(&self) {
        self.inner().leaving.set();
        let mut membership = self.inner().membership.subscribe();
        // It fails if the sender is dropped, which `self` holds.
        let _ = membership
            .wait_for(|now| matches!(now, Membership::Left))
            .await;
    }

    /// Leaves the cluster after `ended`, usually the end of a server's sessions, and moves the
    /// objects of this node to other nodes before that.
    ///
    /// `ended` is awaited when the objects have moved. Until it completes, this node stays a
    /// member: the stubs of [`get`](Self::get) follow the objects, so sessions of this server that
    /// use them are not disturbed. Objects of kinds that no other node hosts stay here until the
    /// node leaves.
    ///
    /// Pass it to the drain of a server:
    ///
    /// ```
    /// # use capnweb_cluster::{Backbone, Cluster};
    /// # use capnweb_net::{Drain, Sessions};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> capnweb_core::Result<()> {
    /// # let cluster = Cluster::join(Backbone::memory(), "shop").await?;
    /// let sessions = Sessions::new();
    /// let node = cluster.clone();
    /// sessions.on_drain(|sessions_end| node.leave_after(sessions_end));
    /// # let drain = Drain::new().lb_delay(std::time::Duration::ZERO);
    ///
    /// // `capnweb::axum::Serve::drain_on` calls this.
    /// sessions.drain(drain).await;
    /// assert!(cluster.joined().await.is_err());
    /// # Ok(()) }
    /// ```
    pub async fn leave_after(self, ended: impl Future<Output = ()> + Send) {
        if let Some(member) = self.current() {
            let limit = self.inner().options.drain;
            member.hand_over(self.inner(), limit).await;
        }
        ended.await;
        self.leave().await;
    }

    /// Waits until this node is a member of the cluster, and returns its ID. A node that has lost
    /// its lease joins again.
    ///
    /// # Errors
    ///
    /// Fails if the node has left.
    pub async fn joined(&self) -> Result<NodeId> {
        Ok(self.inner().member().await?.id.clone())
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("name", &self.name())
            .field("node", &self.node())
            .finish_non_exhaustive()
    }
}

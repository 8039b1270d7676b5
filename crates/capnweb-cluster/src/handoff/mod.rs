//! Hand-off: a stub that one node passes on is called directly, not through that node.
//!
//! Node B passes A a stub whose object lives on C:
//!
//! ```text
//!   B ─► C   provide(stub, nonce)          C keeps the object ready under the nonce
//!   B ─► A   shorten(export, C, nonce)
//!   A ─► C     redeem(nonce)               A has a stub of C's; new calls of A now wait
//!   A ─► B     echo(nonce)                 it is behind A's earlier calls
//!   B ─► C       arrived()                 and behind those that B has forwarded
//!   A          its stub goes to C, beginning with the calls that waited; B's is released
//! ```
//!
//! If a step fails, A's stub goes on as before. A stub of [`Cluster::get`](crate::Cluster::get) is
//! handed off by its name instead: A finds the object by itself, and follows it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::Duration,
};

use capnweb_core::{
    Answer, Call, Error, PromiseFuture, Result, Session, Stub, Target, handoff::Relay,
    lasting::SlotId,
};
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::runtime::Handle;

use crate::{
    cluster::Inner,
    links::Links,
    node_id::NodeId,
    placement::{ECHO, ObjectKey},
    rights::Rights,
    token::random_token,
};

/// The time limit for each step.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

/// The number of attempts to hand off a stub that is pointed elsewhere meanwhile, since it is being
/// handed off to this node as well.
const ATTEMPTS: u32 = 6;
/// The code of the error for a stub that is pointed elsewhere.
const ELSEWHERE: &str = "elsewhere";
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The place where the receiver of a stub finds the object.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Source {
    /// A node, which provides it under a nonce.
    Node(NodeId),
    /// An object of the cluster.
    Object {
        kind: String,
        name: String,
        rights: u32,
    },
}

/// The way on which the calls of the receiver go until the hand-off is completed.
#[derive(Clone)]
enum Way {
    /// Over a session with another node.
    Node {
        node: NodeId,
        session: Session,
        stub: Stub,
    },
    /// Through a lasting stub of this node.
    Object { object: ObjectKey, stub: Stub },
}

/// The hand-offs in which a node takes part.
pub(crate) struct Handoffs {
    cluster: Weak<Inner>,
    links: OnceLock<Weak<Links>>,
    runtime: Handle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The objects of this node that others may redeem.
    provided: HashMap<String, Stub>,
    /// The stubs that this node hands off.
    ways: HashMap<String, Way>,
    #[cfg(test)]
    faults: Vec<&'static str>,
    /// The number of hand-offs of this node that are over.
    #[cfg(test)]
    ended: usize,
}

impl Handoffs {
    /// Creates the hand-offs of a member.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime.
    pub(crate) fn new(cluster: Weak<Inner>) -> Arc<Self> {
        Arc::new(Self {
            cluster,
            links: OnceLock::new(),
            runtime: Handle::current(),
            state: Mutex::default(),
        })
    }

    pub(crate) fn set_links(&self, links: &Arc<Links>) {
        // It is set once, by the member.
        let _ = self.links.set(Arc::downgrade(links));
    }

    fn links(&self) -> Result<Arc<Links>> {
        let links = self.links.get().and_then(Weak::upgrade);
        links.ok_or_else(|| Error::unavailable("the node has left the cluster"))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands off a stub that this node has passed on, if its object lives on another node.
    pub(crate) fn relayed(self: &Arc<Self>, relay: Relay) {
        let way = self.way(&relay.stub);
        // While the stub is being handed off to this node, its session is not known.
        let is_pending = SlotId::of(&relay.stub).is_none() && relay.stub.session().is_none();
        if way.is_some() || is_pending {
            let handoffs = self.clone();
            self.runtime.spawn(async move {
                handoffs.hand_off(&relay, way).await;
                #[cfg(test)]
                {
                    handoffs.lock().ended += 1;
                }
            });
        }
    }

    fn way(&self, stub: &Stub) -> Option<Way> {
        let stub = stub.clone();
        if let Some(object) = self.cluster.upgrade()?.object_of(&stub) {
            return Some(Way::Object { object, stub });
        }
        if SlotId::of(&stub).is_some() {
            // A lasting stub of the application may refer to another object at any time.
            return None;
        }
        let (session, links) = (stub.session()?, self.links().ok()?);
        let node = links.node_of(&session)?;
        (!links.is_own(&node)).then_some(Way::Node {
            node,
            session,
            stub,
        })
    }

    async fn hand_off(&self, relay: &Relay, mut way: Option<Way>) {
        for attempt in 0..ATTEMPTS {
            if attempt > 0 {
                tokio::time::sleep(FIRST_PAUSE * (1 << attempt)).await;
                way = self.way(&relay.stub);
            }
            let Some(way) = way.take() else {
                continue;
            };
            let nonce = random_token();
            self.lock().ways.insert(nonce.clone(), way.clone());
            let offered = self.offer(relay, way, &nonce).await;
            let way = self.lock().ways.remove(&nonce);
            drop(way);
            match offered {
                Ok(true) => return tracing::debug!("a stub is handed off"),
                Ok(false) => return tracing::trace!("a stub was dropped before its hand-off"),
                Err(error) => {
                    tracing::debug!(%error, "a stub is not handed off");
                    if error.code().as_deref() != Some(ELSEWHERE) {
                        return;
                    }
                }
            }
        }
    }

    async fn offer(&self, relay: &Relay, way: Way, nonce: &str) -> Result<bool> {
        let source = match &way {
            Way::Node { node, .. } => Source::Node(node.clone()),
            Way::Object { object, .. } => Source::Object {
                kind: object.kind.clone(),
                name: object.name.clone(),
                rights: object.rights.bits(),
            },
        };
        // The node keeps the object ready until this stub is dropped.
        let _provision: Option<Stub> = match &way {
            Way::Node { session, stub, .. } => {
                let provision = session.main().call("provide", (stub, nonce)).fetch();
                Some(in_time(provision).await?)
            }
            Way::Object { .. } => None,
        };
        drop(way);
        let main = relay.session.main();
        let args = (relay.export, source, nonce);
        in_time(main.call("shorten", args).fetch()).await
    }

    /// Keeps an object ready for whoever knows the nonce, until the returned stub is dropped.
    pub(crate) fn provide(self: &Arc<Self>, stub: Stub, nonce: String) -> Result<Stub> {
        self.fault("provide")?;
        self.lock().provided.insert(nonce.clone(), stub);
        let handoffs = Arc::downgrade(self);
        Ok(Stub::new(Provision { handoffs, nonce }))
    }

    /// Returns the object that was provided under a nonce, once.
    ///
    /// # Errors
    ///
    /// Fails if there is none.
    pub(crate) fn redeem(&self, nonce: &str) -> Result<Stub> {
        self.fault("redeem")?;
        let provided = self.lock().provided.remove(nonce);
        provided.ok_or_else(|| Error::not_found("nothing is provided under this nonce"))
    }

    /// Points a stub that this node has received to where its object lives. Returns false if the
    /// stub was dropped meanwhile.
    ///
    /// # Errors
    ///
    /// Fails if a step fails. The stub then goes on as before.
    pub(crate) async fn shorten(
        self: Arc<Self>,
        session: Session,
        export: i64,
        source: Source,
        nonce: String,
    ) -> Result<bool> {
        self.fault("shorten")?;
        let direct = match source {
            Source::Object { kind, name, rights } => {
                let cluster = self.cluster.upgrade();
                let cluster = cluster.ok_or_else(|| Error::unavailable("the node has left"))?;
                cluster.stub(ObjectKey {
                    kind,
                    name,
                    rights: Rights::from_bits(rights),
                })
            }
            Source::Node(node) => {
                let host = self.links()?.session(&node).await?;
                in_time(host.main().call("redeem", (&nonce,)).fetch()).await?
            }
        };
        let Some(redirection) = session.redirect(export) else {
            return Ok(false);
        };
        // It is dropped if the echo fails.
        in_time(session.main().call("echo", (&nonce,)).fetch::<()>()).await?;
        redirection.complete(direct);
        Ok(true)
    }

    /// Returns a future that completes when earlier calls have arrived at the object. What tells
    /// this is sent before this returns.
    ///
    /// # Errors
    ///
    /// Fails if earlier calls may have gone elsewhere.
    pub(crate) fn echo(&self, nonce: &str) -> Result<BoxFuture<'static, Result<()>>> {
        self.fault("echo")?;
        let way = self.lock().ways.get(nonce).cloned();
        let way = way.ok_or_else(|| Error::not_found("nothing is handed off under this nonce"))?;
        let arrived = match way {
            Way::Node { session, stub, .. } => {
                let current = stub.session().map(|session| session.id());
                if current != Some(session.id()) {
                    let error = Error::unavailable("the stub is pointed elsewhere");
                    return Err(error.with_code(ELSEWHERE));
                }
                session.main().call("arrived", ()).fetch::<()>()
            }
            Way::Object { stub, .. } => stub.call(ECHO, ()).fetch::<()>(),
        };
        Ok(Box::pin(arrived))
    }

    /// Answers when everything that its session has sent before has arrived.
    ///
    /// # Errors
    ///
    /// Fails in tests.
    pub(crate) fn arrived(&self) -> Result<()> {
        self.fault("arrived")
    }

    /// Fails if a test has asked for it.
    fn fault(&self, step: &'static str) -> Result<()> {
        #[cfg(test)]
        if self.lock().faults.contains(&step) {
            return Err(Error::unavailable(format!("the step {step} fails")));
        }
        let _ = (self, step);
        Ok(())
    }
}

/// Waits for an answer for a limited time.
async fn in_time<T: DeserializeOwned + 'static>(answer: PromiseFuture<T>) -> Result<T> {
    match tokio::time::timeout(STEP_TIMEOUT, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(Error::deadline_exceeded("a node does not answer")),
    }
}

/// Keeps an object provided as long as it lives.
struct Provision {
    handoffs: Weak<Handoffs>,
    nonce: String,
}

impl Target for Provision {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        Answer::error(Error::type_error(format!(
            "'{}' is not a function.",
            call.method()
        )))
    }
}

impl Drop for Provision {
    fn drop(&mut self) {
        if let Some(handoffs) = self.handoffs.upgrade() {
            let provided = handoffs.lock().provided.remove(&self.nonce);
            drop(provided);
        }
    }
}

#[cfg(test)]
mod tests;

//! The sessions with other nodes, one for each.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use capnweb_core::{
    Error, LinesTransport, Result, Session, SessionOptions, Stub, handoff::Relay, pair,
};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    bus::{Bus, Delivery, Message, Subscription},
    link::{self, LinkStream, Pulse},
    node_id::NodeId,
    token::{join, random_token},
};

/// The time limit for the answer to a handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_millis(1500);

/// The request to link two nodes.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    from: NodeId,
    link: String,
}

/// The answer to a [`Hello`].
#[derive(Debug, Serialize, Deserialize)]
enum Welcome {
    Linked,
    /// The asked node has asked as well, and its request counts.
    Crossed,
    Refused(String),
}

type Dialing = Shared<BoxFuture<'static, Result<Session>>>;

/// Is told of stubs that are passed on from one session to another.
pub(crate) type OnRelay = Arc<dyn Fn(Relay) + Send + Sync>;

/// The sessions of one node with others.
pub(crate) struct Links {
    bus: Arc<dyn Bus>,
    cluster: String,
    own: NodeId,
    main: Stub,
    on_relay: OnRelay,
    pulse: Pulse,
    state: Mutex<State>,
    /// Counts the sessions that others have opened.
    arrivals: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    sessions: HashMap<NodeId, Session>,
    dialing: HashMap<NodeId, Dialing>,
    closed: Option<Error>,
}

impl Links {
    pub(crate) fn new(
        bus: Arc<dyn Bus>,
        cluster: &str,
        own: NodeId,
        main: Stub,
        on_relay: OnRelay,
        pulse: Pulse,
    ) -> Arc<Self> {
        Arc::new(Self {
            bus,
            cluster: cluster.to_owned(),
            own,
            main,
            on_relay,
            pulse,
            state: Mutex::default(),
            arrivals: watch::Sender::new(0),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of sessions.
    pub(crate) fn len(&self) -> usize {
        self.lock().sessions.len()
    }

    /// Returns the node with which this is the session.
    pub(crate) fn node_of(&self, session: &Session) -> Option<NodeId> {
        let state = self.lock();
        let mut sessions = state.sessions.iter();
        let found = sessions.find(|(_, known)| known.id() == session.id());
        found.map(|(node, _)| node.clone())
    }

    /// Returns whether this is the node of these links.
    pub(crate) fn is_own(&self, node: &NodeId) -> bool {
        *node == self.own
    }

    /// Returns the session with `node`, which is opened if there is none. The session with this
    /// node itself stays within the process.
    ///
    /// # Errors
    ///
    /// Fails if the node cannot be reached.
    pub(crate) async fn session(self: &Arc<Self>, node: &NodeId) -> Result<Session> {
        let dialing = {
            let mut state = self.lock();
            if let Some(error) = &state.closed {
                return Err(error.clone());
            }
            if let Some(session) = state.sessions.get(node)
                && session.end_reason().is_none()
            {
                return Ok(session.clone());
            }
            match state.dialing.get(node) {
                Some(dialing) => dialing.clone(),
                None => {
                    let (links, to) = (self.clone(), node.clone());
                    let dialing = async move {
                        let dialed = links.dial(&to).await;
                        links.lock().dialing.remove(&to);
                        dialed
                    };
                    let dialing = dialing.boxed().shared();
                    state.dialing.insert(node.clone(), dialing.clone());
                    // So that it ends even if nobody waits for it any more.
                    tokio::spawn(dialing.clone());
                    dialing
                }
            }
        };
        dialing.await
    }

    async fn dial(self: &Arc<Self>, node: &NodeId) -> Result<Session> {
        if *node == self.own {
            return self.loop_back();
        }
        let link = random_token();
        let (own, peer) = (self.end(&link, "dialer"), self.end(&link, "answerer"));
        let incoming = self.bus.subscribe(&own, None).await?;
        let hello = Hello {
            from: self.own.clone(),
            link,
        };
        let mut arrivals = self.arrivals.subscribe();
        let request = self
            .bus
            .request(&node_subject(&self.cluster, node), encode(&hello));
        let answer = match tokio::time::timeout(HANDSHAKE_TIMEOUT, request).await {
            Ok(answer) => answer?,
            Err(_) => return Err(unreachable(node, "it does not answer")),
        };
        let welcome = serde_json::from_slice(&answer);
        match welcome.map_err(|error| unreachable(node, &error.to_string()))? {
            Welcome::Linked => {
                let stream = link::open(self.bus.clone(), incoming, own, peer, self.pulse);
                let (session, connection) = Session::client(self.options());
                self.start(node, &session, connection, stream)?;
                Ok(session)
            }
            Welcome::Crossed => {
                let arrived = async {
                    loop {
                        let session = self.lock().sessions.get(node).cloned();
                        match session {
                            Some(session) if session.end_reason().is_none() => return session,
                            _ => {}
                        }
                        if arrivals.changed().await.is_err() {
                            std::future::pending::<()>().await;
                        }
                    }
                };
                match tokio::time::timeout(HANDSHAKE_TIMEOUT, arrived).await {
                    Ok(session) => Ok(session),
                    Err(_) => Err(unreachable(node, "its own request does not arrive")),
                }
            }
            Welcome::Refused(reason) => Err(unreachable(node, &reason)),
        }
    }

    /// Opens the session of this node with itself.
    fn loop_back(self: &Arc<Self>) -> Result<Session> {
        let (left, right) = pair();
        let (_, mut server) = Session::server(self.options());
        server.set_main(self.main.clone());
        tokio::spawn(server.drive(left));
        let (session, mut connection) = Session::client(self.options());
        connection.set_main(self.main.clone());
        let driver = connection.drive(right);
        self.register(&self.own.clone(), &session)?;
        tokio::spawn(driver);
        Ok(session)
    }

    fn start(
        self: &Arc<Self>,
        node: &NodeId,
        session: &Session,
        mut connection: capnweb_core::Connection,
        stream: LinkStream,
    ) -> Result<()> {
        connection.set_main(self.main.clone());
        let limits = session.options().limits().clone();
        let driver = connection.drive(LinesTransport::new(stream, &limits));
        self.register(node, session)?;
        tokio::spawn(driver);
        Ok(())
    }

    /// Keeps a session until it ends.
    fn register(self: &Arc<Self>, node: &NodeId, session: &Session) -> Result<()> {
        let replaced = {
            let mut state = self.lock();
            if let Some(error) = &state.closed {
                session.close(error.clone());
                return Err(error.clone());
            }
            state.sessions.insert(node.clone(), session.clone())
        };
        drop(replaced);
        self.arrivals.send_modify(|arrivals| *arrivals += 1);
        let closed = session.main().closed();
        let (id, node, links) = (session.id(), node.clone(), Arc::downgrade(self));
        tokio::spawn(async move {
            let reason = closed.await;
            tracing::debug!(%node, %reason, "the session with a node is over");
            let Some(links) = links.upgrade() else {
                return;
            };
            let removed = {
                let mut state = links.lock();
                match state.sessions.get(&node) {
                    Some(session) if session.id() == id => state.sessions.remove(&node),
                    _ => None,
                }
            };
            drop(removed);
        });
        Ok(())
    }

    /// Answers the requests of other nodes until the bus is closed.
    pub(crate) async fn serve(self: Arc<Self>, mut requests: Subscription) {
        while let Some(request) = requests.next().await {
            let Delivery::Message(request) = request else {
                continue;
            };
            let links = self.clone();
            tokio::spawn(async move {
                let Some(reply) = request.reply else {
                    return;
                };
                let welcome = links.answer(&request.payload).await;
                let message = Message::new(encode(&welcome));
                if let Err(error) = links.bus.publish(&reply, message).await {
                    tracing::debug!(%error, "the answer to a node was not sent");
                }
            });
        }
    }

    async fn answer(self: &Arc<Self>, request: &[u8]) -> Welcome {
        let hello: Hello = match serde_json::from_slice(request) {
            Ok(hello) => hello,
            Err(error) => return Welcome::Refused(error.to_string()),
        };
        {
            let state = self.lock();
            if state.dialing.contains_key(&hello.from) && self.own < hello.from {
                return Welcome::Crossed;
            }
        }
        let own = self.end(&hello.link, "answerer");
        let peer = self.end(&hello.link, "dialer");
        let incoming = match self.bus.subscribe(&own, None).await {
            Ok(incoming) => incoming,
            Err(error) => return Welcome::Refused(error.to_string()),
        };
        let stream = link::open(self.bus.clone(), incoming, own, peer, self.pulse);
        let (session, connection) = Session::server(self.options());
        match self.start(&hello.from, &session, connection, stream) {
            Ok(()) => Welcome::Linked,
            Err(error) => Welcome::Refused(error.message().to_owned()),
        }
    }

    /// Ends all sessions for good.
    pub(crate) fn close(&self, reason: &Error) {
        let sessions = {
            let mut state = self.lock();
            state.closed.get_or_insert_with(|| reason.clone());
            std::mem::take(&mut state.sessions)
        };
        for session in sessions.into_values() {
            session.close(reason.clone());
        }
    }

    /// Waits until all calls of other nodes are answered.
    pub(crate) async fn drain(&self) {
        let sessions: Vec<_> = self.lock().sessions.values().cloned().collect();
        futures_util::future::join_all(sessions.iter().map(Session::drain)).await;
    }

    /// Returns the settings of sessions between nodes. A link has heartbeats of its own.
    fn options(&self) -> SessionOptions {
        let on_relay = self.on_relay.clone();
        let options = SessionOptions::new().without_keep_alive();
        options.on_relay(move |relay| on_relay(relay))
    }

    fn end(&self, link: &str, end: &str) -> String {
        join(&[&self.cluster, "link", link, end])
    }
}

/// Returns the subject of a node's handshakes.
pub(crate) fn node_subject(cluster: &str, node: &NodeId) -> String {
    join(&[cluster, "node", node.as_str()])
}

fn encode(value: &impl Serialize) -> Bytes {
    // Plain structs of strings have no errors.
    serde_json::to_vec(value).unwrap_or_default().into()
}

fn unreachable(node: &NodeId, reason: &str) -> Error {
    Error::disconnected(format!("the node {node} cannot be reached: {reason}"))
        .with_code("unavailable")
        .with_may_have_run(false)
}

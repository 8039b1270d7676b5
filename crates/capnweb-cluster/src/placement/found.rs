//! Finding an object, and following it from node to node.

use std::{sync::Weak, time::Duration};

use capnweb_core::{Error, Result, Session, Stub, lasting::Slot};

use super::{
    ECHO, Opened,
    objects::{ObjectEntry, object_key},
};
use crate::{
    cluster::Inner,
    lease::{DIRECTORY_TIMEOUT, timed},
    member::Member,
    node_id::NodeId,
    obituaries::Life,
    rights::Rights,
    token::join,
};

/// The time limit for the answer of a node.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The time limit for earlier calls to reach an object that has moved.
pub(super) const ECHO_TIMEOUT: Duration = Duration::from_secs(5);

/// The time limit for one answer to whether another node hosts a kind, and the number of requests.
const HOST_TIMEOUT: Duration = Duration::from_millis(250);
const HOST_ATTEMPTS: usize = 8;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// The name of an object, with rights on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ObjectKey {
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) rights: Rights,
}

/// An object that was found.
struct Found {
    node: NodeId,
    session: Session,
    stub: Stub,
    epoch: u64,
}

/// A failure to find an object.
enum Failure {
    /// It may be found later.
    Passing(Error),
    /// Its node cannot be reached, and has a lease for at least this time.
    Leased(Error, Duration),
    /// The object cannot be activated, or the rights are refused.
    Final(Error),
}

impl Failure {
    fn of(error: Error) -> Self {
        let code = error.code();
        let is_passing = matches!(
            code.as_deref(),
            Some("elsewhere" | "unavailable" | "aborted")
        );
        if error.is_disconnected() || is_passing {
            Self::Passing(error)
        } else {
            Self::Final(error)
        }
    }
}

/// Points `slot` at an object, wherever it lives, as long as there are stubs of the slot.
pub(crate) async fn follow(cluster: Weak<Inner>, slot: Slot, object: ObjectKey) {
    let mut pause = FIRST_PAUSE;
    loop {
        let found = tokio::select! {
            () = slot.gone() => return,
            found = find(&cluster, &object) => found,
        };
        match found {
            Ok(found) => {
                pause = FIRST_PAUSE;
                let is_gone = tend(&cluster, &slot, found, &object).await;
                if is_gone {
                    return;
                }
            }
            Err(Failure::Final(error)) => {
                slot.close(error);
                return;
            }
            Err(failure) => {
                let (error, most) = match failure {
                    Failure::Leased(error, rest) => (error, rest.max(FIRST_PAUSE)),
                    Failure::Passing(error) | Failure::Final(error) => (error, LONGEST_PAUSE),
                };
                slot.set_reason(error);
                tokio::select! {
                    () = slot.gone() => return,
                    // It looks again when the lease may be over.
                    () = tokio::time::sleep(pause.min(most)) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Fills `slot` until the object moves or the session ends. Returns true if the slot is gone.
async fn tend(cluster: &Weak<Inner>, slot: &Slot, found: Found, object: &ObjectKey) -> bool {
    let Found {
        node,
        session,
        stub,
        epoch,
    } = found;
    slot.put(&session, stub.clone());
    let moved = session
        .main()
        .call("moved", (&object.kind, &object.name, epoch))
        .fetch::<()>();
    let moved = tokio::select! {
        () = slot.gone() => return true,
        moved = moved => moved,
    };
    if moved.is_ok() {
        // Later calls wait, while earlier ones reach the object through its old node. The echo is
        // behind them.
        let reason = Error::unavailable("the object moves to another node");
        drop(slot.take(reason.with_may_have_run(false)));
        let echo = stub.call(ECHO, ()).fetch::<()>();
        let _ = tokio::time::timeout(ECHO_TIMEOUT, echo).await;
    } else if let Some(cluster) = cluster.upgrade() {
        // The time after which the node may be declared dead begins with the first look.
        let look = cluster.obituaries.look(&node);
        if tokio::time::timeout(DIRECTORY_TIMEOUT, look).await.is_err() {
            tracing::debug!(%node, "the directory does not answer");
        }
    }
    false
}

async fn find(cluster: &Weak<Inner>, object: &ObjectKey) -> Result<Found, Failure> {
    let cluster = cluster.upgrade().ok_or_else(|| Failure::Final(left()))?;
    let member = cluster.member().await.map_err(Failure::Final)?;
    let key = object_key(&cluster.name, &object.kind, &object.name);
    let entry = timed(cluster.directory.get(&key), DIRECTORY_TIMEOUT).await;
    let entry = entry.map_err(|error| Failure::Passing(error.into()))?;
    let owner = entry.and_then(|entry| {
        let entry: ObjectEntry = serde_json::from_slice(&entry.value).ok()?;
        Some(entry.node)
    });
    if let Some(owner) = owner {
        match member.links.session(&owner).await {
            Ok(session) => {
                cluster.obituaries.forget(&owner);
                return open(owner, session, object).await;
            }
            Err(error) => match cluster.obituaries.look(&owner).await {
                Ok(Life::Dead) => {}
                Ok(Life::Leased(rest)) => return Err(Failure::Leased(error, rest)),
                Err(error) => return Err(Failure::Passing(error)),
            },
        }
    }
    let host = choose(&cluster, &member, &object.kind).await?;
    let session = member
        .links
        .session(&host)
        .await
        .map_err(Failure::Passing)?;
    open(host, session, object).await
}

/// Returns the node that is to activate an object: this one, if it hosts the kind and does not
/// spread it.
async fn choose(cluster: &Inner, member: &Member, kind: &str) -> Result<NodeId, Failure> {
    let own = cluster.kinds.get(kind);
    let own = own.filter(|kind| !kind.is_spread() && !kind.is_withdrawn());
    if own.is_some() && !member.objects.is_closed() {
        return Ok(member.id.clone());
    }
    let subject = host_subject(&cluster.name, kind);
    let request = cluster.bus.request(&subject, bytes::Bytes::new());
    let answer = match tokio::time::timeout(DIRECTORY_TIMEOUT, request).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(crate::bus::BusError::NoSubscriber)) => {
            let message = format!("no node hosts objects of the kind {kind:?}");
            return Err(Failure::Passing(not_run(&message)));
        }
        Ok(Err(error)) => return Err(Failure::Passing(error.into())),
        Err(_) => return Err(Failure::Passing(not_run("no host has answered"))),
    };
    serde_json::from_slice(&answer)
        .map_err(|error| Failure::Passing(not_run(&format!("a host's answer: {error}"))))
}

/// Returns whether another node hosts objects of a kind. This node must not offer it.
pub(crate) async fn is_hosted_elsewhere(cluster: &Inner, own: &NodeId, kind: &str) -> bool {
    let subject = host_subject(&cluster.name, kind);
    for _ in 0..HOST_ATTEMPTS {
        let request = cluster.bus.request(&subject, bytes::Bytes::new());
        match tokio::time::timeout(HOST_TIMEOUT, request).await {
            Ok(Ok(answer)) => match serde_json::from_slice::<NodeId>(&answer) {
                // The bus does not know yet that this node's offer has ended.
                Ok(host) if host == *own => tokio::time::sleep(FIRST_PAUSE).await,
                answer => return answer.is_ok(),
            },
            // The request may have reached this node, which does not answer any more.
            Err(_) => {}
            Ok(Err(_)) => return false,
        }
    }
    false
}

async fn open(node: NodeId, session: Session, object: &ObjectKey) -> Result<Found, Failure> {
    let args = (&object.kind, &object.name, object.rights.bits());
    let opened = session.main().call("open", args).fetch::<Opened>();
    let opened = match tokio::time::timeout(OPEN_TIMEOUT, opened).await {
        Ok(opened) => opened.map_err(Failure::of)?,
        Err(_) => {
            return Err(Failure::Passing(not_run(
                "the object's node does not answer",
            )));
        }
    };
    Ok(Found {
        node,
        session,
        stub: opened.stub,
        epoch: opened.epoch,
    })
}

/// Returns the subject on which the hosts of a kind answer.
pub(crate) fn host_subject(cluster: &str, kind: &str) -> String {
    join(&[cluster, "host", kind])
}

fn not_run(message: &str) -> Error {
    Error::unavailable(message).with_may_have_run(false)
}

/// Returns the error of stubs whose node has left the cluster.
pub(crate) fn left() -> Error {
    not_run("this node has left the cluster")
}

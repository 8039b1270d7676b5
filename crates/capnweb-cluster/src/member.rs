//! A node's membership, from when it joins until it loses its lease or leaves.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use capnweb_core::{Context, Error, Object, Result, Stub};
use futures_util::future::join_all;
use tokio::sync::oneshot;

use crate::{
    bus::{Bus, Delivery, Message},
    cluster::Inner,
    flag::Flag,
    handoff::{Handoffs, Source},
    lease::Lease,
    links::{Links, node_subject},
    node_id::NodeId,
    obituaries::lease_key,
    placement::{Kind, Objects, host_subject, is_hosted_elsewhere},
    rights::Rights,
};

/// A node's membership: its ID, its lease, its links and its objects.
pub(crate) struct Member {
    pub(crate) id: NodeId,
    pub(crate) lease: Arc<Lease>,
    pub(crate) links: Arc<Links>,
    pub(crate) objects: Arc<Objects>,
    /// The main object of the links refers to it weakly.
    #[cfg_attr(not(test), expect(dead_code, reason = "it is kept alive here"))]
    pub(crate) handoffs: Arc<Handoffs>,
    release: Mutex<Option<oneshot::Sender<()>>>,
    /// True once the member hosts no more objects.
    is_closed: Flag,
}

impl Member {
    /// Joins the cluster under a new ID.
    ///
    /// # Errors
    ///
    /// Fails if the bus or the directory cannot be reached.
    pub(crate) async fn join(cluster: &Arc<Inner>) -> Result<Arc<Self>> {
        let id = NodeId::random();
        let key = lease_key(&cluster.name, &id);
        let requests = cluster
            .bus
            .subscribe(&node_subject(&cluster.name, &id), None)
            .await?;
        let acquired = Lease::acquire(cluster.directory.clone(), key, &id, cluster.options.lease);
        let (lease, renewal) = acquired.await?;
        let (release, released) = oneshot::channel();
        tokio::spawn(renewal.run(released));
        let objects = Objects::new(Arc::downgrade(cluster), id.clone(), lease.clone());
        let handoffs = Handoffs::new(Arc::downgrade(cluster));
        let relays = Arc::downgrade(&handoffs);
        let links = Links::new(
            cluster.bus.clone(),
            &cluster.name,
            id.clone(),
            main(&objects, &handoffs),
            Arc::new(move |relay| {
                if let Some(handoffs) = relays.upgrade() {
                    handoffs.relayed(relay);
                }
            }),
            cluster.options.pulse(),
        );
        handoffs.set_links(&links);
        let member = Arc::new(Self {
            id,
            lease,
            links: links.clone(),
            objects,
            handoffs,
            release: Mutex::new(Some(release)),
            is_closed: Flag::new(),
        });
        let closed = member.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = links.serve(requests) => {}
                () = closed.lease.over() => {}
            }
        });
        tokio::spawn(answer_for_kinds(Arc::downgrade(cluster), member.clone()));
        Ok(member)
    }

    async fn closed(&self) {
        tokio::select! {
            () = self.is_closed.wait() => {}
            () = self.lease.over() => {}
        }
    }

    /// Moves the objects to other nodes, and hosts no kind any more that another node hosts.
    pub(crate) async fn hand_over(&self, cluster: &Inner, limit: Duration) {
        let kinds = cluster.kinds.all();
        for kind in &kinds {
            kind.withdraw(true);
        }
        let kept = kinds.iter().map(|kind| async move {
            if !is_hosted_elsewhere(cluster, &self.id, &kind.name).await {
                kind.withdraw(false);
            }
        });
        join_all(kept).await;
        self.objects.move_withdrawn(limit).await;
    }

    /// Leaves the cluster: stops the objects, and lets the calls under way finish.
    pub(crate) async fn leave(&self, limit: Duration) {
        self.is_closed.set();
        self.objects.drain(limit).await;
        if tokio::time::timeout(limit, self.links.drain())
            .await
            .is_err()
        {
            tracing::debug!("some calls of other nodes are not answered");
        }
        let release = self.release.lock();
        let release = release.unwrap_or_else(PoisonError::into_inner).take();
        if let Some(release) = release {
            // It fails if the lease is lost already.
            let _ = release.send(());
        }
        self.lease.over().await;
        self.links.close(&left());
    }

    /// Ends the membership, since the lease is lost.
    pub(crate) fn lose(&self) {
        self.is_closed.set();
        let reason = Error::disconnected("the node has lost its lease").with_code("unavailable");
        self.links.close(&reason);
    }
}

fn left() -> Error {
    Error::disconnected("the node has left the cluster").with_code("unavailable")
}

/// Returns the main object of the sessions with other nodes.
fn main(objects: &Arc<Objects>, handoffs: &Arc<Handoffs>) -> Stub {
    let opens = Arc::downgrade(objects);
    let moves = opens.clone();
    let provides = Arc::downgrade(handoffs);
    let [redeems, shortens, echoes, arrives] = [(); 4].map(|()| provides.clone());
    Object::new()
        .method("open", move |kind: String, name: String, rights: u32| {
            let objects = opens.clone();
            async move {
                let objects = objects.upgrade().ok_or_else(left)?;
                objects.open(&kind, &name, Rights::from_bits(rights)).await
            }
        })
        .method("moved", move |kind: String, name: String, epoch: u64| {
            let objects = moves.clone();
            async move {
                if let Some(objects) = objects.upgrade() {
                    objects.moved(&kind, &name, epoch).await;
                }
                Ok(())
            }
        })
        .method("provide", move |stub: Stub, nonce: String| {
            let provided = with(&provides, |handoffs| handoffs.provide(stub, nonce));
            async move { provided? }
        })
        .method("redeem", move |nonce: String| {
            let redeemed = with(&redeems, |handoffs| handoffs.redeem(&nonce));
            async move { redeemed? }
        })
        .method(
            "shorten",
            move |context: Context, export: i64, source: Source, nonce: String| {
                let handoffs = shortens.upgrade().ok_or_else(left);
                async move {
                    let session = context.session().ok_or_else(left)?;
                    handoffs?.shorten(session, export, source, nonce).await
                }
            },
        )
        .method("echo", move |nonce: String| {
            let echo = with(&echoes, |handoffs| handoffs.echo(&nonce));
            async move { echo??.await }
        })
        .method("arrived", move || {
            let arrived = with(&arrives, |handoffs| handoffs.arrived());
            async move { arrived? }
        })
        .into_stub()
}

/// Calls `work` unless the membership is over.
fn with<R>(handoffs: &Weak<Handoffs>, work: impl FnOnce(&Arc<Handoffs>) -> R) -> Result<R> {
    handoffs.upgrade().as_ref().map(work).ok_or_else(left)
}

/// Offers to host objects of each kind that this node hosts.
async fn answer_for_kinds(cluster: Weak<Inner>, member: Arc<Member>) {
    let Some(mut changes) = cluster
        .upgrade()
        .map(|cluster| cluster.kinds.changes.subscribe())
    else {
        return;
    };
    let mut known = Vec::new();
    loop {
        let Some(cluster) = cluster.upgrade() else {
            return;
        };
        for kind in cluster.kinds.all() {
            if !known.contains(&kind.name) {
                known.push(kind.name.clone());
                let subject = host_subject(&cluster.name, &kind.name);
                tokio::spawn(answer_for(
                    cluster.bus.clone(),
                    subject,
                    kind,
                    member.clone(),
                ));
            }
        }
        drop(cluster);
        tokio::select! {
            changed = changes.changed() => if changed.is_err() {
                return;
            },
            () = member.closed() => return,
        }
    }
}

/// Answers requests for a host with this node's ID until the member hosts no more objects, except
/// while the kind is withdrawn.
async fn answer_for(bus: Arc<dyn Bus>, subject: String, kind: Arc<Kind>, member: Arc<Member>) {
    let work = async {
        loop {
            kind.until_withdrawn(false).await;
            tokio::select! {
                () = answer(&bus, &subject, &member) => return,
                () = kind.until_withdrawn(true) => {}
            }
        }
    };
    tokio::select! {
        () = work => {}
        () = member.closed() => {}
    }
}

/// Answers requests for a host with this node's ID until the bus is closed.
async fn answer(bus: &Arc<dyn Bus>, subject: &str, member: &Member) {
    let mut requests = loop {
        match bus.subscribe(subject, Some("hosts")).await {
            Ok(requests) => break requests,
            Err(error) => tracing::warn!(%error, "objects of a kind are not offered yet"),
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    while let Some(request) = requests.next().await {
        let Delivery::Message(Message {
            reply: Some(reply), ..
        }) = request
        else {
            continue;
        };
        let answer = serde_json::to_vec(&member.id).unwrap_or_default();
        if let Err(error) = bus.publish(&reply, Message::new(answer)).await {
            tracing::debug!(%error, "the answer to a node was not sent");
        }
    }
}

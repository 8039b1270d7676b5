//! A node: a server for pages, and a member of the cluster.

use std::{env::var, error::Error, io, sync::Arc, time::Duration};

use axum::Router;
use capnweb::{
    Drain, Sessions,
    axum::{Rpc, health, serve, shutdown_signal},
    cluster::{Activation, Backbone, Cluster, ClusterOptions, Nats},
};
use tokio::{
    net::TcpListener,
    sync::{Notify, oneshot},
};

use crate::{
    api::{FrontStub, RoomStub, SwitchStub},
    front::{Desk, Own, news, switch_kind},
    page,
    room::Hall,
    store::Store,
};

pub(crate) async fn run() -> Result<(), Box<dyn Error>> {
    let name = var("NODE")?;
    let nodes = var("NODES")?.split(' ').map(str::to_owned).collect();
    let store = Arc::new(Store::open(var("DATABASE")?.as_ref())?);

    let backbone = match var("NATS") {
        Ok(url) => Nats::connect(&url).await?.into(),
        Err(_) => Backbone::memory(),
    };
    // A short lease, so that the rooms of a killed node are soon elsewhere.
    let options = ClusterOptions::new().with_lease(Duration::from_secs(2));
    let cluster = Cluster::join_with(backbone, "rooms", options).await?;
    let (host, node) = (cluster.clone(), name.clone());
    let rooms = cluster.host::<RoomStub, _>("room", move |name: String, here: Activation| {
        let (store, node) = (store.clone(), node.clone());
        let news = news(&host, &name);
        async move {
            store.open_room(&name, here.epoch())?;
            Ok(Hall {
                name,
                node,
                here,
                store,
                news,
            })
        }
    });
    rooms.spread();
    let stop = Arc::new(Notify::new());
    let own = Own {
        cluster: cluster.clone(),
        stop: stop.clone(),
    };
    cluster.host::<SwitchStub, _>(&switch_kind(&name), move |_: String, _: Activation| {
        let own = own.clone();
        async move { Ok(own) }
    });

    let sessions = Sessions::new();
    // When the server drains, the rooms move before the sessions end.
    let member = cluster.clone();
    sessions.on_drain(|sessions_end| member.leave_after(sessions_end));
    let desk = Desk {
        cluster,
        node: name,
        nodes,
    };
    let api = Rpc::new(move || FrontStub::new(desk.clone())).tracked(&sessions);
    let app = Router::new()
        .route("/api", api.route())
        .merge(health(&sessions))
        .merge(page::routes());

    let (signal, input) = (shutdown_signal(), end_of_input());
    let stopping = async move {
        tokio::select! {
            () = signal => {}
            () = stop.notified() => {}
            () = input => {}
        }
    };
    let drain = Drain::new()
        .lb_delay(Duration::from_millis(500))
        .spread(Duration::from_secs(1))
        .deadline(Duration::from_secs(10));
    let listener = TcpListener::bind(var("LISTEN")?).await?;
    println!("{}", listener.local_addr()?);
    serve(listener, app)
        .drain_on(stopping, &sessions, drain)
        .await?;
    Ok(())
}

/// Returns a future that completes when standard input ends: the process that has started this one
/// is gone.
fn end_of_input() -> impl Future<Output = ()> {
    let (sender, ended) = oneshot::channel::<()>();
    // Reading blocks. Tokio's threads for that would keep the process from ending.
    std::thread::spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(sender);
    });
    async {
        let _ = ended.await;
    }
}

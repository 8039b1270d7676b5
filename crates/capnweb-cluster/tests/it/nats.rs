//! The bus and the directory on a NATS server of this machine. Skipped if there is none.

use std::time::Duration;

use capnweb_cluster::{
    Activation, Bus as _, BusError, Cluster, ClusterOptions, Delivery, Message, NatsBus,
};
use capnweb_core::Result;

use crate::{server::Server, support::soon};

#[capnweb_macros::interface(crate = "capnweb_core")]
trait Counter {
    async fn add(&self, number: u64) -> Result<u64>;
    #[rpc(idempotent)]
    async fn length(&self, text: String) -> Result<usize>;
}

#[derive(Default)]
struct Total(std::sync::Mutex<u64>);

impl Counter for Total {
    async fn add(&self, number: u64) -> Result<u64> {
        let mut total = self.0.lock().unwrap();
        *total += number;
        Ok(*total)
    }

    async fn length(&self, text: String) -> Result<usize> {
        Ok(text.len())
    }
}

async fn node(server: &Server) -> Cluster {
    let options = ClusterOptions::new().with_lease(Duration::from_secs(4));
    let joined = Cluster::join_with(server.nats().await, "test", options);
    soon(joined).await.unwrap()
}

async fn host(server: &Server) -> Cluster {
    let node = node(server).await;
    node.host::<CounterStub, _>("counter", async |_: String, _: Activation| {
        Ok(Total::default())
    });
    node
}

#[tokio::test]
async fn whatever_is_published_after_a_subscription_is_delivered() {
    let Some(server) = Server::start().await else {
        return;
    };
    // One of them needs no JetStream.
    let a = server.nats().await;
    let b = soon(NatsBus::connect(&server.url())).await.unwrap();
    for number in 0..50 {
        let subject = format!("news.{number}");
        let mut news = soon(a.subscribe(&subject, None)).await.unwrap();
        soon(b.publish(&subject, Message::new("hello")))
            .await
            .unwrap();
        assert!(matches!(
            soon(news.next()).await,
            Some(Delivery::Message(_))
        ));
    }
}

#[tokio::test]
async fn publishers_learn_that_a_subject_has_no_subscriber() {
    let Some(server) = Server::start().await else {
        return;
    };
    let bus = server.nats().await;
    let mut own = soon(bus.subscribe("own", None)).await.unwrap();
    let lost = Message::new("lost").with_reply("own");
    soon(bus.publish("nobody", lost)).await.unwrap();
    assert!(matches!(
        soon(own.next()).await,
        Some(Delivery::NoSubscriber)
    ));
    let asked = soon(bus.request("nobody", "?".into())).await;
    assert_eq!(asked.unwrap_err(), BusError::NoSubscriber);
    let long = Message::new(vec![0; bus.max_payload() + 1]);
    let published = soon(bus.publish("own", long)).await;
    assert_eq!(published.unwrap_err(), BusError::TooLong);
}

#[tokio::test]
async fn long_calls_pass_in_fragments() {
    let Some(server) = Server::start().await else {
        return;
    };
    let (_host, client) = (host(&server).await, node(&server).await);
    let counter: CounterStub = client.get("counter", "a");
    // 100 MiB, many times the window of a link, in calls longer than a message of the server.
    let text = "x".repeat(10 << 20);
    for _ in 0..5 {
        let calls = [counter.length(&text), counter.length(&text)].map(IntoFuture::into_future);
        let lengths = soon(futures_util::future::try_join_all(calls)).await;
        assert_eq!(lengths.unwrap(), [text.len(); 2]);
    }
}

#[tokio::test]
async fn calls_survive_a_restart_of_the_server() {
    let Some(mut server) = Server::start().await else {
        return;
    };
    let (_host, client) = (host(&server).await, node(&server).await);
    let counter: CounterStub = client.get("counter", "a");
    assert_eq!(soon(counter.add(1)).await.unwrap(), 1);
    server.kill();
    let text = "while the server is down".to_owned();
    let idempotent = tokio::spawn(counter.length(&text).into_future());
    let once = tokio::spawn(counter.add(1).into_future());
    server.restart();
    assert_eq!(soon(idempotent).await.unwrap().unwrap(), text.len());
    // It has run, or it says that it may have run.
    let once = soon(once).await.unwrap();
    println!("a call during the restart: {once:?}");
    assert!(once.map_or_else(|error| error.may_have_run(), |_| true));
    assert!(soon(counter.add(1)).await.is_ok());
}

#[tokio::test]
async fn calls_end_if_the_server_stays_away() {
    let Some(mut server) = Server::start().await else {
        return;
    };
    let options = ClusterOptions::new()
        .with_lease(Duration::from_secs(1))
        .with_patience(Duration::from_secs(2));
    let joined = Cluster::join_with(server.nats().await, "test", options);
    let client = soon(joined).await.unwrap();
    let _host = host(&server).await;
    let counter: CounterStub = client.get("counter", "a");
    assert_eq!(soon(counter.add(1)).await.unwrap(), 1);
    server.kill();
    assert!(soon(counter.add(1)).await.is_err());
    assert!(soon(counter.length("idempotent")).await.is_err());
    let other: CounterStub = client.get("counter", "b");
    assert!(soon(other.add(1)).await.is_err());
    soon(client.leave()).await;
}

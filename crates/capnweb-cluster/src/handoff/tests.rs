//! Stubs that are passed on between three nodes and more, in virtual time.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use capnweb_core::{
    Answer, Call, Error, Object, Result, Session, SessionOptions, Stats, Stub, Target, pair,
};

use crate::{Activation, Backbone, Cluster, MemoryBus, MemoryNetwork};

/// An object that keeps the numbers of its calls.
struct Seat {
    log: Arc<Mutex<Vec<u32>>>,
    /// Counts the objects.
    _alive: Arc<()>,
}

impl Target for Seat {
    fn call(self: Arc<Self>, call: Call<'_>) -> Answer {
        match call.args::<(u32,)>() {
            Ok((number,)) => {
                self.log.lock().unwrap().push(number);
                Answer::ready(number + 1)
            }
            Err(error) => Answer::error(error),
        }
    }
}

struct Node {
    bus: MemoryBus,
    cluster: Cluster,
}

impl Node {
    async fn join(network: &MemoryNetwork) -> Self {
        let bus = network.node();
        let cluster = Cluster::join(Backbone::from((network, &bus)), "test").await;
        Self {
            bus,
            cluster: cluster.unwrap(),
        }
    }

    fn member(&self) -> Arc<crate::member::Member> {
        self.cluster.current().unwrap()
    }

    async fn session(&self, with: &Self) -> Session {
        let node = with.cluster.node().unwrap();
        self.member().links.session(&node).await.unwrap()
    }

    fn ended(&self) -> usize {
        self.member().handoffs.lock().ended
    }

    fn fail(&self, step: Option<&'static str>) {
        self.member().handoffs.lock().faults = step.into_iter().collect();
    }

    /// Returns the numbers of objects that are provided and handed off.
    fn held(&self) -> (usize, usize) {
        let member = self.member();
        let state = member.handoffs.lock();
        (state.provided.len(), state.ways.len())
    }

    /// Hosts a guest, which keeps the stubs that it is given.
    fn host_guest(&self, name: &str) -> Taken {
        let taken = Taken::default();
        let kept = taken.clone();
        self.cluster
            .host::<Stub, _>(name, move |_: String, _: Activation| {
                let kept = kept.clone();
                async move {
                    let guest = Object::new().method("take", move |stub: Stub| {
                        kept.0.lock().unwrap().push(stub);
                        async { Ok(()) }
                    });
                    Ok(guest.into_stub())
                }
            });
        taken
    }

    /// Passes a stub to the guest on another node.
    async fn give(&self, guest: &str, stub: &Stub) {
        let guest: Stub = self.cluster.get(guest, "");
        soon(guest.call("take", (stub,)).fetch::<()>())
            .await
            .unwrap();
    }
}

/// The stubs that a guest was given.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<Vec<Stub>>>);

impl Taken {
    fn last(&self) -> Stub {
        self.0.lock().unwrap().last().unwrap().clone()
    }

    fn clear(&self) {
        let taken = std::mem::take(&mut *self.0.lock().unwrap());
        drop(taken);
    }
}

/// Three nodes: `a` has a guest, `c` a hall with seats, and `b` passes seats to the guest.
struct Scene {
    network: MemoryNetwork,
    a: Node,
    b: Node,
    c: Node,
    taken: Taken,
    log: Arc<Mutex<Vec<u32>>>,
    alive: Arc<()>,
}

impl Scene {
    async fn new() -> Self {
        let network = MemoryNetwork::new();
        let [a, b, c] = [
            Node::join(&network).await,
            Node::join(&network).await,
            Node::join(&network).await,
        ];
        let taken = a.host_guest("guest");
        let (log, alive) = (Arc::default(), Arc::new(()));
        host_hall(&c, &log, &alive);
        Self {
            network,
            a,
            b,
            c,
            taken,
            log,
            alive,
        }
    }

    /// Returns a stub of a new seat, at `b`.
    async fn seat(&self) -> Stub {
        let hall: Stub = self.b.cluster.get("hall", "");
        soon(hall.call("seat", ()).fetch()).await.unwrap()
    }

    /// Waits until hand-offs of `b` are over.
    async fn ended(&self, count: usize) {
        until(|| self.b.ended() >= count).await;
    }

    /// Returns the number of seats that exist.
    fn seats(&self) -> usize {
        // The scene, the factory and the hall have the others.
        Arc::strong_count(&self.alive) - 3
    }

    fn log(&self) -> Vec<u32> {
        self.log.lock().unwrap().clone()
    }

    /// Returns whether calls on `stub` go from `a` directly to `c`.
    async fn is_direct(&self, stub: &Stub) -> bool {
        goes_over(stub, &self.a.session(&self.c).await)
    }

    /// Returns whether calls on `stub` go from `a` to `b`.
    async fn is_proxied(&self, stub: &Stub) -> bool {
        goes_over(stub, &self.a.session(&self.b).await)
    }
}

fn host_hall(node: &Node, log: &Arc<Mutex<Vec<u32>>>, alive: &Arc<()>) {
    let (log, alive) = (log.clone(), alive.clone());
    node.cluster
        .host::<Stub, _>("hall", move |_: String, _: Activation| {
            let (log, alive) = (log.clone(), alive.clone());
            async move {
                let hall = Object::new().method("seat", move || {
                    let (log, _alive) = (log.clone(), alive.clone());
                    async { Ok(Stub::new(Seat { log, _alive })) }
                });
                Ok(hall.method("name", async || Ok("hall")).into_stub())
            }
        });
}

fn goes_over(stub: &Stub, session: &Session) -> bool {
    stub.session().is_some_and(|own| own.id() == session.id())
}

async fn soon<F: Future>(future: F) -> F::Output {
    let limit = Duration::from_secs(60);
    tokio::time::timeout(limit, future).await.unwrap()
}

/// Waits for up to a minute of virtual time until something holds.
async fn until(mut holds: impl FnMut() -> bool) {
    soon(async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn post(stub: &Stub, number: u32) -> Result<u32> {
    soon(stub.call("post", (number,)).fetch()).await
}

#[tokio::test(start_paused = true)]
async fn calls_go_directly_after_a_stub_is_handed_off() {
    let scene = Scene::new().await;
    let seat = scene.seat().await;
    scene.b.give("guest", &seat).await;
    let taken = scene.taken.last();
    scene.ended(1).await;
    assert!(scene.is_direct(&taken).await);
    assert_eq!(post(&taken, 1).await.unwrap(), 2);
    // The node between them is not needed any more.
    scene.network.kill(&scene.b.bus);
    assert_eq!(post(&taken, 2).await.unwrap(), 3);
    assert_eq!(scene.log(), [1, 2]);
}

#[tokio::test(start_paused = true)]
async fn calls_keep_their_order_while_a_stub_is_handed_off() {
    const CALLS: u32 = 400;
    for delay in [0, 1, 7, 30] {
        let scene = Scene::new().await;
        let seat = scene.seat().await;
        scene.network.delay(Duration::from_millis(delay));
        scene.b.give("guest", &seat).await;
        let taken = scene.taken.last();
        let mut calls = Vec::new();
        let mut ways = Vec::new();
        for number in 0..CALLS {
            // They are not awaited one by one, so that many are under way.
            calls.push(tokio::spawn(taken.call("post", (number,)).fetch::<u32>()));
            let way = match taken.session() {
                Some(_) if scene.is_direct(&taken).await => "direct",
                Some(_) => "proxied",
                None => "waiting",
            };
            if ways.last() != Some(&way) {
                ways.push(way);
            }
            tokio::time::sleep(Duration::from_micros(500)).await;
        }
        for (number, call) in (0..CALLS).zip(calls) {
            assert_eq!(soon(call).await.unwrap().unwrap(), number + 1);
        }
        assert_eq!(scene.log(), (0..CALLS).collect::<Vec<_>>(), "{delay} ms");
        assert_eq!(ways.last(), Some(&"direct"), "{delay} ms: {ways:?}");
        if delay > 0 {
            assert_eq!(ways, ["proxied", "waiting", "direct"], "{delay} ms");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_leaves_the_proxy() {
    let scene = Scene::new().await;
    let nodes = [&scene.a, &scene.b, &scene.c];
    let seat = scene.seat().await;
    let steps = ["provide", "shorten", "redeem", "echo", "arrived"];
    let mut numbers = 0..;
    for (count, step) in (1..).zip(steps) {
        nodes.iter().for_each(|node| node.fail(Some(step)));
        scene.network.delay(Duration::from_millis(2));
        scene.b.give("guest", &seat).await;
        let taken = scene.taken.last();
        let mut calls = Vec::new();
        while scene.b.ended() < count {
            let number = numbers.next().unwrap();
            let call = taken.call("post", (number,)).fetch::<u32>();
            calls.push((number, tokio::spawn(call)));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(scene.is_proxied(&taken).await, "{step}");
        for (number, call) in calls {
            assert_eq!(soon(call).await.unwrap().unwrap(), number + 1, "{step}");
        }
        let number = numbers.next().unwrap();
        assert_eq!(post(&taken, number).await.unwrap(), number + 1, "{step}");
        assert!(nodes.iter().all(|node| node.held() == (0, 0)), "{step}");
    }
    assert_eq!(scene.log(), (0..numbers.start).collect::<Vec<_>>());
    // The same stub can be handed off when it is passed on again.
    nodes.iter().for_each(|node| node.fail(None));
    scene.b.give("guest", &seat).await;
    scene.ended(steps.len() + 1).await;
    assert!(scene.is_direct(&scene.taken.last()).await);
}

#[tokio::test(start_paused = true)]
async fn no_call_hangs_if_a_node_dies_during_a_hand_off() {
    for dies in ["b", "c"] {
        for wait in (0..120).step_by(10) {
            let scene = Scene::new().await;
            let seat = scene.seat().await;
            scene.network.delay(Duration::from_millis(10));
            scene.b.give("guest", &seat).await;
            let taken = scene.taken.last();
            let mut calls = Vec::new();
            for number in 0..150 {
                if number == wait {
                    let node = if dies == "b" { &scene.b } else { &scene.c };
                    scene.network.kill(&node.bus);
                }
                calls.push(tokio::spawn(taken.call("post", (number,)).fetch::<u32>()));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let (mut answered, mut named) = (Vec::new(), BTreeSet::new());
            for (number, call) in (0..).zip(calls) {
                match soon(call).await.unwrap() {
                    Ok(next) => {
                        assert_eq!(next, number + 1);
                        answered.push(number);
                    }
                    Err(error) => {
                        let has_run = scene.log().contains(&number);
                        assert!(error.may_have_run() || !has_run, "{error:?}");
                        named.insert(error.message().to_owned());
                    }
                }
            }
            // Whatever fails is told why.
            let known = ["the other node", "the node", "the stub", "the object"];
            let is_known = |name: &String| known.iter().any(|known| name.contains(known));
            assert!(named.iter().all(is_known), "{named:?}");
            let log = scene.log();
            assert!(answered.iter().all(|number| log.contains(number)));
            assert!(
                log.is_sorted_by(|earlier, later| earlier < later),
                "{log:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn stubs_of_objects_outside_the_cluster_stay_proxies() {
    let scene = Scene::new().await;
    // A client of `b`, which is no node.
    let (left, right) = pair();
    let log = scene.log.clone();
    let _alive = scene.alive.clone();
    let (_, mut server) = Session::server(SessionOptions::new());
    server.set_main(Stub::new(Seat { log, _alive }));
    tokio::spawn(server.drive(left));
    let (outside, connection) = Session::client(SessionOptions::new());
    tokio::spawn(connection.drive(right));
    // And an object of `b` itself.
    let own = Object::new().method("post", async |number: u32| Ok(number + 1));
    for stub in [outside.main(), own.into_stub()] {
        scene.b.give("guest", &stub).await;
        let taken = scene.taken.last();
        assert_eq!(post(&taken, 1).await.unwrap(), 2);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(scene.is_proxied(&taken).await);
        assert_eq!(scene.b.ended(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_left_of_a_hand_off() {
    let scene = Scene::new().await;
    let sessions = [
        scene.a.session(&scene.b).await,
        scene.b.session(&scene.a).await,
        scene.b.session(&scene.c).await,
        scene.c.session(&scene.b).await,
        scene.a.session(&scene.c).await,
        scene.c.session(&scene.a).await,
    ];
    let stats = || sessions.each_ref().map(Session::stats);
    // The stubs of the guest and the hall are there before.
    let seat = scene.seat().await;
    drop(seat);
    scene.b.give("guest", &Object::new().into_stub()).await;
    scene.taken.clear();
    until(|| scene.seats() == 0).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = stats();

    for round in 1..=20 {
        let seat = scene.seat().await;
        scene.b.give("guest", &seat).await;
        drop(seat);
        let taken = scene.taken.last();
        scene.ended(round).await;
        assert!(scene.is_direct(&taken).await);
        // The proxy is released, and only the new session knows the object.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = stats();
        assert_eq!(now[..4], before[..4]);
        let one_more = |stats: Stats| (stats.imports + 1, stats.exports);
        assert_eq!((now[4].imports, now[4].exports), one_more(before[4]));
        assert_eq!(post(&taken, 1).await.unwrap(), 2);
        drop(taken);
        scene.taken.clear();
        until(|| scene.seats() == 0).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(stats(), before);
    for node in [&scene.a, &scene.b, &scene.c] {
        assert_eq!(node.held(), (0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stub_that_is_dropped_during_its_hand_off_is_released() {
    for wait in 0..40 {
        let scene = Scene::new().await;
        let seat = scene.seat().await;
        scene.network.delay(Duration::from_millis(3));
        scene.b.give("guest", &seat).await;
        drop(seat);
        tokio::time::sleep(Duration::from_millis(wait)).await;
        // A call that is under way is answered all the same.
        let called = tokio::spawn(scene.taken.last().call("post", (1,)).fetch::<u32>());
        tokio::task::yield_now().await;
        scene.taken.clear();
        assert_eq!(soon(called).await.unwrap().unwrap(), 2);
        scene.ended(1).await;
        until(|| scene.seats() == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn objects_of_the_cluster_are_handed_off_by_their_names() {
    let scene = Scene::new().await;
    let hall: Stub = scene.b.cluster.get("hall", "");
    soon(hall.call("name", ()).fetch::<String>()).await.unwrap();
    scene.b.give("guest", &hall).await;
    let taken = scene.taken.last();
    scene.ended(1).await;
    scene.network.kill(&scene.b.bus);
    let name = soon(taken.call("name", ()).fetch::<String>())
        .await
        .unwrap();
    assert_eq!(name, "hall");
    assert!(scene.is_direct(&taken).await);
    // It follows the object from node to node, and idempotent calls are made again.
    let next = Node::join(&scene.network).await;
    host_hall(&next, &scene.log, &scene.alive);
    let called = taken.idempotent().call("name", ()).fetch::<String>();
    scene.network.kill(&scene.c.bus);
    assert_eq!(soon(called).await.unwrap(), "hall");
    assert_eq!(next.cluster.objects(), 1);
}

#[tokio::test(start_paused = true)]
async fn stubs_are_handed_off_along_a_chain() {
    for delay in [0, 4] {
        let scene = Scene::new().await;
        let last = Node::join(&scene.network).await;
        let taken = last.host_guest("last");
        let seat = scene.seat().await;
        scene.network.delay(Duration::from_millis(delay));
        scene.b.give("guest", &seat).await;
        // It is passed on again while it is being handed off.
        scene.a.give("last", &scene.taken.last()).await;
        let stub = taken.last();
        let mut calls = Vec::new();
        let direct = last.session(&scene.c).await;
        let mut numbers = 0..;
        while !goes_over(&stub, &direct) {
            let number = numbers.next().unwrap();
            assert!(number < 10_000, "it stays a proxy");
            calls.push(tokio::spawn(stub.call("post", (number,)).fetch::<u32>()));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        scene.taken.clear();
        drop(seat);
        scene.network.kill(&scene.b.bus);
        scene.network.kill(&scene.a.bus);
        let number = numbers.next().unwrap();
        assert_eq!(post(&stub, number).await.unwrap(), number + 1);
        for (number, call) in (0..).zip(calls) {
            assert_eq!(soon(call).await.unwrap().unwrap(), number + 1);
        }
        assert_eq!(scene.log(), (0..=number).collect::<Vec<_>>());
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_hands_off_to_its_own_objects() {
    let scene = Scene::new().await;
    let taken = scene.b.host_guest("own");
    let seat = scene.seat().await;
    scene.b.give("own", &seat).await;
    let stub = taken.last();
    scene.ended(1).await;
    assert!(goes_over(&stub, &scene.b.session(&scene.c).await));
    assert_eq!(post(&stub, 1).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn broken_stubs_are_told_of_the_session_that_they_belong_to() {
    let scene = Scene::new().await;
    let seat = scene.seat().await;
    scene.b.give("guest", &seat).await;
    let taken = scene.taken.last();
    let closed = tokio::spawn(taken.closed());
    scene.ended(1).await;
    let over = scene.a.session(&scene.b).await;
    over.close(Error::new("the first session is over"));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!closed.is_finished());
    let direct = scene.a.session(&scene.c).await;
    direct.close(Error::new("the second session is over"));
    let reason = soon(closed).await.unwrap();
    assert_eq!(reason.message(), "the second session is over");
    assert!(post(&taken, 1).await.is_err());
}

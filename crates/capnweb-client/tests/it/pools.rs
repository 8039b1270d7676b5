//! Pools of clients.

use std::time::Duration;

use capnweb_core::{Promise, Stub};

use crate::{
    counting::Counting,
    network::{Network, soon},
    reconnecting::{client, up},
};

fn network(urls: &[&str]) -> (Network, Vec<Counting>) {
    let network = Network::new();
    let serve = |url: &&str| {
        let counting = Counting::new();
        let main = counting.clone();
        network.serve(url, move |_| main.main());
        counting
    };
    let counting = urls.iter().map(serve).collect();
    (network, counting)
}

#[tokio::test(start_paused = true)]
async fn calls_are_spread_by_what_is_under_way() {
    let urls = ["a", "b", "c", "d"];
    let (network, counting) = network(&urls);
    let pool = client(&network, &urls).start_pool();
    for member in pool.members() {
        up(member).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    // The first member is slow, so its calls stay in progress.
    let slow: Stub = pool.members()[0].main();
    let busy: Vec<_> = (0..100)
        .map(|id| slow.call("slow", (id, 600_000)).fetch::<u32>())
        .collect();
    for id in 1000..1400 {
        let api: Stub = pool.main();
        soon(api.call("count", (id,)).fetch::<u32>()).await.unwrap();
    }
    let counts: Vec<_> = counting.iter().map(|server| server.totals().0).collect();
    assert_eq!(counts[0], 0, "{counts:?}");
    assert!(
        counts[1..].iter().all(|count| (90..180).contains(count)),
        "{counts:?}"
    );
    drop(busy);
}

#[tokio::test(start_paused = true)]
async fn a_stub_stays_with_its_member() {
    let urls = ["a", "b", "c"];
    let (network, counting) = network(&urls);
    let pool = client(&network, &urls).start_pool();
    for member in pool.members() {
        up(member).await;
    }
    let member = pool.pick().clone();
    let api: Stub = member.main();
    let user: Stub = member.derive(&api, |api: Stub| -> Promise<Stub> {
        api.call("child", ("user",)).cast()
    });
    for id in 0..20 {
        soon(user.call("count", (id,)).fetch::<u32>())
            .await
            .unwrap();
    }
    let counts: Vec<_> = counting.iter().map(|server| server.totals().0).collect();
    assert_eq!(counts.iter().filter(|count| **count == 20).count(), 1);
    assert_eq!(counts.iter().sum::<usize>(), 20);
}

#[tokio::test(start_paused = true)]
async fn members_that_are_down_are_passed_over() {
    let urls = ["a", "b"];
    let (network, counting) = network(&urls);
    network.then("b", crate::network::Reply::Hang);
    let pool = client(&network, &urls).start_pool();
    up(&pool.members()[0]).await;
    for id in 0..20 {
        let api: Stub = pool.main();
        soon(api.call("count", (id,)).fetch::<u32>()).await.unwrap();
    }
    assert_eq!(counting[0].totals(), (20, 1));
    pool.close();
    for member in pool.members() {
        soon(member.closed()).await;
    }
}

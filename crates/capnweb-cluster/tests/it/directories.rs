//! The same checks for each directory: in memory, on NATS and in PostgreSQL.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use capnweb_cluster::{Directory, DirectoryError, Revision};
use capnweb_core::Result;

use crate::support::World;

const CONFLICT: Option<DirectoryError> = Some(DirectoryError::Conflict);

/// Checks a directory, in whose keys `prefix` is unused.
pub(crate) async fn check(directory: impl Directory, prefix: &str) {
    let directory: Arc<dyn Directory> = Arc::new(directory);
    keys_are_compared_and_set(&*directory, prefix).await;
    values_may_hold_anything(&*directory, prefix).await;
    one_of_many_writers_wins(&directory, prefix).await;
    revisions_grow_whatever_happens_to_a_key(&directory, prefix).await;
}

async fn keys_are_compared_and_set(directory: &dyn Directory, prefix: &str) {
    let (key, other) = (format!("{prefix}.a"), format!("{prefix}.a.b=2E"));
    assert_eq!(directory.get(&key).await.unwrap(), None);
    let none = directory.update(&key, "0".into(), Revision(1)).await;
    assert_eq!(none.err(), CONFLICT);
    assert_eq!(directory.delete(&key, Revision(1)).await.err(), CONFLICT);
    let first = directory.create(&key, "1".into()).await.unwrap();
    assert_eq!(directory.create(&key, "2".into()).await.err(), CONFLICT);
    let second = directory.update(&key, "2".into(), first).await.unwrap();
    assert!(second > first);
    let entry = directory.get(&key).await.unwrap().unwrap();
    assert_eq!((&entry.value[..], entry.revision), (&b"2"[..], second));
    let late = directory.update(&key, "3".into(), first).await;
    assert_eq!(late.err(), CONFLICT);
    for unknown in [Revision(0), first, Revision(u64::MAX)] {
        assert_eq!(directory.delete(&key, unknown).await.err(), CONFLICT);
    }
    // Other keys have revisions of their own.
    let third = directory.create(&other, "x".into()).await.unwrap();
    let second = directory.update(&key, "3".into(), second).await.unwrap();
    directory.delete(&key, second).await.unwrap();
    assert_eq!(directory.get(&key).await.unwrap(), None);
    assert_eq!(directory.delete(&key, second).await.err(), CONFLICT);
    let late = directory.update(&key, "4".into(), second).await;
    assert_eq!(late.err(), CONFLICT);
    // A key that was deleted has a later revision when it is created again.
    assert!(directory.create(&key, "4".into()).await.unwrap() > second);
    let entry = directory.get(&other).await.unwrap().unwrap();
    assert_eq!(entry.revision, third);
}

async fn values_may_hold_anything(directory: &dyn Directory, prefix: &str) {
    let long = Bytes::from_iter((0..=255).cycle().take(100_000));
    let mut revision = None;
    let key = format!("{prefix}.value");
    for value in [
        "".into(),
        "'; DROP TABLE \\ \"".into(),
        Bytes::from_static(&[0, 0xff]),
        long,
    ] {
        let written = match revision {
            None => directory.create(&key, value.clone()).await,
            Some(revision) => directory.update(&key, value.clone(), revision).await,
        };
        revision = Some(written.unwrap());
        assert_eq!(directory.get(&key).await.unwrap().unwrap().value, value);
    }
}

/// Runs `work` eight times at once. Returns the results that are no conflict.
async fn race<F>(work: impl Fn(usize) -> F) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let racers: Vec<_> = (0..8).map(|racer| tokio::spawn(work(racer))).collect();
    let mut results = Vec::new();
    for racer in racers {
        results.push(racer.await.unwrap());
    }
    results
}

fn winners<T>(results: Vec<Result<T, DirectoryError>>) -> Vec<T> {
    let winners = results.into_iter().filter_map(|result| match result {
        Ok(won) => Some(won),
        Err(error) => {
            assert_eq!(error, DirectoryError::Conflict);
            None
        }
    });
    winners.collect()
}

async fn one_of_many_writers_wins(directory: &Arc<dyn Directory>, prefix: &str) {
    for round in 0..5 {
        let key = format!("{prefix}.race.{round}");
        let created = race(|racer| directory.create(&key, racer.to_string().into())).await;
        let [revision] = winners(created)[..] else {
            panic!("a key was created twice or not at all");
        };
        let update = |racer: usize| directory.update(&key, racer.to_string().into(), revision);
        let [revision] = winners(race(update).await)[..] else {
            panic!("a revision was updated twice or not at all");
        };
        let deleted = winners(race(|_| directory.delete(&key, revision)).await);
        assert_eq!(deleted.len(), 1);
    }
}

async fn revisions_grow_whatever_happens_to_a_key(directory: &Arc<dyn Directory>, prefix: &str) {
    let key = format!("{prefix}.turns");
    let turns = race(|_| {
        let (directory, key) = (directory.clone(), key.clone());
        async move {
            let mut written = Vec::new();
            for _ in 0..20 {
                let done = match directory.get(&key).await.unwrap() {
                    None => directory.create(&key, "".into()).await,
                    Some(entry) => {
                        let changed = directory.update(&key, "".into(), entry.revision).await;
                        if let Ok(revision) = changed {
                            written.push(revision);
                            let deleted = directory.delete(&key, revision).await;
                            assert!(matches!(deleted, Ok(()) | Err(DirectoryError::Conflict)));
                        }
                        changed
                    }
                };
                match done {
                    Ok(revision) if written.last() != Some(&revision) => written.push(revision),
                    Ok(_) | Err(DirectoryError::Conflict) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            written
        }
    })
    .await;
    let mut all = BTreeSet::new();
    for written in turns {
        // A writer has seen what it has written before.
        assert!(written.is_sorted_by(|earlier, later| earlier < later));
        for revision in written {
            assert!(all.insert(revision), "a revision stands twice");
        }
    }
    assert!(all.len() >= 20, "{}", all.len());
}

#[tokio::test]
async fn memory_compares_and_sets() {
    let world = World::new();
    check(world.network.directory(&world.network.node()), "check").await;
}

#[cfg(feature = "nats")]
#[tokio::test]
async fn nats_compares_and_sets() {
    if let Some(server) = crate::server::Server::start().await {
        check(server.nats().await, "check").await;
    }
}

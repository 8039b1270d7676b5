//! Random values of many Rust types, sent through the peer and read back.

use capnweb::{Payload, Promise, Result, Value};

use super::check::{Checks, Failure, Outcome, Over};
use super::peer::Peer;
use crate::differential::{Random, Sampling, Shape, difference, shapes};

/// The number of values per call.
const TOGETHER: usize = 100;

/// The maximum number of failing shapes that are reported.
const REPORTED: usize = 20;

pub(super) fn checks(checks: &mut Checks, sampling: Sampling) {
    checks
        .add(
            "differential: random values of every shape come back as they went",
            Over::WS,
            move |peer| async move { compare_all(&peer, sampling).await },
        )
        .not_rust("it is the reference that has to understand them");
}

async fn compare_all(peer: &Peer, sampling: Sampling) -> Outcome {
    let shapes = shapes();
    // The other half is sent from Node to Rust.
    let each = sampling.values.div_ceil(2 * shapes.len());
    let mut faults = Vec::new();
    for shape in &shapes {
        let mut random = Random::new(sampling.seed, &shape.name());
        let mut failed = Vec::new();
        for first in (0..each).step_by(TOGETHER) {
            let count = TOGETHER.min(each - first);
            failed.extend(compare(peer, *shape, &mut random, first..first + count).await?);
        }
        let shortest = failed.iter().min_by_key(|fault| fault.length);
        if let Some(Fault { words, .. }) = shortest {
            let (name, count, seed) = (shape.name(), failed.len(), sampling.seed);
            faults.push(format!(
                "{name}: {count} values of {each} with --seed {seed}, {words}"
            ));
        }
    }
    if faults.is_empty() {
        return Ok(());
    }
    let (count, all) = (faults.len(), shapes.len());
    faults.truncate(REPORTED);
    Err(Failure::new(format!(
        "{count} shapes of {all}:\n{}",
        faults.join("\n")
    )))
}

/// A value that was returned differently.
struct Fault {
    words: String,
    /// The length of the value's description.
    length: usize,
}

/// Sends values together, and returns the failures.
async fn compare(
    peer: &Peer,
    shape: Shape,
    random: &mut Random,
    numbers: std::ops::Range<usize>,
) -> Result<Vec<Fault>> {
    let (models, payload) = shape.samples(random, numbers.len())?;
    let back = Promise::cast::<Payload>(peer.api().echo(&payload)).await?;
    let seen: Vec<Value> = back.decode()?;
    let read = match shape.read(&back) {
        Ok(read) => read.into_iter().map(Ok).collect(),
        // If one of them cannot be read, none was.
        Err(_) => one_by_one(shape, &back)?,
    };
    let values = numbers.zip(models).zip(seen.into_iter().zip(read));
    let faults = values.filter_map(|((number, model), (seen, read))| {
        let fault = match read {
            Err(error) => Some(format!(" cannot be read: {error}")),
            Ok(read) => difference(&model, &seen)
                .map(|place| format!(" was seen{place}"))
                .or_else(|| difference(&model, &read).map(|place| format!(" was read{place}"))),
        };
        let sent = format!("{model:?}");
        fault.map(|fault| Fault {
            words: format!("number {number} for one:\n  sent {sent}\n  it{fault}"),
            length: sent.len(),
        })
    });
    Ok(faults.collect())
}

fn one_by_one(shape: Shape, list: &Payload) -> Result<Vec<Result<Value>>> {
    let items: Vec<Payload> = list.decode()?;
    let read = items.into_iter().map(|item| {
        let mut read = shape.read(&Payload::encode(&[item])?)?;
        Ok(read.pop().unwrap_or_default())
    });
    Ok(read.collect())
}

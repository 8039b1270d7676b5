//! The client, which does as much as possible of one task in a given time.

mod batch;
mod bytes;
mod calls;
mod chains;
mod fairness;
mod map;
mod progress;
mod sessions;
mod streams;

use std::fmt;

use crate::{
    Result, connect,
    options::{Options, Over},
};

/// A case that this program, or this transport, does not support.
#[derive(Debug)]
pub(crate) struct Unsupported(String);

impl Unsupported {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unsupported: {}", self.0)
    }
}

impl std::error::Error for Unsupported {}

pub(crate) async fn load(case: &str, options: &Options) -> Result {
    match case {
        "batch" => return batch::load(options).await,
        "connect" => return sessions::connect(options).await,
        "idle" => return sessions::idle(options).await,
        "fairness" => return fairness::load(options).await,
        _ => {}
    }
    if options.over == Over::Batch {
        return Err(Unsupported::new("a batch is one exchange; its case is `batch`").into());
    }
    let api = connect::connect(options, &options.at).await?;
    match case {
        "calls" => calls::load(&api, options).await,
        "local" => calls::local(&api, options).await,
        "chains" => chains::load(&api, options).await,
        "map" => map::load(&api, options).await,
        "bytes" => bytes::load(&api, options).await,
        "text" => bytes::text(&api, options).await,
        "stream-up" => streams::up(&api, options).await,
        "stream-down" => streams::down(&api, options).await,
        _ => Err(Unsupported::new(format!("no case `{case}`")).into()),
    }
}

//! `capnweb-interop client`: checks our client against a server of either kind.
//!
//! The checks of `node/client.mjs` are their counterpart. Topics have the same names.

mod check;
#[cfg_attr(target_family = "wasm", path = "client/connect_web.rs")]
mod connect;
mod peer;
mod runner;

mod arguments;
mod batch;
mod calls;
mod capabilities;
mod differential;
mod disposal;
mod errors;
mod fetch;
mod limits;
mod mains;
mod map;
mod message_pack;
mod order;
mod pipelining;
mod reading;
mod session_end;
mod streams;
mod tour;
mod typed_bytes;
mod values;

use std::process::ExitCode;

use self::{
    check::{Checks, Over, PeerKind},
    peer::Address,
    runner::Runner,
};
use crate::{arguments::Arguments, differential::Sampling};

/// Runs the checks, prints one line of JSON for each, and fails if any of them failed.
pub(crate) async fn run(mut arguments: Arguments) -> Result<ExitCode, String> {
    let url = arguments
        .take("url")
        .ok_or("--url of the server is missing")?;
    let peer = match arguments.take("peer").as_deref() {
        None | Some("rust") => PeerKind::Rust,
        Some("node") => PeerKind::Node,
        Some(other) => return Err(format!("--peer is rust or node, not {other}")),
    };
    let over = arguments
        .take("over")
        .unwrap_or_else(|| "ws,batch".to_owned());
    let transports = over
        .split(',')
        .map(|name| Over::named(name).ok_or_else(|| format!("--over knows no {name}")))
        .collect::<Result<Vec<_>, _>>()?;

    let mut address = Address::new(&url)?;
    if let Some(webtransport) = arguments.take("webtransport") {
        let hash = arguments.take("hash").ok_or("--hash is missing")?;
        let hash = connect::parse_hash(&hash).map_err(|error| format!("--hash: {error}"))?;
        address = address.with_webtransport(webtransport, hash);
    }
    let sampling = Sampling {
        seed: arguments
            .take_number("seed")?
            .unwrap_or(Sampling::DEFAULT.seed),
        values: arguments
            .take_number("values")?
            .unwrap_or(Sampling::DEFAULT.values),
    };
    let runner = Runner {
        address,
        peer,
        only: arguments.take("only"),
        without: arguments.take("without").unwrap_or_default(),
    };
    let tally = runner.run(&all_checks(sampling), &transports).await;
    Ok(if tally.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Returns the checks of all topics.
fn all_checks(sampling: Sampling) -> Checks {
    let mut checks = Checks::default();
    for add in [
        values::checks,
        reading::checks,
        calls::checks,
        errors::checks,
        pipelining::checks,
        arguments::checks,
        capabilities::checks,
        mains::checks,
        map::checks,
        order::checks,
        disposal::checks,
        session_end::checks,
        limits::checks,
        batch::checks,
        streams::checks,
        tour::checks,
        typed_bytes::checks,
        fetch::checks,
        message_pack::checks,
    ] {
        add(&mut checks);
    }
    differential::checks(&mut checks, sampling);
    checks
}

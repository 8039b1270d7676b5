//! Running of checks and reporting.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::Instant;

use super::{
    check::{Check, Checks, Failure, Outcome, Over, PeerKind},
    peer::{Address, Peer},
};

/// The time limit of a check.
const LIMIT: Duration = Duration::from_secs(60);

/// The number of checks by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: usize,
    pub(super) failed: usize,
    pub(super) skipped: usize,
}

pub(super) struct Runner {
    pub(super) address: Address,
    pub(super) peer: PeerKind,
    /// Run only checks whose name contains this.
    pub(super) only: Option<String>,
    /// Leave out checks whose names contain one of these, separated by `|`.
    pub(super) without: String,
}

impl Runner {
    /// Runs the checks that apply and prints a line for each.
    pub(super) async fn run(&self, checks: &Checks, transports: &[Over]) -> Tally {
        let mut tally = Tally::default();
        for &over in transports {
            for check in checks.iter().filter(|check| self.is_wanted(check, over)) {
                let report = match self.why_not(check) {
                    Some(reason) => {
                        tally.skipped += 1;
                        json!({ "ok": true, "skipped": reason })
                    }
                    None => {
                        let started = Instant::now();
                        let outcome = self.run_check(check, over).await;
                        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                        match outcome {
                            Ok(()) => {
                                tally.passed += 1;
                                json!({ "ok": true, "ms": ms })
                            }
                            Err(failure) => {
                                tally.failed += 1;
                                json!({ "ok": false, "ms": ms, "detail": failure.to_string() })
                            }
                        }
                    }
                };
                print(&check.name, over, report);
            }
        }
        tally
    }

    fn is_wanted(&self, check: &Check, over: Over) -> bool {
        over.is_one_of(check.over)
            && self
                .only
                .as_ref()
                .is_none_or(|only| check.name.contains(only.as_str()))
            && !self
                .without
                .split('|')
                .any(|text| !text.is_empty() && check.name.contains(text))
    }

    fn why_not(&self, check: &Check) -> Option<&'static str> {
        match self.peer {
            PeerKind::Node => check.not_node,
            PeerKind::Rust => check.not_rust,
        }
    }

    async fn run_check(&self, check: &Check, over: Over) -> Outcome {
        let running = async {
            let peer = Arc::new(Peer::new(self.address.clone(), over).await?);
            peer.ensure_answers().await?;
            // Run the check in a task of its own, so that a panic only fails this check.
            match tokio::spawn(check.run(peer.clone())).await {
                Ok(outcome) => outcome?,
                Err(panic) => return Err(Failure::new(format!("the check panicked: {panic}"))),
            }
            peer.ensure_nothing_leaked().await
        };
        match tokio::time::timeout(LIMIT, running).await {
            Ok(outcome) => outcome,
            Err(_) => Err(Failure::new(format!(
                "took longer than {} s",
                LIMIT.as_secs()
            ))),
        }
    }
}

fn print(name: &str, over: Over, mut report: serde_json::Value) {
    report["check"] = name.into();
    report["over"] = over.name().into();
    crate::ready::report(&report);
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpSocket;

    use super::*;
    use crate::{client::all_checks, differential::Sampling};

    /// Returns a port that this process owns but does not listen on.
    fn closed_port() -> (TcpSocket, String) {
        let socket = TcpSocket::new_v4().expect("a socket");
        let any = "127.0.0.1:0".parse().expect("an address");
        socket.bind(any).expect("a port");
        let bound = socket.local_addr().expect("an address");
        (socket, format!("http://{bound}"))
    }

    #[tokio::test]
    async fn without_a_server_no_check_passes() {
        let (_socket, url) = closed_port();
        for peer in [PeerKind::Rust, PeerKind::Node] {
            for over in [Over::WebSocket, Over::Batch] {
                let runner = Runner {
                    address: Address::new(&url).expect("an address"),
                    peer,
                    only: None,
                    without: String::new(),
                };
                let tally = runner.run(&all_checks(Sampling::DEFAULT), &[over]).await;
                assert_eq!(tally.passed, 0, "{peer:?} {over:?}");
                assert!(tally.failed > 50, "{peer:?} {over:?}: {tally:?}");
            }
        }
    }
}

//! Runs checks and reports.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{
    check::{Check, Checks, Failure, Outcome, Over, PeerKind},
    peer::{Address, Peer},
};

/// How long one check may take.
const LIMIT: Duration = Duration::from_secs(20);

pub(super) struct Runner {
    pub(super) address: Address,
    pub(super) peer: PeerKind,
    /// Run only checks whose name holds this.
    pub(super) only: Option<String>,
}

impl Runner {
    /// Runs what applies, prints a line for each check, and gives the number of failures.
    pub(super) async fn run(&self, checks: &Checks, transports: &[Over]) -> usize {
        let mut failed = 0;
        for &over in transports {
            for check in checks.iter().filter(|check| self.is_wanted(check, over)) {
                let report = match self.why_not(check) {
                    Some(reason) => json!({ "ok": true, "skipped": reason }),
                    None => {
                        let started = Instant::now();
                        let outcome = self.run_check(check, over).await;
                        failed += usize::from(outcome.is_err());
                        let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
                        match outcome {
                            Ok(()) => json!({ "ok": true, "ms": ms }),
                            Err(failure) => {
                                json!({ "ok": false, "ms": ms, "detail": failure.to_string() })
                            }
                        }
                    }
                };
                print(&check.name, over, report);
            }
        }
        failed
    }

    fn is_wanted(&self, check: &Check, over: Over) -> bool {
        over.is_one_of(check.over)
            && self
                .only
                .as_ref()
                .is_none_or(|only| check.name.contains(only.as_str()))
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
            // A task of its own, so that a panic is a failure of this check alone.
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
    println!("{report}");
}

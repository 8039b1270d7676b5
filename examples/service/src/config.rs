//! The configuration, from environment variables.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `LISTEN` | `127.0.0.1:8080` | the address for clients |
//! | `MONITOR` | `127.0.0.1:9090` | the address for health checks and metrics |
//! | `DATABASE` | `notes.db` | the file of the database |
//! | `ORIGINS` | none | the origins whose pages may connect, separated by commas |
//! | `TLS_CERT`, `TLS_KEY` | none | PEM files; without them, a proxy is expected to add TLS |
//! | `COOKIES` | `secure` | `insecure` sends cookies without TLS too, for development |
//! | `DRAIN_DELAY`, `DRAIN_SPREAD`, `DRAIN_DEADLINE` | 5, 10, 25 | seconds: see `Drain` |
//! | `PING_INTERVAL` | 20 | the idle time after which a session is sent a ping, in seconds |

use std::{env, error::Error, path::PathBuf, time::Duration};

use capnweb::{Drain, axum::Origins};

pub(crate) struct Config {
    pub(crate) listen: String,
    pub(crate) monitor: String,
    pub(crate) database: PathBuf,
    pub(crate) origins: Origins,
    pub(crate) tls: Option<Tls>,
    pub(crate) is_secure: bool,
    pub(crate) drain: Drain,
    pub(crate) ping_interval: Duration,
}

pub(crate) struct Tls {
    pub(crate) certificates: PathBuf,
    pub(crate) key: PathBuf,
}

impl Config {
    pub(crate) fn from_env() -> Result<Self, Box<dyn Error>> {
        let origins = var("ORIGINS").unwrap_or_default();
        let origins = origins.split(',').map(str::trim);
        let tls = match (var("TLS_CERT"), var("TLS_KEY")) {
            (Some(certificates), Some(key)) => Some(Tls {
                certificates: certificates.into(),
                key: key.into(),
            }),
            (None, None) => None,
            _ => return Err("TLS_CERT and TLS_KEY belong together".into()),
        };
        let is_secure = match var("COOKIES").as_deref() {
            None | Some("secure") => true,
            Some("insecure") => false,
            Some(other) => return Err(format!("COOKIES is secure or insecure, not {other}").into()),
        };
        Ok(Self {
            listen: var("LISTEN").unwrap_or_else(|| "127.0.0.1:8080".to_owned()),
            monitor: var("MONITOR").unwrap_or_else(|| "127.0.0.1:9090".to_owned()),
            database: var("DATABASE").map_or_else(|| "notes.db".into(), PathBuf::from),
            origins: Origins::new(origins.filter(|origin| !origin.is_empty()))?,
            tls,
            is_secure,
            drain: Drain::new()
                .lb_delay(seconds("DRAIN_DELAY", 5.0)?)
                .spread(seconds("DRAIN_SPREAD", 10.0)?)
                .deadline(seconds("DRAIN_DEADLINE", 25.0)?),
            ping_interval: seconds("PING_INTERVAL", 20.0)?,
        })
    }
}

/// Returns a variable that is set and not empty.
fn var(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn seconds(name: &str, usual: f64) -> Result<Duration, Box<dyn Error>> {
    let number = match var(name) {
        None => usual,
        Some(value) => (value.parse()).map_err(|error| format!("{name}={value}: {error}"))?,
    };
    Duration::try_from_secs_f64(number).map_err(|error| format!("{name}: {error}").into())
}

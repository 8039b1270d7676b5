//! A minimal Cap'n Web server for `add`, without tables, objects or errors of calls.

use capnweb_peers::Result;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::accept_async_with_config;

use crate::websocket::{Flush, config, next, send};

/// Answers a client's calls until it disconnects.
pub(crate) async fn respond(socket: TcpStream) -> Result {
    let mut socket = accept_async_with_config(socket, Some(config())).await?;
    let mut calls = Calls::default();
    while let Some(message) = next(&mut socket, Flush::OnceAWake).await? {
        if let Some(answer) = calls.receive(&message)? {
            send(&mut socket, answer.into(), Flush::OnceAWake).await?;
        }
    }
    Ok(())
}

/// The last call. No others are stored, since its `pull` comes next.
#[derive(Debug, Default)]
struct Calls {
    last: u64,
    sum: f64,
}

impl Calls {
    /// Returns the answer to a message, if it has one.
    fn receive(&mut self, message: &str) -> Result<Option<String>> {
        let message: Value = serde_json::from_str(message)?;
        match message[0].as_str() {
            Some("push") => {
                let call = &message[1];
                if call[2][0] != "add" {
                    return Err("there is `add` alone".into());
                }
                let argument = |i: usize| call[3][i].as_f64().ok_or("`add` takes two numbers");
                self.sum = argument(0)? + argument(1)?;
                self.last += 1;
                Ok(None)
            }
            Some("pull") if message[1] == self.last => Ok(Some(
                serde_json::json!(["resolve", self.last, self.sum]).to_string(),
            )),
            Some("release") => Ok(None),
            _ => Err("a message is no call".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_answered_when_it_is_pulled() {
        let mut calls = Calls::default();
        let push = r#"["push",["pipeline",0,["add"],[2,3]]]"#;
        assert_eq!(calls.receive(push).ok(), Some(None));
        let answer = calls.receive(r#"["pull",1]"#).ok().flatten();
        assert_eq!(answer.as_deref(), Some(r#"["resolve",1,5.0]"#));
        assert_eq!(calls.receive(r#"["release",1,1]"#).ok(), Some(None));
    }

    #[test]
    fn what_is_no_call_ends_the_session() {
        for message in [
            "",
            "7",
            r#"["pull",1]"#,
            r#"["push",["pipeline",0,["add"],[2]]]"#,
            r#"["push",["pipeline",0,["value"]]]"#,
        ] {
            assert!(Calls::default().receive(message).is_err(), "{message}");
        }
    }
}

//! Tunnels through SOCKS 5 proxies (RFC 1928) with passwords (RFC 1929).

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use url::Host;

use super::refused;
use crate::ConnectError;

const VERSION: u8 = 5;
const NO_LOGIN: u8 = 0;
const PASSWORD: u8 = 2;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

pub(super) async fn open<S>(
    stream: &mut S,
    host: &Host<&str>,
    port: u16,
    login: Option<&(String, String)>,
) -> Result<(), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let greeting: &[u8] = match login {
        None => &[VERSION, 1, NO_LOGIN],
        Some(_) => &[VERSION, 2, NO_LOGIN, PASSWORD],
    };
    send(stream, greeting).await?;
    match (receive(stream).await?, login) {
        ([VERSION, NO_LOGIN], _) => {}
        ([VERSION, PASSWORD], Some((user, password))) => log_in(stream, user, password).await?,
        ([VERSION, _], _) => return Err(refused(None, "asks for a user and password")),
        _ => return Err(refused(None, "does not answer as a SOCKS 5 proxy would")),
    }
    let mut request = vec![VERSION, CONNECT, 0];
    match host {
        Host::Ipv4(address) => {
            request.push(IPV4);
            request.extend_from_slice(&address.octets());
        }
        Host::Ipv6(address) => {
            request.push(IPV6);
            request.extend_from_slice(&address.octets());
        }
        Host::Domain(name) => {
            request.push(NAME);
            request.extend_from_slice(&counted(name)?);
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    send(stream, &request).await?;
    let [version, reply, _, kind] = receive(stream).await?;
    if version != VERSION {
        return Err(refused(None, "does not answer as a SOCKS 5 proxy would"));
    }
    if reply != 0 {
        return Err(refused(None, meaning(reply)));
    }
    // The proxy's bound address and port follow.
    let rest = match kind {
        IPV4 => 4 + 2,
        IPV6 => 16 + 2,
        NAME => usize::from(receive::<1, _>(stream).await?[0]) + 2,
        _ => return Err(refused(None, "does not answer as a SOCKS 5 proxy would")),
    };
    let mut bound = vec![0; rest];
    stream
        .read_exact(&mut bound)
        .await
        .map_err(|error| lost(&error))?;
    Ok(())
}

async fn log_in<S>(stream: &mut S, user: &str, password: &str) -> Result<(), ConnectError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let login = [vec![1], counted(user)?, counted(password)?].concat();
    send(stream, &login).await?;
    match receive(stream).await? {
        [_, 0] => Ok(()),
        _ => Err(refused(None, "does not accept the user and password")),
    }
}

/// Returns a string preceded by its length.
fn counted(text: &str) -> Result<Vec<u8>, ConnectError> {
    let len = u8::try_from(text.len())
        .map_err(|_| ConnectError::invalid(format!("{text:?} is too long for a SOCKS proxy")))?;
    Ok([&[len], text.as_bytes()].concat())
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> Result<(), ConnectError> {
    stream
        .write_all(bytes)
        .await
        .map_err(|error| lost(&error))?;
    stream.flush().await.map_err(|error| lost(&error))
}

async fn receive<const N: usize, S>(stream: &mut S) -> Result<[u8; N], ConnectError>
where
    S: AsyncRead + Unpin,
{
    let mut bytes = [0; N];
    stream
        .read_exact(&mut bytes)
        .await
        .map_err(|error| lost(&error))?;
    Ok(bytes)
}

fn lost(error: &io::Error) -> ConnectError {
    refused(None, format_args!("hung up: {error}"))
}

fn meaning(reply: u8) -> &'static str {
    match reply {
        2 => "does not allow the connection",
        3 => "cannot reach the network",
        4 => "cannot reach the host",
        5 => "was refused the connection",
        6 => "had no answer in time",
        _ => "could not connect",
    }
}

#[cfg(test)]
mod tests {
    use capnweb_core::ConnectFailure;
    use tokio::io::duplex;

    use super::*;

    /// Returns the outcome of a tunnel whose proxy sends these bytes, and the bytes that it
    /// received.
    async fn open_with(
        host: Host<&str>,
        login: Option<(String, String)>,
        answers: &[u8],
    ) -> (Result<(), ConnectError>, Vec<u8>) {
        let (mut here, mut there) = duplex(4096);
        there.write_all(answers).await.unwrap();
        there.shutdown().await.unwrap();
        let outcome = open(&mut here, &host, 0x1234, login.as_ref()).await;
        drop(here);
        let mut sent = Vec::new();
        there.read_to_end(&mut sent).await.unwrap();
        (outcome, sent)
    }

    #[tokio::test]
    async fn names_are_looked_up_by_the_proxy() {
        let answers = [5, 0, 5, 0, 0, 1, 9, 9, 9, 9, 0, 1];
        let (outcome, sent) = open_with(Host::Domain("a.b"), None, &answers).await;
        outcome.unwrap();
        let expected = [5, 1, 0, 5, 1, 0, 3, 3, b'a', b'.', b'b', 0x12, 0x34];
        assert_eq!(sent, expected);
    }

    #[tokio::test]
    async fn users_log_in() {
        let login = Some(("u".to_owned(), "pw".to_owned()));
        let answers = [5, 2, 1, 0, 5, 0, 0, 3, 1, b'x', 0, 1];
        let host = Host::Ipv4([1, 2, 3, 4].into());
        let (outcome, sent) = open_with(host, login.clone(), &answers).await;
        outcome.unwrap();
        let expected = [
            5, 2, 0, 2, 1, 1, b'u', 2, b'p', b'w', 5, 1, 0, 1, 1, 2, 3, 4, 0x12, 0x34,
        ];
        assert_eq!(sent, expected);
        let host = Host::Ipv4([1, 2, 3, 4].into());
        let (outcome, _) = open_with(host, login, &[5, 2, 1, 1]).await;
        assert!(outcome.unwrap_err().cause.contains("does not accept"));
    }

    #[tokio::test]
    async fn refusals_say_why() {
        for (answers, cause) in [
            (&[5, 0xff][..], "asks for a user"),
            (&[4, 0], "as a SOCKS 5 proxy would"),
            (&[5, 0, 5, 5, 0, 1], "was refused"),
            (&[5, 0, 5, 0, 0, 7], "as a SOCKS 5 proxy would"),
            (&[5], "hung up"),
        ] {
            let (outcome, _) = open_with(Host::Domain("a"), None, answers).await;
            let error = outcome.unwrap_err();
            assert!(error.cause.contains(cause), "{error:?}");
            assert_eq!(error.failure, ConnectFailure::proxy(None));
        }
        let name = "x".repeat(300);
        let (outcome, _) = open_with(Host::Domain(&name), None, &[5, 0]).await;
        assert!(outcome.unwrap_err().is_mistake());
    }
}

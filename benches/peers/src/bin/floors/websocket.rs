//! Messages over tokio-tungstenite.

use capnweb_peers::{Load, Meter, Report, Result};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_tungstenite::{
    WebSocketStream, accept_async_with_config, client_async_with_config,
    tungstenite::{Error, Message, Utf8Bytes, error::ProtocolError, protocol::WebSocketConfig},
};

use crate::message;

/// The time at which written messages are flushed.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Flush {
    /// When there is nothing more to read.
    OnceAWake,
    /// After each message.
    EachMessage,
}

/// Returns the fastest configuration of buffers that was tried. With larger ones both sides wait
/// for each other in turn, and with smaller ones there are more writes.
pub(crate) fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(16 * 1024)
        .write_buffer_size(16 * 1024)
}

/// Echoes everything until the end of the stream.
pub(crate) async fn echo(socket: TcpStream, flush: Flush) -> Result {
    let mut socket = accept_async_with_config(socket, Some(config())).await?;
    while let Some(message) = next(&mut socket, flush).await? {
        send(&mut socket, message, flush).await?;
    }
    Ok(())
}

/// Returns the next text, if there is one. Flushes before it waits.
pub(crate) async fn next(
    socket: &mut WebSocketStream<TcpStream>,
    flush: Flush,
) -> Result<Option<Utf8Bytes>> {
    loop {
        let ready = match flush {
            Flush::OnceAWake => socket.next().now_or_never(),
            Flush::EachMessage => None,
        };
        let message = match ready {
            Some(message) => message,
            None => {
                if flush == Flush::OnceAWake {
                    socket.flush().await?;
                }
                socket.next().await
            }
        };
        match message {
            Some(Ok(Message::Text(text))) => return Ok(Some(text)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(
                Ok(Message::Close(_))
                | Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)),
            )
            | None => return Ok(None),
            Some(Ok(_)) => return Err("a message is no text".into()),
            Some(Err(error)) => return Err(error.into()),
        }
    }
}

/// Writes a text.
pub(crate) async fn send(
    socket: &mut WebSocketStream<TcpStream>,
    text: Utf8Bytes,
    flush: Flush,
) -> Result {
    match flush {
        Flush::OnceAWake => socket.feed(Message::Text(text)).await?,
        Flush::EachMessage => socket.send(Message::Text(text)).await?,
    }
    Ok(())
}

pub(crate) async fn load(load: &Load, flush: Flush) -> Result<Report> {
    let socket = TcpStream::connect(load.at).await?;
    socket.set_nodelay(true)?;
    let url = format!("ws://{}/", load.at);
    let (socket, _) = client_async_with_config(url, socket, Some(config())).await?;
    let (meter, mut tasks) = (Meter::default(), JoinSet::new());
    let in_flight = load.in_flight as u64;
    tasks.spawn(messages(socket, in_flight, meter.clone(), flush));
    load.measure(meter, tasks).await
}

/// Keeps `in_flight` messages in flight, and checks each one that returns.
async fn messages(
    mut socket: WebSocketStream<TcpStream>,
    in_flight: u64,
    meter: Meter,
    flush: Flush,
) -> Result {
    let (mut sent, mut received) = (0, 0);
    while received < sent || !meter.is_over() {
        while sent < received + in_flight && !meter.is_over() {
            let mut message = Vec::with_capacity(message::LENGTH);
            message::write(sent, &mut message);
            send(&mut socket, String::from_utf8(message)?.into(), flush).await?;
            sent += 1;
        }
        let Some(text) = next(&mut socket, flush).await? else {
            return Err("the echo ended".into());
        };
        if !message::is(text.as_bytes(), received) {
            return Err("the echo is another message".into());
        }
        received += 1;
        meter.add(1);
    }
    Ok(())
}

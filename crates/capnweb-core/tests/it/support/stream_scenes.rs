//! Initial scenes for tests of streams: a stream has been passed in one direction.

use capnweb_core::{
    Error, Object, Payload, Promise, Readable, SessionOptions, Stub, Value, Writable,
};
use futures_util::{FutureExt, Stream, StreamExt, stream};
use tokio::sync::{
    mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    oneshot,
};

use super::{ScriptedPeer, Witness, counter};

/// Returns a main object whose `keep(stream)` passes the stream to the test and returns at once.
pub(crate) fn keeper() -> (Stub, UnboundedReceiver<Readable<Value>>) {
    let (sender, receiver) = unbounded_channel();
    let main = Object::new()
        .sync_method("keep", move |stream: Readable<Value>| {
            sender
                .send(stream)
                .map_err(|_| Error::new("nobody keeps it"))
        })
        .sync_method("square", |n: f64| Ok(n * n))
        .sync_method("drop", |_: Value| Ok(()))
        .sync_method("echo", |value: Payload| Ok(value))
        .sync_method("makeCounter", || Ok(counter(0.0)))
        .into_stub();
    (main, receiver)
}

/// Returns a session to which the peer has passed a pipe with ID 1, by call 2.
pub(crate) fn kept(options: SessionOptions) -> (ScriptedPeer, Readable<Value>) {
    let (main, mut streams) = keeper();
    let mut peer = ScriptedPeer::with(options, main);
    peer.send(r#"["pipe"]"#);
    peer.send(r#"["push",["pipeline",0,["keep"],[["readable",1]]]]"#);
    peer.send(r#"["release",2,1]"#);
    let stream = streams.try_recv().unwrap();
    (peer, stream)
}

/// Returns the chunk that can be read now, or the end.
pub(crate) fn next(stream: &mut Readable<Value>) -> Option<Result<Value, Error>> {
    stream
        .next()
        .now_or_never()
        .expect("there is a chunk, or the end")
}

/// Returns a peer to which a local writable was passed, with ID −1.
pub(crate) fn written_to<T>(to: Writable<T>) -> ScriptedPeer {
    let mut peer = ScriptedPeer::client();
    Promise::detach(peer.session.main().call("take", (to,)));
    peer.expect(r#"["push",["pipeline",0,["take"],[["writable",-1]]]]"#);
    peer.expect(r#"["release",1,1]"#);
    peer
}

/// Returns a stream whose chunks the test sends, and the notification of its drop.
pub(crate) fn by_hand() -> (
    UnboundedSender<Result<Value, Error>>,
    Readable<Value>,
    oneshot::Receiver<()>,
) {
    let (sender, receiver) = unbounded_channel();
    let (witness, dropped) = Witness::new();
    (
        sender,
        Readable::<Value>::from_stream(chunks(receiver, witness)),
        dropped,
    )
}

fn chunks<T>(receiver: UnboundedReceiver<T>, witness: Witness) -> impl Stream<Item = T> {
    stream::unfold((receiver, witness), |(mut receiver, witness)| async move {
        let chunk = receiver.recv().await?;
        Some((chunk, (receiver, witness)))
    })
}

/// Returns a peer to which a call has passed a local stream: pipe 1, by call 2.
pub(crate) fn given(stream: Readable<Value>) -> ScriptedPeer {
    let mut peer = ScriptedPeer::client();
    Promise::detach(peer.session.main().call("take", (stream,)));
    peer.expect(r#"["pipe"]"#);
    peer.expect(r#"["push",["pipeline",0,["take"],[["readable",1]]]]"#);
    peer.expect(r#"["release",2,1]"#);
    peer
}

/// Returns a main object whose `take(writable)` passes the writable to the test.
pub(crate) fn taker() -> (Stub, UnboundedReceiver<Writable<Value>>) {
    let (sender, receiver) = unbounded_channel();
    let main = Object::new()
        .sync_method("take", move |to: Writable<Value>| {
            sender.send(to).map_err(|_| Error::new("nobody takes it"))
        })
        .sync_method("drop", |_: Value| Ok(()))
        .into_stub();
    (main, receiver)
}

/// Returns a session to which the peer has passed a writable with ID −1.
pub(crate) fn taken() -> (ScriptedPeer, Writable<Value>) {
    let (main, mut writables) = taker();
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["push",["pipeline",0,["take"],[["writable",-1]]]]"#);
    peer.send(r#"["release",1,1]"#);
    (peer, writables.try_recv().unwrap())
}

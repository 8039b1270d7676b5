//! Our limits, with a peer that exceeds them.

use capnweb::{
    BigInt, Callback, Limits, Promise, Result, Session, SessionOptions, StubType, Value,
};

use super::{
    check::{Checks, Over, ensure, ensure_eq, ensure_err},
    peer::Peer,
};
use crate::main_object::MainStub;

/// Opens a session with other limits, and returns it with the main object at its other end.
async fn connect(peer: &Peer, limits: Limits) -> Result<(Session, MainStub)> {
    let options = SessionOptions::new().with_limits(limits);
    let session = peer.connect_with(options).await?;
    let main = MainStub::from_stub(session.main());
    Ok((session, main))
}

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "limits: a message that is too long ends our session and names the limit",
        Over::WS,
        |peer| async move {
            let limits = Limits::default().with_max_message_size(10_000);
            let (other, there) = connect(&peer, limits).await?;
            let fits = "x".repeat(9_000);
            let back = Promise::cast::<String>(there.echo(&fits));
            ensure_eq!(back.await?, fits);
            let error = ensure_err!(there.list(10_000).await);
            ensure!(error.is_limit(), error);
            ensure_eq!(other.closed().await.message(), error.message());
            ensure_eq!(peer.api().square(2.0).await?, 4.0);
            Ok(())
        },
    );

    checks.add(
        "limits: a value that nests too deep ends our session and names the limit",
        Over::WS,
        |peer| async move {
            let limits = Limits::default().with_max_depth(10);
            let (_other, there) = connect(&peer, limits).await?;
            let deep = (0..20).fold(Value::Null, |inner, _| Value::from(vec![inner]));
            let error = ensure_err!(there.echo(deep).await);
            ensure!(error.is_limit(), error);
            Ok(())
        },
    );

    checks.add(
        "limits: a big integer that is too long ends our session and names the limit",
        Over::WS,
        |peer| async move {
            let limits = Limits::default().with_max_bigint_digits(20);
            let (_other, there) = connect(&peer, limits).await?;
            let fits = BigInt::from(10_u64.pow(19));
            let back = Promise::cast::<BigInt>(there.echo(&fits));
            ensure_eq!(back.await?, fits);
            let error = ensure_err!(there.echo(u128::MAX).await);
            ensure!(error.message().contains("20"), error);
            Ok(())
        },
    );

    checks.add(
        "limits: a peer that pins too much ends our session and is told",
        Over::WS,
        |peer| async move {
            let limits = Limits::default().with_max_exports(50);
            let (_other, there) = connect(&peer, limits).await?;
            let callback = Callback::<u32, u32>::new(|i: u32| i);
            let error = ensure_err!(there.probe().call_many(callback, 1000).await);
            ensure!(error.message().contains("export"), error);
            Ok(())
        },
    );
}

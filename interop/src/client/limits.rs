//! Our limits, against a peer that exceeds them.

use capnweb::{BigInt, Limits, SessionOptions, Value};

use super::check::{Checks, Over, ensure, ensure_eq, ensure_err};

pub(super) fn checks(checks: &mut Checks) {
    checks.add(
        "limits: a message that is too long ends our session and names the limit",
        Over::WS,
        |peer| async move {
            let limits = Limits::default().with_max_message_size(10_000);
            let other = peer
                .connect_with(SessionOptions::new().limits(limits))
                .await?;
            let fits = "x".repeat(9_000);
            ensure_eq!(
                other
                    .main()
                    .call("echo", (&fits,))
                    .fetch::<String>()
                    .await?,
                fits
            );
            let error = ensure_err!(other.main().call("list", (10_000,)).await);
            ensure!(error.is_limit(), error);
            ensure_eq!(other.closed().await.message(), error.message());
            ensure_eq!(peer.api().call("square", (2,)).fetch::<u32>().await?, 4);
            Ok(())
        },
    );

    checks.add(
        "limits: a value that nests too deep ends our session and names the limit",
        Over::WS,
        |peer| async move {
            let limits = Limits::default().with_max_depth(10);
            let other = peer
                .connect_with(SessionOptions::new().limits(limits))
                .await?;
            let deep = (0..20).fold(Value::Null, |inner, _| Value::from(vec![inner]));
            let error = ensure_err!(other.main().call("echo", (deep,)).await);
            ensure!(error.is_limit(), error);
            Ok(())
        },
    );

    checks.add(
        "limits: a big integer that is too long ends our session and names the limit",
        Over::WS,
        |peer| async move {
            let limits = Limits::default().with_max_bigint_digits(20);
            let other = peer
                .connect_with(SessionOptions::new().limits(limits))
                .await?;
            let fits = BigInt::from(10_u64.pow(19));
            ensure_eq!(
                other
                    .main()
                    .call("echo", (&fits,))
                    .fetch::<BigInt>()
                    .await?,
                fits
            );
            let error = ensure_err!(other.main().call("echo", (u128::MAX,)).await);
            ensure!(error.message().contains("20"), error);
            Ok(())
        },
    );

    checks.add(
        "limits: a peer that pins too much ends our session and is told",
        Over::WS,
        |peer| async move {
            let limits = Limits::default().with_max_exports(50);
            let other = peer
                .connect_with(SessionOptions::new().limits(limits))
                .await?;
            let callback = capnweb::Stub::function(|i: u32| async move { Ok(i) });
            let error = ensure_err!(
                other
                    .main()
                    .get("probe")
                    .call("callMany", (callback, 1000))
                    .await
            );
            ensure!(error.message().contains("export"), error);
            Ok(())
        },
    );
}

//! `capnweb bench`.

use crate::support::{Server, ok, run};

#[tokio::test]
async fn evaluations_are_counted_and_timed() {
    let server = Server::start().await;
    for url in server.both() {
        let args = [
            "bench",
            &url,
            "add(1, 2)",
            "-c",
            "8",
            "-n",
            "200",
            "-d",
            "20s",
            "--json",
        ];
        let json: serde_json::Value = serde_json::from_str(&ok(&args).await).unwrap();
        assert_eq!(json["calls"], 200, "{url}");
        assert_eq!(json["errors"], 0);
        let micros = &json["microseconds"];
        assert!(micros["p50"].as_f64().unwrap() > 0.0);
        assert!(micros["p50"].as_f64() <= micros["max"].as_f64());
        let requests = server.take_requests();
        assert_eq!(requests, if url.starts_with("ws") { 1 } else { 200 });
    }
}

#[tokio::test]
async fn errors_are_listed_and_the_exit_code_is_1() {
    let server = Server::start().await;
    let failed = run(&["bench", &server.ws(), "fail()", "-n", "3", "-d", "20s"]).await;
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(
        failed.out.contains("3 × RangeError: too far"),
        "{}",
        failed.out
    );
    assert!(
        failed.err.contains("3 evaluations failed"),
        "{}",
        failed.err
    );
}

#[tokio::test]
async fn it_ends_with_its_time() {
    let server = Server::start().await;
    let table = ok(&[
        "bench",
        &server.ws(),
        "add(1, 2)",
        "-d",
        "200ms",
        "--sessions",
        "2",
        "-c",
        "2",
    ])
    .await;
    assert!(
        table.starts_with("calls  errors  seconds  calls/s"),
        "{table}"
    );
}

//! `capnweb call`.

use crate::support::{Server, ok, run, stats, temporary};

const FRIENDS: &str = "authenticate(\"t\").getFriendIds().map(id => [id, getUserName(id)])";

#[tokio::test]
async fn an_expression_is_one_round_trip_over_both_transports() {
    let server = Server::start().await;
    for url in server.both() {
        let run = run(&["call", &url, FRIENDS, "--json", "--stats"]).await;
        assert_eq!(run.code, 0, "{run:?}");
        assert_eq!(run.out, "[[4,\"user 4\"],[5,\"user 5\"],[6,\"user 6\"]]\n");
        let stats = stats(&run);
        assert_eq!(stats["roundTrips"], 1, "{url}");
        assert_eq!(stats["calls"], 3, "{url}: two calls and a map");
        assert!(
            stats["bytesSent"] > 100 && stats["bytesReceived"] > 30,
            "{stats:?}"
        );
        // A second batch would take a second request.
        assert_eq!(server.take_requests(), 1, "{url}");
    }
}

#[tokio::test]
async fn long_byte_strings_are_counted() {
    let server = Server::start().await;
    let file = temporary("counted.bin");
    std::fs::write(&file, [7; 3000]).unwrap();
    let argument = format!("file=@{}", file.display());
    for url in server.both() {
        let args = [
            "call",
            &url,
            "echo($file)",
            "--arg",
            &argument,
            "--json",
            "--stats",
        ];
        let stats = stats(&run(&args).await);
        // As base64, each way.
        for (name, least) in [("bytesSent", 4000), ("bytesReceived", 4000)] {
            assert!(
                (least..least + 200).contains(&stats[name]),
                "{url}: {stats:?}"
            );
        }
    }
}

#[tokio::test]
async fn an_expression_that_awaits_takes_more_round_trips() {
    let server = Server::start().await;
    let expression = "let a = await add(1, 2); add(a, 1)";
    let run = run(&["call", &server.ws(), expression, "--json", "--stats"]).await;
    assert_eq!((run.code, run.out.as_str()), (0, "4\n"));
    assert_eq!(stats(&run)["roundTrips"], 2);
}

#[tokio::test]
async fn several_results_travel_together() {
    let server = Server::start().await;
    let expression =
        "[getUserName(authenticate('t').getId()), authenticate('t').name, { sum: add(1, 2) }]";
    for url in server.both() {
        assert_eq!(
            ok(&["call", &url, expression]).await,
            "[\"user 7\", \"ada\", { sum: 3 }]\n"
        );
        assert_eq!(server.take_requests(), 1);
    }
}

#[tokio::test]
async fn results_have_four_forms() {
    let server = Server::start().await;
    let url = server.ws();
    let people = "[{ id: 7, name: 'Ada', on: echo(new Date(0)) }, { id: 10, name: 'Bo' }]";
    assert_eq!(
        ok(&["call", &url, people, "--table"]).await,
        "id  name  on\n──  ────  ────────────────────────\n 7  Ada   1970-01-01T00:00:00.000Z\n10  Bo\n"
    );
    assert_eq!(
        ok(&["call", &url, people, "--json"]).await,
        "[{\"id\":7,\"name\":\"Ada\",\"on\":{\"$date\":\"1970-01-01T00:00:00.000Z\"}},{\"id\":10,\"name\":\"Bo\"}]\n"
    );
    assert_eq!(ok(&["call", &url, "getUserName(1)"]).await, "\"user 1\"\n");
    assert_eq!(
        ok(&["call", &url, "getUserName(1)", "--raw"]).await,
        "user 1\n"
    );
    assert_eq!(
        ok(&["call", &url, "echo(new Uint8Array([104, 105]))", "--raw"]).await,
        "hi"
    );
}

#[tokio::test]
async fn colors_are_for_terminals_unless_they_are_asked_for() {
    let server = Server::start().await;
    assert_eq!(ok(&["call", &server.ws(), "add(1, 2)"]).await, "3\n");
    assert_eq!(
        ok(&["--color", "always", "call", &server.ws(), "add(1, 2)"]).await,
        "\u{1b}[33m3\u{1b}[0m\n"
    );
}

#[tokio::test]
async fn values_come_from_the_command_line_and_from_files() {
    let server = Server::start().await;
    let url = server.ws();
    let file = temporary("value.json");
    std::fs::write(&file, "{\"n\":[1,{\"$bigint\":\"2\"}]}").unwrap();
    let file = file.to_str().unwrap();
    let call = async |arg: String| ok(&["call", &url, "echo($x)", "--json", "--arg", &arg]).await;
    assert_eq!(call("x=1".to_owned()).await, "\"1\"\n");
    assert_eq!(call("x:json=[1, null]".to_owned()).await, "[1,null]\n");
    assert_eq!(
        call(format!("x:json=@{file}")).await,
        "{\"n\":[1,{\"$bigint\":\"2\"}]}\n"
    );
    assert_eq!(
        call(format!("x:text=@{file}")).await,
        "\"{\\\"n\\\":[1,{\\\"$bigint\\\":\\\"2\\\"}]}\"\n"
    );
    assert_eq!(
        call(format!("x=@{file}")).await,
        "{\"$bytes\":\"eyJuIjpbMSx7IiRiaWdpbnQiOiIyIn1dfQ==\"}\n"
    );
}

#[tokio::test]
async fn a_server_calls_functions_of_the_expression() {
    let server = Server::start().await;
    let expression = "countDown(3, n => console.log('tick', n))";
    assert_eq!(
        ok(&["call", &server.ws(), expression]).await,
        "tick 3\ntick 2\ntick 1\n\"lift-off\"\n"
    );
}

#[tokio::test]
async fn a_result_goes_to_a_file() {
    let server = Server::start().await;
    let path = temporary("result");
    let to = path.to_str().unwrap();
    ok(&[
        "call",
        &server.ws(),
        "echo(new Uint8Array([0, 255]))",
        "-o",
        to,
    ])
    .await;
    assert_eq!(std::fs::read(&path).unwrap(), [0, 255]);
    ok(&["call", &server.ws(), "[add(1, 2)]", "--json", "-o", to]).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "[3]\n");
}

#[tokio::test]
async fn statistics_are_a_sentence() {
    let server = Server::start().await;
    let run = run(&["call", &server.ws(), "add(1, 2)", "--stats"]).await;
    assert!(run.err.starts_with("1 call, 1 round trip, "), "{}", run.err);
}

#[tokio::test]
async fn a_description_is_printed_in_three_forms() {
    let server = Server::start().await;
    for url in server.both() {
        let text = ok(&["describe", &url]).await;
        assert!(text.starts_with("The main object is Api.\n"), "{text}");
        assert!(
            text.contains("authenticate(token: string): Promise<User>;"),
            "{text}"
        );
        let declarations = ok(&["dts", &url]).await;
        assert!(
            declarations.contains("export interface Api extends RpcTarget {"),
            "{declarations}"
        );
        let json = ok(&["describe", &url, "--json"]).await;
        capnweb::describe::Description::from_json(&json).unwrap();
    }
    let run = run(&["describe", &server.ws(), "authenticate('t')"]).await;
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("this object does not describe itself"),
        "{}",
        run.err
    );
}

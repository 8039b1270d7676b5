use std::sync::Mutex;

use capnweb::{Object, SessionOptions, pair, stream::Readable};
use futures_util::stream;

use super::*;
use crate::{expression, output::json};

fn api() -> Stub {
    let user = |name: &'static str| {
        Object::new()
            .property("name", name)
            .method("getId", async || Ok(7))
            .method("getFriendIds", async || Ok([4, 5, 6]))
            .into_stub()
    };
    Object::new()
        .method(
            "authenticate",
            move |_: String| async move { Ok(user("ada")) },
        )
        .method(
            "getUserName",
            |id: u32| async move { Ok(format!("user {id}")) },
        )
        .method("add", |a: f64, b: f64| async move { Ok(a + b) })
        .method("echo", |value: Value| async move { Ok(value) })
        .method("callBack", |callback: Stub, value: Value| async move {
            callback.invoke((value, 2)).await
        })
        .method("fail", async || Err::<(), _>(Error::range_error("too far")))
        .method("count", |to: u32| async move {
            Ok(Readable::from_stream(stream::iter(0..to)))
        })
        .method("nothing", async || Ok(Value::Null))
        .property("list", [[1, 2], [3, 4]])
        .into_stub()
}

/// Connects a session to the API over an in-process transport.
fn session() -> (Session, Evaluator, Arc<Mutex<Vec<String>>>) {
    let (left, right) = pair();
    let (_, mut server) = Session::server(SessionOptions::new());
    server.set_main(api());
    tokio::spawn(server.drive(left));
    let (session, client) = Session::client(SessionOptions::new());
    tokio::spawn(client.drive(right));
    let logged = Arc::<Mutex<Vec<String>>>::default();
    let log = logged.clone();
    let evaluator = Evaluator::new(
        session.main(),
        Arc::new(move |values: &[Value]| {
            let line = json::to_string(&Value::from(values.to_vec()));
            log.lock().unwrap().push(line);
        }),
    );
    (session, evaluator, logged)
}

use capnweb::Session;

async fn evaluate(source: &str) -> Result<String, String> {
    let (_session, evaluator, _) = session();
    run(&evaluator, source).await
}

async fn run(evaluator: &Evaluator, source: &str) -> Result<String, String> {
    let program = expression::parse(source).map_err(|problem| problem.render(source))?;
    let explain = |fault| match fault {
        Fault::Expression(problem) => problem.render(source),
        Fault::Peer(error) => error.to_string(),
    };
    let term = evaluator
        .run(&program, &mut Scope::default())
        .await
        .map_err(explain)?;
    let value = match term {
        Some(term) => term.settle().await.map_err(|error| error.to_string())?,
        None => Value::Undefined,
    };
    Ok(json::to_string(&value))
}

#[tokio::test]
async fn expressions_have_the_values_of_javascript() {
    for (source, expected) in [
        (
            "authenticate('t').getFriendIds().map(id => [id, getUserName(id)])",
            r#"[[4,"user 4"],[5,"user 5"],[6,"user 6"]]"#,
        ),
        (
            "[getUserName(authenticate('t').getId()), authenticate('t').name]",
            r#"["user 7","ada"]"#,
        ),
        (
            "let u = authenticate('t'); { id: u.getId(), name: u.name }",
            r#"{"id":7,"name":"ada"}"#,
        ),
        ("this.add(1, 2)", "3"),
        ("this['add'](1, 2)", "3"),
        ("let f = this.add; f(3, 4)", "7"),
        ("list[1][0]", "3"),
        ("list.map(pair => pair[1])", "[2,4]"),
        (
            "list.map(row => row.map(n => add(n, 10)))",
            "[[11,12],[13,14]]",
        ),
        ("list.map(x => 1)", "[1,1]"),
        ("nothing().map(x => x)", "null"),
        (
            "[4, 5].map(id => getUserName(id))",
            r#"["user 4","user 5"]"#,
        ),
        ("{ a: [1, { b: 2 }] }.a[1].b", "2"),
        ("[1, 2].length", "2"),
        ("[1][5]", r#"{"$undefined":true}"#),
        ("`${add(1, 2)} and ${[1, 'x']}`", r#""3 and 1,x""#),
        ("await add(1, 2)", "3"),
        ("let a = await list; a[0]", "[1,2]"),
        (
            "echo(12345678901234567890n)",
            r#"{"$bigint":"12345678901234567890"}"#,
        ),
        (
            "echo(new Date('2026-01-31'))",
            r#"{"$date":"2026-01-31T00:00:00.000Z"}"#,
        ),
        (
            "echo(new Date(0))",
            r#"{"$date":"1970-01-01T00:00:00.000Z"}"#,
        ),
        ("echo(new Uint8Array([104, 105]))", r#"{"$bytes":"aGk="}"#),
        (
            "echo(Uint8Array.fromBase64('aGk='))",
            r#"{"$bytes":"aGk="}"#,
        ),
        ("echo(Uint8Array.fromHex('6869'))", r#"{"$bytes":"aGk="}"#),
        (
            "echo(new Int16Array([-1]))",
            r#"{"$bytes":"//8=","type":"Int16Array"}"#,
        ),
        (
            "echo(new BigInt64Array([1n]))",
            r#"{"$bytes":"AQAAAAAAAAA=","type":"BigInt64Array"}"#,
        ),
        ("echo(undefined)", r#"{"$undefined":true}"#),
        (
            "echo([NaN, -Infinity])",
            r#"[{"$number":"NaN"},{"$number":"-Infinity"}]"#,
        ),
        (
            "echo(new URL('https://a.example/'))",
            r#"{"$url":"https://a.example/"}"#,
        ),
        ("(await echo(new RangeError('x'))).message", r#""x""#),
        ("callBack(x => x, 5)", "5"),
        ("callBack((a, b) => [a, b], 5)", "[5,2]"),
        ("callBack((a, b) => add(a, b), 5)", "7"),
        ("callBack(x => `<${x}>`, 5)", r#""<5>""#),
        ("let f = x => add(x, 1); f(1)", "2"),
        ("authenticate('t')", r#"{"$stub":true}"#),
        ("count(3)", r#"{"$stream":true}"#),
        ("missing", r#"{"$undefined":true}"#),
        ("let x = 1", r#"{"$undefined":true}"#),
    ] {
        assert_eq!(evaluate(source).await.as_deref(), Ok(expected), "{source}");
    }
}

#[tokio::test]
async fn failures_say_where_and_why() {
    for (source, expected) in [
        ("nope()", "TypeError: 'nope' is not a function."),
        ("fail()", "RangeError: too far"),
        ("[add(1, 2), fail()]", "RangeError: too far"),
        (
            "list.map(x => `${x}`)",
            "the value is needed here, but within `map` it exists only at the server\n  list.map(x => `${x}`)\n                ^^^^^^\nhelp: return it, pass it on or call it; the server applies the function",
        ),
        (
            "list.map(add)",
            "`map` takes an arrow function\n  list.map(add)\n           ^^^\nhelp: for instance: .map(id => getUserName(id))",
        ),
        (
            "list.map((x, i) => i)",
            "the function of `map` has one parameter\n  list.map((x, i) => i)\n                     ^\nhelp: there is no `i`: the server passes elements alone",
        ),
        (
            "null.x",
            "null and undefined have no `x`\n  null.x\n  ^^^^^^",
        ),
        ("[1](2)", "this is not a function\n  [1](2)\n  ^^^"),
        (
            "[1][{}]",
            "an index is a string or a whole number\n  [1][{}]\n      ^^",
        ),
        (
            "$x",
            "there is no `$x`\n  $x\n  ^^\nhelp: give it a value with `--arg x=…`",
        ),
        (
            "new Map()",
            "a `Map` cannot be sent\n  new Map()\n  ^^^^^^^^^\nhelp: use an array, an object or a string",
        ),
        (
            "new Uint8Array([256])",
            "256 does not fit into a Uint8Array\n  new Uint8Array([256])\n  ^^^^^^^^^^^^^^^^^^^^^",
        ),
    ] {
        let said = evaluate(source).await;
        assert_eq!(
            said.as_ref().map_err(String::as_str),
            Err(expected),
            "{source}"
        );
    }
}

#[tokio::test]
async fn a_log_shows_values_and_returns_nothing() {
    let (_session, evaluator, logged) = session();
    let result = run(
        &evaluator,
        "callBack(x => console.log('got', x), add(1, 2))",
    )
    .await;
    assert_eq!(result.as_deref(), Ok(r#"{"$undefined":true}"#));
    assert_eq!(*logged.lock().unwrap(), [r#"["got",3]"#]);
}

#[tokio::test]
async fn variables_stay_promises_and_release_what_they_hold() {
    let (session, evaluator, _) = session();
    let mut scope = Scope::default();
    let program = expression::parse("let u = authenticate('t')").unwrap();
    evaluator.run(&program, &mut scope).await.unwrap();
    assert!(matches!(scope.get("u"), Some(Term::Remote(_))));
    // Nothing has been pulled, so only the promise and the main object are imported.
    assert_eq!(session.stats().imports, 2);
    let program = expression::parse("u.getId()").unwrap();
    let term = evaluator.run(&program, &mut scope).await.unwrap().unwrap();
    assert_eq!(json::to_string(&term.settle().await.unwrap()), "7");
    drop(program);
    scope = scope.without("u");
    assert!(scope.variables().is_empty());
    assert_eq!(session.stats().imports, 1);
}

//! Batches that take long to evaluate.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use capnweb_core::{Object, Session, SessionOptions};
use capnweb_test_support::soon;
use capnweb_transport_http::respond;

/// A list, and a function that is applied to the whole list for each of its elements.
const REQUEST: &str = concat!(
    r#"["push",["pipeline",0,["list"],[300]]]"#,
    "\n",
    r#"["push",["remap",1,[],[["import",1]],[["remap",-1,[],[],[["pipeline",0]]]]]]"#,
    "\n",
    r#"["pull",2]"#,
);

fn main_object(calls: &Arc<AtomicUsize>) -> capnweb_core::Stub {
    let calls = calls.clone();
    Object::new()
        .sync_method("list", |n: usize| Ok((0..n).collect::<Vec<_>>()))
        .sync_method("note", move || {
            calls.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
        .into_stub()
}

#[tokio::test]
async fn others_have_their_turn_while_a_batch_is_evaluated() {
    let calls = Arc::default();
    let (_session, mut connection) = Session::server_batch(SessionOptions::new());
    connection.set_main(main_object(&calls));
    let long = tokio::spawn(respond(REQUEST, connection));
    let mut others = 0;
    while !long.is_finished() {
        let (_session, mut connection) = Session::server_batch(SessionOptions::new());
        connection.set_main(main_object(&calls));
        // This is a separate task like the long batch, since an immediate answer never yields.
        let short = tokio::spawn(respond(
            "[\"push\",[\"pipeline\",0,[\"note\"],[]]]\n[\"pull\",1]",
            connection,
        ));
        let answer = soon(short).await.unwrap();
        assert!(answer.starts_with(br#"["resolve",1,"#), "{answer:?}");
        others += 1;
    }
    assert!(others > 2, "{others} others were answered meanwhile");
    let answer = soon(long).await.unwrap();
    assert!(answer.starts_with(br#"["resolve",2,[["#));
    assert_eq!(calls.load(Ordering::Relaxed), others);
}

#[tokio::test]
async fn long_messages_of_a_batch_are_received_in_order() {
    let texts = Arc::new(Mutex::new(Vec::new()));
    let (_session, mut connection) = Session::server_batch(SessionOptions::new());
    let main = Object::new().sync_method("note", {
        let texts = texts.clone();
        move |text: String| {
            texts.lock().unwrap().push(text.len());
            Ok(())
        }
    });
    connection.set_main(main.into_stub());
    let lengths = [3, 2 << 20, 5, 600_000, 7];
    let push = |len: &usize| {
        let text = "語".repeat(*len);
        format!("[\"push\",[\"pipeline\",0,[\"note\"],[\"{text}\"]]]\r\n\n")
    };
    let request: String = lengths.iter().map(push).collect();
    let answer = soon(respond(&(request + "[\"pull\",5]"), connection)).await;
    assert_eq!(answer, r#"["resolve",5,["undefined"]]"#);
    let expected = lengths.map(|len| len * "語".len());
    assert_eq!(*texts.lock().unwrap(), expected);
}

#[tokio::test]
async fn a_long_batch_is_answered_in_order() {
    let calls = Arc::default();
    let (_session, mut connection) = Session::server_batch(SessionOptions::new());
    connection.set_main(main_object(&calls));
    let mut request = REQUEST.to_owned();
    for id in 3..500 {
        request += &format!("\n[\"push\",[\"pipeline\",0,[\"note\"],[]]]\n[\"pull\",{id}]");
    }
    let answer = soon(respond(&request, connection)).await;
    let answer = String::from_utf8(answer.to_vec()).unwrap();
    assert_eq!(answer.lines().count(), 498);
    assert_eq!(calls.load(Ordering::Relaxed), 497);
}

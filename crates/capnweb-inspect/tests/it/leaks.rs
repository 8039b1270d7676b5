//! All planted leaks are found, and none in clean sessions.

use capnweb_inspect::{TransportKind, assert_no_leaks};
use proptest::prelude::*;

use crate::script::{Script, only};

/// Creates a session that makes an object per element of `kept`, and releases those not `kept`.
fn hoard(kept: &[bool], is_callback: &[bool]) -> Script {
    let mut script = Script::new();
    let mut push = 0;
    for (at, _) in kept.iter().enumerate() {
        push += 1;
        let id = -1 - i64::try_from(at).unwrap();
        let method = format!("make{at}");
        script = match is_callback[at] {
            true => script
                .call(0, &method, &format!(r#"["export",{id}]"#), push)
                .answer(push, "1"),
            false => script
                .call(0, &method, "", push)
                .answer(push, &format!(r#"["export",{id}]"#)),
        };
    }
    for (at, kept) in kept.iter().enumerate() {
        let release = format!(r#"["release",{},1]"#, -1 - i64::try_from(at).unwrap());
        script = match (kept, is_callback[at]) {
            (true, _) => script,
            (false, true) => script.server(&release),
            (false, false) => script.client(&release),
        };
    }
    script
        .server(r#"["push",null]"#)
        .server(r#"["release",1,1]"#)
        .close()
}

proptest! {
    #[test]
    fn planted_leaks_are_all_found(planted in prop::collection::vec((any::<bool>(), any::<bool>()), 0..20)) {
        let (kept, is_callback): (Vec<_>, Vec<_>) = planted.into_iter().unzip();
        let script = hoard(&kept, &is_callback);
        let follower = script.follow();
        let leaks = only(&follower).leaks();
        prop_assert!(only(&follower).faults().is_empty());
        let expected: Vec<_> = (0..kept.len()).filter(|at| kept[*at]).collect();
        prop_assert_eq!(leaks.len(), expected.len());
        for (leak, at) in leaks.iter().zip(expected) {
            let name = format!("make{at}(");
            prop_assert!(leak.to_string().contains(&name), "{} is not in {}", name, leak);
        }
    }
}

#[test]
fn a_clean_session_passes() {
    let script = hoard(&[false, false], &[true, false]);
    assert_no_leaks(&script.recording);
}

#[test]
#[should_panic(
    expected = "1 reference leaked:\n  session 1: the client still holds a stub in the result of call 2, make1(), for 5 ms"
)]
fn the_call_that_made_a_stub_is_named() {
    assert_no_leaks(&hoard(&[false, true], &[true, false]).recording);
}

#[test]
#[should_panic(expected = "there is no session in the recording")]
fn an_empty_recording_is_no_proof() {
    assert_no_leaks(&capnweb_inspect::Recording::default());
}

#[test]
#[should_panic(expected = "session 1: message 1: the client sent what is no message")]
fn a_recording_that_cannot_be_read_is_no_proof() {
    assert_no_leaks(&Script::new().client("[").recording);
}

#[test]
fn the_end_of_a_batch_releases_everything() {
    let script = Script::over(TransportKind::Batch)
        .call(0, "make", "", 1)
        .server(r#"["resolve",1,["export",-1]]"#)
        .close();
    assert_no_leaks(&script.recording);
}

#[test]
fn a_stream_that_was_closed_is_no_leak_and_an_open_one_is() {
    let stream = |script: Script| {
        script
            .call(0, "read", "", 1)
            .server(r#"["pipe"]"#)
            .answer(1, r#"["readable",1]"#)
            .server(r#"["stream",["pipeline",1,["write"],["x"]]]"#)
            .client(r#"["resolve",2,["undefined"]]"#)
    };
    let closed = stream(Script::new())
        .server(r#"["stream",["pipeline",1,["close"],[]]]"#)
        .close();
    assert_no_leaks(&closed.recording);
    let open = stream(Script::new()).close();
    let follower = open.follow();
    let leaks = only(&follower).leaks();
    assert_eq!(leaks.len(), 1);
    assert!(
        leaks[0]
            .to_string()
            .contains("the end of a pipe in the result of call 1, read()"),
        "{}",
        leaks[0]
    );
}

#[test]
fn what_may_never_have_arrived_is_no_leak() {
    let script = Script::new()
        .call(0, "make", "", 1)
        .client(r#"["release",1,1]"#)
        .server(r#"["resolve",1,["export",-1]]"#)
        .close();
    assert_no_leaks(&script.recording);
}

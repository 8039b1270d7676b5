//! Limits of `map`.

use capnweb_core::{Limits, SessionOptions};

use crate::support::{ScriptedPeer, calculator};

const LIMIT: usize = 100_000;

fn peer() -> ScriptedPeer {
    let limits = Limits::default().with_max_map_bytes(LIMIT);
    ScriptedPeer::with(SessionOptions::new().with_limits(limits), calculator())
}

/// Pushes a call of `echo`.
fn echo(peer: &mut ScriptedPeer, value: &str) {
    peer.send(&format!(r#"["push",["pipeline",0,["echo"],[{value}]]]"#));
}

#[track_caller]
fn assert_exceeds(peer: &mut ScriptedPeer, id: i64) {
    peer.send(&format!(r#"["pull",{id}]"#));
    let said: Vec<_> = peer.said();
    let is_reject = |message: &String| {
        message.starts_with(&format!(r#"["reject",{id},"#)) && message.contains("max_map_bytes")
    };
    assert!(said.iter().any(is_reject), "{said:?}");
    // The session continues.
    peer.send(r#"["push",["pipeline",0,["square"],[3]]]"#);
    peer.send(&format!(r#"["pull",{}]"#, id + 1));
    peer.expect(&format!(r#"["resolve",{},9]"#, id + 1));
}

#[tokio::test]
async fn intermediate_results_count() {
    for (reads, fits) in [(9, true), (11, false)] {
        let mut peer = peer();
        let part = "x".repeat(LIMIT / 10);
        echo(&mut peer, &format!(r#"{{"a":"{part}"}}"#));
        let reads = vec![r#"["pipeline",0,["a"]]"#; reads].join(",");
        peer.send(&format!(r#"["push",["remap",1,[],[],[{reads},1]]]"#));
        if fits {
            peer.send(r#"["pull",2]"#);
            peer.expect(r#"["resolve",2,1]"#);
        } else {
            assert_exceeds(&mut peer, 2);
        }
    }
}

#[tokio::test]
async fn literals_count_for_each_element() {
    for (elements, fits) in [(8, true), (11, false)] {
        let mut peer = peer();
        let elements = vec!["0"; elements].join(",");
        echo(&mut peer, &format!("[[{elements}]]"));
        let literal = "y".repeat(LIMIT / 11);
        // The literal is part of an instruction with a small result.
        peer.send(&format!(
            r#"["push",["remap",1,[],[],[["pipeline",0,["{literal}"]],1]]]"#
        ));
        if fits {
            peer.send(r#"["pull",2]"#);
            let said = peer.next().unwrap();
            assert!(said.starts_with(r#"["resolve",2,[[1,"#), "{said}");
        } else {
            assert_exceeds(&mut peer, 2);
        }
    }
}

#[tokio::test]
async fn nested_maps_count_reads_for_each_element() {
    let elements = vec!["0"; 20].join(",");
    let mut first = peer();
    echo(&mut first, &format!("[[{elements}]]"));
    // The text of a function that is not applied to anything.
    let literal = "y".repeat(LIMIT / 10);
    first.send(&format!(
        r#"["push",["remap",1,[],[],[["remap",0,[],[],["{literal}",1]],1]]]"#
    ));
    assert_exceeds(&mut first, 2);

    // A large value as the input of a function that ignores it.
    let mut second = peer();
    echo(&mut second, &format!("[[{elements}]]"));
    echo(&mut second, &format!(r#""{literal}""#));
    second.send(r#"["push",["remap",1,[],[["import",2]],[["remap",-1,[],[],[1]],1]]]"#);
    assert_exceeds(&mut second, 3);
}

#[tokio::test]
async fn the_mapped_value_itself_does_not_count() {
    let mut peer = peer();
    let part = "x".repeat(LIMIT / 2);
    echo(&mut peer, &format!(r#"[["{part}","{part}","{part}"]]"#));
    peer.send(r#"["push",["remap",1,[],[],[7]]]"#);
    peer.send(r#"["pull",2]"#);
    peer.expect(r#"["resolve",2,[[7,7,7]]]"#);
}

#[tokio::test]
async fn results_of_calls_with_elements_count_once() {
    for (elements, fits) in [(8, true), (11, false)] {
        let mut peer = peer();
        let part = format!(r#""{}""#, "x".repeat(LIMIT / 11));
        let elements = vec![part; elements].join(",");
        echo(&mut peer, &format!("[[{elements}]]"));
        let echo = r#"["pipeline",-1,["echo"],[["pipeline",0]]],["pipeline",1]"#;
        peer.send(&format!(
            r#"["push",["remap",1,[],[["import",0]],[{echo}]]]"#
        ));
        if fits {
            peer.send(r#"["pull",2]"#);
            peer.expect(&format!(r#"["resolve",2,[[{elements}]]]"#));
        } else {
            assert_exceeds(&mut peer, 2);
        }
    }
}

#[tokio::test]
async fn results_of_calls_with_elements_count_until_their_element_is_done() {
    for (calls, fits) in [(8, true), (12, false)] {
        let mut peer = peer();
        let part = format!(r#""{}""#, "x".repeat(LIMIT / 11));
        // Twice, one after the other: neither is charged for the other.
        echo(&mut peer, &format!("[[{part},{part}]]"));
        let calls = vec![r#"["pipeline",-1,["echo"],[["pipeline",0]]]"#; calls].join(",");
        peer.send(&format!(
            r#"["push",["remap",1,[],[["import",0]],[{calls},7]]]"#
        ));
        if fits {
            peer.send(r#"["pull",2]"#);
            peer.expect(r#"["resolve",2,[[7,7]]]"#);
        } else {
            assert_exceeds(&mut peer, 2);
        }
    }
}

#[tokio::test]
async fn values_count_with_their_elements() {
    for (elements, fits) in [(9, true), (12, false)] {
        let mut peer = peer();
        let part = format!(r#""{}""#, "x".repeat(LIMIT / 11));
        let elements = vec![part; elements].join(",");
        echo(&mut peer, &format!("[[{elements}]]"));
        peer.send(r#"["push",["remap",1,[],[],[{"x":["pipeline",0]}]]]"#);
        if fits {
            peer.send(r#"["pull",2]"#);
            let said = peer.next().unwrap();
            assert!(said.starts_with(r#"["resolve",2,[[{"x":"xx"#), "{said:.80}");
        } else {
            assert_exceeds(&mut peer, 2);
        }
    }
}

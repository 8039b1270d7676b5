//! Functions that are applied on this side. The result does not depend on whether their references
//! have settled or are plain.

use std::sync::{Arc, Mutex};

use capnweb_core::{Error, Limits, Object, Payload, SessionOptions, Stub};

use crate::support::{Gate, ScriptedPeer, idle};

fn child(number: u32) -> Stub {
    Object::new()
        .sync_method("plus", move |n: u32| Ok(number + n))
        .sync_method("number", move || Ok(number))
        .into_stub()
}

fn main_object() -> Stub {
    Object::new()
        .sync_method("echo", |value: Payload| Ok(value))
        .sync_method("both", |a: Payload, b: Payload| Ok((a, b)))
        .sync_method("double", |n: u32| Ok(2 * n))
        .sync_method("odd", |n: u32| match n % 2 {
            0 => Err(Error::range_error(format!("{n} is even"))),
            _ => Ok(n),
        })
        .method("later", async |n: u32| {
            tokio::task::yield_now().await;
            Ok(n)
        })
        .sync_method("child", |n: u32| Ok(child(n)))
        .sync_method("children", || Ok([child(1), child(2)]))
        .property("ten", 10)
        .property("inner", child(100))
        .into_stub()
}

/// Returns the outcome of a map. `setup` is evaluated first, and is capture -2. If `aside`, method
/// calls have a stub as an additional, ignored argument.
async fn outcome(setup: &str, value: &str, instructions: &str, aside: bool) -> String {
    let mut peer = ScriptedPeer::server(main_object());
    let instructions = match aside {
        true => instructions.replace("/*more*/", r#",["import",-1]"#),
        false => instructions.replace("/*more*/", ""),
    };
    peer.send(&format!(r#"["push",{setup}]"#));
    peer.send(&format!(r#"["push",{value}]"#));
    peer.send(&format!(
        r#"["push",["remap",2,[],[["import",0],["import",1]],[{instructions}]]]"#
    ));
    peer.send(r#"["push",["pipeline",0,["echo"],[["pipeline",3]]]]"#);
    peer.send(r#"["pull",4]"#);
    idle().await;
    let said = peer.next().unwrap();
    for id in 1..=4 {
        peer.send(&format!(r#"["release",{id},1]"#));
    }
    idle().await;
    peer.expect_empty();
    let said = said.strip_suffix(']').unwrap();
    match said.strip_prefix(r#"["resolve",4,"#) {
        Some(value) => value.to_owned(),
        None => said.replace(r#"["reject",4,["error","#, ""),
    }
}

#[tokio::test]
async fn instructions_treat_settled_and_pending_values_alike() {
    let list = r#"["pipeline",0,["echo"],[[[1,2,3]]]]"#;
    let users = r#"["pipeline",0,["echo"],[[[{"id":7,"of":{"x":[[5,"a\"\u00e9"]]}}]]]]"#;
    let children = r#"["pipeline",0,["children"],[]]"#;
    let five = r#"["pipeline",0,["echo"],[5]]"#;
    let later = r#"["pipeline",0,["later"],[5]]"#;
    let a_child = r#"["pipeline",0,["child"],[5]]"#;
    for (setup, value, instructions, expected) in [
        // Arguments.
        (
            five,
            list,
            r#"["pipeline",-1,["double"],[["pipeline",0]/*more*/]]"#,
            "[[2,4,6]]",
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["both"],[ "[" , ["pipeline",0] /*more*/ ]],["pipeline",1]"#,
            r#"[[[["[",1]],[["[",2]],[["[",3]]]]"#,
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["both"],[["pipeline",0],{"a":[[["pipeline",0],["pipeline",-2]]]}/*more*/]]"#,
            r#"[[[[1,{"a":[[1,5]]}]],[[2,{"a":[[2,5]]}]],[[3,{"a":[[3,5]]}]]]]"#,
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["double"],[4/*more*/]]"#,
            "[[8,8,8]]",
        ),
        // Results of other instructions.
        (
            five,
            list,
            r#"["pipeline",-1,["double"],[["pipeline",0]/*more*/]],["pipeline",-1,["both"],[["pipeline",0],["pipeline",1]/*more*/]],["pipeline",2,[1]]"#,
            "[[2,4,6]]",
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["double"],[["pipeline",0]/*more*/]],{"n":["pipeline",0],"d":["pipeline",1]}"#,
            r#"[[{"n":1,"d":2},{"n":2,"d":4},{"n":3,"d":6}]]"#,
        ),
        (
            five,
            list,
            r#"[[ ["pipeline",0], [[["pipeline",-2]]] ,"[\"pipeline\",0]"]]"#,
            r#"[[[[ 1, [[5]] ,"[\"pipeline\",0]"]],[[ 2, [[5]] ,"[\"pipeline\",0]"]],[[ 3, [[5]] ,"[\"pipeline\",0]"]]]]"#,
        ),
        // Properties.
        (
            five,
            users,
            r#"["pipeline",-1,["both"],[["pipeline",0,["id"]],["pipeline",0,["of","x",1]]/*more*/]]"#,
            r#"[[[[7,"a\"\u00e9"]]]]"#,
        ),
        (
            five,
            users,
            r#"["pipeline",-1,["both"],[["pipeline",0,["of","x"]],["pipeline",0,[]]/*more*/]],["pipeline",1,[0]]"#,
            r#"[[[[5,"a\"\u00e9"]]]]"#,
        ),
        (
            five,
            users,
            r#"["pipeline",-1,["echo"],[["pipeline",0,["missing"]]/*more*/]]"#,
            r#"[[["undefined"]]]"#,
        ),
        (
            five,
            users,
            r#"["pipeline",-1,["echo"],[["pipeline",0,["missing","x"]]/*more*/]]"#,
            r#""TypeError","Cannot read properties of undefined (reading 'x')"]"#,
        ),
        (five, users, r#"["pipeline",0,["id"]]"#, "[[7]]"),
        (
            five,
            users,
            r#"{"id":["pipeline",0,["id"]],"x":["pipeline",0,["of","x",0]],"y":["pipeline",0,["y"]]}"#,
            r#"[[{"id":7,"x":5,"y":["undefined"]}]]"#,
        ),
        (
            five,
            users,
            r#"[[["pipeline",0,["y","z"]]]]"#,
            r#""TypeError","Cannot read properties of undefined (reading 'z')"]"#,
        ),
        (
            five,
            users,
            r#"["pipeline",0,["missing"]]"#,
            r#"[[["undefined"]]]"#,
        ),
        (five, users, r#"["pipeline",-1,["ten"]]"#, "[[10]]"),
        (five, users, r#"["pipeline",-2]"#, "[[5]]"),
        (five, users, r#"["import",-2]"#, "[[5]]"),
        // Results that are not available yet.
        (
            later,
            list,
            r#"["pipeline",-1,["both"],[["pipeline",0],["pipeline",-2]/*more*/]],["pipeline",1,[1]]"#,
            "[[5,5,5]]",
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["later"],[["pipeline",0]/*more*/]],["pipeline",-1,["double"],[["pipeline",1]/*more*/]]"#,
            "[[2,4,6]]",
        ),
        (
            later,
            list,
            r#"[[["pipeline",0],["pipeline",-2]]]"#,
            "[[[[1,5]],[[2,5]],[[3,5]]]]",
        ),
        // Failures.
        (
            five,
            list,
            r#"["pipeline",-1,["odd"],[["pipeline",0]/*more*/]],[[["pipeline",1]]]"#,
            r#""RangeError","2 is even"]"#,
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["odd"],[["pipeline",0]/*more*/]]"#,
            r#""RangeError","2 is even"]"#,
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["odd"],[["pipeline",0]/*more*/]],["pipeline",-1,["echo"],[["pipeline",1]/*more*/]]"#,
            r#""RangeError","2 is even"]"#,
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["odd"],[["pipeline",0]/*more*/]],1"#,
            "[[1,1,1]]",
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["double"],["x"/*more*/]],["pipeline",0]"#,
            "[[1,2,3]]",
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["missing"],[["pipeline",0]/*more*/]]"#,
            r#""TypeError","'missing' is not a function."]"#,
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["toString"],[["pipeline",0]/*more*/]]"#,
            r#""TypeError","'toString' is not a function."]"#,
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["ten"],[["pipeline",0]/*more*/]]"#,
            r#""TypeError","'ten' is not a function."]"#,
        ),
        (
            five,
            list,
            r#"["pipeline",-1,[],[["pipeline",0]/*more*/]]"#,
            r#""TypeError","'' is not a function."]"#,
        ),
        (
            five,
            list,
            r#"["pipeline",0,["x"],[["pipeline",0]/*more*/]]"#,
            r#""TypeError","'x' is not a function."]"#,
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["echo"],[["pipeline",2]/*more*/]]"#,
            r#""Error","no such entry on exports table: 2"]"#,
        ),
        (
            five,
            list,
            r#"["pipeline",-3,["echo"],[["pipeline",0]/*more*/]]"#,
            r#""Error","no such entry on exports table: -3"]"#,
        ),
        // Objects.
        (five, children, r#"["pipeline",0,["number"],[]]"#, "[[1,2]]"),
        (
            five,
            children,
            r#"["pipeline",0,["plus"],[["pipeline",-2]/*more*/]]"#,
            "[[6,7]]",
        ),
        (
            a_child,
            list,
            r#"["pipeline",-2,["plus"],[["pipeline",0]/*more*/]]"#,
            "[[6,7,8]]",
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["child"],[["pipeline",0]/*more*/]],["pipeline",1,["plus"],[["pipeline",0]/*more*/]]"#,
            "[[2,4,6]]",
        ),
        (
            five,
            list,
            r#"["pipeline",-1,["inner","plus"],[["pipeline",0]/*more*/]]"#,
            "[[101,102,103]]",
        ),
    ] {
        for aside in [false, true] {
            let outcome = outcome(setup, value, instructions, aside).await;
            assert_eq!(outcome, expected, "{instructions}, aside: {aside}");
        }
    }
}

#[tokio::test]
async fn an_element_fails_alone() {
    let mut peer = ScriptedPeer::server(main_object());
    peer.send(r#"["push",["pipeline",0,["echo"],[[[1,2,3]]]]]"#);
    let odd = r#"["pipeline",-1,["odd"],[["pipeline",0]]]"#;
    peer.send(&format!(
        r#"["push",["remap",1,[],[["import",0]],[{odd}]]]"#
    ));
    for element in 0..3 {
        peer.send(&format!(r#"["push",["pipeline",2,[{element}]]]"#));
        peer.send(&format!(r#"["pull",{}]"#, 3 + element));
    }
    peer.expect(r#"["resolve",3,1]"#);
    peer.expect(r#"["reject",4,["error","RangeError","2 is even"]]"#);
    peer.expect(r#"["resolve",5,3]"#);
}

#[tokio::test]
async fn calls_of_all_elements_start_in_order() {
    let gate = Gate::closed();
    let noted = Arc::new(Mutex::new(Vec::new()));
    let (note, opened) = (noted.clone(), gate.clone());
    let main = Object::new()
        .sync_method("note", move |n: u32| {
            note.lock().unwrap().push(n);
            Ok(n)
        })
        .method("slow", move |n: u32| {
            let gate = opened.clone();
            async move {
                gate.pass().await;
                Ok(n)
            }
        })
        .sync_method("list", || Ok([1, 2, 3]))
        .into_stub();
    let mut peer = ScriptedPeer::server(main);
    peer.send(r#"["push",["pipeline",0,["list"],[]]]"#);
    // The second one waits for the first, and delays no other.
    let instructions = [
        r#"["pipeline",-1,["slow"],[10]]"#,
        r#"["pipeline",-1,["note"],[["pipeline",1]]]"#,
        r#"["pipeline",-1,["note"],[["pipeline",0]]]"#,
        r#"["pipeline",-1,["note"],[0]]"#,
        r#"["pipeline",-1,["note"],[["pipeline",3]]]"#,
    ]
    .join(",");
    peer.send(&format!(
        r#"["push",["remap",1,[],[["import",0]],[{instructions},["pipeline",2]]]]"#
    ));
    peer.send(r#"["pull",2]"#);
    idle().await;
    let at_once = [1, 0, 1, 2, 0, 2, 3, 0, 3];
    assert_eq!(*noted.lock().unwrap(), at_once);
    peer.expect(r#"["resolve",2,[[["promise",-1],["promise",-2],["promise",-3]]]]"#);
    gate.open();
    idle().await;
    assert_eq!(noted.lock().unwrap().split_off(at_once.len()), [10, 10, 10]);
    for promise in [-1, -2, -3] {
        peer.expect(&format!(r#"["resolve",{promise},10]"#));
    }
}

#[tokio::test]
async fn assembled_arguments_are_bounded() {
    let long = format!(r#""{}""#, "x".repeat(400));
    let nest = |levels, inside: &str| {
        let (open, close) = ("[[".repeat(levels), "]]".repeat(levels));
        format!("{open}{inside}{close}")
    };
    let deep = nest(15, "1");
    let element = r#"["pipeline",0]"#;
    for (value, argument, message) in [
        (&long, format!("[[{element},{element}]]"), None),
        (
            &long,
            format!("[[{}]]", [element; 4].join(",")),
            Some("exceeds the maximum message size"),
        ),
        (&deep, nest(3, element), None),
        (
            &deep,
            nest(10, element),
            Some("exceeds the maximum depth of 20"),
        ),
    ] {
        for more in ["", r#",["import",-1]"#] {
            let limits = Limits::default()
                .with_max_message_size(1000)
                .with_max_depth(20);
            let mut peer =
                ScriptedPeer::with(SessionOptions::new().with_limits(limits), main_object());
            peer.send(&format!(
                r#"["push",["pipeline",0,["echo"],[[[{value}]]]]]"#
            ));
            // Its result is not sent.
            peer.send(&format!(
                r#"["push",["remap",1,[],[["import",0]],[["pipeline",-1,["echo"],[{argument}{more}]],["pipeline",1,["missing"]]]]]"#
            ));
            peer.send(r#"["pull",2]"#);
            let said: Vec<_> = peer.said();
            let said = said.concat();
            let expected = message.unwrap_or("undefined");
            assert!(said.contains(expected), "{said}");
            assert_eq!(said.contains("reject"), message.is_some(), "{said}");
        }
    }
}

#[tokio::test]
async fn nested_values_are_bounded_in_depth() {
    for (rounds, fits) in [(100, true), (200, false)] {
        let mut peer = ScriptedPeer::server(main_object());
        peer.send(r#"["push",["pipeline",0,["echo"],[[[7]]]]]"#);
        for last in 1..=rounds {
            peer.send(&format!(
                r#"["push",["remap",1,[],[["import",{last}]],[[[["pipeline",-1]]]]]]"#
            ));
        }
        peer.send(&format!(r#"["pull",{}]"#, rounds + 1));
        let said = peer.next().unwrap();
        let (open, close) = ("[[".repeat(2 * rounds + 1), "]]".repeat(2 * rounds + 1));
        let value = format!(r#"["resolve",{},{open}7{close}]"#, rounds + 1);
        assert_eq!(said == value, fits, "{said}");
        assert_eq!(said.contains("exceeds the maximum depth"), !fits, "{said}");
    }
}

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::{
    Capture, ErrorValue, Expr, JsString, Message, PathStep, RawJson, Reference, RemapValue,
};

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = b"x".to_vec();
    write(&mut out);
    assert_eq!(out.remove(0), b'x');
    String::from_utf8(out).unwrap()
}

fn message(text: &str) -> Message {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn expression(text: &str) -> Expr {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

const READ: Operation<'static> = Operation::Read(Target::new(1, r#"["a",0]"#));
const CALL: Operation<'static> = Operation::Call(Target::new(-2, "[]"));
const MAP: Operation<'static> = Operation::Map {
    target: Target::new(3, r#"["list"]"#),
    instructions: r#"[["pipeline",0,["x"]]]"#,
};

#[test]
fn a_note_follows_the_operation() {
    for (operation, content, expected) in [
        (READ, "", r#"["push",["pipeline",1,["a",0]],"no\\te"]"#),
        (CALL, "[]", r#"["push",["pipeline",-2,[],[]],"no\\te"]"#),
    ] {
        let envelope = Envelope::NotedPush(operation, r"no\te");
        let text = written(|out| {
            envelope.write(out, |out| out.extend_from_slice(content.as_bytes()));
        });
        assert_eq!(text, expected);
    }
}

#[test]
fn operations_are_pushed_and_streamed() {
    for (operation, content, text) in [
        (READ, "", r#"["pipeline",1,["a",0]]"#),
        (CALL, "[1]", r#"["pipeline",-2,[],[1]]"#),
        (
            MAP,
            r#"[["import",-1]]"#,
            r#"["remap",3,["list"],[["import",-1]],[["pipeline",0,["x"]]]]"#,
        ),
    ] {
        let content = |out: &mut Vec<u8>| out.extend_from_slice(content.as_bytes());
        assert_eq!(written(|out| operation.write(out, content)), text);
        for (envelope, name) in [
            (Envelope::Push(operation), "push"),
            (Envelope::Stream(operation), "stream"),
        ] {
            let message = written(|out| envelope.write(out, content));
            assert_eq!(message, format!(r#"["{name}",{text}]"#));
        }
    }
}

#[test]
fn method_follows_the_path() {
    for (path, method, expected) in [
        ("[]", "add", r#"["pipeline",7,["add"]]"#),
        (r#"["a",0]"#, "b", r#"["pipeline",7,["a",0,"b"]]"#),
        (r#"["["]"#, "\"\né", r#"["pipeline",7,["[","\"\né"]]"#),
    ] {
        let target = Target {
            id: 7,
            path,
            method: Some(method),
        };
        let text = written(|out| Operation::Read(target).write(out, |_| {}));
        assert_eq!(text, expected);
    }
}

#[test]
fn short_messages_are_as_javascript_writes_them() {
    for (text, expected) in [
        (written(pipe), r#"["pipe"]"#),
        (written(push_null), r#"["push",null]"#),
        (written(|out| pull(out, 12)), r#"["pull",12]"#),
        (written(|out| release(out, -3, 10)), r#"["release",-3,10]"#),
        (
            written(|out| resolve(out, 1, UNDEFINED)),
            r#"["resolve",1,["undefined"]]"#,
        ),
        (written(|out| reject(out, -1, "0")), r#"["reject",-1,0]"#),
        (written(|out| abort(out, "null")), r#"["abort",null]"#),
        (written(|out| import(out, 0)), r#"["import",0]"#),
        (written(|out| export(out, -9)), r#"["export",-9]"#),
        (written(|out| promise(out, -10)), r#"["promise",-10]"#),
        (written(|out| readable(out, 4)), r#"["readable",4]"#),
        (written(|out| writable(out, -4)), r#"["writable",-4]"#),
        (written(|out| pipeline(out, 5, "[]")), r#"["pipeline",5]"#),
        (
            written(|out| pipeline(out, 5, "[0]")),
            r#"["pipeline",5,[0]]"#,
        ),
        (written(|out| captures(out, [])), "[]"),
        (
            written(|out| captures(out, [1, -2])),
            r#"[["import",1],["import",-2]]"#,
        ),
    ] {
        assert_eq!(text, expected);
    }
}

fn id() -> impl Strategy<Value = i64> {
    prop_oneof![3 => -20..20_i64, 1 => -(1_i64 << 53) + 1..1 << 53]
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,3}",
        any::<String>(),
        Just("\"\\\n\u{0}é😀\u{2028}[]".to_owned())
    ]
}

/// Generates a step of a path, in its written and its parsed form.
fn step() -> impl Strategy<Value = (Step<'static>, PathStep)> {
    prop_oneof![
        text().prop_map(|key| (key.clone().into(), PathStep::Key(key.as_str().into()))),
        (0..1_u64 << 53).prop_map(|index| {
            #[expect(clippy::cast_precision_loss, reason = "doubles hold these exactly")]
            (Step::Index(index), PathStep::Number(index as f64))
        }),
        any::<f64>()
            .prop_filter("JSON has no other", |number| number.is_finite())
            // Negative zero is written as zero.
            .prop_map(|number| (Step::Number(number), PathStep::Number(number + 0.0))),
    ]
}

/// Generates the text of a path, with its parsed form.
fn path() -> impl Strategy<Value = (String, Vec<PathStep>)> {
    vec(step(), 0..4).prop_map(|steps| {
        let mut text = b"[".to_vec();
        for (step, _) in &steps {
            path_step(&mut text, step);
        }
        text.push(b']');
        let read = steps.into_iter().map(|(_, step)| step).collect();
        (String::from_utf8(text).unwrap(), read)
    })
}

fn value() -> impl Strategy<Value = Expr> {
    prop_oneof![
        Just(Expr::Undefined),
        any::<bool>().prop_map(Expr::Bool),
        text().prop_map(|text| text.as_str().into()),
        id().prop_map(Expr::Export),
        vec(text().prop_map(|text| Expr::from(text.as_str())), 0..3).prop_map(Expr::Array),
    ]
}

/// The texts of some values as a JSON array.
fn list(values: &[Expr], out: &mut Vec<u8>) {
    out.push(b'[');
    for value in values {
        separate(out);
        value.write(out);
    }
    out.push(b']');
}

proptest! {
    #[test]
    fn calls_read_back(
        id in id(),
        (path, mut steps) in path(),
        method in proptest::option::of(text()),
        args in proptest::option::of(vec(value(), 0..4)),
        stream: bool,
    ) {
        let target = Target { id, path: &path, method: method.as_deref() };
        let operation = match args {
            Some(_) => Operation::Call(target),
            None => Operation::Read(target),
        };
        steps.extend(method.as_deref().map(|method| PathStep::Key(method.into())));
        let expected = Expr::Pipeline(Reference { id, path: Some(steps), args: args.clone() });
        let (envelope, expected) = if stream {
            (Envelope::Stream(operation), Message::Stream(expected))
        } else {
            (Envelope::Push(operation), Message::Push(expected))
        };
        let text = written(|out| {
            envelope.write(out, |out| if let Some(args) = &args { list(args, out) });
        });
        prop_assert_eq!(message(&text), expected.clone());
        prop_assert_eq!(text, expected.to_string());
    }

    #[test]
    fn maps_read_back(
        id in id(),
        (path, steps) in path(),
        captured in vec(id(), 0..4),
        results in vec(value(), 0..4),
    ) {
        let instructions = written(|out| list(&results, out));
        let target = Target::new(id, &path);
        let map = Operation::Map { target, instructions: &instructions };
        let expected = Message::Push(Expr::Remap(Box::new(RemapValue {
            id,
            path: steps,
            captures: captured.iter().map(|id| Capture::Import(*id)).collect(),
            instructions: results.iter().map(RawJson::from).collect(),
        })));
        let text = written(|out| {
            Envelope::Push(map).write(out, |out| captures(out, captured.iter().copied()));
        });
        prop_assert_eq!(message(&text), expected.clone());
        prop_assert_eq!(text, expected.to_string());
    }

    #[test]
    fn answers_read_back(id in id(), count: u32, value in value()) {
        let expr = value.to_string();
        for (text, expected) in [
            (written(|out| resolve(out, id, &expr)), Message::Resolve(id, value.clone())),
            (written(|out| reject(out, id, &expr)), Message::Reject(id, value.clone())),
            (written(|out| abort(out, &expr)), Message::Abort(value.clone())),
            (written(|out| pull(out, id)), Message::Pull(id)),
            (written(|out| release(out, id, count.into())), Message::Release { id, count: count.into() }),
        ] {
            prop_assert_eq!(message(&text), expected);
        }
    }

    #[test]
    fn references_read_back(id in id(), (path, steps) in path()) {
        let property = Reference { id, path: (!steps.is_empty()).then_some(steps), args: None };
        for (text, expected) in [
            (written(|out| import(out, id)), Expr::Import(Reference::to(id))),
            (written(|out| pipeline(out, id, &path)), Expr::Pipeline(property)),
            (written(|out| export(out, id)), Expr::Export(id)),
            (written(|out| promise(out, id)), Expr::Promise(id)),
            (written(|out| readable(out, id)), Expr::Readable(id)),
            (written(|out| writable(out, id)), Expr::Writable(id)),
        ] {
            prop_assert_eq!(expression(&text), expected);
        }
    }

    #[test]
    fn errors_read_back(
        name in text(),
        message in text(),
        stack in proptest::option::of(text()),
        prop in proptest::option::of(value()),
    ) {
        let error = Error { name: &name, message: &message, stack: stack.as_deref() };
        let text = written(|out| match &prop {
            Some(prop) => error.write_with(out, |out| {
                out.extend_from_slice(br#"{"code":"#);
                prop.write(out);
                out.push(b'}');
            }),
            None => error.write(out),
        });
        let expected = Expr::Error(Box::new(ErrorValue {
            name: name.as_str().into(),
            message: message.as_str().into(),
            stack: stack.as_deref().map(Into::into),
            props: prop.into_iter().map(|prop| (JsString::from("code"), prop)).collect(),
        }));
        prop_assert_eq!(expression(&text), expected);
    }
}

//! The listed holes are exactly the capabilities of the expression, in the right places.

use capnweb_wire::{Capture, Expr, Form, Hole, Limits, PathStep, RawJson, Reference, scan_expr};
use proptest::prelude::*;

use crate::generate;

/// An expected hole, with texts instead of spans, and without white space.
#[derive(Debug, PartialEq)]
struct Expected {
    text: String,
    form: Form,
    id: i64,
    path: Option<String>,
    args: Option<String>,
    inner: usize,
}

impl Expected {
    fn simple(expr: &Expr, form: Form, id: i64) -> Self {
        Self {
            text: expr.to_string(),
            form,
            id,
            path: None,
            args: None,
            inner: 0,
        }
    }
}

/// Lists the holes of a tree in a simple way.
fn collect(expr: &Expr, holes: &mut Vec<Expected>) {
    match expr {
        Expr::Array(items) => items.iter().for_each(|item| collect(item, holes)),
        Expr::Object(members) => members.iter().for_each(|(_, value)| collect(value, holes)),
        Expr::Error(error) => error
            .props
            .iter()
            .for_each(|(_, value)| collect(value, holes)),
        Expr::Request(request) => request.body.iter().for_each(|body| collect(body, holes)),
        Expr::Response(response) => collect(&response.body, holes),
        Expr::Blob(_, id) => holes.push(Expected::simple(&Expr::Readable(*id), Form::Blob, *id)),
        Expr::Export(id) => holes.push(Expected::simple(expr, Form::Export, *id)),
        Expr::Promise(id) => holes.push(Expected::simple(expr, Form::Promise, *id)),
        Expr::Writable(id) => holes.push(Expected::simple(expr, Form::Writable, *id)),
        Expr::Readable(id) => holes.push(Expected::simple(expr, Form::Readable, *id)),
        Expr::Import(reference) => collect_reference(expr, Form::Import, reference, holes),
        Expr::Pipeline(reference) => collect_reference(expr, Form::Pipeline, reference, holes),
        Expr::Remap(map) => {
            holes.push(Expected {
                path: Some(path_text(&map.path)),
                args: Some(list(map.instructions.iter().map(RawJson::to_string))),
                inner: map.captures.len(),
                ..Expected::simple(expr, Form::Remap, map.id)
            });
            for capture in &map.captures {
                collect(
                    &match capture {
                        Capture::Import(id) => Expr::Import(Reference::to(*id)),
                        Capture::Export(id) => Expr::Export(*id),
                    },
                    holes,
                );
            }
        }
        _ => {}
    }
}

fn collect_reference(expr: &Expr, form: Form, reference: &Reference, holes: &mut Vec<Expected>) {
    let place = holes.len();
    holes.push(Expected {
        path: reference.path.as_deref().map(path_text),
        args: reference
            .args
            .as_ref()
            .map(|args| list(args.iter().map(Expr::to_string))),
        ..Expected::simple(expr, form, reference.id)
    });
    for arg in reference.args.iter().flatten() {
        collect(arg, holes);
    }
    holes[place].inner = holes.len() - place - 1;
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

fn path_text(path: &[PathStep]) -> String {
    let mut reference = Reference::to(0);
    reference.path = Some(path.to_vec());
    let reference = Expr::Import(reference);
    let text = reference.to_string();
    let path = text.strip_prefix("[\"import\",0,").unwrap();
    path.strip_suffix("]").unwrap().to_owned()
}

fn found(text: &str, hole: &Hole) -> Expected {
    Expected {
        text: tighten(hole.span.of(text)),
        form: hole.form,
        id: hole.id,
        path: hole.path.map(|span| tighten(span.of(text))),
        args: hole.args.map(|span| tighten(span.of(text))),
        inner: usize::try_from(hole.inner).unwrap(),
    }
}

/// Removes all white space between tokens. There must be none around the text.
fn tighten(text: &str) -> String {
    assert_eq!(text.trim(), text);
    let mut tight = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if quoted || !matches!(c, ' ' | '\r' | '\n' | '\t') {
            tight.push(c);
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && c == '\\' && !escaped;
    }
    tight
}

proptest! {
    #[test]
    fn holes_match_the_capabilities_exactly(expr in generate::expr(), spaces in generate::spaces()) {
        let mut expected = Vec::new();
        collect(&expr, &mut expected);

        let text = generate::loosen(&expr.to_string(), &spaces);
        let mut holes = Vec::new();
        scan_expr(&text, &Limits::default(), &mut holes).unwrap();
        let found: Vec<_> = holes.iter().map(|hole| found(&text, hole)).collect();
        prop_assert_eq!(found, expected);
    }
}

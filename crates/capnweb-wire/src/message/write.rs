//! Writing of trees as text.

use std::fmt;

use super::{
    Capture, ErrorValue, Expr, JsString, Message, PathStep, RawJson, Reference, RemapValue,
    RequestValue, ResponseValue,
};
use crate::bytes::{write_bytes, write_contained};
use crate::encode::{self, Envelope};
use crate::write::{write_f64, write_i64, write_string};

/// Writes through a buffer.
pub(super) fn display(f: &mut fmt::Formatter<'_>, write: impl FnOnce(&mut Vec<u8>)) -> fmt::Result {
    let mut out = Vec::new();
    write(&mut out);
    f.write_str(&String::from_utf8_lossy(&out))
}

pub(super) fn message(message: &Message, out: &mut Vec<u8>) {
    match message {
        // These two may contain any expression. An envelope only supports those that a session
        // sends.
        Message::Push(expr) => form(out, "push", [expr]),
        Message::Stream(expr) => form(out, "stream", [expr]),
        Message::Pipe => encode::pipe(out),
        Message::Pull(id) => encode::pull(out, *id),
        Message::Resolve(id, expr) => Envelope::Resolve(*id).write(out, |out| expr.write(out)),
        Message::Reject(id, expr) => Envelope::Reject(*id).write(out, |out| expr.write(out)),
        Message::Release { id, count } => encode::release(out, *id, *count),
        Message::Abort(expr) => Envelope::Abort.write(out, |out| expr.write(out)),
    }
}

pub(super) fn expression(expr: &Expr, out: &mut Vec<u8>) {
    match expr {
        Expr::Undefined => form(out, "undefined", [(); 0]),
        Expr::Null => out.extend_from_slice(b"null"),
        Expr::Bool(true) => out.extend_from_slice(b"true"),
        Expr::Bool(false) => out.extend_from_slice(b"false"),
        Expr::Number(number) => number.write(out),
        Expr::String(text) => text.write(out),
        Expr::Array(items) => {
            out.push(b'[');
            items.write(out);
            out.push(b']');
        }
        Expr::Object(members) => Members(members).write(out),
        Expr::BigInt(number) => form(out, "bigint", [number.to_string().as_str()]),
        Expr::Date(date) => form(out, "date", [date.millis()]),
        Expr::Bytes(bytes, None) => write_bytes(out, bytes),
        Expr::Bytes(bytes, Some(container)) => write_contained(out, bytes, *container),
        Expr::Error(value) => error(value, out),
        Expr::Url(url) => form(out, "url", [url]),
        Expr::Headers(headers) => form(out, "headers", [headers]),
        Expr::Request(value) => request(value, out),
        Expr::Response(value) => response(value, out),
        Expr::Blob(media_type, id) => {
            form::<&dyn Part, 2>(out, "blob", [media_type, &Expr::Readable(*id)]);
        }
        Expr::Import(target) => reference(target, "import", out),
        Expr::Pipeline(target) => reference(target, "pipeline", out),
        Expr::Export(id) => encode::export(out, *id),
        Expr::Promise(id) => encode::promise(out, *id),
        Expr::Writable(id) => encode::writable(out, *id),
        Expr::Readable(id) => encode::readable(out, *id),
        Expr::Remap(value) => remap(value, out),
    }
}

fn error(error: &ErrorValue, out: &mut Vec<u8>) {
    let ErrorValue {
        name,
        message,
        stack,
        props,
    } = error;
    if !props.is_empty() {
        form::<&dyn Part, 4>(out, "error", [name, message, stack, &Members(props)]);
    } else if stack.is_some() {
        form::<&dyn Part, 3>(out, "error", [name, message, stack]);
    } else {
        form(out, "error", [name, message]);
    }
}

fn request(request: &RequestValue, out: &mut Vec<u8>) {
    let mut init: Vec<(&dyn Part, &dyn Part)> = Vec::new();
    for (key, value) in &request.other {
        init.push((key, value));
    }
    if let Some(headers) = &request.headers {
        init.push((&"headers", headers));
    }
    if let Some(body) = &request.body {
        init.push((&"body", body));
    }
    form::<&dyn Part, 2>(out, "request", [&request.url, &Members(&init)]);
}

fn response(response: &ResponseValue, out: &mut Vec<u8>) {
    let mut init: Vec<(&dyn Part, &dyn Part)> = Vec::new();
    for (key, value) in &response.other {
        init.push((key, value));
    }
    if let Some(headers) = &response.headers {
        init.push((&"headers", headers));
    }
    form::<&dyn Part, 2>(out, "response", [&response.body, &Members(&init)]);
}

fn reference(reference: &Reference, name: &str, out: &mut Vec<u8>) {
    let Reference { id, path, args } = reference;
    match (path, args) {
        (None, None) => form(out, name, [id]),
        (Some(path), None) => form::<&dyn Part, 2>(out, name, [id, path]),
        (path, Some(args)) => {
            let path = path.as_deref().unwrap_or_default();
            form::<&dyn Part, 3>(out, name, [id, &path, args]);
        }
    }
}

fn remap(value: &RemapValue, out: &mut Vec<u8>) {
    let RemapValue {
        id,
        path,
        captures,
        instructions,
    } = value;
    form::<&dyn Part, 4>(out, "remap", [id, path, captures, instructions]);
}

/// Writes an array that starts with a name.
fn form<P: Part, const N: usize>(out: &mut Vec<u8>, name: &str, parts: [P; N]) {
    out.push(b'[');
    name.write(out);
    for part in parts {
        out.push(b',');
        part.write(out);
    }
    out.push(b']');
}

/// A part of a message that is a single JSON value.
trait Part {
    fn write(&self, out: &mut Vec<u8>);
}

impl<P: Part + ?Sized> Part for &P {
    fn write(&self, out: &mut Vec<u8>) {
        (**self).write(out);
    }
}

/// Writes null for a missing part.
impl<P: Part> Part for Option<P> {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Some(part) => part.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

/// Writes a bare array.
impl<P: Part> Part for [P] {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        for (place, part) in self.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            part.write(out);
        }
        out.push(b']');
    }
}

impl<P: Part> Part for Vec<P> {
    fn write(&self, out: &mut Vec<u8>) {
        self.as_slice().write(out);
    }
}

/// An object.
struct Members<'a, K, V>(&'a [(K, V)]);

impl<K: Part, V: Part> Part for Members<'_, K, V> {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (place, (key, value)) in self.0.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            key.write(out);
            out.push(b':');
            value.write(out);
        }
        out.push(b'}');
    }
}

/// Writes a pair, such as a header.
impl<A: Part, B: Part> Part for (A, B) {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        self.0.write(out);
        out.push(b',');
        self.1.write(out);
        out.push(b']');
    }
}

/// The type of parts for forms that have none. It is never written.
impl Part for () {
    fn write(&self, _: &mut Vec<u8>) {}
}

impl Part for Expr {
    fn write(&self, out: &mut Vec<u8>) {
        expression(self, out);
    }
}

impl Part for str {
    fn write(&self, out: &mut Vec<u8>) {
        write_string(out, self);
    }
}

impl Part for JsString {
    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        out.extend_from_slice(self.literal().as_bytes());
        out.push(b'"');
    }
}

impl Part for RawJson {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_str().as_bytes());
    }
}

impl Part for i64 {
    fn write(&self, out: &mut Vec<u8>) {
        write_i64(out, *self);
    }
}

impl Part for f64 {
    fn write(&self, out: &mut Vec<u8>) {
        // JavaScript never writes a negative zero, but can read one.
        if *self == 0.0 && self.is_sign_negative() {
            out.extend_from_slice(b"-0");
        } else {
            write_f64(out, *self);
        }
    }
}

impl Part for PathStep {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Key(key) => key.write(out),
            Self::Number(number) => number.write(out),
        }
    }
}

impl Part for Capture {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Import(id) => encode::import(out, *id),
            Self::Export(id) => encode::export(out, *id),
        }
    }
}

//! Removal of secrets from messages.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use capnweb_wire::{Expr, JsString, Message, PathStep, RawJson, Reference, RemapValue};

use super::{Body, Entry, Event, Side, secret};

/// The text that replaces a secret.
pub(crate) const REDACTED: &str = "[redacted]";

/// The maximum number of calls per side of a session whose results are awaited.
const MAX_WATCHED: usize = 10_000;

/// Removes secrets from the messages of a recording, and keeps everything that a
/// [`Follower`](crate::Follower) needs.
///
/// It removes:
///
/// - the values of properties, headers and query parameters with secret names (`password`,
///   `authToken`, `Set-Cookie` …)
/// - the arguments and plain results of methods with secret names (`authenticate("…")`)
/// - texts that look like secrets on their own (`Bearer …`, a JWT)
///
/// Names are matched by words: `author` is not `auth`. A message that cannot be read is removed
/// completely.
///
/// An application's secrets with ordinary names are not recognized. Name them with
/// [`also`](Self::also).
#[derive(Debug)]
pub struct Redactor {
    names: secret::Names,
    sessions: HashMap<u64, Session>,
}

/// A session's calls whose results are secrets.
#[derive(Debug, Default)]
struct Session {
    pushes: [i64; 2],
    secret: [BTreeSet<i64>; 2],
    /// The last ID of each side that was forgotten, since there were too many. Up to there, all
    /// results count as secrets.
    forgotten: [i64; 2],
}

impl Session {
    fn watch(&mut self, side: Side, id: i64) {
        let secret = &mut self.secret[side.index()];
        secret.insert(id);
        if secret.len() > MAX_WATCHED
            && let Some(oldest) = secret.pop_first()
        {
            self.forgotten[side.index()] = oldest;
        }
    }

    fn take(&mut self, side: Side, id: i64) -> bool {
        let is_forgotten = (1..=self.forgotten[side.index()]).contains(&id);
        self.secret[side.index()].remove(&id) || is_forgotten
    }
}

impl Default for Redactor {
    fn default() -> Self {
        Self {
            names: secret::Names::usual(),
            sessions: HashMap::new(),
        }
    }
}

impl Redactor {
    /// Creates a redactor for the usual names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the name of a property or method whose values are secrets.
    #[must_use]
    pub fn also(mut self, name: &str) -> Self {
        self.names.add(name);
        self
    }

    /// Returns the names, as a [`Header`](super::Header) lists them.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.names.list()
    }

    /// Removes secrets from an entry.
    ///
    /// Pass all entries of a session through the same redactor, in order.
    pub fn redact(&mut self, entry: &mut Entry) {
        match &mut entry.event {
            Event::Open { path, .. } => {
                if let Cow::Owned(redacted) = self.url(path) {
                    *path = redacted;
                }
            }
            Event::Close { .. } => {
                self.sessions.remove(&entry.session);
            }
            Event::Message { from, body } => {
                let redacted = match body.text() {
                    None => Some(Body::Opaque(Vec::new())),
                    Some(text) => {
                        let mut session = self.sessions.remove(&entry.session).unwrap_or_default();
                        let redacted = self.message(&mut session, *from, text);
                        self.sessions.insert(entry.session, session);
                        redacted.map(|text| body.with_text(Cow::Owned(text)))
                    }
                };
                if let Some(redacted) = redacted {
                    *body = redacted;
                }
            }
        }
    }

    /// Returns a message without its secrets, or `None` if it contains none.
    fn message(&self, session: &mut Session, from: Side, text: &str) -> Option<String> {
        let Ok(mut message) = text.parse::<Message>() else {
            return Some(format!(
                "{REDACTED}: {} bytes that are no message",
                text.len()
            ));
        };
        let mut work = Work {
            names: &self.names,
            is_changed: false,
        };
        match &mut message {
            Message::Push(expr) | Message::Stream(expr) => {
                session.pushes[from.index()] += 1;
                if work.is_secret_operation(expr) {
                    session.watch(from, session.pushes[from.index()]);
                }
                work.expr(expr, false);
            }
            Message::Pipe => session.pushes[from.index()] += 1,
            Message::Resolve(id, expr) | Message::Reject(id, expr) => {
                let is_secret = session.take(from.other(), *id);
                work.expr(
                    expr,
                    is_secret && !matches!(expr, Expr::Object(_) | Expr::Error(_)),
                );
            }
            Message::Abort(expr) => work.expr(expr, false),
            _ => {}
        }
        work.is_changed.then(|| message.to_string())
    }

    /// Returns a URL or path without the secrets in its query.
    pub(crate) fn url<'a>(&self, url: &'a str) -> Cow<'a, str> {
        redact_url(&self.names, url)
    }
}

fn redact_url<'a>(names: &secret::Names, url: &'a str) -> Cow<'a, str> {
    let mut redacted = Cow::Borrowed(url);
    if let Some((scheme, rest)) = url.split_once("://") {
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        if let Some(at) = rest.get(..end).and_then(|authority| authority.rfind('@')) {
            let after = rest.get(at..).unwrap_or_default();
            redacted = Cow::Owned(format!("{scheme}://{REDACTED}{after}"));
        }
    }
    let Some((path, query)) = redacted.split_once('?') else {
        return redacted;
    };
    let is_secret = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        !value.is_empty() && (names.matches(name) || secret::is_secret(value))
    };
    if !query.split('&').any(is_secret) {
        return redacted;
    }
    let pairs = query
        .split('&')
        .map(|pair| match (is_secret(pair), pair.split_once('=')) {
            (true, Some((name, _))) => format!("{name}={REDACTED}"),
            _ => pair.to_owned(),
        });
    let pairs: Vec<_> = pairs.collect();
    Cow::Owned(format!("{path}?{}", pairs.join("&")))
}

/// The redaction of one message.
struct Work<'a> {
    names: &'a secret::Names,
    is_changed: bool,
}

impl Work<'_> {
    /// Returns true if the result of an operation is a secret, judged by the name of the method or
    /// property.
    fn is_secret_operation(&self, expr: &Expr) -> bool {
        match expr {
            Expr::Pipeline(reference) | Expr::Import(reference) => self.is_secret_path(reference),
            Expr::Remap(remap) => self.has_secret_instruction(remap),
            _ => false,
        }
    }

    fn is_secret_path(&self, reference: &Reference) -> bool {
        let last = reference.path.as_deref().and_then(<[PathStep]>::last);
        matches!(last, Some(PathStep::Key(name)) if self.names.matches(&name.to_str()))
    }

    fn has_secret_instruction(&self, remap: &RemapValue) -> bool {
        let is_secret = |step: &PathStep| matches!(step, PathStep::Key(name) if self.names.matches(&name.to_str()));
        remap.path.iter().any(is_secret)
            || remap.instructions.iter().any(|instruction| {
                match instruction.parse(&crate::follow::LIMITS) {
                    Ok(expr) => self.is_secret_operation(&expr),
                    Err(_) => true,
                }
            })
    }

    /// Traverses an expression. If `is_secret`, all its plain values are removed.
    fn expr(&mut self, expr: &mut Expr, is_secret: bool) {
        match expr {
            Expr::String(text) if is_secret || secret::is_secret(&text.to_str()) => {
                self.is_changed = true;
                *text = REDACTED.into();
            }
            Expr::Number(_) | Expr::BigInt(_) | Expr::Date(_) if is_secret => {
                self.is_changed = true;
                *expr = REDACTED.into();
            }
            Expr::Bytes(bytes, _) if is_secret => {
                self.is_changed = true;
                bytes.clear();
            }
            Expr::Array(items) => self.all(items, is_secret),
            Expr::Object(members) => {
                for (name, value) in members {
                    let is_secret = is_secret || self.names.matches(&name.to_str());
                    self.expr(value, is_secret);
                }
            }
            Expr::Error(error) => {
                for (name, value) in &mut error.props {
                    let is_secret = is_secret || self.names.matches(&name.to_str());
                    self.expr(value, is_secret);
                }
            }
            Expr::Url(url) => self.js_url(url, is_secret),
            Expr::Headers(headers) => self.headers(headers, is_secret),
            Expr::Request(request) => {
                self.js_url(&mut request.url, is_secret);
                self.headers(
                    request.headers.as_deref_mut().unwrap_or_default(),
                    is_secret,
                );
                if let Some(body) = &mut request.body {
                    self.expr(body, is_secret);
                }
            }
            Expr::Response(response) => {
                self.headers(
                    response.headers.as_deref_mut().unwrap_or_default(),
                    is_secret,
                );
                self.expr(&mut response.body, is_secret);
            }
            Expr::Pipeline(reference) | Expr::Import(reference) => {
                let is_secret = is_secret || self.is_secret_path(reference);
                self.all(reference.args.as_deref_mut().unwrap_or_default(), is_secret);
            }
            Expr::Remap(remap) => {
                for instruction in &mut remap.instructions {
                    self.instruction(instruction, is_secret);
                }
            }
            _ => {}
        }
    }

    fn all(&mut self, items: &mut [Expr], is_secret: bool) {
        for item in items {
            self.expr(item, is_secret);
        }
    }

    fn instruction(&mut self, instruction: &mut RawJson, is_secret: bool) {
        match instruction.parse(&crate::follow::LIMITS) {
            Ok(mut expr) => {
                let before = std::mem::replace(&mut self.is_changed, false);
                self.expr(&mut expr, is_secret);
                if self.is_changed {
                    *instruction = RawJson::from(&expr);
                }
                self.is_changed |= before;
            }
            Err(_) => {
                self.is_changed = true;
                *instruction = RawJson::from(&Expr::from(REDACTED));
            }
        }
    }

    fn headers(&mut self, headers: &mut [(JsString, JsString)], is_secret: bool) {
        for (name, value) in headers {
            if is_secret || self.names.matches(&name.to_str()) || secret::is_secret(&value.to_str())
            {
                self.is_changed = true;
                *value = REDACTED.into();
            }
        }
    }

    fn js_url(&mut self, url: &mut JsString, is_secret: bool) {
        let text = url.to_str().into_owned();
        let redacted = match is_secret {
            true => Cow::Borrowed("about:redacted"),
            false => redact_url(self.names, &text),
        };
        if redacted != text {
            self.is_changed = true;
            *url = redacted.as_ref().into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(messages: &[(Side, &str)]) -> Vec<String> {
        let mut redactor = Redactor::new().also("diagnosis");
        let redact = |(from, text): &(Side, &str)| {
            let body = Body::Text((*text).to_owned());
            let mut entry = Entry::new(0.0, 1, Event::Message { from: *from, body });
            redactor.redact(&mut entry);
            match entry.event {
                Event::Message { body, .. } => body.text().unwrap_or_default().to_owned(),
                _ => String::new(),
            }
        };
        messages.iter().map(redact).collect()
    }

    #[test]
    fn names_tell_what_is_secret() {
        for (message, expected) in [
            (
                r#"["push",["pipeline",0,["authenticate"],["t",1,["export",-1]]]]"#,
                r#"["push",["pipeline",0,["authenticate"],["[redacted]","[redacted]",["export",-1]]]]"#,
            ),
            (
                r#"["push",["pipeline",0,["save"],[{"password":"p","name":"ada","diagnosis":[["x"]]}]]]"#,
                r#"["push",["pipeline",0,["save"],[{"password":"[redacted]","name":"ada","diagnosis":[["[redacted]"]]}]]]"#,
            ),
            (
                r#"["push",["pipeline",0,["f"],["Bearer abcdefghi",["headers",[["Cookie","a=b"],["Accept","x"]]]]]]"#,
                r#"["push",["pipeline",0,["f"],["[redacted]",["headers",[["Cookie","[redacted]"],["Accept","x"]]]]]]"#,
            ),
            (
                r#"["push",["pipeline",0,["f"],[["url","https://u:p@a.example/?token=x&page=2"]]]]"#,
                r#"["push",["pipeline",0,["f"],[["url","https://[redacted]@a.example/?token=[redacted]&page=2"]]]]"#,
            ),
            (
                r#"["push",["remap",1,[],[["import",0]],[["pipeline",-1,["login"],["ada","pw"]]]]]"#,
                r#"["push",["remap",1,[],[["import",0]],[["pipeline",-1,["login"],["[redacted]","[redacted]"]]]]]"#,
            ),
            (
                r#"["push", ["pipeline",0,["getAuthor"],["ada"]]]"#,
                r#"["push", ["pipeline",0,["getAuthor"],["ada"]]]"#,
            ),
            ("password=x", "[redacted]: 10 bytes that are no message"),
        ] {
            assert_eq!(redacted(&[(Side::Client, message)]), [expected]);
        }
    }

    #[test]
    fn too_many_secrets_are_still_removed() {
        let mut session = Session::default();
        for id in 1..=20_000 {
            session.watch(Side::Client, id);
        }
        assert_eq!(session.secret[0].len(), MAX_WATCHED);
        assert!(session.take(Side::Client, 1) && session.take(Side::Client, 20_000));
        assert!(!session.take(Side::Client, 20_000) && !session.take(Side::Server, 1));
        assert!(!session.take(Side::Client, -1));
    }

    #[test]
    fn results_of_secret_methods_are_removed() {
        let out = redacted(&[
            (Side::Client, r#"["pipe"]"#),
            (Side::Client, r#"["push",["pipeline",0,["getToken"],[]]]"#),
            (Side::Client, r#"["push",["pipeline",0,["getName"],[]]]"#),
            (Side::Server, r#"["push",["pipeline",0,["f"],[]]]"#),
            (Side::Server, r#"["resolve",3,"ada"]"#),
            (Side::Server, r#"["resolve",2,"abc"]"#),
            (Side::Client, r#"["resolve",1,"plain"]"#),
        ]);
        assert_eq!(out[4], r#"["resolve",3,"ada"]"#);
        assert_eq!(out[5], r#"["resolve",2,"[redacted]"]"#);
        assert_eq!(out[6], r#"["resolve",1,"plain"]"#);
    }
}

//! Sequence diagrams in Mermaid's language.

use std::fmt::Write;

use crate::{Outcome, Session, Side};

/// Returns the calls of a session as a Mermaid sequence diagram.
///
/// Each call is drawn as an arrow when it was sent, and as a second arrow when it was answered.
#[must_use]
pub fn mermaid(session: &Session) -> String {
    let mut out = String::from("sequenceDiagram\n    participant client\n    participant server\n");
    // The events by time. At the same time, calls come before answers.
    let mut events: Vec<(f64, u8, String)> = Vec::new();
    for call in session.calls() {
        let (from, to) = (call.caller, call.caller.other());
        let times = match call.repeated {
            0 => String::new(),
            more => format!(" ×{}", more + 1),
        };
        let label = format!(
            "    {from}->>{to}: {} {}{times}\n",
            call.number,
            escaped(&call.label())
        );
        events.push((call.sent, 1, label));
        if let Some(advice) = &call.advice {
            events.push((
                call.sent,
                1,
                format!("    Note over {from}: {}\n", escaped(&advice.to_string())),
            ));
        }
        let answer = match &call.outcome {
            Outcome::Resolved(value) => {
                format!("    {to}-->>{from}: {} = {}\n", call.number, escaped(value))
            }
            Outcome::Rejected(error) => {
                format!("    {to}--x{from}: {} {}\n", call.number, escaped(error))
            }
            _ => continue,
        };
        events.push((call.settled.unwrap_or(call.sent), 2, answer));
    }
    for (at, end) in session.round_trip_ends(Side::Client).enumerate() {
        events.push((
            end,
            3,
            format!("    Note over client,server: round trip {} ended\n", at + 1),
        ));
    }
    events.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    for (_, _, line) in events {
        out.push_str(&line);
    }
    if let Some(reason) = session.aborted().or(session.closed()) {
        let _ = writeln!(out, "    Note over client,server: {}", escaped(reason));
    }
    out
}

/// Escapes characters that would end a label in Mermaid.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '#' | ';' | '<' | '>' | '&' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

//! The waterfall of a session as an SVG image.

use std::fmt::Write;

use crate::{
    Call, Outcome, Session, Side,
    calls::nested,
    preview::{millis, plural, shortened},
};

/// The height of a row, in pixels.
const ROW: f64 = 22.0;
/// The width of the column of names.
const NAMES: f64 = 430.0;
/// The width of the column of bars.
const BARS: f64 = 520.0;
/// The height above the first row.
const TOP: f64 = 64.0;
/// The largest number of rows.
const MAX_ROWS: usize = 500;

const STYLE: &str = "\
.bg{fill:#fff;stroke:#d1d9e0}\
text{font:13px ui-monospace,SFMono-Regular,Consolas,monospace;fill:#1f2328}\
.title{font:600 15px system-ui,sans-serif}\
.note{fill:#59636e;font-size:12px}\
.client{fill:#2b7fd4}.server{fill:#0b7a5f}.failed{fill:#cf222e}.open{fill:#8b9bab}\
.trip{stroke:#8250df;stroke-width:1.2;stroke-dasharray:4 3}\
.row{stroke:#eff2f5}.flag{fill:#9a6700}\
@media (prefers-color-scheme:dark){\
.bg{fill:#0d1117;stroke:#3d444d}text{fill:#f0f6fc}.note{fill:#9198a1}\
.client{fill:#4493f8}.server{fill:#3fc8a0}.failed{fill:#f85149}.trip{stroke:#ab7df8}.row{stroke:#21262d}.flag{fill:#d29922}}";

/// Returns the waterfall of a session as SVG. Each call is a row, nested under the call that it
/// depends on. A line marks the end of each round trip of the client.
#[must_use]
pub fn svg(session: &Session) -> String {
    let rows = nested(session);
    let shown = rows.len().min(MAX_ROWS);
    let start = session.opened();
    let length = (session.last() - start).max(0.001);
    let x = |t: f64| NAMES + 20.0 + (t - start).clamp(0.0, length) / length * BARS;
    let height = TOP + ROW * lossless(shown.max(1)) + 34.0;
    let width = NAMES + BARS + 130.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" role=\"img\" aria-label=\"calls of a session\"><style>{STYLE}</style>\
         <rect class=\"bg\" x=\".5\" y=\".5\" width=\"{:.0}\" height=\"{:.0}\" rx=\"6\"/>",
        width - 1.0,
        height - 1.0,
    );
    let counts = session.counts(Side::Client);
    let title = format!(
        "{} {}: {}, {}",
        session.transport(),
        session.path(),
        plural(usize::try_from(counts.calls).unwrap_or(usize::MAX), "call"),
        plural(
            usize::try_from(counts.round_trips).unwrap_or(usize::MAX),
            "round trip"
        ),
    );
    let _ = write!(
        out,
        "<text class=\"title\" x=\"16\" y=\"28\">{}</text>",
        escaped(&title)
    );
    for (at, end) in session.round_trip_ends(Side::Client).enumerate() {
        let x = x(end);
        let _ = write!(
            out,
            "<line class=\"trip\" x1=\"{x:.1}\" y1=\"{:.0}\" x2=\"{x:.1}\" y2=\"{:.0}\"/>\
             <text class=\"note\" x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            TOP - 8.0,
            height - 26.0,
            TOP - 14.0,
            at + 1,
        );
    }
    for (at, (depth, call)) in rows.iter().take(shown).enumerate() {
        row(
            &mut out,
            call,
            *depth,
            TOP + ROW * lossless(at),
            &x,
            session.last(),
        );
    }
    let left_out = rows.len() - shown;
    let note = match left_out {
        0 => format!(
            "{} in all; dashed lines: a round trip ended",
            millis(length)
        ),
        left_out => format!(
            "{} in all; {} left out",
            millis(length),
            plural(left_out, "row")
        ),
    };
    let _ = writeln!(
        out,
        "<text class=\"note\" x=\"16\" y=\"{:.0}\">{}</text></svg>",
        height - 12.0,
        escaped(&note)
    );
    out
}

fn row(out: &mut String, call: &Call, depth: usize, y: f64, x: &impl Fn(f64) -> f64, last: f64) {
    let indent = 16.0 + 16.0 * lossless(depth.min(12));
    let flag = match call.advice {
        Some(_) => " ⚑",
        None => "",
    };
    let room = 50_usize.saturating_sub(2 * depth.min(12));
    let label = shortened(&format!("{} {}", call.number, call.label()), room);
    let (class, end) = match call.outcome {
        Outcome::Rejected(_) => ("failed", call.settled),
        Outcome::Resolved(_) if call.caller == Side::Client => ("client", call.settled),
        Outcome::Resolved(_) => ("server", call.settled),
        Outcome::NotAskedFor => ("open", Some(call.sent)),
        Outcome::Pending | Outcome::Released => ("open", Some(call.released.unwrap_or(last))),
    };
    let (from, to) = (x(call.sent), x(end.unwrap_or(last)));
    let took = match (&call.outcome, call.took()) {
        (Outcome::NotAskedFor, _) => "not asked for".to_owned(),
        (_, Some(took)) => millis(took),
        (_, None) => "no answer".to_owned(),
    };
    let advice = call
        .advice
        .as_ref()
        .map(|advice| format!("\n{advice}"))
        .unwrap_or_default();
    let _ = write!(
        out,
        "<line class=\"row\" x1=\"16\" y1=\"{0:.0}\" x2=\"{1:.0}\" y2=\"{0:.0}\"/>\
         <g><title>{2}{3}</title><text x=\"{indent:.0}\" y=\"{4:.0}\">{5}<tspan class=\"flag\">{flag}</tspan></text>\
         <rect class=\"{class}\" x=\"{from:.1}\" y=\"{6:.0}\" width=\"{7:.1}\" height=\"12\" rx=\"2\"/>\
         <text class=\"note\" x=\"{8:.1}\" y=\"{4:.0}\">{took}</text></g>",
        y + ROW - 3.0,
        NAMES + BARS + 110.0,
        escaped(&call.label()),
        escaped(&advice),
        y + 14.0,
        escaped(&label),
        y + 4.0,
        (to - from).max(2.0),
        to.max(from + 2.0) + 6.0,
    );
}

/// Converts a small number without loss.
fn lossless(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

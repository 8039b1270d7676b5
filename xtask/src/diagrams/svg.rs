//! Text, boxes and arrows as SVG.

use std::fmt::Write;

/// Colors for light and dark backgrounds. A diagram has its own background, so that it is legible
/// on pages that ignore the reader's color scheme.
const STYLE: &str = "\
.bg{fill:#fff;stroke:#d1d9e0}\
text{font:14px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328}\
.title{font-size:15px;font-weight:600}\
.note{font-size:13px;fill:#59636e}\
.code,.typed{font:13px ui-monospace,SFMono-Regular,Consolas,monospace;white-space:pre}\
.typed{font-weight:600}\
.line{stroke:#59636e;stroke-width:1.5;fill:none}\
.faint{stroke:#d1d9e0;stroke-width:1.5;fill:none}\
.head{fill:#59636e}\
.box{fill:#f6f8fa;stroke:#8b9bab;stroke-width:1.2}\
.ours{fill:#d5f2e8;stroke:#0b7a5f;stroke-width:1.2}\
.area{fill:none;stroke:#8b9bab;stroke-width:1.2;stroke-dasharray:4 4}\
@media (prefers-color-scheme:dark){\
.bg{fill:#0d1117;stroke:#3d444d}\
text{fill:#f0f6fc}.note{fill:#9198a1}\
.line{stroke:#9198a1}.faint{stroke:#3d444d}.head{fill:#9198a1}\
.box{fill:#161b22;stroke:#6b7a8a}.ours{fill:#123b30;stroke:#3fc8a0}.area{stroke:#6b7a8a}}";

/// The style of a text.
#[derive(Clone, Copy)]
pub(super) enum Font {
    Title,
    Plain,
    Note,
    Code,
    /// Code that somebody typed.
    Typed,
}

impl Font {
    fn class(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Plain => "plain",
            Self::Note => "note",
            Self::Code => "code",
            Self::Typed => "typed",
        }
    }

    /// Returns the width of a character in pixels, which is rather an overestimate.
    fn advance(self) -> f64 {
        match self {
            Self::Title => 8.3,
            Self::Plain => 7.4,
            Self::Note => 6.9,
            Self::Code | Self::Typed => 7.9,
        }
    }
}

/// The point of a text that its coordinates refer to.
#[derive(Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The rectangle that a text covers.
struct Extent {
    text: String,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Extent {
    fn overlaps(&self, other: &Self) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
}

/// A diagram that is being drawn.
pub(super) struct Picture {
    width: f64,
    height: f64,
    description: &'static str,
    body: String,
    texts: Vec<Extent>,
}

impl Picture {
    /// Creates an empty diagram. `description` is for readers who cannot see it.
    pub(super) fn new(width: f64, height: f64, description: &'static str) -> Self {
        Self {
            width,
            height,
            description,
            body: String::new(),
            texts: Vec::new(),
        }
    }

    /// Adds a text whose baseline is at `y`.
    pub(super) fn text(&mut self, x: f64, y: f64, anchor: Anchor, font: Font, text: &str) {
        let width = text.chars().count() as f64 * font.advance();
        let (name, left) = match anchor {
            Anchor::Start => ("start", x),
            Anchor::Middle => ("middle", x - width / 2.0),
            Anchor::End => ("end", x - width),
        };
        self.texts.push(Extent {
            text: text.to_owned(),
            left,
            right: left + width,
            top: y - 12.0,
            bottom: y + 4.0,
        });
        let class = font.class();
        self.add(&format!(
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{name}\">{}</text>",
            escaped(text)
        ));
    }

    /// Adds a box with a class of the style sheet.
    pub(super) fn rect(&mut self, class: &str, x: f64, y: f64, width: f64, height: f64) {
        self.add(&format!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\" rx=\"6\"/>"
        ));
    }

    /// Adds a box with a centered text, and optionally a note below it.
    pub(super) fn labeled(
        &mut self,
        class: &str,
        (x, y, width, height): (f64, f64, f64, f64),
        font: Font,
        text: &str,
        note: &str,
    ) {
        self.rect(class, x, y, width, height);
        let (center, middle) = (x + width / 2.0, y + height / 2.0 + 5.0);
        if note.is_empty() {
            self.text(center, middle, Anchor::Middle, font, text);
        } else {
            self.text(center, middle - 9.0, Anchor::Middle, font, text);
            self.text(center, middle + 10.0, Anchor::Middle, Font::Note, note);
        }
    }

    /// Adds a line with a class of the style sheet.
    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.add(&format!(
            "<line class=\"{class}\" x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\"/>",
            from.0, from.1, to.0, to.1
        ));
    }

    /// Adds an arrow.
    pub(super) fn arrow(&mut self, from: (f64, f64), to: (f64, f64)) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx.hypot(dy).max(1.0);
        let (ux, uy) = (dx / length, dy / length);
        let base = (to.0 - 9.0 * ux, to.1 - 9.0 * uy);
        self.line("line", from, base);
        self.add(&format!(
            "<polygon class=\"head\" points=\"{:.1},{:.1} {:.1},{:.1} {:.1},{:.1}\"/>",
            to.0,
            to.1,
            base.0 - 4.5 * uy,
            base.1 + 4.5 * ux,
            base.0 + 4.5 * uy,
            base.1 - 4.5 * ux,
        ));
    }

    fn add(&mut self, element: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{element}");
    }

    /// Returns the first text that overlaps another one or leaves the diagram.
    pub(super) fn unreadable_text(&self) -> Option<&str> {
        const MARGIN: f64 = 4.0;
        let texts = self.texts.iter().enumerate();
        let mut unreadable = texts.filter(|(index, text)| {
            let is_inside = text.left >= MARGIN
                && text.right <= self.width - MARGIN
                && text.top >= MARGIN
                && text.bottom <= self.height - MARGIN;
            let mut before = self.texts.iter().take(*index);
            !is_inside || before.any(|other| text.overlaps(other))
        });
        unreadable.next().map(|(_, text)| text.text.as_str())
    }

    /// Returns the content of the file.
    pub(super) fn finish(&self) -> String {
        let (width, height) = (self.width, self.height);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{}\">\n\
             <style>{STYLE}</style>\n\
             <rect class=\"bg\" x=\"0.5\" y=\"0.5\" width=\"{:.1}\" height=\"{:.1}\" rx=\"8\"/>\n{}</svg>\n",
            escaped(self.description),
            width - 1.0,
            height - 1.0,
            self.body,
        )
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{Anchor, Font, Picture};

    fn with_texts_at(places: &[(f64, f64)]) -> Picture {
        let mut picture = Picture::new(200.0, 100.0, "");
        for (index, (x, y)) in places.iter().enumerate() {
            picture.text(*x, *y, Anchor::Start, Font::Plain, &format!("text {index}"));
        }
        picture
    }

    #[test]
    fn a_text_that_overlaps_or_leaves_the_picture_is_found() {
        for (places, unreadable) in [
            (&[(10.0, 50.0), (110.0, 50.0)][..], None),
            (&[(10.0, 50.0), (10.0, 70.0)][..], None),
            (&[(10.0, 50.0), (40.0, 52.0)][..], Some("text 1")),
            (&[(170.0, 50.0)][..], Some("text 0")),
            (&[(10.0, 99.0)][..], Some("text 0")),
        ] {
            assert_eq!(
                with_texts_at(places).unreadable_text(),
                unreadable,
                "{places:?}"
            );
        }
    }
}

//! Results as bar charts in SVG.

use std::fmt::Write;

use super::plan::Kind;
use super::results::{Measurement, Row};

const WIDTH: f64 = 760.0;
/// The left edge of the bars. Their labels end before it.
const LEFT: f64 = 250.0;
/// The space for the number behind the longest bar.
const RIGHT: f64 = 90.0;
const TOP: f64 = 52.0;
const STEP: f64 = 26.0;
const BAR: f64 = 16.0;

/// Colors that are legible on white and on black. They follow the reader's color scheme.
const STYLE: &str = "\
text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#1f2328}\
.title{font-size:15px;font-weight:600}\
.unit{fill:#59636e}\
.ours{fill:#0b7a5f}.other{fill:#8b9bab}.floor{fill:none;stroke:#8b9bab;stroke-dasharray:3 2}\
.axis{stroke:#d1d9e0}\
@media (prefers-color-scheme:dark){\
text{fill:#f0f6fc}.unit{fill:#9198a1}\
.ours{fill:#3fc8a0}.other{fill:#6b7a8a}.floor{stroke:#6b7a8a}\
.axis{stroke:#3d444d}}";

/// Draws a bar for each row that has a result. The longest bar is for the largest result.
pub(super) fn draw(measurement: &Measurement) -> Option<String> {
    let unit = measurement.unit;
    let mut bars: Vec<(&Row, f64)> = measurement
        .rows
        .iter()
        .filter_map(|row| Some((row, row.result(unit)?.median)))
        .collect();
    bars.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    if !unit.is_rate() {
        // Best first.
        bars.reverse();
    }
    let most = bars.iter().map(|(_, value)| *value).fold(0.0, f64::max);
    if most <= 0.0 {
        return None;
    }
    let mut drawn = String::new();
    let mut y = TOP;
    for (row, value) in &bars {
        let class = match row.kind {
            Kind::Ours => "ours",
            Kind::Other => "other",
            Kind::Floor => "floor",
        };
        let width = ((WIDTH - LEFT - RIGHT) * value / most).max(1.0);
        let middle = y + BAR / 2.0 + 4.5;
        // Writing to a string cannot fail.
        let _ = writeln!(
            drawn,
            "<text x=\"{:.1}\" y=\"{middle:.1}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{LEFT:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR:.1}\" rx=\"2\"/>\
             <text x=\"{:.1}\" y=\"{middle:.1}\">{}</text>",
            LEFT - 10.0,
            escaped(&row.label),
            LEFT + width + 8.0,
            unit.amount(*value),
        );
        y += STEP;
    }
    let height = y + 8.0;
    let title = escaped(&measurement.title.replace('`', ""));
    let better = match unit.is_rate() {
        true => "longer is better",
        false => "shorter is better",
    };
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" \
         width=\"{WIDTH:.0}\" height=\"{height:.0}\" role=\"img\" aria-label=\"{title}\">\n\
         <style>{STYLE}</style>\n\
         <text class=\"title\" x=\"8\" y=\"20\">{title}</text>\
         <text class=\"unit\" x=\"8\" y=\"39\">{}, {better}</text>\n\
         <line class=\"axis\" x1=\"{LEFT:.1}\" y1=\"{:.1}\" x2=\"{LEFT:.1}\" y2=\"{:.1}\"/>\n\
         {drawn}</svg>\n",
        escaped(&unit.head()),
        TOP - 5.0,
        y - STEP + BAR + 5.0,
    ))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::results::tests::{results, row};
    use super::{Kind, draw, escaped};

    #[test]
    fn bars_are_as_long_as_what_they_show() {
        let measurement = &results().groups[0].measurements[0];
        let drawn = draw(measurement).unwrap();
        // The row without results has no bar.
        assert_eq!(drawn.matches("<rect").count(), 2);
        assert!(drawn.contains("width=\"420.0\"") && drawn.contains("width=\"21.0\""));
    }

    #[test]
    fn without_results_there_is_no_chart() {
        let mut measurement = results().groups.remove(0).measurements.remove(0);
        measurement.rows = vec![row("ours", Kind::Ours, &[])];
        assert_eq!(draw(&measurement), None);
    }

    #[test]
    fn labels_are_text() {
        assert_eq!(escaped("a<b & \"c\""), "a&lt;b &amp; &quot;c&quot;");
    }
}

//! A scaling series as a picture: panels side by side, cost upwards, what is stored on a logarithmic scale.
//!
//! Plain SVG. Its colours follow the reader's scheme, light or dark.

use std::fmt::Write as _;

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 44.0;
/// Room beside the first and the last point for their figures.
const INSET: f64 = 28.0;

const STYLE: &str = "\
svg { color-scheme: light dark; background: #ffffff; }
text { font: 12px system-ui, sans-serif; fill: #1b1f24; }
.title { font-size: 14px; font-weight: 600; }
.grid { stroke: #d0d7de; stroke-width: 1; }
.line { stroke: #0550ae; stroke-width: 2; fill: none; }
.dot { fill: #0550ae; }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; }
  text { fill: #e6edf3; }
  .grid { stroke: #30363d; }
  .line { stroke: #79c0ff; }
  .dot { fill: #79c0ff; }
}
";

/// One of the panels, side by side.
pub(super) struct Panel<'a> {
    /// Above it.
    pub(super) title: &'a str,
    /// How many are stored, and what one costs; none where it was not measured.
    pub(super) points: Vec<(usize, Option<f64>)>,
}

/// The picture. `stored` says what is counted below.
pub(super) fn svg(title: &str, stored: &str, panels: &[Panel<'_>]) -> String {
    let mut text = String::new();
    let mut width = 0.0;
    for one in panels {
        panel(&mut text, width, stored, one);
        width += WIDTH;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {HEIGHT}\" role=\"img\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n{text}</svg>\n"
    )
}

fn panel(text: &mut String, left: f64, below: &str, panel: &Panel<'_>) {
    let points: Vec<(usize, f64)> =
        panel.points.iter().filter_map(|(stored, cost)| Some((*stored, (*cost)?))).collect();
    let most = ceiling(points.iter().map(|(_, cost)| *cost).fold(0.0, f64::max));
    let exponents = panel.points.iter().map(|(stored, _)| exponent(*stored));
    let (first, last) = exponents.fold((f64::MAX, f64::MIN), |(low, high), at| (low.min(at), high.max(at)));
    let span = (last - first).max(1.0);
    let room = WIDTH - LEFT - RIGHT - 2.0 * INSET;
    let x = |stored| left + LEFT + INSET + (exponent(stored) - first) / span * room;
    let y = |cost: f64| HEIGHT - BOTTOM - cost / most * (HEIGHT - TOP - BOTTOM);
    let _ = writeln!(text, "<text class=\"title\" x=\"{}\" y=\"24\">{}</text>", left + LEFT, panel.title);
    for step in 0..=4 {
        let cost = most * f64::from(step) / 4.0;
        let (from, to, at) = (left + LEFT, left + WIDTH - RIGHT, y(cost));
        let _ = writeln!(
            text,
            "<line class=\"grid\" x1=\"{from}\" y1=\"{at:.1}\" x2=\"{to}\" y2=\"{at:.1}\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{cost}</text>",
            from - 8.0,
            at + 4.0
        );
    }
    for (stored, _) in &panel.points {
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(*stored),
            HEIGHT - BOTTOM + 20.0,
            short(*stored)
        );
    }
    let line: Vec<String> =
        points.iter().map(|(stored, cost)| format!("{:.1},{:.1}", x(*stored), y(*cost))).collect();
    let _ = writeln!(text, "<polyline class=\"line\" points=\"{}\"/>", line.join(" "));
    for (stored, cost) in points {
        let (x, y) = (x(stored), y(cost));
        let _ = writeln!(
            text,
            "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{cost:.1}</text>",
            y - 10.0
        );
    }
    let _ = writeln!(
        text,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{below}</text>",
        left + (LEFT + WIDTH - RIGHT) / 2.0,
        HEIGHT - 6.0
    );
}

fn exponent(stored: usize) -> f64 {
    (stored.max(1) as f64).log10()
}

/// A round number above, so that four steps of it are round, too.
fn ceiling(most: f64) -> f64 {
    let unit = 10_f64.powf(most.max(1.0).log10().floor());
    [1.2, 2.0, 4.0, 8.0, 12.0]
        .into_iter()
        .map(|factor| factor * unit)
        .find(|top| *top >= 1.15 * most)
        .unwrap_or(20.0 * unit)
}

fn short(stored: usize) -> String {
    match stored {
        1_000_000.. => format!("{} M", stored / 1_000_000),
        1_000.. => format!("{} k", stored / 1_000),
        _ => stored.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_what_was_measured() {
        let panel = |points| Panel { title: "t", points };
        let picture = svg(
            "both",
            "stored things",
            &[
                panel(vec![(1000, Some(14.0)), (1_000_000, None)]),
                panel(vec![(1000, Some(250.0)), (1_000_000, Some(260.0))]),
            ],
        );
        assert_eq!(picture.matches("<circle").count(), 3);
        assert_eq!(picture.matches("stored things").count(), 2);
        assert!(picture.contains("1 M") && picture.contains(">14.0<") && picture.ends_with("</svg>\n"));
        assert!(!picture.contains("NaN"));
    }

    #[test]
    fn the_scale_has_room() {
        for most in [0.0, 1.0, 9.0, 14.0, 99.0, 250.0] {
            assert!(ceiling(most) >= most && ceiling(most) <= 12.0 * most.max(1.0), "{most}");
        }
    }
}

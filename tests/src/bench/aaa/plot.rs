//! The scaling series as a picture: two panels, cost by PAP and by PEAP, credentials on a logarithmic scale.
//!
//! Plain SVG. Its colours follow the reader's scheme, light or dark.

use std::fmt::Write as _;

use super::report::Size;

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

/// The picture.
pub(super) fn svg(series: &[Size]) -> String {
    let (width, height) = (2.0 * WIDTH, HEIGHT);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" role=\"img\">\n\
         <title>Server CPU of a login by stored credentials</title>\n<style>\n{STYLE}</style>\n"
    );
    panel(&mut text, 0.0, "PAP, server CPU µs a login", series, |size| size.pap_us);
    panel(&mut text, WIDTH, "PEAP-MSCHAPv2, server CPU µs a login", series, |size| size.peap_us);
    text + "</svg>\n"
}

fn panel(text: &mut String, left: f64, title: &str, series: &[Size], of: impl Fn(&Size) -> Option<f64>) {
    let points: Vec<(usize, f64)> = series.iter().filter_map(|size| Some((size.stored, of(size)?))).collect();
    let most = ceiling(points.iter().map(|(_, cost)| *cost).fold(0.0, f64::max));
    let exponents = series.iter().map(|size| exponent(size.stored));
    let (first, last) = exponents.fold((f64::MAX, f64::MIN), |(low, high), at| (low.min(at), high.max(at)));
    let span = (last - first).max(1.0);
    let room = WIDTH - LEFT - RIGHT - 2.0 * INSET;
    let x = |stored| left + LEFT + INSET + (exponent(stored) - first) / span * room;
    let y = |cost: f64| HEIGHT - BOTTOM - cost / most * (HEIGHT - TOP - BOTTOM);
    let _ = writeln!(text, "<text class=\"title\" x=\"{}\" y=\"24\">{title}</text>", left + LEFT);
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
    for size in series {
        let _ = writeln!(
            text,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            x(size.stored),
            HEIGHT - BOTTOM + 20.0,
            short(size.stored)
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
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">stored credentials</text>",
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
        let size = |stored, pap| Size {
            stored,
            pap_us: pap,
            peap_us: Some(250.0),
            rss_mib: 20.0,
            not_measured: None,
        };
        let picture = svg(&[size(1000, Some(14.0)), size(1_000_000, None)]);
        assert_eq!(picture.matches("<circle").count(), 3);
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

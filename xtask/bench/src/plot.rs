//! The plot: one bar for each ratio to the bare server, as an SVG that can be read on light and dark pages.

use crate::report::Row;
use std::fmt::Write;

const WIDTH: f64 = 900.0;
/// Left end of the bars; the text is before it.
const LEFT: f64 = 430.0;
const LINE: f64 = 22.0;
const TOP: f64 = 64.0;
/// The right end of the scale. Longer bars are cut there.
const MAX_RATIO: f64 = 4.0;

const STYLE: &str = "\
<style>
  text { font: 12px system-ui, sans-serif; fill: #222 }
  .title { font-size: 15px; font-weight: bold }
  .bar { fill: #3b78c4 } .less { fill: #b5762a }
  .range { stroke: #222; stroke-width: 1.5 } .bare { stroke: #888; stroke-dasharray: 4 3 }
  @media (prefers-color-scheme: dark) {
    text { fill: #ddd } .bar { fill: #6ea3e0 } .less { fill: #d59a55 } .range { stroke: #ddd } .bare { stroke: #999 }
  }
</style>
";

/// Draws all rows that have a ratio.
pub(crate) fn svg(rows: &[Row]) -> String {
    let rows: Vec<_> = rows
        .iter()
        .filter_map(|row| Some((row, row.ratio?)))
        .collect();
    let height = TOP + LINE * rows.len() as f64 + 10.0;
    let x = |ratio: f64| LEFT + (WIDTH - LEFT - 60.0) * ratio.min(MAX_RATIO) / MAX_RATIO;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
         <title>Ratios to a bare WebSocket server</title>\n{STYLE}\
         <text class=\"title\" x=\"10\" y=\"22\">Ratios to a bare WebSocket server</text>\n\
         <text x=\"10\" y=\"42\">Blue: work for the same CPU time, more is better. Brown: time or memory, less is \
         better. Lines: lowest to highest round.</text>\n",
    );
    for (at, (row, ratio)) in rows.iter().enumerate() {
        let y = TOP + LINE * at as f64;
        let (class, middle, text) = (
            if row.metric.is_less_better() {
                "bar less"
            } else {
                "bar"
            },
            y + LINE / 2.0 - 3.0,
            y + LINE / 2.0 + 1.0,
        );
        let name = escape(&format!("{}: {}", row.work, row.server));
        // Writing to a String cannot fail.
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{text}\" text-anchor=\"end\">{name}</text>\n\
             <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\"/>\n\
             <line class=\"range\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\"/>\n\
             <text x=\"{:.1}\" y=\"{text}\">{:.2}</text>\n",
            LEFT - 8.0,
            x(ratio.median) - LEFT,
            LINE - 6.0,
            x(ratio.low),
            x(ratio.high),
            x(ratio.high.max(ratio.median)) + 6.0,
            ratio.median,
        );
    }
    let (one, bottom) = (x(1.0), height - 8.0);
    svg + &format!(
        "<line class=\"bare\" x1=\"{one}\" x2=\"{one}\" y1=\"{}\" y2=\"{bottom}\"/>\n</svg>\n",
        TOP - 8.0,
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{Metric, Sample};
    use std::time::Duration;

    #[test]
    fn the_plot_has_one_bar_for_each_ratio_and_escapes_names() {
        let sample = Sample {
            operations: 10,
            wall: Duration::from_secs(1),
            ..Sample::default()
        };
        let samples = [sample];
        let row = |server, bare| Row::new("work", server, Metric::PerSecond, &samples, bare);
        let rows = [row("bare", None), row("a & <b>", Some(&samples))];
        let svg = svg(&rows);
        assert_eq!(svg.matches("<rect").count(), 1);
        assert!(svg.contains("work: a &amp; &lt;b>"));
        assert!(svg.contains("1.00</text>"));
    }
}

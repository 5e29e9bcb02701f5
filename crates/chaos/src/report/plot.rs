//! A picture of rows: for each scenario a bar for how long deliveries took, and one for how long it took to heal.

use std::fmt::Write;

use crate::runner::Row;

const LEFT: f64 = 60.0;
const WIDTH: f64 = 640.0;
const STEP: f64 = 24.0;
const TOP: f64 = 40.0;

/// The shortest and the longest time that has a place, in milliseconds: the scale is logarithmic.
const SHORTEST: f64 = 1.0;
const LONGEST: f64 = 100_000.0;

/// The picture as SVG.
#[must_use]
pub fn plot(rows: &[Row]) -> String {
    let mut svg = String::new();
    let run = rows.iter().filter(|row| row.not_run.is_none());
    let rows: Vec<&Row> = run.collect();
    #[expect(clippy::cast_precision_loss, reason = "rows are few")]
    let height = TOP + STEP * rows.len() as f64 + 10.0;
    let width = LEFT + WIDTH + 20.0;
    let _ = writeln!(
        svg,
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">
<rect width="100%" height="100%" fill="#fff"/>
<rect x="{LEFT}" y="8" width="10" height="10" fill="#4878a8"/><text x="{}" y="17">delivery, p99</text>
<rect x="{}" y="8" width="10" height="10" fill="#c8a048"/><text x="{}" y="17">healed in</text>"##,
        LEFT + 14.0,
        LEFT + 110.0,
        LEFT + 124.0
    );
    for (time, name) in [
        (10.0, "10 ms"),
        (100.0, "100 ms"),
        (1_000.0, "1 s"),
        (10_000.0, "10 s"),
    ] {
        let x = LEFT + length(time);
        let _ = writeln!(
            svg,
            r##"<line x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{height}" stroke="#ddd"/><text x="{x:.1}" y="{:.1}" text-anchor="middle">{name}</text>"##,
            TOP - 6.0
        );
    }
    let mut y = TOP;
    for row in rows {
        let _ = writeln!(
            svg,
            r#"<text x="8" y="{:.1}">{}</text>"#,
            y + 14.0,
            row.scenario
        );
        for (time, color, below) in [(row.p99_ms, "#4878a8", 3.0), (row.heal_ms, "#c8a048", 12.0)] {
            let _ = writeln!(
                svg,
                r#"<rect x="{LEFT}" y="{:.1}" width="{:.1}" height="8" fill="{color}"/>"#,
                y + below,
                length(time)
            );
        }
        y += STEP;
    }
    svg.push_str("</svg>\n");
    svg
}

/// How long the bar of a time is.
fn length(millis: f64) -> f64 {
    let share = (millis.clamp(SHORTEST, LONGEST) / SHORTEST).log10() / (LONGEST / SHORTEST).log10();
    share * WIDTH
}

//! The page that says how runs went, written from their rows.

mod plot;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

use crate::runner::Row;
pub use plot::plot;

const HEAD: &str = include_str!("report/head.md");

/// The last row of each scenario in a folder of runs, by its name.
pub fn read(folder: &Path) -> anyhow::Result<Vec<Row>> {
    let path = folder.join("rows.jsonl");
    let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let mut rows = BTreeMap::new();
    for line in text.lines() {
        let row: Row = serde_json::from_str(line).with_context(|| path.display().to_string())?;
        rows.insert(row.scenario.clone(), row);
    }
    Ok(rows.into_values().collect())
}

/// The page in Markdown. `plot` is where its picture is, as the page names it; none: it has none.
#[must_use]
pub fn page(rows: &[Row], plot: Option<&str>) -> String {
    let mut page = HEAD.to_owned();
    tested(rows, &mut page);
    table(rows, &mut page);
    if let Some(plot) = plot {
        let _ = write!(
            page,
            "\n![How long deliveries and recoveries took in each scenario]({plot})\n"
        );
    }
    details(rows, &mut page);
    page
}

/// What was tested: the same for all rows, or all that there was.
fn tested(rows: &[Row], page: &mut String) {
    let mut commits: Vec<&str> = rows.iter().map(|row| row.commit.as_str()).collect();
    commits.sort_unstable();
    commits.dedup();
    let versions: BTreeMap<_, _> = rows.iter().flat_map(|row| &row.versions).collect();
    let servers: Vec<String> = versions
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    let passed = rows.iter().filter(|row| row.passed).count();
    let run = rows.iter().filter(|row| row.not_run.is_none()).count();
    let left = match rows.len() - run {
        0 => String::new(),
        left => format!("; {left} could not be run"),
    };
    let _ = write!(
        page,
        "\n## Results\n\n{passed} of {run} scenarios passed{left}. Commit {}; {}. Two cores, unoptimised programs.\n\n",
        commits.join(", "),
        servers.join(", ")
    );
}

fn table(rows: &[Row], page: &mut String) {
    page.push_str(
        "| | What goes wrong | Verdict | Acked | Recovered | Unknown | Lost | Twice | Disorder | Invented | Outsiders | Answers | \
         p50 | p99 before | p99 | Healed in |\n|---|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in rows {
        let c = &row.counts;
        let verdict = match row.verdict() {
            "RED" => "**red**",
            "NOT RUN" => "*not run*",
            verdict => verdict,
        };
        let _ = writeln!(
            page,
            "| {} | {} | {verdict} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {:.0} ms | {:.0} ms | {:.0} ms | {:.0} ms |",
            row.scenario,
            row.title,
            c.acked,
            c.recovered,
            c.unknown,
            c.lost,
            c.duplicated,
            c.reordered,
            c.unexpected,
            c.outsider,
            c.runs,
            row.p50_ms,
            row.p99_before_ms,
            row.p99_ms,
            row.heal_ms
        );
    }
}

/// What a scenario measured besides, how its sockets and answers ended, what was wrong, and how to run it again.
fn details(rows: &[Row], page: &mut String) {
    page.push_str("\n## Each of them\n");
    for row in rows {
        let _ = write!(
            page,
            "\n**{}, {}.** {:.0} s, seed {}.",
            row.scenario, row.title, row.seconds, row.seed
        );
        let counted = [
            ("Sockets ended with", &row.closes),
            ("Answers ended", &row.runs),
            ("Sends were answered", &row.errors),
        ];
        for (what, counts) in counted.iter().filter(|(_, counts)| !counts.is_empty()) {
            let counts: Vec<String> = counts
                .iter()
                .map(|(name, count)| format!("{name}: {count}"))
                .collect();
            let _ = write!(page, " {what} {}.", counts.join(", "));
        }
        let measured: Vec<String> = row
            .measured
            .iter()
            .map(|(name, value)| format!("`{name}` {value:.0}"))
            .collect();
        if !measured.is_empty() {
            let _ = write!(page, " Measured: {}.", measured.join(", "));
        }
        page.push('\n');
        for wrong in row.not_run.iter().chain(row.wrong.iter().take(5)) {
            let _ = writeln!(page, "- {wrong}");
        }
    }
}

#[cfg(test)]
mod tests;

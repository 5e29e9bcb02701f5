//! The page says of each scenario how it went, the last time it was run.

use super::{page, plot, read};
use crate::runner::Row;

fn row(scenario: &str, passed: bool) -> Row {
    let wrong = if passed {
        None
    } else {
        Some("something was lost")
    };
    Row {
        scenario: scenario.to_owned(),
        title: format!("{scenario} goes wrong"),
        p99_ms: 120.0,
        heal_ms: 2_000.0,
        passed,
        wrong: wrong.into_iter().map(str::to_owned).collect(),
        ..Row::default()
    }
}

#[test]
fn the_last_row_of_each_scenario_counts() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = [row("F02", true), row("F01", false), row("F01", true)];
    let lines: Vec<String> = rows
        .iter()
        .map(|row| serde_json::to_string(row).expect("a line"))
        .collect();
    std::fs::write(folder.path().join("rows.jsonl"), lines.join("\n")).expect("a file");
    let read = read(folder.path()).expect("rows");
    let names: Vec<&str> = read.iter().map(|row| row.scenario.as_str()).collect();
    assert_eq!(names, ["F01", "F02"]);
    assert!(read.iter().all(|row| row.passed));
}

#[test]
fn what_was_wrong_is_said() {
    let rows = [row("F01", true), row("F02", false)];
    let page = page(&rows, Some("faults.svg"));
    for said in [
        "1 of 2 scenarios passed",
        "| F01 | F01 goes wrong | pass |",
        "| F02 | F02 goes wrong | **red** |",
        "- something was lost",
        "(faults.svg)",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
    let svg = plot(&rows);
    assert_eq!(svg.matches("<rect x=\"60\" y=").count(), 1 + 2 * rows.len());
}

#[test]
fn what_could_not_be_run_is_neither_red_nor_passed() {
    let left = Row {
        not_run: Some("there is no moon here".to_owned()),
        passed: false,
        ..row("F02", true)
    };
    assert!(left.line().contains("NOT RUN: F02 goes wrong"));
    assert!(left.line().contains("there is no moon here"));
    let page = page(&[row("F01", true), left], None);
    for said in [
        "1 of 1 scenarios passed; 1 could not be run",
        "| F02 | F02 goes wrong | *not run* |",
        "- there is no moon here",
    ] {
        assert!(page.contains(said), "{said}: {page}");
    }
}

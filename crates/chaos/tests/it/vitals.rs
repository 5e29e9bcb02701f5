//! What is read of a process and of its metrics.

use confab_chaos::vitals::{gauges, look, sum, take_sockets};

const METRICS: &str = "\
# HELP confab_sockets open sockets
# TYPE confab_sockets gauge
confab_sockets{dialect=\"direct\"} 3
confab_sockets{dialect=\"groups\"} 4

# TYPE confab_sockets_closed_total counter
confab_sockets_closed_total{dialect=\"direct\",reason=\"connection lost\"} 7
confab_sockets_closed_total{dialect=\"direct\",reason=\"stopping\"} 2
";

#[test]
fn metrics_are_read() {
    let found = gauges(METRICS);
    let found: Vec<_> = found
        .iter()
        .map(|(name, value)| (name.as_str(), *value))
        .collect();
    let expected = [
        ("confab_sockets{dialect=\"direct\"}", 3.0),
        ("confab_sockets{dialect=\"groups\"}", 4.0),
    ];
    assert_eq!(found, expected);
    let is = |name, expected: f64| (sum(METRICS, name) - expected).abs() < f64::EPSILON;
    assert!(is("confab_sockets_closed_total", 9.0));
    assert!(is("confab_sockets", 7.0));
    assert!(is("unheard_of", 0.0));
}

#[test]
fn sockets_are_counted_and_are_no_gauge_any_more() {
    let mut found = gauges(METRICS);
    found.insert("confab_sockets_waiting".to_owned(), 1.0);
    assert_eq!(take_sockets(&mut found), 7);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(take_sockets(&mut found), 0);
}

#[tokio::test]
async fn a_process_is_looked_at() {
    let vitals = look(std::process::id(), None).await.expect("it runs");
    assert!(vitals.resident > 100_000 && vitals.files > 2 && vitals.threads > 0);
    assert_eq!(look(u32::MAX, None).await, None);
}

//! What a process keeps: memory, files, threads, and what it measures of itself.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;

use confab_testkit::checker::bounds::Vitals;

/// What gateways count their open sockets in.
const SOCKETS: &str = "confab_sockets";

/// Looks at a process by its number, and at its metrics where it serves them; none when it is gone.
pub async fn look(pid: u32, metrics: Option<SocketAddr>) -> Option<Vitals> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let files = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
    let mut vitals = Vitals {
        // Without what is mapped from the program's file, which grows with the code that was used.
        resident: field(&status, "RssAnon:")? * 1024,
        files: u64::try_from(files).ok()?,
        sockets: 0,
        threads: field(&status, "Threads:")?,
        gauges: BTreeMap::new(),
    };
    if let Some(address) = metrics {
        let text = measured(address).await?;
        vitals.gauges = gauges(&text);
        vitals.sockets = take_sockets(&mut vitals.gauges);
    }
    Some(vitals)
}

/// How many sockets of front ends there are, over all languages. They are no gauge that has to come back to where it was.
#[must_use]
pub fn take_sockets(gauges: &mut BTreeMap<String, f64>) -> u64 {
    let taken = gauges.extract_if(.., |name, _| name.split('{').next() == Some(SOCKETS));
    let sockets: f64 = taken.map(|(_, count)| count).sum();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count, and `as` makes 0 of what is less"
    )]
    {
        sockets as u64
    }
}

/// What a process measures, as Prometheus reads it; none when it does not answer.
pub async fn measured(address: SocketAddr) -> Option<String> {
    let response = reqwest::get(format!("http://{address}/metrics")).await;
    response.ok()?.text().await.ok()
}

/// The number of a line of `/proc/<pid>/status`.
fn field(status: &str, name: &str) -> Option<u64> {
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// All gauges, each with its labels.
#[must_use]
pub fn gauges(text: &str) -> BTreeMap<String, f64> {
    let kinds = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = kinds.filter_map(|line| line.strip_suffix(" gauge"));
    let names: Vec<&str> = names.collect();
    let values = text.lines().filter_map(value);
    values
        .filter(|(name, _)| names.contains(&name.split('{').next().unwrap_or_default()))
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// The sum of a measurement over all its labels; 0 when there is none yet.
#[must_use]
pub fn sum(text: &str, measurement: &str) -> f64 {
    let values = text.lines().filter_map(value);
    let mine = values.filter(|(name, _)| name.split('{').next() == Some(measurement));
    mine.map(|(_, value)| value).sum()
}

/// A line that is no comment: what is measured and its value.
fn value(line: &str) -> Option<(&str, f64)> {
    let (name, value) = line.rsplit_once(' ')?;
    (!line.starts_with('#')).then_some(())?;
    Some((name, value.parse().ok()?))
}

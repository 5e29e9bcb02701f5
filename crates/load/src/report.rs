//! What a load came to: a table for people, a line of JSON for programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::check::Wrongs;
use crate::measure::Summary;
use crate::options::Plan;
use crate::process::Used;
use crate::scenario::{Findings, Stage};

/// The report of one load.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: &'static str,
    plan: Plan,
    findings: Findings,
    wrong: Wrongs,
    /// Of the processes of `--pid`.
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<Used>,
    /// CPU of those processes for each thing that was done, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_ms_each: Option<f64>,
    /// Memory that grew for each socket, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_socket: Option<f64>,
}

impl Report {
    pub(crate) fn of(stage: &Stage, findings: Findings, used: Option<Used>) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts and bytes below 2^53")]
        let float = |count: u64| count as f64;
        let grown = |used: &Used| float(used.resident_after) - float(used.resident_before);
        Self {
            version: env!("CARGO_PKG_VERSION"),
            wrong: stage.checks.now(),
            cpu_ms_each: used
                .filter(|_| findings.counted > 0)
                .map(|used| used.cpu_seconds * 1e3 / float(findings.counted)),
            bytes_per_socket: used
                .filter(|_| findings.holds_sockets)
                .map(|used| grown(&used) / float(stage.plan.sockets as u64)),
            plan: stage.plan.clone(),
            findings,
            used,
        }
    }

    /// Whether nothing was lost, doubled or out of order.
    pub(crate) fn is_right(&self) -> bool {
        self.wrong.is_none()
    }

    /// As a line of JSON.
    pub(crate) fn row(&self) -> String {
        // Every field is a number or a string.
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn write_table(&self, out: &mut impl Write) -> io::Result<()> {
        let plan = &self.plan;
        let pace = plan
            .rate
            .map_or("as fast as it goes".to_owned(), |rate| format!("{rate}/s"));
        writeln!(
            out,
            "\n{:?}: {} sockets of {} people, {pace}, {} s",
            plan.scenario, plan.sockets, plan.people, plan.duration
        )?;
        for (name, value, unit) in &self.findings.figures {
            writeln!(out, "  {name:<34}{value:>12.2} {unit}")?;
        }
        if let Some(cpu) = self.cpu_ms_each {
            writeln!(out, "  {:<34}{cpu:>12.4} ms each", "CPU of --pid")?;
        }
        if let Some(bytes) = self.bytes_per_socket {
            writeln!(
                out,
                "  {:<34}{bytes:>12.0} bytes a socket",
                "memory of --pid"
            )?;
        }
        if !self.findings.latencies.is_empty() {
            writeln!(
                out,
                "  {:<34}{:>9} {:>9} {:>9} {:>9} {:>9}  ms",
                "", "p50", "p90", "p99", "p99.9", "max"
            )?;
        }
        for (name, latency) in &self.findings.latencies {
            write_latency(out, name, latency)?;
        }
        let Wrongs {
            doubled,
            reordered,
            gaps,
            lost,
            errors,
        } = self.wrong;
        writeln!(
            out,
            "  lost {lost}, doubled {doubled}, out of order {reordered}, gaps {gaps}, errors {errors}"
        )
    }
}

fn write_latency(out: &mut impl Write, name: &str, latency: &Summary) -> io::Result<()> {
    let Summary {
        p50,
        p90,
        p99,
        p999,
        max,
        ..
    } = latency;
    writeln!(
        out,
        "  {name:<34}{p50:>9.2} {p90:>9.2} {p99:>9.2} {p999:>9.2} {max:>9.2}"
    )
}

//! What a load came to: a table for people, a line of JSON for programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::check::Wrongs;
use crate::measure::Summary;
use crate::options::Plan;
use crate::process::Watched;
use crate::scenario::{Findings, Stage};

/// The report of one load.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: &'static str,
    plan: Plan,
    findings: Findings,
    wrong: Wrongs,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_error: Option<String>,
    /// CPU of the processes of `--pid` for each thing that was done, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_ms_each: Option<f64>,
    /// The same of the load itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    own_cpu_ms_each: Option<f64>,
    /// Memory that grew for each socket, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_per_socket: Option<f64>,
}

impl Report {
    pub(crate) fn of(stage: &Stage, findings: Findings) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "counts below 2^53")]
        let float = |count: u64| count as f64;
        let used = &findings.used;
        let each =
            |seconds: f64| (findings.counted > 0).then(|| seconds * 1e3 / float(findings.counted));
        let is_watched = !used.watched.is_empty();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            wrong: stage.wrongs(),
            first_error: stage.first_error(),
            cpu_ms_each: each(used.cpu_seconds()).filter(|_| is_watched),
            own_cpu_ms_each: each(used.own_cpu_seconds),
            bytes_per_socket: (is_watched && findings.holds_sockets)
                .then(|| used.grown() / float(stage.plan.sockets as u64)),
            plan: stage.plan.clone(),
            findings,
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
            "\n{}: {} sockets of {} people, {pace}, {} s",
            plan.title(),
            plan.sockets,
            plan.people,
            plan.duration
        )?;
        for figure in &self.findings.figures {
            line(out, &figure.name, figure.value, 2, figure.unit)?;
        }
        if let Some(cpu) = self.cpu_ms_each {
            line(out, "CPU of --pid", cpu, 4, "ms each")?;
        }
        let watched = &self.findings.used.watched;
        for Watched {
            command,
            cpu_seconds,
            ..
        } in watched.iter().filter(|_| watched.len() > 1)
        {
            line(out, &format!("  {command}"), *cpu_seconds, 2, "s")?;
        }
        if let Some(cpu) = self.own_cpu_ms_each {
            line(out, "CPU of this load itself", cpu, 4, "ms each")?;
        }
        if let Some(bytes) = self.bytes_per_socket {
            let unit = "bytes a socket, without the kernel's";
            line(out, "memory of --pid", bytes, 0, unit)?;
        }
        if !self.findings.latencies.is_empty() {
            writeln!(
                out,
                "  {:<48}{:>9} {:>9} {:>9} {:>9} {:>9}  ms",
                "", "p50", "p90", "p99", "p99.9", "max"
            )?;
        }
        for latency in &self.findings.latencies {
            write_latency(out, &latency.name, &latency.took)?;
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
        )?;
        match &self.first_error {
            Some(error) => writeln!(out, "  the first error: {error}"),
            None => Ok(()),
        }
    }
}

fn line(out: &mut impl Write, name: &str, value: f64, digits: usize, unit: &str) -> io::Result<()> {
    writeln!(out, "  {name:<48}{value:>12.digits$} {unit}")
}

fn write_latency(out: &mut impl Write, name: &str, took: &Summary) -> io::Result<()> {
    let Summary {
        p50,
        p90,
        p99,
        p999,
        max,
        ..
    } = took;
    writeln!(
        out,
        "  {name:<48}{p50:>9.2} {p90:>9.2} {p99:>9.2} {p999:>9.2} {max:>9.2}"
    )
}

//! Whether processes stayed within their bounds: nothing grew and stayed, nobody panicked or cried for help.

use std::collections::BTreeMap;

use super::{Invariant, Violation};

/// One look at a process that has nothing to do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Vitals {
    /// Bytes of memory that are its own.
    pub resident: u64,
    /// Open files and connections, those of `sockets` as well.
    pub files: u64,
    /// Sockets of front ends. They come and go as they like, and each is a file as long as it is there.
    pub sockets: u64,
    /// Threads.
    pub threads: u64,
    /// What it measures of itself, by name and labels.
    pub gauges: BTreeMap<String, f64>,
}

impl Vitals {
    /// Open files that no socket of a front end explains.
    fn files_of_its_own(&self) -> u64 {
        self.files.saturating_sub(self.sockets)
    }
}

/// By how much a process may be larger than before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// A share of what it was.
    pub share: f64,
    /// Or so many bytes: an allocator gives back what it likes.
    pub resident: u64,
    /// Or so many files that are no sockets: pools keep connections open for a while, and so does each front end that has
    /// read elsewhere.
    pub files: u64,
    /// Or so many threads.
    pub threads: u64,
    /// Or so much of what a gauge counts.
    pub gauge: f64,
}

impl Default for Tolerance {
    /// A tenth, or 48 MiB, 64 files, 32 threads (they go after ten seconds without work) and 2 of what a gauge counts.
    fn default() -> Self {
        Self {
            share: 0.1,
            resident: 48 * 1024 * 1024,
            files: 64,
            threads: 32,
            gauge: 2.0,
        }
    }
}

/// What of a process is larger than it was. A gauge that there was not before was 0.
#[must_use]
#[expect(
    clippy::cast_precision_loss,
    reason = "nothing here comes near 2^53, and a share of it is no exact number anyway"
)]
pub fn grown(
    process: &str,
    before: &Vitals,
    after: &Vitals,
    tolerance: &Tolerance,
) -> Vec<Violation> {
    let counts = [
        (
            "bytes of memory",
            before.resident,
            after.resident,
            tolerance.resident,
        ),
        (
            "open files",
            before.files_of_its_own(),
            after.files_of_its_own(),
            tolerance.files,
        ),
        ("threads", before.threads, after.threads, tolerance.threads),
    ];
    let counts =
        counts.map(|(what, was, is, more)| (what.to_owned(), was as f64, is as f64, more as f64));
    let gauges = after.gauges.iter().map(|(name, is)| {
        let was = before.gauges.get(name).copied().unwrap_or_default();
        (name.clone(), was, *is, tolerance.gauge)
    });
    let larger = |(_, was, is, more): &(String, f64, f64, f64)| {
        let most = was + more.max(was.abs() * tolerance.share);
        *is > most
    };
    let all = counts.into_iter().chain(gauges);
    all.filter(larger)
        .map(|(what, was, is, _)| {
            violation(format!("{process} had {was} and keeps {is} of {what}"))
        })
        .collect()
}

/// Sockets that gateways count, all together, although front ends have fewer of them; so many more are no growth.
#[must_use]
pub fn left_behind(counted: u64, held: u64, tolerance: u64) -> Option<Violation> {
    (counted > held + tolerance).then(|| {
        violation(format!(
            "gateways keep {counted} sockets open, and front ends have {held}"
        ))
    })
}

/// What a process should not have had to say: panics, and errors but for those with one of the `allowed` texts in them.
#[must_use]
pub fn outcries(process: &str, log: &str, allowed: &[&str]) -> Vec<Violation> {
    let bad = |line: &&str| {
        let error = is_error(line) && !allowed.iter().any(|allowed| line.contains(allowed));
        error || line.contains(" panicked at ")
    };
    let lines = log.lines().filter(bad);
    lines
        .map(|line| violation(format!("{process} said {line:?}")))
        .collect()
}

/// The level is the second word of a line for people, and a field of one for collectors.
fn is_error(line: &str) -> bool {
    line.split_whitespace().nth(1) == Some("ERROR") || line.contains(r#""level":"ERROR""#)
}

fn violation(what: String) -> Violation {
    let invariant = Invariant::Bounds;
    Violation { invariant, what }
}

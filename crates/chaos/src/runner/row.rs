//! What is said of a run: one line for people, one line of JSON.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use confab_testkit::checker::{Invariant, Violation};
use serde::{Deserialize, Serialize};

use super::Options;
use super::measures::{Measures, percentile};
use crate::scenario::Scenario;

/// The most that is repeated of what was wrong; the rest is counted.
const SHOWN: usize = 40;

/// How often what happened.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Sends that were acknowledged.
    pub acked: usize,
    /// Sends whose outcome nobody ever learned.
    pub unknown: usize,
    /// Sends whose outcome was learned by repeating them.
    pub recovered: usize,
    /// Acknowledged and not stored, or not delivered to who should have it.
    pub lost: usize,
    /// Delivered or stored twice.
    pub duplicated: usize,
    /// Delivered or stored in another order.
    pub reordered: usize,
    /// Delivered and never sent, or otherwise than stored.
    pub unexpected: usize,
    /// Delivered to who may not have it.
    pub outsider: usize,
    /// Anything else that was promised.
    pub other: usize,
    /// Answers of a model that were followed to their end.
    pub runs: usize,
    /// Sockets that ended and were resumed.
    pub resumed: usize,
}

impl Counts {
    pub(super) fn add(&mut self, violation: &Violation) {
        let count = match violation.invariant {
            Invariant::NoLoss => &mut self.lost,
            Invariant::Once | Invariant::UnknownSends => &mut self.duplicated,
            Invariant::Order | Invariant::SenderFifo => &mut self.reordered,
            Invariant::NothingInvented | Invariant::Agreement => &mut self.unexpected,
            Invariant::Outsiders => &mut self.outsider,
            _ => &mut self.other,
        };
        *count += 1;
    }
}

/// One run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Row {
    /// Its name.
    pub scenario: String,
    /// What went wrong.
    pub title: String,
    /// What chance was made from.
    pub seed: u64,
    /// How long it lasted.
    pub seconds: f64,
    /// What was tested.
    pub commit: String,
    /// Of which everything was part, by name.
    pub versions: BTreeMap<String, String>,
    /// How often what happened.
    pub counts: Counts,
    /// From send to delivery, of half and of 99 in 100, in milliseconds; before the fault, and of everything.
    pub p50_ms: f64,
    /// Of 99 in 100, of everything.
    pub p99_ms: f64,
    /// Of 99 in 100, before the fault.
    pub p99_before_ms: f64,
    /// How long sockets were away, 99 in 100, in milliseconds.
    pub away_p99_ms: f64,
    /// From the heal until everybody had what was sent before, in milliseconds.
    pub heal_ms: f64,
    /// What the scenario measured besides.
    pub measured: BTreeMap<String, f64>,
    /// Errors that answered sends, which were repeated then.
    pub errors: BTreeMap<String, usize>,
    /// How sockets ended that the system or the network ended, by code.
    pub closes: BTreeMap<String, usize>,
    /// How runs of a model ended.
    pub runs: BTreeMap<String, usize>,
    /// Why it was not run, when it could not be: nothing is known of what it would have shown.
    #[serde(default)]
    pub not_run: Option<String>,
    /// Whether all was as promised.
    pub passed: bool,
    /// The invariants that were broken.
    pub broken: Vec<String>,
    /// What was not as promised.
    pub wrong: Vec<String>,
}

impl Row {
    pub(super) fn new(scenario: &dyn Scenario, options: &Options) -> Self {
        Self {
            scenario: scenario.id().to_owned(),
            title: scenario.title().to_owned(),
            ..Self::lost(options)
        }
    }

    /// One of a scenario that took its name with it.
    pub(super) fn lost(options: &Options) -> Self {
        Self {
            seed: options.seed,
            seconds: options.length.as_secs_f64(),
            commit: options.commit.clone(),
            ..Self::default()
        }
    }

    /// It did not come to its end.
    pub(super) fn panicked(&mut self, why: &str) {
        self.passed = false;
        self.wrong.push(format!("the run panicked: {why}"));
    }

    /// It cannot be run here.
    pub(super) fn not_run(&mut self, why: String) {
        self.passed = false;
        self.not_run = Some(why);
    }

    /// Whether it was as promised, in a word.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match (&self.not_run, self.passed) {
            (Some(_), _) => "NOT RUN",
            (None, true) => "pass",
            (None, false) => "RED",
        }
    }

    pub(super) fn measure(&mut self, measures: &Measures) {
        self.counts.acked = measures.acked;
        self.counts.unknown = measures.unknown;
        self.counts.recovered = measures.recovered;
        self.counts.resumed = measures.outages.len();
        self.p50_ms = millis(percentile(&measures.all, 0.5));
        self.p99_ms = millis(percentile(&measures.all, 0.99));
        self.p99_before_ms = millis(percentile(&measures.before, 0.99));
        self.away_p99_ms = millis(percentile(&measures.outages, 0.99));
        self.heal_ms = millis(measures.healing);
    }

    pub(super) fn blame(&mut self, violations: &[Violation]) {
        for violation in violations {
            self.counts.add(violation);
            let name = format!("{:?}", violation.invariant);
            if !self.broken.contains(&name) {
                self.broken.push(name);
            }
        }
        let shown = violations.iter().take(SHOWN);
        self.wrong.extend(shown.map(ToString::to_string));
        if violations.len() > SHOWN {
            let more = violations.len() - SHOWN;
            self.wrong.push(format!("and {more} more"));
        }
    }

    /// The names of the columns of [`Row::line`].
    #[must_use]
    pub fn head() -> String {
        format!(
            "{:<5} {:>6} {:>7} {:>9} {:>5} {:>5} {:>6} {:>6} {:>6} {:>6} {:>5} {:>7} {:>8} {:>8} {:>8}  {}",
            "",
            "acked",
            "unknown",
            "recovered",
            "lost",
            "dup",
            "order",
            "unexp",
            "outsid",
            "other",
            "runs",
            "resumed",
            "p50 ms",
            "p99 ms",
            "heal ms",
            "verdict"
        )
    }

    /// The run in a line, and a line for each thing that was wrong.
    #[must_use]
    pub fn line(&self) -> String {
        let c = &self.counts;
        let verdict = self.verdict();
        let mut line = format!(
            "{:<5} {:>6} {:>7} {:>9} {:>5} {:>5} {:>6} {:>6} {:>6} {:>6} {:>5} {:>7} {:>8.0} {:>8.0} {:>8.0}  {verdict}: {}",
            self.scenario,
            c.acked,
            c.unknown,
            c.recovered,
            c.lost,
            c.duplicated,
            c.reordered,
            c.unexpected,
            c.outsider,
            c.other,
            c.runs,
            c.resumed,
            self.p50_ms,
            self.p99_ms,
            self.heal_ms,
            self.title
        );
        for wrong in self.not_run.iter().chain(&self.wrong) {
            let _ = write!(line, "\n      {wrong}");
        }
        line
    }
}

/// Milliseconds.
#[must_use]
pub(super) fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

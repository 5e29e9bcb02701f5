//! Whether a run was as promised.

use confab_testkit::checker::{bounds, check, liveness, money};

use super::evidence::Evidence;
use super::row::Row;
use super::stage::Stage;
use crate::scenario::Scenario;

/// Judges a run that has come to rest.
pub(super) fn judge(
    scenario: &dyn Scenario,
    stage: &mut Stage,
    evidence: &Evidence,
    row: &mut Row,
) {
    let measures = &evidence.measures;
    row.measure(measures);
    row.counts.runs = evidence.books.runs.len();
    row.runs = evidence.states();
    row.errors = evidence.outcome.errors();
    let closes = evidence.outcome.closes().into_iter();
    let named = closes.map(|(code, count)| {
        let name = code.map_or("broke".to_owned(), |code| code.to_string());
        (name, count)
    });
    row.closes = named.collect();
    let mut violations = check(&evidence.story, &evidence.table);
    violations.extend(money::audit(&evidence.books));
    let what = "everybody having what was sent before the heal";
    violations.extend(liveness::late(
        what,
        Some(measures.healing),
        scenario.recovers_within(),
    ));
    for (_, process) in stage.topology.processes() {
        let log = std::fs::read_to_string(process.log()).unwrap_or_default();
        let allowed = scenario.allowed_errors();
        violations.extend(bounds::outcries(process.name(), &log, &allowed));
    }
    violations.append(&mut stage.grown);
    row.blame(&violations);
    let surprises = evidence
        .outcome
        .walked
        .iter()
        .flat_map(|walked| &walked.surprises);
    let surprises = surprises.chain(
        evidence
            .outcome
            .asked
            .iter()
            .flat_map(|asked| &asked.surprises),
    );
    for surprise in surprises {
        stage
            .wrong
            .push(format!("an answer that nobody expects: {surprise}"));
    }
    stage.wrong.extend(evidence.misread());
    for answer in evidence
        .outcome
        .asked
        .iter()
        .flat_map(|asked| &asked.answers)
    {
        if answer.runs.len() != 1 {
            let (key, runs) = (&answer.key, &answer.runs);
            stage.wrong.push(format!("{key} led to {runs:?}"));
        }
    }
    row.wrong.append(&mut stage.wrong);
    row.measured.append(&mut stage.measured);
    if measures.unknown > 0 {
        row.wrong
            .push(format!("{} sends never got an answer", measures.unknown));
    }
    if measures.acked == 0 {
        row.wrong.push("nothing was said".to_owned());
    }
    row.passed = row.wrong.is_empty();
}

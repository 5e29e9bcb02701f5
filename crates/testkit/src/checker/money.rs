//! Whether the money adds up: every run ends once and is charged for once, and nobody has more or less than the ledger says.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::{Invariant, Violation, report};

/// What is booked, once everything is at rest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    /// Every run there was.
    pub runs: Vec<Run>,
    /// Every line of the ledger, in any order.
    pub ledger: Vec<Line>,
    /// What each user has.
    pub accounts: BTreeMap<Uuid, Account>,
    /// What the provider has of it; none: nobody asked.
    pub bill: Option<Bill>,
}

/// One answer that somebody wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: Uuid,
    /// How it ended, each end that it came to; a run that is still going on has none.
    pub ends: Vec<End>,
    /// What it cost as it says itself, in micro-dollars.
    pub cost: i64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With the whole answer.
    Complete,
    /// Otherwise: failed, interrupted or cancelled. What was answered until then may be charged for.
    Short,
}

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Whose.
    pub user: Uuid,
    /// Micro-dollars; less than 0 for a charge.
    pub amount: i64,
    /// The run of a charge.
    pub run: Option<Uuid>,
}

/// What a user has, in micro-dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Account {
    /// In all.
    pub balance: i64,
    /// Of that, set aside for runs.
    pub reserved: i64,
}

/// What the provider counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bill {
    /// Requests that it got.
    pub asked: usize,
    /// Answers that it gave to their end.
    pub answered: usize,
}

/// What is wrong with the books; nothing when they add up.
#[must_use]
pub fn audit(books: &Books) -> Vec<Violation> {
    let mut found = BTreeSet::new();
    let charges = charges(books);
    for run in &books.runs {
        of_run(
            run,
            charges.get(&run.id).map_or(&[], Vec::as_slice),
            &mut found,
        );
    }
    let known: BTreeSet<Uuid> = books.runs.iter().map(|run| run.id).collect();
    for run in charges.keys().filter(|run| !known.contains(run)) {
        wrong(&mut found, format!("{run} is charged for and is no run"));
    }
    for (user, account) in &books.accounts {
        let lines = books.ledger.iter().filter(|line| line.user == *user);
        let sum: i64 = lines.map(|line| line.amount).sum();
        if sum != account.balance {
            let balance = account.balance;
            wrong(
                &mut found,
                format!("{user} has {balance}, and the ledger says {sum}"),
            );
        }
        if account.reserved != 0 {
            let reserved = account.reserved;
            wrong(
                &mut found,
                format!("{reserved} of {user} stay set aside for nothing"),
            );
        }
    }
    if let Some(bill) = books.bill {
        of_provider(books, &bill, charges.len(), &mut found);
    }
    found.into_iter().collect()
}

/// What was charged for each run.
fn charges(books: &Books) -> BTreeMap<Uuid, Vec<i64>> {
    let mut charges: BTreeMap<Uuid, Vec<i64>> = BTreeMap::new();
    for line in &books.ledger {
        if let Some(run) = line.run {
            charges.entry(run).or_default().push(-line.amount);
        }
    }
    charges
}

fn of_run(run: &Run, charges: &[i64], found: &mut BTreeSet<Violation>) {
    let id = run.id;
    if run.ends.len() != 1 {
        wrong(found, format!("{id} ended {} times", run.ends.len()));
    }
    // What costs nothing need not be in the ledger.
    let expected: &[i64] = if run.cost == 0 { &[] } else { &[run.cost] };
    if charges != expected && charges != [run.cost] {
        let cost = run.cost;
        wrong(
            found,
            format!("{id} cost {cost} and was charged {charges:?}"),
        );
    }
}

fn of_provider(books: &Books, bill: &Bill, charged: usize, found: &mut BTreeSet<Violation>) {
    let Bill { asked, answered } = *bill;
    let complete = books.runs.iter().filter(|run| run.ends == [End::Complete]);
    let complete = complete.count();
    if complete > answered {
        let what = format!("{complete} answers are whole, and the provider gave {answered}");
        wrong(found, what);
    }
    if charged > asked {
        let what =
            format!("{charged} runs are charged for, and the provider was asked {asked} times");
        wrong(found, what);
    }
}

fn wrong(found: &mut BTreeSet<Violation>, what: String) {
    report(found, Invariant::Money, what);
}

//! What is known of a run when it is over.

use std::collections::BTreeMap;
use std::time::Duration;

use confab_rpc::sessions::EntryKind;
use confab_testkit::Auditor;
use confab_testkit::checker::Table;
use confab_testkit::checker::money::{Account, Books, End, Line, Run};
use confab_testkit::history::Story;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::measures::Measures;
use crate::load::{Answer, Outcome, said_before};

/// How long reservations may take to be settled or released once nobody asks any more.
const SETTLING: Duration = Duration::from_secs(15);

/// Everything that a run is judged by.
pub struct Evidence {
    /// What clients saw.
    pub story: Story,
    /// What the tables hold of the threads that they talked in, without what was said before the history began.
    pub table: Table,
    /// What front ends went through.
    pub outcome: Outcome,
    /// What was booked of those who asked a model.
    pub books: Books,
    /// When the load was asked to come to rest, on the clock of the history.
    pub resting: Duration,
    /// What was counted and timed in the history.
    pub measures: Measures,
}

impl Evidence {
    pub(super) async fn gather(
        auditor: &Auditor,
        story: Story,
        outcome: Outcome,
        threads: &[i64],
        measures: Measures,
        resting: Duration,
    ) -> Self {
        let mut table = auditor.table(threads).await;
        let messages = &mut table.messages;
        messages.retain(|message| !said_before(&message.body));
        let askers = outcome.asked.iter().map(|asked| asked.person.id);
        let mut books = books(auditor, askers.collect()).await;
        let answers = outcome.asked.iter().flat_map(|asked| &asked.answers);
        books.runs = answers.filter_map(run).collect();
        Self {
            story,
            table,
            outcome,
            books,
            resting,
            measures,
        }
    }
}

/// The ledger and the accounts, once nothing is set aside any more.
async fn books(auditor: &Auditor, users: Vec<Uuid>) -> Books {
    let mut books = Books::default();
    let until = Instant::now() + SETTLING;
    for user in users {
        let mut account = auditor.account(user).await;
        while account.reserved_microdollars != 0 && Instant::now() < until {
            sleep(Duration::from_millis(100)).await;
            account = auditor.account(user).await;
        }
        let ledger = auditor.ledger(user).await;
        books.ledger.extend(ledger.iter().map(|entry| {
            Line {
                user,
                amount: entry.amount_microdollars,
                run: (entry.kind() == EntryKind::Charge)
                    .then(|| entry.run_id.parse().unwrap_or_default()),
            }
        }));
        let account = Account {
            balance: account.balance_microdollars,
            reserved: account.reserved_microdollars,
        };
        books.accounts.insert(user, account);
    }
    books
}

fn run(answer: &Answer) -> Option<Run> {
    let id = answer.runs.first()?.parse().ok()?;
    let run = answer.run.as_ref();
    let end = |state: &str| match state {
        "complete" => End::Complete,
        _ => End::Short,
    };
    let cost = run.and_then(|run| run["cost_microdollars"].as_i64());
    Some(Run {
        id,
        ends: run
            .and_then(|run| run["state"].as_str())
            .map(end)
            .into_iter()
            .collect(),
        cost: cost.unwrap_or_default(),
    })
}

impl Evidence {
    /// Answers whose text is not what their reader had, or that are not in their conversation at all.
    #[must_use]
    pub fn misread(&self) -> Vec<String> {
        let mut misread = Vec::new();
        for asked in &self.outcome.asked {
            for answer in &asked.answers {
                let Some(run) = &answer.run else {
                    continue;
                };
                let stored = asked.messages.iter();
                let mut stored = stored.filter(|message| message["id"] == run["message_id"]);
                let stored = stored
                    .next()
                    .and_then(|message| message["content"].as_str());
                if stored != Some(&answer.text) && run["state"] == "complete" {
                    let read = &answer.text;
                    misread.push(format!("{run} was read as {read:?} and is {stored:?}"));
                }
            }
        }
        misread
    }

    /// How runs ended, by state; one without an end is `open`.
    #[must_use]
    pub fn states(&self) -> BTreeMap<String, usize> {
        let mut states = BTreeMap::new();
        let answers = self.outcome.asked.iter().flat_map(|asked| &asked.answers);
        for answer in answers {
            let run = answer.run.as_ref();
            let state = run.and_then(|run| run["state"].as_str()).unwrap_or("open");
            *states.entry(state.to_owned()).or_default() += 1;
        }
        states
    }
}

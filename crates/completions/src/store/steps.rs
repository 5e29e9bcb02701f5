//! The steps that every run takes in its row, for many runs in one transaction.

use std::time::Duration;

use confab_database::{Database, Sql};
use confab_runtime::batches::Work;
use futures_util::future::join_all;
use sea_orm::{
    ActiveEnum, ConnAcquireErr, ConnectionTrait, DatabaseTransaction, DbErr, IntoActiveModel, Value,
};
use tokio::time::timeout;
use uuid::Uuid;

use super::{Appended, Lease, Rows, Run, RunEnd, State};

#[cfg(test)]
mod tests;

/// The longest that one transaction may take: the next ones wait for it. The database limits its statements itself, so this
/// is a connection that died without a word.
const LONGEST: Duration = Duration::from_secs(6);

/// One step of one run.
#[derive(Debug)]
pub(super) enum Step {
    /// It is made.
    Insert(Box<Run>),
    /// Its exchange is in the thread.
    Running(Lease, Appended),
    /// Nothing is left to do.
    Ended(Lease, RunEnd),
}

/// Takes steps together. When that fails each is taken alone, so that none takes another one along.
#[derive(Debug)]
pub(super) struct Steps(pub(super) Database);

impl Work for Steps {
    type Job = Step;
    type Outcome = Result<bool, DbErr>;

    async fn work(&self, steps: Vec<Step>) -> Vec<Result<bool, DbErr>> {
        if let [_, _, ..] = steps.as_slice() {
            match within(self.take_together(&steps)).await {
                Ok(taken) => return taken.into_iter().map(Ok).collect(),
                Err(error) => tracing::debug!(%error, "steps of several runs are taken one by one"),
            }
        }
        join_all(steps.into_iter().map(|step| within(self.take(step)))).await
    }
}

async fn within<T>(step: impl Future<Output = Result<T, DbErr>>) -> Result<T, DbErr> {
    let late = |_| Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout));
    timeout(LONGEST, step).await.unwrap_or_else(late)
}

impl Steps {
    async fn take(&self, step: Step) -> Result<bool, DbErr> {
        let rows = Rows(&self.0);
        match step {
            Step::Insert(run) => rows.insert(*run).await,
            Step::Running(lease, appended) => rows.running(lease, &appended).await,
            Step::Ended(lease, end) => rows.ended(lease, &end).await,
        }
    }

    async fn take_together(&self, steps: &[Step]) -> Result<Vec<bool>, DbErr> {
        let transaction = self.0.begin().await?;
        insert(&transaction, steps).await?;
        let mut changed = running(&transaction, steps).await?;
        changed.extend(ended(&transaction, steps).await?);
        transaction.commit().await?;
        let taken = steps.iter().map(|step| match step {
            Step::Insert(_) => true,
            Step::Running(lease, _) | Step::Ended(lease, _) => changed.contains(lease),
        });
        Ok(taken.collect())
    }
}

async fn insert(transaction: &DatabaseTransaction, steps: &[Step]) -> Result<(), DbErr> {
    let runs = steps.iter().filter_map(|step| match step {
        Step::Insert(run) => Some(Run::clone(run).into_active_model()),
        _ => None,
    });
    if let Some(insert) = Sql::insert(runs) {
        let backend = transaction.get_database_backend();
        transaction.execute_raw(insert.statement(backend)).await?;
    }
    Ok(())
}

async fn running(transaction: &DatabaseTransaction, steps: &[Step]) -> Result<Vec<Lease>, DbErr> {
    let rows = steps.iter().filter_map(|step| match step {
        Step::Running(lease, appended) => Some([
            lease.run_id.into(),
            lease.fence.into(),
            appended.answer_id.into(),
            appended.answer_seq.into(),
            appended.reserved_microdollars.into(),
            appended.agent_token_hash.clone().into(),
        ]),
        _ => None,
    });
    update(
        transaction,
        "wanted_id, wanted_fence, new_answer, new_seq, new_reserved, new_hash",
        rows.collect(),
        "answer_id = new_answer, answer_seq = new_seq, reserved_microdollars = new_reserved, \
         agent_token_hash = new_hash",
        State::Running,
        State::Answered,
    )
    .await
}

async fn ended(transaction: &DatabaseTransaction, steps: &[Step]) -> Result<Vec<Lease>, DbErr> {
    let rows = steps.iter().filter_map(|step| match step {
        Step::Ended(lease, end) => {
            let receipt = &end.receipt;
            let count = |count: u32| Value::from(i64::from(count));
            Some([
                lease.run_id.into(),
                lease.fence.into(),
                end.answer_id.into(),
                end.answer_seq.into(),
                end.reserved_microdollars.into(),
                receipt.outcome.to_value().into(),
                receipt.failure.map(|failure| failure.to_value()).into(),
                receipt.error.clone().into(),
                count(receipt.input_tokens),
                count(receipt.output_tokens),
                receipt.finish_reason.clone().into(),
                count(receipt.first_token_ms),
                count(receipt.duration_ms),
                end.charged.into(),
                end.forget_key.into(),
                end.at.into(),
            ])
        }
        _ => None,
    });
    update(
        transaction,
        "wanted_id, wanted_fence, new_answer, new_seq, new_reserved, new_outcome, new_failure, \
         new_error, new_input, new_output, new_reason, new_first, new_duration, new_cost, \
         forget_key, new_end",
        rows.collect(),
        "answer_id = new_answer, answer_seq = new_seq, reserved_microdollars = new_reserved, \
         outcome = new_outcome, failure = new_failure, error = new_error, \
         input_tokens = new_input, output_tokens = new_output, finish_reason = new_reason, \
         first_token_ms = new_first, duration_ms = new_duration, cost_microdollars = new_cost, \
         client_msg_id = CASE WHEN forget_key THEN NULL ELSE client_msg_id END, \
         ended_at = new_end, parameters = NULL, instructions = NULL",
        State::Ended,
        State::Ended,
    )
    .await
}

/// Changes the runs whose leases are held and that are not as far as `before`; says which.
async fn update<const N: usize>(
    transaction: &DatabaseTransaction,
    columns: &str,
    rows: Vec<[Value; N]>,
    changes: &str,
    state: State,
    before: State,
) -> Result<Vec<Lease>, DbErr> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let statement = Sql::new("WITH wanted (")
        .text(columns)
        .text(") AS (")
        .rows(rows)
        .text(") UPDATE run SET state = ")
        .value(state.to_value())
        .text(", ")
        .text(changes)
        .text(" FROM wanted WHERE id = wanted_id AND fence = wanted_fence AND state < ")
        .value(before.to_value())
        .text(" RETURNING id, fence");
    let statement = statement.statement(transaction.get_database_backend());
    let rows = transaction.query_all_raw(statement).await?;
    let lease = |row: &sea_orm::QueryResult| {
        Ok(Lease {
            run_id: row.try_get_by_index::<Uuid>(0)?,
            fence: row.try_get_by_index(1)?,
        })
    };
    rows.iter().map(lease).collect()
}

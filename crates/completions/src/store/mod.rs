//! Where runs are kept. What a run is and what becomes of it is decided in [`crate::run`].

mod run;
mod steps;

use chrono::{DateTime, Utc};
use confab_database::{Database, violated_unique};
use confab_runtime::Tasks;
use confab_runtime::batches::{Batches, Size, Undone};
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait, ConnAcquireErr, DbErr, DerivePartialModel, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder, QuerySelect, UpdateMany,
};
use uuid::Uuid;

use run::{Column, Entity};
pub(crate) use run::{Failure, Model as Run, Outcome, Purpose, State};

use crate::catalogue::Model;
use crate::run::Receipt;
use steps::{Step, Steps};

/// The right to change a run, for as long as nobody raised the fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lease {
    pub(crate) run_id: Uuid,
    pub(crate) fence: i64,
}

/// A lease as it stood in its run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, DerivePartialModel)]
#[sea_orm(entity = "Entity")]
pub(crate) struct Seen {
    pub(crate) id: Uuid,
    pub(crate) fence: i64,
    /// By the clock of whoever holds it; it changes with each renewal.
    pub(crate) lease_until: DateTime<Utc>,
}

/// What is known of a run when its exchange is in the thread.
#[derive(Debug, Clone)]
pub(crate) struct Appended {
    pub(crate) answer_id: i64,
    pub(crate) answer_seq: i64,
    pub(crate) reserved_microdollars: i64,
    pub(crate) agent_token_hash: Option<Vec<u8>>,
}

/// The last that is known of a run.
#[derive(Debug, Clone)]
pub(crate) struct RunEnd {
    pub(crate) receipt: Receipt,
    /// Where its answer is, and what was set aside for it: not everything that ends was [`Store::running`].
    pub(crate) answer_id: Option<i64>,
    pub(crate) answer_seq: Option<i64>,
    pub(crate) reserved_microdollars: i64,
    /// What the account was charged in the end.
    pub(crate) charged: i64,
    /// The caller's key is free again.
    pub(crate) forget_key: bool,
    pub(crate) at: DateTime<Utc>,
}

/// Steps that wait; more are refused.
const QUEUE: usize = 4096;
/// Steps in one transaction.
const BATCH: usize = 64;

/// The runs.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    database: Database,
    steps: Batches<Steps>,
}

impl Store {
    pub(crate) fn new(database: Database, tasks: Tasks) -> Self {
        let size = Size {
            queue: QUEUE,
            batch: BATCH,
        };
        Self {
            steps: Batches::new(Steps(database.clone()), "runs", size, tasks),
            database,
        }
    }

    /// Writes a new run; false when its user has another run with the same `client_msg_id`.
    pub(crate) async fn insert(&self, run: Run) -> Result<bool, DbErr> {
        self.step(Step::Insert(Box::new(run))).await
    }

    /// The exchange is in the thread; false when the lease is lost, or more is known already.
    pub(crate) async fn running(&self, lease: Lease, appended: Appended) -> Result<bool, DbErr> {
        self.step(Step::Running(lease, appended)).await
    }

    /// Nothing is left to do; false when the lease is lost.
    pub(crate) async fn ended(&self, lease: Lease, end: RunEnd) -> Result<bool, DbErr> {
        self.step(Step::Ended(lease, end)).await
    }

    /// How far a run is, and which attempt's text is in the thread.
    pub(crate) async fn pulse(&self, id: Uuid) -> Result<Option<(State, i16)>, DbErr> {
        Entity::find_by_id(id)
            .select_only()
            .columns([Column::State, Column::Generation])
            .into_tuple()
            .one(self.database.read())
            .await
    }

    pub(crate) async fn find(&self, id: Uuid) -> Result<Option<Run>, DbErr> {
        Entity::find_by_id(id).one(self.database.read()).await
    }

    /// The run that a user's key belongs to.
    pub(crate) async fn by_key(
        &self,
        user_id: Uuid,
        client_msg_id: &str,
    ) -> Result<Option<Run>, DbErr> {
        Entity::find()
            .filter(Column::UserId.eq(user_id))
            .filter(Column::ClientMsgId.eq(client_msg_id))
            .one(self.database.read())
            .await
    }

    /// The run under way whose agent was given this token.
    pub(crate) async fn by_agent_token(&self, hash: &[u8]) -> Result<Option<Run>, DbErr> {
        Entity::find()
            .filter(Column::AgentTokenHash.eq(hash))
            .filter(Column::State.eq(State::Running))
            .one(self.database.read())
            .await
    }

    /// The leases of what is under way, the oldest first.
    pub(crate) async fn leases(&self, limit: u64) -> Result<Vec<Seen>, DbErr> {
        Entity::find()
            .select_only()
            .columns([Column::Id, Column::Fence, Column::LeaseUntil])
            // As in the index.
            .filter(Column::EndedAt.is_null())
            .order_by_asc(Column::LeaseUntil)
            .limit(limit)
            .into_partial_model()
            .all(self.database.read())
            .await
    }

    /// Takes over a run whose lease still is as it was seen. `None`: somebody else was faster, or its owner is alive.
    pub(crate) async fn take(
        &self,
        seen: Seen,
        owner: Uuid,
        until: DateTime<Utc>,
    ) -> Result<Option<Run>, DbErr> {
        let lease = Lease {
            run_id: seen.id,
            fence: seen.fence,
        };
        let update = held(lease)
            .col_expr(Column::Fence, Expr::value(seen.fence + 1))
            .col_expr(Column::LeaseOwner, Expr::value(owner))
            .col_expr(Column::LeaseUntil, Expr::value(until))
            .filter(Column::LeaseUntil.eq(seen.lease_until));
        let taken = update.exec_with_returning(self.database.write()).await?;
        Ok(taken.into_iter().next())
    }

    /// Extends a lease; false when it is lost.
    pub(crate) async fn renew(&self, lease: Lease, until: DateTime<Utc>) -> Result<bool, DbErr> {
        self.apply(held(lease).col_expr(Column::LeaseUntil, Expr::value(until)))
            .await
    }

    /// Outcome and cost are known; false when the lease is lost. The agent's token ends here.
    pub(crate) async fn answered(&self, run: &Run, receipt: &Receipt) -> Result<bool, DbErr> {
        let update = told(held(run.lease()), receipt)
            .col_expr(Column::State, Expr::value(State::Answered))
            .col_expr(Column::AnswerId, Expr::value(run.answer_id))
            .col_expr(Column::AnswerSeq, Expr::value(run.answer_seq))
            .col_expr(
                Column::CostMicrodollars,
                Expr::value(receipt.cost_microdollars),
            );
        self.apply(update).await
    }

    /// Another model or provider answers than the one that was asked; false when the lease is lost.
    pub(crate) async fn answering(
        &self,
        lease: Lease,
        model: &Model,
        provider: &str,
    ) -> Result<bool, DbErr> {
        let update = held(lease)
            .col_expr(Column::ModelId, Expr::value(model.id))
            .col_expr(Column::Model, Expr::value(model.name.as_str()))
            .col_expr(Column::Provider, Expr::value(provider));
        self.apply(update).await
    }

    /// Counts an attempt before it is made; false when the lease is lost.
    pub(crate) async fn attempt(&self, lease: Lease, attempts: i16) -> Result<bool, DbErr> {
        self.apply(held(lease).col_expr(Column::Attempts, Expr::value(attempts)))
            .await
    }

    /// The text of earlier attempts is no longer in the thread, and none of this one yet; false when the lease is lost.
    pub(crate) async fn superseded(&self, lease: Lease, generation: i16) -> Result<bool, DbErr> {
        self.apply(held(lease).col_expr(Column::Generation, Expr::value(generation)))
            .await
    }

    /// Wishes that a run be cancelled; anyone may, as long as nothing is decided.
    pub(crate) async fn request_cancel(&self, id: Uuid, now: DateTime<Utc>) -> Result<(), DbErr> {
        Entity::update_many()
            .filter(Column::Id.eq(id))
            .filter(Column::CancelRequestedAt.is_null())
            .filter(Column::State.is_in([State::Reserving, State::Running]))
            .col_expr(Column::CancelRequestedAt, Expr::value(now))
            .exec(self.database.write())
            .await?;
        Ok(())
    }

    /// Which of a process's runs shall be cancelled.
    pub(crate) async fn cancel_requested(&self, owner: Uuid) -> Result<Vec<Uuid>, DbErr> {
        Entity::find()
            .select_only()
            .column(Column::Id)
            .filter(Column::LeaseOwner.eq(owner))
            // As in the index.
            .filter(Column::CancelRequestedAt.is_not_null())
            .filter(Column::EndedAt.is_null())
            .filter(Column::State.is_in([State::Reserving, State::Running]))
            .into_tuple()
            .all(self.database.read())
            .await
    }

    /// Removes a run of which nothing is left.
    pub(crate) async fn delete(&self, lease: Lease) -> Result<(), DbErr> {
        Entity::delete_many()
            .filter(Column::Id.eq(lease.run_id))
            .filter(Column::Fence.eq(lease.fence))
            .exec(self.database.write())
            .await?;
        Ok(())
    }

    /// Frees the key of a run whose thread is gone.
    pub(crate) async fn forget_key(&self, id: Uuid) -> Result<(), DbErr> {
        Entity::update_many()
            .filter(Column::Id.eq(id))
            .col_expr(Column::ClientMsgId, Expr::value(None::<String>))
            .exec(self.database.write())
            .await?;
        Ok(())
    }

    async fn apply(&self, update: UpdateMany<Entity>) -> Result<bool, DbErr> {
        apply(&self.database, update).await
    }

    async fn step(&self, step: Step) -> Result<bool, DbErr> {
        let undone = |undone| match undone {
            Undone::Busy => Err(DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
            Undone::Broken => Err(DbErr::Custom(undone.to_string())),
        };
        self.steps.hand_in(step).await.unwrap_or_else(undone)
    }
}

/// Single runs, where steps of several cannot be taken together.
struct Rows<'a>(&'a Database);

impl Rows<'_> {
    /// Writes a new run; false when its user has another run with the same `client_msg_id`.
    async fn insert(&self, run: Run) -> Result<bool, DbErr> {
        let inserted = Entity::insert(run.into_active_model())
            .exec_without_returning(self.0.write())
            .await;
        match inserted {
            Ok(_) => Ok(true),
            Err(error)
                if violated_unique(&error).is_some_and(|what| what.contains("client_msg_id")) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// The exchange is in the thread; false when the lease is lost, or more is known already.
    async fn running(&self, lease: Lease, appended: &Appended) -> Result<bool, DbErr> {
        let update = held(lease)
            .filter(Column::State.lt(State::Answered))
            .col_expr(Column::State, Expr::value(State::Running))
            .col_expr(Column::AnswerId, Expr::value(appended.answer_id))
            .col_expr(Column::AnswerSeq, Expr::value(appended.answer_seq))
            .col_expr(
                Column::ReservedMicrodollars,
                Expr::value(appended.reserved_microdollars),
            )
            .col_expr(
                Column::AgentTokenHash,
                Expr::value(appended.agent_token_hash.clone()),
            );
        apply(self.0, update).await
    }

    /// Nothing is left to do; false when the lease is lost.
    async fn ended(&self, lease: Lease, end: &RunEnd) -> Result<bool, DbErr> {
        let mut update = told(held(lease), &end.receipt)
            .col_expr(Column::State, Expr::value(State::Ended))
            .col_expr(Column::AnswerId, Expr::value(end.answer_id))
            .col_expr(Column::AnswerSeq, Expr::value(end.answer_seq))
            .col_expr(
                Column::ReservedMicrodollars,
                Expr::value(end.reserved_microdollars),
            )
            .col_expr(Column::CostMicrodollars, Expr::value(end.charged))
            .col_expr(Column::EndedAt, Expr::value(end.at))
            .col_expr(Column::Parameters, Expr::value(None::<String>))
            .col_expr(Column::Instructions, Expr::value(None::<String>));
        if end.forget_key {
            update = update.col_expr(Column::ClientMsgId, Expr::value(None::<String>));
        }
        apply(self.0, update).await
    }
}

async fn apply(database: &Database, update: UpdateMany<Entity>) -> Result<bool, DbErr> {
    Ok(update.exec(database.write()).await?.rows_affected > 0)
}

/// An update of a run under a lease.
fn held(lease: Lease) -> UpdateMany<Entity> {
    Entity::update_many()
        .filter(Column::Id.eq(lease.run_id))
        .filter(Column::Fence.eq(lease.fence))
        .filter(Column::State.ne(State::Ended))
}

/// With what a receipt says, but for the cost.
fn told(update: UpdateMany<Entity>, receipt: &Receipt) -> UpdateMany<Entity> {
    let tokens = |count: u32| Expr::value(i64::from(count));
    update
        .col_expr(Column::Outcome, Expr::value(receipt.outcome))
        .col_expr(Column::Failure, Expr::value(receipt.failure))
        .col_expr(Column::Error, Expr::value(receipt.error.clone()))
        .col_expr(Column::InputTokens, tokens(receipt.input_tokens))
        .col_expr(Column::OutputTokens, tokens(receipt.output_tokens))
        .col_expr(
            Column::FinishReason,
            Expr::value(receipt.finish_reason.clone()),
        )
        .col_expr(Column::FirstTokenMs, tokens(receipt.first_token_ms))
        .col_expr(Column::DurationMs, tokens(receipt.duration_ms))
}

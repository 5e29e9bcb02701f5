//! Table `run`: one attempt to answer or to summarise.

use chrono::{DateTime, Utc};
use confab_rpc::Reason;
use confab_rpc::threads::MessageState;
use sea_orm::entity::prelude::*;

/// A run. Whoever holds its lease is the only one who changes it: every write names the fence. The wish to cancel it
/// is anyone's.
#[expect(clippy::struct_field_names, reason = "a column keeps its name")]
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "run")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub(crate) id: Uuid,
    pub(crate) purpose: Purpose,
    pub(crate) user_id: Uuid,
    pub(crate) thread_id: Uuid,
    pub(crate) new_thread: bool,
    pub(crate) after_seq: i64,
    pub(crate) answer_id: Option<i64>,
    pub(crate) answer_seq: Option<i64>,
    pub(crate) client_msg_id: Option<String>,
    pub(crate) fingerprint: Option<Vec<u8>>,
    pub(crate) model_id: i32,
    pub(crate) model: String,
    pub(crate) provider: String,
    pub(crate) state: State,
    pub(crate) lease_owner: Uuid,
    pub(crate) lease_until: DateTime<Utc>,
    pub(crate) fence: i64,
    pub(crate) reserved_microdollars: i64,
    pub(crate) prompt_tokens: i64,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) failure: Option<Failure>,
    pub(crate) input_tokens: Option<i64>,
    pub(crate) output_tokens: Option<i64>,
    pub(crate) cost_microdollars: Option<i64>,
    pub(crate) agent_token_hash: Option<Vec<u8>>,
    pub(crate) error: Option<String>,
    pub(crate) cancel_requested_at: Option<DateTime<Utc>>,
    pub(crate) stored: bool,
    pub(crate) api_key_id: Option<Uuid>,
    pub(crate) parameters: Option<String>,
    pub(crate) instructions: Option<String>,
    pub(crate) attempts: i16,
    pub(crate) generation: i16,
    pub(crate) finish_reason: Option<String>,
    pub(crate) first_token_ms: Option<i64>,
    pub(crate) duration_ms: Option<i64>,
    pub(crate) started_at: DateTime<Utc>,
    pub(crate) ended_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub(crate) enum Purpose {
    #[sea_orm(num_value = 1)]
    Answer,
    #[sea_orm(num_value = 2)]
    Summary,
    /// A chat or vectors, as earlier versions wrote them down. New ones have no row.
    #[sea_orm(num_value = 3)]
    Chat,
}

/// How far a run is, in ascending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub(crate) enum State {
    /// Money may be set aside for it, its exchange may be in the thread, and what is answered at once may be complete.
    #[sea_orm(num_value = 1)]
    Reserving,
    /// Its exchange is in the thread, the provider is asked.
    #[sea_orm(num_value = 2)]
    Running,
    /// Outcome and cost are known; the thread and the account may not know them yet.
    #[sea_orm(num_value = 3)]
    Answered,
    /// Nothing is left to do.
    #[sea_orm(num_value = 4)]
    Ended,
}

/// How a run ended. The numbers are those of `threads.v1.MessageState`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub(crate) enum Outcome {
    #[sea_orm(num_value = 1)]
    Complete,
    #[sea_orm(num_value = 3)]
    Interrupted,
    #[sea_orm(num_value = 4)]
    Failed,
    #[sea_orm(num_value = 5)]
    Cancelled,
}

/// Why a run did not complete. The numbers are those of `fault.v1.Reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub(crate) enum Failure {
    /// The agent says that the user cannot pay.
    #[sea_orm(num_value = 26)]
    NoMoney,
    /// The thread was removed meanwhile.
    #[sea_orm(num_value = 40)]
    ThreadGone,
    /// More than the model takes in.
    #[sea_orm(num_value = 81)]
    TooLong,
    /// The provider failed.
    #[sea_orm(num_value = 82)]
    Provider,
    /// The process that worked on it died.
    #[sea_orm(num_value = 84)]
    Interrupted,
    /// Somebody stopped it.
    #[sea_orm(num_value = 85)]
    Cancelled,
}

impl From<Outcome> for MessageState {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Complete => Self::Complete,
            Outcome::Interrupted => Self::Interrupted,
            Outcome::Failed => Self::Failed,
            Outcome::Cancelled => Self::Cancelled,
        }
    }
}

impl From<Failure> for Reason {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoMoney => Self::BalanceInsufficient,
            Failure::ThreadGone => Self::ThreadNotFound,
            Failure::TooLong => Self::ContextTooLong,
            Failure::Provider => Self::ProviderFailed,
            Failure::Interrupted => Self::RunInterrupted,
            Failure::Cancelled => Self::RunCancelled,
        }
    }
}

impl Model {
    /// Whether it answers somebody, and is no work of Confab's own.
    pub(crate) fn is_answer(&self) -> bool {
        self.purpose == Purpose::Answer
    }

    /// The right to change it.
    pub(crate) fn lease(&self) -> super::Lease {
        super::Lease {
            run_id: self.id,
            fence: self.fence,
        }
    }
}

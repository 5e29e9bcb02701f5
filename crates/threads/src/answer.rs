//! How an answer grows and ends: who may write it, where its text goes on.

use sea_orm::{DeriveActiveEnum, EnumIter, FromJsonQueryResult};
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Whether a message is whole, or there at all. The numbers are those of the contract and of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub(crate) enum State {
    /// It is all there.
    #[sea_orm(num_value = 1)]
    Complete,
    /// An answer that is being written.
    #[sea_orm(num_value = 2)]
    Streaming,
    /// Its writer died; the text so far is kept.
    #[sea_orm(num_value = 3)]
    Interrupted,
    /// The provider failed before or while answering.
    #[sea_orm(num_value = 4)]
    Failed,
    /// The user stopped it.
    #[sea_orm(num_value = 5)]
    Cancelled,
    /// It only keeps its place in the log; no call shows it.
    #[sea_orm(num_value = 6)]
    Deleted,
}

/// What an answer took; also its form in the database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, FromJsonQueryResult)]
#[serde(default)]
pub(crate) struct Receipt {
    /// The configured provider that answered.
    pub(crate) provider: String,
    pub(crate) input_tokens: u32,
    pub(crate) output_tokens: u32,
    /// What the account was charged.
    pub(crate) cost_microdollars: i64,
    /// The provider's word; empty: it said none.
    pub(crate) finish_reason: String,
    /// From the ask to the first text.
    pub(crate) first_token_ms: u32,
    /// From the ask to the end.
    pub(crate) duration_ms: u32,
}

/// What its writer says of an answer that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ending {
    pub(crate) state: State,
    /// The whole text; `None`: the text so far stands.
    pub(crate) content: Option<String>,
    pub(crate) receipt: Option<Receipt>,
    /// Name of the model that answered; `None`: the one named at the start.
    pub(crate) model: Option<String>,
}

/// Text from its writer for an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// It begins at this byte.
    At(usize, String),
    /// It takes the place of all that was written.
    Instead(String),
}

/// Whether the holder of `fence` may write an answer. A run that is taken over goes on with a higher fence; from its
/// first write on, whoever had the run before is refused.
pub(crate) fn may_write(state: State, last_fence: i64, fence: i64) -> Result<(), Error> {
    if state != State::Streaming || fence < last_fence {
        return Err(Error::StaleWrite);
    }
    Ok(())
}

/// Whether the holder of `fence` may begin an answer anew: only who took it over from its last writer. A repeated call
/// finds its own text there.
pub(crate) fn may_restart(
    stored: &str,
    last_fence: i64,
    fence: i64,
    text: &str,
) -> Result<(), Error> {
    if fence > last_fence || stored == text {
        return Ok(());
    }
    Err(Error::StaleWrite)
}

/// What of `text` is not there yet, when it is sent for a place after which `tail` is stored already. The two must agree
/// as far as both go.
pub(crate) fn unseen<'text>(tail: &[u8], text: &'text str) -> Result<&'text str, Error> {
    if tail.starts_with(text.as_bytes()) {
        return Ok("");
    }
    // A tail that starts inside a character differs from any text in its first byte.
    match text.as_bytes().strip_prefix(tail) {
        Some(_) => text.get(tail.len()..).ok_or(Error::StaleWrite),
        None => Err(Error::StaleWrite),
    }
}

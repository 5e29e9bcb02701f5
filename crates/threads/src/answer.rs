//! How an answer grows and ends: who may write it, where its text goes on.

use sea_orm::{DeriveActiveEnum, EnumIter};

use crate::error::Error;

/// Whether a message is whole. The numbers are those of the contract and of the column.
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
}

/// Whether the holder of `fence` may write an answer. A run that is taken over goes on with a higher fence; from its
/// first write on, whoever had the run before is refused.
pub(crate) fn may_write(state: State, last_fence: i64, fence: i64) -> Result<(), Error> {
    if state != State::Streaming || fence < last_fence {
        return Err(Error::StaleWrite);
    }
    Ok(())
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

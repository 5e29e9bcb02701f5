//! What the writer of an answer sends.

use confab_rpc::threads as wire;

use crate::answer::{Ending, Piece, Receipt, State};
use crate::error::Error;
use crate::text::{NAME_BYTES, blank_nul, without_nul};

/// Text for an answer, and where it goes.
pub(crate) fn piece(offset: i64, restart: bool, text: String) -> Result<Piece, Error> {
    let text = blank_nul(text)?;
    if restart {
        return match offset {
            0 => Ok(Piece::Instead(text)),
            _ => Err(Error::Invalid("offset must be 0 when an answer restarts")),
        };
    }
    let offset =
        usize::try_from(offset).map_err(|_| Error::Invalid("offset must not be negative"))?;
    Ok(Piece::At(offset, text))
}

/// How an answer ends.
pub(crate) fn ending(request: wire::FinishRequest) -> Result<Ending, Error> {
    let model = model(request.model)?;
    Ok(Ending {
        state: final_state(request.state)?,
        content: request.content.map(blank_nul).transpose()?,
        receipt: request.receipt.map(receipt).transpose()?,
        model: Some(model).filter(|model| !model.is_empty()),
    })
}

/// Name of a model.
pub(super) fn model(name: String) -> Result<String, Error> {
    without_nul(name, NAME_BYTES, "model must be at most 255 bytes in UTF-8")
}

fn final_state(state: i32) -> Result<State, Error> {
    match wire::MessageState::try_from(state) {
        Ok(wire::MessageState::Complete) => Ok(State::Complete),
        Ok(wire::MessageState::Interrupted) => Ok(State::Interrupted),
        Ok(wire::MessageState::Failed) => Ok(State::Failed),
        Ok(wire::MessageState::Cancelled) => Ok(State::Cancelled),
        Ok(
            wire::MessageState::Unspecified
            | wire::MessageState::Streaming
            | wire::MessageState::Deleted,
        )
        | Err(_) => Err(Error::Invalid("state must be one that ends an answer")),
    }
}

fn receipt(receipt: wire::AnswerReceipt) -> Result<Receipt, Error> {
    if receipt.cost_microdollars < 0 {
        return Err(Error::Invalid("an answer's cost must not be negative"));
    }
    Ok(Receipt {
        provider: without_nul(
            receipt.provider,
            NAME_BYTES,
            "provider must be at most 255 bytes in UTF-8",
        )?,
        input_tokens: receipt.input_tokens,
        output_tokens: receipt.output_tokens,
        cost_microdollars: receipt.cost_microdollars,
        finish_reason: without_nul(
            receipt.finish_reason,
            NAME_BYTES,
            "finish_reason must be at most 255 bytes in UTF-8",
        )?,
        first_token_ms: receipt.first_token_ms,
        duration_ms: receipt.duration_ms,
    })
}

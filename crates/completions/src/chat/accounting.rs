//! What a chat came to: what is charged for it, and what its caller is told when it failed.

use confab_rpc::{Fault, Reason};

use super::Passed;
use super::purse::Spent;
use super::relay::Tally;
use crate::catalogue::Model;
use crate::error::Error;
use crate::provider::{Bill, ProviderError};

/// What a bill cannot exceed, in tokens.
pub(super) struct Limits {
    pub(super) input: u32,
    pub(super) output: u32,
    pub(super) estimated_input: u32,
}

/// What the provider counted, else what was read: never more than was possible and set aside.
pub(super) fn spent(model: &Model, limits: &Limits, tally: &Tally, passed: &Passed) -> Spent {
    let told = match passed {
        Passed::Ended(bill) => tally.bill.unwrap_or(*bill),
        Passed::Gone | Passed::Failed(_) => tally.bill.unwrap_or(Bill::Unknown),
    };
    let measured = match tally.text_bytes {
        0 => (0, 0),
        _ => (limits.estimated_input, tally.estimated_output()),
    };
    let (input, output) = match told {
        Bill::Tokens { input, output } => (input, output),
        Bill::Cost(_) | Bill::Unknown => measured,
    };
    let (input_tokens, output_tokens) = (input.min(limits.input), output.min(limits.output));
    if (input_tokens, output_tokens) != (input, output) && told != Bill::Unknown {
        tracing::warn!(
            model = model.name,
            input,
            output,
            "a provider billed more tokens than there were"
        );
    }
    Spent {
        input_tokens,
        output_tokens,
        cost_microdollars: match told {
            Bill::Cost(microdollars) => microdollars.max(0),
            Bill::Tokens { .. } | Bill::Unknown => model.cost(input_tokens, output_tokens),
        },
    }
}

/// What a caller who is not in a thread is told of a provider's failure.
pub(crate) fn fault_of(error: ProviderError) -> Fault {
    match error {
        ProviderError::NoMoney => Error::BalanceInsufficient.fault(),
        ProviderError::TooLong => Error::ContextTooLong.fault(),
        ProviderError::Refused { message, .. } => Fault::new(Reason::ProviderRefused, message),
        ProviderError::Busy => Fault::new(
            Reason::Overloaded,
            "the model's provider has too much to do; try again in a moment",
        ),
        ProviderError::Unconfigured => Fault::new(
            Reason::ProviderFailed,
            "no provider is configured for this model",
        ),
        ProviderError::Failed(_) => {
            Fault::new(Reason::ProviderFailed, "the model's provider failed")
        }
    }
}

//! A run as callers are told of it.

use confab_rpc::Fault;
use confab_rpc::completions as wire;
use confab_rpc::threads::{Message, Thread};
use confab_rpc::time::to_wire;

use crate::error::Error;
use crate::store::{Outcome, Run, State};

impl From<&Run> for wire::Run {
    fn from(run: &Run) -> Self {
        Self {
            id: run.id.to_string(),
            thread_id: run.thread_id.to_string(),
            answer_id: run.answer_id.unwrap_or_default(),
            state: state(run).into(),
            model: run.model.clone(),
            provider: run.provider.clone(),
            usage: run.ended_at.map(|_| usage(run)),
            cost_microdollars: run.ended_at.and(run.cost_microdollars).unwrap_or_default(),
            finish_reason: run.finish_reason.clone().unwrap_or_default(),
            first_token_ms: count(run.first_token_ms),
            started_at: Some(to_wire(run.started_at)),
            ended_at: run.ended_at.map(to_wire),
        }
    }
}

fn state(run: &Run) -> wire::RunState {
    match (run.state, run.outcome) {
        (State::Ended, Some(Outcome::Complete)) => wire::RunState::Complete,
        (State::Ended, Some(Outcome::Failed)) => wire::RunState::Failed,
        (State::Ended, Some(Outcome::Cancelled)) => wire::RunState::Cancelled,
        (State::Ended, Some(Outcome::Interrupted) | None) => wire::RunState::Interrupted,
        (State::Reserving | State::Running | State::Answered, _) => wire::RunState::Running,
    }
}

/// The last thing that the followers of a run are told when it has ended.
pub(super) fn last_word(
    run: &Run,
    thread: Option<Thread>,
    answer: Option<Message>,
    balance_microdollars: i64,
) -> Result<wire::Finished, Fault> {
    if let Some(failure) = run.failure {
        return Err(Error::Failed(failure).fault());
    }
    Ok(wire::Finished {
        thread,
        answer,
        usage: Some(usage(run)),
        cost_microdollars: run.cost_microdollars.unwrap_or_default(),
        balance_microdollars,
        run: Some(run.into()),
    })
}

fn usage(run: &Run) -> wire::Usage {
    wire::Usage {
        input_tokens: count(run.input_tokens),
        output_tokens: count(run.output_tokens),
    }
}

fn count(column: Option<i64>) -> u32 {
    u32::try_from(column.unwrap_or(0)).unwrap_or(u32::MAX)
}

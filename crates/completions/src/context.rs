//! What a model gets to see of a thread: which messages count, how many of them fit. Reading them is
//! [`crate::history`]'s.

use std::collections::HashSet;

use confab_rpc::threads::{AuthorKind, Message, MessageState};

use crate::catalogue::{MESSAGE_TOKENS, estimate_tokens};
use crate::provider::{Prompt, Role, Turn};

#[cfg(test)]
mod tests;

/// The prompt alone does not fit beside the longest answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Collects messages that count, the newest first.
///
/// A question counts with its answer: when that failed, is being written or has no text, neither does. Where the model
/// shall answer what is stored, such an answer alone is left out.
#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    messages: Vec<Message>,
    keeps_questions: bool,
    unanswered: HashSet<i64>,
    tokens: u32,
    being_written: bool,
}

impl Exchanges {
    /// Keeps questions without an answer.
    pub(crate) fn with_questions() -> Self {
        Self {
            keeps_questions: true,
            ..Self::default()
        }
    }

    /// Takes the next older message.
    pub(crate) fn take(&mut self, message: Message) {
        self.being_written |= message.state() == MessageState::Streaming;
        if message.author_kind() == AuthorKind::Model && !has_said_something(&message) {
            if !self.keeps_questions {
                self.unanswered.insert(message.answers);
            }
            return;
        }
        if self.unanswered.contains(&message.id) {
            return;
        }
        self.tokens = self.tokens.saturating_add(weight(&message.content));
        self.messages.push(message);
    }

    /// How many messages count so far.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// What a model would read, roughly.
    pub(crate) fn tokens(&self) -> u32 {
        self.tokens
    }

    /// Whether what was taken stays as it is.
    pub(crate) fn are_settled(&self) -> bool {
        !self.being_written
    }

    /// The newest `limit`, oldest first.
    pub(crate) fn newest(mut self, limit: usize) -> Vec<Message> {
        self.messages.truncate(limit);
        self.messages.reverse();
        self.messages
    }
}

/// Whether an answer is over and has text.
pub(crate) fn has_said_something(answer: &Message) -> bool {
    let over = matches!(
        answer.state(),
        MessageState::Complete | MessageState::Interrupted | MessageState::Cancelled
    );
    over && !answer.content.is_empty()
}

/// Puts as much before the question as the model has room for: the summary first, then turns from the newest back to the
/// first one that does not fit. `turns` are in order, oldest first.
pub(crate) fn fill(mut prompt: Prompt, summary: &str, turns: &[Turn]) -> Result<Prompt, TooLong> {
    let room = prompt.model.input_room();
    let mut used = prompt.estimated_tokens();
    if used > room {
        return Err(TooLong);
    }
    let with_summary = used.saturating_add(estimate_tokens(summary));
    if with_summary <= room {
        summary.clone_into(&mut prompt.summary);
        used = with_summary;
    }
    let contents = turns.iter().map(|turn| turn.content.as_str());
    let fits = newest_that_fit(contents, room - used);
    prompt.left_out = turns.len() - fits;
    prompt.history = turns[prompt.left_out..].to_vec();
    Ok(prompt)
}

/// How many of the last of these texts a model can read in so many tokens.
pub(crate) fn newest_that_fit<'a>(
    contents: impl DoubleEndedIterator<Item = &'a str>,
    room: u32,
) -> usize {
    let mut used = 0_u32;
    contents
        .rev()
        .take_while(|content| {
            used = used.saturating_add(weight(content));
            used <= room
        })
        .count()
}

/// What a message costs in a prompt.
pub(crate) fn weight(content: &str) -> u32 {
    estimate_tokens(content).saturating_add(MESSAGE_TOKENS)
}

/// Who a message is from, to a model.
pub(crate) fn role(message: &Message) -> Role {
    match message.author_kind() {
        AuthorKind::Model => Role::Assistant,
        AuthorKind::System => Role::System,
        AuthorKind::Person | AuthorKind::Unspecified => Role::User,
    }
}

/// What a model reads of a message.
pub(crate) fn turn(message: &Message) -> Turn {
    Turn {
        role: role(message),
        content: message.content.clone(),
    }
}

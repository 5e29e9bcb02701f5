//! Messages of a thread → the history as the front end reads it.

use std::collections::HashMap;

use confab_rpc::threads::{AuthorKind, Message, MessageState};

use super::wire::{Entry, Role};

/// The history: each question, then its answer, then the question's files, because the front end counts a file only
/// directly after an answer. A question whose answer failed is left out with it, as it would be paired with the answer
/// of the next one. An answer that was cut off, or is being written, has the text there is.
pub(super) fn entries(messages: &[Message]) -> Vec<Entry> {
    let answers: HashMap<i64, &Message> = messages
        .iter()
        .filter(|message| message.answers != 0)
        .map(|answer| (answer.answers, answer))
        .collect();
    messages
        .iter()
        .filter(|message| message.answers == 0)
        .flat_map(|message| exchange(message, answers.get(&message.id).copied()))
        .collect()
}

/// The history as the text of JSON that the front end parses once more.
pub(super) fn render(entries: &[Entry]) -> String {
    // Roles and texts always become JSON.
    serde_json::to_string(entries).unwrap_or_default()
}

/// One question with what followed from it.
pub(super) fn exchange(question: &Message, answer: Option<&Message>) -> Vec<Entry> {
    if answer.is_some_and(|answer| answer.state() == MessageState::Failed) {
        return Vec::new();
    }
    let role = match question.author_kind() {
        AuthorKind::Model => Role::Assistant,
        AuthorKind::Person | AuthorKind::System | AuthorKind::Unspecified => Role::User,
    };
    let entry = |role, content: &String| Entry {
        role,
        content: content.clone(),
    };
    let mut entries = vec![entry(role, &question.content)];
    entries.extend(answer.map(|answer| entry(Role::Assistant, &answer.content)));
    let files = question.attachments.iter();
    entries.extend(files.map(|file| entry(Role::File, &file.name)));
    entries
}

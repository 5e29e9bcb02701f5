//! Messages of a thread → the history as the front end reads it.

use std::collections::HashMap;

use confab_rpc::threads::{AuthorKind, Message, MessageState};

use super::wire::{Entry, Role};

/// The history: each question, then its answers, then the question's files, because the front end counts a file only
/// directly after an answer. A question whose answer failed is left out with it, as it would be paired with the answer
/// of the next one. An answer that was cut off, or is being written, has the text there is.
///
/// Other languages write to these threads too: a question may have no answer, or several, and the question of an answer
/// may be gone. Instructions in the log are not part of what this front end shows.
pub(super) fn entries(messages: &[Message]) -> Vec<Entry> {
    let mut answers: HashMap<i64, Vec<&Message>> = messages
        .iter()
        .filter(|message| message.answers == 0)
        .map(|question| (question.id, Vec::new()))
        .collect();
    for message in messages {
        if let Some(answers) = answers.get_mut(&message.answers) {
            answers.push(message);
        }
    }
    messages
        .iter()
        .filter(|message| message.author_kind() != AuthorKind::System)
        .flat_map(|message| match answers.get(&message.id) {
            Some(answers) => exchange(message, answers),
            None if answers.contains_key(&message.answers) => Vec::new(),
            None => exchange(message, &[]),
        })
        .collect()
}

/// The history as the text of JSON that the front end parses once more.
pub(super) fn render(entries: &[Entry]) -> String {
    // Roles and texts always become JSON.
    serde_json::to_string(entries).unwrap_or_default()
}

/// One question with what followed from it; or an answer alone, whose question is gone.
pub(super) fn exchange(question: &Message, answers: &[&Message]) -> Vec<Entry> {
    let failed = |message: &Message| message.state() == MessageState::Failed;
    let all_failed = !answers.is_empty() && answers.iter().all(|answer| failed(answer));
    if failed(question) || all_failed {
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
    let answers = answers.iter().filter(|answer| !failed(answer));
    entries.extend(answers.map(|answer| entry(Role::Assistant, &answer.content)));
    let files = question.attachments.iter();
    entries.extend(files.map(|file| entry(Role::File, &file.name)));
    entries
}

//! Whether what was answered is stored: each question once, in the order in which they were asked, with its answer.

use serde::Deserialize;

use crate::check::Checks;

/// A message of a conversation.
#[derive(Debug, Clone, Deserialize)]
pub(in super::super) struct Said {
    pub(in super::super) role: String,
    pub(in super::super) content: String,
}

/// Compares the questions that were answered, in their order, with a conversation.
pub(in super::super) fn check(asked: &[String], said: &[Said], checks: &Checks) {
    let mut last = 0;
    for question in asked {
        let mut places = said
            .iter()
            .enumerate()
            .filter(|(_, it)| it.role == "user" && it.content == *question)
            .map(|(place, _)| place);
        let Some(place) = places.next() else {
            checks.lost(1);
            continue;
        };
        if places.next().is_some() {
            checks.doubled();
        }
        if place < last {
            checks.reordered();
        }
        last = place;
        let answer = said.get(place + 1);
        if answer.is_none_or(|it| it.role != "assistant" || it.content.is_empty()) {
            checks.lost(1);
        }
    }
}

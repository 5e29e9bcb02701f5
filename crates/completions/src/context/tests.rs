//! What fits into a prompt, and which messages count.

use confab_rpc::threads::{AuthorKind, Message, MessageState};
use proptest::prelude::*;

use super::{Exchanges, TooLong, fill, newest_that_fit, role, turn};
use crate::provider::tests::prompt;
use crate::provider::{Prompt, Role, Turn};

fn question(id: i64, content: &str) -> Message {
    Message {
        id,
        seq: id,
        author_kind: AuthorKind::Person.into(),
        state: MessageState::Complete.into(),
        content: content.to_owned(),
        ..Message::default()
    }
}

fn answer(id: i64, state: MessageState, content: &str) -> Message {
    Message {
        id,
        seq: id,
        author_kind: AuthorKind::Model.into(),
        state: state.into(),
        content: content.to_owned(),
        answers: id - 1,
        ..Message::default()
    }
}

fn counted(log: Vec<Message>, limit: usize) -> Vec<i64> {
    let mut exchanges = Exchanges::default();
    for message in log.into_iter().rev() {
        exchanges.take(message);
    }
    let newest = exchanges.newest(limit);
    newest.iter().map(|message| message.id).collect()
}

#[test]
fn what_is_stored_is_read_with_questions_that_nobody_answered() {
    let system = Message {
        author_kind: AuthorKind::System.into(),
        ..question(5, "Be brief.")
    };
    let log = vec![
        question(1, "failed"),
        answer(2, MessageState::Failed, "some text"),
        question(3, "interrupted before it began"),
        answer(4, MessageState::Interrupted, ""),
        system.clone(),
        answer(6, MessageState::Complete, "to nothing"),
    ];
    let mut conversation = Exchanges::with_questions();
    for message in log.into_iter().rev() {
        conversation.take(message);
    }
    let read = conversation.newest(usize::MAX);
    let ids: Vec<_> = read.iter().map(|message| message.id).collect();
    assert_eq!(ids, [1, 3, 5, 6]);
    assert_eq!(role(&system), Role::System);
}

#[test]
fn a_question_counts_with_its_answer() {
    let log = || {
        vec![
            question(1, "complete"),
            answer(2, MessageState::Complete, "yes"),
            question(3, "failed"),
            answer(4, MessageState::Failed, "some text"),
            question(5, "interrupted"),
            answer(6, MessageState::Interrupted, "part"),
            question(7, "interrupted before it began"),
            answer(8, MessageState::Interrupted, ""),
            question(9, "cancelled"),
            answer(10, MessageState::Cancelled, "part"),
            question(11, "under way"),
            answer(12, MessageState::Streaming, "so far"),
        ]
    };
    assert_eq!(counted(log(), 100), [1, 2, 5, 6, 9, 10]);
    assert_eq!(counted(log(), 3), [6, 9, 10]);
    assert_eq!(counted(log(), 0), [0; 0]);
}

fn with_question(bytes: usize) -> Prompt {
    Prompt {
        question: "q".repeat(bytes),
        ..prompt("")
    }
}

#[test]
fn an_answer_that_is_being_written_is_noticed() {
    let mut exchanges = Exchanges::default();
    exchanges.take(answer(4, MessageState::Failed, ""));
    assert!(exchanges.are_settled());
    exchanges.take(answer(2, MessageState::Streaming, "so far"));
    assert!(!exchanges.are_settled());
}

#[test]
fn a_question_that_does_not_fit_is_too_long() {
    let room = usize::try_from(prompt("").model.input_room()).unwrap();
    let refused = fill(with_question(room * 3 + 1), "", &[]);
    assert_eq!(refused.err(), Some(TooLong));
}

#[test]
fn roles_are_told_apart() {
    let log = [
        question(1, "Who?"),
        answer(2, MessageState::Complete, "Me."),
    ];
    let turns: Vec<_> = log.iter().map(turn).collect();
    let filled = fill(prompt("Why?"), "Before.", &turns).unwrap();
    assert_eq!(filled.summary, "Before.");
    let roles: Vec<_> = filled.history.iter().map(|turn| turn.role).collect();
    assert_eq!(roles, [Role::User, Role::Assistant]);
}

proptest! {
    #[test]
    fn whatever_is_said_the_prompt_fits(
        asked in 0..45_000_usize,
        summary in 0..45_000_usize,
        lengths in proptest::collection::vec(0..20_000_usize, 0..20),
    ) {
        let said = |length: &usize| Turn { role: Role::User, content: "m".repeat(*length) };
        let log: Vec<_> = lengths.iter().map(said).collect();
        let alone = with_question(asked);
        let room = alone.model.input_room();
        let fits_alone = Prompt { summary: String::new(), history: Vec::new(), ..alone.clone() };
        let fits_alone = fits_alone.estimated_tokens() <= room;
        let bare = Prompt { summary: String::new(), history: Vec::new(), ..alone };
        match fill(bare, &"s".repeat(summary), &log) {
            Err(TooLong) => prop_assert!(!fits_alone),
            Ok(filled) => {
                prop_assert!(fits_alone);
                prop_assert!(filled.estimated_tokens() <= room);
                // The newest without a gap, and one more would not fit.
                let kept = filled.history.len();
                let newest = &log[log.len() - kept..];
                prop_assert_eq!(&filled.history, newest);
                if let Some(next) = log.len().checked_sub(kept + 1).map(|index| &log[index]) {
                    let left = room - filled.estimated_tokens();
                    prop_assert_eq!(newest_that_fit(std::iter::once(next.content.as_str()), left), 0);
                }
            }
        }
    }
}

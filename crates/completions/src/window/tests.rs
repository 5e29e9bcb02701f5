//! What is kept is what would be read.

use confab_rpc::threads::AuthorKind;

use super::*;
use crate::provider::Role;

const MOST: usize = 4;

fn thread() -> Uuid {
    Uuid::from_u128(1)
}

fn place(last_seq: i64) -> Place {
    Place {
        last_seq,
        ..Place::default()
    }
}

fn question(seq: i64) -> Message {
    Message {
        seq,
        author_kind: AuthorKind::Person.into(),
        state: MessageState::Complete.into(),
        content: format!("question {seq}"),
        ..Message::default()
    }
}

fn answer(seq: i64, state: MessageState) -> Message {
    Message {
        author_kind: AuthorKind::Model.into(),
        state: state.into(),
        content: format!("answer {seq}"),
        ..question(seq)
    }
}

fn window(contents: &[&str]) -> Window {
    let turns = contents.iter().map(|content| Turn {
        role: Role::User,
        content: (*content).to_owned(),
    });
    Window {
        turns: turns.collect(),
        ..Window::empty()
    }
}

/// Windows with an exchange at 1 and 2.
fn begun() -> Windows {
    let windows = Windows::default();
    let (question, answer) = (question(1), answer(2, MessageState::Complete));
    windows.go_on(thread(), Place::default(), &question, &answer, MOST);
    windows
}

fn contents(windows: &Windows, place: Place) -> Option<Vec<String>> {
    let window = windows.at(thread(), place, 1000)?;
    let turns = window.turns.iter();
    Some(turns.map(|turn| turn.content.clone()).collect())
}

#[test]
fn a_conversation_goes_on_from_its_beginning() {
    let windows = begun();
    let kept = contents(&windows, place(2));
    assert_eq!(kept.unwrap(), ["question 1", "answer 2"]);
    let roles: Vec<_> = windows.at(thread(), place(2), 0).unwrap().turns.clone();
    assert_eq!(roles[0].role, Role::User);
    assert_eq!(roles[1].role, Role::Assistant);
    for seq in [3, 5] {
        let answer = answer(seq + 1, MessageState::Complete);
        windows.go_on(thread(), place(seq - 1), &question(seq), &answer, MOST);
    }
    let kept = contents(&windows, place(6));
    let newest = ["question 3", "answer 4", "question 5", "answer 6"];
    assert_eq!(kept.unwrap(), newest);
}

#[test]
fn what_was_said_or_deleted_elsewhere_is_read_anew() {
    let windows = begun();
    let deleted = Place {
        deletions: 1,
        ..place(2)
    };
    let summarised = Place {
        summary_seq: 2,
        ..place(2)
    };
    for other in [place(1), place(3), deleted, summarised] {
        assert_eq!(contents(&windows, other), None);
    }
    assert!(windows.at(Uuid::from_u128(2), place(2), 0).is_none());
    assert!(contents(&windows, place(2)).is_some());
}

#[test]
fn an_exchange_that_does_not_follow_or_is_not_over_is_not_added() {
    let complete = |seq| answer(seq, MessageState::Complete);
    let streaming = answer(4, MessageState::Streaming);
    for (before, asked, answered) in [
        (2, 4, complete(5)),
        (2, 3, complete(5)),
        (1, 3, complete(4)),
        (2, 3, streaming),
    ] {
        let windows = begun();
        windows.go_on(thread(), place(before), &question(asked), &answered, MOST);
        assert_eq!(contents(&windows, place(answered.seq)), None);
    }
}

#[test]
fn a_question_without_an_answer_is_passed_over() {
    let windows = begun();
    let failed = answer(4, MessageState::Failed);
    windows.go_on(thread(), place(2), &question(3), &failed, MOST);
    let kept = contents(&windows, place(4));
    assert_eq!(kept.unwrap(), ["question 1", "answer 2"]);
}

#[test]
fn what_may_change_or_fell_short_is_not_taken() {
    let windows = Windows::default();
    let unsettled = Window {
        settled: false,
        ..window(&["so far"])
    };
    windows.keep(thread(), place(2), Arc::new(unsettled));
    assert_eq!(contents(&windows, place(2)), None);

    let short = Window {
        most_tokens: 1000,
        ..window(&["newest"])
    };
    windows.keep(thread(), place(2), Arc::new(short));
    assert!(windows.at(thread(), place(2), 1000).is_some());
    assert!(windows.at(thread(), place(2), 1001).is_none());
}

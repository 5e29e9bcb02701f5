//! What a summary is made of.

use confab_rpc::threads::{AuthorKind, Message};

use uuid::Uuid;

use super::{UnderWay, material};

fn message(author: AuthorKind, content: &str) -> Message {
    Message {
        author_kind: author.into(),
        content: content.to_owned(),
        ..Message::default()
    }
}

#[test]
fn the_old_summary_comes_first() {
    let log = [
        message(AuthorKind::Person, "Who?"),
        message(AuthorKind::Model, "Me."),
    ];
    assert_eq!(
        material("Before.", &log, 100),
        "Summary so far:\nBefore.\n\nMessages:\nUser: Who?\nAssistant: Me.\n"
    );
    assert_eq!(material("", &log[..1], 100), "Messages:\nUser: Who?\n");
}

#[test]
fn a_message_that_is_too_long_alone_is_cut_between_characters() {
    let log = [message(AuthorKind::Person, "ééééé")];
    assert_eq!(material("", &log, 1), "Messages:\nUser: é\n");
}

#[test]
fn one_summary_at_a_time_and_one_more_for_what_came_meanwhile() {
    let (under_way, thread) = (UnderWay::default(), Uuid::from_u128(1));
    let mut turn = under_way.take(thread).unwrap();
    assert!(under_way.take(Uuid::from_u128(2)).is_some());
    for _ in 0..2 {
        assert!(under_way.take(thread).is_none());
    }
    assert!(turn.again());
    assert!(!turn.again());
    let next = under_way.take(thread).unwrap();
    drop(turn);
    assert!(under_way.take(thread).is_none());
    drop(next);
    assert!(under_way.take(thread).is_some());
}

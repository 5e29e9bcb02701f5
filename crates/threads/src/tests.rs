//! The rules that need no database.

use proptest::prelude::*;
use uuid::Uuid;

use crate::answer::{State, may_restart, may_write, unseen};
use crate::exchange::{Attachment, Destination, NewExchange};
use crate::page::{BYTES, Bounds, Extent, fill};
use crate::people::Known;
use crate::text::{self, ANSWER_BYTES, blank_nul, without_nul};

#[test]
fn an_open_answer_admits_its_last_fence_and_higher_ones() {
    assert!(may_write(State::Streaming, 3, 3).is_ok());
    assert!(may_write(State::Streaming, 3, 4).is_ok());
    assert!(may_write(State::Streaming, 3, 2).is_err());
    assert!(may_write(State::Complete, 3, 4).is_err());
}

#[test]
fn an_answer_restarts_under_a_higher_fence_only() {
    assert!(may_restart("first", 3, 4, "second").is_ok());
    assert!(may_restart("first", 3, 3, "second").is_err());
    assert!(may_restart("first", 3, 3, "").is_err());
    assert!(may_restart("second", 3, 3, "second").is_ok());
}

#[test]
fn a_text_is_cut_where_a_character_begins() {
    let from = |start| text::from("aé".into(), start).ok();
    assert_eq!(from(0).as_deref(), Some("aé"));
    assert_eq!(from(1).as_deref(), Some("é"));
    assert_eq!(from(3).as_deref(), Some(""));
    assert_eq!([from(-1), from(2), from(4)], [None, None, None]);
}

#[test]
fn text_that_disagrees_with_what_is_there_is_refused() {
    assert!(unseen(b"abc", "abd").is_err());
    assert!(unseen(b"abc", "xabc").is_err());
    let inside_a_character = &"é".as_bytes()[1..];
    assert!(unseen(inside_a_character, "é").is_err());
}

#[test]
fn nul_goes_from_a_question_and_becomes_a_space_in_an_answer() {
    assert_eq!(without_nul("a\0b".into(), 2, "").unwrap(), "ab");
    assert!(without_nul("abc".into(), 2, "").is_err());
    assert_eq!(blank_nul("é\0b".into()).unwrap(), "é b");
    assert!(blank_nul("x".repeat(ANSWER_BYTES + 1)).is_err());
}

#[test]
fn a_fingerprint_tells_apart_what_a_repeated_call_must_repeat() {
    let thread = Uuid::now_v7();
    let file = |name: &str| Attachment {
        id: Uuid::nil(),
        name: name.into(),
        title: String::new(),
        size: 0,
    };
    let first = NewExchange {
        destination: Destination::Existing(thread),
        question: "hello".into(),
        attachments: vec![file("a.txt")],
        client_msg_id: Some("key".into()),
        run_id: Uuid::now_v7(),
        model: "one".into(),
    };
    let repeated = NewExchange {
        run_id: Uuid::now_v7(),
        model: "two".into(),
        ..first.clone()
    };
    assert_eq!(first.fingerprint(), repeated.fingerprint());
    let others = [
        NewExchange {
            destination: Destination::Existing(Uuid::now_v7()),
            ..first.clone()
        },
        NewExchange {
            question: "helloa".into(),
            attachments: vec![file(".txt")],
            ..first.clone()
        },
        NewExchange {
            attachments: vec![],
            ..first.clone()
        },
        NewExchange {
            client_msg_id: None,
            ..first.clone()
        },
    ];
    for other in others {
        assert_ne!(first.fingerprint(), other.fingerprint());
    }
}

#[test]
fn a_page_ends_at_its_bytes_but_has_one_message() {
    let extents = [
        Extent { seq: 1, bytes: 1 },
        Extent {
            seq: 2,
            bytes: 3 << 20,
        },
        Extent { seq: 3, bytes: 1 },
    ];
    let page = |extents| {
        let page = fill(extents, 500, BYTES);
        (page.seqs, page.more)
    };
    assert_eq!(page(&extents), (Some(1..=1), true));
    assert_eq!(page(&extents[1..]), (Some(2..=2), true));
    assert_eq!(page(&extents[2..]), (Some(3..=3), false));
    assert_eq!(page(&[]), (None, false));
}

#[test]
fn absent_bounds_are_wide_and_no_page_is_longer_than_the_longest() {
    let bounds = Bounds::new(0, 0, false, 0);
    assert_eq!((bounds.before, bounds.limit), (i64::MAX, 500));
    assert_eq!(Bounds::new(0, 7, false, 501).limit, 500);
    assert_eq!(Bounds::new(0, 7, false, 3).limit, 3);
}

#[test]
fn what_is_asked_for_is_remembered_and_the_rest_forgotten() {
    let mut known = Known::new(10);
    for key in 0..100 {
        known.insert(key, key + 1);
        assert_eq!(known.get(0), Some(1));
    }
    let remembered = (0..100).filter(|key| known.get(*key).is_some()).count();
    assert!((10..=20).contains(&remembered));
    assert_eq!(known.get(99), Some(100));
    assert_eq!(known.get(50), None);
}

proptest! {
    /// Whatever piece of a text is sent again, with or without what comes next, exactly what is new is found.
    #[test]
    fn resent_text_adds_what_is_new(text in ".{0,20}", a: prop::sample::Index, b: prop::sample::Index, c: prop::sample::Index) {
        let ends: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
        let mut cuts = [*a.get(&ends), *b.get(&ends), *c.get(&ends)];
        cuts.sort_unstable();
        let [from, middle, to] = cuts;
        let longer = unseen(&text.as_bytes()[from..middle], &text[from..to]);
        prop_assert_eq!(longer.unwrap(), &text[middle..to]);
        let shorter = unseen(&text.as_bytes()[from..to], &text[from..middle]);
        prop_assert_eq!(shorter.unwrap(), "");
    }

    /// Pages that begin where the last one ended hold every message once, and only the last says that there is no more.
    #[test]
    fn pages_tile_the_log(sizes in prop::collection::vec(0..1_500_000_i64, 0..40), limit in 1..10_u32, newest: bool) {
        let mut extents: Vec<Extent> = (1..).zip(sizes).map(|(seq, bytes)| Extent { seq, bytes }).collect();
        if newest {
            extents.reverse();
        }
        let mut rest = extents.as_slice();
        while !rest.is_empty() {
            let page = fill(rest, limit, BYTES);
            let seqs = page.seqs.unwrap();
            let held = seqs.clone().count();
            prop_assert!(held <= limit as usize);
            prop_assert!(held == 1 || rest[..held].iter().map(|extent| extent.bytes).sum::<i64>() <= 2 << 20);
            prop_assert!(rest[..held].iter().all(|extent| seqs.contains(&extent.seq)));
            rest = &rest[held..];
            prop_assert_eq!(page.more, !rest.is_empty());
        }
    }
}

//! The rule of a thread's line, and the order in which one socket gets pushes and answers.

use std::collections::HashMap;
use std::sync::Arc;

use bytestring::ByteString;
use confab_rpc::threads::Entry;
use proptest::prelude::*;
use uuid::Uuid;

use super::line::Line;
use super::seat::{Place, Span};
use super::{Announcement, Announcer, Known, Resume};
use crate::socket::Frame;

/// What happens to the hints of one log.
#[derive(Debug, Clone)]
enum Happening {
    /// A hint arrives, whichever, also one that was there before.
    Hint(i64),
    /// The log is said to go so far.
    Tail(i64),
    /// What was being read arrives, at most so many entries.
    Read(usize),
    /// It could not be read.
    ReadFailed,
}

fn happening(length: i64) -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (1..=length).prop_map(Happening::Hint),
        1 => (1..=length).prop_map(Happening::Tail),
        2 => (1..5_usize).prop_map(Happening::Read),
        1 => Just(Happening::ReadFailed),
    ]
}

/// A line, its reader and what has left.
struct Course {
    line: Line<i64>,
    reading: Option<i64>,
    left: Vec<i64>,
    length: i64,
}

impl Course {
    fn advance(&mut self) {
        while let Some(item) = self.line.take_next() {
            self.left.push(item);
        }
        if let Some(after) = self.line.begin_reading() {
            assert_eq!(self.reading, None, "two readers of one hole");
            self.reading = Some(after);
        }
    }

    fn happen(&mut self, happening: &Happening) {
        match happening {
            Happening::Hint(seq) => {
                let _ = self.line.offer(*seq, *seq);
            }
            Happening::Tail(seq) => self.line.note(*seq),
            Happening::Read(count) => self.read(*count),
            Happening::ReadFailed => {
                if self.reading.take().is_some() {
                    self.line.end_reading();
                }
            }
        }
        self.advance();
    }

    fn read(&mut self, count: usize) {
        let Some(after) = self.reading.take() else {
            return;
        };
        self.line.end_reading();
        for seq in (after + 1..=self.length).take(count) {
            let _ = self.line.offer(seq, seq);
        }
    }
}

proptest! {
    /// Hints that are lost, doubled and swapped at will, with reading that fails, give the log: each entry once, in order,
    /// without a hole, and all of it once the end is known.
    #[test]
    fn whatever_hints_do_the_line_is_the_log(
        begin in 0..20_i64,
        happenings in prop::collection::vec(happening(40), 0..200),
    ) {
        let mut course = Course { line: Line::after(begin), reading: None, left: Vec::new(), length: 40 };
        for happening in &happenings {
            course.happen(happening);
            let expected: Vec<i64> = (begin + 1..).take(course.left.len()).collect();
            prop_assert_eq!(&course.left, &expected);
        }
        course.happen(&Happening::Tail(40));
        while course.reading.is_some() {
            course.happen(&Happening::Read(7));
        }
        prop_assert_eq!(course.left, (begin + 1..=40).collect::<Vec<_>>());
        prop_assert!(!course.line.is_stuck());
    }

    /// Going back repeats exactly what lies between, for whoever has missed it.
    #[test]
    fn a_line_that_goes_back_repeats_what_lies_between(end in 1..30_i64, back in 0..30_i64) {
        let mut course = Course { line: Line::after(0), reading: None, left: Vec::new(), length: end };
        course.happen(&Happening::Tail(end));
        course.happen(&Happening::Read(100));
        course.left.clear();
        course.line.rewind(back);
        course.advance();
        course.happen(&Happening::Read(100));
        prop_assert_eq!(course.left, (back.min(end) + 1..=end).collect::<Vec<_>>());
    }
}

#[test]
fn a_hole_without_end_keeps_a_bounded_number_of_hints() {
    let mut line = Line::after(0);
    for seq in 2..=5000 {
        let _ = line.offer(seq, seq);
    }
    assert_eq!(line.begin_reading(), Some(0));
    assert_eq!(line.begin_reading(), None);
    line.end_reading();
    assert_eq!(line.offer(1, 1), Ok(()));
    let mut last = 0;
    while let Some(seq) = line.take_next() {
        assert_eq!(seq, last + 1);
        last = seq;
    }
    assert!(last < 5000, "all of them were kept");
    assert_eq!(line.begin_reading(), Some(last), "the end is remembered");
}

struct Silent;

impl Announcer for Silent {
    fn needs(&self, _entry: &Entry) -> Vec<String> {
        Vec::new()
    }

    fn announce(&self, _entry: &Entry, _known: &Known) -> Announcement {
        Announcement::default()
    }
}

fn place(replays: bool) -> Arc<Place> {
    Arc::new(Place::new(Uuid::now_v7(), Arc::new(Silent), replays))
}

fn push(place: &Place, thread: i64, seq: i64, own: bool) {
    let frame = ByteString::from(format!("{thread}:{seq}"));
    place.push(thread, seq, &frame, own);
}

/// Everything that waits to leave.
fn queued(place: &Place) -> Vec<String> {
    let frames = std::iter::from_fn(|| place.queue.pop());
    let text = |frame: Frame| String::from_utf8(frame.bytes().to_vec()).unwrap();
    frames.map(text).collect()
}

#[test]
fn an_answer_takes_the_place_of_its_push() {
    let place = place(false);
    push(&place, 1, 1, false);
    let expecting = place.expect_own();
    push(&place, 1, 2, false);
    push(&place, 1, 3, true);
    push(&place, 2, 8, false);
    push(&place, 1, 4, false);
    assert_eq!(queued(&place), ["1:1", "1:2"]);
    place.settle(1, 3, "answer".into());
    drop(expecting);
    assert_eq!(queued(&place), ["answer", "2:8", "1:4"]);
    push(&place, 1, 5, true);
    assert_eq!(queued(&place), ["1:5"]);
}

#[test]
fn an_answer_whose_push_has_not_come_leaves_at_once() {
    let place = place(false);
    let expecting = place.expect_own();
    push(&place, 1, 3, true);
    place.settle(1, 4, "answer".into());
    drop(expecting);
    assert_eq!(queued(&place), ["1:3", "answer"]);
}

#[test]
fn a_request_that_fails_lets_everything_go() {
    let place = place(false);
    let expecting = place.expect_own();
    push(&place, 1, 3, true);
    assert_eq!(queued(&place), Vec::<String>::new());
    drop(expecting);
    assert_eq!(queued(&place), ["1:3"]);
}

#[test]
fn what_happens_during_a_replay_is_left_to_it() {
    let place = place(true);
    push(&place, 1, 7, false);
    push(&place, 2, 1, true);
    push(&place, 1, 9, false);
    assert_eq!(queued(&place), Vec::<String>::new());
    let mut done = HashMap::from([(1, 6)]);
    let moved = place.caught_up(&done).unwrap();
    assert_eq!(moved[&1], Span { first: 7, last: 9 });
    assert_eq!(moved[&2], Span { first: 1, last: 1 });
    // The log was read further than the hints go.
    done.insert(1, 11);
    assert_eq!(place.caught_up(&done), None);
    for seq in 10..=13 {
        push(&place, 1, seq, false);
    }
    push(&place, 3, 1, false);
    assert_eq!(queued(&place), ["1:12", "1:13", "3:1"]);
}

#[test]
fn positions_that_cannot_be_read_are_left_out() {
    assert!(Resume::parse("token=a").is_empty());
    assert!(Resume::parse("resume=&since=x").is_empty());
    assert!(Resume::parse("resume=a:1,2:,:3,4").is_empty());
    assert!(!Resume::parse("token=a&resume=1:2,x,3:4").is_empty());
    assert_eq!(
        Resume::parse("resume=1:2,3:4"),
        Resume::parse("resume=3%3A4&resume=oops,1:2")
    );
    assert!(!Resume::parse("since=7").is_empty());
}

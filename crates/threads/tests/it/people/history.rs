//! Histories: bounds of every kind, pages that miss nothing.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chrono::TimeDelta;
use confab_rpc::threads::{Entry, EntryKind, ListHistoryRequest};
use confab_rpc::{Reason, time};
use confab_runtime::Clock;

use super::calls::{all, seqs};
use super::town::{Town, announcement, file, into, to};
use crate::world::uuid;

/// Ten messages among entries that are none, at 1, 3, 4, 5, 6, 8, 9, 10, 11 and 12.
async fn talk(town: &Town, one: &str, two: &str) -> Vec<Entry> {
    let mut said = vec![town.say(to(one, two, "0")).await];
    let thread = said[0].thread;
    town.mark(two, thread, said[0].id).await.unwrap();
    for number in 1..4 {
        said.push(town.say(into(two, thread, &number.to_string())).await);
    }
    said.push(town.say(file(into(one, thread, "4"))).await);
    town.say(announcement(one, said[4].id)).await;
    for number in 5..10 {
        town.clock.advance(TimeDelta::hours(1));
        said.push(town.say(into(one, thread, &number.to_string())).await);
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one table of cases")]
async fn bounds_combine() {
    for town in Town::both().await {
        let (one, two) = (uuid(), uuid());
        let start = town.clock.now();
        let said = talk(&town, &one, &two).await;
        let thread = said[0].thread;
        let base = || all(&two, thread);
        let page = async |request| {
            let (entries, more) = town.history(request).await.unwrap();
            let found = entries.iter().map(|entry| entry.content.clone());
            (found.collect::<String>(), more)
        };
        assert_eq!(town.history(base()).await, Ok((said.clone(), false)));
        assert_eq!(seqs(&said), [1, 3, 4, 5, 6, 8, 9, 10, 11, 12]);
        let at = |hours| Some(time::to_wire(start + TimeDelta::hours(hours)));
        let cases = [
            (ListHistoryRequest { limit: 3, ..base() }, "012", true),
            (
                ListHistoryRequest {
                    limit: 3,
                    newest: true,
                    ..base()
                },
                "789",
                true,
            ),
            (
                ListHistoryRequest {
                    before_message_id: said[3].id,
                    ..base()
                },
                "012",
                false,
            ),
            (
                ListHistoryRequest {
                    after_message_id: said[6].id,
                    ..base()
                },
                "789",
                false,
            ),
            (
                ListHistoryRequest {
                    after_message_id: said[1].id,
                    before_message_id: said[8].id,
                    limit: 2,
                    newest: true,
                    ..base()
                },
                "67",
                true,
            ),
            (
                ListHistoryRequest {
                    around_message_id: said[5].id,
                    limit: 4,
                    ..base()
                },
                "3456",
                true,
            ),
            (
                ListHistoryRequest {
                    around_message_id: said[0].id,
                    limit: 4,
                    ..base()
                },
                "01",
                true,
            ),
            (
                ListHistoryRequest {
                    around_message_id: said[9].id,
                    limit: 2,
                    ..base()
                },
                "89",
                true,
            ),
            (
                ListHistoryRequest {
                    around_message_id: said[5].id,
                    ..base()
                },
                "0123456789",
                false,
            ),
            (
                ListHistoryRequest {
                    around_message_id: said[5].id,
                    limit: 1,
                    ..base()
                },
                "5",
                true,
            ),
            (
                ListHistoryRequest {
                    from: at(1),
                    until: at(3),
                    ..base()
                },
                "56",
                false,
            ),
            (
                ListHistoryRequest {
                    until: at(0),
                    ..base()
                },
                "",
                false,
            ),
            (
                ListHistoryRequest {
                    kinds: vec![EntryKind::File.into()],
                    ..base()
                },
                "4",
                false,
            ),
        ];
        for (request, contents, more) in cases {
            assert_eq!(
                page(request.clone()).await,
                (contents.to_owned(), more),
                "{request:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_are_messages_of_the_thread() {
    for town in Town::both().await {
        let (one, two) = (uuid(), uuid());
        let said = talk(&town, &one, &two).await;
        let elsewhere = town.say(to(&one, &uuid(), "elsewhere")).await;
        let base = || all(&two, said[0].thread);
        for id in [elsewhere.id, -1, i64::MAX] {
            for request in [
                ListHistoryRequest {
                    before_message_id: id,
                    ..base()
                },
                ListHistoryRequest {
                    after_message_id: id,
                    ..base()
                },
                ListHistoryRequest {
                    around_message_id: id,
                    ..base()
                },
            ] {
                assert_eq!(town.history(request).await, Err(Reason::MessageNotFound));
            }
            let marked = town.mark(&two, said[0].thread, id).await;
            assert_eq!(marked, Err(Reason::MessageNotFound));
        }
        let kinds = ListHistoryRequest {
            kinds: vec![EntryKind::Read.into()],
            ..base()
        };
        assert_eq!(town.history(kinds).await, Err(Reason::Invalid));
        assert_eq!(town.entry(&two, said[3].id).await, Ok(said[3].clone()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_from_either_end_tile_a_log_of_long_messages() {
    for town in Town::both().await {
        let (one, two) = (uuid(), uuid());
        let long = "x".repeat(16 * 1024);
        let sends = (0..150).map(|_| to(&one, &two, &long)).collect();
        let sent = town.send(sends).await;
        let said: Vec<Entry> = sent.into_iter().map(|it| it.unwrap().0).collect();
        let thread = said[0].thread;
        assert_eq!(town.log(thread).await, said);
        let (first, more) = town.history(all(&one, thread)).await.unwrap();
        assert!(more);
        let rest = ListHistoryRequest {
            after_message_id: first.last().unwrap().id,
            ..all(&one, thread)
        };
        let (rest, more) = town.history(rest).await.unwrap();
        assert!(!more);
        assert_eq!([first, rest].concat(), said);
        let newest = ListHistoryRequest {
            newest: true,
            ..all(&one, thread)
        };
        let (last, more) = town.history(newest).await.unwrap();
        assert!(more);
        let rest = ListHistoryRequest {
            before_message_id: last[0].id,
            newest: true,
            ..all(&one, thread)
        };
        let (rest, more) = town.history(rest).await.unwrap();
        assert!(!more);
        assert_eq!([rest, last].concat(), said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_of_files_with_long_captions_fit_into_replies() {
    for town in Town::both().await {
        let (one, two) = (uuid(), uuid());
        let caption = "x".repeat(16 * 1024);
        let files = (0..150).map(|_| file(to(&one, &two, &caption))).collect();
        let files = town.send(files).await;
        let files: Vec<Entry> = files.into_iter().map(|it| it.unwrap().0).collect();
        let announced = files.iter().map(|file| announcement(&one, file.id));
        let announced = town.send(announced.collect()).await;
        let announced = announced.into_iter().map(|it| it.unwrap().0);
        let said: Vec<Entry> = files.iter().cloned().chain(announced).collect();
        assert_eq!(town.log(said[0].thread).await, said);
    }
}

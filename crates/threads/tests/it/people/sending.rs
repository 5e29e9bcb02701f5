//! Sends are stored once, in order, without holes, however many come at the same time.

use confab_rpc::Reason;
use confab_rpc::threads::{EntryKind, Send, ThreadKind};
use futures_util::future::join_all;
use sea_orm::ConnectionTrait;

use super::calls::seqs;
use super::town::{Town, announcement, deliver, file, into, keyed, to};
use crate::world::uuid;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_message_makes_the_thread_of_a_pair() {
    for town in Town::both().await {
        let (one, two) = (uuid(), uuid());
        let first = town.say(to(&one, &two, "hel\0lo")).await;
        assert_eq!((first.seq, first.content.as_str()), (1, "hello"));
        assert_eq!(first.thread_kind(), ThreadKind::Direct);
        assert_eq!((&first.author_id, &first.receiver_id), (&one, &two));
        let second = town.say(to(&two, &one, "hi")).await;
        assert_eq!((second.thread, second.seq), (first.thread, 2));
        assert_eq!((&second.author_id, &second.receiver_id), (&two, &one));
        let third = town.say(into(&one, first.thread, "again")).await;
        assert_eq!((third.seq, &third.receiver_id), (3, &two));
        assert_eq!(town.log(first.thread).await, [first, second, third]);
        assert_eq!(town.heard.entries().len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_sends_leave_no_hole_and_keep_each_senders_order() {
    let replicas = Town::replicas().await;
    let [sqlite, postgres]: [Town; 2] = Town::both().await.try_into().ok().unwrap();
    for (town, instances) in [(sqlite, 1), (postgres, 1), (replicas, 2)] {
        let users: Vec<String> = (0..8).map(|_| uuid()).collect();
        let names: Vec<&str> = users.iter().map(String::as_str).collect();
        let groups = [town.group_of(&names).await, town.group_of(&names).await];
        let streams = users.iter().enumerate().map(|(position, user)| {
            let sends = (0..50).map(|number| match number % 3 {
                2 => to(user, &users[(position + 1) % 8], &number.to_string()),
                group => into(user, groups[group], &number.to_string()),
            });
            let sends: Vec<Send> = sends.collect();
            let batches = sends.chunks(7).map(<[Send]>::to_vec).collect();
            deliver(town.replica(position % instances), batches)
        });
        let mut threads: Vec<i64> = groups.to_vec();
        for (user, outcomes) in users.iter().zip(join_all(streams).await) {
            let entries: Vec<_> = outcomes.into_iter().map(|it| it.unwrap().0).collect();
            assert!(entries.iter().all(|entry| &entry.author_id == user));
            for group in groups {
                let own = entries.iter().filter(|entry| entry.thread == group);
                assert!(own.map(|entry| entry.seq).is_sorted());
            }
            threads.extend(entries.iter().map(|entry| entry.thread));
        }
        threads.sort_unstable();
        threads.dedup();
        assert_eq!(threads.len(), 10);
        let mut stored = 0;
        for thread in threads {
            let log = town.log(thread).await;
            assert_eq!(seqs(&log), (1..).take(log.len()).collect::<Vec<_>>());
            stored += log.len();
        }
        assert_eq!(stored, 8 * 50 + 16);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_stores_one_entry_from_everywhere_at_once() {
    let replicas = Town::replicas().await;
    let [sqlite, postgres]: [Town; 2] = Town::both().await.try_into().ok().unwrap();
    for (town, instances) in [(sqlite, 1), (postgres, 1), (replicas, 2)] {
        let (one, two) = (uuid(), uuid());
        let send = keyed(to(&one, &two, "once"), "key");
        let streams = (0..50).map(|stream| {
            let batch = vec![vec![send.clone()]];
            deliver(town.replica(stream % instances), batch)
        });
        let outcomes: Vec<_> = join_all(streams).await.into_iter().flatten().collect();
        let entries: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
        assert!(entries.iter().all(|(entry, _)| *entry == entries[0].0));
        assert_eq!(entries.iter().filter(|(_, replayed)| !replayed).count(), 1);
        assert_eq!(town.log(entries[0].0.thread).await.len(), 1);
        assert_eq!(town.heard.entries().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_one_content() {
    for town in Town::both().await {
        let (one, two, three) = (uuid(), uuid(), uuid());
        let group = town.group_of(&[&one]).await;
        let [first, again, other]: [_; 3] = town
            .send(vec![
                keyed(to(&one, &two, "a"), "key"),
                keyed(to(&one, &two, "a"), "key"),
                keyed(to(&one, &two, "b"), "key"),
            ])
            .await
            .try_into()
            .unwrap();
        let original = first.unwrap().0;
        assert_eq!(again, Ok((original.clone(), true)));
        assert_eq!(other, Err(Reason::KeyReused));
        for elsewhere in [to(&one, &three, "a"), into(&one, group, "a")] {
            let sent = town.send_one(keyed(elsewhere, "key")).await;
            assert_eq!(sent, Err(Reason::KeyReused));
        }
        let by_other = town.send_one(keyed(to(&two, &one, "a"), "key")).await;
        assert!(!by_other.unwrap().1);
        let later = town.send_one(keyed(to(&one, &two, "b"), "key")).await;
        assert_eq!(later, Err(Reason::KeyReused));
        let later = town.send_one(keyed(to(&one, &two, "a"), "key")).await;
        assert_eq!(later, Ok((original, true)));
        assert_eq!(town.direct(&one, &three).await, Err(Reason::ThreadNotFound));
    }
}

/// As after a reconnect: what was sent before and what is new arrive together.
#[tokio::test(flavor = "multi_thread")]
async fn repeats_among_new_messages_take_nothing_along_and_leave_no_hole() {
    for town in Town::both().await {
        let (one, two, three) = (uuid(), uuid(), uuid());
        let old = town.say(keyed(to(&one, &two, "old"), "old")).await;
        let sends = vec![
            keyed(to(&one, &two, "new"), "new"),
            keyed(to(&one, &two, "old"), "old"),
            keyed(to(&one, &two, "another"), "old"),
            keyed(to(&one, &three, "elsewhere"), "elsewhere"),
            to(&one, &two, "last"),
        ];
        let [new, again, another, elsewhere, last]: [_; 5] =
            town.send(sends).await.try_into().unwrap();
        assert_eq!(again, Ok((old.clone(), true)));
        assert_eq!(another, Err(Reason::KeyReused));
        let fresh = [new, last, elsewhere].map(|sent| {
            let (entry, replayed) = sent.unwrap();
            assert!(!replayed);
            entry
        });
        assert_eq!(fresh.each_ref().map(|entry| entry.seq), [2, 3, 1]);
        let [new, last, elsewhere] = fresh;
        assert_eq!(town.log(old.thread).await, [old, new, last]);
        assert_eq!(town.log(elsewhere.thread).await, [elsewhere]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_pair_gets_one_thread_from_both_sides_and_replicas() {
    let town = Town::replicas().await;
    let centre = uuid();
    let others: Vec<String> = (0..20).map(|_| uuid()).collect();
    let forth = others
        .iter()
        .map(|other| to(&centre, other, "forth"))
        .collect();
    let back = others
        .iter()
        .rev()
        .map(|other| to(other, &centre, "back"))
        .collect();
    let (forth, back) = tokio::join!(
        deliver(town.replica(0), vec![forth]),
        deliver(town.replica(1), vec![back])
    );
    for (forth, back) in forth.into_iter().zip(back.into_iter().rev()) {
        let (forth, back) = (forth.unwrap().0, back.unwrap().0);
        assert_eq!(forth.thread, back.thread);
        assert_eq!(forth.seq + back.seq, 3);
    }
    assert_eq!(town.conversations(&centre).await.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_database_refuses_takes_no_other_along() {
    for town in Town::both().await {
        let trap = match town.database().backend() {
            sea_orm::DbBackend::Postgres => {
                "ALTER TABLE message ADD CONSTRAINT no_poison CHECK (content <> 'poison')"
            }
            _ => {
                "CREATE TRIGGER no_poison BEFORE INSERT ON message WHEN NEW.content = 'poison' \
                 BEGIN SELECT RAISE(ABORT, 'poison'); END"
            }
        };
        town.database()
            .write()
            .execute_unprepared(trap)
            .await
            .unwrap();
        let (one, two) = (uuid(), uuid());
        let sends = ["a", "b", "poison", "c"].map(|content| to(&one, &two, content));
        let outcomes = town.send(sends.to_vec()).await;
        assert_eq!(outcomes[2], Err(Reason::Internal));
        let stored: Vec<i64> = outcomes
            .iter()
            .flatten()
            .map(|(entry, _)| entry.seq)
            .collect();
        assert_eq!(stored, [1, 2, 3]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_announced_once_by_its_author() {
    for town in Town::both().await {
        let (one, two) = (uuid(), uuid());
        let stored = town.say(file(to(&one, &two, "a caption"))).await;
        assert_eq!(stored.attachments[0].name, "plan.pdf");
        let text = town.say(to(&one, &two, "text")).await;
        let outcomes = town
            .send(vec![
                announcement(&two, stored.id),
                announcement(&one, text.id),
                announcement(&one, stored.id),
                announcement(&one, stored.id),
                announcement(&one, 0),
            ])
            .await;
        assert_eq!(outcomes[0], Err(Reason::MessageNotFound));
        assert_eq!(outcomes[1], Err(Reason::MessageNotFound));
        assert_eq!(outcomes[4], Err(Reason::MessageNotFound));
        let (first, replayed) = outcomes[2].clone().unwrap();
        assert_eq!((first.kind(), replayed), (EntryKind::Announcement, false));
        assert_eq!((first.seq, first.refers_to), (3, stored.id));
        assert_eq!(first.announced.as_deref(), Some(&stored));
        assert_eq!(outcomes[3], Ok((first.clone(), true)));
        let later = town
            .send_one(keyed(announcement(&one, stored.id), "k"))
            .await;
        assert_eq!(later, Ok((first.clone(), true)));
        assert_eq!(town.log(first.thread).await, [stored, text, first]);
    }
}

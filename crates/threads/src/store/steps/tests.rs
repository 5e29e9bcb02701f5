//! Steps of several threads in one transaction: each as if it were alone.

use chrono::{DateTime, Utc};
use confab_database::Database;
use confab_database::scratch::Scratch;
use confab_migrations::threads::Migrator;
use uuid::Uuid;

use super::{AnswerEnd, Step, Written, take_together};
use crate::answer::{Ending, Receipt, State};
use crate::exchange::{Destination, NewExchange};
use crate::page::Bounds;
use crate::store::{Threads, message, thread};
use crate::thread::{Kind, NewThread, Which};

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

async fn thread(database: &Database, user: Uuid) -> Uuid {
    let new = NewThread {
        id: Uuid::now_v7(),
        kind: Kind::Assistant,
        title: "Title".to_owned(),
        instructions: String::new(),
        model_id: None,
    };
    let threads = Threads::of(database, user);
    threads.create(&new, at(0)).await.unwrap().id
}

fn question(thread: Uuid, text: &str, key: &str) -> NewExchange {
    NewExchange {
        destination: Destination::Existing(thread),
        question: text.to_owned(),
        attachments: Vec::new(),
        client_msg_id: Some(key.to_owned()).filter(|key| !key.is_empty()),
        run_id: Uuid::now_v7(),
        model: "gpt".to_owned(),
    }
}

fn end(thread_id: Uuid, answer: &message::Model, fence: i64, text: Option<&str>) -> Step {
    Step::End(AnswerEnd {
        thread_id,
        message_id: answer.id,
        run_id: answer.run_id.unwrap(),
        fence,
        ending: Ending {
            state: State::Complete,
            content: text.map(str::to_owned),
            receipt: Some(Receipt {
                provider: "ollama".to_owned(),
                cost_microdollars: 7,
                ..Receipt::default()
            }),
            model: None,
        },
    })
}

async fn log(database: &Database, user: Uuid, thread: Uuid) -> Vec<(i64, State, String)> {
    let bounds = Bounds {
        after: 0,
        before: i64::MAX,
        newest: false,
        limit: 100,
    };
    let threads = Threads::of(database, user);
    let (messages, _) = threads.messages(thread, bounds).await.unwrap();
    let entry = |message: message::Model| (message.seq, message.state, message.content);
    messages.into_iter().map(entry).collect()
}

async fn row(database: &Database, user: Uuid, thread: Uuid) -> thread::Model {
    let threads = Threads::of(database, user);
    threads.get(Which::Id(thread)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_steps_are_taken_together_and_the_others_are_left() {
    for scratch in Scratch::both().await {
        scratch.database.migrate::<Migrator>().await.unwrap();
        let database = &scratch.database;
        let (ann, bob) = (Uuid::now_v7(), Uuid::now_v7());
        let (anns, bobs) = (thread(database, ann).await, thread(database, bob).await);
        let quiet = thread(database, bob).await;
        let old = Threads::of(database, bob);
        let old = old
            .append(&question(quiet, "old", ""), at(1))
            .await
            .unwrap();
        let steps = [
            Step::Append(ann, question(anns, "one", "key")),
            Step::Append(bob, question(bobs, "two", "key")),
            // Not hers.
            Step::Append(ann, question(quiet, "no", "")),
            // The second in its thread waits.
            Step::Append(ann, question(anns, "three", "")),
            Step::Append(ann, question(Uuid::now_v7(), "nowhere", "")),
            end(quiet, &old.answer, 2, Some("said")),
            end(quiet, &old.answer, 2, Some("again")),
            end(anns, &old.answer, 2, Some("elsewhere")),
        ];
        let written = take_together(database, &steps, at(2)).await.unwrap();
        let which: Vec<_> = written.iter().map(Option::is_some).collect();
        assert_eq!(
            which,
            [true, true, false, false, false, false, false, false],
            "a question that may not be asked leaves its thread alone"
        );
        let [
            Some(Written::Appended(first)),
            Some(Written::Appended(second)),
            ..,
        ] = &written[..]
        else {
            panic!("{written:?}");
        };
        for (exchange, user, id) in [(first, ann, anns), (second, bob, bobs)] {
            assert_eq!(exchange.thread, row(database, user, id).await);
            assert_eq!(exchange.thread.last_seq, 2);
            assert_eq!(exchange.thread.active_at, at(2));
            let question = exchange.question.as_ref().unwrap();
            assert_eq!(exchange.answer.answers, Some(question.id));
            assert_eq!((question.seq, exchange.answer.seq), (1, 2));
        }
        assert_eq!(row(database, bob, quiet).await.last_seq, 2);

        let ends = [
            end(anns, &first.answer, 2, Some("1")),
            end(bobs, &second.answer, 2, Some("2")),
            end(quiet, &old.answer, 2, None),
            Step::Append(bob, question(quiet, "more", "")),
        ];
        let written = take_together(database, &ends, at(3)).await.unwrap();
        let told: Vec<_> = written
            .iter()
            .map(|written| match written {
                Some(Written::Ended(message)) => (message.content.as_str(), message.fence),
                Some(Written::Appended(exchange)) => ("seq", exchange.answer.seq),
                None => ("left", 0),
            })
            .collect();
        assert_eq!(told, [("1", 2), ("2", 2), ("", 2), ("seq", 4)]);
        let said = log(database, ann, anns).await;
        let expected = [
            (1, State::Complete, "one".to_owned()),
            (2, State::Complete, "1".to_owned()),
        ];
        assert_eq!(said, expected);
        assert_eq!(row(database, ann, anns).await.active_at, at(3));
        assert_eq!(log(database, bob, quiet).await.len(), 4);

        // What has ended, or is somebody else's by now, is left.
        let ends = [
            end(anns, &first.answer, 3, Some("x")),
            end(quiet, &old.answer, 1, Some("x")),
        ];
        let written = take_together(database, &ends, at(4)).await.unwrap();
        assert!(written.iter().all(Option::is_none));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_was_used_before_leaves_everything_as_it_was() {
    for scratch in Scratch::both().await {
        scratch.database.migrate::<Migrator>().await.unwrap();
        let database = &scratch.database;
        let (ann, bob) = (Uuid::now_v7(), Uuid::now_v7());
        let (anns, bobs) = (thread(database, ann).await, thread(database, bob).await);
        let threads = Threads::of(database, ann);
        let new = question(anns, "one", "key");
        threads.append(&new, at(1)).await.unwrap();
        let steps = [
            Step::Append(bob, question(bobs, "two", "")),
            Step::Append(ann, question(anns, "three", "key")),
        ];
        let failed = take_together(database, &steps, at(2)).await.unwrap_err();
        assert!(confab_database::violated_unique(&failed).is_some());
        assert_eq!(row(database, bob, bobs).await.last_seq, 0);
        assert_eq!(row(database, ann, anns).await.last_seq, 2);
    }
}

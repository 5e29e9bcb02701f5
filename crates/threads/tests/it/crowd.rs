//! Many who write to one thread at the same time.

use std::collections::HashMap;

use confab_rpc::Reason;
use confab_rpc::threads::{
    AppendExchangeRequest, AppendMessageRequest, DeleteMessageRequest, ListMessagesRequest,
};
use tokio::task::JoinSet;

use crate::world::{Outcome, World, all, answer_only, outcome, question, said, uuid};

/// One call, and the messages that it wrote: their `seq` and id.
#[derive(Debug, Clone)]
enum Call {
    Say(AppendMessageRequest),
    Ask(AppendExchangeRequest),
    Delete(DeleteMessageRequest),
}

async fn call(world: &World, call: Call) -> Outcome<Vec<(i64, i64)>> {
    let mut client = world.client();
    let written = match call {
        Call::Say(request) => vec![outcome(client.append_message(request).await)?],
        Call::Ask(request) => {
            let exchange = outcome(client.append_exchange(request).await)?;
            let question = exchange.question.into_iter();
            question.chain(exchange.answer).collect()
        }
        Call::Delete(request) => {
            outcome(client.delete_message(request).await)?;
            vec![]
        }
    };
    Ok(written
        .into_iter()
        .map(|message| (message.seq, message.id))
        .collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn all_at_once_leave_an_order_without_a_gap() {
    for world in World::both().await {
        let world = std::sync::Arc::new(world);
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let mut doomed = Vec::new();
        for n in 0..20 {
            let message = world.say(said(&user, &thread, &n.to_string())).await;
            doomed.push(message.unwrap());
        }
        let mut calls = JoinSet::new();
        for message in &doomed {
            let delete = Call::Delete(DeleteMessageRequest {
                user_id: user.clone(),
                message_id: message.id,
            });
            let written = [
                Call::Say(said(&user, &thread, "said")),
                Call::Ask(question(&user, &thread, "asked")),
                Call::Ask(answer_only(&user, &thread)),
            ];
            for one in written.into_iter().chain([delete.clone(), delete]) {
                let world = world.clone();
                calls.spawn(async move { call(&world, one).await });
            }
        }
        let outcomes = calls.join_all().await;
        let refused: Vec<Reason> = outcomes
            .iter()
            .filter_map(|one| one.clone().err())
            .collect();
        // Each message is deleted by one of the two who try.
        assert_eq!(refused, [Reason::MessageNotFound; 20]);
        let mut written: HashMap<i64, i64> = HashMap::new();
        for messages in outcomes.into_iter().flatten() {
            assert!(messages.is_sorted_by(|one, next| one.0 + 1 == next.0));
            written.extend(messages);
        }
        let mut seqs: Vec<i64> = written.keys().copied().collect();
        seqs.sort_unstable();
        assert_eq!(seqs, (21..=100).collect::<Vec<_>>());
        let known = world.get(&user, &thread).await.unwrap();
        assert_eq!((known.last_seq, known.deletions), (100, 20));
        let request = ListMessagesRequest {
            limit: 100,
            ..all(&user, &thread)
        };
        let (log, more) = world.page(request).await.unwrap();
        assert!(!more);
        let stored: Vec<i64> = log.iter().map(|message| message.seq).collect();
        assert_eq!(stored, seqs);
        assert!(log.iter().all(|one| written.get(&one.seq) == Some(&one.id)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_identical_messages_one_is_written() {
    for world in World::both().await {
        let user = uuid();
        let thread = world.thread(&user).await.id;
        let message = AppendMessageRequest {
            client_msg_id: "key".into(),
            ..said(&user, &thread, "hello")
        };
        let calls = [
            (Call::Say(message), 1),
            (Call::Ask(answer_only(&user, &thread)), 2),
        ];
        for (one, last_seq) in calls {
            let replies = (0..50).map(|_| call(&world, one.clone()));
            let replies = futures_util::future::join_all(replies).await;
            assert!(
                replies
                    .iter()
                    .all(|reply| reply.is_ok() && *reply == replies[0])
            );
            let known = world.get(&user, &thread).await.unwrap();
            assert_eq!(known.last_seq, last_seq);
        }
    }
}

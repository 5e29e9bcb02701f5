//! Who is not in a conversation learns nothing of it, and what cannot be stored is refused.

use confab_rpc::Reason;
use confab_rpc::threads::{
    AttachmentRef, DeleteThreadRequest, EntryKind, GetThreadRequest, ListMessagesRequest,
    ListPositionsRequest, Send,
};

use super::calls::all;
use super::town::{NOT_THERE, Town, announcement, file, into, to};
use crate::world::{outcome, question, uuid};

#[tokio::test(flavor = "multi_thread")]
async fn strangers_see_nothing() {
    for town in Town::both().await {
        let (one, two) = (uuid(), uuid());
        let group = town.group_of(&[&one, &two]).await;
        let in_group = town.say(into(&one, group, "secret")).await;
        let direct = town.say(file(to(&one, &two, "secret"))).await;
        for stranger in [uuid(), "nobody".into(), String::new()] {
            for message in [&in_group, &direct] {
                let thread = message.thread;
                assert_eq!(town.get(&stranger, thread).await, Err(NOT_THERE));
                assert_eq!(town.history(all(&stranger, thread)).await, Err(NOT_THERE));
                assert_eq!(
                    town.mark(&stranger, thread, message.id).await,
                    Err(NOT_THERE)
                );
                assert_eq!(
                    town.send_one(into(&stranger, thread, "me")).await,
                    Err(NOT_THERE)
                );
                let entry = town.entry(&stranger, message.id).await;
                assert_eq!(entry, Err(Reason::MessageNotFound));
            }
            assert_eq!(town.direct(&stranger, &two).await, Err(NOT_THERE));
        }
        let stranger = uuid();
        let announced = town.send_one(announcement(&stranger, direct.id)).await;
        assert_eq!(announced, Err(Reason::MessageNotFound));
        assert!(town.conversations(&stranger).await.is_empty());
        let request = ListPositionsRequest {
            user_ids: vec![stranger],
        };
        let positions = outcome(town.people().list_positions(request).await).unwrap();
        assert!(positions.users[0].positions.is_empty());
        assert_eq!(town.log(group).await.len(), 3);
        assert_eq!(town.log(direct.thread).await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn threads_between_people_are_no_threads_with_a_model() {
    for town in Town::both().await {
        let (one, two) = (uuid(), uuid());
        town.say(to(&one, &two, "hello")).await;
        let thread = town.direct(&one, &two).await.unwrap();
        let get = GetThreadRequest {
            user_id: one.clone(),
            thread_id: thread.id.clone(),
            number: 0,
        };
        assert_eq!(
            outcome(town.threads().get_thread(get).await),
            Err(NOT_THERE)
        );
        let delete = DeleteThreadRequest {
            user_id: one.clone(),
            thread_id: thread.id.clone(),
        };
        assert_eq!(
            outcome(town.threads().delete_thread(delete).await),
            Err(NOT_THERE)
        );
        let append = question(&one, &thread.id, "hello");
        assert_eq!(
            outcome(town.threads().append_exchange(append).await),
            Err(NOT_THERE)
        );
        let list = ListMessagesRequest {
            user_id: one.clone(),
            thread_id: thread.id.clone(),
            ..Default::default()
        };
        assert_eq!(
            outcome(town.threads().list_messages(list).await),
            Err(NOT_THERE)
        );
        assert_eq!(town.direct(&one, &two).await, Ok(thread));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_is_somebody_else() {
    for town in Town::both().await {
        let user = uuid();
        for receiver in [user.as_str(), "", "seven"] {
            let sent = town.send_one(to(&user, receiver, "hello")).await;
            assert_eq!(sent, Err(Reason::ReceiverInvalid));
            assert_eq!(town.direct(&user, receiver).await, Err(NOT_THERE));
        }
        assert_eq!(town.direct(&user, &uuid()).await, Err(NOT_THERE));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_stored_is_refused_alone() {
    for town in Town::both().await {
        let (one, two) = (uuid(), uuid());
        let fine = to(&one, &two, "fine");
        let attachment = AttachmentRef {
            id: "seven".into(),
            ..Default::default()
        };
        let bad = [
            to("nobody", &two, "x"),
            to(&one, &two, &"x".repeat(16 * 1024 + 1)),
            Send {
                client_msg_id: "k".repeat(256),
                ..fine.clone()
            },
            Send {
                client_msg_id: "\0".into(),
                ..fine.clone()
            },
            Send {
                kind: EntryKind::Joined.into(),
                ..fine.clone()
            },
            Send {
                kind: 0,
                ..fine.clone()
            },
            Send {
                kind: EntryKind::File.into(),
                ..fine.clone()
            },
            Send {
                kind: EntryKind::Profile.into(),
                ..fine.clone()
            },
            Send {
                attachments: vec![attachment; 11],
                ..fine.clone()
            },
            Send {
                target: None,
                ..fine.clone()
            },
        ];
        let count = bad.len();
        let outcomes = town.send([bad.to_vec(), vec![fine.clone()]].concat()).await;
        assert!(
            outcomes[..count]
                .iter()
                .all(|it| *it == Err(Reason::Invalid))
        );
        assert_eq!(outcomes[count].clone().unwrap().0.seq, 1);
        let too_many = town.send(vec![fine; 257]).await;
        assert!(too_many.iter().all(|it| *it == Err(Reason::Invalid)));
        let card = Send {
            kind: EntryKind::Profile.into(),
            profile_id: two.clone(),
            ..to(&one, &two, "")
        };
        assert_eq!(town.say(card).await.profile_id, two);
    }
}

//! Groups: who owns one, who comes in, what that says in the log.

use confab_rpc::Reason;
use confab_rpc::threads::{EntryKind, ListMembersRequest, ThreadKind};
use futures_util::future::join_all;

use super::calls::seqs;
use super::town::{NOT_THERE, Town, deliver, into, to};
use crate::world::{outcome, uuid};

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_group_is_seen_by_its_owner_until_somebody_joins() {
    for town in Town::both().await {
        let (owner, other) = (uuid(), uuid());
        let group = town.group(&owner).await;
        assert_eq!((group.kind(), &group.owner_id), (ThreadKind::Group, &owner));
        assert!(group.members.is_empty());
        assert_eq!(town.get(&owner, group.number).await, Ok(group.clone()));
        assert_eq!(town.get(&other, group.number).await, Err(NOT_THERE));
        assert_eq!(
            town.send_one(into(&owner, group.number, "?")).await,
            Err(NOT_THERE)
        );
        assert!(town.conversations(&owner).await.is_empty());
        town.join(&other, group.number, 0).await.unwrap();
        assert_eq!(town.get(&owner, group.number).await, Err(NOT_THERE));
        let seen = town.get(&other, group.number).await.unwrap();
        assert_eq!(seen.members, [other]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn joining_again_finds_the_first_join() {
    for town in Town::both().await {
        let (owner, other) = (uuid(), uuid());
        let group = town.group_of(&[&owner]).await;
        let said = town.say(into(&owner, group, "hello")).await;
        let unknown = town.join(&other, group, said.id + 1000).await;
        assert_eq!(unknown, Err(Reason::MessageNotFound));
        let first = town.join(&other, group, said.id).await.unwrap();
        let joined = first.joined.clone().unwrap();
        assert_eq!((joined.kind(), joined.seq), (EntryKind::Joined, 3));
        assert_eq!((joined.membership_version, joined.read_seq), (2, said.seq));
        assert_eq!((first.already, first.newest_message_id), (false, said.id));
        assert_eq!(town.get(&other, group).await.unwrap().unread, 0);
        let again = town.join(&other, group, 0).await.unwrap();
        assert_eq!((again.joined, again.already), (Some(joined), true));
        assert_eq!(town.log(group).await.len(), 3);
        let request = ListMembersRequest { thread: group };
        let members = outcome(town.people().list_members(request).await).unwrap();
        assert_eq!(members.members, [owner, other]);
        assert_eq!(members.membership_version, 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_joins_a_direct_thread_or_what_is_not_there() {
    for town in Town::both().await {
        let direct = town.say(to(&uuid(), &uuid(), "between us")).await.thread;
        for thread in [direct, direct + 1000, 0, -1] {
            assert_eq!(town.join(&uuid(), thread, 0).await, Err(NOT_THERE));
        }
        assert_eq!(town.join("nobody", direct, 0).await, Err(NOT_THERE));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn joins_race_with_sends() {
    for town in Town::both().await {
        let founder = uuid();
        let group = town.group_of(&[&founder]).await;
        let joiners: Vec<String> = (0..20).map(|_| uuid()).collect();
        let joins = joiners.iter().map(|user| town.join(user, group, 0));
        let sends = (0..60).map(|number| into(&founder, group, &number.to_string()));
        let sends: Vec<_> = sends.collect();
        let batches = sends.chunks(3).map(<[_]>::to_vec).collect();
        let (joins, sent) = tokio::join!(join_all(joins), deliver(town.people(), batches));
        assert!(joins.iter().all(Result::is_ok) && sent.iter().all(Result::is_ok));
        let log = town.log(group).await;
        assert_eq!(seqs(&log), (1..=81).collect::<Vec<_>>());
        // An entry names the version that the joins before it made.
        let mut version = 0;
        for entry in log {
            if entry.kind() == EntryKind::Joined {
                version += 1;
            }
            assert_eq!(entry.membership_version, version);
        }
    }
}

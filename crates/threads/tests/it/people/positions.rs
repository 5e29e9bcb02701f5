//! What gateways ask: where logs end, who came, what everybody wrote.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use chrono::TimeDelta;
use confab_rpc::Reason;
use confab_rpc::threads::{
    CompareTailsRequest, ListPositionsRequest, Position, ReadRecentRequest, ReadRecentResponse,
};

use super::town::{Town, announcement, file, into, to};
use crate::world::{outcome, question, uuid};

impl Town {
    async fn positions(&self, user: &str) -> Vec<(i64, i64)> {
        self.positions_of(&[user]).await.remove(0)
    }

    async fn positions_of(&self, users: &[&str]) -> Vec<Vec<(i64, i64)>> {
        let request = ListPositionsRequest {
            user_ids: users.iter().map(|user| (*user).to_owned()).collect(),
        };
        let reply = outcome(self.people().list_positions(request).await).unwrap();
        let of_each = reply.users.into_iter().map(|user| {
            let positions = user.positions.into_iter();
            positions
                .map(|position| (position.thread, position.seq))
                .collect()
        });
        of_each.collect()
    }

    async fn recent(&self, after_id: i64) -> ReadRecentResponse {
        let request = ReadRecentRequest { after_id };
        outcome(self.people().read_recent(request).await).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_are_the_ends_of_a_users_logs() {
    for town in Town::both().await {
        let (one, two) = (uuid(), uuid());
        let group = town.group_of(&[&one, &two]).await;
        town.clock.advance(TimeDelta::seconds(1));
        let direct = town.say(to(&one, &two, "hello")).await.thread;
        assert_eq!(town.positions(&two).await, [(direct, 1), (group, 2)]);
        town.clock.advance(TimeDelta::seconds(1));
        town.say(into(&two, group, "hello")).await;
        assert_eq!(town.positions(&one).await, [(group, 3), (direct, 1)]);
        let listed = town.conversations(&one).await;
        let listed: Vec<i64> = listed.iter().map(|listed| listed.number).collect();
        assert_eq!(listed, [group, direct]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn positions_of_several_users_are_those_of_each() {
    for town in Town::both().await {
        let (one, two, nobody) = (uuid(), uuid(), uuid());
        let first = town.group_of(&[&one]).await;
        town.clock.advance(TimeDelta::seconds(1));
        let both = town.group_of(&[&one, &two]).await;
        let positions = town.positions_of(&[&two, &nobody, &one, &two]).await;
        let of_two = vec![(both, 2)];
        let of_one = vec![(both, 2), (first, 1)];
        assert_eq!(positions, [of_two.clone(), vec![], of_one, of_two]);
        let too_many = ListPositionsRequest {
            user_ids: vec![one.clone(); 101],
        };
        let refused = outcome(town.people().list_positions(too_many).await);
        assert_eq!(refused.map(|_| ()), Err(Reason::Invalid));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_tells_what_moved_and_who_came() {
    for town in Town::both().await {
        let (one, two) = (uuid(), uuid());
        let group = town.group_of(&[&one]).await;
        let start = town.compare(CompareTailsRequest::default()).await;
        assert!(start.moved.is_empty() && start.arrivals.is_empty());
        let known = vec![
            Position {
                thread: group,
                seq: 1,
            },
            Position {
                thread: group + 1000,
                seq: 0,
            },
        ];
        let request = |known: &Vec<Position>, since| CompareTailsRequest {
            known: known.clone(),
            users: vec![two.clone(), "nobody".into()],
            since,
        };
        let quiet = town.compare(request(&known, start.now)).await;
        assert!(quiet.moved.is_empty() && quiet.arrivals.is_empty());
        town.clock.advance(TimeDelta::seconds(1));
        town.join(&two, group, 0).await.unwrap();
        let direct = town.say(to(&one, &two, "hello")).await.thread;
        let moved = town.compare(request(&known, start.now)).await;
        assert_eq!(
            moved.moved,
            [Position {
                thread: group,
                seq: 2
            }]
        );
        let mut arrivals: Vec<(i64, i64)> = moved
            .arrivals
            .iter()
            .map(|arrival| (arrival.thread, arrival.joined_seq))
            .collect();
        arrivals.sort_unstable();
        assert_eq!(arrivals, [(group, 1), (direct, 0)]);
        assert!(moved.arrivals.iter().all(|arrival| arrival.user_id == two));
        assert!(
            town.compare(request(&known, None))
                .await
                .arrivals
                .is_empty()
        );
        town.clock.advance(TimeDelta::hours(1));
        let later = town.compare(request(&vec![], None)).await.now;
        assert!(
            town.compare(request(&vec![], later))
                .await
                .arrivals
                .is_empty()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recent_entries_are_those_of_people() {
    for town in Town::both().await {
        let (one, two) = (uuid(), uuid());
        let first = town.say(file(to(&one, &two, "first"))).await;
        let start = town.recent(0).await;
        assert_eq!((start.entries.len(), start.last_id), (0, first.id));
        let other = confab_rpc::threads::AppendExchangeRequest {
            new_thread: Some(crate::world::new_thread(&one)),
            ..question(&one, "", "to a model")
        };
        outcome(town.threads().append_exchange(other).await).unwrap();
        let announced = town.say(announcement(&one, first.id)).await;
        let said = town.say(to(&uuid(), &uuid(), "elsewhere")).await;
        let recent = town.recent(first.id).await;
        assert_eq!(recent.last_id, said.id);
        assert_eq!(recent.entries, [announced, said]);
    }
}

//! Who talks with whom.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use confab_testkit::people::{Dialect, Person, Positions};
use confab_testkit::walker::Target;
use confab_testkit::{direct, groups};
use futures_util::future::join_all;

use crate::topology::Topology;

/// How that begins which is said before the history does, so that everybody knows where each thread is.
pub(super) const FIRST: &str = "before it began";

/// Everybody's conversations.
pub(super) struct Crowd {
    /// Of each pair, in their order: the thread.
    pairs: Vec<i64>,
    /// Of each group in their order: the chat.
    groups: Vec<i64>,
    /// Where everybody is.
    everybody: i64,
    /// How many are in a group.
    size: usize,
    /// The end of each thread.
    ends: Positions,
    /// Texts that are not part of the history.
    pub(super) said: BTreeSet<String>,
}

/// Makes the conversations of people.
pub(super) async fn prepare(
    topology: &Topology,
    paired: &[Person],
    grouped: &[Person],
    size: usize,
) -> Crowd {
    let mut crowd = Crowd {
        pairs: Vec::new(),
        groups: Vec::new(),
        everybody: 0,
        size,
        ends: Positions::new(),
        said: BTreeSet::new(),
    };
    let address = topology.gateway(0);
    for pair in paired.chunks_exact(2) {
        let mut client = direct::Client::connect(address, &pair[0]).await;
        let said = client.say(pair[1].id, &crowd.first()).await;
        crowd.pairs.push(said.thread);
        crowd.ends.insert(said.thread, said.seq);
    }
    for group in grouped.chunks(size) {
        let chat = crowd.gather(address, group).await;
        crowd.groups.push(chat);
    }
    if !grouped.is_empty() {
        crowd.everybody = crowd.gather(address, grouped).await;
    }
    crowd
}

impl Crowd {
    /// Something to begin another thread with.
    fn first(&mut self) -> String {
        let text = format!("{FIRST} {}", self.said.len());
        self.said.insert(text.clone());
        text
    }

    /// Makes a chat of some people.
    async fn gather(&mut self, address: SocketAddr, people: &[Person]) -> i64 {
        let mut first = groups::Client::connect(address, &people[0]).await;
        let chat = first.create().await;
        join_all(people.iter().map(async |person| {
            let mut client = groups::Client::connect(address, person).await;
            client.join(chat).await;
        }))
        .await;
        let said = first.say(chat, &self.first()).await;
        let seq = said["seq"].as_i64().expect("a message has a place");
        self.ends.insert(chat, seq);
        chat
    }

    /// The numbers of all threads.
    pub(super) fn threads(&self) -> Vec<i64> {
        self.ends.keys().copied().collect()
    }

    /// The sockets of all of them. A socket of the direct language shows no group; one of the other language shows all.
    pub(super) fn walks(
        &self,
        paired: &[Person],
        grouped: &[Person],
    ) -> Vec<(Dialect, Person, Target, Positions)> {
        let mut walks = Vec::new();
        for (index, person) in paired.iter().enumerate() {
            let positions = self.positions(&[self.pairs[index / 2]]);
            let other = Target::User(paired[index ^ 1].id);
            for (dialect, target) in [(Dialect::Direct, other), (Dialect::Groups, Target::Nobody)] {
                walks.push((dialect, person.clone(), target, positions.clone()));
            }
        }
        for (index, person) in grouped.iter().enumerate() {
            let group = self.groups[index / self.size];
            let positions = self.positions(&[group, self.everybody]);
            let first = index % self.size == 0;
            let chat = if first { self.everybody } else { group };
            let target = Target::Chat(chat);
            walks.push((Dialect::Groups, person.clone(), target, positions));
        }
        walks
    }

    /// One more socket of somebody who is in a pair, which only listens.
    pub(super) fn listens(
        &self,
        paired: &[Person],
        index: usize,
    ) -> (Dialect, Person, Target, Positions) {
        let index = index % paired.len();
        let positions = self.positions(&[self.pairs[index / 2]]);
        (
            Dialect::Groups,
            paired[index].clone(),
            Target::Nobody,
            positions,
        )
    }

    fn positions(&self, threads: &[i64]) -> Positions {
        let threads = threads.iter();
        threads.map(|thread| (*thread, self.ends[thread])).collect()
    }
}

//! People who talk and listen whatever happens to the gateways, and write down what they see.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use confab_testkit::checker::{Violation, check};
use confab_testkit::history::{History, Story, What};
use confab_testkit::people::{Dialect, Positions};
use confab_testkit::walker::{Conductor, Habits, Target, Walk, Walker};
use confab_testkit::{Rest, System, direct, groups, in_time};
use futures_util::future::join_all;

use super::gateway;

/// When it is taken to never happen.
const IN_TIME: Duration = Duration::from_mins(1);

/// Said before the history began.
const FIRST: &str = "the first of two";

/// A conversation of two and a group, over both dialects and all gateways.
pub(super) struct Load {
    walkers: Vec<Walker>,
    history: History,
    threads: Vec<i64>,
    conductor: Conductor,
    total: usize,
}

impl Load {
    /// Makes the people and their conversations. Each of five says `sends` things; three listen only.
    pub(super) async fn prepare(system: &System, sends: usize) -> Self {
        let names = ["ann", "ben", "kim", "dan", "eve", "mallory"];
        let people = system.people_named(names).await;
        let [ann, ben, kim, dan, eve, mallory] = &people;
        let address = system.address();
        // Everybody starts from a known place of each thread.
        let mut first = direct::Client::connect(address, ann).await;
        let pair = first.say(ben.id, FIRST).await.thread;
        let mut chat = 0;
        for member in [kim, dan, eve] {
            let mut client = groups::Client::connect(address, member).await;
            if chat == 0 {
                chat = client.create().await;
            }
            client.join(chat).await;
        }
        let walks = [
            (Dialect::Direct, ann, Target::User(ben.id)),
            (Dialect::Direct, ben, Target::User(ann.id)),
            (Dialect::Direct, ben, Target::Nobody),
            (Dialect::Groups, ann, Target::Nobody),
            (Dialect::Groups, kim, Target::Chat(chat)),
            (Dialect::Groups, dan, Target::Chat(chat)),
            (Dialect::Groups, eve, Target::Chat(chat)),
            (Dialect::Direct, mallory, Target::Nobody),
            (Dialect::Groups, mallory, Target::Nobody),
        ];
        let history = History::new();
        let conductor = Conductor::new();
        let threads = vec![pair, chat];
        let starts = system.table(&threads).await;
        let habits = Habits {
            sends: Some(sends),
            ..Habits::default()
        };
        let everybody = people.clone().into();
        let before = Arc::new(BTreeSet::from([FIRST.to_owned()]));
        let rest = Rest::anonymous(address);
        let mut walkers = Vec::new();
        for (index, (dialect, person, target)) in walks.into_iter().enumerate() {
            let mine = |thread: &i64| starts.members.contains_key(&(*thread, person.id));
            let ends = threads.iter().copied().filter(mine);
            let ends = ends.map(|thread| (thread, end_of(&starts, thread)));
            let walk = Walk {
                dialect,
                person: person.clone(),
                people: Arc::clone(&everybody),
                gateways: rotated(system, index),
                target,
                positions: ends.collect(),
                before: Arc::clone(&before),
            };
            let recorder = history.lineage(person.id);
            walkers.push(Walker::new(
                walk,
                habits.clone(),
                recorder,
                &conductor,
                &rest,
            ));
        }
        Self {
            walkers,
            history,
            threads,
            conductor,
            total: 5 * sends,
        }
    }

    /// Lets them talk while `faults` does what it does; gives what was broken. `faults` must leave a system that works.
    pub(super) async fn run(
        self,
        system: &mut System,
        faults: impl AsyncFnOnce(&mut System, &Conductor),
    ) -> Vec<Violation> {
        let walks = join_all(self.walkers.into_iter().map(Walker::run));
        let (conductor, threads, total) = (&self.conductor, &self.threads, self.total);
        let driving = async {
            faults(system, conductor).await;
            conductor.acknowledged(total).await;
            assert!(conductor.hush(IN_TIME).await, "all is answered");
            let table = system.table(threads).await;
            let ends = threads
                .iter()
                .map(|thread| (*thread, end_of(&table, *thread)));
            let goal: Positions = ends.collect();
            assert!(conductor.catch_up(goal, IN_TIME).await, "all is heard");
            conductor.end();
        };
        let (walked, ()) = in_time("all is said and heard", async {
            tokio::join!(walks, driving)
        })
        .await;
        let surprises = walked.iter().flat_map(|walked| &walked.surprises);
        assert_eq!(surprises.collect::<Vec<_>>(), Vec::<&String>::new());
        let mut table = system.table(&self.threads).await;
        table.messages.retain(|message| message.body != FIRST);
        let story = self.history.story();
        assert!(reads(&story) >= total, "each acknowledged send is read");
        check(&story, &table)
    }
}

fn reads(story: &Story) -> usize {
    let reads = story.events.iter();
    let reads = reads.filter(|event| matches!(event.what, What::Read { .. }));
    reads.count()
}

/// The addresses of the gateways, beginning with another one for each index.
fn rotated(system: &System, index: usize) -> Vec<SocketAddr> {
    let gateways = system.addresses().len();
    (0..gateways)
        .map(|step| gateway(system, index + step))
        .collect()
}

fn end_of(table: &confab_testkit::checker::Table, thread: i64) -> i64 {
    let messages = table.messages.iter().filter(|m| m.thread == thread);
    let said = messages.map(|message| message.seq).max();
    let members = table.members.iter().filter(|member| member.0.0 == thread);
    let joined = members.map(|(_, seq)| *seq).max();
    said.max(joined).unwrap_or_default()
}

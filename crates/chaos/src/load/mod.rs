//! The load that a scenario is judged under: people at sockets of both languages, in pairs, groups and one crowd, and
//! people who ask a model. Everything they see goes into one history.

mod asker;
mod crowd;
mod people;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use confab_testkit::history::{History, Story, What};
use confab_testkit::people::{Dialect, Person, Positions};
use confab_testkit::walker::{Conductor, Habits, Target, Walk, Walked, Walker};
use confab_testkit::{Rest, in_time};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use asker::{Answer, Asked, Asker};
pub use people::register;

use crate::topology::Topology;

/// How much of it there is.
#[derive(Debug, Clone)]
pub struct Load {
    /// Pairs of people who talk to each other in the direct language. Each of them listens in the other one too.
    pub pairs: usize,
    /// Groups of eight. One of each talks into the crowd, in which everybody is who is in a group; the others to their group.
    pub groups: usize,
    /// How many things are said in a second, by all together.
    pub sends_per_second: f64,
    /// Sockets more that only listen, of those who are in pairs.
    pub listeners: usize,
    /// People who are in nobody's conversation and listen all the same.
    pub outsiders: usize,
    /// People who ask a model, one question after another.
    pub askers: usize,
    /// Sends without an answer that one socket may have.
    pub window: usize,
    /// One in so many sends is read back through another gateway.
    pub read_every: usize,
    /// The longest that a socket may be silent before its front end leaves it: half as long again as there is between pings.
    pub patience: Duration,
}

impl Default for Load {
    /// What two cores carry with programs that are not optimised, and their servers.
    fn default() -> Self {
        Self {
            pairs: 6,
            groups: 2,
            sends_per_second: 20.0,
            listeners: 0,
            outsiders: 2,
            askers: 3,
            window: 3,
            read_every: 10,
            patience: Duration::from_secs(3),
        }
    }
}

/// How many are in a group.
const GROUP: usize = 8;

/// What a front end waits at least before it tries the same thing again.
const RETRY: Duration = Duration::from_millis(100);

/// A load that goes on.
pub struct Running {
    /// Everybody who takes part, the outsiders last.
    pub people: Arc<[Person]>,
    /// The threads that they talk in.
    pub threads: Vec<i64>,
    /// Leads the people.
    pub conductor: Conductor,
    /// What everybody saw.
    pub history: History,
    /// An HTTP client whose connections all share.
    pub rest: Rest,
    walkers: JoinSet<Walked>,
    askers: JoinSet<Asked>,
    /// What came of those who have their last answer.
    asked: Vec<Asked>,
    asking: tokio::sync::watch::Sender<bool>,
}

/// What became of a load besides what is in the history.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What each socket's front end went through.
    pub walked: Vec<Walked>,
    /// What was asked, and what came of it.
    pub asked: Vec<Asked>,
}

impl Outcome {
    /// How sockets ended, over all.
    #[must_use]
    pub fn closes(&self) -> BTreeMap<Option<u16>, usize> {
        let mut all = BTreeMap::new();
        for (code, count) in self.walked.iter().flat_map(|walked| &walked.closes) {
            *all.entry(*code).or_default() += count;
        }
        all
    }

    /// How many sockets fell silent, over all.
    #[must_use]
    pub fn silences(&self) -> usize {
        self.walked.iter().map(|walked| walked.silences).sum()
    }

    /// Errors that answered sends, over all.
    #[must_use]
    pub fn errors(&self) -> BTreeMap<String, usize> {
        let mut all = BTreeMap::new();
        for (text, count) in self.walked.iter().flat_map(|walked| &walked.errors) {
            *all.entry(text.clone()).or_default() += count;
        }
        all
    }
}

impl Running {
    /// Makes the people and their conversations, and lets them begin.
    pub async fn start(load: &Load, topology: &Topology, seed: u64) -> Self {
        let rest = Rest::anonymous(topology.addresses(0)[0]);
        let members = 2 * load.pairs + GROUP * load.groups;
        let people = people::endow(&rest, topology, members + load.outsiders).await;
        let people: Arc<[Person]> = people.into();
        let (members, outsiders) = people.split_at(members);
        let (paired, grouped) = members.split_at(2 * load.pairs);
        let crowd = crowd::prepare(topology, paired, grouped, GROUP).await;
        let history = History::new();
        let conductor = Conductor::new();
        let mut running = Self {
            threads: crowd.threads(),
            people: Arc::clone(&people),
            conductor,
            history,
            rest,
            walkers: JoinSet::new(),
            askers: JoinSet::new(),
            asked: Vec::new(),
            asking: tokio::sync::watch::Sender::new(true),
        };
        running.conductor.silence();
        #[expect(clippy::cast_precision_loss, reason = "people are few")]
        let pace = Duration::from_secs_f64(members.len() as f64 / load.sends_per_second);
        let habits = Habits {
            sends: None,
            pace,
            after: Duration::ZERO,
            window: load.window,
            read_every: load.read_every,
            patience: load.patience,
            answer_within: Duration::from_secs(10),
            retry: RETRY,
        };
        let listeners = (0..load.listeners).map(|index| crowd.listens(paired, index));
        let walks = crowd
            .walks(paired, grouped)
            .into_iter()
            .chain(listeners)
            .chain(outsiders.iter().flat_map(|outsider| {
                Dialect::BOTH
                    .map(|dialect| (dialect, outsider.clone(), Target::Nobody, Positions::new()))
            }));
        let before = Arc::new(crowd.said.clone());
        let walks: Vec<_> = walks.collect();
        let count = u32::try_from(walks.len()).expect("sockets are few");
        for (index, (dialect, person, target, positions)) in (0..).zip(walks) {
            let walk = Walk {
                dialect,
                people: Arc::clone(&running.people),
                gateways: topology.addresses(index as usize),
                target,
                positions,
                before: Arc::clone(&before),
                person,
            };
            let after = pace * index / count;
            running.walk(
                walk,
                Habits {
                    after,
                    ..habits.clone()
                },
            );
        }
        let all = running
            .conductor
            .until(|tally| tally.connected == tally.walkers);
        in_time("everybody is connected", all).await;
        for (index, person) in people.iter().take(load.askers).enumerate() {
            let asker = Asker::new(person, topology.addresses(index), seed ^ index as u64);
            running.ask(asker);
        }
        running.conductor.speak();
        running
    }

    /// Lets one more socket be opened.
    pub fn walk(&mut self, walk: Walk, habits: Habits) {
        let recorder = self.history.lineage(walk.person.id);
        let walker = Walker::new(walk, habits, recorder, &self.conductor, &self.rest);
        self.walkers.spawn(walker.run());
    }

    /// Lets one more person ask a model.
    pub fn ask(&mut self, asker: Asker) {
        self.askers.spawn(asker.run(self.asking.subscribe()));
    }

    /// Lets everything come to rest: nobody begins anything, what has no answer gets one, a model's answers come to their end,
    /// and everybody comes back once more and hears all there is. Says what did not.
    pub async fn settle(&mut self, longest: Duration) -> Vec<String> {
        let mut unsettled = Vec::new();
        self.asking.send_replace(false);
        if !self.conductor.hush(longest).await {
            let busy = self.conductor.tally().busy;
            unsettled.push(format!("{busy} sockets still wait for an answer"));
        }
        let goal = ends(&self.history.story());
        if !self.conductor.catch_up(goal, longest).await {
            let tally = self.conductor.tally();
            let behind = tally.walkers - tally.caught_up;
            unsettled.push(format!("{behind} sockets have not heard everything"));
        }
        let asked = async {
            while let Some(asked) = self.askers.join_next().await {
                self.asked.push(asked.expect("a front end does not panic"));
            }
        };
        if timeout(longest, asked).await.is_err() {
            let waiting = self.askers.len();
            unsettled.push(format!("{waiting} who ask still wait for an answer"));
        }
        unsettled
    }

    /// Lets everybody go home. Of those who still wait for an answer of a model then, nothing is known.
    pub async fn end(&mut self) -> Outcome {
        self.conductor.end();
        let mut outcome = Outcome {
            asked: std::mem::take(&mut self.asked),
            ..Outcome::default()
        };
        self.askers.abort_all();
        while let Some(walked) = self.walkers.join_next().await {
            outcome
                .walked
                .push(walked.expect("a front end does not panic"));
        }
        outcome
    }
}

/// Whether this was said before the history began, so that everybody knows where each thread is.
#[must_use]
pub fn said_before(text: &str) -> bool {
    text.starts_with(crowd::FIRST)
}

/// The last message of each thread that anybody knows of.
fn ends(story: &Story) -> Positions {
    let mut ends = Positions::new();
    for event in &story.events {
        let (What::Deliver(message) | What::Ack { message, .. }) = &event.what else {
            continue;
        };
        let end = ends.entry(message.thread).or_default();
        *end = message.seq.max(*end);
    }
    ends
}

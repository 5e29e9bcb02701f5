//! Finds what no hint told of: compares how far threads go with the log, and reads along while the broker is away.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use confab_delivery::Link;
use confab_rpc::Fault;
use confab_rpc::threads::{CompareTailsRequest, Position, ReadRecentRequest};
use confab_runtime::Tasks;
use prost_types::Timestamp;
use tokio::time::{Instant, sleep};

use super::Live;
use super::shard::Comparison;

/// Time between comparisons while hints arrive.
const PERIOD: Duration = Duration::from_secs(2);

/// Time between comparisons while they do not.
const WITHOUT_HINTS: Duration = Duration::from_millis(500);

/// Threads and users of one comparison.
const BATCH: usize = 10_000;

/// How far back everybody's entries are read again, as ids are handed out before they are committed.
const OVERLAP: Duration = Duration::from_secs(3);

/// Pages of everybody's entries in one go; a gateway that is further behind has its own threads compared instead.
const PAGES: usize = 8;

/// So long after the last answer the log counts as out of reach. Answers come every two seconds; one that does not come is
/// given up later than this.
const OUT_OF_REACH: Duration = Duration::from_secs(5);

/// When the log was reached last.
#[derive(Debug)]
pub(super) struct Reach(Mutex<Instant>);

impl Reach {
    /// A log of which nothing is known yet counts as reached just now.
    pub(super) fn new() -> Self {
        Self(Mutex::new(Instant::now()))
    }

    fn reached(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether the log has not answered for some seconds.
    pub(super) fn is_lost(&self) -> bool {
        let last = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.elapsed() > OUT_OF_REACH
    }
}

/// Goes on until `tasks` are stopping.
pub(super) fn open(live: Live, tasks: &Tasks) {
    let stopping = tasks.stopping();
    tasks.spawn("tails", async move {
        stopping.run_until_cancelled(Tails::new(live).run()).await;
    });
}

struct Tails {
    live: Live,
    /// `now` of the last two comparisons. Arrivals are looked for since the one before the last, so that one that was
    /// being committed is found by the next.
    since: [Option<Timestamp>; 2],
    /// Highest ids there were, and when.
    recent: VecDeque<(Instant, i64)>,
}

impl Tails {
    fn new(live: Live) -> Self {
        Self {
            live,
            since: [None, None],
            recent: VecDeque::new(),
        }
    }

    async fn run(mut self) {
        let mut link = self.live.0.link.clone();
        loop {
            let up = *link.borrow_and_update() == Link::Up;
            let outcome = if up {
                self.recent.clear();
                Ok(())
            } else {
                self.read_along().await
            };
            match outcome.and(self.compare().await) {
                Ok(()) => self.live.0.reach.reached(),
                Err(fault) => tracing::warn!(%fault, "threads cannot be compared with their log"),
            }
            let pause = if up { PERIOD } else { WITHOUT_HINTS };
            tokio::select! {
                () = sleep(pause) => {}
                // A link that came or went is a reason to look at once.
                Ok(()) = link.changed() => {}
            }
        }
    }

    async fn compare(&mut self) -> Result<(), Fault> {
        let Comparison { known, users } = self.live.0.shards.compare().await;
        if users.is_empty() {
            self.since = [None, None];
            return self.knock().await;
        }
        let mut now = None;
        let mut parts = known.chunks(BATCH);
        let mut groups = users.chunks(BATCH);
        loop {
            let (part, group) = (parts.next(), groups.next());
            if part.is_none() && group.is_none() {
                break;
            }
            let found = self.compare_part(part, group).await?;
            now = now.or(found);
        }
        self.since = [self.since[1], now];
        Ok(())
    }

    /// Sees whether the log is there, where there is nothing to compare with it.
    async fn knock(&self) -> Result<(), Fault> {
        let request = ReadRecentRequest { after_id: 0 };
        self.live.0.backends.people().read_recent(request).await?;
        Ok(())
    }

    async fn compare_part(
        &self,
        known: Option<&[Position]>,
        users: Option<&[String]>,
    ) -> Result<Option<Timestamp>, Fault> {
        let request = CompareTailsRequest {
            known: known.unwrap_or_default().to_vec(),
            users: users.unwrap_or_default().to_vec(),
            since: self.since[0].or(self.since[1]),
        };
        let found = self.live.0.backends.people().compare_tails(request).await?;
        let found = found.into_inner();
        self.live.0.shards.compared(found.moved, found.arrivals);
        Ok(found.now)
    }

    /// Reads everybody's entries instead of being told of them.
    async fn read_along(&mut self) -> Result<(), Fault> {
        let oldest = Instant::now().checked_sub(OVERLAP);
        while self.recent.len() > 1 && self.recent.get(1).map(|it| it.0) <= oldest {
            self.recent.pop_front();
        }
        let mut after_id = self.recent.front().map_or(0, |it| it.1);
        for _ in 0..PAGES {
            let request = ReadRecentRequest { after_id };
            let read = self.live.0.backends.people().read_recent(request).await?;
            let read = read.into_inner();
            let last = read.entries.last().map_or(read.last_id, |entry| entry.id);
            let through = last >= read.last_id || read.entries.is_empty();
            self.live.feed(read.entries).await;
            if through {
                self.recent.push_back((Instant::now(), read.last_id));
                return Ok(());
            }
            after_id = last;
        }
        // Too much for one go: the comparison that follows finds what concerns this gateway.
        self.recent.clear();
        Ok(())
    }
}

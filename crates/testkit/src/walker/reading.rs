//! Reading back what was just said, through another gateway than that of the socket unless no other answers.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{Target, Walker};
use crate::history::{Message, Recorder, What};
use crate::people::Person;
use crate::{Rest, direct, groups};

impl Walker {
    /// Begins to read where it talks; `thread` is the number of that.
    pub(super) fn read_back(&mut self, thread: i64) {
        let count = self.walk.gateways.len();
        let gateways = (1..=count).map(|step| self.walk.gateways[(self.at + step) % count]);
        let reading = Reading {
            gateways: gateways
                .map(|address| (address, self.rests[&address].clone()))
                .collect(),
            target: self.walk.target,
            person: self.walk.person.clone(),
            people: Arc::clone(&self.walk.people),
            recorder: self.recorder.clone(),
            thread,
        };
        let before = Arc::clone(&self.walk.before);
        let (retry, patience) = (self.habits.retry, self.habits.patience);
        self.reads.push(Box::pin(async move {
            let mut period = interval(retry);
            period.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for (address, rest) in reading.gateways.iter().cycle() {
                period.tick().await;
                let asked = reading.recorder.now();
                let read = reading.history(*address, rest);
                match timeout(patience, read).await {
                    Ok(Ok(Some(mut messages))) => {
                        messages.retain(|message| !before.contains(&message.body));
                        reading.recorder.record(What::Read {
                            thread: reading.thread,
                            asked,
                            messages,
                        });
                        return None;
                    }
                    Ok(Err(surprise)) => return Some(surprise),
                    // Away, or too slow.
                    Ok(Ok(None)) | Err(_) => {}
                }
            }
            None
        }));
    }
}

struct Reading {
    gateways: Vec<(SocketAddr, Rest)>,
    target: Target,
    person: Person,
    people: Arc<[Person]>,
    recorder: Recorder,
    thread: i64,
}

impl Reading {
    /// What was said; `None` when the gateway or what it needs is away.
    async fn history(
        &self,
        address: SocketAddr,
        rest: &Rest,
    ) -> Result<Option<Vec<Message>>, String> {
        match self.target {
            Target::User(other) => direct::history(rest, other).await,
            Target::Chat(chat) => {
                Ok(groups::history(address, &self.person, chat, &self.people).await)
            }
            Target::Nobody => Ok(Some(Vec::new())),
        }
    }
}

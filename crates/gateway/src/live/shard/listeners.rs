//! One shard: its threads, who listens to them, and the rule that brings every entry to every listener once.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use confab_rpc::Fault;
use confab_rpc::threads::{Arrival, Entry, Position, ReadLogRequest, ReadLogResponse};
use confab_runtime::Tasks;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::super::Reply;
use super::super::announcer::{Announcement, Announcer};
use super::super::line::Line;
use super::super::people::{Known, People};
use super::super::seat::Place;
use super::arrivals::{beginning, newcomers, start};
use super::{Command, Comparison};
use crate::backends::Backends;

/// How long a hole may wait for its hint before the log is read. Hints of one thread come on several ways, and now and then
/// one overtakes another.
const OVERTAKING: Duration = Duration::from_millis(50);

/// Threads of one shard that are compared with the log at a time.
const COMPARED: usize = 10_000;

/// One shard.
pub(super) struct Listeners {
    users: HashMap<String, User>,
    threads: HashMap<i64, Thread>,
    /// The rooms that have ever had a socket.
    rooms: Vec<Arc<dyn Announcer>>,
    /// Where the next comparison goes on.
    compared: usize,
    backends: Backends,
    people: People,
    commands: mpsc::WeakUnboundedSender<Command>,
    tasks: Tasks,
}

/// A user with a socket here.
pub(super) struct User {
    places: Vec<Arc<Place>>,
    threads: HashSet<i64>,
    /// Whether `threads` are all the user has in this shard, so that any other thread is a new one.
    pub(super) complete: bool,
}

/// A thread with a listener here.
struct Thread {
    line: Line<Item>,
    /// Members with sockets here, and the entry from behind which each hears.
    audience: HashMap<String, i64>,
    looking_up: bool,
}

impl Thread {
    fn after(seq: i64) -> Self {
        Self {
            line: Line::after(seq),
            audience: HashMap::new(),
            looking_up: false,
        }
    }
}

struct Item {
    entry: Entry,
    own: Option<Own>,
}

/// A request that is answered when its entry's turn comes.
struct Own {
    place: Arc<Place>,
    reply: Reply,
    placed: oneshot::Sender<()>,
}

impl Own {
    fn settle(self, entry: &Entry) {
        let frame = (self.reply)(entry);
        self.place.settle(entry.thread, entry.seq, frame);
        // Whoever waited may have gone.
        let _ = self.placed.send(());
    }
}

impl Listeners {
    pub(super) fn new(
        backends: &Backends,
        people: &People,
        commands: mpsc::WeakUnboundedSender<Command>,
        tasks: &Tasks,
    ) -> Self {
        Self {
            users: HashMap::new(),
            threads: HashMap::new(),
            rooms: Vec::new(),
            compared: 0,
            backends: backends.clone(),
            people: people.clone(),
            commands,
            tasks: tasks.clone(),
        }
    }

    pub(super) async fn run(
        mut self,
        mut told: mpsc::UnboundedReceiver<Command>,
        mut hints: mpsc::Receiver<Vec<Entry>>,
    ) {
        loop {
            tokio::select! {
                biased;
                Some(command) = told.recv() => self.handle(command),
                Some(entries) = hints.recv() => {
                    for entry in entries {
                        self.hear(Item { entry, own: None });
                    }
                }
                else => return,
            }
        }
    }

    fn handle(&mut self, command: Command) {
        match command {
            Command::Attach {
                place,
                positions,
                complete,
                done,
            } => {
                self.attach(place, &positions, complete);
                // Whoever waited may have gone.
                let _ = done.send(());
            }
            Command::Detach(place) => self.detach(&place),
            Command::Own {
                entry,
                place,
                reply,
                placed,
            } => {
                let own = Own {
                    place,
                    reply,
                    placed,
                };
                self.hear(Item {
                    entry: *entry,
                    own: Some(own),
                });
            }
            Command::Awaited { thread, after_seq } => self.awaited(thread, after_seq),
            Command::Read { thread, read } => self.read(thread, read),
            Command::LookedUp { thread, found } => {
                if let Some(it) = self.threads.get_mut(&thread) {
                    it.looking_up = false;
                    // Otherwise the next comparison tries again.
                    if found {
                        self.advance(thread);
                    }
                }
            }
            Command::Compare(answer) => {
                let _ = answer.send(self.comparison());
            }
            Command::Compared { moved, arrivals } => self.compared(&moved, arrivals),
        }
    }

    fn attach(&mut self, place: Arc<Place>, positions: &[Position], complete: bool) {
        if !self.rooms.iter().any(|room| is(room, &place.announcer)) {
            self.rooms.push(Arc::clone(&place.announcer));
        }
        let id = place.user.clone();
        let user = self.users.entry(id.clone()).or_insert_with(|| User {
            places: Vec::new(),
            threads: HashSet::new(),
            complete,
        });
        let is_first = user.places.is_empty();
        user.places.push(place);
        for &Position { thread, seq } in positions {
            // The user came into it while another socket was here, which must hear it from the beginning: not from where it
            // is now, but when its entries or the comparison tell of it.
            if user.complete && !is_first && !user.threads.contains(&thread) {
                continue;
            }
            user.threads.insert(thread);
            let thread = self
                .threads
                .entry(thread)
                .or_insert_with(|| Thread::after(seq));
            thread.audience.entry(id.clone()).or_insert(seq);
        }
    }

    fn detach(&mut self, place: &Arc<Place>) {
        let Some(user) = self.users.get_mut(&place.user) else {
            return;
        };
        user.places.retain(|other| !Arc::ptr_eq(other, place));
        if !user.places.is_empty() {
            return;
        }
        let Some(user) = self.users.remove(&place.user) else {
            return;
        };
        for number in user.threads {
            if let Slot::Occupied(mut thread) = self.threads.entry(number) {
                thread.get_mut().audience.remove(&place.user);
                if thread.get().audience.is_empty() {
                    thread.remove();
                }
            }
        }
    }

    /// Takes an entry that was committed, whoever says so.
    fn hear(&mut self, item: Item) {
        let (number, seq) = (item.entry.thread, item.entry.seq);
        self.notice(&item.entry);
        let thread = match self.threads.entry(number) {
            Slot::Occupied(thread) => thread.into_mut(),
            Slot::Vacant(vacant) => {
                let Some(start) = start(&self.users, &item.entry) else {
                    // Nobody listens; a request is answered all the same.
                    if let Item {
                        entry,
                        own: Some(own),
                    } = item
                    {
                        own.settle(&entry);
                    }
                    return;
                };
                vacant.insert(Thread::after(start))
            }
        };
        let Err(Item { entry, own }) = thread.line.offer(seq, item) else {
            self.advance(number);
            return;
        };
        let Some(own) = own else {
            return;
        };
        match thread.line.waiting(seq) {
            Some(waiting) if waiting.own.is_none() => waiting.own = Some(own),
            _ => own.settle(&entry),
        }
    }

    /// Sees whom an entry brings into a thread that had left it behind: others listened from a later place on.
    fn notice(&mut self, entry: &Entry) {
        let gone = |thread: &Thread| entry.seq <= thread.line.seq();
        if !self.threads.get(&entry.thread).is_some_and(gone) {
            return;
        }
        for newcomer in newcomers(entry) {
            let Some(user) = self.users.get(newcomer) else {
                continue;
            };
            self.arrive(Arrival {
                user_id: newcomer.to_owned(),
                thread: entry.thread,
                joined_seq: beginning(entry, user.complete),
            });
        }
    }

    /// Lets entries leave whose turn it is, and sees to a hole.
    fn advance(&mut self, number: i64) {
        while let Some(thread) = self.threads.get_mut(&number) {
            if thread.looking_up {
                return;
            }
            let Some(Item { entry, .. }) = thread.line.next() else {
                break;
            };
            let mut needs: Vec<String> = Vec::new();
            for room in &self.rooms {
                needs.extend(room.needs(entry));
            }
            let Some(known) = self.people.kept(&needs) else {
                thread.looking_up = true;
                self.look_up(number, needs);
                return;
            };
            if let Some(item) = thread.line.take_next() {
                self.deliver(item, &known);
            }
        }
        self.await_hint(number);
    }

    /// Gives the hint that a hole is of some time, and has the log read when that is over.
    fn await_hint(&mut self, number: i64) {
        let Some(thread) = self.threads.get_mut(&number) else {
            return;
        };
        if let Some(after_seq) = thread.line.begin_reading() {
            self.report("hole", async move {
                sleep(OVERTAKING).await;
                let thread = number;
                Command::Awaited { thread, after_seq }
            });
        }
    }

    fn awaited(&mut self, number: i64, after_seq: i64) {
        let Some(thread) = self.threads.get_mut(&number) else {
            return;
        };
        if thread.line.seq() == after_seq {
            self.read_log(number, after_seq);
        } else {
            thread.line.end_reading();
            // Another hole has a time of its own.
            self.await_hint(number);
        }
    }

    fn deliver(&mut self, Item { entry, own }: Item, known: &Known) {
        let Some(thread) = self.threads.get_mut(&entry.thread) else {
            return;
        };
        // First of all, as its author waits for it to write on; the others' sockets all want to be served at once.
        let answered = own.map(|own| {
            let place = Arc::clone(&own.place);
            own.settle(&entry);
            place
        });
        for newcomer in newcomers(&entry) {
            if let Some(user) = self.users.get_mut(newcomer)
                && user.threads.insert(entry.thread)
            {
                thread.audience.insert(newcomer.to_owned(), entry.seq - 1);
            }
        }
        #[cfg(feature = "faults")]
        if fail::eval("no_membership", |_| ()).is_some() {
            for id in self.users.keys() {
                thread.audience.entry(id.clone()).or_insert(0);
            }
        }
        let mut shown: Vec<Option<Announcement>> = vec![None; self.rooms.len()];
        for (id, from) in &thread.audience {
            let Some(user) = self.users.get(id).filter(|_| entry.seq > *from) else {
                continue;
            };
            let is_author = *id == entry.author_id;
            for place in &user.places {
                if answered.as_ref().is_some_and(|it| Arc::ptr_eq(it, place)) {
                    continue;
                }
                let Some(room) = self.rooms.iter().position(|it| is(it, &place.announcer)) else {
                    continue;
                };
                let shown =
                    shown[room].get_or_insert_with(|| self.rooms[room].announce(&entry, known));
                let frame = if is_author {
                    &shown.to_author
                } else {
                    &shown.to_others
                };
                if let Some(frame) = frame {
                    place.push(entry.thread, entry.seq, frame, is_author);
                }
            }
        }
    }

    fn read(&mut self, number: i64, read: Result<ReadLogResponse, Fault>) {
        let Some(thread) = self.threads.get_mut(&number) else {
            return;
        };
        thread.line.end_reading();
        let entries = match read {
            Ok(read) => read.entries,
            Err(fault) => {
                // The next comparison tries again.
                tracing::warn!(%fault, "a hole in a thread cannot be read");
                return;
            }
        };
        // Without progress another attempt is left to the next comparison.
        let progress = !entries.is_empty();
        for entry in entries {
            // What waits already is the same.
            let _ = thread.line.offer(entry.seq, Item { entry, own: None });
        }
        if progress {
            self.advance(number);
        }
    }

    fn compared(&mut self, moved: &[Position], arrivals: Vec<Arrival>) {
        for arrival in arrivals {
            self.arrive(arrival);
        }
        for position in moved {
            if let Some(thread) = self.threads.get_mut(&position.thread) {
                thread.line.note(position.seq);
            }
        }
        let stuck = self
            .threads
            .iter()
            .filter(|(_, thread)| thread.line.is_stuck());
        for number in stuck.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.advance(number);
        }
    }

    /// A user came into a thread, and no hint told of it.
    fn arrive(&mut self, arrival: Arrival) {
        let Some(user) = self.users.get_mut(&arrival.user_id) else {
            return;
        };
        if !user.threads.insert(arrival.thread) {
            return;
        }
        let joined = arrival.joined_seq;
        let thread = self
            .threads
            .entry(arrival.thread)
            .or_insert_with(|| Thread::after(joined));
        let seq = thread.line.seq();
        if seq > joined {
            // The others have had what this one has missed.
            for from in thread.audience.values_mut() {
                *from = seq.max(*from);
            }
            thread.line.rewind(joined);
        }
        thread.audience.insert(arrival.user_id, joined);
        // The user's own coming is an entry.
        thread.line.note(joined + 1);
    }

    fn comparison(&mut self) -> Comparison {
        let begin = if self.compared < self.threads.len() {
            self.compared
        } else {
            0
        };
        self.compared = begin + COMPARED;
        let threads = self.threads.iter().skip(begin).take(COMPARED);
        Comparison {
            known: threads
                .map(|(&thread, it)| Position {
                    thread,
                    seq: it.line.seq(),
                })
                .collect(),
            users: self.users.keys().cloned().collect(),
        }
    }

    fn read_log(&self, thread: i64, after_seq: i64) {
        metrics::counter!("confab_delivery_repairs_total").increment(1);
        let mut people = self.backends.people();
        let request = ReadLogRequest { thread, after_seq };
        self.report("repair", async move {
            let read = people.read_log(request).await;
            let read = read.map(tonic::Response::into_inner).map_err(Fault::from);
            Command::Read { thread, read }
        });
    }

    fn look_up(&self, thread: i64, needs: Vec<String>) {
        let people = self.people.clone();
        self.report("names", async move {
            let found = people.profiles(&needs).await.is_ok();
            Command::LookedUp { thread, found }
        });
    }

    /// Does something elsewhere and is told what came of it.
    fn report(&self, name: &'static str, work: impl Future<Output = Command> + Send + 'static) {
        let Some(commands) = self.commands.upgrade() else {
            return;
        };
        self.tasks.spawn(name, async move {
            let _ = commands.send(work.await);
        });
    }
}

fn is(room: &Arc<dyn Announcer>, other: &Arc<dyn Announcer>) -> bool {
    std::ptr::addr_eq(Arc::as_ptr(room), Arc::as_ptr(other))
}

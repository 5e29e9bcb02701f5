//! One connection through the proxy.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Condition, Door, Flow, Way};

/// How much is under way in each direction before no more is read.
const BUFFER: usize = 256 * 1024;
/// How much is read at once.
const CHUNK: usize = 16 * 1024;

/// How a connection ends before both sides have closed it.
enum End {
    Closed,
    Reset,
}

/// Carries until both sides have closed the connection, or it is ended.
pub(super) async fn carry(
    mut near: TcpStream,
    targets: Arc<[SocketAddr]>,
    condition: watch::Receiver<Condition>,
    held: Arc<watch::Sender<usize>>,
) {
    let born = condition.borrow().clone();
    if born.door == Door::Shut {
        return;
    }
    let Ok(mut far) = TcpStream::connect(&*targets).await else {
        // As near to a refusal as an accepted connection comes.
        let _ = near.set_zero_linger();
        return;
    };
    // What is written is to go out; a socket that just ended says so when it is written to.
    let _ = near.set_nodelay(true);
    let _ = far.set_nodelay(true);
    let after_request = watch::Sender::new(false);
    let lane = |way| Lane {
        way,
        condition: condition.clone(),
        after_request: after_request.clone(),
        held: Arc::clone(&held),
        tail: Vec::new(),
        passed: 0,
        lost: false,
    };
    let end = {
        let (near_in, near_out) = near.split();
        let (far_in, far_out) = far.split();
        let there = lane(Way::There).pass(near_in, far_out);
        let back = lane(Way::Back).pass(far_in, near_out);
        tokio::select! {
            passed = async { tokio::try_join!(there, back) } => passed.err(),
            end = ended(condition.clone(), &born) => Some(end),
            () = stranded(condition.clone(), &born) => Some(ended(condition, &born).await),
        }
    };
    if let Some(End::Reset) = end {
        let _ = near.set_zero_linger();
        let _ = far.set_zero_linger();
    }
}

/// Waits until connections of that time are ended.
async fn ended(mut condition: watch::Receiver<Condition>, born: &Condition) -> End {
    let ended = |now: &Condition| (now.cuts, now.resets) != (born.cuts, born.resets);
    match condition.wait_for(ended).await {
        Ok(now) if now.resets == born.resets => End::Closed,
        _ => End::Reset,
    }
}

/// Waits until connections of that time are left to themselves.
async fn stranded(mut condition: watch::Receiver<Condition>, born: &Condition) {
    let stranded = |now: &Condition| now.strands != born.strands;
    // An error: the proxy is gone, and so is this task soon.
    let _ = condition.wait_for(stranded).await;
}

/// Bytes under way.
struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

/// One way of a connection.
struct Lane {
    way: Way,
    condition: watch::Receiver<Condition>,
    /// Whether a request came after which replies are held.
    after_request: watch::Sender<bool>,
    held: Arc<watch::Sender<usize>>,
    /// The end of what passed, where the bytes that are looked for may have begun.
    tail: Vec<u8>,
    /// Counted while connections are cut after so many bytes.
    passed: usize,
    lost: bool,
}

impl Lane {
    async fn pass(self, from: ReadHalf<'_>, to: WriteHalf<'_>) -> Result<(), End> {
        let (sender, chunks) = unbounded_channel();
        let condition = self.condition.clone();
        let read = read(from, self.way, condition, sender);
        tokio::try_join!(read, self.write(chunks, to))?;
        Ok(())
    }

    async fn write(
        mut self,
        mut chunks: UnboundedReceiver<Chunk>,
        mut to: WriteHalf<'_>,
    ) -> Result<(), End> {
        let lost = |_| End::Reset;
        while let Some(chunk) = self.next(&mut chunks).await? {
            sleep_until(chunk.due).await;
            if self.flow().await? == Flow::Swallowed {
                self.lost = true;
                continue;
            }
            self.look_for_request(&chunk.bytes);
            let mut rest = chunk.bytes.as_slice();
            while !rest.is_empty() {
                let wire = *self.condition.borrow().wire(self.way);
                let mut share = wire.share(rest.len());
                if let Some(most) = wire.cut_after {
                    share = share.min(most.saturating_sub(self.passed));
                    self.passed += share;
                } else {
                    self.passed = 0;
                }
                let (now, later) = rest.split_at(share);
                to.write_all(now).await.map_err(lost)?;
                if wire.cut_after.is_some_and(|most| self.passed >= most) {
                    return Err(End::Closed);
                }
                rest = later;
                sleep(wire.takes(share)).await;
                yield_now().await;
            }
        }
        // That one side said its last is not known either while nothing passes.
        while self.flow().await? == Flow::Swallowed {
            self.lost = true;
            self.until_passing().await;
        }
        to.shutdown().await.map_err(lost)
    }

    /// The next chunk; a connection that lost bytes ends once they would pass again.
    async fn next(&self, chunks: &mut UnboundedReceiver<Chunk>) -> Result<Option<Chunk>, End> {
        tokio::select! {
            chunk = chunks.recv() => Ok(chunk),
            () = self.until_passing(), if self.lost => Err(End::Reset),
        }
    }

    async fn until_passing(&self) {
        let mut condition = self.condition.clone();
        let passes = |now: &Condition| now.wire(self.way).flow != Flow::Swallowed;
        // An error: the proxy is gone, and so is this task soon.
        let _ = condition.wait_for(passes).await;
    }

    /// What happens to the next bytes, once they are not held any more.
    async fn flow(&mut self) -> Result<Flow, End> {
        let mut after_request = self.after_request.subscribe();
        loop {
            let now = self.condition.borrow_and_update().clone();
            let requested = self.way == Way::Back && *after_request.borrow_and_update();
            let flow = match now.wire(self.way).flow {
                Flow::Passes if requested && now.hold_after.is_some() => Flow::Held,
                flow => flow,
            };
            match flow {
                Flow::Passes if self.lost => return Err(End::Reset),
                Flow::Held => {}
                flow => return Ok(flow),
            }
            tokio::select! {
                changed = self.condition.changed() => changed.map_err(|_| End::Reset)?,
                _ = after_request.changed() => {}
            }
        }
    }

    /// Holds the replies from before the request passes.
    fn look_for_request(&mut self, bytes: &[u8]) {
        if self.way == Way::Back {
            return;
        }
        let Some(request) = self.condition.borrow().hold_after.clone() else {
            return self.tail.clear();
        };
        self.tail.extend_from_slice(bytes);
        let mut places = self.tail.windows(request.len());
        if places.any(|place| place == &*request) && !self.after_request.send_replace(true) {
            self.held.send_modify(|held| *held += 1);
        }
        let known = self.tail.len().saturating_sub(request.len() - 1);
        self.tail.drain(..known);
    }
}

/// Reads as long as there is room.
async fn read(
    mut from: ReadHalf<'_>,
    way: Way,
    condition: watch::Receiver<Condition>,
    chunks: UnboundedSender<Chunk>,
) -> Result<(), End> {
    let room = Arc::new(Semaphore::new(BUFFER));
    let mut buffer = vec![0; CHUNK];
    let mut due = Instant::now();
    loop {
        let len = match from.read(&mut buffer).await {
            Ok(0) => return Ok(()),
            Ok(len) => len,
            Err(_) => return Err(End::Reset),
        };
        let needed = u32::try_from(len).expect("a chunk is small");
        let taken = Arc::clone(&room).acquire_many_owned(needed).await;
        due = due.max(Instant::now() + condition.borrow().wire(way).delay());
        let chunk = Chunk {
            due,
            bytes: buffer[..len].to_vec(),
            _room: taken.expect("nobody closes it"),
        };
        if chunks.send(chunk).is_err() {
            return Err(End::Closed);
        }
    }
}

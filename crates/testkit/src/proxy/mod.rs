//! A wire between processes that a test can slow down, hold and cut.
//!
//! What is done to the bytes of one way is in [`Wire`]; what is done to connections is done by [`Proxy`] itself.

mod connection;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use connection::carry;
pub use wire::{Flow, Way, Wire};

/// Stands between whoever connects to something and what they connect to. It ends when dropped, with its connections.
pub struct Proxy {
    address: SocketAddr,
    /// Keeps the port while nobody listens on it.
    _port: TcpSocket,
    condition: watch::Sender<Condition>,
    listening: watch::Receiver<bool>,
    held: watch::Receiver<usize>,
    server: JoinHandle<()>,
}

/// How the wire is just now.
#[derive(Clone, Default)]
struct Condition {
    there: Wire,
    back: Wire,
    /// Replies are held on connections on which a request with these bytes was seen.
    hold_after: Option<Arc<[u8]>>,
    door: Door,
    /// How often all connections were ended, by closing and by resetting them.
    cuts: u64,
    resets: u64,
    /// How often all connections were left to themselves.
    strands: u64,
}

/// What happens to new connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Door {
    #[default]
    Open,
    /// They end at once.
    Shut,
    /// There are none, as nobody listens.
    Away,
}

impl Condition {
    fn wire(&self, way: Way) -> &Wire {
        match way {
            Way::There => &self.there,
            Way::Back => &self.back,
        }
    }
}

impl Proxy {
    /// Starts one in front of `target`, which need not be there yet.
    pub async fn start(target: SocketAddr) -> Self {
        Self::start_for(&[target]).await
    }

    /// Starts one in front of several that do the same: each connection goes to the first that takes it.
    #[expect(clippy::disallowed_methods, reason = "it ends with the proxy")]
    pub async fn start_for(targets: &[SocketAddr]) -> Self {
        let port = socket(SocketAddr::from(([127, 0, 0, 1], 0)));
        let address = port.local_addr().expect("the proxy's address");
        let (condition, seen) = watch::channel(Condition::default());
        let (says, mut listening) = watch::channel(false);
        let (holds, held) = watch::channel(0);
        let server = Server {
            address,
            targets: Arc::from(targets),
            condition: seen,
            listening: says,
            held: Arc::new(holds),
        };
        let server = tokio::spawn(server.run());
        let started = listening.wait_for(|listening| *listening).await;
        started.expect("the proxy listens");
        Self {
            address,
            _port: port,
            condition,
            listening,
            held,
            server,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, this is done to what goes one way.
    pub fn set(&self, way: Way, wire: Wire) {
        self.condition.send_modify(|condition| match way {
            Way::There => condition.there = wire,
            Way::Back => condition.back = wire,
        });
    }

    /// Once a request on a connection has these bytes, it passes, and the replies on that connection are held.
    pub fn hold_after(&self, bytes: &[u8]) {
        let bytes = Some(Arc::from(bytes));
        self.condition
            .send_modify(|condition| condition.hold_after = bytes);
    }

    /// Waits until the replies of so many connections, since it was started, were held after a request.
    pub async fn until_held(&self, connections: usize) {
        let mut held = self.held.clone();
        let held = held.wait_for(|held| *held >= connections).await;
        held.expect("the proxy runs");
    }

    /// How many connections had their replies held after a request, since it was started.
    #[must_use]
    pub fn held(&self) -> usize {
        *self.held.borrow()
    }

    /// Closes every connection; new ones end at once.
    pub fn cut(&self) {
        self.condition.send_modify(|condition| {
            condition.cuts += 1;
            condition.door = Door::Shut;
        });
    }

    /// Closes every connection; new ones are let through.
    pub fn close(&self) {
        self.condition.send_modify(|condition| condition.cuts += 1);
    }

    /// Nothing passes any more on any connection, for as long as it lives, and nobody is told; new ones are let through. So
    /// it is when a machine loses its power, or a firewall its memory.
    pub fn strand(&self) {
        self.condition
            .send_modify(|condition| condition.strands += 1);
    }

    /// Resets every connection (RST), losing what is under way; new ones are let through.
    pub fn reset(&self) {
        self.condition
            .send_modify(|condition| condition.resets += 1);
    }

    /// Resets every connection and stops listening, as a process does that died.
    pub async fn refuse(&self) {
        self.condition.send_modify(|condition| {
            condition.resets += 1;
            condition.door = Door::Away;
        });
        self.until_listening(false).await;
    }

    /// Lets everything through as it comes. Connections that lost bytes are reset.
    pub async fn mend(&self) {
        self.condition.send_modify(|condition| {
            *condition = Condition {
                cuts: condition.cuts,
                resets: condition.resets,
                strands: condition.strands,
                ..Condition::default()
            };
        });
        self.until_listening(true).await;
    }

    async fn until_listening(&self, expected: bool) {
        let mut listening = self.listening.clone();
        let changed = listening.wait_for(|listening| *listening == expected).await;
        changed.expect("the proxy runs");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its connections are tasks of its own, which end with it.
        self.server.abort();
    }
}

/// What listens and carries.
struct Server {
    address: SocketAddr,
    targets: Arc<[SocketAddr]>,
    condition: watch::Receiver<Condition>,
    listening: watch::Sender<bool>,
    held: Arc<watch::Sender<usize>>,
}

impl Server {
    async fn run(mut self) {
        let mut connections = JoinSet::new();
        loop {
            let open = self.condition.wait_for(|now| now.door != Door::Away);
            if open.await.is_err() {
                return;
            }
            let listener = socket(self.address).listen(1024);
            self.listen(listener.expect("the proxy's port"), &mut connections)
                .await;
            self.listening.send_replace(false);
        }
    }

    /// Takes connections until none are to be taken.
    async fn listen(&mut self, listener: TcpListener, connections: &mut JoinSet<()>) {
        self.listening.send_replace(true);
        let mut condition = self.condition.clone();
        loop {
            tokio::select! {
                Ok((near, _)) = listener.accept() => {
                    let held = Arc::clone(&self.held);
                    let targets = Arc::clone(&self.targets);
                    connections.spawn(carry(near, targets, self.condition.clone(), held));
                }
                Some(_) = connections.join_next() => {}
                _ = condition.wait_for(|now| now.door == Door::Away) => return,
            }
        }
    }
}

/// A socket on a port that it shares with the proxy's other ones.
fn socket(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseport(true).expect("a port that is shared");
    socket.bind(address).expect("a port for the proxy");
    socket
}

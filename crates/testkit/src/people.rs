//! People who use Confab in a test.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use uuid::Uuid;

/// A user with a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// What the direct dialect calls the user.
    pub id: Uuid,
    /// What the groups dialect calls the user.
    pub number: i64,
    /// The user's name.
    pub username: String,
    /// An access token.
    pub token: String,
}

/// What a client of a thread has seen last, by the thread's number.
pub type Positions = BTreeMap<i64, i64>;

/// Where a socket starts.
#[derive(Debug, Clone, Default)]
pub enum From {
    /// At what comes next.
    #[default]
    Now,
    /// After the last thing seen of each thread.
    Resume(Positions),
    /// After a message.
    Since(i64),
}

/// The path of a socket with its credential and where it starts.
pub(crate) fn path(room: &str, person: &Person, from: &From) -> String {
    let start = match from {
        From::Now => String::new(),
        From::Resume(positions) if positions.is_empty() => String::new(),
        From::Resume(positions) => {
            let positions: Vec<String> = positions
                .iter()
                .map(|(thread, seq)| format!("{thread}:{seq}"))
                .collect();
            format!("&resume={}", positions.join(","))
        }
        From::Since(message) => format!("&since={message}"),
    };
    format!("{room}?token={}{start}", person.token)
}

/// Whose dialect a socket speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `/ws/chat/room/`
    Direct,
    /// `/ws/chats/`
    Groups,
}

impl Dialect {
    /// Both of them.
    pub const BOTH: [Self; 2] = [Self::Direct, Self::Groups];

    /// The path of its socket.
    #[must_use]
    pub fn room(self) -> &'static str {
        match self {
            Self::Direct => "/ws/chat/room/",
            Self::Groups => "/ws/chats/",
        }
    }
}

/// Opens a socket for a person; the error says how it was refused.
pub async fn open(
    address: SocketAddr,
    dialect: Dialect,
    person: &Person,
    from: &From,
) -> Result<crate::Socket, tokio_tungstenite::tungstenite::Error> {
    crate::Socket::open(address, &path(dialect.room(), person, from), &[]).await
}

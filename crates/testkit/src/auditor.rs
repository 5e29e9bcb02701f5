//! What the tables hold at the end, asked of the services that own them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use confab::{Role, Roles, Running};
use confab_rpc::Lane;
use confab_rpc::sessions::sessions_client::SessionsClient;
use confab_rpc::sessions::{
    Account, CreateUserRequest, GetAccountRequest, IssueTokenRequest, LedgerEntry,
    ListLedgerRequest,
};
use confab_rpc::threads::people_client::PeopleClient;
use confab_rpc::threads::{Entry, EntryKind, ReadLogRequest};
use confab_runtime::SystemClock;
use tonic::transport::Endpoint;
use uuid::Uuid;

use crate::checker::Table;
use crate::history::Message;
use crate::people::Person;
use crate::system::settings_of;

/// As long as anything may take when nothing is wrong any more.
const DEADLINE: Duration = Duration::from_secs(10);

/// Longer than any test.
const TOKEN_SECONDS: u32 = 3600;

/// Reads the log of threads and the books of sessions.
#[derive(Clone)]
pub struct Auditor {
    people: PeopleClient<Lane>,
    sessions: SessionsClient<Lane>,
}

impl Auditor {
    /// One with the lanes to the two services.
    #[must_use]
    pub fn new(threads: Lane, sessions: Lane) -> Self {
        Self {
            people: PeopleClient::new(threads),
            sessions: SessionsClient::new(sessions),
        }
    }

    /// One of services that run elsewhere.
    #[must_use]
    pub fn remote(threads: SocketAddr, sessions: SocketAddr) -> Self {
        let [threads, sessions] = [threads, sessions].map(|address| {
            let endpoint = Endpoint::from_shared(format!("http://{address}"));
            let endpoint = endpoint.expect("an address is a URL");
            Lane::remote(endpoint.connect_lazy(), DEADLINE)
        });
        Self::new(threads, sessions)
    }

    /// One of a Confab that is started here for it, all in one, with these settings by dotted key. It ends when what is
    /// given besides is stopped.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn here(settings: &[(String, String)]) -> (Self, Running) {
        let settings = settings_of(settings, &[]);
        let running = confab::serve::start(settings, Roles::all(), Arc::new(SystemClock)).await;
        let running = running.expect("it starts");
        let lane = |role| running.lane(role).expect("all roles are here");
        let auditor = Self::new(lane(Role::Threads), lane(Role::Sessions));
        (auditor, running)
    }

    /// Makes somebody, as an operator does, with a token that is good for longer than any test.
    ///
    /// # Panics
    /// When there is somebody of that name, or the service is away.
    pub async fn person(&self, username: &str, models: &[i32], microdollars: i64) -> Person {
        let mut sessions = self.sessions.clone();
        let request = CreateUserRequest {
            username: username.to_owned(),
            models: models.to_vec(),
            deposit_microdollars: microdollars,
            ..CreateUserRequest::default()
        };
        let user = sessions.create_user(request).await;
        let user = user.expect("the user is made").into_inner();
        let request = IssueTokenRequest {
            user_id: user.id.clone(),
            lifetime_seconds: TOKEN_SECONDS,
        };
        let issued = sessions.issue_token(request).await;
        Person {
            id: user.id.parse().expect("the id is a UUID"),
            number: user.number,
            username: user.username,
            token: issued.expect("the token is made").into_inner().token,
        }
    }

    /// What the tables hold of some threads: their texts and who came when.
    pub async fn table(&self, threads: &[i64]) -> Table {
        let mut table = Table::default();
        for thread in threads.iter().copied() {
            let mut after_seq = 0;
            loop {
                let request = ReadLogRequest { thread, after_seq };
                let page = self.people.clone().read_log(request).await;
                let page = page.expect("the log is there").into_inner();
                for entry in &page.entries {
                    after_seq = entry.seq;
                    enter(&mut table, entry);
                }
                if !page.more {
                    break;
                }
            }
        }
        table
    }

    /// What a user has.
    pub async fn account(&self, user: Uuid) -> Account {
        let request = GetAccountRequest {
            user_id: user.to_string(),
        };
        let account = self.sessions.clone().get_account(request).await;
        account.expect("the account is there").into_inner()
    }

    /// The first thousand entries of a user's ledger.
    pub async fn ledger(&self, user: Uuid) -> Vec<LedgerEntry> {
        let request = ListLedgerRequest {
            user_id: user.to_string(),
            after_id: 0,
            limit: 1000,
        };
        let reply = self.sessions.clone().list_ledger(request).await;
        reply.expect("the ledger is there").into_inner().entries
    }
}

fn enter(table: &mut Table, entry: &Entry) {
    let author: Uuid = entry.author_id.parse().expect("an author's id");
    let thread = entry.thread;
    match entry.kind() {
        EntryKind::Joined => {
            table.members.entry((thread, author)).or_insert(entry.seq);
        }
        EntryKind::Text => {
            // The two of a direct thread never joined: they were there from the start.
            if let Ok(receiver) = entry.receiver_id.parse::<Uuid>() {
                table.members.insert((thread, author), 0);
                table.members.insert((thread, receiver), 0);
            }
            table.messages.push(message(entry, author));
        }
        _ => {}
    }
}

fn message(entry: &Entry, sender: Uuid) -> Message {
    let time = entry.created_at.expect("an entry has a time");
    Message {
        thread: entry.thread,
        seq: entry.seq,
        id: entry.id,
        sender,
        body: entry.content.clone(),
        at_micros: time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000,
    }
}

//! What is appended to a thread with a model, before it is stored: a question together with the place of its answer, the
//! place of an answer alone, one message.

use sea_orm::{DeriveActiveEnum, EnumIter};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::thread::NewThread;

/// A question, and whose answer it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewExchange {
    pub(crate) destination: Destination,
    pub(crate) question: String,
    pub(crate) attachments: Vec<Attachment>,
    /// The asking program's own key for the question; a repeated call is recognised by it.
    pub(crate) client_msg_id: Option<String>,
    /// The run that will write the answer; a repeated call is recognised by it, too.
    pub(crate) run_id: Uuid,
    /// Name of the model that will answer.
    pub(crate) model: String,
}

/// Where an exchange goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// A thread that must be there.
    Existing(Uuid),
    /// A thread that is made unless it is there.
    New(NewThread),
}

impl Destination {
    /// The thread's id.
    pub(crate) fn id(&self) -> Uuid {
        match self {
            Self::Existing(id) => *id,
            Self::New(thread) => thread.id,
        }
    }
}

/// A file that belongs to a message; also its form in the database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attachment {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    /// What the sender calls it; empty: nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) title: String,
    /// In bytes; 0: not said.
    #[serde(default)]
    pub(crate) size: i64,
}

/// The place of an answer to what a thread holds already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewAnswer {
    pub(crate) thread: Uuid,
    /// The run that will write it; a repeated call is recognised by it.
    pub(crate) run_id: Uuid,
    /// Name of the model that will answer.
    pub(crate) model: String,
}

/// One message that nobody answers by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewMessage {
    pub(crate) thread: Uuid,
    pub(crate) author_kind: AuthorKind,
    pub(crate) content: String,
    /// The author's own key; a repeated call is recognised by it.
    pub(crate) client_msg_id: Option<String>,
    /// Name of the model that is said to have written it.
    pub(crate) model: Option<String>,
}

/// What wrote a message. The numbers are those of the contract and of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub(crate) enum AuthorKind {
    #[sea_orm(num_value = 1)]
    Person,
    #[sea_orm(num_value = 2)]
    Model,
    /// Instructions that a person put into the log.
    #[sea_orm(num_value = 3)]
    System,
}

/// SHA-256 over what a repeated call must repeat.
pub(crate) type Fingerprint = [u8; 32];

impl NewExchange {
    /// What a repeated call must repeat: the key, the thread, the text and the files. The id of a thread to be made is
    /// left out, as the repeated call may come with another one.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        part(&mut hash, self.client_msg_id.as_deref().unwrap_or_default());
        match &self.destination {
            Destination::Existing(id) => part(&mut hash, id.as_bytes()),
            Destination::New(_) => part(&mut hash, ""),
        }
        part(&mut hash, &self.question);
        for attachment in &self.attachments {
            part(&mut hash, attachment.id.as_bytes());
            part(&mut hash, &attachment.name);
        }
        hash.finalize().into()
    }
}

impl NewAnswer {
    /// What a repeated call must repeat: the thread.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let mut hash = Sha256::new();
        part(&mut hash, "answer");
        part(&mut hash, self.thread.as_bytes());
        hash.finalize().into()
    }
}

impl NewMessage {
    /// What a repeated call must repeat: the key, the thread, the kind of author and the text. `None` without a key.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        let key = self.client_msg_id.as_deref()?;
        let mut hash = Sha256::new();
        part(&mut hash, "message");
        part(&mut hash, key);
        part(&mut hash, self.thread.as_bytes());
        part(&mut hash, format!("{:?}", self.author_kind));
        part(&mut hash, &self.content);
        Some(hash.finalize().into())
    }
}

/// Each part with its length, so that no two lists of parts read alike.
pub(crate) fn part(hash: &mut Sha256, bytes: impl AsRef<[u8]>) {
    let bytes = bytes.as_ref();
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

//! An entry that somebody sends, before it is stored.

use sea_orm::{DeriveActiveEnum, EnumIter};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Place;
use crate::exchange::{Attachment, Fingerprint, part};

/// What an entry of a log is. The numbers are those of the contract and of the column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "i16", db_type = "SmallInteger")]
pub(crate) enum EntryKind {
    #[sea_orm(num_value = 1)]
    Text,
    #[sea_orm(num_value = 2)]
    File,
    /// A user's card.
    #[sea_orm(num_value = 3)]
    Profile,
    #[sea_orm(num_value = 4)]
    Joined,
    #[sea_orm(num_value = 5)]
    Read,
    /// Of a file, to live sockets.
    #[sea_orm(num_value = 6)]
    Announcement,
}

impl EntryKind {
    /// The kinds that are messages: what histories show and unread counts count.
    pub(crate) const MESSAGES: [Self; 3] = [Self::Text, Self::File, Self::Profile];

    /// Whether it is one of them.
    pub(crate) fn is_message(self) -> bool {
        Self::MESSAGES.contains(&self)
    }
}

/// An entry to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewEntry {
    pub(crate) author: Uuid,
    pub(crate) place: Place,
    pub(crate) kind: EntryKind,
    pub(crate) content: String,
    pub(crate) attachments: Vec<Attachment>,
    pub(crate) profile_id: Option<Uuid>,
    /// The file that an announcement is of.
    pub(crate) refers_to: Option<i64>,
    /// The author's own key; a repeated send is recognised by it.
    pub(crate) client_msg_id: Option<String>,
    pub(crate) traceparent: Option<String>,
}

/// What makes a send a repeat of an earlier one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Marker {
    /// The author's key.
    Key(Uuid, String),
    /// The announced file.
    Announced(i64),
}

impl NewEntry {
    /// What a later send must share to be a repeat of this one: its key, or the file it announces.
    pub(crate) fn markers(&self) -> impl Iterator<Item = Marker> + use<> {
        let key = self
            .client_msg_id
            .clone()
            .map(|key| Marker::Key(self.author, key));
        key.into_iter().chain(self.refers_to.map(Marker::Announced))
    }

    /// What a repeated send must repeat. `None` without a key.
    pub(crate) fn fingerprint(&self) -> Option<Fingerprint> {
        let key = self.client_msg_id.as_deref()?;
        let mut hash = Sha256::new();
        part(&mut hash, "entry");
        part(&mut hash, key);
        match self.place {
            Place::Direct(pair) => {
                part(&mut hash, pair.low.as_bytes());
                part(&mut hash, pair.high.as_bytes());
            }
            Place::Group(number) => part(&mut hash, number.to_be_bytes()),
        }
        part(&mut hash, format!("{:?}", self.kind));
        part(&mut hash, &self.content);
        part(&mut hash, self.profile_id.unwrap_or_default().as_bytes());
        part(&mut hash, self.refers_to.unwrap_or_default().to_be_bytes());
        for attachment in &self.attachments {
            // A file that is sent again was uploaded again, under another id.
            part(&mut hash, &attachment.title);
            part(&mut hash, attachment.size.to_be_bytes());
        }
        Some(hash.finalize().into())
    }

    /// About how many bytes the entry takes in a statement.
    pub(crate) fn weight(&self) -> usize {
        /// Columns as JSON, with their names.
        const ROW: usize = 400;
        const ATTACHMENT: usize = 64;
        let names: usize = self
            .attachments
            .iter()
            .map(|attachment| {
                ATTACHMENT + attachment.name.len() + attachment.title.len() + attachment.title.len()
            })
            .sum();
        let key = self.client_msg_id.as_ref().map_or(0, |key| 32 + key.len());
        ROW + self.content.len() + names + key
    }
}

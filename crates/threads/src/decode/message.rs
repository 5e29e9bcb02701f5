//! Single messages: what one is to be, and which ones are asked for.

use confab_rpc::threads as wire;
use uuid::Uuid;

use super::answer::model;
use super::{key, parsed, question, thread_id};
use crate::error::Error;
use crate::exchange::{AuthorKind, NewMessage};
use crate::page::MESSAGES;

/// A user who asks for a message. What is no UUID is nobody, and nobody has no messages.
pub(crate) fn reader(id: &str) -> Result<Uuid, Error> {
    parsed(id).ok_or(Error::MessageNotFound)
}

pub(crate) fn new_message(request: wire::AppendMessageRequest) -> Result<NewMessage, Error> {
    let author_kind = author_kind(request.author_kind)?;
    let content = question(request.content)?;
    if content.is_empty() {
        return Err(Error::Invalid("content must not be empty"));
    }
    let model = model(request.model)?;
    if author_kind != AuthorKind::Model && !model.is_empty() {
        return Err(Error::Invalid("only a message of a model names one"));
    }
    Ok(NewMessage {
        thread: thread_id(&request.thread_id)?,
        author_kind,
        content,
        client_msg_id: key(request.client_msg_id)?,
        model: Some(model).filter(|model| !model.is_empty()),
    })
}

/// The messages that are asked for.
pub(crate) fn message_ids(ids: &[i64]) -> Result<&[i64], Error> {
    if ids.len() > MESSAGES as usize {
        return Err(Error::Invalid("at most 500 messages can be asked for"));
    }
    Ok(ids)
}

fn author_kind(kind: i32) -> Result<AuthorKind, Error> {
    match wire::AuthorKind::try_from(kind) {
        Ok(wire::AuthorKind::Person) => Ok(AuthorKind::Person),
        Ok(wire::AuthorKind::Model) => Ok(AuthorKind::Model),
        Ok(wire::AuthorKind::System) => Ok(AuthorKind::System),
        Ok(wire::AuthorKind::Unspecified) | Err(_) => {
            Err(Error::Invalid("author_kind must be a kind of author"))
        }
    }
}

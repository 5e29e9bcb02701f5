//! Lists of conversations and of messages, page after page.

use confab_rpc::sessions::User;
use confab_rpc::threads::{
    AuthorKind, ListMessagesRequest, ListThreadsRequest, Message, MessageState, Thread, ThreadKind,
};

use super::fault::Problem;
use super::{users, wire};
use crate::Gateway;
use crate::caller::Caller;

/// The most conversations that one list shows, and the most messages of several conversations.
const LISTED: usize = 10_000;

/// A user's conversations, the last active first.
pub(super) async fn threads(gateway: &Gateway, user: &User) -> Result<Vec<Thread>, Problem> {
    let request = ListThreadsRequest {
        user_id: user.id.clone(),
        kind: ThreadKind::Assistant.into(),
        ..ListThreadsRequest::default()
    };
    let found = gateway.backends.threads().list_threads(request).await?;
    Ok(found.into_inner().threads)
}

/// The conversations of everybody for whom the caller may act, with their owners' numbers.
pub(super) async fn all_threads(
    gateway: &Gateway,
    caller: Caller,
) -> Result<Vec<(User, Thread)>, Problem> {
    let mut all = Vec::new();
    for user in users::all(gateway, caller).await? {
        let threads = threads(gateway, &user).await?;
        all.extend(threads.into_iter().map(|thread| (user.clone(), thread)));
        if all.len() >= LISTED {
            all.truncate(LISTED);
            break;
        }
    }
    Ok(all)
}

/// What was said in a conversation, oldest first.
pub(super) async fn messages(
    gateway: &Gateway,
    user_id: &str,
    thread: &str,
    number: i64,
) -> Result<Vec<wire::Message>, Problem> {
    let mut threads = gateway.backends.threads();
    let mut said = Vec::new();
    let mut after_seq = 0;
    loop {
        let request = ListMessagesRequest {
            user_id: user_id.to_owned(),
            thread_id: thread.to_owned(),
            after_seq,
            ..ListMessagesRequest::default()
        };
        let page = threads.list_messages(request).await?.into_inner();
        let Some(last) = page.messages.last() else {
            return Ok(said);
        };
        after_seq = last.seq;
        let shown = page.messages.into_iter().filter(is_shown);
        said.extend(shown.map(|message| wire::Message::new(message, number)));
        if !page.more {
            return Ok(said);
        }
    }
}

/// What was said in all conversations for whose owners the caller may act.
pub(super) async fn all_messages(
    gateway: &Gateway,
    caller: Caller,
) -> Result<Vec<wire::Message>, Problem> {
    let mut all = Vec::new();
    for (user, thread) in all_threads(gateway, caller).await? {
        all.extend(messages(gateway, &user.id, &thread.id, thread.number).await?);
        if all.len() >= LISTED {
            all.truncate(LISTED);
            break;
        }
    }
    Ok(all)
}

/// The place of an answer that ended without a word is not shown.
pub(super) fn is_shown(message: &Message) -> bool {
    let ended = !matches!(
        message.state(),
        MessageState::Streaming | MessageState::Complete
    );
    let empty = message.author_kind() == AuthorKind::Model && message.content.is_empty();
    !(ended && empty)
}

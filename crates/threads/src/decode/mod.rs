//! From the contract's messages to what the rules and the store work with: ids parsed, limits checked, NUL removed.

mod answer;
mod message;
pub(crate) mod people;

use confab_rpc::threads as wire;
use uuid::Uuid;

use crate::error::Error;
use crate::exchange::{Attachment, Destination, NewAnswer, NewExchange};
use crate::page::Bounds;
use crate::text::{INSTRUCTIONS_BYTES, NAME_BYTES, QUESTION_BYTES, within, without_nul};
use crate::thread::{Kind, NewSummary, NewThread, Which};

pub(crate) use answer::{ending, piece};
pub(crate) use message::{message_ids, new_message, reader};

const ATTACHMENTS: usize = 10;

/// 255 characters of any script.
const TITLE_BYTES: usize = 1020;

/// A user that something will be stored for.
pub(crate) fn user(id: &str) -> Result<Uuid, Error> {
    parsed(id).ok_or(Error::Invalid("user_id must be a UUID"))
}

/// A user who asks for a thread. What is no UUID is nobody, and nobody has no threads.
pub(crate) fn visitor(id: &str) -> Result<Uuid, Error> {
    parsed(id).ok_or(Error::ThreadNotFound)
}

/// A thread that must be there.
pub(crate) fn thread_id(id: &str) -> Result<Uuid, Error> {
    parsed(id).ok_or(Error::ThreadNotFound)
}

/// What names an answer to its writer: the thread and the run.
pub(crate) fn answer(thread_id: &str, run_id: &str) -> Result<(Uuid, Uuid), Error> {
    parsed(thread_id)
        .zip(parsed(run_id))
        .ok_or(Error::MessageNotFound)
}

pub(crate) fn kind(kind: i32) -> Result<Kind, Error> {
    match wire::ThreadKind::try_from(kind) {
        Ok(wire::ThreadKind::Assistant) => Ok(Kind::Assistant),
        Ok(wire::ThreadKind::Direct) => Ok(Kind::Direct),
        Ok(wire::ThreadKind::Group) => Ok(Kind::Group),
        Ok(wire::ThreadKind::Unspecified) | Err(_) => {
            Err(Error::Invalid("kind must be a kind of thread"))
        }
    }
}

/// A thread to be made; with no id of its own it gets a new one.
pub(crate) fn new_thread(request: wire::CreateThreadRequest) -> Result<NewThread, Error> {
    let kind = kind(request.kind)?;
    if kind != Kind::Assistant {
        return Err(Error::Invalid("only assistant threads can be made so"));
    }
    let id = if request.id.is_empty() {
        Uuid::now_v7()
    } else {
        parsed(&request.id).ok_or(Error::Invalid("id must be a UUID"))?
    };
    Ok(NewThread {
        id,
        kind,
        title: title(request.title)?,
        instructions: without_nul(
            request.instructions,
            INSTRUCTIONS_BYTES,
            "instructions must be at most 64 KiB in UTF-8",
        )?,
        model_id: request.model_id,
    })
}

/// A thread's new title.
pub(crate) fn title(title: String) -> Result<String, Error> {
    without_nul(
        title,
        NAME_BYTES,
        "title must be at most 255 bytes in UTF-8",
    )
}

/// The thread that is asked for, by its id or else by its number.
pub(crate) fn which(id: &str, number: i64) -> Result<Which, Error> {
    match id {
        "" => Ok(Which::Number(number)),
        id => thread_id(id).map(Which::Id),
    }
}

/// An exchange of which only the place of the answer is to be written.
pub(crate) fn new_answer(request: wire::AppendExchangeRequest) -> Result<NewAnswer, Error> {
    let asks = !request.content.is_empty()
        || !request.attachments.is_empty()
        || !request.client_msg_id.is_empty()
        || request.new_thread.is_some();
    if asks {
        return Err(Error::Invalid(
            "with answer_only there is no content, attachment, client_msg_id or new_thread",
        ));
    }
    Ok(NewAnswer {
        thread: thread_id(&request.thread_id)?,
        run_id: run_id(&request.run_id)?,
        model: answer::model(request.model)?,
    })
}

pub(crate) fn new_exchange(request: wire::AppendExchangeRequest) -> Result<NewExchange, Error> {
    if request.attachments.len() > ATTACHMENTS {
        return Err(Error::Invalid("a message must have at most 10 attachments"));
    }
    Ok(NewExchange {
        destination: destination(&request.user_id, &request.thread_id, request.new_thread)?,
        question: question(request.content)?,
        attachments: request
            .attachments
            .into_iter()
            .map(attachment)
            .collect::<Result<_, _>>()?,
        client_msg_id: key(request.client_msg_id)?,
        run_id: run_id(&request.run_id)?,
        model: answer::model(request.model)?,
    })
}

fn destination(
    user: &str,
    thread: &str,
    new_thread: Option<wire::CreateThreadRequest>,
) -> Result<Destination, Error> {
    let Some(mut request) = new_thread else {
        return thread_id(thread).map(Destination::Existing);
    };
    if !request.user_id.is_empty() && request.user_id != user {
        return Err(Error::Invalid(
            "new_thread must be the asking user's; leave its user_id empty",
        ));
    }
    if request.id.is_empty() {
        thread.clone_into(&mut request.id);
    } else if !thread.is_empty() && request.id != thread {
        return Err(Error::Invalid("thread_id and new_thread.id must agree"));
    }
    self::new_thread(request).map(Destination::New)
}

fn question(content: String) -> Result<String, Error> {
    without_nul(
        content,
        QUESTION_BYTES,
        "content must be at most 128 KiB in UTF-8",
    )
}

fn attachment(attachment: wire::AttachmentRef) -> Result<Attachment, Error> {
    Ok(Attachment {
        id: parsed(&attachment.id).ok_or(Error::Invalid("an attachment's id must be a UUID"))?,
        name: without_nul(
            attachment.name,
            NAME_BYTES,
            "an attachment's name must be at most 255 bytes in UTF-8",
        )?,
        title: without_nul(
            attachment.title,
            TITLE_BYTES,
            "an attachment's title must be at most 1020 bytes in UTF-8",
        )?,
        size: attachment.size.max(0),
    })
}

pub(crate) fn summary(request: wire::ReplaceSummaryRequest) -> Result<NewSummary, Error> {
    Ok(NewSummary {
        text: without_nul(
            request.summary,
            QUESTION_BYTES,
            "summary must be at most 128 KiB in UTF-8",
        )?,
        seq: request.summary_seq,
        expected_seq: request.expected_seq,
        expected_deletions: request.expected_deletions,
    })
}

pub(crate) fn bounds(request: &wire::ListMessagesRequest) -> Result<Bounds, Error> {
    if request.after_seq < 0 || request.before_seq < 0 {
        return Err(Error::Invalid("a bound must not be negative"));
    }
    Ok(Bounds::new(
        request.after_seq,
        request.before_seq,
        request.newest,
        request.limit,
    ))
}

/// The sender's own key for a message.
fn key(key: String) -> Result<Option<String>, Error> {
    if key.contains('\0') {
        return Err(Error::Invalid("client_msg_id must not hold NUL"));
    }
    within(
        &key,
        NAME_BYTES,
        "client_msg_id must be at most 255 bytes in UTF-8",
    )?;
    Ok(Some(key).filter(|key| !key.is_empty()))
}

fn run_id(id: &str) -> Result<Uuid, Error> {
    parsed(id).ok_or(Error::Invalid("run_id must be a UUID"))
}

fn parsed(id: &str) -> Option<Uuid> {
    Uuid::parse_str(id).ok()
}

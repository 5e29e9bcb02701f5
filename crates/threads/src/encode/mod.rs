//! From rows to the contract's messages.

pub(crate) mod people;

use confab_rpc::{threads as wire, time};
use uuid::Uuid;

use crate::answer::{Receipt, State};
use crate::exchange::{Attachment, AuthorKind};
use crate::store::{Exchange, Found, Owned, message, thread};
use crate::thread::Kind;

pub(crate) use people::{refused, sent};

impl From<thread::Model> for wire::Thread {
    fn from(row: thread::Model) -> Self {
        Self {
            id: row.id.to_string(),
            number: row.number,
            kind: wire::ThreadKind::from(row.kind).into(),
            owner_id: row.owner_id.to_string(),
            title: row.title,
            instructions: row.instructions,
            model_id: row.model_id,
            last_seq: row.last_seq,
            summary: row.summary,
            summary_seq: row.summary_seq,
            created_at: Some(time::to_wire(row.created_at)),
            active_at: Some(time::to_wire(row.active_at)),
            deletions: row.deletions,
        }
    }
}

/// A message of the thread with that id; its row knows the thread by number.
pub(crate) fn message(thread_id: Uuid, row: message::Model) -> wire::Message {
    wire::Message {
        id: row.id,
        thread_id: thread_id.to_string(),
        seq: row.seq,
        author_kind: wire::AuthorKind::from(row.author_kind).into(),
        author_id: row.author_id.to_string(),
        model: row.model.unwrap_or_default(),
        state: wire::MessageState::from(row.state).into(),
        content: row.content,
        attachments: row.attachments.0.into_iter().map(Into::into).collect(),
        answers: row.answers.unwrap_or_default(),
        run_id: row.run_id.map(|id| id.to_string()).unwrap_or_default(),
        created_at: Some(time::to_wire(row.created_at)),
        updated_at: Some(time::to_wire(row.updated_at)),
        receipt: row.receipt.map(Into::into),
    }
}

impl From<Found> for wire::Message {
    fn from(found: Found) -> Self {
        message(found.thread_id, found.message)
    }
}

impl From<Receipt> for wire::AnswerReceipt {
    fn from(receipt: Receipt) -> Self {
        Self {
            provider: receipt.provider,
            input_tokens: receipt.input_tokens,
            output_tokens: receipt.output_tokens,
            cost_microdollars: receipt.cost_microdollars,
            finish_reason: receipt.finish_reason,
            first_token_ms: receipt.first_token_ms,
            duration_ms: receipt.duration_ms,
        }
    }
}

impl From<Owned> for wire::Located {
    fn from(thread: Owned) -> Self {
        Self {
            owner_id: thread.owner_id.to_string(),
            thread_id: thread.id.to_string(),
            number: thread.number,
        }
    }
}

impl From<Exchange> for wire::Exchange {
    fn from(exchange: Exchange) -> Self {
        let id = exchange.thread.id;
        Self {
            thread: Some(exchange.thread.into()),
            question: exchange.question.map(|row| message(id, row)),
            answer: Some(message(id, exchange.answer)),
            replayed: exchange.replayed,
        }
    }
}

impl From<Attachment> for wire::AttachmentRef {
    fn from(attachment: Attachment) -> Self {
        Self {
            id: attachment.id.to_string(),
            name: attachment.name,
            title: attachment.title,
            size: attachment.size,
        }
    }
}

impl From<Kind> for wire::ThreadKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Assistant => Self::Assistant,
            Kind::Direct => Self::Direct,
            Kind::Group => Self::Group,
        }
    }
}

impl From<AuthorKind> for wire::AuthorKind {
    fn from(kind: AuthorKind) -> Self {
        match kind {
            AuthorKind::Person => Self::Person,
            AuthorKind::Model => Self::Model,
            AuthorKind::System => Self::System,
        }
    }
}

impl From<State> for wire::MessageState {
    fn from(state: State) -> Self {
        match state {
            State::Complete => Self::Complete,
            State::Streaming => Self::Streaming,
            State::Interrupted => Self::Interrupted,
            State::Failed => Self::Failed,
            State::Cancelled => Self::Cancelled,
            State::Deleted => Self::Deleted,
        }
    }
}

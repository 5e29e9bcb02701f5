//! The seven requests of a socket: decode → call → encode.

use confab_rpc::attachments::DeleteThreadAttachmentsRequest;
use confab_rpc::completions::ask_event::Event;
use confab_rpc::completions::ask_request::Target;
use confab_rpc::completions::{AskRequest, Finished, ListModelsRequest, NewThread, Started};
use confab_rpc::sessions::{GetAccountRequest, GetUserRequest, get_user_request};
use confab_rpc::threads::{
    DeleteThreadRequest, ListMessagesRequest, ListThreadsRequest, Message, ThreadKind,
};
use confab_rpc::{Fault, Reason};
use tonic::Status;
use tracing::Instrument;
use uuid::Uuid;

use super::fault::{Failure, Problem};
use super::mirror::{Exchange, Mirror};
use super::wire::{Data, Kind, Reply, Request, Session};
use super::{NEW, chat, names};
use crate::backends::Backends;
use crate::caller::{Acting, Claim};
use crate::socket::{Dialect, Frame, Frames, Unreadable};

/// A user of this dialect has one answer at a time; further questions wait for it.
const OPEN_RUNS: u32 = 1;

/// This language on one socket.
pub(super) struct Assistant {
    backends: Backends,
    acting: Acting,
    mirror: Option<Mirror>,
}

impl Dialect for Assistant {
    const NAME: &'static str = "assistant";

    /// One frame for one frame, with the same opcode; failures are always text.
    async fn on_frame(&self, frame: Frame) -> Frames {
        match self.answer(frame.bytes()).await {
            Ok(text) => vec![frame.with(text)],
            Err(failure) => vec![Frame::Text(failure.render().into())],
        }
    }

    fn on_unreadable(&self, _why: Unreadable) -> Frames {
        vec![Frame::Text(Failure::JsonParsing.render().into())]
    }
}

impl Assistant {
    pub(super) fn new(backends: Backends, acting: Acting, mirror: Option<Mirror>) -> Self {
        Self {
            backends,
            acting,
            mirror,
        }
    }

    async fn answer(&self, message: &[u8]) -> Result<String, Failure> {
        let Request { kind, data } = Request::parse(message)?;
        let span = tracing::info_span!("request", dialect = Self::NAME, ?kind);
        let reply = self.handle(kind, &data).instrument(span).await;
        reply.map_err(|problem| problem.failure(kind))?.render(kind)
    }

    async fn handle(&self, kind: Kind, data: &Data) -> Result<Reply, Problem> {
        let user = match data.user_id.parse().map(|id| self.acting.claim(id)) {
            Ok(Claim::Granted(user)) => Ok(user),
            // An id that nobody has: every request is answered as for a user that there is not.
            Ok(Claim::Foreign) => Ok(Uuid::new_v4()),
            Ok(Claim::SecondIdentity) => return Err(Failure::UserDoesNotExist.into()),
            Err(_) => Err(Failure::of_unknown_user(kind)),
        };
        match kind {
            Kind::Details => self.details(user?, data).await,
            Kind::Sessions => self.sessions(user?, data).await,
            Kind::Chats => self.chats(user?, data).await,
            Kind::Ask => self.ask(user?, data).await,
            Kind::Delete => self.delete(user?, data).await,
            // The catalogue is the same for everybody, also for nobody.
            Kind::Models => self.models().await,
            Kind::Balance => self.balance(user?).await,
        }
    }

    async fn details(&self, user: Uuid, data: &Data) -> Result<Reply, Problem> {
        let request = GetUserRequest {
            by: Some(get_user_request::By::Id(user.to_string())),
        };
        let found = self.backends.sessions().get_user(request).await?;
        self.acting.bind(user);
        Ok(Reply::Details {
            user_id: data.user_id.clone(),
            username: found.into_inner().username,
        })
    }

    async fn sessions(&self, user: Uuid, data: &Data) -> Result<Reply, Problem> {
        let request = ListThreadsRequest {
            user_id: user.to_string(),
            kind: ThreadKind::Assistant.into(),
            ..Default::default()
        };
        let found = self.backends.threads().list_threads(request).await?;
        let threads = found.into_inner().threads;
        if !threads.is_empty() {
            self.acting.bind(user);
        }
        let sessions = threads.into_iter().map(|thread| Session {
            session_id: thread.id,
            session_name: thread.title,
        });
        Ok(Reply::Sessions {
            user_id: data.user_id.clone(),
            session_info: sessions.collect(),
        })
    }

    async fn chats(&self, user: Uuid, data: &Data) -> Result<Reply, Problem> {
        let thread: Uuid = data.session_id.parse().map_err(|_| Failure::LoadChats)?;
        let messages = match self.messages(user, thread).await {
            Ok(messages) => messages,
            // Somebody else's session reads like one that there is not, and that one like an empty one.
            Err(status) if Fault::from(&status).reason == Reason::ThreadNotFound => Vec::new(),
            Err(status) => return Err(status.into()),
        };
        if !messages.is_empty() {
            self.acting.bind(user);
        }
        Ok(Reply::Chats {
            user_id: data.user_id.clone(),
            session_id: data.session_id.clone(),
            chat: chat::render(&chat::entries(&messages)),
        })
    }

    async fn messages(&self, user: Uuid, thread: Uuid) -> Result<Vec<Message>, Status> {
        let mut threads = self.backends.threads();
        let mut messages: Vec<Message> = Vec::new();
        loop {
            let request = ListMessagesRequest {
                user_id: user.to_string(),
                thread_id: thread.to_string(),
                after_seq: messages.last().map_or(0, |last| last.seq),
                ..Default::default()
            };
            let page = threads.list_messages(request).await?.into_inner();
            let more = page.more && !page.messages.is_empty();
            messages.extend(page.messages);
            if !more {
                return Ok(messages);
            }
        }
    }

    async fn ask(&self, user: Uuid, data: &Data) -> Result<Reply, Problem> {
        let model = data.model().ok_or(Failure::ModelAccess)?;
        let name = names::derive(&data.message);
        let target = if data.session_id == NEW {
            Target::NewThread(NewThread {
                title: name.to_owned(),
                instructions: data.session_prompt.clone(),
            })
        } else {
            Target::ThreadId(data.session_id.clone())
        };
        let file = Some(data.file_name.clone()).filter(|name| !name.is_empty());
        let (started, finished) = self
            .run(AskRequest {
                user_id: user.to_string(),
                model: Some(model),
                target: Some(target),
                content: data.message.clone(),
                attachment_names: file.into_iter().collect(),
                client_msg_id: data.client_msg_id.clone(),
                open_limit: OPEN_RUNS,
                ..AskRequest::default()
            })
            .await?;
        self.acting.bind(user);
        let (Some(thread), Some(answer)) = (finished.thread, finished.answer) else {
            return Err(Failure::ReceiveResponse.into());
        };
        let reply = Reply::Ask {
            user_id: data.user_id.clone(),
            session_id: thread.id.clone(),
            session_name: name.to_owned(),
            message: answer.content.clone(),
        };
        // What is answered a second time was mirrored the first time.
        if let (Some(mirror), Some(question), false) =
            (&self.mirror, started.question, started.replayed)
        {
            mirror.push(Exchange {
                thread,
                question,
                answer,
                balance_microdollars: finished.balance_microdollars,
            });
        }
        Ok(reply)
    }

    /// Asks, and waits for the whole answer.
    async fn run(&self, request: AskRequest) -> Result<(Started, Finished), Problem> {
        let mut events = self.backends.completions().ask(request).await?.into_inner();
        let mut begun = None;
        while let Some(event) = events.message().await? {
            match event.event {
                Some(Event::Started(started)) => begun = Some(started),
                Some(Event::Finished(finished)) => {
                    return Ok((begun.unwrap_or_default(), finished));
                }
                Some(Event::Delta(_) | Event::Restarted(_)) | None => {}
            }
        }
        Err(Failure::ReceiveResponse.into())
    }

    async fn delete(&self, user: Uuid, data: &Data) -> Result<Reply, Problem> {
        let thread = DeleteThreadRequest {
            user_id: user.to_string(),
            thread_id: data.session_id.clone(),
        };
        self.backends.threads().delete_thread(thread).await?;
        self.acting.bind(user);
        let files = DeleteThreadAttachmentsRequest {
            user_id: user.to_string(),
            thread_id: data.session_id.clone(),
        };
        let mut attachments = self.backends.attachments();
        if let Err(status) = attachments.delete_thread_attachments(files).await {
            // The session is gone, and asking again would only say so.
            let fault = Fault::from(status);
            tracing::error!(thread = data.session_id, %fault, "files of a deleted session are left over");
        }
        Ok(Reply::Delete {
            user_id: data.user_id.clone(),
        })
    }

    async fn models(&self) -> Result<Reply, Problem> {
        let request = ListModelsRequest {};
        let found = self.backends.completions().list_models(request).await?;
        let models = found.into_inner().models.into_iter();
        let answering = models.filter(|model| !model.embeds);
        let mut names: Vec<String> = answering.map(|model| model.name).collect();
        names.sort_unstable();
        Ok(Reply::Models { models: names })
    }

    async fn balance(&self, user: Uuid) -> Result<Reply, Problem> {
        let request = GetAccountRequest {
            user_id: user.to_string(),
        };
        let account = self.backends.sessions().get_account(request).await?;
        self.acting.bind(user);
        Ok(Reply::Balance {
            balance: dollars(account.into_inner().balance_microdollars),
        })
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "exact below 9 billion dollars; the wire knows only floats"
)]
fn dollars(microdollars: i64) -> f64 {
    microdollars as f64 / 1e6
}

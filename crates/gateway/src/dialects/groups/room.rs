//! The six requests of a socket: decode → call → encode.

use std::sync::Arc;

use bytestring::ByteString;
use confab_rpc::sessions::Profile;
use confab_rpc::threads::send::Target;
use confab_rpc::threads::{
    Conversation, CreateGroupRequest, Entry, EntryKind, GetConversationRequest, JoinGroupRequest,
    ListConversationsRequest, ListHistoryRequest, MarkReadRequest, Send,
};
use confab_rpc::{Fault, Reason, time};
use confab_runtime::Clock;
use serde_json::Value;

use super::days;
use super::request::{Refused, Request};
use super::wire::{Chat, Joined, Message, Reply, User, already, failure};
use crate::Gateway;
use crate::backends::Backends;
use crate::live::{Known, Live, Seat};
use crate::socket::{Dialect, Frame, Frames, Guest, Unreadable};

/// Messages of one reply.
const PAGE: u32 = 500;

/// This language on one socket.
pub(super) struct Room {
    profile: Arc<Profile>,
    seat: Arc<Seat>,
    live: Live,
    backends: Backends,
    clock: Arc<dyn Clock>,
    open_join: bool,
}

impl Dialect for Room {
    const NAME: &'static str = "groups";

    async fn on_frame(&self, frame: Frame) -> Frames {
        // Binary frames are ignored, as ever.
        let Frame::Text(text) = frame else {
            return Frames::new();
        };
        let answer = match Request::parse(&text) {
            Ok(request) => self.handle(request).await,
            Err(refused) => Err(refused),
        };
        match answer {
            Ok(Some(frame)) => vec![Frame::Text(frame.into())],
            Ok(None) => Frames::new(),
            Err(refused) => vec![Frame::Text(failure(refused).into())],
        }
    }

    fn on_unreadable(&self, _why: Unreadable) -> Frames {
        vec![Frame::Text(failure(Refused::Json).into())]
    }
}

impl Room {
    pub(super) fn new(guest: Guest, gateway: &Gateway, open_join: bool) -> Self {
        Self {
            profile: guest.profile,
            seat: guest.seat,
            live: gateway.live.clone(),
            backends: gateway.backends.clone(),
            clock: Arc::clone(&gateway.clock),
            open_join,
        }
    }

    /// The reply; `None` when it is in the socket's queue already, at the place of its entry.
    async fn handle(&self, request: Request) -> Result<Option<String>, Refused> {
        match request {
            Request::Chats => self.chats().await.map(Some),
            Request::NewChat => self.new_chat().await.map(Some),
            Request::Join {
                chat,
                named,
                last_read,
            } => self.join(chat, named, last_read).await,
            Request::Details { chat } => self.details(chat).await.map(Some),
            Request::Send {
                chat,
                text,
                is_read,
                client_msg_id,
            } => {
                let send = Send {
                    target: Some(Target::Thread(chat)),
                    content: text,
                    client_msg_id,
                    ..Default::default()
                };
                self.send(send, is_read).await?;
                Ok(None)
            }
            Request::Messages {
                chat,
                date_from,
                date_to,
                tz,
                last,
            } => {
                let zone = days::zone(tz.as_ref());
                let from = days::from(date_from.as_ref(), self.clock.now(), zone);
                let until = days::until(date_to.as_ref(), zone);
                let history = ListHistoryRequest {
                    user_id: self.user(),
                    thread: chat,
                    from: from.map_err(|_| Refused::Messages)?.map(time::to_wire),
                    until: until.map_err(|_| Refused::Messages)?.map(time::to_wire),
                    newest: true,
                    limit: last.unwrap_or(PAGE).min(PAGE),
                    ..Default::default()
                };
                self.messages(history, last.is_some()).await.map(Some)
            }
        }
    }

    async fn chats(&self) -> Result<String, Refused> {
        let request = ListConversationsRequest {
            user_id: self.user(),
            ..Default::default()
        };
        let found = self.backends.people().list_conversations(request).await;
        let found = found.map_err(|status| log(&status.into(), Refused::Chats))?;
        let mut chats = found.into_inner().conversations;
        chats.sort_unstable_by_key(|chat| chat.number);
        let mut members: Vec<String> = chats.iter().flat_map(|it| it.members.clone()).collect();
        members.sort_unstable();
        members.dedup();
        let known = self.known(&members, Refused::Chats).await?;
        let chats = chats
            .iter()
            .map(|chat| Chat::of(chat, participants(chat, &known)));
        Ok(Reply::ChatsList(chats.collect()).render())
    }

    async fn new_chat(&self) -> Result<String, Refused> {
        let request = CreateGroupRequest {
            user_id: self.user(),
        };
        let made = self.backends.people().create_group(request).await;
        let made = made.map_err(|status| log(&status.into(), Refused::NewChat))?;
        let chat = Chat::of(&made.into_inner(), Vec::new());
        Ok(Reply::EmptyChatCreated(chat).render())
    }

    async fn details(&self, chat: i64) -> Result<String, Refused> {
        let chat = self.conversation(chat, Refused::Details).await?;
        let known = self.known(&chat.members, Refused::Details).await?;
        let participants = participants(&chat, &known);
        Ok(Reply::ChatDetails(Chat::of(&chat, participants)).render())
    }

    async fn join(
        &self,
        chat: i64,
        named: Value,
        last_read: Option<(i64, Value)>,
    ) -> Result<Option<String>, Refused> {
        let read_message_id = last_read.as_ref().map_or(0, |(id, _)| *id);
        if !self.open_join {
            let chat = self.conversation(chat, Refused::Failed).await?;
            let mine = chat.owner_id == self.seat.user() || chat.members.contains(&self.user());
            if !mine {
                return Err(Refused::ChatNotFound);
            }
        }
        let request = JoinGroupRequest {
            user_id: self.user(),
            thread: chat,
            read_message_id,
        };
        // The join is an entry, which must not reach this socket before its reply.
        let expecting = self.seat.expecting();
        let joined = match self.backends.people().join_group(request).await {
            Ok(joined) => joined.into_inner(),
            Err(status) => {
                drop(expecting);
                return self
                    .join_refused(status.into(), chat, read_message_id)
                    .await;
            }
        };
        let Some(entry) = joined.joined.filter(|_| !joined.already) else {
            drop(expecting);
            self.mark_read(chat, read_message_id).await?;
            return Ok(Some(already()));
        };
        let newest = Some(joined.newest_message_id).filter(|id| *id != 0);
        let user = User::from(self.profile.as_ref());
        let reply = Reply::ChatJoined(Joined {
            chat: named,
            user,
            last_read_message: last_read.map(|it| it.1).or(newest.map(Value::from)),
            seq: entry.seq,
        });
        let frame = ByteString::from(reply.render());
        self.live
            .place(&self.seat, entry, Box::new(move |_| frame))
            .await;
        drop(expecting);
        Ok(None)
    }

    /// A chat between two people cannot be joined, but the two are in it.
    async fn join_refused(
        &self,
        fault: Fault,
        chat: i64,
        read_message_id: i64,
    ) -> Result<Option<String>, Refused> {
        match fault.reason {
            Reason::ThreadNotFound => {
                self.conversation(chat, Refused::Failed).await?;
                self.mark_read(chat, read_message_id).await?;
                Ok(Some(already()))
            }
            Reason::MessageNotFound => Err(Refused::Unexpected),
            _ => Err(log(&fault, Refused::Failed)),
        }
    }

    async fn mark_read(&self, thread: i64, message_id: i64) -> Result<(), Refused> {
        if message_id == 0 {
            return Ok(());
        }
        let request = MarkReadRequest {
            user_id: self.user(),
            thread,
            message_id,
        };
        match self.backends.people().mark_read(request).await {
            Ok(_) => Ok(()),
            Err(status) => {
                let fault = Fault::from(status);
                Err(match fault.reason {
                    Reason::MessageNotFound => Refused::Unexpected,
                    Reason::ThreadNotFound => Refused::ChatNotFound,
                    _ => log(&fault, Refused::Failed),
                })
            }
        }
    }

    async fn send(&self, mut send: Send, is_read: bool) -> Result<(), Refused> {
        send.user_id = self.user();
        send.kind = EntryKind::Text.into();
        let sender = User::from(self.profile.as_ref());
        let reply = move |entry: &Entry| {
            Reply::MessageCreated(Message::of(entry, sender, is_read))
                .render()
                .into()
        };
        let outcome = self
            .live
            .send(&self.seat, send, Some(Box::new(reply)))
            .await;
        match outcome {
            Ok(_) => Ok(()),
            Err(fault) => Err(match fault.reason {
                Reason::ThreadNotFound => Refused::ChatNotFound,
                Reason::Invalid | Reason::KeyReused => Refused::Creating,
                _ => log(&fault, Refused::Creating),
            }),
        }
    }

    async fn messages(
        &self,
        history: ListHistoryRequest,
        newest_first: bool,
    ) -> Result<String, Refused> {
        let chat = self.conversation(history.thread, Refused::Messages).await?;
        let found = self.backends.people().list_history(history).await;
        let found = found.map_err(|status| log(&status.into(), Refused::Messages))?;
        let mut entries = found.into_inner().entries;
        if newest_first {
            entries.reverse();
        }
        let mut authors: Vec<String> = entries.iter().map(|it| it.author_id.clone()).collect();
        authors.sort_unstable();
        authors.dedup();
        let known = self.known(&authors, Refused::Messages).await?;
        let messages = entries.iter().map(|entry| {
            let is_read = entry.seq <= chat.read_seq || entry.author_id == self.seat.user();
            Message::of(entry, user(&entry.author_id, &known), is_read)
        });
        Ok(Reply::ChatMessages(messages.collect()).render())
    }

    async fn conversation(&self, thread: i64, otherwise: Refused) -> Result<Conversation, Refused> {
        let request = GetConversationRequest {
            user_id: self.user(),
            thread,
        };
        match self.backends.people().get_conversation(request).await {
            Ok(found) => Ok(found.into_inner()),
            Err(status) => {
                let fault = Fault::from(status);
                Err(match fault.reason {
                    Reason::ThreadNotFound => Refused::ChatNotFound,
                    _ => log(&fault, otherwise),
                })
            }
        }
    }

    async fn known(&self, ids: &[String], otherwise: Refused) -> Result<Known, Refused> {
        let known = self.live.people().profiles(ids).await;
        known.map_err(|fault| log(&fault, otherwise))
    }

    fn user(&self) -> String {
        self.seat.user().to_owned()
    }
}

fn participants(chat: &Conversation, known: &Known) -> Vec<User> {
    chat.members.iter().map(|id| user(id, known)).collect()
}

/// Somebody who is not there any more has no name.
fn user(id: &str, known: &Known) -> User {
    known.get(id).map_or_else(
        || User {
            id: 0,
            username: String::new(),
        },
        |profile| User::from(profile.as_ref()),
    )
}

/// A failure that a front end can only try again after.
fn log(fault: &Fault, shown: Refused) -> Refused {
    tracing::warn!(%fault, "a request of the groups dialect failed");
    shown
}

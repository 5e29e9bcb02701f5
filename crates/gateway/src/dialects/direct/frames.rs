//! The three requests of a socket: decode → call → encode. What a request leads to is pushed to the sockets of both
//! people, this one included, so a request that succeeds is not answered apart from that.

use confab_rpc::sessions::Profile;
use confab_rpc::threads::send::Target;
use confab_rpc::threads::{Entry, EntryKind, Send};
use confab_rpc::{Fault, Reason};
use std::sync::Arc;
use uuid::Uuid;

use super::announce::DirectAnnouncer;
use super::request::{Action, Refusal, Refused, Request};
use crate::Gateway;
use crate::live::{Announcer, Live, Outcome, Seat};
use crate::socket::{Dialect, Frame, Frames, Guest, Unreadable};

/// The longest text of a message.
const TEXT_BYTES: usize = 16 * 1024;

/// The longest key of a send.
const KEY_BYTES: usize = 255;

/// This language on one socket.
pub(super) struct Direct {
    user: Uuid,
    seat: Arc<Seat>,
    live: Live,
}

impl Dialect for Direct {
    const NAME: &'static str = "direct";

    async fn on_frame(&self, frame: Frame) -> Frames {
        let Frame::Text(text) = frame else {
            return refuse(&Refused::Json.into());
        };
        let request = match Request::parse(text.as_bytes()) {
            Ok(request) => request,
            Err(refusal) => return refuse(&refusal),
        };
        let action = request.action.name();
        match self.handle(request).await {
            Ok(()) => Frames::new(),
            Err(why) => refuse(&Refusal {
                why,
                action: Some(action.to_owned()),
            }),
        }
    }

    fn on_unreadable(&self, _why: Unreadable) -> Frames {
        refuse(&Refused::Json.into())
    }
}

fn refuse(refusal: &Refusal) -> Frames {
    vec![Frame::Text(refusal.render().into())]
}

impl Direct {
    pub(super) fn new(guest: Guest, gateway: &Gateway) -> Self {
        Self {
            user: guest.verified.id,
            seat: guest.seat,
            live: gateway.live.clone(),
        }
    }

    async fn handle(&self, request: Request) -> Result<(), Refused> {
        let Request {
            action,
            client_msg_id,
        } = request;
        if client_msg_id.len() > KEY_BYTES {
            return Err(Refused::Key);
        }
        let send = Send {
            user_id: self.user.to_string(),
            client_msg_id,
            ..Send::default()
        };
        match action {
            Action::Text { receiver, body } => self.send_text(send, receiver, body).await,
            Action::File { chat } => self.announce_file(send, chat).await,
            Action::Profile { receiver, profile } => {
                self.share_profile(send, receiver, profile).await
            }
        }
    }

    async fn send_text(&self, send: Send, to: Uuid, content: String) -> Result<(), Refused> {
        if content.len() > TEXT_BYTES {
            return Err(Refused::Message);
        }
        let send = Send {
            target: Some(self.recipient(to).await?),
            kind: EntryKind::Text.into(),
            content,
            ..send
        };
        self.send(send, Refused::Message).await
    }

    async fn share_profile(&self, send: Send, to: Uuid, shared: Uuid) -> Result<(), Refused> {
        let target = self.recipient(to).await?;
        let shared = self.profile(shared).await?.ok_or(Refused::Profile)?;
        let send = Send {
            target: Some(target),
            kind: EntryKind::Profile.into(),
            profile_id: shared.user_id.clone(),
            ..send
        };
        self.send(send, Refused::Profile).await
    }

    /// Goes where the file went. Only what the user has uploaded can be announced; everything else reads like a message
    /// that there is not.
    async fn announce_file(&self, send: Send, chat: i64) -> Result<(), Refused> {
        let send = Send {
            kind: EntryKind::Announcement.into(),
            announces: chat,
            ..send
        };
        self.send(send, Refused::Chat).await
    }

    /// Sends, and answers a repeated send with what the first one led to.
    async fn send(&self, send: Send, invalid: Refused) -> Result<(), Refused> {
        let outcome = self.live.send(&self.seat, send, None).await;
        let Outcome { entry, replayed } = outcome.map_err(|fault| refused(&fault, invalid))?;
        if replayed {
            self.confirm(entry).await?;
        }
        Ok(())
    }

    /// Answers with an entry that is stored already, when those before it have gone out: a client that saw it first and broke off
    /// then would go on after it, and never see them.
    async fn confirm(&self, entry: Entry) -> Result<(), Refused> {
        let known = self
            .live
            .people()
            .profiles(&DirectAnnouncer.needs(&entry))
            .await;
        let known = known.map_err(|fault| refused(&fault, Refused::Unavailable))?;
        if let Some(frame) = DirectAnnouncer.announce(&entry, &known).to_author {
            let reply = Box::new(move |_: &Entry| frame);
            self.live.place(&self.seat, entry, reply).await;
        }
        Ok(())
    }

    /// Somebody else who exists.
    async fn recipient(&self, id: Uuid) -> Result<Target, Refused> {
        let known = self.profile(id).await?.filter(|_| id != self.user);
        let known = known.ok_or(Refused::Recipient)?;
        Ok(Target::ReceiverId(known.user_id.clone()))
    }

    async fn profile(&self, id: Uuid) -> Result<Option<Arc<Profile>>, Refused> {
        let known = self.live.people().profile(&id.to_string()).await;
        known.map_err(|fault| refused(&fault, Refused::Unavailable))
    }
}

/// What a fault is called here; `invalid` is what the service can find wrong with this request.
fn refused(fault: &Fault, invalid: Refused) -> Refused {
    match fault.reason {
        Reason::ReceiverInvalid | Reason::UserNotFound => Refused::Recipient,
        Reason::ThreadNotFound | Reason::MessageNotFound => Refused::Chat,
        Reason::KeyReused => Refused::Key,
        Reason::Invalid => invalid,
        _ => {
            tracing::warn!(%fault, "a request failed");
            Refused::Unavailable
        }
    }
}

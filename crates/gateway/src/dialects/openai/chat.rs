//! Chat completions. What belongs to no stored conversation is passed on, byte for byte in both directions.

use std::future::ready;

use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::Fault;
use confab_rpc::completions::chat_event::Event;
use confab_rpc::completions::{ChatEvent, ChatRequest};
use futures_util::{StreamExt, stream};
use tonic::Streaming;

use super::events::{self, Texts};
use super::fault::{Failed, Refused};
use super::visit::{self, Reply};
use super::wire::{self, ChatBody};
use super::{Room, conversation};
use crate::Gateway;
use crate::caller::{Asker, Scope};
use crate::limits::Meter;

/// Answers a conversation: as its provider does, or for a stored one.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    operation_id = "complete",
    request_body(content = wire::ChatBody, description = "OpenAI's request; whatever else is in it reaches the provider"),
    params(
        ("x-confab-conversation" = Option<String>, Header, description = "a stored conversation, as `metadata.conversation_id`"),
        ("Idempotency-Key" = Option<String>, Header, description = "of a stored conversation: the same request gives the same answer"),
    ),
    security(("api_key" = []), ("bearer" = [])),
    responses(
        (status = 200, description = "the answer; with `stream` as events, the last one `[DONE]`", content(
            (wire::Completion = "application/json"),
            (String = "text/event-stream"),
        )),
        (status = 400, body = Failed, description = "the body is not what this takes, or the provider refuses it"),
        (status = 401, body = Failed, description = "no credential, or one that is not good"),
        (status = 403, body = Failed, description = "the key has no scope `chat`"),
        (status = 404, body = Failed, description = "no such model or conversation, or it may not be asked"),
        (status = 409, body = Failed, description = "the Idempotency-Key belongs to another request, or somebody stopped the answer"),
        (status = 413, body = Failed, description = "the body is too long"),
        (status = 429, body = Failed, description = "too many requests, or no money for this one"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 502, body = Failed, description = "the provider failed"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn complete(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
    room: web::Data<Room>,
) -> HttpResponse {
    let reply: Reply = async {
        let asker = visit::asker(&request, &gateway, Scope::Chat).await?;
        let bytes = visit::read(payload, &room).await?;
        let body: ChatBody = visit::parse(&bytes)?;
        match conversation::named(&request, body.metadata.as_ref())? {
            Some(named) => {
                let numbers = &room.numbers;
                conversation::answer(&request, &gateway, numbers, &asker, named, &bytes).await
            }
            None => pass_on(&gateway, &asker, body, bytes).await,
        }
    }
    .await;
    reply.unwrap_or_else(HttpResponse::from)
}

async fn pass_on(gateway: &Gateway, asker: &Asker, body: ChatBody, bytes: web::Bytes) -> Reply {
    let stream = body.stream.unwrap_or(false);
    let model = visit::model(body.model)?;
    let wanted = ChatRequest {
        user_id: asker.user.id.to_string(),
        model_name: model.clone(),
        body: bytes.into(),
        stream,
        api_key_id: asker.api_key_id(),
    };
    let meter = gateway.limits.meter(asker.counter());
    let events = gateway.backends.models().chat(wanted).await;
    let events = events.map_err(|status| Refused::of(Fault::from(status), &model))?;
    let mut relay = Relay {
        events: events.into_inner(),
        meter,
        model,
    };
    // Until there is something to say, a failure has a status of its own.
    let first = relay.next().await?.ok_or_else(Refused::internal)?;
    if stream {
        let rest = stream::try_unfold(relay, async |mut relay: Relay| {
            Ok(relay.next().await?.map(|texts| (texts, relay)))
        });
        return Ok(events::respond(stream::once(ready(Ok(first))).chain(rest)));
    }
    // What the answer cost is booked before it is told. It is there, whatever becomes of that.
    while let Ok(Some(_)) = relay.next().await {}
    let whole = first.into_iter().next().ok_or_else(Refused::internal)?;
    Ok(HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(whole))
}

/// An answer that is passed on. Dropping it ends the provider's call.
struct Relay {
    events: Streaming<ChatEvent>,
    meter: Meter,
    model: String,
}

impl Relay {
    /// What was said since the last time; none when the answer is whole.
    async fn next(&mut self) -> Result<Option<Texts>, Refused> {
        loop {
            let event = self.events.message().await;
            let event = event.map_err(|status| Refused::of(Fault::from(status), &self.model))?;
            match event.and_then(|event| event.event) {
                Some(Event::Head(_)) => {}
                Some(Event::Data(data)) => {
                    self.meter.pieces(data.events.len());
                    return Ok(Some(data.events));
                }
                Some(Event::End(end)) => {
                    let usage = end.usage.unwrap_or_default();
                    self.meter.settle(usage.input_tokens, usage.output_tokens);
                    return Ok(None);
                }
                None => return Err(Refused::internal()),
            }
        }
    }
}

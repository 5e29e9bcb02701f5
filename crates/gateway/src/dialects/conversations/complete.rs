//! `messages:complete`: the model answers what a conversation holds, in one piece or streamed.

use std::pin::Pin;
use std::time::Duration;

use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::completions::ask_request::{Model, Target};
use confab_rpc::completions::{AskRequest, Started};
use confab_rpc::threads::Located;
use confab_rpc::{Fault, Reason};
use futures_util::{Stream, StreamExt};
use tokio::time::timeout;

use super::answer::{Answer, Piece};
use super::fault::{Problem, Refusals, Unfound, Unread};
use super::paced::paced;
use super::visit::{self, Reply};
use super::{Room, messages, wire};
use crate::Gateway;

/// Answers that one user may have under way; further ones wait for their turn.
const OPEN_RUNS: u32 = 8;

/// How long the head of a stream waits for the first text: an answer that fails before is told by its status.
const HOLD: Duration = Duration::from_millis(300);

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const RUN_ID: HeaderName = HeaderName::from_static("x-run-id");
const USER_ID: HeaderName = HeaderName::from_static("x-user-id");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Messages that one request may bring.
const TURNS: usize = 100;

/// Answers what the conversation holds.
#[utoipa::path(
    post,
    path = "/conversations/{conversation}/messages:complete",
    operation_id = "complete",
    params(
        ("conversation" = i64, Path, description = "number of the conversation"),
        ("Idempotency-Key" = Option<String>, Header, description = "the same key gives the same answer"),
    ),
    request_body = wire::Complete,
    security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (
            status = 200,
            description = "the answer; streamed: events `data: …` and, when it is whole, `data: [DONE]`",
            content((wire::Completed = "application/json"), (wire::Chunk = "text/event-stream")),
        ),
        (status = 402, body = super::fault::Failed, description = "the balance does not pay for it"),
        (status = 409, body = super::fault::Failed, description = "the key was used for something else, or the answer was stopped"),
        (status = 429, body = super::fault::Failed, description = "too many answers at once"),
        (status = 502, body = super::fault::Failed, description = "the model's provider failed; `x-run-id` says in which run"),
        Unfound,
        Unread,
        Refusals,
    ),
)]
pub(super) async fn complete(
    request: HttpRequest,
    conversation: web::Path<String>,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
    room: web::Data<Room>,
) -> Reply {
    let visitor = visit::visitor(&request, &gateway).await?;
    let number = visit::id(&conversation)?;
    let wanted: wire::Complete = visit::optional_body(payload).await?;
    let key = visit::key(&request, wanted.client_msg_id)?;
    let found = visit::conversation(&gateway, visitor.caller, number).await?;
    let owner = visit::number_of(&gateway, &found.owner_id).await?;
    store(&gateway, &found, wanted.messages, &key).await?;
    let ask = AskRequest {
        client_msg_id: key,
        api_key_id: visitor.api_key_id,
        ..question(&room, found)
    };
    let (started, answer) = Answer::ask(&gateway.backends, ask).await?;
    let pieces = answer.into_stream();
    if wanted.stream {
        return stream(&started, owner, pieces).await;
    }
    whole(&started, owner, pieces).await
}

/// What older clients bring along comes first; a repeated request stores nothing twice.
async fn store(
    gateway: &Gateway,
    conversation: &Located,
    turns: Vec<wire::Turn>,
    key: &str,
) -> Result<(), Problem> {
    if turns.len() > TURNS {
        return Err(Problem::bad_input("at most 100 messages"));
    }
    if turns.iter().any(|turn| turn.content.is_empty()) {
        return Err(Problem::bad_input("a message says something"));
    }
    for (place, turn) in turns.into_iter().enumerate() {
        let key = match key {
            "" => String::new(),
            key => format!("{key}#{place}"),
        };
        messages::append(gateway, conversation, turn.role, turn.content, key).await?;
    }
    Ok(())
}

fn question(room: &Room, conversation: Located) -> AskRequest {
    let model = Some(room.settings.model.clone()).filter(|name| !name.is_empty());
    AskRequest {
        user_id: conversation.owner_id,
        model: model.map(Model::ModelName),
        target: Some(Target::ThreadId(conversation.thread_id)),
        open_limit: OPEN_RUNS,
        stored: true,
        ..AskRequest::default()
    }
}

async fn whole(
    started: &Started,
    owner: i64,
    pieces: impl Stream<Item = Result<Piece, Fault>>,
) -> Reply {
    let mut pieces = std::pin::pin!(pieces);
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(Piece::Done(finished)) => {
                let answer = finished.answer.unwrap_or_default();
                let completed = wire::Completed::new(answer.id, answer.content);
                return Ok(headed(HttpResponse::Ok().json(completed), started, owner));
            }
            Ok(_) => {}
            Err(fault) => return Ok(failed(fault, started, owner)),
        }
    }
    let fault = Fault::new(Reason::RunInterrupted, "the answer has no end");
    Ok(failed(fault, started, owner))
}

async fn stream(
    started: &Started,
    owner: i64,
    pieces: impl Stream<Item = Result<Piece, Fault>> + Send + 'static,
) -> Reply {
    let mut pieces = Box::pin(pieces.peekable());
    let early = timeout(HOLD, Pin::as_mut(&mut pieces).peek()).await;
    if let Ok(Some(Err(fault))) = early {
        return Ok(failed(fault.clone(), started, owner));
    }
    let message = started.answer.as_ref().map_or(0, |answer| answer.id);
    let response = HttpResponse::Ok()
        // Front ends compare the whole value.
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        // For proxies that collect what they hand on.
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(paced(message, pieces));
    Ok(headed(response, started, owner))
}

/// A run that came to nothing. Who repeats the key is told the same again and again, so it has to be told of which run.
fn failed(fault: Fault, started: &Started, owner: i64) -> HttpResponse {
    headed(Problem::from(fault).into(), started, owner)
}

fn headed(mut response: HttpResponse, started: &Started, owner: i64) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(TRACEPARENT, HeaderValue::from_static(""));
    headers.insert(USER_ID, HeaderValue::from(owner));
    if let Ok(run) = HeaderValue::from_str(&started.run_id) {
        headers.insert(RUN_ID, run);
    }
    if started.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

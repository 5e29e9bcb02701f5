//! A completion of a conversation that is stored: what is new is appended, the last message is asked, and the answer,
//! which goes on without its listener, is told in this language.

pub(super) mod answer;
mod numbers;

use std::future::ready;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::Fault;
use confab_rpc::completions::AskRequest;
use confab_rpc::completions::ask_request::{Model, Target};
use confab_rpc::threads::{AppendMessageRequest, GetThreadRequest, ThreadKind};
use futures_util::{StreamExt, stream};
use uuid::Uuid;

use super::fault::Refused;
use super::turn::Turn;
use super::visit::{self, Reply};
use super::wire::{ConversationId, Metadata, TurnBody};
use super::{events, models};
use crate::Gateway;
use crate::caller::{Asker, Scope};
use answer::Answer;
pub(super) use numbers::Numbers;

const CONVERSATION: &str = "x-confab-conversation";
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Longer keys are refused: what is derived from one must be a key as well.
const KEY_BYTES: usize = 200;

/// The conversation that a request names, if it names one: in its header, else in its body.
pub(super) fn named(
    request: &HttpRequest,
    metadata: Option<&Metadata>,
) -> Result<Option<ConversationId>, Refused> {
    let Some(header) = request.headers().get(CONVERSATION) else {
        return Ok(metadata.and_then(|it| it.conversation_id.clone()));
    };
    let header = header.to_str().map_err(|_| Refused::unknown_conversation());
    Ok(Some(ConversationId::Text(header?.to_owned())))
}

/// Asks the last message in the conversation, and answers as to any completion.
pub(super) async fn answer(
    request: &HttpRequest,
    gateway: &Gateway,
    numbers: &Numbers,
    asker: &Asker,
    named: ConversationId,
    body: &web::Bytes,
) -> Reply {
    visit::require(asker, Scope::Conversations)?;
    let key = idempotency_key(request)?;
    let turn = Turn::of(visit::parse::<TurnBody>(body)?)?;
    // Before anything is written.
    models::find(gateway, asker, &turn.model).await?;
    let thread = find(gateway, numbers, asker, named).await?;
    append(gateway, asker, &thread, &turn, &key).await?;

    let (stream, include_usage) = (turn.stream, turn.include_usage);
    let model = turn.model.clone();
    let meter = gateway.limits.meter(asker.counter());
    let ask = ask(asker, thread, turn, key)?;
    let told = gateway.backends.models().ask(ask).await;
    let told = told.map_err(|status| Refused::of(Fault::from(status), &model))?;
    let mut answer = Answer::new(told.into_inner(), meter, model, include_usage);
    if !stream {
        let finished = answer.finish().await?;
        let mut response = HttpResponse::Ok().json(answer.whole(&finished));
        mark(&mut response, answer.is_replayed());
        return Ok(response);
    }
    // Until there is something to say, a failure has a status of its own.
    let first = answer.next().await?.ok_or_else(Refused::internal)?;
    let replayed = answer.is_replayed();
    let rest = stream::try_unfold(answer, async |mut answer: Answer<_>| {
        Ok(answer.next().await?.map(|json| (vec![json], answer)))
    });
    let mut response = events::respond(stream::once(ready(Ok(vec![first]))).chain(rest));
    mark(&mut response, replayed);
    Ok(response)
}

fn idempotency_key(request: &HttpRequest) -> Result<String, Refused> {
    let Some(key) = request.headers().get(IDEMPOTENCY_KEY) else {
        return Ok(String::new());
    };
    let key = key.to_str().ok().filter(|key| key.len() <= KEY_BYTES);
    let message = "The Idempotency-Key must be a text of at most 200 bytes.";
    key.map(str::to_owned)
        .ok_or_else(|| Refused::invalid(message))
}

/// The id of the thread that is named, if it is, or was a while ago, one of the caller's with a model.
async fn find(
    gateway: &Gateway,
    numbers: &Numbers,
    asker: &Asker,
    named: ConversationId,
) -> Result<String, Refused> {
    let user = asker.user.id;
    let mut request = GetThreadRequest {
        user_id: user.to_string(),
        ..Default::default()
    };
    let number = match &named {
        ConversationId::Number(number) => Some(*number),
        ConversationId::Text(text) => text.parse().ok(),
    };
    match (number, named) {
        (Some(number), _) if number > 0 => {
            if let Some(thread) = numbers.thread(user, number) {
                return Ok(thread);
            }
            request.number = number;
        }
        (None, ConversationId::Text(id)) if id.parse::<Uuid>().is_ok() => request.thread_id = id,
        _ => return Err(Refused::unknown_conversation()),
    }
    let found = gateway.backends.threads().get_thread(request).await?;
    let thread = found.into_inner();
    if thread.kind() != ThreadKind::Assistant {
        return Err(Refused::unknown_conversation());
    }
    let (id, number) = (thread.id.clone(), thread.number);
    numbers.remember(user, number, id);
    Ok(thread.id)
}

/// Writes what was said before the question; with a key each message once.
async fn append(
    gateway: &Gateway,
    asker: &Asker,
    thread: &str,
    turn: &Turn,
    key: &str,
) -> Result<(), Refused> {
    for (index, (author, text)) in turn.earlier.iter().enumerate() {
        let client_msg_id = if key.is_empty() {
            String::new()
        } else {
            format!("{key}/{index}")
        };
        let message = AppendMessageRequest {
            user_id: asker.user.id.to_string(),
            thread_id: thread.to_owned(),
            author_kind: (*author).into(),
            content: text.clone(),
            client_msg_id,
            model: String::new(),
        };
        gateway.backends.threads().append_message(message).await?;
    }
    Ok(())
}

fn ask(asker: &Asker, thread: String, turn: Turn, key: String) -> Result<AskRequest, Refused> {
    let parameters = if turn.parameters.is_empty() {
        String::new()
    } else {
        serde_json::to_string(&turn.parameters).map_err(|_| Refused::internal())?
    };
    Ok(AskRequest {
        user_id: asker.user.id.to_string(),
        model: Some(Model::ModelName(turn.model)),
        target: Some(Target::ThreadId(thread)),
        content: turn.question,
        client_msg_id: key,
        parameters,
        api_key_id: asker.api_key_id(),
        instructions: turn.instructions,
        ..Default::default()
    })
}

/// Says that the answer was there already.
fn mark(response: &mut HttpResponse, replayed: bool) {
    if replayed {
        let yes = HeaderValue::from_static("true");
        response.headers_mut().insert(REPLAYED, yes);
    }
}

//! Runs, which this language did not know: one is an attempt to answer, and it goes on when its reader has gone.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::Fault;
use confab_rpc::completions::{CancelRunRequest, FollowRequest, GetRunRequest, Run};
use confab_rpc::threads::Located;
use futures_util::{Stream, StreamExt};
use serde_json::json;
use tokio::time::timeout;
use uuid::Uuid;

use super::answer::{Answer, Piece};
use super::fault::{self, Problem, Refusals, Unfound};
use super::visit::{self, Reply};
use super::wire;
use crate::Gateway;

/// How often a stream says that it is alive while there is nothing else to say.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

const LAST_EVENT_ID: &str = "Last-Event-ID";

type Named = web::Path<(String, String)>;

/// Reads how far a run has got.
#[utoipa::path(
    get,
    path = "/conversations/{conversation}/runs/{run}",
    operation_id = "get_run",
    params(
        ("conversation" = i64, Path, description = "number of the conversation"),
        ("run" = Uuid, Path, description = "as `x-run-id` of a completion says"),
    ),
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, body = wire::Run, description = "the run"), Unfound, Refusals),
)]
pub(super) async fn get(request: HttpRequest, named: Named, gateway: web::Data<Gateway>) -> Reply {
    let (found, run) = find(&request, &named, &gateway).await?;
    Ok(HttpResponse::Ok().json(wire::Run::new(run, found.number)))
}

/// Stops a run; the text so far is kept. A run that is over stays as it is.
#[utoipa::path(
    post,
    path = "/conversations/{conversation}/runs/{run}/cancel",
    operation_id = "cancel_run",
    params(
        ("conversation" = i64, Path, description = "number of the conversation"),
        ("run" = Uuid, Path, description = "as `x-run-id` of a completion says"),
    ),
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, body = wire::Run, description = "as it has ended"), Unfound, Refusals),
)]
pub(super) async fn cancel(
    request: HttpRequest,
    named: Named,
    gateway: web::Data<Gateway>,
) -> Reply {
    let (found, run) = find(&request, &named, &gateway).await?;
    let cancel = CancelRunRequest {
        user_id: found.owner_id,
        run_id: run.id,
    };
    let run = gateway.backends.completions().cancel_run(cancel).await?;
    Ok(HttpResponse::Ok().json(wire::Run::new(run.into_inner(), found.number)))
}

/// Reads a run from a place in its answer to its end, as server-sent events at full speed. Each event's `id` is how many bytes of
/// the answer there are with it, so that a reader that was cut off goes on with `Last-Event-ID`.
#[utoipa::path(
    get,
    path = "/conversations/{conversation}/runs/{run}/stream",
    operation_id = "follow_run",
    params(
        ("conversation" = i64, Path, description = "number of the conversation"),
        ("run" = Uuid, Path, description = "as `x-run-id` of a completion says"),
        wire::Start,
        ("Last-Event-ID" = Option<String>, Header, description = "the `id` of the last event that was read"),
    ),
    security((), ("bearer" = []), ("cookie" = [])),
    responses(
        (
            status = 200,
            description = "`event: delta` {text}, `restarted` (the text so far is superseded), `done` (the run), `error` (the envelope)",
            content((String = "text/event-stream")),
        ),
        Unfound,
        Refusals,
    ),
)]
pub(super) async fn stream(
    request: HttpRequest,
    named: Named,
    start: web::Query<wire::Start>,
    gateway: web::Data<Gateway>,
) -> Reply {
    let offset = offset(&request, start.into_inner())?;
    let (found, run) = find(&request, &named, &gateway).await?;
    let follow = FollowRequest {
        user_id: found.owner_id,
        run_id: run.id,
        offset,
    };
    let (_, answer) = Answer::follow(&gateway.backends, follow).await?;
    let events = events(answer.into_stream(), found.number, offset);
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/event-stream"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(events))
}

/// The run of this conversation that a path names.
async fn find(
    request: &HttpRequest,
    named: &(String, String),
    gateway: &Gateway,
) -> Result<(Located, Run), Problem> {
    let caller = visit::caller(request, gateway).await?;
    let (conversation, run) = named;
    let number = visit::id(conversation)?;
    let run: Uuid = run
        .parse()
        .map_err(|_| Problem::bad_input("the id of a run is a UUID"))?;
    let found = visit::conversation(gateway, caller, number).await?;
    let wanted = GetRunRequest {
        user_id: found.owner_id.clone(),
        run_id: run.to_string(),
    };
    let run = gateway.backends.completions().get_run(wanted).await?;
    let run = run.into_inner();
    if run.thread_id != found.thread_id {
        return Err(Problem::not_found("Run"));
    }
    Ok((found, run))
}

fn offset(request: &HttpRequest, start: wire::Start) -> Result<i64, Problem> {
    let last = request.headers().get(LAST_EVENT_ID);
    let text = match last {
        Some(last) => last.to_str().unwrap_or_default().to_owned(),
        None => start.offset.unwrap_or_else(|| "0".to_owned()),
    };
    visit::id(&text).map_err(|_| Problem::bad_input("an offset is a number of bytes"))
}

/// A run as events, with a comment now and then while it is silent.
pub(super) fn events(
    pieces: impl Stream<Item = Result<Piece, Fault>> + Send + 'static,
    conversation: i64,
    offset: i64,
) -> impl Stream<Item = Result<Bytes, actix_web::Error>> {
    let begin = Some((Box::pin(pieces), offset));
    futures_util::stream::unfold(begin, move |state| async move {
        let (mut pieces, mut offset) = state?;
        let Ok(piece) = timeout(KEEP_ALIVE, pieces.next()).await else {
            let comment = Bytes::from_static(b": keep-alive\n\n");
            return Some((Ok(comment), Some((pieces, offset))));
        };
        let (name, body, over) = match piece? {
            Ok(Piece::Text { text, until }) => {
                offset = until;
                ("delta", json!({ "text": text }).to_string(), false)
            }
            Ok(Piece::Restarted) => {
                offset = 0;
                ("restarted", "{}".to_owned(), false)
            }
            Ok(Piece::Done(finished)) => {
                let run = wire::Run::new(finished.run.unwrap_or_default(), conversation);
                ("done", fault::json(&run), true)
            }
            Err(fault) => ("error", Problem::from(fault).event(), true),
        };
        let event = format!("event: {name}\nid: {offset}\ndata: {body}\n\n");
        Some((Ok(Bytes::from(event)), (!over).then_some((pieces, offset))))
    })
}

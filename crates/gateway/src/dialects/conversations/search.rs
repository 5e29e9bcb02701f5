//! Messages found by what they say.

use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::search::FindRequest;
use confab_rpc::sessions::User;

use super::fault::{Problem, Refusals, Unfound, Unread};
use super::visit::{self, Reply};
use super::wire;
use crate::Gateway;
use crate::caller::Caller;

/// Finds a user's messages, the nearest first.
#[utoipa::path(
    get,
    path = "/users/{user}/search",
    operation_id = "search_of_user",
    params(("user" = i64, Path, description = "number of the user"), wire::SearchQuery),
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, body = Vec<wire::Hit>, description = "messages"), Unfound, Refusals),
)]
pub(super) async fn of_user(
    request: HttpRequest,
    user: web::Path<String>,
    query: web::Query<wire::SearchQuery>,
    gateway: web::Data<Gateway>,
) -> Reply {
    let caller = visit::caller(&request, &gateway).await?;
    let user = visit::user(&gateway, caller, visit::id(&user)?).await?;
    let query = query.into_inner();
    let wanted = wire::Search {
        user_id: None,
        query: query.q,
        limit: query.limit,
        conversation_id: query.conversation_id,
    };
    find(&gateway, caller, user, wanted).await
}

/// The same with a body.
#[utoipa::path(
    post,
    path = "/search",
    operation_id = "search",
    request_body = wire::Search,
    security((), ("bearer" = []), ("cookie" = [])),
    responses((status = 200, body = Vec<wire::Hit>, description = "messages"), Unfound, Unread, Refusals),
)]
pub(super) async fn post(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> Reply {
    let caller = visit::caller(&request, &gateway).await?;
    let wanted: wire::Search = visit::body(payload).await?;
    let user = visit::named_user(&gateway, caller, wanted.user_id).await?;
    find(&gateway, caller, user, wanted).await
}

async fn find(gateway: &Gateway, caller: Caller, user: User, wanted: wire::Search) -> Reply {
    let query = wanted.query.filter(|query| !query.trim().is_empty());
    let query = query.ok_or_else(|| Problem::bad_input("what is looked for?"))?;
    let thread_id = match wanted.conversation_id {
        Some(number) => {
            let found = visit::conversation(gateway, caller, number).await?;
            // In open mode anybody's conversation is found, but it is one user's messages that are asked for.
            if found.owner_id != user.id {
                return Err(Problem::not_found("Conversation"));
            }
            found.thread_id
        }
        None => String::new(),
    };
    let request = FindRequest {
        user_id: user.id,
        query,
        limit: wanted.limit.unwrap_or(0),
        thread_id,
    };
    let found = gateway.backends.search().find(request).await?.into_inner();
    let hits: Vec<wire::Hit> = found.hits.into_iter().map(wire::Hit::from).collect();
    Ok(HttpResponse::Ok().json(hits))
}

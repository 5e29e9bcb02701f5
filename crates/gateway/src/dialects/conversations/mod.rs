//! Conversations with a model over REST: users, conversations, messages, and `messages:complete`, which lets the model answer what a
//! conversation holds, whole or as a stream of events. A conversation is the same thread that the assistant dialect calls
//! a session. Users, conversations and messages are named by integers.
//!
//! The language is the one of existing front ends and is kept as it is, with these deviations:
//!
//! - A refusal is always JSON in one envelope, `{"error": {"code": "", "message", "param": "", "type"}}`: 400 for what is no JSON, no id,
//!   no role, and for a wrong name or password; 402 when the balance does not pay; 404 for what there is not, and for what is
//!   somebody else's; 409 for a name that is taken or a key that was used; 429 for too many answers at once; 502 when
//!   the model's provider fails.
//! - In open mode no request needs a credential: whose a conversation is is looked up, and user ids are believed. In token
//!   mode a request has a token, `GET /users` shows the caller alone, and everybody else's things read like none.
//! - In open mode a user may be made with a weak password or without one: it then has a password that nobody knows, and
//!   may ask and spend what `gateway.conversations` says. In token mode the password must be a good one.
//! - `GET /users/<name>` looks for the name; a number that is nobody's name is an id. No answer repeats a password.
//! - `DELETE /users/<id>` is refused with 405: nobody can be removed yet.
//! - Conversations have their number as `id` and as `conversation_id`; messages have `seq` and come in its order. What
//!   ended without a word is not listed. `GET /conversations` and `GET /messages` show at most 10,000.
//! - A completion is always a 200. `messages` in its body, which older front ends send, are stored before the answer.
//!
//! # The stream
//!
//! Front ends take each chunk of the network for exactly one event. So an event is one write, there are 8 ms between two,
//! and text that comes faster is put together. There is nothing in the stream but `data:` lines: no comments, no names, no
//! ids, and `[DONE]` comes alone. The head is held back until the answer has its place and the first text is there, but no
//! longer than 300 ms: what fails before has a status. What fails later is an event with the envelope (`code` and `param`
//! are `null`), and the stream ends without `[DONE]`; the text so far is kept. The headers `x-run-id` and `x-user-id` say which run
//! this is, and whose, also when it has failed: a refusal without `x-run-id` is of a request that led to no run, and may be repeated
//! with its key where the status allows it. `traceparent` is empty.
//!
//! # Runs
//!
//! A run goes on when its reader has gone. `GET /conversations/<id>/runs/<run>` tells how far it is, `…/stream` reads it from any byte on
//! (`Last-Event-ID` or `?offset=`) as `event: delta`, `restarted`, `done` or `error` with a comment every 15 seconds of silence, and `POST …/cancel` stops it. A
//! request with an `Idempotency-Key` (or `client_msg_id` in the body) that is sent again gets the message or the answer of the first
//! one (`Idempotent-Replayed: true`). When the process that answers dies, the room follows the run to where it goes on. If the answer
//! is begun anew and becomes another one than was streamed already, the paced stream ends with an error that says so.

mod answer;
mod complete;
mod fault;
mod listing;
mod messages;
mod paced;
mod runs;
mod search;
#[cfg(test)]
mod tests;
mod threads;
mod users;
mod visit;
mod wire;

use actix_web::http::header::ContentType;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource, Route};
use utoipa::OpenApi;

use crate::Gateway;
use crate::docs::openapi::{self, Example};
use crate::settings::Conversations as Settings;
use fault::Problem;

/// What answers a look at the root, as the original does.
const GREETING: &str = "Serveur à l'écoute";

/// Headers that pages may read.
const TOLD: [&str; 3] = ["x-run-id", "x-user-id", "Idempotent-Replayed"];

#[derive(OpenApi)]
#[openapi(paths(
    greet,
    users::list,
    users::create,
    users::get,
    users::register,
    users::login,
    threads::list_of_user,
    threads::list,
    threads::create,
    threads::get,
    threads::update,
    threads::delete,
    messages::list_of_conversation,
    messages::create_in_conversation,
    messages::list,
    messages::create,
    messages::get,
    messages::delete,
    complete::complete,
    runs::get,
    runs::stream,
    runs::cancel,
    search::of_user,
    search::post,
))]
struct Api;

/// What a body looks like.
const EXAMPLES: &[Example] = &[
    Example {
        operation: "get_user",
        status: "200",
        body: include_str!("golden/user.json"),
    },
    Example {
        operation: "create",
        status: "201",
        body: include_str!("golden/conversation.json"),
    },
    Example {
        operation: "create_message",
        status: "201",
        body: include_str!("golden/message.json"),
    },
    Example {
        operation: "complete",
        status: "200",
        body: include_str!("golden/completed.json"),
    },
    Example {
        operation: "get_run",
        status: "200",
        body: include_str!("golden/run.json"),
    },
    Example {
        operation: "get",
        status: "404",
        body: include_str!("golden/failure.json"),
    },
];

/// This room's requests.
pub(super) fn described() -> openapi::Room {
    openapi::Room {
        name: "conversations",
        about: "Conversations with a model. In open mode no credential is needed.",
        api: Api::openapi(),
        examples: EXAMPLES,
    }
}

/// This room.
#[derive(Debug, Clone)]
pub(super) struct Room {
    settings: Settings,
}

impl Room {
    pub(super) fn open(settings: &Settings) -> Self {
        Self {
            settings: settings.clone(),
        }
    }

    pub(super) fn routes(&self, config: &mut ServiceConfig, gateway: &Gateway) {
        config.route("/", web::get().to(greet));
        for (path, routes) in routes() {
            let resource = Resource::new([path.to_owned(), format!("{path}/")])
                .app_data(web::Data::new(self.clone()))
                .app_data(web::QueryConfig::default().error_handler(|error, _| refuse(error)))
                .wrap(gateway.origins.cors().expose_headers(TOLD));
            let resource = routes.into_iter().fold(resource, Resource::route);
            config.service(resource.default_service(web::to(method_not_allowed)));
        }
    }
}

/// Every path with what can be done there.
fn routes() -> Vec<(&'static str, Vec<Route>)> {
    use web::{delete, get, patch, post};
    vec![
        (
            "/users",
            vec![get().to(users::list), post().to(users::create)],
        ),
        ("/users/{user}", vec![get().to(users::get)]),
        (
            "/users/{user}/conversations",
            vec![get().to(threads::list_of_user)],
        ),
        ("/users/{user}/search", vec![get().to(search::of_user)]),
        ("/search", vec![post().to(search::post)]),
        ("/register", vec![post().to(users::register)]),
        ("/login", vec![post().to(users::login)]),
        (
            "/conversations",
            vec![get().to(threads::list), post().to(threads::create)],
        ),
        (
            "/conversations/{conversation}",
            vec![
                get().to(threads::get),
                patch().to(threads::update),
                delete().to(threads::delete),
            ],
        ),
        (
            "/conversations/{conversation}/messages",
            vec![
                get().to(messages::list_of_conversation),
                post().to(messages::create_in_conversation),
            ],
        ),
        (
            "/conversations/{conversation}/messages:complete",
            vec![post().to(complete::complete)],
        ),
        (
            "/messages",
            vec![get().to(messages::list), post().to(messages::create)],
        ),
        (
            "/messages/{message}",
            vec![get().to(messages::get), delete().to(messages::delete)],
        ),
        (
            "/conversations/{conversation}/runs/{run}",
            vec![get().to(runs::get)],
        ),
        (
            "/conversations/{conversation}/runs/{run}/stream",
            vec![get().to(runs::stream)],
        ),
        (
            "/conversations/{conversation}/runs/{run}/cancel",
            vec![post().to(runs::cancel)],
        ),
    ]
}

/// Says that somebody is there.
#[utoipa::path(
    get,
    path = "/",
    operation_id = "greet",
    responses((status = 200, body = String, content_type = "text/plain", description = "a greeting")),
)]
async fn greet() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(ContentType::plaintext())
        .body(GREETING)
}

/// A query that cannot be read.
fn refuse(error: actix_web::error::QueryPayloadError) -> actix_web::Error {
    let told = Problem::bad_input("a parameter is not what is expected");
    actix_web::error::InternalError::from_response(error, told.into()).into()
}

async fn method_not_allowed() -> HttpResponse {
    Problem::method().into()
}

//! `/auth`: becoming a user, signing in and out, tickets for sockets. No front end's language knows a login; this one is
//! ours, for all of them.
//!
//! - Bodies are JSON of at most 16 KiB. Every path works with and without a final slash.
//! - A failure is `{"error": {"code": "…", "message": "…"}}`; codes do not change, messages may.
//! - Who signs in gets the access token in the body and as the cookie `token`, which scripts of a page cannot read. A
//!   browser is answered only on pages that may connect, as the cookie goes with whatever it sends.
//! - `POST /auth/keys` makes an API key, with `name`, `scopes`, `models`, `budget_microdollars` and `lifetime_seconds` as far as
//!   they are given; `secret` is told in its answer alone. `GET /auth/keys` lists them, `DELETE /auth/keys/{id}` revokes one.
//! - `GET /auth/account` says what the caller can spend. Money is integer micro-dollars. `PATCH /auth/me` changes the profile.
//! - A request with an API key is one without a credential: a program cannot make itself keys, tickets or another person.
//! - Works in open mode as well: there nobody has to sign in for the dialects that know no login.

mod fault;
mod handlers;
mod keys;
mod mine;
#[cfg(test)]
mod tests;
mod wire;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource};
use utoipa::OpenApi;

use crate::Gateway;
use crate::docs::openapi;
use fault::Refused;

#[derive(OpenApi)]
#[openapi(paths(
    handlers::register,
    handlers::login,
    handlers::refresh,
    handlers::logout,
    handlers::ticket,
    handlers::me,
    mine::change,
    mine::money,
    keys::make,
    keys::list,
    keys::revoke,
))]
struct Api;

/// This room's requests.
pub(super) fn described() -> openapi::Room {
    openapi::Room {
        name: "account",
        about: "Becoming a user, signing in and out, tickets for sockets: for front ends of every family.",
        api: Api::openapi(),
        examples: &[],
    }
}

/// The routes of this room.
pub(super) fn routes(config: &mut ServiceConfig, gateway: &Gateway) {
    let paths = [
        ("register", vec![web::post().to(handlers::register)]),
        ("login", vec![web::post().to(handlers::login)]),
        ("refresh", vec![web::post().to(handlers::refresh)]),
        ("logout", vec![web::post().to(handlers::logout)]),
        ("ws-ticket", vec![web::post().to(handlers::ticket)]),
        (
            "me",
            vec![web::get().to(handlers::me), web::patch().to(mine::change)],
        ),
        ("account", vec![web::get().to(mine::money)]),
        (
            "keys",
            vec![web::post().to(keys::make), web::get().to(keys::list)],
        ),
        ("keys/{id}", vec![web::delete().to(keys::revoke)]),
    ];
    for (name, routes) in paths {
        let resource = Resource::new([format!("/auth/{name}"), format!("/auth/{name}/")]);
        let resource = routes.into_iter().fold(resource, Resource::route);
        let resource = resource
            .wrap(gateway.origins.cors())
            .default_service(web::to(method_not_allowed));
        config.service(resource);
    }
}

async fn method_not_allowed() -> HttpResponse {
    Refused::METHOD.into()
}

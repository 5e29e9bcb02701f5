//! `/auth`: becoming a user, signing in and out, tickets for sockets. No front end's language knows a login; this one is
//! ours, for all of them.
//!
//! - Bodies are JSON of at most 16 KiB. Every path works with and without a final slash.
//! - A failure is `{"error": {"code": "…", "message": "…"}}`; codes do not change, messages may.
//! - Who signs in gets the access token in the body and as the cookie `token`, which scripts of a page cannot read. A
//!   browser is answered only on pages that may connect, as the cookie goes with whatever it sends.
//! - Works in open mode as well: there nobody has to sign in for the dialects that know no login.

mod fault;
mod handlers;
#[cfg(test)]
mod tests;
mod wire;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpResponse, Resource, Route};

use crate::Gateway;
use fault::Refused;

/// The routes of this room.
pub(super) fn routes(config: &mut ServiceConfig, gateway: &Gateway) {
    let paths: [(&str, Route); 6] = [
        ("register", web::post().to(handlers::register)),
        ("login", web::post().to(handlers::login)),
        ("refresh", web::post().to(handlers::refresh)),
        ("logout", web::post().to(handlers::logout)),
        ("ws-ticket", web::post().to(handlers::ticket)),
        ("me", web::get().to(handlers::me)),
    ];
    for (name, route) in paths {
        let resource = Resource::new([format!("/auth/{name}"), format!("/auth/{name}/")])
            .wrap(gateway.origins.cors())
            .route(route)
            .default_service(web::to(method_not_allowed));
        config.service(resource);
    }
}

async fn method_not_allowed() -> HttpResponse {
    Refused::METHOD.into()
}

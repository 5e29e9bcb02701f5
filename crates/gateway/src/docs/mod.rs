//! What programs and people read before they write a front end: `/openapi.json`, `/asyncapi.json`, and `/docs/`, a page to
//! browse the first. All three are public: they say nothing about this server that its program does not.
//!
//! The documents are made from the types and handlers of the rooms; what a room says of itself is in the room.

pub(crate) mod asyncapi;
pub(crate) mod openapi;
mod page;
pub(crate) mod schema;
#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash, Hasher};

use actix_cors::Cors;
use actix_web::http::header::{self, ETag, EntityTag, Header, IfNoneMatch};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use serde_json::Value;

use crate::{dialects, health};

/// Both documents, written.
#[derive(Debug, Clone)]
pub(crate) struct Documents {
    openapi: Bytes,
    asyncapi: Bytes,
}

/// One of them, for its handler.
struct Document(Bytes);

impl Documents {
    /// Writes both.
    pub(crate) fn write() -> Self {
        Self {
            openapi: openapi().to_string().into(),
            asyncapi: asyncapi::write(&dialects::channels()).to_string().into(),
        }
    }

    /// The routes of this module.
    pub(crate) fn routes(&self, config: &mut ServiceConfig) {
        for (path, document) in [
            ("/openapi.json", &self.openapi),
            ("/asyncapi.json", &self.asyncapi),
        ] {
            let resource = web::resource(path)
                .app_data(web::Data::new(Document(document.clone())))
                .wrap(cors())
                .route(web::get().to(get))
                .route(web::head().to(get));
            config.service(resource);
        }
        page::routes(config);
    }
}

fn openapi() -> Value {
    let mut rooms = dialects::described();
    rooms.push(health::described());
    openapi::write(rooms)
}

/// Any page may read what is public; no cookie is needed for it.
fn cors() -> Cors {
    Cors::default()
        .allow_any_origin()
        .send_wildcard()
        .allowed_methods(["GET", "HEAD"])
        .allow_any_header()
        .max_age(3600)
}

async fn get(request: HttpRequest, document: web::Data<Document>) -> HttpResponse {
    let content = document.0.clone();
    answer(&request, content, |response| {
        response.content_type("application/json");
    })
}

/// Answers with something that stays as it is until the program is another one. `describe` adds what a whole answer has.
fn answer(
    request: &HttpRequest,
    content: Bytes,
    describe: impl FnOnce(&mut HttpResponseBuilder),
) -> HttpResponse {
    let tag = tag(&content);
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|it| it.weak_eq(&tag)),
        Ok(IfNoneMatch::Any) | Err(_) => false,
    };
    let mut response = if known {
        HttpResponse::NotModified()
    } else {
        HttpResponse::Ok()
    };
    response
        .insert_header(ETag(tag))
        .insert_header((header::CACHE_CONTROL, "public, no-cache"));
    if known {
        return response.finish();
    }
    describe(&mut response);
    response.body(content)
}

fn tag(content: &[u8]) -> EntityTag {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    EntityTag::new_strong(format!("{:016x}", hasher.finish()))
}

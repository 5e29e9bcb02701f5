//! `/docs/`: Swagger UI. It is in the program and loads nothing from elsewhere.

use std::borrow::Cow;
use std::sync::Arc;

use actix_web::http::header;
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use utoipa_swagger_ui::Config;

use super::answer;
use crate::health::not_found;

/// What the page shows, as seen from it, so that it works behind a proxy's prefix as well.
const DOCUMENT: &str = "../openapi.json";

/// Swagger UI has scripts and styles of its own, pictures in its styles, and asks the API what its reader tries out.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(super) fn routes(config: &mut ServiceConfig) {
    config
        .route("/docs", web::get().to(redirect))
        .route("/docs/{file:.*}", web::get().to(get))
        .route("/docs/{file:.*}", web::head().to(get));
}

/// The page's files are found beside it only when its path ends with a slash.
async fn redirect() -> HttpResponse {
    HttpResponse::PermanentRedirect()
        .insert_header((header::LOCATION, "docs/"))
        .finish()
}

async fn get(request: HttpRequest, file: web::Path<String>) -> HttpResponse {
    let config = Config::from(DOCUMENT)
        .use_base_layout()
        .try_it_out_enabled(true)
        .validator_url("none");
    let Ok(Some(file)) = utoipa_swagger_ui::serve(&file, Arc::new(config)) else {
        return not_found().await;
    };
    let content = match file.bytes {
        Cow::Borrowed(bytes) => Bytes::from_static(bytes),
        Cow::Owned(bytes) => Bytes::from(bytes),
    };
    answer(&request, content, |response| {
        response
            .content_type(file.content_type)
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY));
        // Compressed when it was built; whoever reads pages reads this.
        if file.gzpipped {
            response.insert_header((header::CONTENT_ENCODING, "gzip"));
        }
    })
}

//! What every answer says of itself: its id, how long it took, and where its caller stands.

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage};
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use crate::limits::{Standing, Window};

const ID: HeaderName = HeaderName::from_static("x-request-id");
const TOOK: HeaderName = HeaderName::from_static("openai-processing-ms");

/// The names of one limit's headers.
struct Names {
    limit: HeaderName,
    remaining: HeaderName,
    reset: HeaderName,
}

const REQUESTS: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-requests"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-requests"),
    reset: HeaderName::from_static("x-ratelimit-reset-requests"),
};

const TOKENS: Names = Names {
    limit: HeaderName::from_static("x-ratelimit-limit-tokens"),
    remaining: HeaderName::from_static("x-ratelimit-remaining-tokens"),
    reset: HeaderName::from_static("x-ratelimit-reset-tokens"),
};

/// Runs a request, and puts on its answer what is known by then.
pub(super) async fn stamp(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let began = Instant::now();
    let id = Uuid::new_v4();
    let span = tracing::info_span!("request", dialect = "openai", %id);
    let mut response = next.call(request).instrument(span).await?;
    let standing = response.request().extensions().get::<Standing>().copied();
    let headers = response.headers_mut();
    put(headers, ID, &id.to_string());
    put(headers, TOOK, &began.elapsed().as_millis().to_string());
    if let Some(standing) = standing {
        put_window(headers, &REQUESTS, standing.requests);
        put_window(headers, &TOKENS, standing.tokens);
    }
    Ok(response)
}

fn put_window(headers: &mut HeaderMap, names: &Names, window: Option<Window>) {
    let Some(window) = window else { return };
    put(headers, names.limit.clone(), &window.limit.to_string());
    let remaining = window.remaining().to_string();
    put(headers, names.remaining.clone(), &remaining);
    put(headers, names.reset.clone(), &span(window.ends_in));
}

fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Numbers and ids are always good values.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// A stretch of time as OpenAI writes it: `820ms`, `59.5s`, `1m0s`.
pub(super) fn span(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    let (minutes, rest) = (milliseconds / 60_000, milliseconds % 60_000);
    let (seconds, thousandths) = (rest / 1000, rest % 1000);
    if minutes == 0 && seconds == 0 {
        return format!("{milliseconds}ms");
    }
    let minutes = if minutes == 0 {
        String::new()
    } else {
        format!("{minutes}m")
    };
    let fraction = format!(".{thousandths:03}");
    let fraction = fraction.trim_end_matches('0').trim_end_matches('.');
    format!("{minutes}{seconds}{fraction}s")
}

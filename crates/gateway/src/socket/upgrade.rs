//! HTTP request → socket: who may open one, and what becomes of it.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use serde_json::json;

use super::{Dialect, Ending, Limits, Messages, Rhythm, Summary, run};
use crate::Gateway;
use crate::caller::{BEARER_PROTOCOL, Caller, Credential, Refusal, identify};

/// Answers a request for a socket. The dialect is made for a caller that may have one.
pub(crate) async fn upgrade<D>(
    request: &HttpRequest,
    payload: web::Payload,
    gateway: &Gateway,
    dialect: impl FnOnce(Caller) -> D,
) -> HttpResponse
where
    D: Dialect + 'static,
{
    if !wants_socket(request) {
        return HttpResponse::build(StatusCode::UPGRADE_REQUIRED)
            .insert_header((header::UPGRADE, "websocket"))
            .content_type(ContentType::plaintext())
            .body("Upgrade Required");
    }
    if gateway.is_stopping() {
        return refused(Refusal::Away);
    }
    if !gateway.origins.allow(request) {
        return HttpResponse::Forbidden().json(json!({ "error": "Origin not allowed" }));
    }
    let credential = Credential::of_socket(request);
    let caller = match identify(gateway.auth, &gateway.backends, credential.as_ref()).await {
        Ok(caller) => caller,
        Err(refusal) => return refused(refusal),
    };
    // The handshake wants a payload to read; this one is read here, see `Messages`.
    let shaken = match web::Payload::extract(request).await {
        Ok(none) => actix_ws::handle_with_protocols(request, none, &[BEARER_PROTOCOL]),
        Err(error) => Err(error),
    };
    let (mut response, session, _) = match shaken {
        Ok(shaken) => shaken,
        Err(error) => return error.error_response(),
    };
    if let Caller::User(_) = caller
        && let Some(cookie) = credential.as_ref().and_then(Credential::cookie)
        && response.add_cookie(&cookie).is_err()
    {
        tracing::debug!("a token cannot be a cookie");
    }

    let limits = Limits {
        frame: gateway.sockets.frame_bytes,
        message: gateway.sockets.message_bytes,
    };
    let rhythm = Rhythm {
        ping: Duration::from_secs(gateway.sockets.ping_seconds),
        pending: gateway.sockets.pending_frames,
    };
    let messages = Messages::new(payload.into_inner(), limits);
    let dialect = dialect(caller);
    let stopping = gateway.tasks.stopping();
    tracing::info!(dialect = D::NAME, "a socket opened");
    let serve = async move {
        let summary = run(&dialect, session, messages, rhythm, &stopping).await;
        log_end(D::NAME, &summary);
    };
    actix_web::rt::spawn(gateway.open_sockets.track_future(serve));
    response
}

fn wants_socket(request: &HttpRequest) -> bool {
    let upgrade = request.headers().get(header::UPGRADE);
    upgrade
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.to_ascii_lowercase().contains("websocket"))
}

fn refused(refusal: Refusal) -> HttpResponse {
    let error = json!({ "error": refusal.text() });
    refusal.response().json(error)
}

fn log_end(dialect: &str, summary: &Summary) {
    let reason = match &summary.ending {
        Ending::Closed(_) => "closed by the peer",
        Ending::Lost => "connection lost",
        Ending::Silent => "no sign of life",
        Ending::Violation => "protocol violated",
        Ending::Stopping => "stopping",
    };
    tracing::info!(
        dialect,
        reason,
        messages = summary.messages,
        "a socket closed"
    );
}

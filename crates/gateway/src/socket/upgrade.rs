//! HTTP request → socket: who may open one, and what becomes of it.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentType};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use confab_rpc::sessions::Profile;
use serde_json::json;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::handover;
use super::line::Half;
use super::stay::Bounded;
use super::wire::{Reader, Writer};
use super::{
    Dialect, Ending, FAREWELL, Frame, Frames, Limits, Messages, Queue, Rhythm, Summary, Unreadable,
    run,
};
use crate::Gateway;
use crate::caller::{BEARER_PROTOCOL, Caller, Credential, Refusal, Verified, identify};
use crate::live::{Announcer, Resume, Seat};
use crate::settings::AuthMode;

/// Answers a request for a socket. The dialect is made for a caller that may have one.
pub(crate) async fn upgrade<D>(
    request: &HttpRequest,
    gateway: &Gateway,
    dialect: impl FnOnce(Caller) -> D,
) -> HttpResponse
where
    D: Dialect + 'static,
{
    if let Some(refusal) = refusal(request, gateway) {
        return refusal;
    }
    let credential = Credential::of_socket(request);
    let caller = match identify(gateway.auth, &gateway.backends, credential.as_ref()).await {
        Ok(caller) => caller,
        Err(refusal) => return refused(refusal),
    };
    let cookie = credential.filter(|_| caller != Caller::Anyone);
    let queue = Arc::default();
    let dialect = Bounded::new(dialect(caller), caller, &gateway.revocations);
    open(request, gateway, cookie, dialect, queue).await
}

/// Who has a socket that is pushed to, and its seat.
pub(crate) struct Guest {
    pub(crate) verified: Verified,
    pub(crate) profile: Arc<Profile>,
    pub(crate) seat: Arc<Seat>,
}

/// Answers a request for a socket that is pushed to: always with a token (otherwise 403), from the position that
/// `?resume=` or `?since=` name, if they do. Entries reach it from before the handshake on; requests are handed to the
/// dialect when everything missed is in its queue. `announcer` is the same value for all sockets of a room.
pub(crate) async fn upgrade_live<D>(
    request: &HttpRequest,
    gateway: &Gateway,
    announcer: Arc<dyn Announcer>,
    dialect: impl FnOnce(Guest) -> D,
) -> HttpResponse
where
    D: Dialect + 'static,
{
    if let Some(refusal) = refusal(request, gateway) {
        return refusal;
    }
    let credential = Credential::of_socket(request);
    let caller = identify(AuthMode::Token, &gateway.backends, credential.as_ref()).await;
    let verified = match caller {
        Ok(Caller::User(verified)) => verified,
        Ok(Caller::Anyone) | Err(Refusal::Unauthorized) => {
            return HttpResponse::Forbidden().json(json!({ "error": "Forbidden" }));
        }
        Err(refusal) => return refused(refusal),
    };
    let id = verified.id.to_string();
    let Ok(Some(profile)) = gateway.live.people().profile(&id).await else {
        return refused(Refusal::Away);
    };
    let resume = Resume::parse(request.query_string());
    let seat = match gateway.live.join(verified.id, announcer, resume).await {
        Ok(seat) => Arc::new(seat),
        Err(fault) => {
            tracing::warn!(%fault, "a socket cannot be given its position");
            return refused(Refusal::Away);
        }
    };
    let queue = Arc::clone(seat.queue());
    let seated = Seated {
        dialect: dialect(Guest {
            verified,
            profile,
            seat: Arc::clone(&seat),
        }),
        seat,
    };
    let dialect = Bounded::new(seated, Caller::User(verified), &gateway.revocations);
    open(request, gateway, credential, dialect, queue).await
}

/// A dialect whose requests wait for what was missed.
struct Seated<D> {
    dialect: D,
    seat: Arc<Seat>,
}

impl<D: Dialect> Dialect for Seated<D> {
    const NAME: &'static str = D::NAME;

    async fn on_frame(&self, frame: Frame) -> Frames {
        self.seat.ready().await;
        self.dialect.on_frame(frame).await
    }

    fn on_unreadable(&self, why: Unreadable) -> Frames {
        self.dialect.on_unreadable(why)
    }
}

/// Why nobody gets a socket for this request.
fn refusal(request: &HttpRequest, gateway: &Gateway) -> Option<HttpResponse> {
    if !wants_socket(request) {
        return Some(upgrade_required());
    }
    if gateway.is_stopping() {
        return Some(refused(Refusal::Away));
    }
    if !gateway.origins.allow(request) {
        return Some(HttpResponse::Forbidden().json(json!({ "error": "Origin not allowed" })));
    }
    None
}

fn upgrade_required() -> HttpResponse {
    HttpResponse::build(StatusCode::UPGRADE_REQUIRED)
        .insert_header((header::UPGRADE, "websocket"))
        .content_type(ContentType::plaintext())
        .body("Upgrade Required")
}

/// Shakes hands and serves the socket from now on. A credential that was verified becomes a cookie.
async fn open<D>(
    request: &HttpRequest,
    gateway: &Gateway,
    credential: Option<Credential>,
    dialect: D,
    queue: Arc<Queue>,
) -> HttpResponse
where
    D: Dialect + 'static,
{
    // The handshake wants a payload to read; this connection is read here, see `Messages`.
    let shaken = match web::Payload::extract(request).await {
        Ok(none) => actix_ws::handle_with_protocols(request, none, &[BEARER_PROTOCOL]),
        Err(error) => Err(error),
    };
    let (mut response, ..) = match shaken {
        Ok(shaken) => shaken,
        Err(error) => return error.error_response(),
    };
    if let Some(cookie) = credential.as_ref().and_then(Credential::cookie)
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
    let stopping = gateway.tasks.stopping();
    let open_sockets = gateway.open_sockets.clone();
    let taken = handover::take(request, move |connection, begun| {
        let (reader, half) = connection.into_split();
        let half = Half::new(half);
        queue.connect(half.clone());
        let wire = (Reader::new(reader, begun), Writer::new(half));
        let serve = serve(dialect, queue, wire, limits, rhythm, stopping);
        actix_web::rt::spawn(open_sockets.track_future(serve));
    });
    if taken { response } else { upgrade_required() }
}

/// Serves a socket to its end. What an `async fn` takes has its place twice in the future, and there are many of these.
fn serve<D: Dialect>(
    dialect: D,
    queue: Arc<Queue>,
    (reader, mut writer): (Reader<OwnedReadHalf>, Writer<Half>),
    limits: Limits,
    rhythm: Rhythm,
    stopping: CancellationToken,
) -> impl Future<Output = ()> {
    let mut messages = Messages::new(reader, limits);
    async move {
        tracing::info!(dialect = D::NAME, "a socket opened");
        let open = metrics::gauge!("confab_sockets", "dialect" => D::NAME);
        open.increment(1.0);
        let wire = &mut writer;
        let summary = run(&dialect, &queue, wire, &mut messages, rhythm, &stopping).await;
        open.decrement(1.0);
        log_end(D::NAME, &summary);
        // Its seat is free before the peer has gone.
        drop((dialect, writer));
        if summary.ending != Ending::Lost {
            // A peer that does not close its side either is cut off.
            let mut reader = messages.into_inner();
            let _ = timeout(FAREWELL, reader.drain()).await;
        }
    }
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

fn log_end(dialect: &'static str, summary: &Summary) {
    let reason = match &summary.ending {
        Ending::Closed(_) => "closed by the peer",
        Ending::Lost => "connection lost",
        Ending::Silent => "no sign of life",
        Ending::TooSlow => "slow consumer",
        Ending::Violation => "protocol violated",
        Ending::Revoked => "signed out",
        Ending::Expired => "credential expired",
        Ending::Stopping => "stopping",
    };
    metrics::counter!("confab_sockets_closed_total", "dialect" => dialect, "reason" => reason)
        .increment(1);
    tracing::info!(
        dialect,
        reason,
        messages = summary.messages,
        "a socket closed"
    );
}

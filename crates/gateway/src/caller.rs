//! Credential → caller: who is asking, as far as a verified credential says, and which user ids that caller may name.
//!
//! Tokens are held as secrets and never reach a log or an error. A ticket is what stands for a token where a URL would
//! show one: it is good once, and for a socket only. An API key is good in the rooms that take one, which ask
//! [`Known::identify`].

mod asker;
mod known;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;
use std::time::Duration;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use confab_rpc::sessions::{VerifiedToken, VerifyTokenRequest};
use confab_rpc::{Fault, Reason};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use uuid::Uuid;

use crate::backends::Backends;
use crate::settings::AuthMode;

pub(crate) use asker::{Asker, Scope};
pub(crate) use known::Known;

/// The subprotocol that carries a token; offered back when a client asks for it.
pub(crate) const BEARER_PROTOCOL: &str = "bearer";

/// Name of the cookie and of the query parameter.
const TOKEN: &str = "token";

/// How tickets begin.
const TICKET: &str = "ticket_";

/// When a client should come back to a service that is away.
const RETRY_SECONDS: &str = "2";

/// Longer ones are not tokens; `VerifyToken` takes no more either.
const TOKEN_BYTES: usize = 8 * 1024;

/// Who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Caller {
    /// Nobody proved anything: open mode, where a user id is believed.
    Anyone,
    /// The owner of a verified token.
    User(Verified),
}

/// What a verified token says about its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verified {
    /// What the assistant and direct dialects call the user.
    pub(crate) id: Uuid,
    /// What the conversations and groups dialects call the user.
    pub(crate) number: i64,
    /// The sign-in session, for tokens that belong to one.
    pub(crate) session: Option<Uuid>,
    /// Until when a connection may stay.
    pub(crate) ends_at: Instant,
}

/// Why a caller is turned away before anything is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// No token, or one that is not good.
    Unauthorized,
    /// The service that could tell is away.
    Away,
}

impl Refusal {
    /// The head of the answer; its body is the room's.
    pub(crate) fn response(self) -> HttpResponseBuilder {
        match self {
            Self::Unauthorized => {
                let mut response = HttpResponse::Unauthorized();
                response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
                response
            }
            Self::Away => unavailable(),
        }
    }

    /// What a person is told.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::Away => "Service Unavailable",
        }
    }
}

/// The head of an answer when a service is away or busy.
pub(crate) fn unavailable() -> HttpResponseBuilder {
    let mut response = HttpResponse::ServiceUnavailable();
    response.insert_header((header::RETRY_AFTER, RETRY_SECONDS));
    response
}

/// What a request carries to prove who sent it.
pub(crate) struct Credential {
    token: SecretString,
    /// Whether it stood in the query, where a browser would have to repeat it on every request.
    in_query: bool,
}

impl Credential {
    /// What proves who sent a request: its token. A ticket is none.
    pub(crate) fn of(request: &HttpRequest) -> Option<Self> {
        Self::of_socket(request).filter(|credential| !credential.is_ticket())
    }

    /// The token or API key of `Authorization: Bearer`, for languages whose clients send nothing else. No browser adds
    /// it to a request by itself, so no page can act with it unknown to its user.
    pub(crate) fn bearer(request: &HttpRequest) -> Option<Self> {
        let token = authorization(request).filter(|token| !token.is_empty())?;
        let credential = Self {
            token: token.into(),
            in_query: false,
        };
        (!credential.is_ticket()).then_some(credential)
    }

    /// What proves who asks for a socket, a token or a ticket: `Authorization: Bearer`, `Sec-WebSocket-Protocol: bearer, <token>`, `?token=`, or the cookie
    /// `token`, in this order: what was written for this request counts more than what a browser adds to each.
    pub(crate) fn of_socket(request: &HttpRequest) -> Option<Self> {
        let explicit = authorization(request).or_else(|| subprotocol(request));
        let (token, in_query) = match explicit {
            Some(token) => (token, false),
            None => match query(request) {
                Some(token) => (token, true),
                None => (request.cookie(TOKEN)?.value().to_owned(), false),
            },
        };
        (!token.is_empty()).then(|| Self {
            token: token.into(),
            in_query,
        })
    }

    /// The token itself, to be verified.
    pub(crate) fn token(&self) -> &str {
        self.token.expose_secret()
    }

    /// The cookie that spares a browser the query from now on; only after the token was verified.
    pub(crate) fn cookie(&self) -> Option<Cookie<'static>> {
        let lasting = self.in_query && !self.is_ticket();
        lasting.then(|| token_cookie(self.token().to_owned()))
    }

    fn is_ticket(&self) -> bool {
        self.token().starts_with(TICKET)
    }
}

/// The cookie that a browser proves itself with.
pub(crate) fn token_cookie(token: String) -> Cookie<'static> {
    Cookie::build(TOKEN, token)
        .http_only(true)
        .same_site(SameSite::Lax)
        .path("/")
        .finish()
}

/// Who sent a request. In open mode no credential is looked at.
pub(crate) async fn identify(
    mode: AuthMode,
    backends: &Backends,
    credential: Option<&Credential>,
) -> Result<Caller, Refusal> {
    if mode == AuthMode::Open {
        return Ok(Caller::Anyone);
    }
    let verified = verify(backends, credential).await?;
    Ok(Caller::User(Verified::of(&verified)?))
}

impl Verified {
    fn of(verified: &VerifiedToken) -> Result<Self, Refusal> {
        let user = verified.user.as_ref().ok_or(Refusal::Away)?;
        let lasts = Duration::from_secs(verified.connection_seconds.into());
        Ok(Self {
            id: user.id.parse().map_err(|_| Refusal::Away)?,
            number: user.number,
            session: verified.session_id.parse().ok(),
            ends_at: Instant::now() + lasts,
        })
    }
}

/// What the sessions service says about a person's credential. A ticket is used up by it; an API key is not good.
pub(crate) async fn verify(
    backends: &Backends,
    credential: Option<&Credential>,
) -> Result<VerifiedToken, Refusal> {
    let verified = verify_any(backends, credential).await?;
    if verified.api_key.is_some() {
        return Err(Refusal::Unauthorized);
    }
    Ok(verified)
}

/// The same, where an API key is as good.
async fn verify_any(
    backends: &Backends,
    credential: Option<&Credential>,
) -> Result<VerifiedToken, Refusal> {
    let token = credential
        .map(Credential::token)
        .filter(|token| token.len() <= TOKEN_BYTES)
        .ok_or(Refusal::Unauthorized)?;
    let request = VerifyTokenRequest {
        token: token.to_owned(),
    };
    let verified = backends.sessions().verify_token(request).await;
    match verified {
        Ok(verified) => Ok(verified.into_inner()),
        Err(status) => Err(refusal(&Fault::from(status))),
    }
}

fn refusal(fault: &Fault) -> Refusal {
    match fault.reason {
        Reason::TokenInvalid | Reason::TokenExpired | Reason::UserNotFound | Reason::Invalid => {
            Refusal::Unauthorized
        }
        _ => {
            tracing::warn!(%fault, "a token could not be verified");
            Refusal::Away
        }
    }
}

fn authorization(request: &HttpRequest) -> Option<String> {
    let value = request
        .headers()
        .get(header::AUTHORIZATION)?
        .to_str()
        .ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

fn subprotocol(request: &HttpRequest) -> Option<String> {
    let offered = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL);
    let mut names = offered
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    names.find(|name| *name == BEARER_PROTOCOL)?;
    names.next().map(str::to_owned)
}

fn query(request: &HttpRequest) -> Option<String> {
    url::form_urlencoded::parse(request.query_string().as_bytes())
        .find(|(key, value)| key == TOKEN && !value.is_empty())
        .map(|(_, value)| value.into_owned())
}

/// The user ids that one socket (or one request) may name.
#[derive(Debug)]
pub(crate) struct Acting {
    caller: Caller,
    bound: OnceLock<Uuid>,
}

/// What a claimed user id is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// The id may be acted for, as far as the gateway knows.
    Granted(Uuid),
    /// Another user's id, although a token says who the caller is: treated like an id that nobody has.
    Foreign,
    /// Another id than the one this socket has used.
    SecondIdentity,
}

impl Acting {
    pub(crate) fn new(caller: Caller) -> Self {
        Self {
            caller,
            bound: OnceLock::new(),
        }
    }

    /// Compares the id in a frame, body or form with the caller. It is never what makes somebody the caller, except in
    /// open mode.
    pub(crate) fn claim(&self, id: Uuid) -> Claim {
        match (self.caller, self.bound.get()) {
            (Caller::User(user), _) if user.id != id => Claim::Foreign,
            (Caller::Anyone, Some(bound)) if *bound != id => Claim::SecondIdentity,
            _ => Claim::Granted(id),
        }
    }

    /// Ties the socket to a user that turned out to exist; the first one stays.
    pub(crate) fn bind(&self, user: Uuid) {
        let _ = self.bound.set(user);
    }
}

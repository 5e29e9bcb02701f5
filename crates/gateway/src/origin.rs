//! Which web pages may connect: a browser names the page's origin, and no page can make it name another.
//!
//! A request without an `Origin` comes from no page and is not this module's concern.

use actix_cors::Cors;
use actix_web::HttpRequest;
use actix_web::http::header;
use url::{Host, Url};

use crate::settings::Settings;

/// In `allowed_origins`: any page.
pub(crate) const ANY: &str = "*";

/// The pages that may connect.
#[derive(Debug, Clone)]
pub(crate) struct Origins {
    any: bool,
    listed: Vec<String>,
    loopback: bool,
}

impl Origins {
    /// What the settings allow. Pages of this machine are let in while nobody else can reach the listeners.
    pub(crate) fn new(settings: &Settings) -> Self {
        let origins = &settings.allowed_origins;
        Self {
            any: origins.iter().any(|origin| origin == ANY),
            listed: origins.iter().filter_map(|it| normalised(it)).collect(),
            loopback: settings.listen.iter().all(|it| it.ip().is_loopback()),
        }
    }

    /// Whether a request comes from a page that may connect, or from no page.
    pub(crate) fn allow(&self, request: &HttpRequest) -> bool {
        let origins = request.headers().get_all(header::ORIGIN);
        origins
            .into_iter()
            .all(|origin| origin.to_str().is_ok_and(|origin| self.allows(origin)))
    }

    /// Lets the pages that may connect read what is answered. Cookies count only for pages that are named: `*` together
    /// with cookies would hand them to any page.
    pub(crate) fn cors(&self) -> Cors {
        let cors = Cors::default()
            .allowed_methods(["GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"])
            .allow_any_header()
            .max_age(3600);
        if self.any {
            return cors.allow_any_origin().send_wildcard();
        }
        let origins = self.clone();
        cors.supports_credentials()
            .allowed_origin_fn(move |origin, _| origin.to_str().is_ok_and(|it| origins.allows(it)))
    }

    /// Whether the page with this `Origin` may connect.
    ///
    /// The text is compared as browsers write it (lower case, no default port, punycode): anything else was not
    /// written by a browser.
    fn allows(&self, origin: &str) -> bool {
        self.any
            || self.listed.iter().any(|listed| listed == origin)
            || (self.loopback && is_loopback(origin))
    }
}

/// An origin as browsers write it; `None` when it is none.
pub(crate) fn normalised(origin: &str) -> Option<String> {
    let url = Url::parse(origin).ok()?;
    let bare = url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    let web = matches!(url.scheme(), "http" | "https");
    (bare && web).then(|| url.origin().ascii_serialization())
}

fn is_loopback(origin: &str) -> bool {
    if normalised(origin).as_deref() != Some(origin) {
        return false;
    }
    let Ok(url) = Url::parse(origin) else {
        return false;
    };
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

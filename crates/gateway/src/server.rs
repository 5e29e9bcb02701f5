//! Listeners → rooms, and how the gateway comes to its end.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_service::{IntoServiceFactory, map_config};
use actix_web::dev::{AppConfig, Server};
use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;
use actix_web::web::ServiceConfig;
use actix_web::{App, web};
use confab_cache::Cache;
use confab_delivery::{Delivery, GatewayId};
use confab_runtime::{Clock, Tasks};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::backends::Backends;
use crate::caller::Known;
use crate::dialects::Rooms;
use crate::docs::Documents;
use crate::health;
use crate::limits::Limits;
use crate::live::Live;
use crate::origin::Origins;
use crate::revocation::Revocations;
use crate::settings::{AuthMode, Settings, Sockets};
use crate::socket::upgrades;

/// How long sockets may take to end: the grace of a request under way and a farewell.
const SOCKETS_GRACE: Duration = Duration::from_secs(6);

/// How long HTTP requests may take after that, in seconds.
const REQUESTS_GRACE: u64 = 4;

/// How long a connection may rest between two requests. Longer than the 60 s for which load balancers usually keep one: who
/// closes first must not be the side that did not begin, as it cannot know whether a request is on its way.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a peer may take to close its side of a connection.
const DISCONNECT: Duration = Duration::from_secs(1);

/// What every handler works with.
pub(crate) struct Gateway {
    pub(crate) backends: Backends,
    pub(crate) auth: AuthMode,
    /// Who proved lately who they are.
    pub(crate) known: Known,
    pub(crate) origins: Origins,
    pub(crate) sockets: Sockets,
    /// What sockets are pushed.
    pub(crate) live: Live,
    pub(crate) clock: Arc<dyn Clock>,
    /// How much callers may ask for.
    pub(crate) limits: Limits,
    /// Sign-in sessions that were ended.
    pub(crate) revocations: Revocations,
    /// For work that must outlive its request, and to know when to stop.
    pub(crate) tasks: Tasks,
    pub(crate) open_sockets: TaskTracker,
    stopping: CancellationToken,
}

impl Gateway {
    /// Opens it; what it needs in the background is started here.
    pub(crate) async fn open(
        settings: &Settings,
        backends: Backends,
        cache: &Cache,
        delivery: &Delivery,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> Self {
        Self {
            revocations: Revocations::start(backends.sessions(), &tasks).await,
            live: Live::open(GatewayId::new(), &backends, delivery, cache, &tasks),
            clock,
            limits: Limits::new(&settings.limits, cache, &tasks),
            backends,
            auth: settings.auth.mode,
            known: Known::default(),
            origins: Origins::new(settings),
            sockets: settings.sockets.clone(),
            stopping: tasks.stopping(),
            open_sockets: TaskTracker::new(),
            tasks,
        }
    }

    /// Whether the process is coming to its end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }
}

/// Why the gateway cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// A listener cannot be used.
    #[error("cannot serve on a listener: {0}")]
    Listener(#[source] io::Error),
    /// The HTTP server failed.
    #[error("the HTTP server failed: {0}")]
    Server(#[source] io::Error),
}

/// Serves every dialect on every listener until `tasks` is stopping; then says that it is not ready any more, closes
/// sockets once their request under way is answered (or after a short grace), lets HTTP requests end, and returns.
///
/// The settings must be [valid](Settings::validate). Call it on a tokio runtime; HTTP runs on threads of its own.
pub async fn serve(
    settings: Settings,
    backends: Backends,
    cache: Cache,
    delivery: Delivery,
    listeners: Vec<TcpListener>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
) -> Result<(), GatewayError> {
    let gateway = Gateway::open(&settings, backends, &cache, &delivery, clock, tasks).await;
    let gateway = web::Data::new(gateway);
    let stopping = gateway.stopping.clone();
    let open_sockets = gateway.open_sockets.clone();
    let server = bind(&settings, gateway, &cache, listeners).map_err(GatewayError::Listener)?;
    let handle = server.handle();
    let drain = async {
        stopping.cancelled().await;
        open_sockets.close();
        if tokio::time::timeout(SOCKETS_GRACE, open_sockets.wait())
            .await
            .is_err()
        {
            tracing::warn!(left = open_sockets.len(), "sockets were cut off");
        }
        handle.stop(true).await;
    };
    let mut server = std::pin::pin!(server);
    tokio::select! {
        ended = &mut server => ended,
        () = drain => server.await,
    }
    .map_err(GatewayError::Server)
}

fn bind(
    settings: &Settings,
    gateway: web::Data<Gateway>,
    cache: &Cache,
    listeners: Vec<TcpListener>,
) -> io::Result<Server> {
    let rooms = Rooms::open(settings, &gateway, cache);
    let documents = settings.docs.then(Documents::write);
    let app = move || {
        App::new()
            .app_data(gateway.clone())
            .wrap(headers())
            .configure(|config| routes(config, &rooms, documents.as_ref(), &gateway))
            .default_service(web::to(health::not_found))
    };
    let mut server = Server::build()
        .disable_signals()
        .shutdown_timeout(REQUESTS_GRACE);
    let stops = server.graceful_shutdown_signal();
    for listener in listeners {
        let (app, stops) = (app.clone(), stops.clone());
        // What `HttpServer` does as well, but for sockets, which leave HTTP.
        server = server.listen("gateway", listener, move || {
            let stops = stops.clone();
            HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stops = stops.clone();
                    async move { stops.notified().await }
                })
                .keep_alive(KEEP_ALIVE)
                .client_disconnect_timeout(DISCONNECT)
                // An event of a stream leaves when it is written.
                .tcp_nodelay(true)
                // Who goes away takes the request along: an answer that nobody waits for costs money.
                .h1_allow_half_closed(false)
                .upgrade(upgrades(app().into_factory()))
                .finish(map_config(app(), |()| AppConfig::default()))
                .tcp()
        })?;
    }
    Ok(server.run())
}

/// Everything that is served.
pub(crate) fn routes(
    config: &mut ServiceConfig,
    rooms: &Rooms,
    documents: Option<&Documents>,
    gateway: &Gateway,
) {
    health::routes(config);
    if let Some(documents) = documents {
        documents.routes(config);
    }
    rooms.routes(config, gateway);
}

/// What every answer says to browsers, unless a handler says otherwise.
fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::CACHE_CONTROL, "no-store"))
        .add((
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ))
}

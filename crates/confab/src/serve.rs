//! Starts the roles of a process, and ends them without losing what is under way.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use confab_database::Database;
use confab_rpc::Lane;
use confab_rpc::completions::completions_client::CompletionsClient;
use confab_rpc::completions::{ListModelsRequest, Model};
use confab_rpc::transport;
use confab_runtime::{Clock, Tasks};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::roles::{Role, Roles};
use crate::settings::Settings;
use crate::wiring::{KEEP_ALIVE, KEEP_ALIVE_TIMEOUT, Reach, Wired, Wiring};

/// How long databases may take to close, even when the grace period is over: they have little to do.
const CLOSING: Duration = Duration::from_secs(1);

/// A process that serves its roles.
pub struct Running {
    /// Where the gateway listens; empty when it runs elsewhere.
    pub gateway: Vec<SocketAddr>,
    /// Where roles are served to other processes; empty when all roles are here.
    pub lanes: Vec<(Role, SocketAddr)>,
    /// Where agents may ask back, when an agent is configured and completions runs here.
    pub agent_context: Option<SocketAddr>,
    reach: Reach,
    failed: mpsc::Receiver<anyhow::Error>,
    front: Tasks,
    back: Tasks,
    databases: Vec<Database>,
    grace: Duration,
}

/// Starts the given roles. When it returns, every listener is open and every table is in order; what answers later
/// (a broker, a provider, a role elsewhere) may still be away.
pub async fn start(
    mut settings: Settings,
    roles: Roles,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<Running> {
    settings.check_roles(&roles)?;
    // The gateway ends first, while everything that it calls still answers.
    let (front, back) = (Tasks::new(), Tasks::new());
    let (report, failed) = mpsc::channel(1);
    let gateway_listeners = listeners_of(&settings, &roles)?;
    let agent_listener = agent_listener_of(&mut settings, &roles).await?;
    let wired = Wiring {
        settings: &settings,
        roles: &roles,
        clock: Arc::clone(&clock),
        tasks: back.clone(),
    }
    .wire()
    .await?;
    let mut running = Running {
        gateway: addresses(&gateway_listeners)?,
        lanes: Vec::new(),
        agent_context: None,
        reach: wired.lanes.clone(),
        failed,
        front,
        back,
        databases: wired.databases.clone(),
        grace: Duration::from_secs(settings.shutdown.grace_seconds),
    };
    if let (Some(listener), Some(server)) = (agent_listener, &wired.agent_context) {
        running.agent_context = Some(listener.local_addr()?);
        let routes = Routes::new(server.clone());
        // Agents are other people's programs: h2's limits for strangers hold.
        running.serve_routes(
            "agent context",
            Server::builder(),
            listener,
            routes,
            &report,
        );
    }
    running
        .serve_services(&settings, &roles, &wired, &report)
        .await?;
    if roles.has(Role::Gateway) {
        running.serve_gateway(settings.gateway, &wired, gateway_listeners, clock, report)?;
    }
    Ok(running)
}

impl Running {
    /// The lane to a role that runs here or is called from here.
    pub fn lane(&self, role: Role) -> anyhow::Result<Lane> {
        self.reach.to(role)
    }

    /// Every model of the catalogue and what answers for it.
    pub async fn models(&self) -> anyhow::Result<Vec<Model>> {
        let reply = CompletionsClient::new(self.lane(Role::Completions)?)
            .list_models(ListModelsRequest {})
            .await
            .context("completions")?;
        Ok(reply.into_inner().models)
    }

    /// Resolves when a server ended although nobody asked it to, with the reason.
    pub async fn failure(&mut self) -> anyhow::Error {
        match self.failed.recv().await {
            Some(error) => error,
            // No server is left that could fail.
            None => std::future::pending().await,
        }
    }

    /// Ends everything: sockets first, then calls and background work, databases last. What takes longer than the
    /// grace period is cut off; says whether nothing was.
    pub async fn stop(self) -> bool {
        let deadline = tokio::time::Instant::now() + self.grace;
        let left = || deadline.saturating_duration_since(tokio::time::Instant::now());
        let front = self.front.stop(left()).await;
        let back = self.back.stop(left()).await;
        // Whoever still has a connection that died does not keep the process from its end.
        let closing = tokio::time::timeout(left().max(CLOSING), self.close_databases());
        if closing.await.is_err() {
            tracing::warn!("connections to a database are left to themselves");
        }
        front && back
    }

    async fn close_databases(&self) {
        for database in &self.databases {
            if let Err(error) = database.close().await {
                tracing::warn!(%error, "a database did not close");
            }
        }
    }

    async fn serve_services(
        &mut self,
        settings: &Settings,
        roles: &Roles,
        wired: &Wired,
        report: &mpsc::Sender<anyhow::Error>,
    ) -> anyhow::Result<()> {
        if !roles.are_split() {
            return Ok(());
        }
        for (role, routes) in &wired.served {
            let Some(lane) = settings.lanes.of(*role) else {
                continue;
            };
            let (reporter, health) = tonic_health::server::health_reporter();
            reporter
                .set_service_status("", tonic_health::ServingStatus::Serving)
                .await;
            let routes = routes.clone().add_service(health);
            let listener = listen(lane.listen)
                .await
                .with_context(|| format!("lanes.{role}.listen"))?;
            let address = listener.local_addr()?;
            self.serve_routes("service", transport::server(), listener, routes, report);
            self.lanes.push((*role, address));
        }
        Ok(())
    }

    fn serve_routes(
        &self,
        name: &'static str,
        server: Server,
        listener: TcpListener,
        routes: Routes,
        report: &mpsc::Sender<anyhow::Error>,
    ) {
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let stopping = self.back.stopping();
        let report = report.clone();
        self.back.spawn(name, async move {
            let ended = server
                .trace_fn(confab_rpc::trace::server_span)
                .http2_keepalive_interval(Some(KEEP_ALIVE))
                .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming, stopping.cancelled())
                .await;
            if let Err(error) = ended {
                // The receiver is gone only when the process is ending anyway.
                let _ = report.try_send(anyhow::Error::new(error).context(name));
            }
        });
    }

    fn serve_gateway(
        &self,
        settings: confab_gateway::Settings,
        wired: &Wired,
        listeners: Vec<std::net::TcpListener>,
        clock: Arc<dyn Clock>,
        report: mpsc::Sender<anyhow::Error>,
    ) -> anyhow::Result<()> {
        let backends = confab_gateway::Backends::new(
            wired.lanes.to(Role::Sessions)?,
            wired.lanes.to(Role::Threads)?,
            wired.lanes.to(Role::Attachments)?,
            wired.lanes.to(Role::Completions)?,
            wired.lanes.to(Role::Search)?,
        );
        let (cache, delivery) = (wired.cache.clone(), wired.delivery.clone());
        let tasks = self.front.clone();
        self.front.spawn("gateway", async move {
            let served =
                confab_gateway::serve(settings, backends, cache, delivery, listeners, clock, tasks)
                    .await;
            if let Err(error) = served {
                let _ = report.try_send(anyhow::Error::new(error).context("gateway"));
            }
        });
        Ok(())
    }
}

/// Opens the public listeners before anything else, so that a port that is taken is said at once.
fn listeners_of(settings: &Settings, roles: &Roles) -> anyhow::Result<Vec<std::net::TcpListener>> {
    if !roles.has(Role::Gateway) {
        return Ok(Vec::new());
    }
    settings
        .gateway
        .listen
        .iter()
        .map(|address| {
            let listener = std::net::TcpListener::bind(address).with_context(|| {
                format!("gateway.listen: cannot listen on {address}; set another address or stop what holds it")
            })?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        })
        .collect()
}

/// Opens the listener for agents and puts its real address into the settings, as agents are told it.
async fn agent_listener_of(
    settings: &mut Settings,
    roles: &Roles,
) -> anyhow::Result<Option<TcpListener>> {
    if !roles.has(Role::Completions) || !settings.completions.has_agent() {
        return Ok(None);
    }
    let context = &mut settings.completions.agent_context;
    let listener = listen(context.listen)
        .await
        .context("completions.agent_context.listen")?;
    context.listen = listener.local_addr()?;
    Ok(Some(listener))
}

async fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address}"))
}

fn addresses(listeners: &[std::net::TcpListener]) -> anyhow::Result<Vec<SocketAddr>> {
    let addresses = listeners.iter().map(std::net::TcpListener::local_addr);
    Ok(addresses.collect::<Result<_, _>>()?)
}

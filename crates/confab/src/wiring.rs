//! Builds the services of this process and the lanes to all others: for each, "here or at a URL?", leaves first.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use confab_cache::Cache;
use confab_completions::AgentContextService;
use confab_database::{Database, MigratorTrait};
use confab_delivery::Delivery;
use confab_migrations as migrations;
use confab_rpc::Lane;
use confab_rpc::agents::agent_context_server::AgentContextServer;
use confab_rpc::attachments::attachments_server::AttachmentsServer;
use confab_rpc::completions::completions_server::CompletionsServer;
use confab_rpc::search::search_server::SearchServer;
use confab_rpc::sessions::sessions_server::SessionsServer;
use confab_rpc::transport;
use confab_runtime::{Clock, Tasks};
use tonic::service::Routes;

use crate::roles::{Role, Roles};
use crate::settings::{Lanes, Settings};

/// A chat may carry images: 16 MiB, and what is around them.
const CHAT_BYTES: usize = 17 * 1024 * 1024;

/// The services of this process and how to reach every service.
pub(crate) struct Wired {
    /// To each service that a role of this process calls or is.
    pub(crate) lanes: Reach,
    /// What this process serves to others when roles are split.
    pub(crate) served: Vec<(Role, Routes)>,
    /// What agents may ask back, when an agent is configured and completions runs here.
    pub(crate) agent_context: Option<AgentContextServer<AgentContextService>>,
    /// What may be forgotten, shared by everything in this process.
    pub(crate) cache: Cache,
    /// How what is committed reaches the gateways.
    pub(crate) delivery: Delivery,
    /// Open databases, to be closed last.
    pub(crate) databases: Vec<Database>,
}

/// Lanes by role; `None` for a role that is neither here nor called from here.
#[derive(Clone, Default)]
pub(crate) struct Reach {
    pub(crate) sessions: Option<Lane>,
    pub(crate) threads: Option<Lane>,
    pub(crate) attachments: Option<Lane>,
    pub(crate) completions: Option<Lane>,
    pub(crate) search: Option<Lane>,
}

impl Reach {
    /// The lane to a role; an error when nobody here calls it.
    pub(crate) fn to(&self, role: Role) -> anyhow::Result<Lane> {
        let lane = match role {
            Role::Gateway => None,
            Role::Sessions => self.sessions.as_ref(),
            Role::Threads => self.threads.as_ref(),
            Role::Attachments => self.attachments.as_ref(),
            Role::Completions => self.completions.as_ref(),
            Role::Search => self.search.as_ref(),
        };
        lane.cloned()
            .with_context(|| format!("no lane leads to the {role} role from here"))
    }
}

/// What wiring is done with.
pub(crate) struct Wiring<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) roles: &'a Roles,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: Tasks,
}

impl Wiring<'_> {
    /// Opens the databases and builds the services. Tables are brought up to date when all roles are here; split roles
    /// refuse to start on tables that are behind, as `confab migrate` is a step of its own then.
    pub(crate) async fn wire(&self) -> anyhow::Result<Wired> {
        let mut wired = Wired {
            lanes: Reach::default(),
            served: Vec::new(),
            agent_context: None,
            cache: Cache::open(&self.settings.cache)?,
            delivery: Delivery::open(&self.settings.delivery, &self.tasks)?,
            databases: Vec::new(),
        };
        self.wire_sessions(&mut wired).await?;
        self.wire_threads(&mut wired).await?;
        self.wire_attachments(&mut wired).await?;
        self.wire_completions(&mut wired).await?;
        self.wire_search(&mut wired).await?;
        Ok(wired)
    }

    async fn wire_sessions(&self, wired: &mut Wired) -> anyhow::Result<()> {
        if !self.roles.has(Role::Sessions) {
            wired.lanes.sessions = self.remote(Role::Sessions)?;
            return Ok(());
        }
        let database = self
            .open::<migrations::sessions::Migrator>(Role::Sessions)
            .await?;
        wired.databases.push(database.clone());
        let service = confab_sessions::Service::open(
            database,
            &self.settings.sessions,
            Arc::clone(&self.clock),
            self.tasks.clone(),
        )
        .await
        .context("sessions")?;
        let server = SessionsServer::new(service);
        wired.lanes.sessions = Some(Lane::local(server.clone(), self.deadline()));
        wired.served.push((Role::Sessions, Routes::new(server)));
        Ok(())
    }

    async fn wire_threads(&self, wired: &mut Wired) -> anyhow::Result<()> {
        if !self.roles.has(Role::Threads) {
            wired.lanes.threads = self.remote(Role::Threads)?;
            return Ok(());
        }
        let database = self
            .open::<migrations::threads::Migrator>(Role::Threads)
            .await?;
        wired.databases.push(database.clone());
        let clock = Arc::clone(&self.clock);
        let relay = confab_threads::Relay::start(
            wired.delivery.clone(),
            wired.cache.clone(),
            database.clone(),
            Arc::clone(&clock),
            &self.tasks,
        );
        let service = confab_threads::Service::open(
            database,
            &self.settings.threads,
            relay,
            clock,
            self.tasks.clone(),
        );
        let routes = service.routes();
        wired.lanes.threads = Some(Lane::local(routes.clone(), self.deadline()));
        wired.served.push((Role::Threads, routes));
        Ok(())
    }

    async fn wire_attachments(&self, wired: &mut Wired) -> anyhow::Result<()> {
        if !self.roles.has(Role::Attachments) {
            wired.lanes.attachments = self.remote(Role::Attachments)?;
            return Ok(());
        }
        let database = self
            .open::<migrations::attachments::Migrator>(Role::Attachments)
            .await?;
        wired.databases.push(database.clone());
        let service = confab_attachments::Service::open(
            database,
            &self.settings.attachments,
            Arc::clone(&self.clock),
            self.tasks.clone(),
        )
        .await
        .context("attachments")?;
        let server = AttachmentsServer::new(service);
        wired.lanes.attachments = Some(Lane::local(server.clone(), self.deadline()));
        wired.served.push((Role::Attachments, Routes::new(server)));
        Ok(())
    }

    async fn wire_completions(&self, wired: &mut Wired) -> anyhow::Result<()> {
        // An ask may wait for the user's earlier ones before its answer starts.
        let deadline =
            self.deadline() + Duration::from_secs(self.settings.completions.queue_seconds);
        if !self.roles.has(Role::Completions) {
            let lane = self.remote(Role::Completions)?;
            wired.lanes.completions = lane.map(|lane| lane.with_deadline(deadline));
            return Ok(());
        }
        let database = self
            .open::<migrations::completions::Migrator>(Role::Completions)
            .await?;
        wired.databases.push(database.clone());
        let lanes = confab_completions::Lanes {
            sessions: wired.lanes.to(Role::Sessions)?,
            threads: wired.lanes.to(Role::Threads)?,
            attachments: wired.lanes.to(Role::Attachments)?,
        };
        let service = confab_completions::Service::open(
            database,
            self.settings.completions.clone(),
            lanes,
            Arc::clone(&self.clock),
            self.tasks.clone(),
        )
        .await
        .context("completions")?;
        wired.agent_context = service.agent_context().map(AgentContextServer::new);
        let server = CompletionsServer::new(service).max_decoding_message_size(CHAT_BYTES);
        wired.lanes.completions = Some(Lane::local(server.clone(), deadline));
        wired.served.push((Role::Completions, Routes::new(server)));
        Ok(())
    }

    async fn wire_search(&self, wired: &mut Wired) -> anyhow::Result<()> {
        let settings = &self.settings.search;
        // A search may make an index before its answer starts.
        let deadline = self.deadline() + settings.patience();
        if !self.roles.has(Role::Search) {
            let lane = self.remote(Role::Search)?;
            wired.lanes.search = lane.map(|lane| lane.with_deadline(deadline));
            return Ok(());
        }
        let database = self
            .open::<migrations::search::Migrator>(Role::Search)
            .await?;
        wired.databases.push(database.clone());
        let embedding = Duration::from_secs(settings.embedding_seconds);
        let lanes = confab_search::Lanes {
            threads: wired.lanes.to(Role::Threads)?,
            completions: wired.lanes.to(Role::Completions)?.with_deadline(embedding),
        };
        let clock = Arc::clone(&self.clock);
        let service =
            confab_search::Service::open(database, settings.clone(), lanes, clock, &self.tasks)
                .context("search")?;
        let server = SearchServer::new(service);
        wired.lanes.search = Some(Lane::local(server.clone(), deadline));
        wired.served.push((Role::Search, Routes::new(server)));
        Ok(())
    }

    fn deadline(&self) -> Duration {
        Duration::from_millis(self.settings.lanes.deadline_ms)
    }

    async fn open<M: MigratorTrait>(&self, role: Role) -> anyhow::Result<Database> {
        let database = open_database(self.settings, role).await?;
        if !self.roles.are_split() {
            migrate::<M>(&database, role).await?;
            return Ok(database);
        }
        let pending = database
            .pending::<M>()
            .await
            .with_context(|| format!("{role}.database"))?;
        anyhow::ensure!(
            pending.is_empty(),
            "the tables of the {role} role are behind ({}): run `confab migrate` first",
            pending.join(", ")
        );
        Ok(database)
    }

    fn remote(&self, role: Role) -> anyhow::Result<Option<Lane>> {
        if !self.roles.call(role) {
            return Ok(None);
        }
        remote(&self.settings.lanes, role).map(Some)
    }
}

/// How often the other end of a lane is asked whether it is there, and how long it may take to say so. Calls on a
/// connection that died without a word fail until then; what that hid, such as a dead connection behind it, shows only later.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(2);
pub(crate) const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(4);

/// A lane to a role that runs elsewhere.
pub(crate) fn remote(lanes: &Lanes, role: Role) -> anyhow::Result<Lane> {
    let url = lanes.of(role).map(|lane| lane.url.clone());
    let url = url
        .filter(|url| !url.is_empty())
        .with_context(|| format!("lanes.{role}.url is not set"))?;
    let deadline = Duration::from_millis(lanes.deadline_ms);
    let endpoint = transport::endpoint(url)
        .with_context(|| format!("lanes.{role}.url"))?
        .connect_timeout(deadline)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true);
    Ok(Lane::remote(endpoint.connect_lazy(), deadline))
}

/// Brings the tables of every role up to date.
pub async fn migrate_all(settings: &Settings) -> anyhow::Result<()> {
    migrate_one::<migrations::sessions::Migrator>(settings, Role::Sessions).await?;
    migrate_one::<migrations::threads::Migrator>(settings, Role::Threads).await?;
    migrate_one::<migrations::attachments::Migrator>(settings, Role::Attachments).await?;
    migrate_one::<migrations::completions::Migrator>(settings, Role::Completions).await?;
    migrate_one::<migrations::search::Migrator>(settings, Role::Search).await
}

/// Brings the tables of one role up to date and closes its database again.
pub(crate) async fn migrate_one<M: MigratorTrait>(
    settings: &Settings,
    role: Role,
) -> anyhow::Result<()> {
    let database = open_database(settings, role).await?;
    migrate::<M>(&database, role).await?;
    Ok(database.close().await?)
}

async fn migrate<M: MigratorTrait>(database: &Database, role: Role) -> anyhow::Result<()> {
    database
        .migrate::<M>()
        .await
        .with_context(|| format!("{role}.database: cannot bring the tables up to date"))
}

pub(crate) async fn open_database(settings: &Settings, role: Role) -> anyhow::Result<Database> {
    let database = settings
        .database(role)
        .with_context(|| format!("the {role} role has no database"))?;
    Database::open(database)
        .await
        .with_context(|| format!("{role}.database: cannot open it"))
}

//! All settings of a process: each crate's slice under its name.

use std::path::{Path, PathBuf};

use anyhow::Context;
use confab_completions::settings::ModelKind;
use confab_runtime::settings::{Layers, Merged, environment};
use confab_runtime::telemetry;
use serde::Deserialize;

use crate::roles::{Role, Roles};
use crate::{aliases, redaction};

/// Every key with its default and what it means; also the documentation.
pub const DEFAULTS: &str = include_str!("../default.toml");

/// All settings. What each key means is said in `default.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The public face.
    pub gateway: confab_gateway::Settings,
    /// Users, tokens, balances.
    pub sessions: confab_sessions::Settings,
    /// Conversations.
    pub threads: confab_threads::Settings,
    /// Files.
    pub attachments: confab_attachments::Settings,
    /// Models and agents.
    pub completions: confab_completions::Settings,
    /// Search.
    pub search: confab_search::Settings,
    /// What may be forgotten.
    pub cache: confab_cache::Settings,
    /// How what was committed reaches the gateways.
    pub delivery: confab_delivery::Settings,
    /// How roles reach each other.
    pub lanes: Lanes,
    /// Logs and traces.
    pub telemetry: telemetry::Settings,
    /// How the process ends.
    pub shutdown: Shutdown,
}

/// Section `[lanes]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lanes {
    /// How long a call may take before its answer starts, in milliseconds.
    pub deadline_ms: u64,
    /// The sessions role.
    pub sessions: Lane,
    /// The threads role.
    pub threads: Lane,
    /// The attachments role.
    pub attachments: Lane,
    /// The completions role.
    pub completions: Lane,
    /// The search role.
    pub search: Lane,
}

/// Section `[lanes.<role>]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lane {
    /// Where the role runs when it is not in this process; empty: unknown.
    pub url: String,
    /// Where this process serves the role to others when roles are split.
    pub listen: std::net::SocketAddr,
}

/// Section `[shutdown]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// How long work under way may take to end, in seconds.
    pub grace_seconds: u64,
}

impl Lanes {
    /// The lane of a role that others call; the gateway has none.
    #[must_use]
    pub fn of(&self, role: Role) -> Option<&Lane> {
        match role {
            Role::Gateway => None,
            Role::Sessions => Some(&self.sessions),
            Role::Threads => Some(&self.threads),
            Role::Attachments => Some(&self.attachments),
            Role::Completions => Some(&self.completions),
            Role::Search => Some(&self.search),
        }
    }
}

/// Where settings are read from.
#[derive(Debug, Clone)]
pub struct Sources {
    /// A TOML file; must exist when given.
    pub file: Option<PathBuf>,
    /// A file of environment variables; may be missing.
    pub dot_env: PathBuf,
}

impl Sources {
    /// All layers put together.
    pub fn merge(&self) -> anyhow::Result<Merged> {
        let environment = environment(&self.dot_env)?;
        let layers = Layers {
            defaults: DEFAULTS,
            file: self.file.as_deref().map(Path::new),
            aliases: aliases::settings_of(&environment),
            environment,
        };
        layers.merge().context("settings")
    }

    /// The settings, checked as far as they can be without knowing which roles run.
    pub fn read(&self) -> anyhow::Result<Settings> {
        Settings::from_merged(&self.merge()?)
    }

    /// The settings in force as TOML, with secrets blacked out.
    pub fn show(&self) -> anyhow::Result<String> {
        let merged = self.merge()?;
        Settings::from_merged(&merged)?;
        let mut tree: toml::Value = merged.read()?;
        redaction::redact(&mut tree);
        Ok(toml::to_string_pretty(&tree)?)
    }
}

impl Settings {
    /// Gives merged layers their shape and checks them.
    pub fn from_merged(merged: &Merged) -> anyhow::Result<Self> {
        let settings: Self = merged.read().context("settings")?;
        settings.gateway.validate().context("settings: gateway")?;
        settings.sessions.validate().context("settings: sessions")?;
        settings.threads.validate().context("settings: threads")?;
        settings
            .attachments
            .validate()
            .context("settings: attachments")?;
        settings
            .completions
            .validate()
            .context("settings: completions")?;
        settings.search.validate().context("settings: search")?;
        settings.delivery.validate().context("settings: delivery")?;
        if settings.gateway.assistant.mirror == confab_gateway::Mirror::RedisStream
            && !settings.cache.is_redis()
        {
            anyhow::bail!(
                "settings: gateway.assistant.mirror = \"redis-stream\" needs cache.url to name a Redis"
            );
        }
        Ok(settings)
    }

    /// Checks that these roles can run together on these settings; the text says what to change.
    pub fn check_roles(&self, roles: &Roles) -> anyhow::Result<()> {
        if roles.has(Role::Search) && roles.has(Role::Completions) {
            self.check_embedding_model()?;
        }
        if !roles.are_split() {
            return Ok(());
        }
        for role in Role::ALL {
            let Some(lane) = self.lanes.of(role) else {
                continue;
            };
            if roles.call(role) && !roles.has(role) && lane.url.is_empty() {
                anyhow::bail!(
                    "the {role} role does not run here and nothing says where it does: set lanes.{role}.url \
                     (CONFAB__LANES__{}__URL), or run it here too",
                    role.to_string().to_uppercase()
                );
            }
            let database = self.database(role);
            if roles.has(role) && database.is_some_and(confab_database::Settings::is_sqlite) {
                anyhow::bail!(
                    "{role}.database.url names a SQLite file, which serves a single process: with split roles use \
                     PostgreSQL, or run all roles in one process"
                );
            }
        }
        let delivers = roles.has(Role::Threads) || roles.has(Role::Gateway);
        if delivers && !self.delivery.is_broker() {
            anyhow::bail!(
                "delivery.url names no broker, and what is committed here must reach gateways in other processes: with \
                 split roles set it to a RabbitMQ (CONFAB__DELIVERY__URL), or run all roles in one process"
            );
        }
        Ok(())
    }

    /// A process without completions does not know every model. A list of models from before there was search is without the
    /// built-in one: that is no reason not to start.
    fn check_embedding_model(&self) -> anyhow::Result<()> {
        let name = &self.search.embedding_model;
        if name == confab_search::BUILT_IN {
            return Ok(());
        }
        let mut models = self.completions.models.iter();
        let found = models.any(|model| model.name == *name && model.kind == ModelKind::Embedding);
        anyhow::ensure!(
            found,
            "search.embedding_model is {name:?}, which [[completions.models]] does not list with kind = \"embedding\": add it \
             there, or name another one"
        );
        Ok(())
    }

    /// Where a role keeps its rows.
    #[must_use]
    pub fn database(&self, role: Role) -> Option<&confab_database::Settings> {
        match role {
            Role::Gateway => None,
            Role::Sessions => Some(&self.sessions.database),
            Role::Threads => Some(&self.threads.database),
            Role::Attachments => Some(&self.attachments.database),
            Role::Completions => Some(&self.completions.database),
            Role::Search => Some(&self.search.database),
        }
    }
}

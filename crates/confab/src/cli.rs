//! The command line.

use std::future::Future;
use std::io::{Write, stdout};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::{Parser, Subcommand};
use confab_runtime::SystemClock;
use uuid::Uuid;

use crate::roles::{Role, Roles};
use crate::settings::{DEFAULTS, Settings, Sources};
use crate::{keys, serve, users, welcome, wiring};

/// A self-hosted backend for conversations between people and AI models.
///
/// Without a command it serves every role in one process, on SQLite and files under ./data.
#[derive(Debug, Parser)]
#[command(name = "confab", version, max_term_width = 100)]
struct Arguments {
    /// A TOML file with settings that differ from the defaults (`confab settings --default` prints all keys)
    #[arg(long, global = true, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// A file with environment variables; the process environment wins over it
    #[arg(long, global = true, value_name = "FILE", default_value = ".env")]
    env_file: PathBuf,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve all roles, or only the given ones
    ///
    /// Split roles reach each other by gRPC: lanes.<role>.listen says where a role is served, lanes.<role>.url where
    /// the others find it. They need PostgreSQL, RabbitMQ (delivery.url), and `confab migrate` to have run.
    Serve {
        /// Roles to run in this process; none: all
        roles: Vec<Role>,
    },
    /// Bring the tables of every role up to date and end
    Migrate,
    /// Make users, list them, give them models, money and tokens; works while Confab runs
    #[command(subcommand)]
    User(UserCommand),
    /// Make API keys for programs, list and revoke them; works while Confab runs
    #[command(subcommand)]
    Key(KeyCommand),
    /// Put load on a Confab and see how much it carries, and whether it carries it right
    ///
    /// A front end like any other: it registers people of its own (sessions.registration.open), signs in, connects, writes
    /// and reads. Every load is bounded in time. The exit code is 1 when something was lost, doubled or out of order.
    Load(Box<confab_load::Options>),
    /// Print the settings in force as TOML, with secrets blacked out
    Settings {
        /// Print the commented defaults instead
        #[arg(long)]
        default: bool,
    },
}

/// What can be done with users. USER is a name, or an id.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user and print its id
    Add {
        /// The user's name, unique
        name: String,
        /// The user's id [default: a new one]
        #[arg(long, value_name = "UUID")]
        id: Option<Uuid>,
        /// Ids of the models that the user may ask [default: every model]
        #[arg(long, value_delimiter = ',', value_name = "IDS")]
        models: Option<Vec<i32>>,
        /// What the user can spend, in US dollars
        #[arg(long, value_name = "DOLLARS", default_value = "1")]
        balance: String,
    },
    /// List all users with id, balance and models
    List,
    /// Set the models that a user may ask
    Grant {
        /// Name or id
        user: String,
        /// Ids of the models, separated by commas
        #[arg(value_delimiter = ',', required = true)]
        models: Vec<i32>,
    },
    /// Add money to a user's balance and print what it is then
    Deposit {
        /// Name or id
        user: String,
        /// US dollars
        amount: String,
    },
    /// Print an access token for a user
    Token {
        /// Name or id
        user: String,
        /// How long it is good for, in seconds [default: sessions.tokens.lifetime_seconds]
        #[arg(long, value_name = "SECONDS")]
        lifetime: Option<u32>,
    },
}

/// What can be done with API keys. USER is a name, or an id.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and print its secret, which is never shown again
    Add {
        /// Name or id of the user whose money the key spends
        user: String,
        /// What to call the key
        #[arg(long, default_value = "")]
        name: String,
        /// What it may do: models, chat, embeddings, conversations [default: all of them]
        #[arg(long, value_delimiter = ',', value_name = "SCOPES")]
        scopes: Vec<String>,
        /// Ids of the user's models that it may ask [default: all that the user may, also later]
        #[arg(long, value_delimiter = ',', value_name = "IDS")]
        models: Vec<i32>,
        /// The most it may ever cost, in US dollars [default: what the user has]
        #[arg(long, value_name = "DOLLARS")]
        budget: Option<String>,
        /// How long it is good for, in seconds [default: until it is revoked]
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
        lifetime: Option<u32>,
    },
    /// List a user's keys with what they cost, the newest first
    List {
        /// Name or id
        user: String,
    },
    /// Make a key useless, at once and for good
    Revoke {
        /// Name or id of the key's user
        user: String,
        /// The key's id
        key: Uuid,
    },
}

/// Reads the command line and does what it says. Errors are for people: they name what to change.
pub fn run() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let sources = Sources {
        file: arguments.settings,
        dot_env: arguments.env_file,
    };
    match arguments
        .command
        .unwrap_or(Command::Serve { roles: vec![] })
    {
        Command::Serve { roles } => {
            let settings = sources.read()?;
            block_on(serve_until_stopped(settings, Roles::of(&roles)))
        }
        Command::Migrate => {
            let settings = sources.read()?;
            block_on(async { wiring::migrate_all(&settings).await })
        }
        Command::User(command) => {
            let settings = sources.read()?;
            block_on(async { users::run(&settings, command, &mut stdout()).await })
        }
        Command::Key(command) => {
            let settings = sources.read()?;
            block_on(async { keys::run(&settings, command, &mut stdout()).await })
        }
        Command::Load(options) => block_on(async {
            anyhow::ensure!(
                confab_load::run(*options).await?,
                "something was lost, doubled or out of order"
            );
            Ok(())
        }),
        Command::Settings { default: true } => Ok(write!(stdout(), "{DEFAULTS}")?),
        Command::Settings { default: false } => Ok(write!(stdout(), "{}", sources.show()?)?),
    }
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(work)
}

async fn serve_until_stopped(settings: Settings, roles: Roles) -> anyhow::Result<()> {
    let telemetry = settings.telemetry.start("confab")?;
    let mut running = serve::start(settings.clone(), roles, Arc::new(SystemClock)).await?;
    welcome::write(&running, &settings, &mut stdout()).await?;
    let failure = tokio::select! {
        failure = running.failure() => Some(failure),
        signal = signal() => {
            tracing::info!(signal = signal?, "stopping; a second signal stops at once");
            None
        }
    };
    let ended = tokio::select! {
        ended = running.stop() => ended,
        _ = signal() => false,
    };
    if !ended {
        tracing::warn!("some work did not end in time; it is taken up again at the next start");
    }
    telemetry.stop();
    match failure {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// The name of the next SIGTERM or Ctrl-C.
async fn signal() -> anyhow::Result<&'static str> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

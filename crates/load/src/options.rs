//! What load is put on: flags, and scenario files with the same words.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::LoadError;
use crate::dialect::Dialect;
pub(crate) use crate::plan::Plan;

/// Flags of `confab load`.
#[derive(Debug, Args)]
pub struct Options {
    /// What to do; none with --file, --provider or --relay
    #[arg(value_enum)]
    scenario: Option<Scenario>,
    /// The Confab to put load on
    #[arg(long, default_value = "http://127.0.0.1:8000", value_name = "URL")]
    pub(crate) target: Url,
    /// More gateways of the same Confab: sockets are spread over all of them
    #[arg(long, value_delimiter = ',', value_name = "URLS")]
    pub(crate) also: Vec<Url>,
    /// Something else that answers the same completions, asked in turn with the target (the provider itself, say): the
    /// report tells the difference
    #[arg(long, value_name = "URL")]
    pub(crate) beside: Option<Url>,
    /// A file with loads, as [[load]] tables of `scenario` and the flags below (docs/load.toml is one)
    #[arg(long, conflicts_with = "scenario", value_name = "FILE")]
    file: Option<PathBuf>,
    /// An API key or access token for `chat` [default: that of a new user, who needs models and money:
    /// sessions.registration.models and deposit_microdollars; so do the users of `ask` and `mixed`]
    #[arg(long, env = "CONFAB_LOAD_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// The model that is asked
    #[arg(long, default_value = "gpt-3.5-turbo-0125")]
    pub(crate) model: String,
    /// Processes on this machine whose CPU time and memory are counted, with those of the processes they have started
    #[arg(long, value_delimiter = ',', value_name = "PIDS")]
    pub(crate) pid: Vec<u32>,
    /// Keep the people who are made in this file, and use those that are in it: they need not sign in again while their
    /// tokens are good. It holds secrets. The parts of `mixed` have people of their own
    #[arg(long, value_name = "FILE")]
    pub(crate) people_file: Option<PathBuf>,
    /// Append each report to this file, as a line of JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// No progress on standard error
    #[arg(long)]
    pub(crate) quiet: bool,
    /// Put no load on: serve a model that answers at once, with OpenAI's chat completions, on this address
    #[arg(long, conflicts_with_all = ["scenario", "file"], value_name = "ADDRESS")]
    pub(crate) provider: Option<SocketAddr>,
    /// How many tokens that model's answers have
    #[arg(long, default_value_t = 64, value_name = "TOKENS")]
    pub(crate) provider_tokens: usize,
    /// Put no load on: serve a chat server that passes messages on, stores nothing and checks nobody, on this address.
    /// The loads of sockets on it, with a --people-file whose tokens are ids, show what the machine itself carries
    #[arg(long, conflicts_with_all = ["scenario", "file", "provider"], value_name = "ADDRESS")]
    pub(crate) relay: Option<SocketAddr>,
    #[command(flatten)]
    amount: Amount,
}

/// How much of it.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Amount {
    /// What its report calls it [default: the scenario]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// The language it speaks, where a scenario can be played in several [default: its first]
    #[arg(long, value_enum)]
    pub(crate) dialect: Option<Dialect>,
    /// So many a second, whatever happens to the earlier ones (open loop) [default: the next when one is done]
    #[arg(long, value_name = "PER_SECOND")]
    pub(crate) rate: Option<f64>,
    /// Of a scenario that has a rate by itself: the next when one is done
    #[arg(long, conflicts_with = "rate")]
    pub(crate) closed: bool,
    /// How long, in seconds [default: 10]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) duration: Option<f64>,
    /// How many sockets, or how many requests at a time [default: depends on the scenario]
    #[arg(long)]
    pub(crate) sockets: Option<usize>,
    /// How many people they belong to
    #[arg(long)]
    pub(crate) people: Option<usize>,
    /// How many messages the thread of `history` has
    #[arg(long)]
    pub(crate) messages: Option<u64>,
}

/// A load that can be put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// People write to each other: stored, confirmed to the sender, delivered to the receiver (direct, groups)
    Direct,
    /// One person writes to a room, 5 a second: delivered to every socket in it (groups)
    Room,
    /// Sockets that only stay (groups, direct, assistant)
    Idle,
    /// Streamed completions that no thread keeps (openai)
    Chat,
    /// Answers in stored threads, paid for, and read back at the end (openai, conversations, assistant)
    Ask,
    /// Pages of 50 from a long thread, newest and random (direct; groups: newest)
    History,
    /// All sockets are cut at once and come back with their positions; with --rate, one after the other (direct)
    Reconnect,
    /// A mixed day: of the sockets 60 % stay, 20 % write to each other, 14 % are in a room, and so on; of what is done in
    /// a second 60 % are direct messages, 15 % pages, 10 % asks, 10 % messages to the room, 5 % reconnects
    Mixed,
}

impl Scenario {
    /// The languages it can be played in, the usual one first.
    pub(crate) fn dialects(self) -> &'static [Dialect] {
        use Dialect::{Assistant, Conversations, Direct, Groups, Openai};
        match self {
            Self::Direct | Self::History => &[Direct, Groups],
            Self::Room => &[Groups],
            Self::Idle => &[Groups, Direct, Assistant],
            Self::Chat => &[Openai],
            Self::Ask => &[Openai, Conversations, Assistant],
            Self::Reconnect | Self::Mixed => &[Direct],
        }
    }

    /// The usual one.
    pub(crate) fn dialect(self) -> Dialect {
        self.dialects()[0]
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Room => "room",
            Self::Idle => "idle",
            Self::Chat => "chat",
            Self::Ask => "ask",
            Self::History => "history",
            Self::Reconnect => "reconnect",
            Self::Mixed => "mixed",
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    load: Vec<toml::Table>,
}

impl Options {
    /// The loads, in their order.
    pub(crate) fn plans(&self) -> Result<Vec<Plan>, LoadError> {
        let Some(path) = &self.file else {
            let scenario = self.scenario.ok_or_else(|| {
                LoadError::Plan("say which scenario (see confab load --help)".to_owned())
            })?;
            return Ok(vec![Plan::new(scenario, &self.amount)?]);
        };
        let text = std::fs::read_to_string(path)?;
        plans_of(&text).map_err(|error| LoadError::Plan(format!("{}: {error}", path.display())))
    }

    /// Every gateway.
    pub(crate) fn targets(&self) -> Vec<Url> {
        std::iter::once(&self.target)
            .chain(&self.also)
            .cloned()
            .collect()
    }
}

/// The loads of a scenario file.
pub(crate) fn plans_of(text: &str) -> Result<Vec<Plan>, LoadError> {
    let wrong = |error: toml::de::Error| LoadError::Plan(error.to_string());
    let file: File = toml::from_str(text).map_err(wrong)?;
    file.load
        .into_iter()
        .map(|mut entry| {
            let scenario = entry.remove("scenario");
            let scenario =
                scenario.ok_or_else(|| LoadError::Plan("each load needs a scenario".to_owned()))?;
            let amount: Amount = entry.try_into().map_err(wrong)?;
            Plan::new(scenario.try_into().map_err(wrong)?, &amount)
        })
        .collect()
}

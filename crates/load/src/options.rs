//! What load is put on: flags, and scenario files with the same words.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::LoadError;

/// Flags of `confab load`.
#[derive(Debug, Args)]
pub struct Options {
    /// What to do; none with --file or --provider
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
    /// A file with loads, as [[load]] tables of `scenario` and the flags below
    #[arg(long, conflicts_with = "scenario", value_name = "FILE")]
    file: Option<PathBuf>,
    /// An API key or access token for completions [default: that of a new user, who needs models and money:
    /// sessions.registration.models and deposit_microdollars]
    #[arg(long, env = "CONFAB_LOAD_KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
    /// The model that completions ask
    #[arg(long, default_value = "gpt-3.5-turbo-0125")]
    pub(crate) model: String,
    /// Processes on this machine whose CPU time and memory are counted
    #[arg(long, value_delimiter = ',', value_name = "PIDS")]
    pub(crate) pid: Vec<u32>,
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
    #[command(flatten)]
    amount: Amount,
}

/// How much of it.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Amount {
    /// So many a second, whatever happens to the earlier ones (open loop) [default: the next when one is done]
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// How long, in seconds
    #[arg(long, value_name = "SECONDS")]
    duration: Option<f64>,
    /// How many sockets, or how many requests at a time [default: depends on the scenario]
    #[arg(long)]
    sockets: Option<usize>,
    /// How many people they belong to
    #[arg(long)]
    people: Option<usize>,
    /// How many messages the thread of `history` has
    #[arg(long)]
    messages: Option<u64>,
}

/// A load that can be put on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// People write to each other: stored, confirmed to the sender, delivered to the receiver
    Direct,
    /// One person writes to a room: delivered to every socket in it
    Room,
    /// Sockets that only stay
    Idle,
    /// Streamed completions that no thread keeps
    Chat,
    /// Streamed completions in stored threads, paid for
    Ask,
    /// Pages of 50 from a long thread, newest and random
    History,
    /// Every socket is cut and comes back with its position, while others write
    Reconnect,
}

/// One load.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Plan {
    pub(crate) scenario: Scenario,
    /// Per second; `None`: closed loop.
    pub(crate) rate: Option<f64>,
    /// Seconds.
    pub(crate) duration: f64,
    pub(crate) sockets: usize,
    pub(crate) people: usize,
    pub(crate) messages: u64,
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
        let wrong = |what: &str| LoadError::Plan(format!("{}: {what}", path.display()));
        let text = std::fs::read_to_string(path)?;
        let file: File = toml::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
        file.load
            .into_iter()
            .map(|mut entry| {
                let scenario = entry.remove("scenario");
                let scenario = scenario.ok_or_else(|| wrong("each load needs a scenario"))?;
                let scenario = scenario
                    .try_into()
                    .map_err(|error: toml::de::Error| wrong(error.message()))?;
                let amount: Amount = entry
                    .try_into()
                    .map_err(|error: toml::de::Error| wrong(error.message()))?;
                Plan::new(scenario, &amount)
            })
            .collect()
    }

    /// Every gateway.
    pub(crate) fn targets(&self) -> Vec<Url> {
        std::iter::once(&self.target)
            .chain(&self.also)
            .cloned()
            .collect()
    }
}

impl Plan {
    pub(crate) fn new(scenario: Scenario, amount: &Amount) -> Result<Self, LoadError> {
        let sockets = amount.sockets.unwrap_or(match scenario {
            Scenario::Direct => 256,
            Scenario::Room => 1_000,
            Scenario::Idle => 10_000,
            Scenario::Chat | Scenario::Ask => 64,
            Scenario::History => 16,
            Scenario::Reconnect => 5_000,
        });
        let people = amount.people.unwrap_or(match scenario {
            Scenario::Direct => sockets.min(256),
            Scenario::Room | Scenario::Idle | Scenario::Reconnect => sockets.min(100),
            Scenario::Chat => 1,
            Scenario::Ask => sockets.min(64),
            Scenario::History => 2,
        });
        let plan = Self {
            scenario,
            rate: amount.rate.or((scenario == Scenario::Room).then_some(5.0)),
            duration: amount.duration.unwrap_or(10.0),
            sockets,
            people,
            messages: amount.messages.unwrap_or(100_000),
        };
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), LoadError> {
        let wrong = |what: &str| Err(LoadError::Plan(what.to_owned()));
        if self.rate.is_some_and(|rate| !(rate > 0.0 && rate <= 1e6)) {
            return wrong("--rate must be more than 0 and at most 1,000,000");
        }
        if !(self.duration > 0.0 && self.duration <= 3_600.0) {
            return wrong("--duration must be more than 0 and at most 3,600 seconds");
        }
        if self.sockets == 0 || self.sockets > 60_000 {
            return wrong("--sockets must be 1 to 60,000");
        }
        if self.people == 0 || self.people > 10_000 {
            return wrong("--people must be 1 to 10,000");
        }
        let pairs = matches!(
            self.scenario,
            Scenario::Direct | Scenario::Reconnect | Scenario::History
        );
        if pairs && !self.people.is_multiple_of(2) {
            return wrong("--people must be even: they write to each other in pairs");
        }
        if self.sockets < self.people && self.scenario != Scenario::History {
            return wrong("--sockets must not be less than --people");
        }
        Ok(())
    }
}

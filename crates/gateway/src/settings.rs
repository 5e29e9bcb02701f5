//! Section `[gateway]`: where it listens, whom it believes, how much one socket may take.

use std::net::SocketAddr;

use confab_runtime::settings::comma_separated;
use serde::Deserialize;

use crate::origin;

/// The longest request of a chat completion that the completions service takes.
const MAX_BODY_BYTES: usize = 16 * 1024 * 1024;

/// Section `[gateway]`. What each key means is said in `default.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Addresses to listen on; every dialect is served on each.
    #[serde(deserialize_with = "comma_separated")]
    pub listen: Vec<SocketAddr>,
    /// Origins of the pages that may connect; `*` for any.
    #[serde(deserialize_with = "comma_separated")]
    pub allowed_origins: Vec<String>,
    /// Whether the API's documents are served.
    pub docs: bool,
    /// Who is believed.
    pub auth: Auth,
    /// Limits of a socket.
    pub sockets: Sockets,
    /// The assistant dialect.
    pub assistant: Assistant,
    /// The groups dialect.
    pub groups: Groups,
    /// The conversations dialect.
    pub conversations: Conversations,
    /// The OpenAI-compatible API.
    pub openai: OpenAi,
    /// How much one caller may ask for.
    pub limits: Limits,
}

/// Section `[gateway.openai]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenAi {
    /// The longest body, in bytes.
    pub body_bytes: usize,
}

/// Section `[gateway.limits]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests of one caller in a minute; 0: no limit.
    pub requests_per_minute: u64,
    /// Tokens in and out; 0: no limit.
    pub tokens_per_minute: u64,
}

/// Section `[gateway.conversations]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversations {
    /// Name of the model that answers; empty: of those that the user may ask the one with the lowest id.
    pub model: String,
    /// What users may ask who are made in open mode, by id.
    #[serde(deserialize_with = "comma_separated")]
    pub open_models: Vec<i32>,
    /// What such users may spend.
    pub open_deposit_microdollars: i64,
}

/// Section `[gateway.groups]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Groups {
    /// Whether sockets are told of what others do.
    pub push: bool,
    /// Whether anybody may join a chat whose number is known.
    pub open_join: bool,
}

/// Section `[gateway.auth]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// Whether callers must prove who they are.
    pub mode: AuthMode,
    /// Whether something in front vouches for user ids, so that open mode may listen beyond loopback.
    pub open_beyond_loopback: bool,
}

/// Whether callers must prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AuthMode {
    /// A user id is believed, where the dialect knows no login.
    Open,
    /// Every request and socket carries a token.
    Token,
}

/// Section `[gateway.sockets]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sockets {
    /// The longest frame, in bytes.
    pub frame_bytes: usize,
    /// The longest message of several frames, in bytes.
    pub message_bytes: usize,
    /// How often a ping is sent; a socket that was silent for two of them is closed.
    pub ping_seconds: u64,
    /// Requests of one socket that wait for their turn.
    pub pending_frames: usize,
}

/// Section `[gateway.assistant]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assistant {
    /// Whether exchanges are also written to a stream.
    pub mirror: Mirror,
    /// Name of that stream.
    pub mirror_stream: String,
}

/// Whether exchanges are also written to a stream for somebody else's program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mirror {
    /// No.
    Off,
    /// To a Redis stream.
    RedisStream,
}

/// Why settings are refused; the text says what to change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSettings {
    /// There is nowhere to listen.
    #[error("listen names no address")]
    NoListener,
    /// Open mode would believe anybody on the network.
    #[error(
        "auth.mode = \"open\" believes any user id, and {0} is not loopback: use auth.mode = \"token\", listen on \
         127.0.0.1, or set auth.open_beyond_loopback = true if something in front vouches for the ids"
    )]
    OpenBeyondLoopback(SocketAddr),
    /// Open mode would believe any web page.
    #[error(
        "allowed_origins = \"*\" lets any web page act for any user in open mode: use auth.mode = \"token\""
    )]
    AnyOriginInOpenMode,
    /// An origin that no browser sends.
    #[error(
        "allowed_origins: {0:?} is no origin; write scheme://host or scheme://host:port, without a path"
    )]
    Origin(String),
    /// A limit of zero would let nothing through.
    #[error("sockets.{0} must be more than 0")]
    Zero(&'static str),
    /// A message of one frame could be longer than a message may be.
    #[error("sockets.message_bytes must not be less than sockets.frame_bytes")]
    MessageShorterThanFrame,
    /// A body that the completions service would not take, or none at all.
    #[error("openai.body_bytes must be from 1 to {MAX_BODY_BYTES}")]
    BodyBytes,
    /// Money that is not there.
    #[error("conversations.open_deposit_microdollars must not be negative")]
    NegativeDeposit,
    /// The mirror has nowhere to write.
    #[error("assistant.mirror_stream must not be empty")]
    NoMirrorStream,
}

impl Settings {
    /// Refuses what cannot work or would be unsafe, before anything is opened.
    pub fn validate(&self) -> Result<(), InvalidSettings> {
        if self.listen.is_empty() {
            return Err(InvalidSettings::NoListener);
        }
        self.validate_openness()?;
        for origin in &self.allowed_origins {
            if origin != origin::ANY && origin::normalised(origin).is_none() {
                return Err(InvalidSettings::Origin(origin.clone()));
            }
        }
        self.sockets.validate()?;
        if self.assistant.mirror != Mirror::Off && self.assistant.mirror_stream.is_empty() {
            return Err(InvalidSettings::NoMirrorStream);
        }
        if !(1..=MAX_BODY_BYTES).contains(&self.openai.body_bytes) {
            return Err(InvalidSettings::BodyBytes);
        }
        if self.conversations.open_deposit_microdollars < 0 {
            return Err(InvalidSettings::NegativeDeposit);
        }
        Ok(())
    }

    fn validate_openness(&self) -> Result<(), InvalidSettings> {
        if self.auth.mode == AuthMode::Token {
            return Ok(());
        }
        if self.allowed_origins.iter().any(|it| it == origin::ANY) {
            return Err(InvalidSettings::AnyOriginInOpenMode);
        }
        let beyond = self.listen.iter().find(|it| !it.ip().is_loopback());
        match beyond {
            Some(address) if !self.auth.open_beyond_loopback => {
                Err(InvalidSettings::OpenBeyondLoopback(*address))
            }
            _ => Ok(()),
        }
    }
}

impl Sockets {
    fn validate(&self) -> Result<(), InvalidSettings> {
        let limits = [
            ("frame_bytes", self.frame_bytes == 0),
            ("message_bytes", self.message_bytes == 0),
            ("ping_seconds", self.ping_seconds == 0),
            ("pending_frames", self.pending_frames == 0),
        ];
        if let Some((name, _)) = limits.into_iter().find(|(_, zero)| *zero) {
            return Err(InvalidSettings::Zero(name));
        }
        if self.message_bytes < self.frame_bytes {
            return Err(InvalidSettings::MessageShorterThanFrame);
        }
        Ok(())
    }
}

//! Section `[delivery]`.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

/// Section `[delivery]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `amqp://USER:PASSWORD@HOST:PORT/VHOST` (or `amqps://`); empty: memory of this process.
    pub url: SecretString,
    /// The direct exchange that messages go through. Installations that share a broker need names of their own.
    pub exchange: String,
    /// Messages that wait for one gateway; the oldest are dropped beyond it.
    pub queue_length: u32,
    /// Messages that a gateway takes before it has handed on the earlier ones.
    pub prefetch: u16,
    /// Messages that wait for the broker's confirmation; more are refused.
    pub confirm_window: usize,
    /// How long a message waits for its confirmation, in milliseconds.
    pub confirm_timeout_ms: u64,
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Not the URL of a broker. The URL is not shown, as it holds a password.
    #[error("delivery.url must be amqp://USER:PASSWORD@HOST:PORT/VHOST, with %2f for the vhost /")]
    Url,
    /// A name that AMQP cannot carry or that belongs to the broker.
    #[error("delivery.exchange must have 1 to 255 bytes and not start with amq.")]
    Exchange,
    /// A limit of zero.
    #[error("delivery.{0} must be at least 1")]
    Zero(&'static str),
}

impl Settings {
    /// Checks what the types cannot.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let length = self.exchange.len();
        if length == 0 || length > 255 || self.exchange.starts_with("amq.") {
            return Err(SettingsError::Exchange);
        }
        let zero = [
            ("queue_length", self.queue_length == 0),
            ("prefetch", self.prefetch == 0),
            ("confirm_window", self.confirm_window == 0),
            ("confirm_timeout_ms", self.confirm_timeout_ms == 0),
        ];
        if let Some((name, _)) = zero.into_iter().find(|(_, is_zero)| *is_zero) {
            return Err(SettingsError::Zero(name));
        }
        if self.is_broker() {
            self.uri()?;
        }
        Ok(())
    }

    /// Whether messages leave the process.
    #[must_use]
    pub fn is_broker(&self) -> bool {
        !self.url.expose_secret().is_empty()
    }

    pub(crate) fn uri(&self) -> Result<lapin::uri::AMQPUri, SettingsError> {
        let url = self.url.expose_secret();
        url.parse().map_err(|_| SettingsError::Url)
    }

    pub(crate) fn confirm_timeout(&self) -> Duration {
        Duration::from_millis(self.confirm_timeout_ms)
    }
}

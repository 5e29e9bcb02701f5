//! `confab load`: how much a Confab carries, and whether it carries it right.
//!
//! It speaks to any address as front ends do, and knows nothing else of Confab. Latencies are counted from the moment at
//! which something should have been sent (so a stall is not hidden by the sends it delays); what is received is checked
//! for loss, doubles and order while it is counted. Loads are bounded in time and stop by themselves.

mod check;
mod dialect;
mod front_end;
mod measure;
mod options;
mod pace;
mod people;
mod plan;
mod process;
mod progress;
mod provider;
mod relay;
mod report;
mod scenario;
mod socket;
#[cfg(test)]
mod tests;

use std::io::Write;
use std::sync::Arc;

pub use options::Options;
use options::Plan;
use report::Report;
use scenario::Stage;
use tokio_tungstenite::tungstenite::Error;

/// Why a load cannot be put on.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The plan makes no sense.
    #[error("{0}")]
    Plan(String),
    /// The target refused what every front end may do.
    #[error("{what}: {status} {body}")]
    Refused {
        /// What was asked.
        what: &'static str,
        /// HTTP status.
        status: u16,
        /// The beginning of the reply.
        body: String,
    },
    /// The target could not be reached.
    #[error("cannot reach the target: {0}")]
    Http(#[from] reqwest::Error),
    /// A socket was refused or broke.
    #[error("a socket failed: {0}")]
    Socket(Box<Error>),
    /// A reply that no Confab gives.
    #[error("an unexpected reply: {0}")]
    Reply(String),
    /// A file or the standard output.
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

impl LoadError {
    /// Whether the target says that this is too much for it now.
    fn is_busy(&self) -> bool {
        matches!(self, Self::Socket(error) if matches!(&**error, Error::Http(reply) if reply.status() == 503))
    }
}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        Self::Socket(Box::new(error))
    }
}

/// Puts the planned loads on, one after the other, and writes a report of each. False when something was lost, doubled or
/// out of order.
pub async fn run(options: Options) -> Result<bool, LoadError> {
    if let Some(address) = options.relay {
        relay::serve(address).await?;
        return Ok(true);
    }
    if let Some(address) = options.provider {
        provider::serve(address, options.provider_tokens).await?;
        return Ok(true);
    }
    let mut right = true;
    for plan in options.plans()? {
        let report = put_on(&options, plan).await?;
        right &= report.is_right();
        let mut out = std::io::stdout().lock();
        report.write_table(&mut out)?;
        if let Some(path) = &options.json {
            let mut file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)?;
            writeln!(file, "{}", report.row())?;
        }
    }
    Ok(right)
}

async fn put_on(options: &Options, plan: Plan) -> Result<Report, LoadError> {
    let stage = Arc::new(Stage::new(options, plan)?);
    let progress = progress::show(&stage, options.quiet);
    let findings = scenario::play(&stage).await;
    progress.abort();
    Ok(Report::of(&stage, findings?))
}

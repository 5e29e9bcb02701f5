//! One load, with everything decided.

use serde::Serialize;

use crate::LoadError;
use crate::dialect::Dialect;
use crate::options::{Amount, Scenario};

/// One load.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Plan {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    pub(crate) scenario: Scenario,
    pub(crate) dialect: Dialect,
    /// Per second; `None`: closed loop.
    pub(crate) rate: Option<f64>,
    /// Seconds.
    pub(crate) duration: f64,
    pub(crate) sockets: usize,
    pub(crate) people: usize,
    pub(crate) messages: u64,
}

impl Plan {
    pub(crate) fn new(scenario: Scenario, amount: &Amount) -> Result<Self, LoadError> {
        let sockets = amount.sockets.unwrap_or(match scenario {
            Scenario::Direct => 256,
            Scenario::Room | Scenario::Mixed => 1_000,
            Scenario::Idle => 10_000,
            Scenario::Chat | Scenario::Ask => 64,
            Scenario::History => 16,
            Scenario::Reconnect if amount.rate.is_some() => 100,
            Scenario::Reconnect => 5_000,
        });
        let people = amount.people.unwrap_or(match scenario {
            Scenario::Direct => sockets.min(256),
            Scenario::Room | Scenario::Idle | Scenario::Reconnect => sockets.min(100),
            Scenario::Mixed => 200,
            Scenario::Chat => 1,
            Scenario::Ask => sockets.min(64),
            Scenario::History => 2,
        });
        let usual = match scenario {
            Scenario::Room => Some(5.0),
            Scenario::Mixed => Some(500.0),
            _ => None,
        };
        let messages = match scenario {
            Scenario::Mixed => 2_000,
            _ => 100_000,
        };
        let plan = Self {
            name: amount.name.clone(),
            scenario,
            dialect: amount.dialect.unwrap_or(scenario.dialect()),
            rate: amount.rate.or(usual).filter(|_| !amount.closed),
            duration: amount.duration.unwrap_or(10.0),
            sockets,
            people,
            messages: amount.messages.unwrap_or(messages),
        };
        plan.check()?;
        Ok(plan)
    }

    /// What it is called.
    pub(crate) fn title(&self) -> &str {
        self.name.as_deref().unwrap_or(self.scenario.name())
    }

    pub(crate) fn check(&self) -> Result<(), LoadError> {
        let wrong = |what: &str| Err(LoadError::Plan(what.to_owned()));
        if !self.scenario.dialects().contains(&self.dialect) {
            return wrong("this scenario is not played in that dialect (see confab load --help)");
        }
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
        if !(1..=10_000_000).contains(&self.messages) {
            return wrong("--messages must be 1 to 10,000,000");
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
        if self.scenario == Scenario::Direct && !self.sockets.is_multiple_of(self.people) {
            return wrong("--sockets must be a multiple of --people: everybody has as many");
        }
        if self.scenario == Scenario::Mixed {
            return self.check_day();
        }
        Ok(())
    }

    fn check_day(&self) -> Result<(), LoadError> {
        let wrong = |what: &str| Err(LoadError::Plan(what.to_owned()));
        if self.rate.is_none() {
            return wrong("a mixed day has a --rate");
        }
        if self.people < 50 || self.sockets < 100 {
            return wrong("a mixed day needs 100 sockets of 50 people, or more");
        }
        Ok(())
    }
}

//! What a gateway is called by those who send to it.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// One run of one gateway process: a restart is another gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GatewayId(Uuid);

/// The text is no gateway's id.
#[derive(Debug, thiserror::Error)]
#[error("no gateway id: {0}")]
pub struct GatewayIdError(#[from] uuid::Error);

impl GatewayId {
    /// An id that no other gateway has.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "no two of them are equal")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }
}

impl fmt::Display for GatewayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for GatewayId {
    type Err = GatewayIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.parse()?))
    }
}

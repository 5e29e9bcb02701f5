//! An attempt that brought nothing, and what that says about the next one.

use std::time::Duration;

use super::ProviderError;

/// An attempt that brought nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What is told when nothing else answers.
    pub error: ProviderError,
    /// Whose fault it was.
    pub cause: Cause,
}

/// Whose fault a failure was. What follows from it is the table of [`super::routing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The request's: every provider would refuse it.
    Request,
    /// The prompt's length: a model with a larger context may take it.
    Length,
    /// The key's: it is wrong, or its account is empty.
    Key,
    /// The key is used too much; the provider may say for how long.
    Limited(Option<Duration>),
    /// The moment's; the provider may say for how long.
    Moment(Option<Duration>),
    /// The provider's, and asking again would take as long or fail the same way: it was late, or made no sense.
    Provider,
    /// The settings': there is no such model or address at this provider.
    Settings,
}

impl Cause {
    /// Whether it speaks against the provider's health.
    pub(super) fn is_sickness(self) -> bool {
        matches!(self, Self::Moment(_) | Self::Provider)
    }

    /// The word in the metrics.
    pub(super) fn outcome(self) -> &'static str {
        match self {
            Self::Request | Self::Length => "refused",
            Self::Key => "key",
            Self::Limited(_) => "limited",
            Self::Moment(_) | Self::Provider | Self::Settings => "failed",
        }
    }
}

impl Failure {
    /// A failure that is told to operators alone.
    pub fn new(cause: Cause, text: impl Into<String>) -> Self {
        let error = ProviderError::Failed(text.into());
        Self { error, cause }
    }

    /// The prompt is too long for the model.
    #[must_use]
    pub fn too_long() -> Self {
        Self {
            error: ProviderError::TooLong,
            cause: Cause::Length,
        }
    }

    /// The request is wrong, in words for whoever made it.
    #[must_use]
    pub fn refused(message: &str) -> Self {
        Self {
            error: ProviderError::Refused {
                said: message.to_owned(),
                message: message.to_owned(),
            },
            cause: Cause::Request,
        }
    }
}

//! How long a socket may stay: as long as the credential that it was opened with.

use tokio::time::{Instant, sleep_until};

use super::{Dialect, Ending, Frame, Frames, Unreadable};
use crate::caller::{Caller, Verified};
use crate::revocation::{Revocations, Watch};

#[cfg(test)]
mod tests;

/// A dialect whose socket goes when its session is ended or its time is over.
pub(super) struct Bounded<D> {
    dialect: D,
    /// None in open mode, where nothing was proved.
    stay: Option<Stay>,
}

struct Stay {
    session: Watch,
    ends_at: Instant,
}

impl<D> Bounded<D> {
    pub(super) fn new(dialect: D, caller: Caller, revocations: &Revocations) -> Self {
        let stay = match caller {
            Caller::Anyone => None,
            Caller::User(Verified {
                session, ends_at, ..
            }) => Some(Stay {
                session: revocations.watch(session),
                ends_at,
            }),
        };
        Self { dialect, stay }
    }
}

impl<D: Dialect> Dialect for Bounded<D> {
    const NAME: &'static str = D::NAME;

    async fn on_frame(&self, frame: Frame) -> Frames {
        self.dialect.on_frame(frame).await
    }

    fn on_unreadable(&self, why: Unreadable) -> Frames {
        self.dialect.on_unreadable(why)
    }

    async fn dismissed(&self) -> Ending {
        let Some(stay) = &self.stay else {
            return self.dialect.dismissed().await;
        };
        tokio::select! {
            biased;
            () = stay.session.ended() => Ending::Revoked,
            () = sleep_until(stay.ends_at) => Ending::Expired,
            ending = self.dialect.dismissed() => ending,
        }
    }
}

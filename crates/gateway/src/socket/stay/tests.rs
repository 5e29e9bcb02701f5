//! When a socket is told to go.

use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, advance};
use uuid::Uuid;

use super::Bounded;
use crate::caller::{Caller, Verified};
use crate::revocation::Revocations;
use crate::socket::tests::Mute;
use crate::socket::{Dialect, Ending};

fn bounded(session: Option<Uuid>, revocations: &Revocations) -> Bounded<Mute> {
    let caller = Caller::User(Verified {
        id: Uuid::now_v7(),
        number: 1,
        session,
        ends_at: Instant::now() + Duration::from_mins(1),
    });
    Bounded::new(Mute, caller, revocations)
}

#[tokio::test(start_paused = true)]
async fn a_socket_goes_with_its_session() {
    let revocations = Revocations::default();
    let session = Uuid::now_v7();
    let ended = bounded(Some(session), &revocations);
    let other = bounded(Some(Uuid::now_v7()), &revocations);
    assert_eq!(ended.dismissed().now_or_never(), None);
    revocations.end(session);
    assert_eq!(ended.dismissed().now_or_never(), Some(Ending::Revoked));
    assert_eq!(other.dismissed().now_or_never(), None);
}

#[tokio::test(start_paused = true)]
async fn a_socket_goes_when_its_credential_is_good_no_longer() {
    let revocations = Revocations::default();
    let socket = bounded(None, &revocations);
    advance(Duration::from_secs(59)).await;
    assert_eq!(socket.dismissed().now_or_never(), None);
    advance(Duration::from_secs(2)).await;
    assert_eq!(socket.dismissed().now_or_never(), Some(Ending::Expired));
    let open = Bounded::new(Mute, Caller::Anyone, &revocations);
    assert_eq!(open.dismissed().now_or_never(), None);
}

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::Watch;
use crate::store::Seen;

fn lease(fence: i64, seconds: i64) -> Seen {
    Seen {
        id: Uuid::nil(),
        fence,
        lease_until: DateTime::<Utc>::UNIX_EPOCH + TimeDelta::seconds(seconds),
    }
}

#[test]
fn a_lease_that_stays_as_it_is_was_left_after_its_length() {
    let watch = Watch::default();
    let mute = lease(0, 7);
    for _ in 0..3 {
        assert_eq!(watch.look(&[mute]), []);
    }
    assert_eq!(watch.look(&[mute]), [mute]);
    assert_eq!(watch.look(&[mute]), [mute], "until somebody takes it");
}

#[test]
fn what_is_renewed_or_taken_is_watched_anew() {
    let watch = Watch::default();
    // Also where the clock of its owner was set back, and where it is long over by anybody else's.
    let looks = [lease(0, 7), lease(0, -4), lease(0, -1), lease(1, -1)];
    for seen in looks {
        for _ in 0..3 {
            assert_eq!(watch.look(&[seen]), []);
        }
    }
    assert_eq!(watch.look(&[lease(1, -1)]).len(), 1);
}

#[test]
fn what_has_ended_is_forgotten() {
    let watch = Watch::default();
    let seen = lease(0, 7);
    for _ in 0..3 {
        watch.look(&[seen]);
    }
    assert_eq!(watch.look(&[]), []);
    assert_eq!(watch.look(&[seen]), []);
}

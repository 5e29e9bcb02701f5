//! What a watch learns.

use futures_util::FutureExt;
use uuid::Uuid;

use super::{MEMORY, Revocations};

#[test]
fn every_socket_of_an_ended_session_is_told_and_no_other() {
    let revocations = Revocations::default();
    let (ann, bob) = (Uuid::now_v7(), Uuid::now_v7());
    let watches = [revocations.watch(Some(ann)), revocations.watch(Some(ann))];
    let others = [revocations.watch(Some(bob)), revocations.watch(None)];
    revocations.end(ann);
    for watch in &watches {
        watch.ended().now_or_never().unwrap();
    }
    for watch in &others {
        assert!(watch.ended().now_or_never().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_ended_just_before_its_socket_opened_is_remembered_for_a_while() {
    let revocations = Revocations::default();
    let (ann, bob) = (Uuid::now_v7(), Uuid::now_v7());
    revocations.end(ann);
    let watch = revocations.watch(Some(ann));
    watch.ended().now_or_never().unwrap();
    tokio::time::advance(MEMORY * 2).await;
    revocations.end(bob);
    assert_eq!(revocations.book().ended.len(), 1);
}

#[test]
fn a_session_is_forgotten_with_its_last_socket() {
    let revocations = Revocations::default();
    let ann = Uuid::now_v7();
    let first = revocations.watch(Some(ann));
    let second = revocations.watch(Some(ann));
    drop(first);
    assert_eq!(revocations.book().watched.len(), 1);
    drop(second);
    assert!(revocations.book().watched.is_empty());
    assert!(revocations.watch(None).ended().now_or_never().is_none());
}

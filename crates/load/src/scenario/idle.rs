//! Sockets that only stay: how fast they connect, and what they cost.

use std::sync::Arc;

use futures_util::future::select_all;
use tokio::time::Instant;

use super::{Findings, Stage, sockets};
use crate::LoadError;
use crate::people;
use crate::socket::Socket;

pub(super) async fn play(stage: &Arc<Stage>) -> Result<Findings, LoadError> {
    let people = people::make(stage, stage.plan.people).await?;
    let connecting = stage.course();
    let mut open = sockets::open(stage, stage.plan.dialect, &people).await?;
    let rate = connecting.per_second(stage.done());
    let course = stage.begin().await;
    stay(stage, &mut open, course.end).await;
    // Connecting is what costs: it counts here.
    let used = stage.used_since(&connecting);
    let mut findings = Findings::of(stage.plan.sockets as u64, used);
    findings.holds_sockets = true;
    findings.figure("connected", rate, "sockets/s");
    Ok(findings)
}

/// Answers pings until the time is up; a socket that ends before is an error.
async fn stay(stage: &Stage, open: &mut [Socket], until: Instant) {
    let sockets = open.iter_mut().map(|socket| {
        Box::pin(async move {
            // Nothing is sent to them but pings.
            while socket.text().await.is_ok() {}
        })
    });
    let mut ended = select_all(sockets);
    loop {
        tokio::select! {
            ((), _, left) = &mut ended => {
                stage.checks.error(&"a socket ended");
                if left.is_empty() {
                    return;
                }
                ended = select_all(left);
            }
            () = tokio::time::sleep_until(until) => return,
        }
    }
}

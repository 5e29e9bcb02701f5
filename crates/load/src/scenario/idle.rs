//! Sockets that only stay: how fast they connect, and what they cost.

use std::sync::Arc;

use futures_util::future::select_all;
use tokio::time::Instant;

use super::{Findings, Stage, per_second, room, sockets};
use crate::LoadError;
use crate::people;
use crate::process::Used;
use crate::socket::Socket;

pub(super) async fn play(stage: &Arc<Stage>) -> Result<(Findings, Option<Used>), LoadError> {
    let people = people::make(&stage.front_end, stage.plan.people).await?;
    let before = stage.usage();
    let start = Instant::now();
    let mut open = sockets::open(stage, &people, |_| room::PATH.to_owned()).await?;
    let rate = per_second(stage.done(), start);
    let staying = stage.end();
    stay(stage, &mut open, staying).await;
    let used = stage.used_since(before);
    let mut findings = Findings {
        holds_sockets: true,
        ..Findings::default()
    };
    findings.figure("connected", rate, "sockets/s");
    Ok((findings, used))
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
                stage.checks.error();
                if left.is_empty() {
                    return;
                }
                ended = select_all(left);
            }
            () = tokio::time::sleep_until(until) => return,
        }
    }
}

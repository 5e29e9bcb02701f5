//! How it goes, on standard error, every second.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::scenario::Stage;

/// Shows it until the task is aborted.
pub(crate) fn show(stage: &Arc<Stage>, quiet: bool) -> JoinHandle<()> {
    let stage = Arc::clone(stage);
    #[expect(
        clippy::disallowed_methods,
        reason = "a command has no Tasks; its caller ends this one"
    )]
    tokio::spawn(async move {
        if quiet {
            return;
        }
        let begun = Instant::now();
        let mut second = interval(Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        second.tick().await;
        let mut before = (0, 0);
        loop {
            second.tick().await;
            let now = stage.totals();
            let wrong = stage.wrongs();
            // Nobody is told when nobody looks.
            let _ = writeln!(
                std::io::stderr(),
                "{} {:>4} s: {} done/s, {} delivered/s, {} in all, {} errors{}",
                stage.plan.title(),
                begun.elapsed().as_secs(),
                // The counts begin anew after getting ready.
                now.0.saturating_sub(before.0),
                now.1.saturating_sub(before.1),
                now.0,
                wrong.errors,
                if wrong.is_none() { "" } else { ", WRONG" }
            );
            before = now;
        }
    })
}

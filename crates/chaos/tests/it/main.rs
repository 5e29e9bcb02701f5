//! The scenarios that every change has to pass, and the checks of the checker.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use tokio::sync::Mutex;

mod controls;
mod missing;
mod proxy;
mod servers;
mod smoke;
mod vitals;

/// Held by the tests that need the whole machine, so that they run one after another.
static MACHINE: Mutex<()> = Mutex::const_new(());

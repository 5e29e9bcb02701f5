//! The scenarios that every change has to pass, and the checks of the checker.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod controls;
mod proxy;
mod servers;
mod smoke;
mod vitals;

//! Starts Confab inside a test and speaks to it as its front ends, its agents and its model providers do.
//!
//! Never a normal dependency of anything: what is here panics when a test cannot go on.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a test that cannot go on has failed"
)]

pub mod agent;
pub mod assistant;
pub mod checker;
mod eventually;
pub mod history;
pub mod openai;
mod system;

pub use eventually::eventually;
pub use system::{Shape, System};

//! What every process needs and no service should build for itself: settings from layers, a clock, tasks that are
//! counted and stopped, telemetry.
//!
//! Nothing here knows what Confab is for, and nothing here is global: everything is handed on as an argument.

pub mod batches;
pub mod clock;
pub mod settings;
pub mod tasks;
pub mod telemetry;
#[cfg(test)]
mod tests;

pub use batches::Batches;
pub use clock::{Clock, SystemClock};
pub use tasks::Tasks;

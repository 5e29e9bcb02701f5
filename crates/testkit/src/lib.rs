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
mod auditor;
pub mod checker;
pub mod conversations;
pub mod direct;
mod eventually;
pub mod groups;
pub mod history;
pub mod openai;
mod openai_client;
pub mod people;
mod ports;
mod proxy;
mod rabbitmq;
mod rest;
mod socket;
mod system;
pub mod walker;

pub use auditor::Auditor;
pub use confab_database::scratch::integrity;
pub use eventually::{eventually, in_time};
pub use openai_client::{Answer, OpenAiClient};
pub use ports::free_port;
pub use proxy::{Flow, Proxy, Way, Wire};
pub use rabbitmq::{Queue, RabbitMq};
pub use rest::Rest;
pub use socket::{Received, Socket};
pub use system::{Part, RABBITMQ, REDIS, Shape, System, named_by};

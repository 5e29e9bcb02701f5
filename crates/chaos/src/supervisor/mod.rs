//! The servers and processes that a scenario needs, as children that can be ended, killed and frozen.

mod child;
mod clock;
mod disk;
mod postgres;
mod process;
mod redis;
mod servers;

pub use child::Child;
pub use clock::{Clock, library as clock_library};
pub use confab_testkit::RabbitMq;
pub use disk::Disk;
pub use postgres::Postgres;
pub use postgres::url as postgres_url;
pub use process::Process;
pub use redis::Redis;
pub use servers::Servers;

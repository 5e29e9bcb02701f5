//! Breaks a running Confab on purpose, and judges by what its clients saw whether it kept its promises.
//!
//! Not shipped. Servers and roles are children of this process, on ports and in folders of their own; what they do to each
//! other goes through wires that can be slowed, cut and held. What may be promised and how it is judged is
//! [`confab_testkit::checker`]'s.
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a suite that cannot go on has failed"
)]

pub mod chance;
pub mod load;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod supervisor;
pub mod topology;
pub mod vitals;

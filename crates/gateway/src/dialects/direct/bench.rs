//! What the benchmarks reach of this room.

use std::sync::Arc;

use super::announce::DirectAnnouncer;
use super::request::Request;
use crate::live::Announcer;

pub(crate) fn is_request(frame: &str) -> bool {
    Request::parse(frame.as_bytes()).is_ok()
}

pub(crate) fn announcer() -> Arc<dyn Announcer> {
    Arc::new(DirectAnnouncer)
}

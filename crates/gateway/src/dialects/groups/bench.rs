//! What the benchmarks reach of this room.

use std::sync::Arc;

use super::announce::Chats;
use super::request::Request;
use crate::live::Announcer;

pub(crate) fn is_request(frame: &str) -> bool {
    Request::parse(frame).is_ok()
}

pub(crate) fn announcer() -> Arc<dyn Announcer> {
    Arc::new(Chats { push: true })
}

//! Ports for servers that are started again on the port they had.

use std::net::TcpListener;
use std::ops::Range;

/// Below the ports that the system gives out by itself, so that nobody gets one while its server is down.
const PORTS: Range<u16> = 15_000..32_000;

/// A port of 127.0.0.1 that nobody listens on.
///
/// # Panics
/// When no port is free.
#[must_use]
pub fn free_port() -> u16 {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(PORTS)).take(1000);
    let port = ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
    port.expect("a free port")
}

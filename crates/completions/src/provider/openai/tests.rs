//! The parts by themselves, where time and cuts are scripted, and the whole against an HTTP server.

mod fallback;
mod http;
mod reading;
mod wire;

//! The scenarios that every change has to pass, and the checks of the checker.

mod proxy;
mod servers;

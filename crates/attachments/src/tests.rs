//! Rules, and what no client can bring about.

mod content_type;
mod leftovers;
mod link;
mod name;
mod range;

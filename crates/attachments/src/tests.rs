//! Rules, and what no client can bring about.

#[expect(dead_code, reason = "the tests of the calls use the rest")]
#[path = "../tests/it/bucket.rs"]
mod bucket;
mod content_type;
mod house;
mod leftovers;
mod link;
mod name;
mod pace;
mod range;

use crate::S3;

//! Generates the service contracts from `proto/` into `OUT_DIR`; needs no `protoc`.

use std::error::Error;
use std::path::Path;

const PROTOS: &[&str] = &[
    "ai_service.proto",
    "confab/agents/v1/agents.proto",
    "confab/attachments/v1/attachments.proto",
    "confab/completions/v1/completions.proto",
    "confab/delivery/v1/delivery.proto",
    "confab/fault/v1/fault.proto",
    "confab/search/v1/search.proto",
    "confab/sessions/v1/sessions.proto",
    "confab/threads/v1/people.proto",
    "confab/threads/v1/threads.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let descriptors = protox::compile(PROTOS, [&root])?;
    tonic_prost_build::configure()
        .build_transport(false)
        .include_file("contracts.rs")
        .compile_fds(descriptors)?;
    Ok(())
}

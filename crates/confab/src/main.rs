//! The `confab` program; everything it does is in the library beside it.

use std::io::Write;
use std::process::ExitCode;

/// glibc's keeps what many threads have given back: half a gigabyte after a hundred password hashes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match confab::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed standard error leaves nowhere to say it.
            let _ = writeln!(std::io::stderr(), "confab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

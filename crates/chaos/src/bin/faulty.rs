//! `confab` with its failpoints compiled in: what `FAILPOINTS` names goes wrong, as the crate `fail` describes it.
//!
//! `FAILPOINTS='drop_hint=10%return;after_commit_before_ack=2%panic(abort)'` loses every tenth hint and ends the process
//! at once, as a crash does, after one commit in fifty. Any other panic is what it is in the program that ships.

use std::io::Write;
use std::panic::{set_hook, take_hook};
use std::process::{ExitCode, abort};

/// As in the program that ships.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a failpoint panics with to end the process.
const ABORT: &str = "abort";

fn main() -> ExitCode {
    let report = take_hook();
    set_hook(Box::new(move |panic| {
        if panic.payload_as_str() == Some(ABORT) {
            abort();
        }
        report(panic);
    }));
    let _points = fail::FailScenario::setup();
    match confab::cli::run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A closed standard error leaves nowhere to say it.
            let _ = writeln!(std::io::stderr(), "confab: {error:#}");
            ExitCode::FAILURE
        }
    }
}

//! `confab` with its failpoints compiled in: what `FAILPOINTS` names goes wrong.

use std::io::Write;
use std::process::ExitCode;

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

//! Runs scenarios: `confab-chaos --help`.

fn main() {}

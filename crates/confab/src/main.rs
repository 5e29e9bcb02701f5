//! confab
fn main() {}

//! confab-testkit

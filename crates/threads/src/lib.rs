//! confab-threads

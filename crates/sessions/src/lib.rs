//! confab-sessions

//! confab-completions

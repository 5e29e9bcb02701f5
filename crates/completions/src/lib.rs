//! confab-completions

pub mod catalogue;
pub mod provider;
pub mod settings;

pub use settings::{Settings, SettingsError};

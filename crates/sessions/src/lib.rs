//! Who someone is and what they may spend: users, the models they may ask, their money, and how they prove who
//! they are: passwords, sign-in sessions, tokens, API keys.
//!
//! What was said, and what an answer costs, is not known here: a run is an id that money is set aside for.
//!
//! Money is integer micro-dollars. An account's balance is the sum of its ledger, and `0 <= reserved <= balance` holds
//! after every transaction: the account's row is locked by whoever changes it.

mod account;
mod api_key;
mod bearers;
mod books;
mod error;
mod opaque;
mod password;
mod profile;
mod service;
mod settings;
mod sign_in;
mod store;
#[cfg(test)]
mod tests;
mod throttle;
mod tokens;
mod user;

pub use error::OpenError;
pub use service::Service;
pub use settings::{
    OidcSettings, RegistrationSettings, Settings, SettingsError, SignInSettings, TokenSettings,
};

//! Bodies as they are on the wire.

use confab_rpc::sessions::{Profile, User};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
pub(super) struct Register {
    pub(super) username: String,
    #[schema(value_type = String, format = Password)]
    pub(super) password: SecretString,
    pub(super) email: Option<String>,
    pub(super) fullname: Option<String>,
    pub(super) phone_number: Option<String>,
}

/// With a username or an e-mail address.
#[derive(Deserialize, ToSchema)]
pub(super) struct Login {
    pub(super) username: Option<String>,
    pub(super) email: Option<String>,
    #[schema(value_type = String, format = Password)]
    pub(super) password: SecretString,
}

#[derive(Deserialize, ToSchema)]
pub(super) struct Refresh {
    #[serde(alias = "refresh_token")]
    #[schema(value_type = String)]
    pub(super) refresh: SecretString,
}

#[derive(Default, Deserialize, ToSchema)]
pub(super) struct Logout {
    #[serde(alias = "refresh_token")]
    #[schema(value_type = Option<String>)]
    pub(super) refresh: Option<SecretString>,
}

/// `{}`
#[derive(Serialize, ToSchema)]
pub(super) struct SignedOut {}

#[derive(Serialize, ToSchema)]
pub(super) struct Registered {
    pub(super) user: Named,
}

/// Under both names that clients use for the tokens.
#[derive(Serialize, ToSchema)]
pub(super) struct SignedIn {
    pub(super) access: String,
    pub(super) refresh: String,
    /// Seconds that `access` is good for.
    pub(super) expires_in: u64,
    pub(super) user: Named,
    pub(super) token: String,
    pub(super) refresh_token: String,
}

#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(super) struct Named {
    pub(super) id: String,
    pub(super) number: i64,
    pub(super) username: String,
}

impl From<User> for Named {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            number: user.number,
            username: user.username,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub(super) struct Ticket {
    pub(super) ticket: String,
    /// Seconds that it is good for.
    pub(super) expires_in: u64,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    pub(super) user: Myself,
}

/// What users see of themselves.
#[derive(Serialize, ToSchema)]
pub(super) struct Myself {
    #[serde(flatten)]
    named: Named,
    email: String,
    fullname: String,
    country_code: String,
    phone_number: String,
    gender: String,
    /// `null` when it is not known.
    #[schema(format = Date)]
    date_of_birth: Option<String>,
    photo: String,
}

impl From<Profile> for Myself {
    fn from(profile: Profile) -> Self {
        Self {
            named: Named {
                id: profile.user_id,
                number: profile.number,
                username: profile.username,
            },
            email: profile.email,
            fullname: profile.fullname,
            country_code: profile.country_code,
            phone_number: profile.phone_number,
            gender: profile.gender,
            date_of_birth: Some(profile.date_of_birth).filter(|day| !day.is_empty()),
            photo: profile.photo,
        }
    }
}

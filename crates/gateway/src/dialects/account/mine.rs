//! What callers have, and what they change of what others see of them.

use actix_web::{HttpRequest, HttpResponse, web};
use confab_rpc::sessions::{Account, GetAccountRequest, UpdateProfileRequest};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;

use super::fault::Failed;
use super::handlers::{Reply, caller_id, check_origin, parse, read};
use super::wire;
use crate::Gateway;

/// Money, in millionths of a US dollar.
#[derive(Serialize, ToSchema)]
pub(super) struct Money {
    balance_microdollars: i64,
    /// How much of the balance is set aside for what is under way.
    reserved_microdollars: i64,
}

/// What changes, as a JSON merge patch (RFC 7396): what is not named stays, `null` empties.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(super) struct Changes {
    #[serde(deserialize_with = "named")]
    email: Option<String>,
    #[serde(deserialize_with = "named")]
    fullname: Option<String>,
    #[serde(deserialize_with = "named")]
    country_code: Option<String>,
    #[serde(deserialize_with = "named")]
    phone_number: Option<String>,
    #[serde(deserialize_with = "named")]
    gender: Option<String>,
    #[serde(deserialize_with = "named")]
    #[schema(format = Date)]
    date_of_birth: Option<String>,
    /// A path or URL.
    #[serde(deserialize_with = "named")]
    photo: Option<String>,
}

/// A value that is there, if only as `null`.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = Option::<String>::deserialize(deserializer)?;
    Ok(Some(value.unwrap_or_default()))
}

/// Says what the caller can spend.
#[utoipa::path(
    get,
    path = "/auth/account",
    operation_id = "money",
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, body = Money, description = "the caller's money"),
        (status = 401, body = Failed, description = "no credential, one that is not good, or an API key"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn money(request: HttpRequest, gateway: web::Data<Gateway>) -> Reply {
    let user_id = caller_id(&request, &gateway).await?;
    let wanted = GetAccountRequest { user_id };
    let account = gateway.backends.sessions().get_account(wanted).await?;
    Ok(HttpResponse::Ok().json(Money::from(account.into_inner())))
}

/// Changes what is named of the caller's profile.
#[utoipa::path(
    patch,
    path = "/auth/me",
    operation_id = "change_me",
    request_body = Changes,
    security(("bearer" = []), ("cookie" = [])),
    responses(
        (status = 200, body = wire::Me, description = "the caller, as it is now"),
        (status = 400, body = Failed, description = "the body is not what this takes"),
        (status = 401, body = Failed, description = "no credential, one that is not good, or an API key"),
        (status = 403, body = Failed, description = "a page that may not connect"),
        (status = 409, body = Failed, description = "somebody else has the address"),
        (status = 413, body = Failed, description = "longer than 16 KiB"),
        (status = 500, body = Failed, description = "our fault"),
        (status = 503, body = Failed, description = "come back after `Retry-After`"),
    ),
)]
pub(super) async fn change(
    request: HttpRequest,
    payload: web::Payload,
    gateway: web::Data<Gateway>,
) -> Reply {
    check_origin(&request, &gateway)?;
    let user_id = caller_id(&request, &gateway).await?;
    let changes: Changes = parse(&read(payload).await?)?;
    let wanted = changes.of(user_id);
    let profile = gateway.backends.sessions().update_profile(wanted).await?;
    let user = profile.into_inner().into();
    Ok(HttpResponse::Ok().json(wire::Me { user }))
}

impl Changes {
    pub(super) fn of(self, user_id: String) -> UpdateProfileRequest {
        UpdateProfileRequest {
            user_id,
            email: self.email,
            fullname: self.fullname,
            country_code: self.country_code,
            phone_number: self.phone_number,
            gender: self.gender,
            date_of_birth: self.date_of_birth,
            photo: self.photo,
        }
    }
}

impl From<Account> for Money {
    fn from(account: Account) -> Self {
        Self {
            balance_microdollars: account.balance_microdollars,
            reserved_microdollars: account.reserved_microdollars,
        }
    }
}

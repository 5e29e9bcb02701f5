//! `confab key …`: what an operator does with API keys, through the sessions role, here or where it runs.

use std::io::Write;

use confab_rpc::sessions::{ApiKey, CreateApiKeyRequest, ListApiKeysRequest, RevokeApiKeyRequest};
use confab_rpc::time;

use crate::cli::KeyCommand;
use crate::money::{format_dollars, parse_dollars};
use crate::settings::Settings;
use crate::users::{call, find, open};

/// Runs one command; its result goes to `out`.
pub(crate) async fn run(
    settings: &Settings,
    command: KeyCommand,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut sessions = open(settings).await?;
    match command {
        KeyCommand::Add {
            user,
            name,
            scopes,
            models,
            budget,
            lifetime,
        } => {
            let budget = budget.as_deref().map(parse_dollars).transpose()?;
            let request = CreateApiKeyRequest {
                user_id: find(&mut sessions, &user).await?.id,
                name,
                scopes,
                models,
                budget_microdollars: budget,
                lifetime_seconds: lifetime.unwrap_or(0),
            };
            let created = call(sessions.create_api_key(request)).await?;
            writeln!(out, "{}", created.secret)?;
        }
        KeyCommand::List { user } => {
            let user_id = find(&mut sessions, &user).await?.id;
            let request = ListApiKeysRequest { user_id };
            list(&call(sessions.list_api_keys(request)).await?.keys, out)?;
        }
        KeyCommand::Revoke { user, key } => {
            let request = RevokeApiKeyRequest {
                user_id: find(&mut sessions, &user).await?.id,
                key_id: key.to_string(),
            };
            call(sessions.revoke_api_key(request)).await?;
        }
    }
    Ok(())
}

fn list(keys: &[ApiKey], out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "{:36}  {:>4}  {:>12}  {:>12}  {:20}  NAME",
        "ID", "ENDS", "SPENT", "BUDGET", "GOOD UNTIL"
    )?;
    for key in keys {
        let budget = key
            .budget_microdollars
            .map_or_else(|| "-".to_owned(), format_dollars);
        let models: Vec<String> = key.models.iter().map(ToString::to_string).collect();
        let models = match models.as_slice() {
            [] => "all".to_owned(),
            models => models.join(","),
        };
        writeln!(
            out,
            "{:36}  {:>4}  {:>12}  {budget:>12}  {:20}  {} (scopes {}; models {models})",
            key.id,
            key.hint,
            format_dollars(key.spent_microdollars),
            good_until(key),
            key.name,
            key.scopes.join(","),
        )?;
    }
    Ok(())
}

fn good_until(key: &ApiKey) -> String {
    if key.revoked_at.is_some() {
        return "revoked".to_owned();
    }
    key.expires_at
        .and_then(time::from_wire)
        .map_or_else(|| "-".to_owned(), |at| at.format("%FT%TZ").to_string())
}

//! `confab user …`: what an operator does with users, through the sessions role, here or where it runs.

use std::io::Write;
use std::sync::Arc;

use anyhow::Context;
use confab_migrations::sessions::Migrator;
use confab_rpc::sessions::get_user_request::By;
use confab_rpc::sessions::sessions_client::SessionsClient;
use confab_rpc::sessions::sessions_server::SessionsServer;
use confab_rpc::sessions::{
    CreateUserRequest, DepositRequest, GetAccountRequest, GetUserRequest, GrantModelsRequest,
    IssueTokenRequest, ListUsersRequest, User,
};
use confab_rpc::{Fault, Lane};
use confab_runtime::{SystemClock, Tasks};
use uuid::Uuid;

use crate::cli::UserCommand;
use crate::money::{format_dollars, parse_dollars};
use crate::roles::Role;
use crate::settings::Settings;
use crate::wiring;

/// Users asked for at a time by `confab user list`.
const PAGE: u32 = 500;

pub(crate) type Client = SessionsClient<Lane>;

/// Runs one command; its result goes to `out`.
pub(crate) async fn run(
    settings: &Settings,
    command: UserCommand,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let mut sessions = open(settings).await?;
    match command {
        UserCommand::Add {
            name,
            id,
            models,
            balance,
        } => {
            let request = CreateUserRequest {
                username: name,
                id: id.map(|id| id.to_string()).unwrap_or_default(),
                models: models.unwrap_or_else(|| every_model(settings)),
                deposit_microdollars: parse_dollars(&balance)?,
            };
            let user = call(sessions.create_user(request)).await?;
            writeln!(out, "{}", user.id)?;
        }
        UserCommand::List => list(&mut sessions, out).await?,
        UserCommand::Grant { user, models } => {
            let user_id = find(&mut sessions, &user).await?.id;
            call(sessions.grant_models(GrantModelsRequest { user_id, models })).await?;
        }
        UserCommand::Deposit { user, amount } => {
            let user_id = find(&mut sessions, &user).await?.id;
            let request = DepositRequest {
                user_id,
                amount_microdollars: parse_dollars(&amount)?,
                key: format!("cli-{}", Uuid::now_v7()),
            };
            let account = call(sessions.deposit(request)).await?;
            writeln!(out, "{}", format_dollars(account.balance_microdollars))?;
        }
        UserCommand::Token { user, lifetime } => {
            let user_id = find(&mut sessions, &user).await?.id;
            let request = IssueTokenRequest {
                user_id,
                lifetime_seconds: lifetime.unwrap_or(0),
            };
            let issued = call(sessions.issue_token(request)).await?;
            writeln!(out, "{}", issued.token)?;
        }
    }
    Ok(())
}

/// The sessions role where it runs, or opened right here on its database.
pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Client> {
    Ok(SessionsClient::new(lane(settings).await?))
}

async fn lane(settings: &Settings) -> anyhow::Result<Lane> {
    if !settings.lanes.sessions.url.is_empty() {
        return wiring::remote(&settings.lanes, Role::Sessions);
    }
    wiring::migrate_one::<Migrator>(settings, Role::Sessions).await?;
    let database = wiring::open_database(settings, Role::Sessions).await?;
    let service = confab_sessions::Service::open(
        database,
        &settings.sessions,
        Arc::new(SystemClock),
        Tasks::new(),
    )
    .await
    .context("sessions")?;
    let deadline = std::time::Duration::from_millis(settings.lanes.deadline_ms);
    Ok(Lane::local(SessionsServer::new(service), deadline))
}

fn every_model(settings: &Settings) -> Vec<i32> {
    let models = settings.completions.models.iter();
    models.map(|model| model.id).collect()
}

async fn list(sessions: &mut Client, out: &mut impl Write) -> anyhow::Result<()> {
    writeln!(out, "{:>6}  {:36}  {:>12}  NAME", "NUMBER", "ID", "BALANCE")?;
    let mut after_number = 0;
    loop {
        let request = ListUsersRequest {
            after_number,
            limit: PAGE,
        };
        let users = call(sessions.list_users(request)).await?.users;
        let Some(last) = users.last() else {
            return Ok(());
        };
        after_number = last.number;
        for user in users {
            let request = GetAccountRequest {
                user_id: user.id.clone(),
            };
            let account = call(sessions.get_account(request)).await?;
            let balance = format_dollars(account.balance_microdollars);
            let models: Vec<String> = user.models.iter().map(ToString::to_string).collect();
            writeln!(
                out,
                "{:>6}  {:36}  {balance:>12}  {} (models {})",
                user.number,
                user.id,
                user.username,
                models.join(",")
            )?;
        }
    }
}

/// A user by name, or by id when no user has that name.
pub(crate) async fn find(sessions: &mut Client, name: &str) -> anyhow::Result<User> {
    let by_name = GetUserRequest {
        by: Some(By::Username(name.to_owned())),
    };
    let named = call(sessions.get_user(by_name)).await;
    if named.is_ok() || Uuid::try_parse(name).is_err() {
        return named;
    }
    let by_id = GetUserRequest {
        by: Some(By::Id(name.to_owned())),
    };
    call(sessions.get_user(by_id)).await
}

/// What a call answers, or what a person is told instead.
pub(crate) async fn call<T>(
    reply: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
) -> anyhow::Result<T> {
    match reply.await {
        Ok(reply) => Ok(reply.into_inner()),
        Err(status) => Err(anyhow::anyhow!(Fault::from(status).message)),
    }
}

//! Few runs are under way, and only those have leases that anybody looks at; few have a key, or an agent that asks back.

use sea_orm_migration::prelude::*;

use crate::replace_indexes;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace_indexes(manager, before(), after()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace_indexes(manager, after(), before()).await
    }
}

fn before() -> [IndexCreateStatement; 3] {
    let leases = Index::create()
        .name("run_state_lease_until")
        .table("run")
        .col("state")
        .col("lease_until")
        .to_owned();
    [leases, token(), key()]
}

fn after() -> [IndexCreateStatement; 3] {
    let leases = Index::create()
        .name("run_lease_until")
        .table("run")
        .col("lease_until")
        .cond_where(Expr::col("ended_at").is_null())
        .to_owned();
    [
        leases,
        token()
            .cond_where(Expr::col("agent_token_hash").is_not_null())
            .to_owned(),
        key()
            .cond_where(Expr::col("client_msg_id").is_not_null())
            .to_owned(),
    ]
}

fn token() -> IndexCreateStatement {
    Index::create()
        .name("run_agent_token_hash")
        .table("run")
        .col("agent_token_hash")
        .unique()
        .to_owned()
}

fn key() -> IndexCreateStatement {
    Index::create()
        .name("run_user_id_client_msg_id")
        .table("run")
        .col("user_id")
        .col("client_msg_id")
        .unique()
        .to_owned()
}

//! Most messages have no run, and some have no key: the indexes hold those that have one.

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

fn before() -> [IndexCreateStatement; 2] {
    [key(), run()]
}

fn after() -> [IndexCreateStatement; 2] {
    [
        key()
            .cond_where(Expr::col("client_msg_id").is_not_null())
            .to_owned(),
        run()
            .cond_where(Expr::col("run_id").is_not_null())
            .to_owned(),
    ]
}

fn key() -> IndexCreateStatement {
    Index::create()
        .name("message_author_id_client_msg_id")
        .table("message")
        .col("author_id")
        .col("client_msg_id")
        .unique()
        .to_owned()
}

fn run() -> IndexCreateStatement {
    Index::create()
        .name("message_run_id")
        .table("message")
        .col("run_id")
        .unique()
        .to_owned()
}

//! Few reservations are open, and only those are counted; only deposits have a key.

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
    let of_user = Index::create()
        .name("reservation_user_id_settled_at")
        .table("reservation")
        .col("user_id")
        .col("settled_at")
        .to_owned();
    [of_user, deposit()]
}

fn after() -> [IndexCreateStatement; 2] {
    let open = Index::create()
        .name("reservation_open_user_id")
        .table("reservation")
        .col("user_id")
        .cond_where(Expr::col("settled_at").is_null())
        .to_owned();
    [
        open,
        deposit()
            .cond_where(Expr::col("deposit_key").is_not_null())
            .to_owned(),
    ]
}

fn deposit() -> IndexCreateStatement {
    Index::create()
        .name("ledger_user_id_deposit_key")
        .table("ledger")
        .col("user_id")
        .col("deposit_key")
        .unique()
        .to_owned()
}

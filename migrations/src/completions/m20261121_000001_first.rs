//! Runs: every attempt to answer, who works on it, and what it cost.

use sea_orm_migration::prelude::*;

use crate::time;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(run()).await?;
        for index in indexes() {
            manager.create_index(index).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .drop_table(Table::drop().table("run").to_owned())
            .await
    }
}

/// One attempt to answer or to summarise. Its lease says which process works on it; a process that finds the lease
/// expired raises the fence and ends the run.
fn run() -> TableCreateStatement {
    Table::create()
        .table("run")
        .col(ColumnDef::new("id").uuid().not_null().primary_key())
        .col(ColumnDef::new("purpose").small_integer().not_null())
        .col(ColumnDef::new("user_id").uuid().not_null())
        .col(ColumnDef::new("thread_id").uuid().not_null())
        // Whether the thread was made by this run.
        .col(ColumnDef::new("new_thread").boolean().not_null())
        // The thread's last message when the run began: what the run wrote comes after it.
        .col(ColumnDef::new("after_seq").big_integer().not_null())
        // The answer's message; null until it is in the thread, and for summaries.
        .col(ColumnDef::new("answer_id").big_integer())
        .col(ColumnDef::new("answer_seq").big_integer())
        // The caller's key: of two asks with the same one, only one becomes a run.
        .col(ColumnDef::new("client_msg_id").string_len(255))
        // SHA-256 over what a repeated `client_msg_id` must repeat.
        .col(ColumnDef::new("fingerprint").binary_len(32))
        .col(ColumnDef::new("model_id").integer().not_null())
        .col(ColumnDef::new("model").string_len(255).not_null())
        .col(ColumnDef::new("provider").string_len(255).not_null())
        .col(ColumnDef::new("state").small_integer().not_null())
        .col(ColumnDef::new("lease_owner").uuid().not_null())
        .col(time("lease_until"))
        .col(ColumnDef::new("fence").big_integer().not_null())
        .col(
            ColumnDef::new("reserved_microdollars")
                .big_integer()
                .not_null()
                .default(0),
        )
        // An estimate of what the model reads; what is charged for when nobody can say it any more.
        .col(ColumnDef::new("prompt_tokens").big_integer().not_null())
        // How it ended and why it failed, as soon as it is known.
        .col(ColumnDef::new("outcome").small_integer())
        .col(ColumnDef::new("failure").small_integer())
        // What was used, as soon as it is known; the settlement books exactly this.
        .col(ColumnDef::new("input_tokens").big_integer())
        .col(ColumnDef::new("output_tokens").big_integer())
        .col(ColumnDef::new("cost_microdollars").big_integer())
        // SHA-256 of the token with which the agent may ask back; null when there is none.
        .col(ColumnDef::new("agent_token_hash").binary_len(32))
        // Why it failed, for operators; never message text.
        .col(ColumnDef::new("error").text())
        .col(time("started_at"))
        .col(ColumnDef::new("ended_at").timestamp_with_time_zone())
        .to_owned()
}

fn indexes() -> [IndexCreateStatement; 3] {
    [
        Index::create()
            .name("run_state_lease_until")
            .table("run")
            .col("state")
            .col("lease_until")
            .to_owned(),
        Index::create()
            .name("run_agent_token_hash")
            .table("run")
            .col("agent_token_hash")
            .unique()
            .to_owned(),
        Index::create()
            .name("run_user_id_client_msg_id")
            .table("run")
            .col("user_id")
            .col("client_msg_id")
            .unique()
            .to_owned(),
    ]
}

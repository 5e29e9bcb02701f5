//! What a database promises, on SQLite and on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::pin::pin;
use std::task::{Context, Waker};

use confab_database::scratch::{Scratch, postgres_url, settings};
use confab_database::{Database, Settings, is_unavailable, violated_unique};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbErr, Statement};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager};

mod rows;

/// Makes one table.
struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(Counter)]
    }
}

struct Counter;

impl MigrationName for Counter {
    fn name(&self) -> &'static str {
        "m0001_counter"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Counter {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager
            .get_connection()
            .execute_unprepared("CREATE TABLE counter (name VARCHAR(20) UNIQUE, value BIGINT)")
            .await?;
        Ok(())
    }
}

async fn value(connection: &impl ConnectionTrait) -> i64 {
    let backend = connection.get_database_backend();
    let row = connection
        .query_one_raw(Statement::from_string(backend, "SELECT value FROM counter"))
        .await
        .unwrap()
        .unwrap();
    row.try_get("", "value").unwrap()
}

async fn run(transaction: &DatabaseTransaction, sql: &str) {
    transaction.execute_unprepared(sql).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn migrations_at_the_same_time_wait_for_each_other() {
    for scratch in Scratch::both().await {
        let database = scratch.database;
        if database.backend() == sea_orm::DbBackend::Postgres {
            let (first, second) = tokio::join!(
                database.migrate::<Migrator>(),
                database.migrate::<Migrator>()
            );
            first.unwrap();
            second.unwrap();
        }
        database.migrate::<Migrator>().await.unwrap();
        database.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_that_read_first_do_not_lose_updates() {
    for scratch in Scratch::both().await {
        let database = scratch.database;
        database.migrate::<Migrator>().await.unwrap();
        let sql = "INSERT INTO counter (name, value) VALUES ('only', 0)";
        database.write().execute_unprepared(sql).await.unwrap();
        let locked = match database.backend() {
            sea_orm::DbBackend::Postgres => "SELECT value FROM counter FOR UPDATE",
            _ => "SELECT value FROM counter",
        };
        let mut writers = tokio::task::JoinSet::new();
        for _ in 0..20 {
            let database = database.clone();
            writers.spawn(async move {
                let transaction = database.begin().await.unwrap();
                run(&transaction, locked).await;
                let next = value(&transaction).await + 1;
                run(&transaction, &format!("UPDATE counter SET value = {next}")).await;
                transaction.commit().await.unwrap();
            });
        }
        while let Some(done) = writers.join_next().await {
            done.unwrap();
        }
        assert_eq!(value(database.read()).await, 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_violation_says_what_it_hit() {
    for scratch in Scratch::both().await {
        let database = scratch.database;
        database.migrate::<Migrator>().await.unwrap();
        let sql = "INSERT INTO counter (name, value) VALUES ('twice', 0)";
        database.write().execute_unprepared(sql).await.unwrap();
        let error = database.write().execute_unprepared(sql).await.unwrap_err();
        let what = violated_unique(&error).unwrap();
        assert!(what.contains("name"), "{what}");
        let other = database.write().execute_unprepared("SELECT nothing").await;
        assert_eq!(violated_unique(&other.unwrap_err()), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_connections_or_statements_may_answer_later() {
    for scratch in Scratch::both().await {
        let database = scratch.database;
        let failed = async |sql: &str| {
            let failed = database.write().execute_unprepared(sql).await;
            failed.unwrap_err()
        };
        assert!(!is_unavailable(&failed("SELECT nonsense").await));
        if database.backend() == sea_orm::DbBackend::Postgres {
            assert!(!is_unavailable(&failed("SELECT 1 / 0").await));
            let ended = failed("SELECT pg_terminate_backend(pg_backend_pid())").await;
            assert!(is_unavailable(&ended), "{ended:?}");
            let late = failed("SET LOCAL statement_timeout = 1; SELECT pg_sleep(10)").await;
            assert!(is_unavailable(&late), "{late:?}");
        }
        database.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_in_a_transaction_does_not_keep_its_locks() {
    for scratch in Scratch::both().await {
        let database = scratch.database;
        if database.backend() == sea_orm::DbBackend::Postgres {
            let setting = async |name: &str| {
                let show = Statement::from_string(database.backend(), format!("SHOW {name}"));
                let row = database.read().query_one_raw(show).await.unwrap().unwrap();
                row.try_get::<String>("", name).unwrap()
            };
            let statement = setting("statement_timeout").await;
            assert_ne!(statement, "0");
            let idle = setting("idle_in_transaction_session_timeout").await;
            assert_eq!(idle, statement);

            let abandoned = database.begin().await.unwrap();
            run(
                &abandoned,
                "SET LOCAL idle_in_transaction_session_timeout = 1",
            )
            .await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
            let late = abandoned.execute_unprepared("SELECT 1").await.unwrap_err();
            assert!(is_unavailable(&late), "{late:?}");
        }
        database.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_into_a_transaction_whose_beginning_was_given_up() {
    let settings = Settings {
        max_connections: 2,
        ..settings(&postgres_url().await)
    };
    let database = Database::open(&settings).await.unwrap();
    let others = Database::open(&settings).await.unwrap();
    database.migrate::<Migrator>().await.unwrap();
    let sql = "INSERT INTO counter (name, value) VALUES ('seen', 0)";
    database.write().execute_unprepared(sql).await.unwrap();
    for round in 1..=20 {
        {
            let mut begin = pin!(database.begin());
            // The first step asks the server, and the next ones may be too early for its answer.
            for _ in 0..=(round % 3) {
                let step = begin.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                if step.is_ready() {
                    break;
                }
            }
        }
        let sql = format!("UPDATE counter SET value = {round}");
        database.write().execute_unprepared(&sql).await.unwrap();
        assert_eq!(value(others.read()).await, round, "others do not see it");
    }
    others.close().await.unwrap();
    database.close().await.unwrap();
}

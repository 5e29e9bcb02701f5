//! Many rows in one statement.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use confab_database::scratch::Scratch;
use confab_database::{Database, Sql};
use sea_orm::entity::prelude::*;
use sea_orm::{DbBackend, IntoActiveModel, NotSet, QueryOrder, Schema, Statement};
use serde_json::json;

/// A column of each type that rows have.
#[derive(Debug, Clone, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "thing")]
struct Model {
    #[sea_orm(primary_key)]
    id: i64,
    flag: bool,
    small: i16,
    middle: i32,
    large: i64,
    text: Option<String>,
    key: Option<Uuid>,
    hash: Option<Vec<u8>>,
    files: Option<Json>,
    at: Option<DateTimeUtc>,
    count: Option<i64>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn full() -> Model {
    Model {
        id: 0,
        flag: true,
        small: i16::MIN,
        middle: i32::MAX,
        large: i64::MAX - 1,
        text: Some("\"quoted\"\\ \n\t\u{1} $1 'x' \u{1F600} é".to_owned()),
        key: Some(Uuid::from_u128(0x0192_f0a1_0000_7000_8000_0000_0000_00ff)),
        hash: Some(vec![0, 1, 0x5c, 0x7f, 0xff]),
        files: Some(json!([{"name": "a \"b\".txt", "size": 1_u64 << 60}])),
        at: Some("2026-11-21T18:41:28.123457Z".parse().unwrap()),
        count: Some(0),
    }
}

fn bare() -> Model {
    Model {
        flag: false,
        small: 0,
        middle: -1,
        large: i64::MIN,
        text: None,
        key: None,
        hash: None,
        files: None,
        at: None,
        count: None,
        ..full()
    }
}

async fn all(database: &Database) -> Vec<Model> {
    let rows = Entity::find().order_by_asc(Column::Id);
    rows.all(database.read()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_arrive_as_they_were_given() {
    for scratch in Scratch::both().await {
        let database = scratch.database;
        let write = database.write();
        let table = Schema::new(database.backend()).create_table_from_entity(Entity);
        write.execute(&table).await.unwrap();

        // Empty text is no missing text, and what comes first decides no type.
        let empty = Model {
            text: Some(String::new()),
            hash: Some(Vec::new()),
            ..bare()
        };
        let given = [bare(), full(), empty, bare(), full()];
        // One alone is sent in another way.
        for part in [&given[..1], &given[1..]] {
            let models = part.iter().map(|row| ActiveModel {
                id: NotSet,
                ..row.clone().into_active_model().reset_all()
            });
            let insert = Sql::insert(models).unwrap().text(" RETURNING id");
            let insert = insert.statement(database.backend());
            let inserted = write.query_all_raw(insert).await.unwrap();
            assert_eq!(inserted.len(), part.len());
        }
        let stored = all(&database).await;
        for (stored, given) in stored.iter().zip(&given) {
            let id = stored.id;
            assert_eq!(
                *stored,
                Model {
                    id,
                    ..given.clone()
                }
            );
        }
        assert!(stored.is_sorted_by_key(|row| row.id));

        // Rows to be found, of which some are not there.
        let wanted =
            [stored[1].id, stored[3].id, 77].map(|id| [id.into(), format!("new {id}").into()]);
        let update = Sql::new("WITH wanted (wanted_id, new_text) AS (")
            .rows(wanted)
            .text(") UPDATE thing SET text = new_text FROM wanted WHERE id = wanted_id");
        let update = update.statement(database.backend());
        assert_eq!(write.execute_raw(update).await.unwrap().rows_affected(), 2);
        let now = all(&database).await;
        assert_eq!(now.len(), given.len());
        assert_eq!(now[1].text, Some(format!("new {}", stored[1].id)));
        assert_eq!(now[2], stored[2]);
        assert!(Sql::insert(Vec::<ActiveModel>::new()).is_none());
        database.close().await.unwrap();
    }
}

/// How a statement that is prepared on a table of few rows goes about it, also when there are many later.
async fn plan(database: &Database, statement: Statement) -> String {
    let backend = database.backend();
    let transaction = database.begin().await.unwrap();
    let (explain, column) = if backend == DbBackend::Postgres {
        let arguments = statement.values.unwrap().0.len();
        let prepare = format!("PREPARE it AS {}", statement.sql);
        for sql in ["SET LOCAL plan_cache_mode = force_generic_plan", &prepare] {
            transaction.execute_unprepared(sql).await.unwrap();
        }
        let arguments = vec!["NULL"; arguments].join(", ");
        let sql = format!("EXPLAIN EXECUTE it ({arguments})");
        (Statement::from_string(backend, sql), "QUERY PLAN")
    } else {
        let sql = format!("EXPLAIN QUERY PLAN {}", statement.sql);
        let values = statement.values.unwrap().0;
        let explain = Statement::from_sql_and_values(backend, sql, values);
        (explain, "detail")
    };
    let lines = transaction.query_all_raw(explain).await.unwrap();
    let lines = lines
        .iter()
        .map(|line| line.try_get::<String>("", column).unwrap());
    let plan = lines.collect::<Vec<_>>().join("\n");
    transaction.rollback().await.unwrap();
    plan
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_looked_up_in_a_table_that_is_small_as_well() {
    for scratch in Scratch::both().await {
        let database = scratch.database;
        let write = database.write();
        let table = Schema::new(database.backend()).create_table_from_entity(Entity);
        write.execute(&table).await.unwrap();
        let models = (0..100).map(|_| ActiveModel {
            id: NotSet,
            ..bare().into_active_model().reset_all()
        });
        let insert = Sql::insert(models).unwrap().statement(database.backend());
        write.execute_raw(insert).await.unwrap();

        // The table seems to have next to no rows with this number.
        let wanted = (1..=20_i64).map(|id| [id.into(), "new".into()]);
        let update = Sql::new("WITH wanted (wanted_id, new_text) AS (")
            .rows(wanted)
            .text(
                ") UPDATE thing SET text = new_text FROM wanted WHERE id = wanted_id AND small = ",
            )
            .value(0_i16);
        let plan = plan(&database, update.statement(database.backend())).await;
        let looked_up = match database.backend() {
            DbBackend::Postgres => "Index Cond: (id = wanted.wanted_id)",
            _ => "SEARCH thing USING INTEGER PRIMARY KEY",
        };
        assert!(plan.contains(looked_up), "{plan}");
        database.close().await.unwrap();
    }
}

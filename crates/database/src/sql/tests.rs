//! Many rows have few texts.

use std::collections::BTreeSet;

use super::*;

fn row(id: i64) -> [Value; 2] {
    [id.into(), "text".into()]
}

fn wanted(count: i64, backend: DbBackend) -> (String, Vec<Value>) {
    let statement = Sql::new("SELECT ")
        .value(1_i16)
        .text(" FROM (")
        .rows((0..count).map(row))
        .text(") WHERE x = ")
        .value(2_i16)
        .statement(backend);
    (statement.sql, statement.values.unwrap().0)
}

#[test]
fn a_few_lengths_are_enough() {
    let lengths: BTreeSet<usize> = (1..=256).map(full).collect();
    let expected = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256];
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), expected);
    for length in 1..=1000 {
        assert!((length..=length + length / 2).contains(&full(length)));
    }
}

#[test]
fn a_list_is_filled_up_with_its_last() {
    assert_eq!(filled([7, 8, 9, 10, 11]), [7, 8, 9, 10, 11, 11]);
    assert_eq!(filled([7]), [7]);
    assert!(filled([0; 0]).is_empty());
}

#[test]
fn sqlite_gets_rows_that_are_filled_up_with_nothing() {
    let (text, values) = wanted(5, DbBackend::Sqlite);
    assert!(text.starts_with("SELECT ? FROM (VALUES (?, ?), (?, ?), "));
    assert!(text.ends_with("(?, ?), (?, ?)) WHERE x = ?"));
    assert_eq!(values[9..11], row(4));
    let nothing = [Value::BigInt(None), Value::String(None)];
    assert_eq!(values[11..13], nothing);
    assert_eq!(values[13], Value::from(2_i16));
    assert_eq!(text, wanted(6, DbBackend::Sqlite).0);
}

#[test]
fn postgres_gets_one_document() {
    let (text, values) = wanted(2, DbBackend::Postgres);
    let rows = "json_to_recordset(CAST($2 AS json)) AS given (a0 int8, a1 text) LIMIT $3";
    assert_eq!(
        text,
        format!("SELECT $1 FROM (SELECT * FROM {rows}) WHERE x = $4")
    );
    let document = r#"[{"a0":0,"a1":"text"},{"a0":1,"a1":"text"}]"#;
    assert_eq!(values[1..3], [document.into(), 2_i64.into()]);
    assert_eq!(text, wanted(100, DbBackend::Postgres).0);
    let (text, values) = wanted(1, DbBackend::Postgres);
    assert_eq!(text, "SELECT $1 FROM (VALUES ($2, $3)) WHERE x = $4");
    assert_eq!(values[1..3], row(0));
}

//! Statements about many rows.
//!
//! A connection keeps its last 100 statements prepared, by their texts. A batch can have any length, and with a parameter
//! for each value it would have a text for each length: parsed and planned anew almost each time, and on PostgreSQL sent
//! twice. So there all rows are one parameter, a JSON document, and on SQLite, which has no faster way than parameters,
//! they come in a few lengths only, filled up with rows that are nothing.

use std::fmt::Write;

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, DbBackend, EntityName, EntityTrait, IdenStatic,
    Iterable, Statement, Value,
};
use serde::{Serialize, Serializer};

#[cfg(test)]
mod tests;

/// The length that so many are filled up to: at most half as many again.
fn full(length: usize) -> usize {
    let above = length.next_power_of_two();
    let between = above / 4 * 3;
    if length <= between { between } else { above }
}

/// These and the last of them again, for `IN`: one of a few lengths.
#[must_use]
pub fn filled<T: Clone>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    if let Some(last) = items.last().cloned() {
        items.resize(full(items.len()), last);
    }
    items
}

/// A statement under construction. Parameters are `$1`, `$2` and so on on PostgreSQL. On SQLite those would be names, and
/// binding the n-th would look through the n before it: there each is `?`.
#[derive(Debug)]
pub struct Sql(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    Value(Value),
    /// One at least; all have the same columns, of the same types.
    Rows(Vec<Vec<Value>>),
}

impl Sql {
    /// A statement that begins so.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Vec::new()).text(text)
    }

    /// More of its text, which holds no value.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        match self.0.last_mut() {
            Some(Part::Text(before)) => before.push_str(text),
            _ => self.0.push(Part::Text(text.to_owned())),
        }
        self
    }

    /// One parameter.
    #[must_use]
    pub fn value(mut self, value: impl Into<Value>) -> Self {
        self.0.push(Part::Value(value.into()));
        self
    }

    /// A query of these rows, and perhaps of some in which each column is NULL: who joins them by a column finds nothing for
    /// these.
    ///
    /// There is one at least, and all have the same columns, of the same types: `bool`, `i16`, `i32`, `i64`, texts, UUIDs,
    /// bytes, JSON, points in time; each may be NULL. SQLite takes 32,766 values in a statement. A text with a NUL is refused
    /// by PostgreSQL when the statement is executed.
    #[must_use]
    pub fn rows<R: IntoIterator<Item = Value>>(
        mut self,
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        let rows = rows.into_iter().map(|row| row.into_iter().collect());
        self.0.push(Part::Rows(rows.collect()));
        self
    }

    /// `INSERT` of rows that set the same columns, one of which cannot be NULL. `None`: there are none.
    #[must_use]
    pub fn insert<A: ActiveModelTrait>(models: impl IntoIterator<Item = A>) -> Option<Self> {
        let mut models = models.into_iter().peekable();
        let first = models.peek()?;
        let columns: Vec<_> = <A::Entity as EntityTrait>::Column::iter()
            .filter(|column| first.get(*column) != ActiveValue::NotSet)
            .collect();
        let present = columns.iter().find(|column| !column.def().is_null())?;
        let names: Vec<_> = columns.iter().map(IdenStatic::as_str).collect();
        let rows = models.map(|model| {
            let values = columns.iter().map(|column| model.get(*column).into_value());
            values.flatten().collect::<Vec<_>>()
        });
        let table = A::Entity::default();
        Some(Self::insert_into(
            table.table_name(),
            &names.join(", "),
            present.as_str(),
            rows,
        ))
    }

    /// `INSERT` of rows into these columns of a table, of which `present` is NULL in none.
    #[must_use]
    pub fn insert_into<R: IntoIterator<Item = Value>>(
        table: &str,
        columns: &str,
        present: &str,
        rows: impl IntoIterator<Item = R>,
    ) -> Self {
        Self::new("WITH new (")
            .text(columns)
            .text(") AS (")
            .rows(rows)
            .text(") INSERT INTO ")
            .text(table)
            .text(" (")
            .text(columns)
            .text(") SELECT ")
            .text(columns)
            .text(" FROM new WHERE ")
            .text(present)
            .text(" IS NOT NULL")
    }

    /// The statement for that database.
    #[must_use]
    pub fn statement(self, backend: DbBackend) -> Statement {
        let mut built = Built {
            backend,
            text: String::new(),
            values: Vec::new(),
        };
        for part in self.0 {
            match part {
                Part::Text(text) => built.text.push_str(&text),
                Part::Value(value) => built.value(value),
                // One alone has one text anyway, and costs less as it is.
                Part::Rows(rows) if backend == DbBackend::Postgres && rows.len() > 1 => {
                    built.document(&rows);
                }
                Part::Rows(rows) => built.values(rows),
            }
        }
        Statement::from_sql_and_values(backend, built.text, built.values)
    }
}

struct Built {
    backend: DbBackend,
    text: String,
    values: Vec<Value>,
}

impl Built {
    fn value(&mut self, value: Value) {
        self.values.push(value);
        if self.backend == DbBackend::Sqlite {
            self.text.push('?');
        } else {
            // Writing into a String cannot fail.
            let _ = write!(self.text, "${}", self.values.len());
        }
    }

    /// `VALUES (?, ?), (?, ?)`.
    fn values(&mut self, mut rows: Vec<Vec<Value>>) {
        if let Some(first) = rows.first() {
            let nothing = first.iter().map(Value::as_null).collect();
            rows.resize(full(rows.len()), nothing);
        }
        self.text.push_str("VALUES ");
        for (position, row) in rows.into_iter().enumerate() {
            self.text.push_str(if position == 0 { "(" } else { ", (" });
            for (column, value) in row.into_iter().enumerate() {
                if column > 0 {
                    self.text.push_str(", ");
                }
                self.value(value);
            }
            self.text.push(')');
        }
    }

    /// `SELECT * FROM json_to_recordset(CAST($1 AS json)) AS given (a0 int8, a1 text) LIMIT $2`.
    ///
    /// The limit takes nothing away. Without it PostgreSQL plans for a hundred rows, for which it reads a small table from
    /// end to end, and keeps that plan while the table grows. Of a limit that is a parameter it expects a tenth, and looks
    /// rows up.
    fn document(&mut self, rows: &[Vec<Value>]) {
        let names: Vec<String> = (0..rows.first().map_or(0, Vec::len))
            .map(|column| format!("a{column}"))
            .collect();
        let document = Document {
            names: &names,
            rows,
        };
        // Its keys are texts, so it always becomes JSON.
        let document = serde_json::to_string(&document).unwrap_or_default();
        self.text.push_str("SELECT * FROM json_to_recordset(CAST(");
        self.value(document.into());
        self.text.push_str(" AS json)) AS given (");
        let types = rows.first().into_iter().flatten().map(type_of);
        for (column, (name, kind)) in names.iter().zip(types).enumerate() {
            let comma = if column > 0 { ", " } else { "" };
            let _ = write!(self.text, "{comma}{name} {kind}");
        }
        self.text.push_str(") LIMIT ");
        self.value(i64::try_from(rows.len()).unwrap_or(i64::MAX).into());
    }
}

/// What PostgreSQL calls a column of such values.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "bool",
        Value::SmallInt(_) => "int2",
        Value::Int(_) => "int4",
        Value::BigInt(_) => "int8",
        Value::Uuid(_) => "uuid",
        Value::Bytes(_) => "bytea",
        Value::Json(_) => "jsonb",
        Value::ChronoDateTimeUtc(_) => "timestamptz",
        Value::String(_) => "text",
        _ => {
            debug_assert!(false, "no row has had a column of this type yet");
            "text"
        }
    }
}

/// Rows as an array of objects, from which PostgreSQL takes them.
struct Document<'a> {
    names: &'a [String],
    rows: &'a [Vec<Value>],
}

impl Serialize for Document<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows.iter().map(|row| Row {
            names: self.names,
            values: row,
        }))
    }
}

struct Row<'a> {
    names: &'a [String],
    values: &'a [Value],
}

impl Serialize for Row<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.names.iter().zip(self.values.iter().map(Cell)))
    }
}

struct Cell<'a>(&'a Value);

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(value) => value.serialize(serializer),
            Value::SmallInt(value) => value.serialize(serializer),
            Value::Int(value) => value.serialize(serializer),
            Value::BigInt(value) => value.serialize(serializer),
            Value::String(value) => value.serialize(serializer),
            Value::Json(value) => value.serialize(serializer),
            Value::Uuid(Some(value)) => serializer.collect_str(value),
            Value::Bytes(Some(value)) => serializer.serialize_str(&hex(value)),
            Value::ChronoDateTimeUtc(Some(value)) => serializer.serialize_str(&value.to_rfc3339()),
            value if *value == value.as_null() => serializer.serialize_unit(),
            other => serializer.collect_str(other),
        }
    }
}

/// Bytes as PostgreSQL writes them.
fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("\\x");
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

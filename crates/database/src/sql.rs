//! Statements of many rows, which grow their text and their parameters together.

use std::fmt::Write;

use sea_orm::{DbBackend, Statement, Value};

/// A statement under construction. Both databases number their parameters `$1`, `$2` and so on.
#[derive(Debug)]
pub struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    /// A statement that begins so.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            values: Vec::new(),
        }
    }

    /// More of its text, which holds no value.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// `VALUES ($1, $2), ($3, $4)`.
    #[must_use]
    pub fn rows<const N: usize>(mut self, rows: impl Iterator<Item = [Value; N]>) -> Self {
        self.text.push_str("VALUES ");
        for (position, row) in rows.enumerate() {
            self.text.push_str(if position == 0 { "(" } else { ", (" });
            for (column, value) in row.into_iter().enumerate() {
                if column > 0 {
                    self.text.push_str(", ");
                }
                self = self.value(value);
            }
            self.text.push(')');
        }
        self
    }

    /// One parameter.
    #[must_use]
    pub fn value(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        // Writing into a String cannot fail.
        let _ = write!(self.text, "${}", self.values.len());
        self
    }

    /// The statement for that database.
    #[must_use]
    pub fn statement(self, backend: DbBackend) -> Statement {
        Statement::from_sql_and_values(backend, self.text, self.values)
    }
}

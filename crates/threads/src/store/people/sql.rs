//! Statements of many rows, which grow their text and their parameters together.

use std::fmt::Write;

use sea_orm::{DbBackend, Statement, Value};

/// A statement under construction. Both databases number their parameters `$1`, `$2` and so on.
#[derive(Debug)]
pub(super) struct Sql {
    text: String,
    values: Vec<Value>,
}

impl Sql {
    pub(super) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            values: Vec::new(),
        }
    }

    pub(super) fn text(mut self, text: &str) -> Self {
        self.text.push_str(text);
        self
    }

    /// `VALUES ($1, $2), ($3, $4)`.
    pub(super) fn rows<const N: usize>(mut self, rows: impl Iterator<Item = [Value; N]>) -> Self {
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
    pub(super) fn value(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        // Writing into a String cannot fail.
        let _ = write!(self.text, "${}", self.values.len());
        self
    }

    pub(super) fn statement(self, backend: DbBackend) -> Statement {
        Statement::from_sql_and_values(backend, self.text, self.values)
    }
}

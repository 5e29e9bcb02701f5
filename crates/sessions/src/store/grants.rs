//! The models that a user or a key may ask, as one column beside their row: who a token belongs to is asked so often that
//! it is one statement.

use sea_orm::sea_query::{Expr, ExprTrait, Func, Query, SimpleExpr};
use sea_orm::{ColumnTrait, EntityTrait};

use super::entity::{model_grant, user_account};

/// Name of the column with [`models_granted`].
pub(super) const GRANTED: &str = "granted";

/// The models granted to the user in the row, for [`models_in`].
pub(super) fn models_granted() -> SimpleExpr {
    let of_user = Expr::col((model_grant::Entity, model_grant::Column::UserId))
        .equals((user_account::Entity, user_account::Column::Id));
    listed(model_grant::Entity, model_grant::Column::ModelId, of_user)
}

/// The numbers in a column of the rows that match, with commas between them; null when there are none.
pub(super) fn listed<E: EntityTrait>(
    table: E,
    column: impl ColumnTrait,
    matching: SimpleExpr,
) -> SimpleExpr {
    let number = Expr::col((table, column)).cast_as("text");
    // PostgreSQL's name of the function; SQLite has known it, too, since 3.44.
    let list = Func::cust("string_agg").arg(number).arg(",");
    let query = Query::select()
        .expr(list)
        .from(table)
        .and_where(matching)
        .to_owned();
    query.into()
}

/// The models of a list, ascending.
pub(super) fn models_in(list: Option<String>) -> Vec<i32> {
    let list = list.unwrap_or_default();
    let mut models: Vec<i32> = list.split(',').filter_map(|id| id.parse().ok()).collect();
    models.sort_unstable();
    models
}

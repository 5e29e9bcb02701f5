//! Schemas that no type of the wire has by itself.

use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{ArrayBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// `null`.
pub(crate) fn null() -> Object {
    ObjectBuilder::new().schema_type(Type::Null).build()
}

/// `""`.
pub(crate) fn blank() -> Object {
    only(Type::String, "")
}

/// `true`.
pub(crate) fn yes() -> Object {
    only(Type::Boolean, true)
}

/// `false`.
pub(crate) fn no() -> Object {
    only(Type::Boolean, false)
}

/// `[]`.
pub(crate) fn empty() -> Schema {
    ArrayBuilder::new().max_items(Some(0)).into()
}

fn only(kind: Type, value: impl Into<serde_json::Value>) -> Object {
    let values = [value.into()];
    ObjectBuilder::new()
        .schema_type(kind)
        .enum_values(Some(values))
        .build()
}

/// Bytes of any type.
pub(crate) struct Content;

impl PartialSchema for Content {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(SchemaType::AnyValue)
            .content_media_type("application/octet-stream")
            .into()
    }
}

impl ToSchema for Content {}

//! The schemas of a document, made strict.

use serde_json::{Map, Value, json};

/// The schemas of a document. An object whose properties are listed has no others.
pub(super) struct Schemas {
    document: Value,
    components: Map<String, Value>,
}

impl Schemas {
    pub(super) fn of(document: &Value) -> Self {
        let mut schemas = Self {
            document: document.clone(),
            components: Map::new(),
        };
        let own = document["components"]["schemas"].as_object().unwrap();
        schemas.components = own
            .iter()
            .map(|(name, schema)| (name.clone(), schemas.strict(schema)))
            .collect();
        schemas
    }

    /// What is wrong with a value.
    pub(super) fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut schema = self.strict(schema);
        schema["components"]["schemas"] = Value::Object(self.components.clone());
        let options = jsonschema::draft202012::options().should_validate_formats(true);
        let validator = options.build(&schema).unwrap();
        let errors = validator.iter_errors(value);
        errors
            .map(|it| format!("{it} at {:?}", it.instance_path().to_string()))
            .collect()
    }

    fn strict(&self, schema: &Value) -> Value {
        let mut schema = schema.clone();
        self.close(&mut schema, true);
        schema
    }

    /// `whole` is a schema that says everything about its value; a part of an `allOf` does not, and neither does what such
    /// a part refers to.
    fn close(&self, schema: &mut Value, whole: bool) {
        if let Some(target) = schema["$ref"].as_str().filter(|_| !whole) {
            let target = self.document.pointer(target.trim_start_matches('#'));
            *schema = target.unwrap().clone();
        }
        let Value::Object(fields) = schema else {
            return;
        };
        for (key, field) in fields.iter_mut() {
            let parts = match field {
                Value::Object(named) if key == "properties" => named.values_mut().collect(),
                Value::Array(parts) => parts.iter_mut().collect(),
                field => vec![field],
            };
            for part in parts {
                match key.as_str() {
                    "allOf" => self.close(part, false),
                    "oneOf" | "anyOf" => self.close(part, whole),
                    "properties" | "items" | "additionalProperties" => self.close(part, true),
                    _ => {}
                }
            }
        }
        let listed = fields.contains_key("properties") || fields.contains_key("allOf");
        if whole && listed && !fields.contains_key("additionalProperties") {
            fields.insert("unevaluatedProperties".to_owned(), false.into());
        }
    }
}

#[test]
fn what_is_not_named_is_a_fault_wherever_it_stands() {
    let name = json!({ "type": "object", "properties": { "name": { "type": "string" } } });
    let number = json!({ "type": "object", "properties": { "number": { "type": "integer" } } });
    let document = json!({ "components": { "schemas": { "Name": name, "Number": number } } });
    let schemas = Schemas::of(&document);
    let referred = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let both = json!({ "allOf": [referred("Name"), number] });
    let either = json!({ "oneOf": [referred("Name"), { "type": "null" }] });
    let within = json!({ "type": "object", "properties": { "list": { "items": both } } });
    let map = json!({ "type": "object", "additionalProperties": referred("Number") });
    for (schema, good, bad) in [
        (name, json!({ "name": "a" }), json!({ "name": "a", "x": 1 })),
        (referred("Name"), json!({}), json!({ "x": 1 })),
        (
            both,
            json!({ "name": "a", "number": 1 }),
            json!({ "name": "a", "x": 1 }),
        ),
        (either, json!({ "name": "a" }), json!({ "x": null })),
        (
            within,
            json!({ "list": [{ "number": 1 }] }),
            json!({ "list": [{ "x": 1 }] }),
        ),
        (
            map,
            json!({ "any": { "number": 1 } }),
            json!({ "any": { "x": 1 } }),
        ),
    ] {
        assert_eq!(schemas.faults(&schema, &good), [""; 0], "{good}");
        assert_ne!(schemas.faults(&schema, &bad), [""; 0], "{bad}");
    }
}

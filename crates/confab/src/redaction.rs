//! Settings that can be shown: secrets are blacked out.

use toml::Value;
use url::Url;

const BLACK: &str = "********";

/// Keys whose values are secrets, wherever they stand.
const SECRET_KEYS: &[&str] = &[
    "api_key",
    "api_keys",
    "secret_access_key",
    "shared_secret",
    "password",
    "secret",
    "token",
];

/// Blacks out every secret: values under a secret's key, and passwords and query strings inside URLs.
pub(crate) fn redact(value: &mut Value) {
    match value {
        Value::Table(table) => {
            for (key, value) in table.iter_mut() {
                match value {
                    Value::String(text)
                        if SECRET_KEYS.contains(&key.as_str()) && !text.is_empty() =>
                    {
                        BLACK.clone_into(text);
                    }
                    Value::Array(items) if SECRET_KEYS.contains(&key.as_str()) => {
                        items.fill(Value::String(BLACK.to_owned()));
                    }
                    other => redact(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact),
        Value::String(text) => {
            if let Some(shown) = without_password(text) {
                *text = shown;
            }
        }
        _ => {}
    }
}

fn without_password(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    if url.password().is_none() && !text.to_ascii_lowercase().contains("password=") {
        return None;
    }
    if url.password().is_some() {
        url.set_password(Some(BLACK)).ok()?;
    }
    if url.query().is_some() {
        url.set_query(Some(BLACK));
    }
    Some(url.into())
}

//! What is exchanged, and that nothing else is touched.

use std::borrow::Cow;

use super::{Fields, raw};

fn written(fields: &Fields<'_>) -> String {
    String::from_utf8(fields.write()).unwrap()
}

#[test]
fn what_is_not_exchanged_stays_as_it_was_written() {
    let text = r#"{"id":"up","n": 1.50e1,"x":{"id": "inner" , "é":"\u00e9"},"model":"theirs"}"#;
    let id = raw("ours");
    let mut fields = Fields::parse(text.as_bytes()).unwrap();
    fields.set("id", Cow::Borrowed(&id));
    fields.remove("absent");
    fields.set("model", raw("m\"1"));
    assert_eq!(
        written(&fields),
        r#"{"id":"ours","n":1.50e1,"x":{"id": "inner" , "é":"\u00e9"},"model":"m\"1"}"#
    );
}

#[test]
fn a_field_that_comes_twice_is_exchanged_once_and_for_all() {
    let text = br#"{"max_tokens":1,"a":0,"max\u005ftokens":2}"#;
    let mut fields = Fields::parse(text).unwrap();
    assert_eq!(fields.get("max_tokens"), Some("2"));
    fields.set("max_tokens", raw(&3));
    fields.set("b", raw(&true));
    fields.remove("a");
    assert_eq!(written(&fields), r#"{"max_tokens":3,"b":true}"#);
}

#[test]
fn only_an_object_has_fields() {
    for text in ["", "[]", "\"{}\"", "{\"a\":}", "{} x", "{\"a\":1"] {
        assert!(Fields::parse(text.as_bytes()).is_none(), "{text}");
    }
    assert_eq!(written(&Fields::parse(b" { } ").unwrap()), "{}");
}

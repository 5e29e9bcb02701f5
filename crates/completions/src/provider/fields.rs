//! The fields of a JSON object, exchanged without reading what the others hold: a request or an event passes through as
//! it was written, byte for byte.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

#[cfg(test)]
mod tests;

/// The fields of an object in their order, their values as they were written.
#[derive(Debug)]
pub(crate) struct Fields<'a>(Vec<(Cow<'a, str>, Cow<'a, RawValue>)>);

impl<'a> Fields<'a> {
    /// `None`: it is no JSON object.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(text).ok()
    }

    /// The value of a field as it was written; of several with this name the last one.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(field, _)| field == name);
        found.map(|(_, value)| value.get())
    }

    /// The value of a field; `None` when it is of another kind, too.
    pub(crate) fn read<'b, T: Deserialize<'b>>(&'b self, name: &str) -> Option<T> {
        serde_json::from_str(self.get(name)?).ok()
    }

    /// The same as [`Fields::get`], for as long as the text lives; `None` for a value that was exchanged.
    pub(crate) fn written(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().rev().find(|(field, _)| field == name);
        match found?.1 {
            Cow::Borrowed(value) => Some(value.get()),
            Cow::Owned(_) => None,
        }
    }

    /// Puts a value in the place of every field with this name, or at the end.
    pub(crate) fn set(&mut self, name: &'static str, value: Cow<'a, RawValue>) {
        let Some(place) = self.0.iter().position(|(field, _)| field == name) else {
            return self.0.push((Cow::Borrowed(name), value));
        };
        self.0[place].1 = value;
        let mut index = 0;
        self.0.retain(|(field, _)| {
            index += 1;
            index - 1 == place || field != name
        });
    }

    /// Takes every field with this name away.
    pub(crate) fn remove(&mut self, name: &str) {
        self.0.retain(|(field, _)| field != name);
    }

    /// The object.
    pub(crate) fn write(&self) -> Vec<u8> {
        let length: usize = self
            .0
            .iter()
            .map(|(field, value)| field.len() + value.get().len() + 4)
            .sum();
        let mut text = Vec::with_capacity(length + 2);
        text.push(b'{');
        for (index, (field, value)) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            // Writing a string to memory does not fail.
            let _ = serde_json::to_writer(&mut text, field);
            text.push(b':');
            text.extend_from_slice(value.get().as_bytes());
        }
        text.push(b'}');
        text
    }
}

/// A value that is ours, as JSON.
pub(crate) fn raw<'a>(value: &(impl serde::Serialize + ?Sized)) -> Cow<'a, RawValue> {
    Cow::Owned(serde_json::value::to_raw_value(value).unwrap_or_default())
}

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object).map(Fields)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Vec<(Cow<'de, str>, Cow<'de, RawValue>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut fields = Vec::with_capacity(8);
        while let Some(name) = map.next_key_seed(Name)? {
            let value: &'de RawValue = map.next_value()?;
            fields.push((name, Cow::Borrowed(value)));
        }
        Ok(fields)
    }
}

/// A field's name, without a copy of it where that is possible.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_borrowed_str<E: de::Error>(self, name: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(name))
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(name.to_owned()))
    }
}

//! Octets to a small bounded tree; the one place that touches the JSON parser.
//!
//! Text is cleared from memory when the tree goes, because it holds identifiers and passwords.

use std::{cell::Cell, fmt};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

use super::{JsonError, MAX_BODY, MAX_DEPTH, MAX_ELEMENTS};

/// One value.
pub(super) enum Value {
    Null,
    Bool(bool),
    /// Whole, not negative.
    Unsigned(u64),
    /// Whole, negative.
    Signed(i64),
    /// With a point or an exponent, or too large for the others.
    Float(f64),
    Text(Zeroizing<String>),
    List(Vec<Value>),
    /// Names are different.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The member `name` of an object; that it has no other is asked for too, unless `others` may be.
    pub(super) fn only_member(&self, name: &str, others: bool) -> Option<&Self> {
        match self {
            Self::Object(members) if others || members.len() == 1 => {
                members.iter().find(|(n, _)| n == name).map(|(_, value)| value)
            }
            _ => None,
        }
    }
}

/// Reads a whole message.
pub(super) fn parse(octets: &[u8]) -> Result<Value, JsonError> {
    if octets.len() > MAX_BODY {
        return Err(JsonError::TooLarge);
    }
    let text = std::str::from_utf8(octets).map_err(|_| JsonError::NotUtf8)?;
    let bounds = Bounds { values: Cell::new(0), broken: Cell::new(None) };
    let mut parser = serde_json::Deserializer::from_str(text);
    let read = Seed { bounds: &bounds, depth: 0 }.deserialize(&mut parser);
    let read = read.and_then(|value| parser.end().map(|()| value));
    read.map_err(|_| bounds.broken.get().unwrap_or(JsonError::Malformed))
}

/// What has been used of the message's bounds, and which of them was broken: serde's errors carry text only.
struct Bounds {
    values: Cell<usize>,
    broken: Cell<Option<JsonError>>,
}

impl Bounds {
    fn broken<E: Error>(&self, error: JsonError) -> E {
        self.broken.set(Some(error));
        E::custom(error)
    }
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    bounds: &'a Bounds,
    /// Lists and objects around this value.
    depth: usize,
}

impl Seed<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            Err(self.bounds.broken(JsonError::TooDeep))
        } else {
            Ok(Self { depth, ..self })
        }
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let values = self.bounds.values.get() + 1;
        self.bounds.values.set(values);
        if values > MAX_ELEMENTS {
            return Err(self.bounds.broken(JsonError::TooMany));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Signed(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(Zeroizing::new(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut members: Vec<(String, Value)> = Vec::new();
        while let Some(name) = object.next_key::<String>()? {
            // Quadratic, in at most MAX_ELEMENTS.
            if members.iter().any(|(n, _)| *n == name) {
                return Err(self.bounds.broken(JsonError::Twice));
            }
            members.push((name, object.next_value_seed(inner)?));
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn refused(text: &str) -> JsonError {
        parse(text.as_bytes()).err().expect("must be refused")
    }

    #[test]
    fn size_depth_and_number_are_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert_eq!(refused(&nested(MAX_DEPTH + 1)), JsonError::TooDeep);
        assert_eq!(refused(&"[".repeat(MAX_BODY)), JsonError::TooDeep);
        assert_eq!(refused(&"{\"a\":".repeat(1000)), JsonError::TooDeep);
        let many = |number: usize| format!("[{}1]", "1,".repeat(number - 1));
        assert!(parse(many(MAX_ELEMENTS - 1).as_bytes()).is_ok());
        assert_eq!(refused(&many(MAX_ELEMENTS)), JsonError::TooMany);
        assert_eq!(refused(&" ".repeat(MAX_BODY + 1)), JsonError::TooLarge);
    }

    #[test]
    fn only_one_well_formed_utf8_value() {
        assert_eq!(parse(b"\"\xff\"").err(), Some(JsonError::NotUtf8));
        for bad in [
            "",
            "{",
            "{}{}",
            "{} x",
            "{a:1}",
            "{'a':1}",
            "[1,]",
            "{\"a\":1,}",
            "01",
            "+1",
            "NaN",
            "\"\\ud800\"",
            "\"a\nb\"",
            "// c\n{}",
            "\u{feff}{}",
            "<a/>",
        ] {
            assert_eq!(refused(bad), JsonError::Malformed, "{bad}");
        }
        assert_eq!(refused("{\"a\":1,\"a\":2}"), JsonError::Twice);
        assert_eq!(refused("{\"a\":1,\"\\u0061\":2}"), JsonError::Twice);
    }

    proptest! {
        #[test]
        fn arbitrary_octets_do_not_panic(octets in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let _ = parse(&octets);
        }

        #[test]
        fn arbitrary_markup_does_not_panic(
            parts in proptest::collection::vec(
                proptest::sample::select(vec![
                    "{", "}", "[", "]", ",", ":", "\"", "\\", "u0041", "a", "1", "-", ".", "e9", "true", "null", " ",
                    "\"imsi\":", "{\"credential-request\":{",
                ]),
                0..60,
            )
        ) {
            let _ = parse(parts.concat().as_bytes());
        }
    }
}

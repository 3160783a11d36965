//! Lets serde take its types out of a tree, and knows at which field it failed: serde_json's own errors would name no
//! field, but repeat content.

use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::{MapAccessDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{JsonError, read::Value};

/// What becomes of fields that a type does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unknown {
    /// They reach the type, whose `deny_unknown_fields` refuses them.
    Refused,
    /// They never reach it.
    PassedOver,
}

/// Takes a `T` out of the value of `field`.
pub(super) fn take<T: DeserializeOwned>(
    value: &Value,
    field: &'static str,
    unknown: Unknown,
) -> Result<T, JsonError> {
    T::deserialize(Field { value, field, unknown }).map_err(|error| error.at(field))
}

/// Not yet known which field: [`JsonError::at`] fills it in on the way out.
const HERE: &str = "";

impl JsonError {
    fn at(self, field: &'static str) -> Self {
        match self {
            Self::Unexpected { within: HERE } => Self::Unexpected { within: field },
            Self::Value { field: HERE } => Self::Value { field },
            other => other,
        }
    }
}

impl de::Error for JsonError {
    /// What serde says repeats content.
    fn custom<T: std::fmt::Display>(_said: T) -> Self {
        Self::Value { field: HERE }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing { field }
    }

    fn unknown_field(_field: &str, _expected: &'static [&'static str]) -> Self {
        Self::Unexpected { within: HERE }
    }
}

#[derive(Clone, Copy)]
struct Field<'v> {
    value: &'v Value,
    field: &'static str,
    unknown: Unknown,
}

impl<'v> Field<'v> {
    /// `known` are the fields of a struct or the variants of an enum; none for a map with any names.
    fn members(self, known: Option<&'static [&'static str]>) -> Result<Members<'v>, JsonError> {
        match self.value {
            Value::Object(members) => {
                Ok(Members { left: members.iter(), next: None, of: self, known, are_fields: true })
            }
            _ => Err(JsonError::Value { field: self.field }),
        }
    }
}

impl<'de> Deserializer<'de> for Field<'_> {
    type Error = JsonError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        let read = match self.value {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Unsigned(value) => visitor.visit_u64(*value),
            Value::Signed(value) => visitor.visit_i64(*value),
            Value::Float(value) => visitor.visit_f64(*value),
            Value::Text(text) => visitor.visit_str(text),
            Value::List(values) => visitor.visit_seq(Items { left: values.iter(), of: self }),
            Value::Object(_) => visitor.visit_map(self.members(None)?),
        };
        read.map_err(|error| error.at(self.field))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, JsonError> {
        if matches!(self.value, Value::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_newtype_struct(self)
    }

    /// From objects only: serde's derived code would take a list as well.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        visitor.visit_map(self.members(Some(fields))?).map_err(|error| error.at(self.field))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, JsonError> {
        let read = match self.value {
            Value::Text(text) => {
                let name: StrDeserializer<'_, JsonError> = text.as_str().into_deserializer();
                visitor.visit_enum(name)
            }
            _ => {
                let members = Members { are_fields: false, ..self.members(Some(variants))? };
                visitor.visit_enum(MapAccessDeserializer::new(members))
            }
        };
        read.map_err(|error| error.at(self.field))
    }

    /// A variant without content is a text, not an object with a null in it.
    fn deserialize_unit<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, JsonError> {
        Err(JsonError::Value { field: self.field })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}

/// Of a list.
struct Items<'v> {
    left: std::slice::Iter<'v, Value>,
    of: Field<'v>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = JsonError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, JsonError> {
        self.left.next().map(|value| seed.deserialize(Field { value, ..self.of })).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

/// Of an object.
struct Members<'v> {
    left: std::slice::Iter<'v, (String, Value)>,
    next: Option<Field<'v>>,
    of: Field<'v>,
    known: Option<&'static [&'static str]>,
    /// Whether the names are those of fields, to be named in errors.
    are_fields: bool,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = JsonError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, JsonError> {
        for (name, value) in self.left.by_ref() {
            let known = self.known.and_then(|known| known.iter().find(|k| **k == name.as_str()));
            if known.is_none() && self.known.is_some() && self.of.unknown == Unknown::PassedOver {
                continue;
            }
            let field = known.filter(|_| self.are_fields).copied().unwrap_or(self.of.field);
            self.next = Some(Field { value, field, ..self.of });
            let name: StrDeserializer<'_, JsonError> = name.as_str().into_deserializer();
            return seed.deserialize(name).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, JsonError> {
        let next = self.next.take().ok_or(JsonError::Malformed)?;
        seed.deserialize(next).map_err(|error| error.at(next.field))
    }
}

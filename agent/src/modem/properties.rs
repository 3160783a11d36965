//! Typed reading of D-Bus property maps. What is missing or of another type is none, never an error: ModemManager
//! takes interfaces and properties away at any moment, and plugins differ.

use std::collections::HashMap;

use zbus::{Array, ObjectPath, OwnedVariant, Structure, Variant};

/// Properties of one interface of one object, `a{sv}`.
pub(crate) type Properties = HashMap<String, OwnedVariant>;

/// A string that is not empty.
pub(crate) fn text<'a>(properties: &'a Properties, name: &str) -> Option<&'a str> {
    let text = <&str>::try_from(properties.get(name)?).ok()?;
    (!text.is_empty()).then_some(text)
}

/// A number of type `u`.
pub(crate) fn number(properties: &Properties, name: &str) -> Option<u32> {
    u32::try_from(properties.get(name)?).ok()
}

/// A number of type `i`.
pub(crate) fn signed(properties: &Properties, name: &str) -> Option<i32> {
    i32::try_from(properties.get(name)?).ok()
}

/// A truth value.
pub(crate) fn truth(properties: &Properties, name: &str) -> Option<bool> {
    bool::try_from(properties.get(name)?).ok()
}

/// An object path; `/` stands for none.
pub(crate) fn path(properties: &Properties, name: &str) -> Option<String> {
    let path = <&ObjectPath<'_>>::try_from(properties.get(name)?).ok()?;
    (path.as_str() != "/").then(|| path.as_str().to_owned())
}

/// A list of object paths.
pub(crate) fn paths(properties: &Properties, name: &str) -> Vec<String> {
    let array = properties.get(name).and_then(|value| <&Array<'_>>::try_from(value).ok());
    array.map(|array| array.iter().filter_map(as_path).collect()).unwrap_or_default()
}

/// A number and whether it is recent, `(ub)`.
pub(crate) fn quality(properties: &Properties, name: &str) -> Option<(u32, bool)> {
    let pair = <&Structure<'_>>::try_from(properties.get(name)?).ok()?;
    match pair.fields() {
        [Variant::U32(value), Variant::Bool(recent)] => Some((*value, *recent)),
        _ => None,
    }
}

/// A map inside a property, `a{sv}`.
pub(crate) fn map(properties: &Properties, name: &str) -> Option<Properties> {
    properties.get(name)?.try_clone().ok()?.try_into().ok()
}

/// Octets, `ay`, at most `most`.
pub(crate) fn octets(properties: &Properties, name: &str, most: usize) -> Option<Vec<u8>> {
    let array = <&Array<'_>>::try_from(properties.get(name)?).ok()?;
    let octets = array.iter().take(most.saturating_add(1)).map(|value| match value {
        Variant::U8(octet) => Some(*octet),
        _ => None,
    });
    octets.collect::<Option<Vec<u8>>>().filter(|octets| octets.len() <= most)
}

fn as_path(value: &Variant<'_>) -> Option<String> {
    match value {
        Variant::ObjectPath(path) => Some(path.as_str().to_owned()),
        _ => None,
    }
}

/// Maps inside a property, `aa{sv}`.
pub(crate) fn maps(properties: &Properties, name: &str) -> Vec<Properties> {
    let array = properties.get(name).and_then(|value| <&Array<'_>>::try_from(value).ok());
    let own = |value: &Variant<'_>| OwnedVariant::try_from(value.try_clone().ok()?).ok()?.try_into().ok();
    array.map(|array| array.iter().filter_map(own).collect()).unwrap_or_default()
}

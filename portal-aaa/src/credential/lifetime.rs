//! How long a credential is good: for the device's life, for one login, or for a period (feature-spec C6p–C8p).

use std::{fmt, num::NonZeroU32, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Lifetime as configured or asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until it is revoked.
    Device,
    /// One successful login.
    OneTime,
    /// This many seconds from issue.
    Seconds(NonZeroU32),
}

/// Neither `device` nor `one-time` nor a number of seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a lifetime is `device`, `one-time` or a number of seconds from 1 to {}", u32::MAX)]
pub struct LifetimeError;

impl FromStr for Lifetime {
    type Err = LifetimeError;

    fn from_str(text: &str) -> Result<Self, LifetimeError> {
        match text {
            "device" => Ok(Self::Device),
            "one-time" => Ok(Self::OneTime),
            digits => digits.parse().map(Self::Seconds).map_err(|_| LifetimeError),
        }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device => f.write_str("device"),
            Self::OneTime => f.write_str("one-time"),
            Self::Seconds(seconds) => write!(f, "{seconds}"),
        }
    }
}

/// As it is read.
impl Serialize for Lifetime {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Seconds(seconds) => output.serialize_u32(seconds.get()),
            word => output.collect_str(word),
        }
    }
}

/// In the configuration: a word or a whole number.
impl<'de> Deserialize<'de> for Lifetime {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Lifetime;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"device\", \"one-time\" or a number of seconds")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Lifetime, E> {
                word.parse().map_err(E::custom)
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Lifetime, E> {
                self.visit_i64(i64::try_from(seconds).unwrap_or(i64::MAX))
            }

            fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<Lifetime, E> {
                let seconds = u32::try_from(seconds).ok().and_then(NonZeroU32::new);
                seconds.map(Lifetime::Seconds).ok_or_else(|| E::custom(LifetimeError))
            }
        }
        input.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers() {
        for text in ["device", "one-time", "1", "3600", "4294967295"] {
            assert_eq!(text.parse::<Lifetime>().unwrap().to_string(), text);
        }
        for text in ["", "0", "-1", "4294967296", "1h", "Device", "one time"] {
            assert_eq!(text.parse::<Lifetime>(), Err(LifetimeError), "{text}");
        }
    }
}

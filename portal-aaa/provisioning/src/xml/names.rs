//! How the closed sets of values are called in messages; the same names as their serde encoding has.

use super::XmlError;
use crate::message::{
    AfterMove, ApFilter, InnerMethod, Offload, OuterMethod, Reason, Sequence, SmsUse, Threshold, Trigger,
    UseCredential,
};

/// A set of values that each have a name.
pub(super) trait Named: Copy + PartialEq + 'static {
    /// Every value with its name.
    const NAMES: &'static [(&'static str, Self)];

    /// The value called `text`.
    fn read(element: &'static str, text: &str) -> Result<Self, XmlError> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, value)| *value).ok_or(XmlError::Value { element })
    }

    /// Its name.
    fn name(self, element: &'static str) -> Result<&'static str, XmlError> {
        let found = Self::NAMES.iter().find(|(_, value)| *value == self);
        found.map(|(name, _)| *name).ok_or(XmlError::Value { element })
    }
}

impl Named for Trigger {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("attach", Self::Attach),
        ("periodic", Self::Periodic),
        ("before-move", Self::BeforeMove),
        ("expiry", Self::Expiry),
        ("used", Self::Used),
        ("returned-to-cellular", Self::ReturnedToCellular),
        ("rejected", Self::Rejected),
        ("user", Self::User),
    ];
}

impl Named for OuterMethod {
    const NAMES: &'static [(&'static str, Self)] = &[("peap", Self::Peap), ("ttls", Self::Ttls)];
}

impl Named for InnerMethod {
    const NAMES: &'static [(&'static str, Self)] =
        &[("mschapv2", Self::Mschapv2), ("pap", Self::Pap), ("gtc", Self::Gtc)];
}

impl Named for AfterMove {
    const NAMES: &'static [(&'static str, Self)] =
        &[("down", Self::Down), ("standby", Self::Standby), ("backup", Self::Backup)];
}

impl Named for Sequence {
    const NAMES: &'static [(&'static str, Self)] =
        &[("make-before-break", Self::MakeBeforeBreak), ("break-before-make", Self::BreakBeforeMake)];
}

impl Named for ApFilter {
    const NAMES: &'static [(&'static str, Self)] =
        &[("policy-ssid", Self::PolicySsid), ("operator-owned", Self::OperatorOwned), ("any", Self::Any)];
}

impl Named for Offload {
    const NAMES: &'static [(&'static str, Self)] =
        &[("automatic", Self::Automatic), ("on-request", Self::OnRequest), ("never", Self::Never)];
}

impl Named for Threshold {
    const NAMES: &'static [(&'static str, Self)] = &[("dbm", Self::Dbm), ("off", Self::Off)];
}

impl Named for UseCredential {
    const NAMES: &'static [(&'static str, Self)] = &[("newest", Self::Newest), ("oldest", Self::Oldest)];
}

impl Named for SmsUse {
    const NAMES: &'static [(&'static str, Self)] =
        &[("never", Self::Never), ("fallback", Self::Fallback), ("always", Self::Always)];
}

impl Named for Reason {
    const NAMES: &'static [(&'static str, Self)] = &[
        (Self::BadRequest.code(), Self::BadRequest),
        (Self::IdentityMismatch.code(), Self::IdentityMismatch),
        (Self::NoSession.code(), Self::NoSession),
        (Self::GatewayFeedSilent.code(), Self::GatewayFeedSilent),
        (Self::NotEntitled.code(), Self::NotEntitled),
        (Self::RateLimited.code(), Self::RateLimited),
        (Self::TemporarilyUnavailable.code(), Self::TemporarilyUnavailable),
    ];
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fmt::Debug};

    use serde::{
        Deserialize,
        de::{IntoDeserializer, value::StrDeserializer},
    };

    use super::*;

    /// Same names as serde's, and as many as the type has values.
    fn check<T: Named + Debug + for<'de> Deserialize<'de>>(values: usize) {
        let names: BTreeSet<_> = T::NAMES.iter().map(|(name, _)| *name).collect();
        assert_eq!((names.len(), T::NAMES.len()), (values, values));
        for (name, value) in T::NAMES {
            let deserializer: StrDeserializer<'_, serde::de::value::Error> = name.into_deserializer();
            assert_eq!(T::deserialize(deserializer).as_ref(), Ok(value));
            assert_eq!(T::read("e", name).and_then(|v| v.name("e")), Ok(*name));
        }
        assert_eq!(T::read("e", "Attach").err(), Some(XmlError::Value { element: "e" }));
    }

    #[test]
    fn names_are_those_of_serde() {
        check::<Trigger>(8);
        check::<OuterMethod>(2);
        check::<InnerMethod>(3);
        check::<AfterMove>(3);
        check::<Sequence>(2);
        check::<ApFilter>(3);
        check::<Offload>(3);
        check::<Threshold>(2);
        check::<UseCredential>(2);
        check::<SmsUse>(3);
        check::<Reason>(7);
    }
}

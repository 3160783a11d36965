//! What a scope says: a JSON object of settings under their names in the configuration file. Those of `[policy]` but for
//! `version`, which is counted, and those of `[credential]`: `lifetime`, `mac`, `outer`, `inner`.

use provisioning::message::{InnerMethod, OuterMethod, Policy};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Unfit, methods, unfit};
use crate::credential::{Lifetime, MacBinding};

/// Settings by their names.
pub type Document = Map<String, Value>;

/// Octets of a document; a policy with the most of everything fits.
pub const MAX_DOCUMENT: usize = 32 * 1024;

/// All settings that a device's credential is made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whole {
    /// When and where to offload.
    pub policy: Policy,
    /// The rest.
    pub credential: CredentialPart,
}

/// Settings of the credential itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialPart {
    /// How long it is good.
    pub lifetime: Lifetime,
    /// For which card.
    pub mac: MacBinding,
    /// EAP method.
    pub outer: OuterMethod,
    /// Method inside its tunnel.
    pub inner: InnerMethod,
}

const OF_CREDENTIAL: [&str; 4] = ["lifetime", "mac", "outer", "inner"];
const COUNTED: &str = "version";

impl Whole {
    /// This with what `document` says instead. The error names each field that cannot be.
    pub fn with(&self, document: &Document) -> Result<Self, Vec<Unfit>> {
        let base = self.settings();
        let mut found = Vec::new();
        for (field, value) in document {
            // One by one, so that the error is about this field whatever the parser says.
            let mut one = base.clone();
            one.insert(field.clone(), value.clone());
            if field == COUNTED {
                found.push(Unfit { field: field.clone(), reason: "is counted by the portal".to_owned() });
            } else if let Err(reason) = Self::of(one) {
                found.push(Unfit { field: field.clone(), reason });
            }
        }
        if !found.is_empty() {
            return Err(found);
        }
        let mut all = base;
        all.extend(document.clone());
        let whole = Self::of(all).map_err(|reason| vec![Unfit { field: "document".to_owned(), reason }])?;
        let mut found = unfit(&whole.policy);
        if let Err(reason) = methods(whole.credential.outer, whole.credential.inner) {
            found.push(Unfit { field: "inner".to_owned(), reason: reason.to_owned() });
        }
        if found.is_empty() { Ok(whole) } else { Err(found) }
    }

    /// By their names; what has its default may be left out.
    pub fn settings(&self) -> Document {
        let mut all = object(&self.policy);
        all.extend(object(&self.credential));
        all
    }

    /// All of them by their names, what has its default too; without the version.
    pub fn every_setting(&self) -> Document {
        let mut all = self.settings();
        all.remove(COUNTED);
        // What the encoding leaves out where it says the default.
        for (name, value) in [
            ("sequence", json(&self.policy.sequence)),
            ("renew-before-move", json(&self.policy.renew_before_move)),
            ("one-time-reserve", json(&self.policy.one_time_reserve)),
            ("offline-grace-secs", json(&self.policy.offline_grace_secs)),
            ("ap-filter", json(&self.policy.ap_filter)),
            ("passpoints", json(&self.policy.passpoints)),
            ("offload", json(&self.policy.offload)),
            ("threshold", json(&self.policy.threshold)),
            ("use-credential", json(&self.policy.use_credential)),
            ("renew-on-attach", json(&self.policy.renew_on_attach)),
            ("sms", json(&self.policy.sms)),
        ] {
            all.insert(name.to_owned(), value);
        }
        all
    }

    fn of(mut all: Document) -> Result<Self, String> {
        let credential = OF_CREDENTIAL
            .iter()
            .filter_map(|name| all.remove(*name).map(|value| ((*name).to_owned(), value)))
            .collect();
        Ok(Self { policy: read(all)?, credential: read(credential)? })
    }
}

fn object(part: &impl Serialize) -> Document {
    match json(part) {
        Value::Object(object) => object,
        // A struct is an object.
        _ => Document::new(),
    }
}

fn json(part: &impl Serialize) -> Value {
    // Nothing here has keys that are no text.
    serde_json::to_value(part).unwrap_or_default()
}

fn read<T: DeserializeOwned>(object: Document) -> Result<T, String> {
    serde_json::from_value(Value::Object(object)).map_err(|error| error.to_string())
}

/// A document out of the text that is kept.
pub fn parse(text: &str) -> Option<Document> {
    serde_json::from_str(text).ok()
}

#[cfg(test)]
pub(super) mod tests {
    use provisioning::message::{Network, Offload};
    use serde_json::json;

    use super::*;

    pub(crate) fn whole() -> Whole {
        Whole {
            policy: Policy {
                version: 3,
                networks: vec![Network::new("Operator", 1)],
                probe_url: "http://probe.operator.example/204".to_owned(),
                ..Policy::default()
            },
            credential: CredentialPart {
                lifetime: Lifetime::Device,
                mac: MacBinding::Permanent,
                outer: OuterMethod::Peap,
                inner: InnerMethod::Mschapv2,
            },
        }
    }

    pub(crate) fn document(value: Value) -> Document {
        let Value::Object(object) = value else { panic!("no object") };
        object
    }

    fn fields(value: Value) -> Vec<String> {
        let unfit = whole().with(&document(value)).expect_err("must be refused");
        assert!(unfit.iter().all(|unfit| !unfit.reason.is_empty()));
        unfit.into_iter().map(|unfit| unfit.field).collect()
    }

    #[test]
    fn what_is_said_counts_and_the_rest_stays() {
        assert_eq!(whole().with(&Document::new()), Ok(whole()));
        let said = json!({ "offload": "never", "enter-dbm": -60, "lifetime": 3600, "mac": "issued" });
        let with = whole().with(&document(said)).unwrap();
        assert_eq!((with.policy.offload, with.policy.enter_dbm), (Offload::Never, -60));
        assert_eq!(with.credential.lifetime.to_string(), "3600");
        assert_eq!(with.credential.mac, MacBinding::Issued);
        assert_eq!((with.policy.networks, with.policy.version), (whole().policy.networks, 3));
        // Back to the default, over a base that has it otherwise.
        let never = Whole { policy: Policy { offload: Offload::Never, ..whole().policy }, ..whole() };
        let back = never.with(&document(json!({ "offload": "automatic" }))).unwrap();
        assert_eq!(back.policy.offload, Offload::Automatic);
    }

    #[test]
    fn every_setting_is_one_that_may_be_said() {
        let every = whole().every_setting();
        assert_eq!(every.len(), 25);
        assert_eq!(whole().with(&every), Ok(whole()));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        assert_eq!(fields(json!({ "version": 9 })), ["version"]);
        assert_eq!(fields(json!({ "enter-dbm": "x", "moon": 1, "sms": null })), ["enter-dbm", "moon", "sms"]);
        assert_eq!(fields(json!({ "lifetime": 0 })), ["lifetime"]);
        assert_eq!(fields(json!({ "networks": [{ "ssid": "" , "priority": 1 }] })), ["networks.0.ssid"]);
        assert_eq!(fields(json!({ "enter-dbm": -80 })), ["leave-dbm"]);
        assert_eq!(fields(json!({ "inner": "pap" })), ["inner"]);
    }
}

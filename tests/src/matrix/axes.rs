//! The axes of the options matrix and their values, as the feature specification lists them, and one combination.

macro_rules! axes {
    ($($(#[$doc:meta])* $axis:ident $field:ident $name:literal { $($value:ident $word:literal),+ $(,)? })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub(super) enum $axis { $(#[doc = $word] $value),+ }

            impl $axis {
                const ALL: &'static [Self] = &[$(Self::$value),+];

                /// As the table says it.
                pub(super) const fn word(self) -> &'static str {
                    match self { $(Self::$value => $word),+ }
                }
            }
        )+

        /// One value of each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) struct Combination { $($(#[$doc])* pub(super) $field: $axis),+ }

        /// Names of the axes and of their values.
        pub(super) const AXES: &[(&str, &[&str])] = &[$(($name, &[$($word),+])),+];

        impl Combination {
            /// Of a row of numbers.
            pub(super) fn of(row: &[usize]) -> Option<Self> {
                let mut row = row.iter();
                Some(Self { $($field: *$axis::ALL.get(*row.next()?)?),+ })
            }

            /// Its values, in the order of [`AXES`].
            pub(super) fn words(&self) -> Vec<&'static str> {
                vec![$(self.$field.word()),+]
            }
        }
    };
}

axes! {
    /// What the device tells of itself.
    Identifier identifier "identifier" { Imsi "imsi", Imei "imei", Both "both" }
    /// How it asks.
    Transport transport "transport" { Xml "xml", Soap11 "soap 1.1", Soap12 "soap 1.2", Sms "sms", Json "json" }
    /// How the credential comes.
    Delivery delivery "delivery" { InBand "in-band", Sms "sms" }
    /// How it finds the portal.
    Discovery discovery "discovery" { Dns "dns", Static "static" }
    /// How long the credential is good.
    Lifetime lifetime "lifetime" { Device "device", Period "period", OneTime "one-time" }
    /// When it fetches another.
    Renewal renewal "renewal" {
        Attach "on attach",
        Periodic "periodic",
        BeforeMove "before move",
        AfterReturn "after return",
        Expiry "on expiry",
    }
    /// Whether the credential is good for its card only.
    Binding binding "binding" { On "mac on", Off "mac off" }
    /// How it logs on.
    Logon logon "logon" { Peap "PEAP", Ttls "TTLS", Wispr "WISPr" }
    /// What the username looks like.
    Username username "username" { Plain "plain", Nai "NAI" }
    /// Whose database it is.
    Database database "database" { Own "own SQL", Shared "shared", Hlr "HLR adapter" }
    /// Whether the signal counts.
    Threshold threshold "threshold" { Off "off", Dbm "dBm" }
    /// Which access points.
    Filter filter "AP filter" { Any "any", PolicySsid "policy SSID", OperatorOwned "operator-owned" }
    /// What becomes of cellular.
    AfterMove after_move "after move" { Down "down", Standby "standby" }
}

impl Combination {
    /// Something goes by short message.
    pub(super) fn sms(&self) -> bool {
        self.transport == Transport::Sms || self.delivery == Delivery::Sms
    }
}

/// Values that the product itself refuses together, with the words of its refusal.
pub(super) const EXCLUDED: &[(&str, &str, &str)] =
    &[("sms", "before move", "does not go with sms = \"always\": each move would wait for two SMS")];

/// Where each axis is real and where not; printed below the table.
pub(super) const WHERE: &[(&str, &str)] = &[
    ("identifier", "the agent's machine and client ask; the packet gateway's accounting proves"),
    (
        "transport",
        "the agent's own client and `portal-aaa serve`; SMS through an SMPP message centre of another hand",
    ),
    ("delivery", "as asked for, or `delivery = \"sms-only\"`: answered 202, sealed, brought by SMPP"),
    (
        "discovery",
        "dnsmasq on the bearer: SRV record of the SIM's domain, and the certificate's name; nothing is looked up by SMS",
    ),
    (
        "lifetime",
        "the portal's setting; the end of a period is waited for on the device's virtual clock, the AAA's is not moved",
    ),
    (
        "renewal",
        "the agent's machine under the policy that the portal gave, on a virtual clock; every request is a real one",
    ),
    ("binding", "a login by another card, then by its own (mac on); only by another card (mac off)"),
    ("logon", "PEAP and TTLS: eapol_test; WISPr: the gateway's Access-Request by PAP, as portal-aaa sees it"),
    (
        "username",
        "NAI: what the portal issues; plain: an account made by hand logs in as well, by the same logon",
    ),
    (
        "database",
        "own: one serve; shared: logins at a second serve on the same database; HLR: only who is listed by `subscriber add`",
    ),
    ("threshold", "the machine hears −88 dBm for a while, then −50 dBm"),
    (
        "AP filter",
        "the machine hears a stranger, a listed partner and the operator; access points that are known by ANQP only are not here",
    ),
    ("after move", "the machine's order to the modem"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_axis_is_explained_and_every_value_has_a_word_of_its_own() {
        let names: Vec<&str> = AXES.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, WHERE.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        for (name, values) in AXES {
            let mut once = values.to_vec();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), values.len(), "{name}");
        }
    }

    #[test]
    fn a_row_of_numbers_is_a_combination() {
        let row: Vec<usize> = AXES.iter().map(|(_, values)| values.len() - 1).collect();
        let words = Combination::of(&row).unwrap().words();
        let last: Vec<&str> = AXES.iter().map(|(_, values)| *values.last().unwrap()).collect();
        assert_eq!(words, last);
        assert_eq!(Combination::of(&[9; 13]), None);
        assert_eq!(Combination::of(&[0]), None);
    }
}

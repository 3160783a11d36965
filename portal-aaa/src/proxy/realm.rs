//! Where a name belongs (RFC 7542 §3): what follows its last `@` is looked up in the configured realms.

use super::Settings;

/// Names of realms, lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// This one alone.
    Exact(String),
    /// All that end so, `.example`; not `example` itself.
    Suffix(String),
    /// All others.
    Any,
}

impl Pattern {
    /// `partner.example`, `.partner.example` or `*.partner.example`, or `*`.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.to_ascii_lowercase();
        if text == "*" {
            return Ok(Self::Any);
        }
        let suffix = text.strip_prefix('*').unwrap_or(&text);
        match suffix.strip_prefix('.') {
            Some(domain) if crate::config::validate_name(domain).is_ok() => {
                Ok(Self::Suffix(suffix.to_owned()))
            }
            None if text == suffix && crate::config::validate_name(&text).is_ok() => Ok(Self::Exact(text)),
            _ => Err("must be a realm such as partner.example, a suffix such as .partner.example, or *"),
        }
    }

    /// The longer the better; none where it does not match.
    fn rank(&self, realm: &str) -> Option<usize> {
        match self {
            Self::Exact(own) => (own == realm).then_some(usize::MAX),
            Self::Suffix(suffix) => {
                realm.strip_suffix(suffix).filter(|sub| !sub.is_empty()).map(|_| suffix.len())
            }
            Self::Any => Some(0),
        }
    }
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// We decide.
    Local,
    /// To this pool, that is, realm of [`Settings::realms`].
    Pool {
        /// Its place.
        pool: usize,
        /// What becomes of User-Name; none where it stays.
        user_name: Option<String>,
    },
    /// Nobody here knows this realm.
    Unknown,
}

/// All realms.
#[derive(Debug, Clone)]
pub struct Routes {
    own: String,
    realms: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    pattern: Pattern,
    local: bool,
    strip: bool,
}

impl Routes {
    /// `own` is the realm of our own accounts.
    pub fn new(own: &str, settings: &Settings) -> Self {
        let realms = settings.realms.iter().map(|realm| Entry {
            pattern: realm.pattern.clone(),
            local: realm.home_servers.is_empty(),
            strip: realm.strip,
        });
        Self { own: own.to_ascii_lowercase(), realms: realms.collect() }
    }

    /// Where a User-Name belongs; `is_account` says whether it is one of ours whatever realm it seems to have.
    pub fn route(&self, user_name: &str, is_account: impl FnOnce(&str) -> bool) -> Route {
        let (user, realm, explicit) = match user_name.rsplit_once('@') {
            Some((user, realm)) => (user, realm, true),
            // `DOMAIN\name` is a name like others, unless somebody has said that the domain is a realm.
            None => match user_name.split_once('\\') {
                Some((domain, user)) => (user, domain, false),
                None => return Route::Local,
            },
        };
        if realm.is_empty() || realm.eq_ignore_ascii_case(&self.own) || is_account(user_name) {
            return Route::Local;
        }
        let realm = realm.to_ascii_lowercase();
        let ranked = self.realms.iter().enumerate().filter_map(|(pool, entry)| {
            let exact = explicit || matches!(entry.pattern, Pattern::Exact(_));
            Some((entry.pattern.rank(&realm).filter(|_| exact)?, pool, entry))
        });
        match ranked.max_by_key(|(rank, _, _)| *rank) {
            Some((_, _, Entry { local: true, .. })) => Route::Local,
            Some((_, pool, entry)) => Route::Pool { pool, user_name: entry.strip.then(|| user.to_owned()) },
            None if explicit => Route::Unknown,
            None => Route::Local,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::proxy::{Balance, Realm};

    fn routes(realms: &[(&str, bool, bool)]) -> Routes {
        let realms = realms.iter().map(|(pattern, local, strip)| Realm {
            pattern: Pattern::parse(pattern).unwrap(),
            home_servers: if *local { vec![] } else { vec![0] },
            strip: *strip,
            balance: Balance::FailOver,
        });
        Routes::new("Operator.example", &Settings { home_servers: Vec::new(), realms: realms.collect() })
    }

    #[test]
    fn the_most_exact_realm_wins_and_the_own_stays() {
        let routes = routes(&[
            ("*", false, false),
            ("*.example", false, false),
            ("Partner.example", false, true),
            (".partner.example", false, false),
            ("alias.example", true, false),
            ("corp", false, true),
        ]);
        let pool =
            |pool, user_name: Option<&str>| Route::Pool { pool, user_name: user_name.map(str::to_owned) };
        for (name, expected) in [
            ("a@operator.EXAMPLE", Route::Local),
            ("b@partner.example", pool(2, Some("b"))),
            ("b@x@PARTNER.example", pool(2, Some("b@x"))),
            ("b@sub.partner.example", pool(3, None)),
            ("b@other.example", pool(1, None)),
            ("b@example", pool(0, None)),
            ("@wlan.mnc001.mcc001.3gppnetwork.org", pool(0, None)),
            ("c@alias.example", Route::Local),
            ("plain", Route::Local),
            ("", Route::Local),
            ("x@", Route::Local),
            ("CORP\\d", pool(5, Some("d"))),
            ("OTHER\\d", Route::Local),
            ("OTHER\\d@partner.example", pool(2, Some("OTHER\\d"))),
            ("probe@elsewhere", Route::Local),
        ] {
            assert_eq!(routes.route(name, |name| name == "probe@elsewhere"), expected, "{name}");
        }
    }

    #[test]
    fn nobody_knows_the_realm() {
        let routes = routes(&[]);
        assert_eq!(routes.route("a@elsewhere.example", |_| false), Route::Unknown);
        assert_eq!(routes.route("a@elsewhere.example", |_| true), Route::Local);
        assert_eq!(routes.route("DOMAIN\\a", |_| false), Route::Local);
    }

    #[test]
    fn what_is_no_realm() {
        for bad in ["", "**", "*x", ".", "*.", "a..b", "a b", "x@y", "*."] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_names_never_panic(name in ".{0,60}") {
            routes(&[("*.example", false, true), ("x", false, true)]).route(&name, |_| false);
        }
    }
}

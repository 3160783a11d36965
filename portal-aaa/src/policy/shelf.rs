//! The layers in memory, and what a device gets of them.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use provisioning::{
    identity::Mac,
    message::Policy,
    signed::{Claims, PolicyKey, PolicySigner, SignedPolicy},
};

use super::{
    Unfit,
    document::{self, CredentialPart, Document, Whole},
};
use crate::store::{
    Store, StoreError,
    policy::{PolicyList, Scope},
};

/// Where a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The configuration file.
    Configuration,
    /// The database.
    Scope(Scope),
}

/// What a device gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// Its policy. The version is the configuration's and the count of all changes together: it never goes back.
    pub policy: Policy,
    /// The same, signed; none where this installation has no key for it.
    pub signed: Option<SignedPolicy>,
    /// How its credential is made.
    pub credential: CredentialPart,
    /// Which settings do not come from the configuration.
    pub origins: BTreeMap<String, Scope>,
    /// Layers that were left out, because together with the wider ones they make no sense.
    pub left_out: Vec<(Scope, Vec<Unfit>)>,
}

/// The key that signs, and those that may sign next.
pub(crate) type Signing = (PolicySigner, Vec<PolicyKey>);

/// All layers.
pub struct Shelf {
    base: Whole,
    signing: RwLock<Option<Signing>>,
    page: RwLock<Arc<Page>>,
    /// Generation of the database as of the last look.
    generation: AtomicU64,
    failing: AtomicBool,
}

/// Group and card, where something is said for them.
type Key = (Option<String>, Option<Mac>);

/// As of one reading.
struct Page {
    version: u64,
    default: Option<Document>,
    groups: HashMap<String, Document>,
    devices: HashMap<Mac, Document>,
    /// What was asked for already: signing is done once. At most one entry for each pair of those above.
    made: Mutex<HashMap<Key, Arc<Effective>>>,
}

impl Shelf {
    /// Over the configuration's settings.
    pub fn load(store: &dyn Store, base: Whole, signing: Option<Signing>) -> Result<Self, StoreError> {
        // The number first: what changes in between is then read twice instead of never.
        let generation = store.generation()?;
        let page = Page::new(store.policies()?)?;
        Ok(Self {
            base,
            signing: RwLock::new(signing),
            page: RwLock::new(Arc::new(page)),
            generation: AtomicU64::new(generation),
            failing: AtomicBool::new(false),
        })
    }

    /// Signs with other keys from now on.
    pub(crate) fn resign(&self, signing: Option<Signing>) {
        *self.signing.write().unwrap_or_else(PoisonError::into_inner) = signing;
        self.page().made.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Takes in what has changed. Cheap where nothing has.
    pub fn refresh(&self, store: &dyn Store) {
        let answer = store.generation().and_then(|generation| {
            if generation == self.generation.load(Ordering::Relaxed) {
                return Ok(());
            }
            if store.policy_version()? != self.page().version {
                let page = Arc::new(Page::new(store.policies()?)?);
                tracing::info!(event = "policies-read", version = page.version);
                *self.page.write().unwrap_or_else(PoisonError::into_inner) = page;
            }
            self.generation.store(generation, Ordering::Relaxed);
            Ok(())
        });
        match answer {
            Ok(()) => self.failing.store(false, Ordering::Relaxed),
            Err(error) => {
                if !self.failing.swap(true, Ordering::Relaxed) {
                    tracing::warn!(event = "policies-stale", %error, "devices get the last policies that were read");
                }
            }
        }
    }

    /// Whether it matters which group a subscriber is in.
    pub fn has_groups(&self) -> bool {
        !self.page().groups.is_empty()
    }

    /// What a device with this card gets, whose subscriber is in `group`.
    pub fn effective(&self, group: Option<&str>, mac: Option<Mac>) -> Arc<Effective> {
        let page = self.page();
        let group = group.filter(|group| page.groups.contains_key(*group)).map(str::to_owned);
        let mac = mac.filter(|mac| page.devices.contains_key(mac));
        let key = (group, mac);
        let mut made = page.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = made.get(&key) {
            return Arc::clone(found);
        }
        let effective = Arc::new(self.make(&page, key.0.as_deref(), mac));
        made.insert(key, Arc::clone(&effective));
        effective
    }

    /// What would be wrong if these documents took the place of what is said now (none: nothing is said any more): with
    /// each of them over the wider scope, and with those that lie over it. Group and device are not looked at together.
    pub fn judge(&self, entries: &[(Scope, Option<Document>)]) -> Vec<(Scope, Vec<Unfit>)> {
        let page = self.page();
        let mut layers: BTreeMap<Scope, &Document> = BTreeMap::new();
        layers.extend(page.default.iter().map(|said| (Scope::Default, said)));
        layers.extend(page.groups.iter().map(|(name, said)| (Scope::Group(name.clone()), said)));
        layers.extend(page.devices.iter().map(|(mac, said)| (Scope::Device(*mac), said)));
        for (scope, said) in entries {
            match said {
                Some(said) => layers.insert(scope.clone(), said),
                None => layers.remove(scope),
            };
        }
        let base = match layers.remove(&Scope::Default).map(|said| self.base.with(said)) {
            Some(Err(unfit)) => return vec![(Scope::Default, unfit)],
            Some(Ok(base)) => base,
            None => self.base.clone(),
        };
        // Where the wider scope stays, so does what lies over it.
        let all = entries.iter().any(|(scope, _)| *scope == Scope::Default);
        let looked_at =
            layers.into_iter().filter(|(scope, _)| all || entries.iter().any(|(new, _)| new == scope));
        looked_at.filter_map(|(scope, said)| Some((scope, base.with(said).err()?))).collect()
    }

    fn page(&self) -> Arc<Page> {
        Arc::clone(&self.page.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn make(&self, page: &Page, group: Option<&str>, mac: Option<Mac>) -> Effective {
        let group = group.and_then(|name| Some((Scope::Group(name.to_owned()), page.groups.get(name)?)));
        let device = mac.and_then(|mac| Some((Scope::Device(mac), page.devices.get(&mac)?)));
        let default = page.default.as_ref().map(|document| (Scope::Default, document));
        let (mut whole, mut origins, mut left_out) = (self.base.clone(), BTreeMap::new(), Vec::new());
        for (scope, document) in default.into_iter().chain(group).chain(device) {
            match whole.with(document) {
                Ok(with) => {
                    whole = with;
                    origins.extend(document.keys().map(|field| (field.clone(), scope.clone())));
                }
                // Each fitted when it was written; together they need not. A device without Wi-Fi helps nobody.
                Err(unfit) => {
                    for Unfit { field, reason } in &unfit {
                        tracing::error!(event = "policy-left-out", %scope, field, reason);
                    }
                    left_out.push((scope, unfit));
                }
            }
        }
        whole.policy.version = whole.policy.version.saturating_add(page.version);
        let signing = self.signing.read().unwrap_or_else(PoisonError::into_inner);
        let signed = signing.as_ref().and_then(|(signer, keys)| {
            let claims = Claims { policy: whole.policy.clone(), keys: keys.clone() };
            SignedPolicy::sign(&claims, signer)
                .inspect_err(|error| tracing::error!(event = "policy-unsigned", %error))
                .ok()
        });
        Effective { policy: whole.policy, signed, credential: whole.credential, origins, left_out }
    }
}

impl Page {
    fn new(list: PolicyList) -> Result<Self, StoreError> {
        let mut page = Self {
            version: list.version,
            default: None,
            groups: HashMap::new(),
            devices: HashMap::new(),
            made: Mutex::default(),
        };
        for record in list.records {
            let corrupt = StoreError::Corrupt { what: "policy.document" };
            let document = document::parse(&record.document).ok_or(corrupt)?;
            match record.scope {
                Scope::Default => page.default = Some(document),
                Scope::Group(name) => _ = page.groups.insert(name, document),
                Scope::Device(mac) => _ = page.devices.insert(mac, document),
            }
        }
        Ok(page)
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration => f.write_str("configuration"),
            Self::Scope(scope) => fmt::Display::fmt(scope, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{
        super::document::tests::{document, whole},
        *,
    };
    use crate::store::{Change, policy::PolicyShelf as _, sqlite::SqliteStore};

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    struct World {
        _dir: tempfile::TempDir,
        store: SqliteStore,
        shelf: Shelf,
        signer: PolicySigner,
    }

    fn world() -> World {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::create(&dir.path().join("db")).unwrap();
        let signer = || PolicySigner::from_seed(&[1; 32]).unwrap();
        let shelf = Shelf::load(&store, whole(), Some((signer(), vec![signer().public()]))).unwrap();
        World { _dir: dir, store, shelf, signer: signer() }
    }

    impl World {
        fn put(&self, scope: Scope, value: serde_json::Value) -> Change {
            let document = document(value);
            assert_eq!(self.shelf.judge(&[(scope.clone(), Some(document.clone()))]), []);
            let text = serde_json::to_string(&document).unwrap();
            let change = self.store.put_policies(&[(scope, Some(text))], 1).unwrap();
            self.shelf.refresh(&self.store);
            change[0]
        }
    }

    fn group(name: &str) -> Scope {
        Scope::Group(name.to_owned())
    }

    #[test]
    fn the_narrower_scope_counts_field_by_field() {
        let world = world();
        let dwell = |group, mac| world.shelf.effective(group, mac).policy.dwell_secs;
        assert_eq!((dwell(None, None), world.shelf.effective(None, None).policy.version), (5, 3));
        assert_eq!(world.put(Scope::Default, json!({ "dwell-secs": 6, "drain-secs": 7 })), Change::Created);
        assert_eq!(world.put(group("staff"), json!({ "dwell-secs": 8 })), Change::Created);
        assert_eq!(world.put(Scope::Device(MAC), json!({ "dwell-secs": 9 })), Change::Created);
        assert_eq!(dwell(None, None), 6);
        assert_eq!(dwell(Some("other"), Some(Mac([2; 6]))), 6);
        assert_eq!(dwell(Some("staff"), None), 8);
        assert_eq!(dwell(Some("staff"), Some(MAC)), 9);
        assert_eq!(dwell(None, Some(MAC)), 9);
        let effective = world.shelf.effective(Some("staff"), Some(MAC));
        assert_eq!((effective.policy.drain_secs, effective.policy.version), (7, 6));
        assert_eq!(effective.origins["drain-secs"], Scope::Default);
        assert_eq!(effective.origins["dwell-secs"], Scope::Device(MAC));
        assert_eq!(effective.left_out, []);
        let claims = effective.signed.as_ref().unwrap().open(&[world.signer.public()]).unwrap();
        assert_eq!(claims.policy, effective.policy);
        assert!(Arc::ptr_eq(&effective, &world.shelf.effective(Some("staff"), Some(MAC))), "made once");
    }

    #[test]
    fn the_version_moves_with_each_change_and_never_back() {
        let world = world();
        let version = || world.shelf.effective(None, None).policy.version;
        world.put(group("a"), json!({ "dwell-secs": 8 }));
        let before = version();
        assert_eq!(world.put(group("a"), json!({ "dwell-secs": 8 })), Change::Identity);
        assert_eq!(version(), before);
        let removed = world.store.put_policies(&[(group("a"), None)], 2).unwrap();
        world.shelf.refresh(&world.store);
        assert_eq!((removed[0], version()), (Change::Updated, before + 1));
        let nothing = world.store.put_policies(&[(group("a"), None)], 2).unwrap();
        assert_eq!((nothing[0], world.store.policy_version().unwrap()), (Change::Missing, 2));
    }

    #[test]
    fn what_fits_alone_and_not_together_is_refused_or_left_out() {
        let world = world();
        world.put(group("a"), json!({ "leave-dbm": -66 }));
        // The group's lies over it.
        let lower = document(json!({ "enter-dbm": -80 }));
        let wrong = world.shelf.judge(&[(Scope::Default, Some(lower))]);
        assert_eq!(wrong.iter().map(|(scope, _)| scope.clone()).collect::<Vec<_>>(), [Scope::Default]);
        let lower = document(json!({ "enter-dbm": -70 }));
        let wrong = world.shelf.judge(&[(Scope::Default, Some(lower))]);
        assert_eq!(wrong.iter().map(|(scope, _)| scope.clone()).collect::<Vec<_>>(), [group("a")]);
        // Group and device are not looked at together when they are written.
        world.put(Scope::Device(MAC), json!({ "enter-dbm": -70 }));
        let effective = world.shelf.effective(Some("a"), Some(MAC));
        assert_eq!((effective.policy.enter_dbm, effective.policy.leave_dbm), (-65, -66));
        assert_eq!(effective.left_out.len(), 1);
        assert_eq!(
            (&effective.left_out[0].0, effective.left_out[0].1[0].field.as_str()),
            (&Scope::Device(MAC), "leave-dbm")
        );
    }

    #[test]
    fn without_the_database_the_last_policies_hold() {
        let world = world();
        world.put(Scope::Default, json!({ "dwell-secs": 6 }));
        rusqlite::Connection::open(world._dir.path().join("db"))
            .unwrap()
            .execute_batch("DROP TABLE policy; UPDATE policy_version SET value = value + 1")
            .unwrap();
        world.shelf.refresh(&world.store);
        assert_eq!(world.shelf.effective(None, None).policy.dwell_secs, 6);
    }
}

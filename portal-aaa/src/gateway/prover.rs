//! The shell around table and proof: one lock for the table, one for the order of writes to the store.
//!
//! The accounting listener feeds it, the portal asks it. It holds the keys that turn identifiers into handles, so
//! that neither table nor database ever see one.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use data_encoding::HEXLOWER;
use provisioning::identity::{Imei, Imsi};

use super::{
    Denial, HeaderProof, Prefix, Proof, Told,
    crowd::Crowds,
    header,
    numbers::Numbers,
    proof::{Claim, weigh},
    table::{Alive, Applied, Event, Limits, SessionKey, Table, Write},
};
use crate::{
    accounting::feed::{FeedRecord, GatewayFeed},
    credential::{Keys, Msisdn, Purpose},
    store::{Handle, Store, StoreError},
};

/// What counts as proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProofMode {
    /// The packet gateway's accounting says who has the source address.
    GatewayAccounting,
    /// The source address lies in one of these networks, which the operator keeps to attached devices; what such a
    /// device claims is believed.
    TrustedPrefix(Vec<Prefix>),
    /// An enriching proxy of the operator's says whose session it is.
    Header(HeaderProof),
}

/// Settings of the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProofSettings {
    /// What counts.
    pub mode: ProofMode,
    /// Longest time without any accounting, seconds.
    pub max_silence_secs: u64,
    /// Identities that may be claimed from one address, beside its owner's, before it proves nothing.
    pub max_identities: usize,
}

/// Proves who sent a request.
pub struct Prover {
    settings: ProofSettings,
    keys: Arc<Keys>,
    store: Arc<dyn Store>,
    table: Mutex<Table>,
    crowds: Mutex<Crowds>,
    numbers: Mutex<Numbers>,
    /// Held over a change of the table and its writes, so that the database sees changes in the same order.
    writing: Mutex<()>,
}

impl Prover {
    /// Loads the sessions that the store knows. `now` is seconds since 1970.
    pub fn new(
        settings: ProofSettings,
        keys: Arc<Keys>,
        store: Arc<dyn Store>,
        now: u64,
    ) -> Result<Self, StoreError> {
        let mut table = Table::new(Limits::default());
        table.load(store.gateway_sessions()?, now);
        tracing::info!(sessions = table.len(), "gateway sessions loaded");
        let crowds = Mutex::new(Crowds::new(settings.max_identities));
        let numbers = Mutex::default();
        Ok(Self { settings, keys, store, table: Mutex::new(table), crowds, numbers, writing: Mutex::new(()) })
    }

    /// The proof by header, where that is what counts.
    pub fn header_proof(&self) -> Option<&HeaderProof> {
        match &self.settings.mode {
            ProofMode::Header(proof) => Some(proof),
            _ => None,
        }
    }

    /// Whether the request from `source` may claim these identifiers; at least one is given. `told` are the headers
    /// that [`Self::header_proof`] names. Asks the database only where a proxy told an MSISDN.
    pub fn prove(
        &self,
        now: u64,
        source: IpAddr,
        told: &Told,
        imsi: Option<&Imsi>,
        imei: Option<&Imei>,
    ) -> Result<Proof, Denial> {
        let source = source.to_canonical();
        let claim = Claim {
            subscriber: imsi.map(|imsi| self.keys.handle_imsi(imsi)),
            equipment: imei.map(|imei| self.keys.handle_imei(imei)),
        };
        match &self.settings.mode {
            ProofMode::TrustedPrefix(networks) if networks.iter().any(|network| network.contains(source)) => {
                self.note(now, source, &claim);
                self.not_crowded(now, source)?;
                Ok(Proof { source, imsi: imsi.cloned(), imei: imei.cloned(), subscriber: None })
            }
            ProofMode::TrustedPrefix(_) => Err(Denial::UntrustedNetwork),
            ProofMode::GatewayAccounting => {
                let max_silence_secs = self.settings.max_silence_secs;
                let proved = weigh(&locked(&self.table), max_silence_secs, now, source, &claim);
                // What is not the session's own; the owner may come as often as he wants.
                if matches!(proved, Err(Denial::OtherImsi | Denial::OtherImei)) {
                    self.note(now, source, &claim);
                }
                self.not_crowded(now, source)?;
                let proved = proved?;
                Ok(Proof {
                    source,
                    imsi: imsi.filter(|_| proved.subscriber).cloned(),
                    imei: imei.filter(|_| proved.equipment).cloned(),
                    subscriber: Some(proved.owner),
                })
            }
            ProofMode::Header(proof) => {
                let enriched = proof.read(source, told)?;
                let by_imsi = enriched.imsi.map(|imsi| self.keys.handle_imsi(&imsi));
                let by_msisdn = match enriched.msisdn {
                    // Nobody's number is nobody's claim.
                    Some(msisdn) => Some(self.holder(&msisdn)?.ok_or(Denial::OtherImsi)?),
                    None => None,
                };
                let owner = header::weigh(claim.subscriber, &[by_imsi, by_msisdn])?;
                // Of the equipment the proxy says nothing.
                Ok(Proof { source, imsi: imsi.cloned(), imei: None, subscriber: Some(owner) })
            }
        }
    }

    /// Who the proved claim is of, where the proof itself does not say.
    pub fn claimed(&self, proof: &Proof) -> Option<Handle> {
        let imsi = proof.imsi.as_ref().map(|imsi| self.keys.handle_imsi(imsi));
        imsi.or_else(|| proof.imei.as_ref().map(|imei| self.keys.handle_imei(imei)))
    }

    /// Whose number this is, by the directory of subscribers; where that knows neither the number nor one of the
    /// subscriber, as the gateways told. Blocks on the database.
    pub fn subscriber_of(&self, now: u64, msisdn: &Msisdn) -> Result<Option<Handle>, Denial> {
        let listed = self.holder(msisdn)?;
        if listed.is_some() {
            return Ok(listed);
        }
        let told = locked(&self.numbers).holder(now, self.keys.handle_msisdn(msisdn));
        let Some(subscriber) = told else { return Ok(None) };
        let record = self.store.subscriber(subscriber).map_err(away)?;
        Ok(record.is_none_or(|record| record.msisdn.is_none()).then_some(subscriber))
    }

    fn holder(&self, msisdn: &Msisdn) -> Result<Option<Handle>, Denial> {
        let found = self.store.subscriber_of(self.keys.handle_msisdn(msisdn));
        Ok(found.map_err(away)?.map(|record| record.imsi))
    }

    /// The number of a subscriber, by the same. Blocks on the database.
    pub fn number_of(&self, now: u64, subscriber: Handle) -> Result<Option<Msisdn>, Denial> {
        let record = self.store.subscriber(subscriber).map_err(away)?;
        let Some((_, sealed)) = record.and_then(|record| record.msisdn) else {
            return Ok(locked(&self.numbers).number(now, subscriber));
        };
        let owner = HEXLOWER.encode(&subscriber.0);
        let opened = self.keys.open(Purpose::SubscriberMsisdn, &owner, &sealed).map_err(|error| {
            tracing::error!(event = "directory-away", %error, "the number of a subscriber does not open");
            Denial::DirectoryAway
        })?;
        Ok(std::str::from_utf8(&opened).ok().and_then(|text| text.parse().ok()))
    }

    fn note(&self, now: u64, source: IpAddr, claim: &Claim) {
        if let Some(claimed) = claim.subscriber.or(claim.equipment) {
            locked(&self.crowds).note(now, source, claimed);
        }
    }

    fn not_crowded(&self, now: u64, source: IpAddr) -> Result<(), Denial> {
        if locked(&self.crowds).is_crowded(now, source) { Err(Denial::AddressShared) } else { Ok(()) }
    }

    fn event(&self, record: &FeedRecord) -> Option<Event> {
        let key = || {
            let (gateway, session_id) = (record.gateway.clone(), record.session_id.clone());
            Arc::new(SessionKey { gateway, session_id })
        };
        match record.status {
            START | INTERIM if !record.session_id.is_empty() => {
                let ipv4 = record.ipv4.map(|address| Prefix::host(address.into()));
                let ipv6 = record.ipv6_prefix.into_iter().chain(record.delegated_prefix);
                let ipv6 = ipv6.filter_map(|(network, bits)| Prefix::around(network.into(), bits));
                Some(Event::Alive(Alive {
                    key: key(),
                    prefixes: ipv4.into_iter().chain(ipv6).collect(),
                    subscriber: record.imsi.as_ref().map(|imsi| self.keys.handle_imsi(imsi)),
                    equipment: record.imeisv.as_ref().map(|imeisv| self.keys.handle_imei(imeisv)),
                }))
            }
            STOP if !record.session_id.is_empty() => Some(Event::Stop(key())),
            ON | OFF => Some(Event::Restart(record.gateway.clone())),
            _ => None,
        }
    }

    fn write(&self, write: &Write) -> Result<(), StoreError> {
        match write {
            Write::Put(session) => self.store.put_gateway_session(session),
            Write::End(key) => self.store.end_gateway_session(&key.gateway, &key.session_id).map(|_| ()),
            Write::Clear(gateway) => self.store.clear_gateway(gateway),
        }
    }
}

// Acct-Status-Type (RFC 2866 §5.1).
const START: u32 = 1;
const STOP: u32 = 2;
const INTERIM: u32 = 3;
const ON: u32 = 7;
const OFF: u32 = 8;

impl GatewayFeed for Prover {
    /// Memory first: a Stop holds even if the database is away. The gateway then repeats the record, and a repeated
    /// record is written again.
    fn accounting(&self, record: &FeedRecord, now: u64) -> Result<(), StoreError> {
        let Some(event) = self.event(record) else {
            tracing::debug!(gateway = %record.gateway, status = record.status, "accounting record of no use");
            return Ok(());
        };
        if let (Event::Alive(_), Some(imsi), Some(number)) = (&event, &record.imsi, &record.msisdn) {
            let (subscriber, handle) = (self.keys.handle_imsi(imsi), self.keys.handle_msisdn(number));
            locked(&self.numbers).told(record.event_at.min(now), subscriber, handle, number);
        }
        let _in_order = locked(&self.writing);
        let (applied, writes) = locked(&self.table).apply(event, record.event_at, now);
        for write in &writes {
            self.write(write)?;
        }
        if let Applied::Ignored(detail) = applied {
            tracing::info!(
                event = "gateway-record-ignored",
                gateway = %record.gateway,
                session = %record.session_id,
                detail,
                "gateway accounting record ignored"
            );
        }
        Ok(())
    }
}

fn away(error: StoreError) -> Denial {
    tracing::error!(event = "directory-away", %error, "the directory of subscribers cannot be asked");
    Denial::DirectoryAway
}

/// Neither lock guards a state that a panic could leave half done and unsafe: at worst a session is missing.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{gateway::Written, store::sqlite::SqliteStore};

    const NOW: u64 = 1_700_000_000;

    fn imsi(last: u8) -> Imsi {
        format!("0010101234567{last:02}").parse().unwrap()
    }

    fn source() -> IpAddr {
        IpAddr::from([10, 64, 0, 2])
    }

    fn record(status: u32, session_id: &str, event_at: u64) -> FeedRecord {
        FeedRecord {
            gateway: "pgw1".to_owned(),
            status,
            session_id: session_id.to_owned(),
            ipv4: Some("10.64.0.2".parse().unwrap()),
            ipv6_prefix: Some(("2001:db8:0:7:1:2:3:4".parse().unwrap(), 64)),
            delegated_prefix: None,
            imsi: Some(imsi(1)),
            imeisv: Some("4901542032375101".parse().unwrap()),
            msisdn: Some("+491701111111".parse().unwrap()),
            event_at,
        }
    }

    fn prover(path: &Path, mode: ProofMode) -> Prover {
        let store = SqliteStore::open(path).or_else(|_| SqliteStore::create(path)).unwrap();
        let settings = ProofSettings { mode, max_silence_secs: 300, max_identities: 2 };
        Prover::new(settings, Arc::new(Keys::fixed(5)), Arc::new(store), NOW).unwrap()
    }

    #[test]
    fn sessions_outlive_the_program_but_the_feed_must_speak_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let first = prover(&path, ProofMode::GatewayAccounting);
        first.accounting(&record(START, "a", NOW), NOW).unwrap();
        let imei: Imei = "490154203237518".parse().unwrap();
        let both = first.prove(NOW, source(), &Told::default(), Some(&imsi(1)), Some(&imei)).unwrap();
        assert_eq!(
            both,
            Proof {
                source: source(),
                imsi: Some(imsi(1)),
                imei: Some(imei.clone()),
                subscriber: Some(Keys::fixed(5).handle_imsi(&imsi(1)))
            }
        );
        drop(first);
        let second = prover(&path, ProofMode::GatewayAccounting);
        let v6 = "2001:db8:0:7::99".parse().unwrap();
        assert_eq!(
            second.prove(NOW + 1, v6, &Told::default(), Some(&imsi(1)), None),
            Err(Denial::FeedSilent)
        );
        second.accounting(&record(STOP, "unknown", NOW), NOW + 1).unwrap();
        assert!(second.prove(NOW + 1, v6, &Told::default(), None, Some(&imei)).is_ok());
        assert_eq!(
            second.prove(NOW + 1, v6, &Told::default(), Some(&imsi(2)), Some(&imei)),
            Err(Denial::OtherImsi)
        );
        second.accounting(&record(STOP, "a", NOW + 2), NOW + 2).unwrap();
        drop(second);
        let third = prover(&path, ProofMode::GatewayAccounting);
        third.accounting(&record(ON, "", NOW - 10), NOW + 3).unwrap();
        assert_eq!(
            third.prove(NOW + 3, source(), &Told::default(), Some(&imsi(1)), None),
            Err(Denial::NoSession)
        );
    }

    #[test]
    fn a_stop_holds_though_it_cannot_be_written_and_is_asked_for_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let prover = prover(&path, ProofMode::GatewayAccounting);
        prover.accounting(&record(START, "a", NOW), NOW).unwrap();
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch("ALTER TABLE gateway_session RENAME TO away").unwrap();
        assert!(prover.accounting(&record(STOP, "a", NOW + 1), NOW + 1).is_err(), "not acknowledged");
        assert_eq!(
            prover.prove(NOW + 1, source(), &Told::default(), Some(&imsi(1)), None),
            Err(Denial::NoSession)
        );
        other.execute_batch("ALTER TABLE away RENAME TO gateway_session").unwrap();
        assert!(prover.accounting(&record(STOP, "a", NOW + 1), NOW + 2).is_ok());
        assert!(prover.store.gateway_sessions().unwrap().is_empty());
    }

    #[test]
    fn trusted_networks_are_believed_and_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let networks = vec!["10.64.0.0/16".parse().unwrap()];
        let prover = prover(&dir.path().join("db"), ProofMode::TrustedPrefix(networks));
        let mapped = "::ffff:10.64.0.2".parse().unwrap();
        let proof = prover.prove(NOW, mapped, &Told::default(), Some(&imsi(1)), None).unwrap();
        assert_eq!(proof, Proof { source: source(), imsi: Some(imsi(1)), imei: None, subscriber: None });
        let outside = "10.65.0.2".parse().unwrap();
        assert_eq!(
            prover.prove(NOW, outside, &Told::default(), Some(&imsi(1)), None),
            Err(Denial::UntrustedNetwork)
        );
    }

    #[test]
    fn an_address_of_many_proves_nothing_until_it_is_quiet() {
        let dir = tempfile::tempdir().unwrap();
        let prover = prover(&dir.path().join("db"), ProofMode::GatewayAccounting);
        prover.accounting(&record(START, "a", NOW), NOW).unwrap();
        let ask = |now, who| prover.prove(now, source(), &Told::default(), Some(&imsi(who)), None);
        for _ in 0..5 {
            assert_eq!(ask(NOW, 2), Err(Denial::OtherImsi));
            assert_eq!(ask(NOW, 3), Err(Denial::OtherImsi));
            assert!(ask(NOW, 1).is_ok(), "the owner's own does not count");
        }
        assert_eq!(ask(NOW, 4), Err(Denial::AddressShared));
        assert_eq!(ask(NOW, 1), Err(Denial::AddressShared));
        prover.accounting(&record(INTERIM, "a", NOW + 601), NOW + 601).unwrap();
        assert!(ask(NOW + 601, 1).is_ok());
    }

    #[test]
    fn a_proxy_is_believed_in_what_it_writes_and_a_number_is_looked_up() {
        let dir = tempfile::tempdir().unwrap();
        let proof = HeaderProof {
            proxies: vec!["10.64.0.2".parse().unwrap()],
            imsi: Some("x-imsi".to_owned()),
            msisdn: Some("x-msisdn".to_owned()),
        };
        let prover = prover(&dir.path().join("db"), ProofMode::Header(proof));
        let keys = Keys::fixed(5);
        let number = |text: &str| text.parse::<Msisdn>().unwrap();
        let entry = crate::store::SubscriberEntry {
            imsi: keys.handle_imsi(&imsi(1)),
            imsi_sealed: crate::store::Sealed(vec![1]),
            msisdn: Some((keys.handle_msisdn(&number("491701234567")), crate::store::Sealed(vec![2]))),
            state: None,
            group: None,
        };
        prover.store.put_subscribers(&[entry], NOW).unwrap();
        let once = |text: &str| Written::Once(text.to_owned());
        let by_number = |text: &str| Told { imsi: Written::Absent, msisdn: once(text) };
        let by_imsi = |who| Told { imsi: once(imsi(who).expose()), msisdn: Written::Absent };
        let imei: Imei = "490154203237518".parse().unwrap();
        let ask = |told: &Told, who| prover.prove(NOW, source(), told, Some(&imsi(who)), Some(&imei));
        let proof = ask(&by_imsi(1), 1).unwrap();
        assert_eq!((proof.imsi, proof.imei), (Some(imsi(1)), None), "of the equipment nothing is told");
        assert!(ask(&by_number("+491701234567"), 1).is_ok());
        for (told, who) in [
            (by_imsi(1), 2),
            (by_number("+491701234567"), 2),
            (by_number("+491709999999"), 1),
            (Told { imsi: once(imsi(2).expose()), msisdn: once("+491701234567") }, 1),
        ] {
            assert_eq!(ask(&told, who), Err(Denial::OtherImsi));
        }
        let other = "10.64.0.3".parse().unwrap();
        assert_eq!(prover.prove(NOW, other, &by_imsi(1), Some(&imsi(1)), None), Err(Denial::NotByProxy));
        assert_eq!(prover.prove(NOW, source(), &by_imsi(1), None, Some(&imei)), Err(Denial::ImeiUnknown));
    }

    #[test]
    fn a_number_is_whose_the_directory_says_and_else_whose_the_gateway_told() {
        let dir = tempfile::tempdir().unwrap();
        let prover = prover(&dir.path().join("db"), ProofMode::GatewayAccounting);
        let number: Msisdn = "+491701111111".parse().unwrap();
        let mine = prover.keys.handle_imsi(&imsi(1));
        assert_eq!(prover.subscriber_of(NOW, &number), Ok(None));
        prover.accounting(&record(START, "a", NOW), NOW).unwrap();
        prover.accounting(&record(STOP, "a", NOW), NOW).unwrap();
        assert_eq!(prover.subscriber_of(NOW, &number), Ok(Some(mine)), "also after the session");
        assert_eq!(prover.number_of(NOW, mine), Ok(Some(number.clone())));
        // The directory knows another number of his: then this one is not believed.
        let list = |imsi: &Imsi, number: &Msisdn| {
            let handle = prover.keys.handle_imsi(imsi);
            let owner = HEXLOWER.encode(&handle.0);
            let seal = |purpose, clear: &str| prover.keys.seal(purpose, &owner, clear.as_bytes()).unwrap();
            let entry = crate::store::SubscriberEntry {
                imsi: handle,
                imsi_sealed: seal(Purpose::SubscriberImsi, imsi.expose()),
                msisdn: Some((
                    prover.keys.handle_msisdn(number),
                    seal(Purpose::SubscriberMsisdn, number.expose()),
                )),
                state: None,
                group: None,
            };
            prover.store.put_subscribers(&[entry], NOW).unwrap();
        };
        let other: Msisdn = "+491702222222".parse().unwrap();
        list(&imsi(1), &other);
        assert_eq!(prover.subscriber_of(NOW, &number), Ok(None));
        assert_eq!(
            (prover.subscriber_of(NOW, &other), prover.number_of(NOW, mine)),
            (Ok(Some(mine)), Ok(Some(other)))
        );
        // And it may give the number to somebody else.
        list(&imsi(2), &number);
        assert_eq!(prover.subscriber_of(NOW, &number), Ok(Some(prover.keys.handle_imsi(&imsi(2)))));
    }

    #[test]
    fn records_of_no_use_are_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let prover = prover(&dir.path().join("db"), ProofMode::GatewayAccounting);
        for useless in [
            record(99, "a", NOW),
            record(START, "", NOW),
            FeedRecord { imsi: None, ..record(START, "a", NOW) },
            FeedRecord { ipv4: None, ipv6_prefix: None, ..record(START, "a", NOW) },
            FeedRecord {
                ipv4: None,
                ipv6_prefix: Some(("::".parse().unwrap(), 129)),
                ..record(START, "a", NOW)
            },
        ] {
            assert!(prover.accounting(&useless, NOW).is_ok());
        }
        assert!(prover.store.gateway_sessions().unwrap().is_empty());
        assert!(locked(&prover.table).is_empty());
    }
}

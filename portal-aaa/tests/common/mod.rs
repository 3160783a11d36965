//! The real server in this process: keys, database, certificates and listeners, all fresh, on free loopback ports.
//!
//! Used by `eapol.rs` (a real EAP peer) and `radius.rs` (packets made with the `radius` crate).
#![allow(dead_code, reason = "each test program uses its own part")]

pub(crate) mod pki;

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, Once},
    time::Duration,
};

use eap::server::{Early, Method};
use portal_aaa::{
    aaa::directory::Unlimited,
    config::{Resumption, TlsSettings},
    credential::{self, Authority, IssueRequest, Keys, Lifetime, MacBinding, Terms, system_random},
    gateway::{ProofMode, ProofSettings, Prover},
    server::{
        clock::Clock,
        radius::{self, Parts, Running, Settings},
    },
    store::{Client, ClientKind, MessageAuthenticator, Store, sqlite::SqliteStore},
};
use provisioning::{
    identity::Mac,
    message::{AfterMove, Credential, EapSettings, InnerMethod, Network, OuterMethod, Policy, Sequence},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};

/// Shared secret of the access point.
pub(crate) const NAS_SECRET: &str = "nas secret";
/// Shared secret of the packet gateway.
pub(crate) const GATEWAY_SECRET: &str = "gateway secret";
/// Name in the AAA's certificate.
pub(crate) const SERVER_NAME: &str = "aaa.operator.example";
/// Station that credentials are issued for.
pub(crate) const STATION: Mac = Mac([2, 0, 0, 0, 0, 1]);

/// A running server and what is behind it.
pub(crate) struct World {
    /// The listeners.
    pub(crate) running: Running,
    /// Makes credentials.
    pub(crate) authority: Arc<Authority>,
    /// The database, opened a second time, as the command line does while the server runs.
    pub(crate) store: SqliteStore,
    /// Opens and seals.
    pub(crate) keys: Arc<Keys>,
    /// The gateway table.
    pub(crate) prover: Arc<Prover>,
    /// The server's clock.
    pub(crate) clock: Clock,
    directory: tempfile::TempDir,
}

/// What all servers of this test program have logged.
static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Everything logged so far.
pub(crate) fn log() -> String {
    String::from_utf8_lossy(&LOG.lock().unwrap()).into_owned()
}

struct Log;

impl io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl World {
    /// Starts everything, with one access point and one packet gateway on loopback.
    pub(crate) fn start() -> Self {
        Self::listening(Ipv4Addr::LOCALHOST.into())
    }

    /// The same, listening elsewhere.
    pub(crate) fn listening(address: IpAddr) -> Self {
        Self::start_with(address, |_, _, _| {})
    }

    /// The same, with other settings or parts; `change` is told the folder with all files.
    pub(crate) fn start_with(address: IpAddr, change: impl FnOnce(&Path, &mut Settings, &mut Parts)) -> Self {
        static SUBSCRIBER: Once = Once::new();
        SUBSCRIBER.call_once(|| tracing_subscriber::fmt().with_ansi(false).with_writer(|| Log).init());
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let clock = Clock::start();
        let keys = Arc::new(credential::create(&path("keys.toml"), &mut system_random).unwrap());
        let store: Arc<dyn Store> = Arc::new(SqliteStore::create(&path("portal-aaa.db")).unwrap());
        let now = clock.now().unix;
        let ca_pem = certificates(&path("ca.pem"), &path("aaa.pem"), &path("aaa.key"));
        let authority =
            Arc::new(Authority::new(Arc::clone(&keys), Arc::clone(&store), terms(ca_pem), now).unwrap());
        let proof =
            ProofSettings { mode: ProofMode::GatewayAccounting, max_silence_secs: 300, max_identities: 4 };
        let prover = Arc::new(Prover::new(proof, Arc::clone(&keys), Arc::clone(&store), now).unwrap());
        let listen = SocketAddr::from((address, 0));
        for (name, kind, secret) in
            [("ap-1", ClientKind::Nas, NAS_SECRET), ("pgw-1", ClientKind::Gateway, GATEWAY_SECRET)]
        {
            store.put_client(&client(&keys, name, kind, Ipv4Addr::LOCALHOST.into(), secret)).unwrap();
        }
        let mut settings = Settings {
            listen,
            accounting_listen: listen,
            stations: stations(path("aaa.pem"), path("aaa.key")),
            radsec: None,
            realm: "operator.example".to_owned(),
            proxy: Default::default(),
        };
        let mut parts = Parts {
            store,
            keys: Arc::clone(&keys),
            directory: Arc::<Authority>::clone(&authority),
            sessions: Arc::new(Unlimited),
            feed: Arc::<Prover>::clone(&prover),
            endings: None,
            clock,
        };
        change(directory.path(), &mut settings, &mut parts);
        let running = radius::spawn(&settings, parts).unwrap();
        let store = SqliteStore::open(&path("portal-aaa.db")).unwrap();
        Self { running, authority, store, keys, prover, clock, directory }
    }

    /// A new credential for [`STATION`], issued `ago` seconds ago.
    pub(crate) fn issue(&self, lifetime: Lifetime, ago: u64) -> Credential {
        let request = IssueRequest {
            imsi: Some("001010123456789".parse().unwrap()),
            imei: Some("490154203237518".parse().unwrap()),
            subscriber: None,
            mac: STATION,
            lifetime: Some(lifetime),
            source: None,
            runs_policy: None,
        };
        self.authority.issue(self.clock.now().unix - ago, &request, &mut system_random).unwrap()
    }

    /// Adds a client by the second database connection.
    pub(crate) fn add_client(&self, name: &str, kind: ClientKind, address: IpAddr, secret: &str) {
        self.store.put_client(&client(&self.keys, name, kind, address, secret)).unwrap();
    }

    /// The same, with settings of its own.
    pub(crate) fn add_client_with(
        &self,
        name: &str,
        address: IpAddr,
        secret: &str,
        change: impl FnOnce(&mut Client),
    ) {
        let mut client = client(&self.keys, name, ClientKind::Nas, address, secret);
        change(&mut client);
        self.store.put_client(&client).unwrap();
    }

    /// Another authority and another server certificate, over the old files.
    pub(crate) fn renew_certificates(&self) {
        certificates(&self.path("ca.pem"), &self.path("aaa.pem"), &self.path("aaa.key"));
        self.running.reload();
    }

    /// A file of this world.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// The certificate, and sessions that may be resumed.
fn stations(certificate: PathBuf, key: PathBuf) -> radius::Terms {
    radius::Terms {
        tls: TlsSettings {
            certificate,
            key,
            chain: None,
            server_name: SERVER_NAME.to_owned(),
            ca: PathBuf::new(),
            resumption: Resumption { lifetime: Duration::from_secs(60), sessions: 100 },
        },
        default_method: Method::Peap,
        early: Early::Outer("anonymous@operator.example".to_owned()),
    }
}

fn client(keys: &Keys, name: &str, kind: ClientKind, network: IpAddr, secret: &str) -> Client {
    Client {
        name: name.to_owned(),
        kind,
        network,
        prefix: if network.is_ipv4() { 32 } else { 128 },
        secret: keys.seal_secret(kind, name, secret.as_bytes()).unwrap(),
        message_authenticator: MessageAuthenticator::Require,
        coa_port: None,
        max_rate: None,
    }
}

/// A private CA and a P-256 server certificate from it. Gives the CA.
fn certificates(ca_path: &PathBuf, certificate: &PathBuf, key: &PathBuf) -> String {
    let mut ca = CertificateParams::default();
    ca.distinguished_name.push(DnType::CommonName, "test CA");
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
    let mut leaf = CertificateParams::new([SERVER_NAME.to_owned()]).unwrap();
    leaf.distinguished_name.push(DnType::CommonName, SERVER_NAME);
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf_key = KeyPair::generate().unwrap();
    let leaf = leaf.signed_by(&leaf_key, &ca).unwrap();
    fs::write(ca_path, ca.pem()).unwrap();
    fs::write(certificate, leaf.pem()).unwrap();
    fs::write(key, leaf_key.serialize_pem()).unwrap();
    ca.pem()
}

pub(crate) fn terms(ca_pem: String) -> Terms {
    Terms {
        realm: "operator.example".to_owned(),
        lifetime: Lifetime::Device,
        mac: MacBinding::Permanent,
        eap: EapSettings {
            outer: OuterMethod::Peap,
            inner: InnerMethod::Mschapv2,
            anonymous_identity: "anonymous@operator.example".to_owned(),
            server_name: SERVER_NAME.to_owned(),
            ca_pem,
        },
        policy: Policy {
            version: 1,
            networks: vec![Network::new("test", 1)],
            enter_dbm: -65,
            leave_dbm: -75,
            dwell_secs: 5,
            penalty_secs: 60,
            probe_url: "http://192.0.2.1/generate_204".to_owned(),
            cellular_after_move: AfterMove::Down,
            drain_secs: 60,
            renew_after_return: false,
            renew_every_secs: 0,
            sequence: Sequence::MakeBeforeBreak,
            renew_before_move: false,
            one_time_reserve: 0,
            offline_grace_secs: 0,
            ..Policy::default()
        },
    }
}

//! A portal on a free port with a data directory of its own, a gateway that reports to it, and devices.

use std::{
    fs,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use portal_aaa::{
    accounting::feed::{FeedRecord, GatewayFeed},
    credential::{self, Authority, Keys, Lifetime, MacBinding, Terms, system_random},
    gateway::{ProofMode, ProofSettings, Prover},
    portal::{self, Issuer, Limits, Portal},
    server::clock::Clock,
    store::{Entitlement, sqlite::SqliteStore},
};
use provisioning::{
    identity::Mac,
    message::{
        AfterMove, CredentialRequest, EapSettings, InnerMethod, Network, OuterMethod, Policy, Sequence,
        Trigger,
    },
    xml::encode_request,
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer as Ca, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

pub(crate) const IMSI: &str = "001010123456789";
pub(crate) const OTHER_IMSI: &str = "001010123456788";
pub(crate) const IMEI: &str = "490154203237518";
pub(crate) const MAC: Mac = Mac([2, 0, 0, 0, 0, 7]);
const NAME: &str = "portal.operator.example";
/// Where the CA's certificate is, in the data directory.
const CA_FILE: &str = "portal-ca.pem";
const BOUND: Duration = Duration::from_secs(10);

pub(crate) struct Bench {
    pub(crate) address: SocketAddr,
    pub(crate) store: Arc<SqliteStore>,
    pub(crate) keys: Arc<Keys>,
    prover: Arc<Prover>,
    clock: Clock,
    root: CertificateDer<'static>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    dir: tempfile::TempDir,
}

/// What came back; status 0 if nothing did.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        let lines = self.head.lines().skip(1);
        lines.filter_map(|line| line.split_once(": ")).find(|(n, _)| *n == name).map(|(_, v)| v.to_owned())
    }
}

/// What every credential has in common.
pub(crate) fn terms() -> Terms {
    Terms {
        realm: "operator.example".to_owned(),
        lifetime: Lifetime::Device,
        mac: MacBinding::Permanent,
        eap: EapSettings {
            outer: OuterMethod::Peap,
            inner: InnerMethod::Mschapv2,
            anonymous_identity: "anonymous@operator.example".to_owned(),
            server_name: "aaa.operator.example".to_owned(),
            ca_pem: "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n".to_owned(),
        },
        policy: Policy {
            version: 1,
            networks: vec![Network::new("Operator & Friends", 1)],
            enter_dbm: -67,
            leave_dbm: -77,
            dwell_secs: 3,
            penalty_secs: 30,
            probe_url: "http://10.99.0.1/generate_204".to_owned(),
            cellular_after_move: AfterMove::Down,
            drain_secs: 30,
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

/// The message of a device with this IMSI.
pub(crate) fn request(imsi: &str) -> String {
    let request = CredentialRequest {
        imsi: Some(imsi.parse().unwrap()),
        imei: Some(IMEI.parse().unwrap()),
        mac: MAC,
        trigger: Trigger::Attach,
        agent: "test/1".to_owned(),
        policy_version: None,
    };
    encode_request(&request).unwrap().as_str().to_owned()
}

/// The message as HTTP request.
pub(crate) fn posted(body: &str) -> Vec<u8> {
    format!(
        "POST /v1/credential HTTP/1.1\r\nhost: {NAME}\r\ncontent-type: application/xml\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Reads to the end, however it ends.
pub(crate) async fn rest(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut octets = Vec::new();
    let read = timeout(BOUND, stream.read_to_end(&mut octets)).await;
    let _how_it_ended = read.expect("the portal ends a connection in bounded time");
    octets
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(ProofMode::GatewayAccounting, Limits::default(), None::<Never>).await
    }

    /// Serves only who is listed.
    pub(crate) async fn listed(mode: ProofMode) -> Self {
        Self::entitled(mode, Limits::default(), None::<Never>, Entitlement::Listed).await
    }

    pub(crate) async fn with(mode: ProofMode, limits: Limits, issuer: Option<impl Issuer>) -> Self {
        Self::entitled(mode, limits, issuer, Entitlement::Any).await
    }

    async fn entitled(
        mode: ProofMode,
        limits: Limits,
        issuer: Option<impl Issuer>,
        entitlement: Entitlement,
    ) -> Self {
        capture_log();
        let clock = Clock::start();
        let now = clock.now().unix;
        let dir = tempfile::tempdir().unwrap();
        let store = Arc::new(SqliteStore::create(&dir.path().join("portal-aaa.db")).unwrap());
        let keys = Arc::new(credential::create(&dir.path().join("keys.toml"), &mut system_random).unwrap());
        let settings = ProofSettings { mode, max_silence_secs: 300, max_identities: 2 };
        let prover = Arc::new(Prover::new(settings, Arc::clone(&keys), store.clone(), now).unwrap());
        let issuer: Arc<dyn Issuer> = match issuer {
            Some(issuer) => Arc::new(issuer),
            None => {
                let authority = Authority::new(Arc::clone(&keys), store.clone(), terms(), now).unwrap();
                Arc::new(authority.with_entitlement(entitlement))
            }
        };
        let (root, certificate, key) = certificates(&dir);
        let tls = portal::tls::load(&certificate, &key).unwrap();
        let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, listener.local_addr().unwrap().port()));
        let (stop, stopped) = oneshot::channel();
        let portal = Portal::new(Arc::clone(&prover), issuer, clock, limits, None).unwrap();
        let serving = tokio::spawn(async move {
            portal::serve(listener, tls, portal, async { drop(stopped.await) }).await;
        });
        Self { address, store, keys, prover, clock, root, stop, serving, dir }
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap();
    }

    /// The gateway reports that a device has come.
    pub(crate) fn attach(&self, session: &str, device: Ipv4Addr, imsi: &str) {
        self.attach_ago(0, session, device, imsi);
    }

    /// As [`Bench::attach`], so many seconds ago.
    pub(crate) fn attach_ago(&self, ago: u64, session: &str, device: Ipv4Addr, imsi: &str) {
        self.report("pgw1", 1, ago, session, Some((device, imsi)));
    }

    /// As [`Bench::attach`], told by this gateway.
    pub(crate) fn attach_at(&self, gateway: &str, session: &str, device: Ipv4Addr, imsi: &str) {
        self.report(gateway, 1, 0, session, Some((device, imsi)));
    }

    /// The gateway reports Accounting-On.
    pub(crate) fn restart_gateway(&self) {
        self.report("pgw1", 7, 0, "", None);
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now().unix
    }

    /// The gateway reports that it has gone.
    pub(crate) fn detach(&self, session: &str) {
        self.report("pgw1", 2, 0, session, None);
    }

    fn report(&self, gateway: &str, status: u32, ago: u64, session: &str, device: Option<(Ipv4Addr, &str)>) {
        let at = self.clock.now().unix - ago;
        let record = FeedRecord {
            gateway: gateway.to_owned(),
            status,
            session_id: session.to_owned(),
            ipv4: device.map(|(address, _)| address),
            ipv6_prefix: None,
            delegated_prefix: None,
            imsi: device.map(|(_, imsi)| imsi.parse().unwrap()),
            // With software version in place of the check digit.
            imeisv: device.map(|_| format!("{}77", &IMEI[..14]).parse().unwrap()),
            msisdn: None,
            event_at: at,
        };
        self.prover.accounting(&record, at).unwrap();
    }

    /// A client that trusts this portal's CA and nothing else.
    pub(crate) fn client(&self, versions: &[&'static SupportedProtocolVersion]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_protocol_versions(versions).unwrap().with_root_certificates(roots);
        Arc::new(builder.with_no_client_auth())
    }

    /// TCP from the device's address.
    pub(crate) async fn dial(&self, device: Ipv4Addr) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((IpAddr::from(device), 0).into()).unwrap();
        socket.connect(self.address).await.unwrap()
    }

    /// TLS from the device's address.
    pub(crate) async fn connect(
        &self,
        client: Arc<ClientConfig>,
        device: Ipv4Addr,
    ) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(NAME).unwrap();
        let connecting = TlsConnector::from(client).connect(name, self.dial(device).await);
        timeout(BOUND, connecting).await.expect("a handshake in bounded time")
    }

    pub(crate) async fn post(&self, device: Ipv4Addr, body: &str) -> Reply {
        self.send(device, &posted(body)).await
    }

    pub(crate) async fn send(&self, device: Ipv4Addr, octets: &[u8]) -> Reply {
        self.send_by(self.client(rustls::ALL_VERSIONS), device, octets).await
    }

    /// Sends octets as they are and reads the answer, if any, to the end.
    pub(crate) async fn send_by(&self, client: Arc<ClientConfig>, device: Ipv4Addr, octets: &[u8]) -> Reply {
        let mut stream = self.connect(client, device).await.expect("a handshake");
        // The portal may hang up before the end; what it said before that still counts.
        let _hung_up = timeout(BOUND, stream.write_all(octets)).await.expect("in bounded time");
        let reply = rest(&mut stream).await;
        let split = reply.windows(4).position(|w| w == b"\r\n\r\n").map_or(reply.len(), |at| at + 4);
        let head = String::from_utf8_lossy(&reply[..split]).to_lowercase();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
        Reply { status, head, body: reply[split..].to_vec() }
    }

    /// PEM file of this portal's CA.
    pub(crate) fn ca_file(&self) -> PathBuf {
        self.dir.path().join(CA_FILE)
    }

    /// All that is in the data directory.
    pub(crate) fn files(&self) -> Vec<u8> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        entries.flat_map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
    }
}

/// A CA, and a certificate of it as PEM files.
fn certificates(dir: &tempfile::TempDir) -> (CertificateDer<'static>, PathBuf, PathBuf) {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = ca.self_signed(&ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    // By address, too: the agent's client looks names up at port 53 only.
    let names = vec![NAME.to_owned(), Ipv4Addr::LOCALHOST.to_string()];
    let certificate = CertificateParams::new(names).unwrap();
    let certificate = certificate.signed_by(&key, &Ca::new(ca, ca_key)).unwrap();
    let (certificate_file, key_file) = (dir.path().join("portal.pem"), dir.path().join("portal.key"));
    fs::write(&certificate_file, certificate.pem()).unwrap();
    fs::write(&key_file, key.serialize_pem()).unwrap();
    fs::write(dir.path().join(CA_FILE), root.pem()).unwrap();
    (root.der().clone(), certificate_file, key_file)
}

/// No issuer given.
pub(crate) enum Never {}

impl Issuer for Never {
    fn issue(
        &self,
        _now: u64,
        _request: &credential::IssueRequest,
    ) -> Result<provisioning::message::Credential, credential::IssueError> {
        match *self {}
    }

    fn tell(
        &self,
        _now: u64,
        _report: &provisioning::report::CredentialReport,
    ) -> Result<(), credential::ReportError> {
        match *self {}
    }
}

static LOG: OnceLock<Arc<Mutex<Vec<u8>>>> = OnceLock::new();

/// Log lines that name this source so far. Each test has addresses of its own.
pub(crate) fn logged(source: &str) -> String {
    let log = LOG.get().expect("captured").lock().unwrap();
    let log = String::from_utf8_lossy(&log).into_owned();
    log.lines()
        .filter(|line| {
            line.contains(&format!("source={source} ")) || line.ends_with(&format!("source={source}"))
        })
        .collect()
}

fn capture_log() {
    LOG.get_or_init(|| {
        let log = Arc::new(Mutex::new(Vec::new()));
        let writer = Captured(Arc::clone(&log));
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_max_level(tracing::Level::DEBUG)
            .with_writer(move || writer.clone())
            .init();
        log
    });
}

#[derive(Clone)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

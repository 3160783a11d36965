//! The client against a real HTTPS server in this process, good and bad.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use provisioning::{
    message::{Reason, Refusal, Trigger},
    xml::{encode_credential, encode_refusal, encode_request},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use rustls::{ServerConfig, SupportedProtocolVersion, pki_types::PrivateKeyDer, version};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::provision::dns::tests::Dnsmasq;
use crate::{
    provision::{
        DATE,
        dns::{
            Stub,
            tests::{server as dns_server, with_addresses},
        },
    },
    vault::sample::stored,
};

const NAME: &str = "portal.test";
const LIMITS: Limits = Limits { connect: Duration::from_secs(4), total: Duration::from_secs(8) };

/// What the server does with a request.
#[derive(Clone)]
enum Behaviour {
    /// Sends this and closes.
    Answer(Vec<u8>),
    /// Sends this, then nothing more, and keeps the connection.
    Stall(Vec<u8>),
    /// Sends this, then one octet each 50 ms for ever.
    Drip(Vec<u8>),
}

struct Server {
    address: SocketAddr,
    ca_pem: String,
    requests: Arc<Mutex<Vec<String>>>,
    /// What it is asked in.
    format: Format,
}

impl Server {
    fn start(behaviour: Behaviour) -> Self {
        Self::start_with(behaviour, &[&version::TLS13, &version::TLS12])
    }

    fn start_with(behaviour: Behaviour, versions: &[&'static SupportedProtocolVersion]) -> Self {
        Self::start_of(behaviour, versions, (1975, 4096))
    }

    /// With a certificate that is valid from the first of these years to the second.
    fn start_of(
        behaviour: Behaviour,
        versions: &[&'static SupportedProtocolVersion],
        years: (i32, i32),
    ) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("key")).expect("CA");
        let key = KeyPair::generate().expect("key");
        let mut leaf =
            CertificateParams::new(vec![NAME.to_owned(), "wifi-offload.op.test".to_owned()]).expect("name");
        (leaf.not_before, leaf.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        let leaf = leaf.signed_by(&key, &ca).expect("leaf");
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).expect("key"),
            )
            .expect("config");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let address = serve(move |stream| {
            let (acceptor, behaviour, seen) = (acceptor.clone(), behaviour.clone(), Arc::clone(&seen));
            async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let request = read_request(&mut stream).await;
                seen.lock().expect("lock").push(request);
                let _ = behave(&mut stream, behaviour).await;
            }
        });
        Self { address, ca_pem: ca.pem(), requests, format: Format::Xml }
    }

    fn roots(&self) -> Roots {
        Roots::from_pem(self.ca_pem.as_bytes()).expect("roots")
    }

    fn url(&self) -> String {
        with_path(&format!("https://{NAME}:{}", self.address.port()))
    }

    /// One request over loopback; the name has these addresses.
    fn ask(&self, roots: &Roots, addresses: &[&str], limits: Limits) -> Event {
        self.ask_url(&self.url(), roots, addresses, limits)
    }

    fn ask_url(&self, url: &str, roots: &Roots, addresses: &[&str], limits: Limits) -> Event {
        let addresses: Vec<IpAddr> = addresses.iter().map(|text| text.parse().expect("address")).collect();
        let dns = dns_server(move |query| vec![with_addresses(query, &addresses)]);
        let agent = http::agent(Stub::with_servers("lo", vec![dns]), "lo", Some(roots), limits);
        ask(&agent, url, self.format, None, &request()).unwrap_or_else(|failed| failed)
    }

    fn simply(&self) -> Event {
        self.ask(&self.roots(), &["127.0.0.1"], LIMITS)
    }
}

/// Listens on loopback, on a runtime and thread of its own.
fn serve<F>(handle: impl Fn(tokio::net::TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    listener.set_nonblocking(true).expect("nonblocking");
    let address = listener.local_addr().expect("address");
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let listener = TcpListener::from_std(listener).expect("listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(handle(stream));
            }
        });
    });
    address
}

/// Takes connections and says nothing.
fn silent() -> SocketAddr {
    serve(|stream| async move {
        let _open = stream;
        std::future::pending().await
    })
}

/// Header and body, the body by its Content-Length.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let lines = head.to_ascii_lowercase();
            let length = lines.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return text;
            }
        }
        match stream.read(&mut buffer).await {
            Ok(length) if length > 0 => text.push_str(&String::from_utf8_lossy(&buffer[..length])),
            _ => return text,
        }
    }
}

async fn behave(stream: &mut (impl AsyncWrite + Unpin), behaviour: Behaviour) -> std::io::Result<()> {
    match behaviour {
        Behaviour::Answer(octets) => {
            stream.write_all(&octets).await?;
            stream.shutdown().await
        }
        Behaviour::Stall(octets) => {
            stream.write_all(&octets).await?;
            stream.flush().await?;
            std::future::pending().await
        }
        Behaviour::Drip(octets) => {
            stream.write_all(&octets).await?;
            loop {
                stream.write_all(b"x").await?;
                stream.flush().await?;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

fn request() -> CredentialRequest {
    CredentialRequest {
        imsi: Some("001010123456789".parse().expect("IMSI")),
        imei: Some("490154203237518".parse().expect("IMEI")),
        mac: "02:00:00:00:00:01".parse().expect("MAC"),
        trigger: Trigger::Attach,
        agent: "wifi-offloadd/test".to_owned(),
        policy_version: None,
    }
}

fn response(status: &str, headers: &str, body: &str) -> Behaviour {
    response_in("application/xml", status, headers, body)
}

fn response_in(content_type: &str, status: &str, headers: &str, body: &str) -> Behaviour {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n");
    Behaviour::Answer(format!("{head}{headers}\r\n{body}").into_bytes())
}

fn granting() -> Behaviour {
    let credential = stored("p").current.expect("credential");
    response("200 OK", "", encode_credential(&credential).expect("encodes").as_str())
}

#[track_caller]
fn assert_unreachable(event: &Event, step: &str, words: &str) {
    match event {
        Event::Unreachable { step: at, text } => {
            assert_eq!(*at, step, "{text}");
            assert!(text.contains(words), "{text}");
            assert!(!text.contains("001010123456789"), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_credential_is_granted() {
    for versions in [&[&version::TLS13][..], &[&version::TLS12]] {
        let server = Server::start_with(granting(), versions);
        assert_eq!(server.simply(), Event::Granted(Box::new(stored("p").current.expect("credential"))));
        let requests = server.requests.lock().expect("lock");
        let (head, body) = requests[0].split_once("\r\n\r\n").expect("a body");
        assert!(head.starts_with("POST /v1/credential HTTP/1.1\r\n"), "{head}");
        let head = head.to_ascii_lowercase();
        for line in [
            format!("host: {NAME}:{}", server.address.port()),
            "content-type: application/xml".to_owned(),
            format!("user-agent: {}", http::USER_AGENT),
        ] {
            assert!(head.contains(&line), "{head}");
        }
        assert_eq!(body, encode_request(&request()).expect("encodes").as_str());
    }
}

#[test]
fn every_format_is_spoken() {
    let credential = stored("p").current.expect("credential");
    for format in Format::ALL {
        let body = format.encode_credential(&credential).expect("encodes");
        let mut server = Server::start(response_in(format.content_type(), "200 OK", "", body.as_str()));
        server.format = format;
        assert_eq!(server.simply(), Event::Granted(Box::new(credential.clone())));
        let requests = server.requests.lock().expect("lock");
        let (head, body) = requests[0].split_once("\r\n\r\n").expect("a body");
        let head = format!("{}\r\n", head.to_ascii_lowercase());
        assert!(head.contains(&format!("content-type: {}\r\n", format.request_content_type())), "{head}");
        assert!(head.contains(&format!("accept: {}\r\n", format.media_type())), "{head}");
        let action = format.soap_action().map(|action| format!("soapaction: {action}\r\n"));
        assert_eq!(head.contains("soapaction"), action.is_some());
        assert!(action.is_none_or(|action| head.contains(&action)), "{head}");
        assert_eq!(format.decode_request(body.as_bytes()), Ok(request()));
    }
}

/// As a portal of before there were formats does.
#[test]
fn a_portal_that_answers_in_xml_is_understood() {
    let refusal = Refusal::new(Reason::BadRequest, None);
    let body = encode_refusal(&refusal).expect("encodes");
    for format in Format::ALL {
        let mut server = Server::start(response("400 Bad Request", "", body.as_str()));
        server.format = format;
        let expected = Event::Refused { reason: Reason::BadRequest, retry_after: None };
        assert_eq!(server.simply(), expected);
    }
}

#[test]
fn a_refusal_comes_with_its_wait() {
    let refusal = Refusal::new(Reason::NoSession, Some(Duration::from_secs(5)));
    let body = encode_refusal(&refusal).expect("encodes");
    let server = Server::start(response("503 Service Unavailable", "Retry-After: 9\r\n", body.as_str()));
    let expected = Event::Refused { reason: Reason::NoSession, retry_after: Some(Duration::from_secs(9)) };
    assert_eq!(server.simply(), expected);
}

#[test]
fn another_authority_is_not_trusted() {
    let (server, other) = (Server::start(granting()), Server::start(granting()));
    let event = server.ask(&other.roots(), &["127.0.0.1"], LIMITS);
    assert_unreachable(&event, "tls", "certificate");
    assert!(server.requests.lock().expect("lock").is_empty(), "nothing was said to it");
}

#[test]
fn a_certificate_of_another_time_is_told_from_a_wrong_one() {
    for (years, text) in [((1999, 2001), "xpired"), ((2200, 2201), "not valid yet")] {
        let server = Server::start_of(granting(), &[&version::TLS13], years);
        assert_unreachable(&server.simply(), DATE, text);
        assert!(server.requests.lock().expect("lock").is_empty(), "nothing was said to it");
    }
}

#[test]
fn another_name_is_not_trusted() {
    let server = Server::start(granting());
    let url = format!("https://other.test:{}/", server.address.port());
    assert_unreachable(
        &server.ask_url(&url, &server.roots(), &["127.0.0.1"], LIMITS),
        "tls",
        "not valid for name",
    );
}

#[test]
fn a_server_without_tls_is_told_nothing() {
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    let address = serve(move |mut stream| {
        let seen = Arc::clone(&seen);
        async move {
            let mut buffer = [0; 1024];
            let length = stream.read(&mut buffer).await.unwrap_or(0);
            seen.lock().expect("lock").push(buffer[..length].to_vec());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
        }
    });
    let server = Server::start(granting());
    let with_port = |scheme: &str| format!("{scheme}://{NAME}:{}/v1/credential", address.port());
    assert_unreachable(
        &server.ask_url(&with_port("https"), &server.roots(), &["127.0.0.1"], LIMITS),
        "tls",
        "",
    );
    assert_eq!(requests.lock().expect("lock").len(), 1);
    assert_eq!(requests.lock().expect("lock")[0][0], 22, "a TLS handshake record and nothing else");
    assert_unreachable(
        &server.ask_url(&with_port("http"), &server.roots(), &["127.0.0.1"], LIMITS),
        "http",
        "https",
    );
    assert_eq!(requests.lock().expect("lock").len(), 1, "plain http is not even tried");
}

#[test]
fn a_dead_first_address_leaves_time_for_the_second() {
    let server = Server::start(granting());
    // 127.0.0.2 refuses at once; nothing answers for 192.0.2.1 on loopback.
    for dead in ["127.0.0.2", "192.0.2.1"] {
        let event = server.ask(&server.roots(), &[dead, "127.0.0.1"], LIMITS);
        assert!(matches!(event, Event::Granted(_)), "{event:?}");
    }
    let short = Limits { connect: Duration::from_millis(1500), total: Duration::from_secs(8) };
    assert_unreachable(&server.ask(&server.roots(), &["192.0.2.1"], short), "connect", "");
    assert_unreachable(&server.ask(&server.roots(), &["127.0.0.2"], LIMITS), "connect", "refused");
}

#[test]
fn a_silent_tls_server_ends() {
    let address = silent();
    let server = Server::start(granting());
    let url = format!("https://{NAME}:{}/", address.port());
    let short = Limits { connect: Duration::from_millis(1500), total: Duration::from_secs(8) };
    assert_unreachable(&server.ask_url(&url, &server.roots(), &["127.0.0.1"], short), "tls", "");
}

#[test]
fn a_slow_answer_ends() {
    // Long enough for a handshake on a busy machine; all at once because each takes all of it.
    let short = Limits { connect: Duration::from_secs(4), total: Duration::from_secs(2) };
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n";
    thread::scope(|scope| {
        for behaviour in [
            Behaviour::Stall(Vec::new()),
            Behaviour::Stall(head.into()),
            Behaviour::Drip(head.into()),
            Behaviour::Drip("HTTP/1.1 200 OK\r\nX-Long: ".into()),
        ] {
            let server = Server::start(behaviour);
            scope.spawn(move || {
                let event = server.ask(&server.roots(), &["127.0.0.1"], short);
                assert_unreachable(&event, "http", "timeout");
            });
        }
    });
}

#[test]
fn a_huge_answer_is_not_read() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunks = format!("8000\r\n{}\r\n", "x".repeat(0x8000)).repeat(4);
    let header = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(100_000));
    for behaviour in [
        response("200 OK", "", &"x".repeat(MAX_BODY + 1)),
        Behaviour::Answer(format!("{chunked}{chunks}0\r\n\r\n").into_bytes()),
        Behaviour::Answer(header.into_bytes()),
    ] {
        assert_unreachable(&Server::start(behaviour).simply(), "http", "");
    }
    let server = Server::start(response("200 OK", "", &"x".repeat(MAX_BODY)));
    assert_unreachable(&server.simply(), "message", "");
}

#[test]
fn a_redirect_is_not_followed() {
    let server = Server::start(response("307 Temporary Redirect", "Location: /elsewhere\r\n", ""));
    assert_unreachable(&server.simply(), "http", "307");
    assert_eq!(server.requests.lock().expect("lock").len(), 1);
}

#[test]
fn a_cut_answer_is_an_error() {
    let Behaviour::Answer(mut octets) = granting() else { unreachable!("granting answers") };
    octets.truncate(octets.len() - 10);
    assert_unreachable(&Server::start(Behaviour::Answer(octets)).simply(), "http", "");
}

#[test]
fn the_thread_answers_every_command() {
    let dir = tempfile::tempdir().expect("directory");
    let ca = dir.path().join("ca.pem");
    let route = |dns: &[IpAddr]| Route { interface: "lo".to_owned(), dns: dns.to_vec(), domain: None };
    let ask = |url: Option<&str>, route: Route| {
        let (sender, mut events) = mpsc::channel(4);
        let settings =
            Settings { url: url.map(str::to_owned), ca: ca.clone(), format: Format::Xml, limits: LIMITS };
        let portal = spawn(settings, sender).expect("a thread");
        portal.send(Command::Fetch { request: request(), route });
        events.blocking_recv().expect("an answer")
    };
    assert_unreachable(&ask(None, route(&[])), "http", "url");
    assert_unreachable(&ask(Some("https://portal.test"), route(&[])), "tls", "ca.pem");
    fs::write(&ca, "no certificate").expect("writes");
    assert_unreachable(&ask(Some("https://portal.test"), route(&[])), "tls", "CERTIFICATE");
    fs::write(&ca, Server::start(granting()).ca_pem).expect("writes");
    assert_unreachable(&ask(Some("https://portal.test"), route(&[])), "dns", "no name servers");
    let absent = Route { interface: "absent0".to_owned(), dns: Vec::new(), domain: None };
    assert_unreachable(&ask(Some("https://127.0.0.1:1"), absent), "connect", "");
}

/// Over a real dnsmasq: SRV, else the name itself; and the name that the certificate must have never comes out of an answer.
#[test]
fn the_portal_is_found_in_the_operators_domain() {
    let server = Server::start(granting());
    let port = server.address.port();
    let srv =
        |domain: &str, target: &str| format!("--srv-host=_wifi-offload._tcp.{domain},{target},{port},1,1");
    let dns = Dnsmasq::start(&[
        &srv("op.test", "host.elsewhere.test"),
        // Somebody else's domain that names this server: its certificate is another's.
        &srv("other.test", "host.elsewhere.test"),
        // The service is not offered.
        "--srv-host=_wifi-offload._tcp.none.test",
        "--host-record=host.elsewhere.test,127.0.0.1",
        "--host-record=wifi-offload.bare.test,127.0.0.1",
    ]);
    let find = |domain: &str| {
        let settings = Settings { url: None, ca: Default::default(), format: Format::Xml, limits: LIMITS };
        let route = Route { interface: "lo".to_owned(), dns: Vec::new(), domain: Some(domain.to_owned()) };
        let found = discover(&settings, &route, dns.stub(), &server.roots());
        found
            .and_then(|(agent, url)| ask(&agent, &url, Format::Xml, None, &request()))
            .unwrap_or_else(|failed| failed)
    };
    assert!(matches!(find("op.test"), Event::Granted(_)));
    assert_unreachable(&find("other.test"), "tls", "");
    assert_unreachable(&find("none.test"), "dns", "");
    // No SRV record: the name itself, on port 443, where nobody is.
    assert_unreachable(&find("bare.test"), "connect", "");
    assert_unreachable(&find("absent.test"), "dns", "");
}

#[test]
fn a_full_queue_is_answered_at_once() {
    let address = silent();
    let dir = tempfile::tempdir().expect("directory");
    let ca = dir.path().join("ca.pem");
    fs::write(&ca, Server::start(granting()).ca_pem).expect("writes");
    let (sender, mut events) = mpsc::channel(8);
    let settings =
        Settings { url: Some(format!("https://{address}")), ca, format: Format::Xml, limits: LIMITS };
    let portal = spawn(settings, sender).expect("a thread");
    for _ in 0..QUEUE + 2 {
        let route = Route { interface: "lo".to_owned(), dns: Vec::new(), domain: None };
        portal.send(Command::Fetch { request: request(), route });
    }
    assert_unreachable(&events.blocking_recv().expect("an answer"), "http", "under way");
}

#[test]
fn a_bare_url_gets_the_usual_path() {
    for (url, whole) in [
        ("https://p.test", "https://p.test/v1/credential"),
        ("https://p.test:8443/", "https://p.test:8443/v1/credential"),
        ("https://p.test/other", "https://p.test/other"),
    ] {
        assert_eq!(with_path(url), whole);
    }
}

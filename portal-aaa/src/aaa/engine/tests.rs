//! Logins on a virtual clock: the peer of crate `eap` and an access point's half made of crate `radius`, against the
//! engine, in one process.

mod plain;

use std::sync::{Mutex, OnceLock};

use eap::{Msk, peer, server::Early};
use proptest::prelude::*;
use provisioning::secret::Password;
use radius::{Builder, Code, Vendor, check_reply, microsoft, unwrap_key, wispr};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{PrivateKeyDer, ServerName},
};

use super::*;
use crate::aaa::{
    conversation::{DEFAULT_MTU, HALF_OPEN},
    directory::Subscriber,
    method::Methods,
    policy::SessionPolicy,
};

const SECRET: &[u8] = b"secret";
const NAME: &str = "aaa.operator.example";
const STATION: &str = "02-00-00-00-00-01";
const NOW: u64 = 1_795_000_000;

/// Says the same to everybody who knows the one name, and notes what was used up.
struct Book {
    checked: Result<Login, Reject>,
    consumed: Result<(), Reject>,
    uses: Mutex<Vec<String>>,
    /// Classes that are on.
    on: Mutex<Vec<[u8; 16]>>,
    full: bool,
}

impl Sessions for Book {
    fn admit(&self, _: Now, login: &Login, session: &Admitted<'_>) -> Result<(), Reject> {
        assert_eq!((login.username.as_str(), session.client), ("user@operator.example", "ap-1"));
        if self.full {
            return Err(Reject::TooManySessions);
        }
        self.on.lock().unwrap().push(session.class);
        Ok(())
    }

    fn withdraw(&self, class: &[u8; 16]) {
        self.on.lock().unwrap().retain(|on| on != class);
    }
}

impl Directory for Book {
    fn check(&self, now: u64, username: &str, asked: &Asked<'_>) -> Result<Login, Reject> {
        assert_eq!((now, username), (NOW, "user@operator.example"));
        assert_eq!(asked.mac, Some(Mac([2, 0, 0, 0, 0, 1])));
        self.checked.clone()
    }

    fn consume(&self, _now: u64, login: &Login, session: &str) -> Result<(), Reject> {
        assert_eq!(login.username, "user@operator.example");
        self.uses.lock().unwrap().push(session.to_owned());
        self.consumed
    }

    fn chargeable_identity(&self, subscriber: Subscriber) -> String {
        data_encoding::HEXLOWER.encode(&subscriber.0)
    }

    fn standing(&self, _now: u64, _username: &str) -> Result<(), Reject> {
        self.checked.as_ref().map(drop).map_err(|why| *why)
    }

    fn is_account(&self, _username: &str) -> bool {
        false
    }
}

fn book(checked: Result<Login, Reject>, consumed: Result<(), Reject>) -> Book {
    Book { checked, consumed, uses: Mutex::default(), on: Mutex::default(), full: false }
}

fn login(expires_at: Option<u64>) -> Login {
    Login {
        username: "user@operator.example".to_owned(),
        password: Password::new("right".to_owned()),
        expires_at,
        one_time: true,
        subscriber: Subscriber([1; 6]),
        methods: Methods::ALL,
        policy: Arc::default(),
    }
}

/// Both ends' TLS: one certificate for all tests.
fn tls() -> &'static (Arc<Config>, Arc<rustls::ClientConfig>) {
    static TLS: OnceLock<(Arc<Config>, Arc<rustls::ClientConfig>)> = OnceLock::new();
    TLS.get_or_init(|| {
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new([NAME.to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let server = eap::tls::server_config(Arc::clone(&provider), vec![leaf.der().clone()], key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone()).unwrap();
        let client = eap::tls::client_config(provider, roots, &[&rustls::version::TLS13]).unwrap();
        let methods = vec![eap::server::Method::Peap, eap::server::Method::Ttls];
        let default_method = eap::server::Method::Peap;
        let config = Config {
            tls: server,
            default_method,
            methods,
            name: "test".to_owned(),
            resumption: None,
            early: Early::Never,
        };
        (Arc::new(config), client)
    })
}

/// An engine and what asks it.
struct Lab {
    engine: Engine,
    book: Arc<Book>,
    identifier: u8,
    random: u8,
    now: Now,
}

/// How a conversation ended.
struct End {
    reply: Vec<u8>,
    request: Vec<u8>,
    msk: Option<Msk>,
}

impl Lab {
    fn new(checked: Result<Login, Reject>, consumed: Result<(), Reject>) -> Self {
        Self::with(book(checked, consumed))
    }

    fn with(book: Book) -> Self {
        let book = Arc::new(book);
        let engine = Engine::new(Arc::clone(&tls().0), Arc::<Book>::clone(&book), Arc::<Book>::clone(&book));
        let now = Now { monotonic: Duration::from_secs(5), unix: NOW };
        Self { engine, book, identifier: 0, random: 0, now }
    }

    /// The request with this EAP packet and what comes back for it.
    fn ask(&mut self, client: &str, state: Option<&[u8]>, eap: &[u8]) -> (Vec<u8>, Option<Answer>) {
        self.identifier = self.identifier.wrapping_add(1);
        let mut request = Builder::access_request(self.identifier, [self.identifier; 16])
            .text(A::USER_NAME, "anonymous@operator.example")
            .text(A::CALLING_STATION_ID, STATION)
            .text(A::ACCT_MULTI_SESSION_ID, "multi-1")
            .eap(eap);
        if let Some(state) = state {
            request = request.attribute(A::STATE, state);
        }
        let request = request.finish(SECRET).unwrap();
        let packet = Packet::parse(&request).unwrap();
        let asked = Request { packet: &packet, client, secret: SECRET, source: IpAddr::from([127, 0, 0, 1]) };
        let answer = self.engine.handle(self.now, &mut counter(&mut self.random), &asked).unwrap();
        (request, answer)
    }

    /// A whole conversation.
    fn log_on(&mut self, password: &str) -> End {
        let mut peer = peer::Session::new(
            Arc::new(peer::Config {
                tls: Arc::clone(&tls().1),
                server_name: ServerName::try_from(NAME).unwrap(),
                method: peer::Method::PeapMschapv2,
                outer_identity: "anonymous@operator.example".to_owned(),
                identity: "user@operator.example".to_owned(),
                password: password.to_owned().into(),
                require_binding: true,
                hasty: false,
            }),
            DEFAULT_MTU,
        );
        let mut noise = 100;
        // EAP-Request/Identity, which the access point sends by itself.
        let mut incoming = vec![1, 0, 0, 5, 1];
        let mut state: Option<Vec<u8>> = None;
        let mut last = None;
        for _ in 0..40 {
            match peer.handle(&incoming, &mut counter(&mut noise)) {
                peer::Step::Send(eap) => {
                    let (request, answer) = self.ask("ap-1", state.as_deref(), &eap);
                    let reply = answer.unwrap().octets;
                    let packet = Packet::parse(&reply).unwrap();
                    check_reply(&packet, &Packet::parse(&request).unwrap(), SECRET).unwrap();
                    incoming = join_eap(&packet).unwrap();
                    state = packet.get(A::STATE).map(<[u8]>::to_vec);
                    last = Some((request, reply));
                }
                step => {
                    let msk = match step {
                        peer::Step::Success { msk, .. } => Some(msk),
                        _ => None,
                    };
                    let (request, reply) = last.unwrap();
                    return End { reply, request, msk };
                }
            }
        }
        panic!("no end");
    }
}

fn counter(from: &mut u8) -> impl FnMut(&mut [u8]) {
    |octets| {
        octets.iter_mut().for_each(|octet| {
            *from = from.wrapping_add(1);
            *octet = *from;
        });
    }
}

const IDENTITY: &[u8] = b"\x02\x00\x00\x06\x01x";

#[test]
fn an_accept_carries_the_peers_keys_and_ends_with_the_credential() {
    let mut lab = Lab::new(Ok(login(Some(NOW + 90))), Ok(()));
    let end = lab.log_on("right");
    let (request, reply) = (Packet::parse(&end.request).unwrap(), Packet::parse(&end.reply).unwrap());
    assert_eq!(reply.code(), Code::ACCESS_ACCEPT);
    let msk = end.msk.expect("the peer accepts too");
    for (kind, half) in
        [(microsoft::MPPE_RECV_KEY, msk.recv_key()), (microsoft::MPPE_SEND_KEY, msk.send_key())]
    {
        let wrapped = reply.vendor(Vendor::MICROSOFT, kind).unwrap();
        assert_eq!(&unwrap_key(wrapped, SECRET, request.authenticator()).unwrap()[..], half);
    }
    assert_eq!(reply.integer(A::SESSION_TIMEOUT), Some(90));
    assert_eq!(reply.text(A::USER_NAME), Some("user@operator.example"));
    assert_eq!(reply.get(A::CLASS).map(<[u8]>::len), Some(16));
    assert_eq!(*lab.book.uses.lock().unwrap(), ["multi-1"]);
    assert_eq!(lab.book.on.lock().unwrap().as_slice(), [reply.get(A::CLASS).unwrap()]);
    assert!(lab.engine.conversations.is_empty());
}

#[test]
fn an_accept_says_what_the_policy_says() {
    let policy = SessionPolicy {
        session_timeout_secs: Some(3600),
        idle_timeout_secs: Some(300),
        interim_interval_secs: Some(60),
        vlan: Some(42),
        filter_id: Some("guests".to_owned()),
        max_up_bits: Some(1_000_000),
        max_down_bits: Some(5_000_000),
        terminate_at: Some(NOW),
    };
    let with = |expires_at| Login { policy: Arc::new(policy.clone()), ..login(expires_at) };
    let end = Lab::new(Ok(with(None)), Ok(())).log_on("right");
    let reply = Packet::parse(&end.reply).unwrap();
    let number = |kind| reply.integer(kind);
    assert_eq!((number(A::SESSION_TIMEOUT), number(A::TERMINATION_ACTION)), (Some(3600), Some(1)));
    assert_eq!((number(A::IDLE_TIMEOUT), number(A::ACCT_INTERIM_INTERVAL)), (Some(300), Some(60)));
    assert_eq!((reply.vlan(), reply.text(A::FILTER_ID)), (Some("42"), Some("guests")));
    let wispr = |kind| reply.vendor(Vendor::WISPR, kind);
    assert_eq!(wispr(wispr::BANDWIDTH_MAX_UP), Some(&1_000_000_u32.to_be_bytes()[..]));
    assert_eq!(wispr(wispr::BANDWIDTH_MAX_DOWN), Some(&5_000_000_u32.to_be_bytes()[..]));
    assert_eq!(wispr(wispr::SESSION_TERMINATE_TIME), Some(&b"2026-11-18T11:06:40+00:00"[..]));
    assert_eq!(reply.get(A::CHARGEABLE_USER_IDENTITY), None, "nobody asked");

    let end = Lab::new(Ok(with(Some(NOW + 60))), Ok(())).log_on("right");
    let reply = Packet::parse(&end.reply).unwrap();
    assert_eq!(reply.integer(A::SESSION_TIMEOUT), Some(60), "the credential's end comes first");
    assert_eq!(reply.get(A::TERMINATION_ACTION), None, "and that is the end");
}

#[test]
fn who_has_enough_sessions_gets_no_more_and_loses_nothing() {
    let mut lab = Lab::with(Book { full: true, ..book(Ok(login(None)), Ok(())) });
    assert_eq!(Packet::parse(&lab.log_on("right").reply).unwrap().code(), Code::ACCESS_REJECT);
    assert!(lab.book.uses.lock().unwrap().is_empty(), "a one-time credential is still good");
    let mut lab = Lab::new(Ok(login(None)), Err(Reject::AlreadyUsed));
    assert_eq!(Packet::parse(&lab.log_on("right").reply).unwrap().code(), Code::ACCESS_REJECT);
    assert!(lab.book.on.lock().unwrap().is_empty(), "a session that does not begin is not counted");
}

#[test]
fn a_credential_for_life_has_no_session_timeout() {
    let end = Lab::new(Ok(login(None)), Ok(())).log_on("right");
    let reply = Packet::parse(&end.reply).unwrap();
    assert_eq!((reply.code(), reply.get(A::SESSION_TIMEOUT)), (Code::ACCESS_ACCEPT, None));
}

#[test]
fn a_reject_is_the_same_for_every_reason() {
    let wrong_password = Lab::new(Ok(login(None)), Ok(())).log_on("wrong");
    let shape = |end: &End| -> Vec<(u8, usize)> {
        let reply = Packet::parse(&end.reply).unwrap();
        assert_eq!(reply.code(), Code::ACCESS_REJECT);
        assert!(end.msk.is_none());
        reply.attributes().map(|attribute| (attribute.kind.0, attribute.value.len())).collect()
    };
    // Message-Authenticator and EAP-Failure, no more.
    assert_eq!(shape(&wrong_password), [(80, 16), (79, 4)]);
    for why in [Reject::UnknownUser, Reject::BadToken, Reject::Expired, Reject::Revoked, Reject::WrongMac] {
        let mut lab = Lab::new(Err(why), Ok(()));
        assert_eq!(shape(&lab.log_on("right")), shape(&wrong_password), "{}", why.code());
        assert!(lab.book.uses.lock().unwrap().is_empty());
    }
}

#[test]
fn what_fails_after_eap_is_a_reject_all_the_same() {
    for (checked, consumed) in [
        (login(None), Err(Reject::AlreadyUsed)),
        (login(None), Err(Reject::DatabaseUnavailable)),
        (login(Some(NOW)), Ok(())),
    ] {
        let end = Lab::new(Ok(checked), consumed).log_on("right");
        let reply = Packet::parse(&end.reply).unwrap();
        assert_eq!(reply.code(), Code::ACCESS_REJECT);
        assert_eq!(reply.vendor(Vendor::MICROSOFT, microsoft::MPPE_RECV_KEY), None);
        assert_eq!(join_eap(&reply).unwrap().first(), Some(&4), "EAP-Failure");
    }
}

#[test]
fn a_failed_login_uses_nothing_up() {
    let mut lab = Lab::new(Ok(login(None)), Ok(()));
    lab.log_on("wrong");
    assert!(lab.book.uses.lock().unwrap().is_empty());
}

#[test]
fn a_state_is_of_one_client_and_one_use() {
    let mut lab = Lab::new(Ok(login(None)), Ok(()));
    let begin = |lab: &mut Lab| {
        let (_, answer) = lab.ask("ap-1", None, IDENTITY);
        let answer = answer.unwrap();
        let reply = Packet::parse(&answer.octets).unwrap();
        assert_eq!((reply.code(), answer.settled), (Code::ACCESS_CHALLENGE, false));
        let identifier = join_eap(&reply).unwrap()[1];
        // Nak, wants TTLS.
        (reply.get(A::STATE).unwrap().to_vec(), vec![2, identifier, 0, 6, 3, 21])
    };
    let code = |answer: Option<Answer>| Packet::parse(&answer.unwrap().octets).unwrap().code();

    let (state, nak) = begin(&mut lab);
    assert_eq!(code(lab.ask("ap-2", Some(&state), &nak).1), Code::ACCESS_REJECT, "another's conversation");

    let (state, nak) = begin(&mut lab);
    assert_eq!(code(lab.ask("ap-1", Some(&state), &nak).1), Code::ACCESS_CHALLENGE);
    assert_eq!(code(lab.ask("ap-1", Some(&state), &nak).1), Code::ACCESS_REJECT, "a second use");

    let (state, nak) = begin(&mut lab);
    lab.now.monotonic += HALF_OPEN.idle;
    assert_eq!(code(lab.ask("ap-1", Some(&state), &nak).1), Code::ACCESS_REJECT, "too late");
}

#[test]
fn silence_for_a_packet_out_of_order_and_the_conversation_goes_on() {
    let mut lab = Lab::new(Ok(login(None)), Ok(()));
    let (_, answer) = lab.ask("ap-1", None, IDENTITY);
    let octets = answer.unwrap().octets;
    let reply = Packet::parse(&octets).unwrap();
    let state = reply.get(A::STATE).unwrap();
    let identifier = join_eap(&reply).unwrap()[1];
    let (_, answer) = lab.ask("ap-1", Some(state), &[2, identifier.wrapping_add(9), 0, 6, 3, 21]);
    assert_eq!(answer, None);
    let (_, answer) = lab.ask("ap-1", Some(state), &[2, identifier, 0, 6, 3, 21]);
    assert_eq!(Packet::parse(&answer.unwrap().octets).unwrap().code(), Code::ACCESS_CHALLENGE);
}

#[test]
fn eap_start_is_answered_by_asking_who_is_there() {
    let mut lab = Lab::new(Ok(login(None)), Ok(()));
    // RFC 3579 §2.1: an EAP-Message of two octets, that is, without a value.
    let request = Builder::access_request(1, [1; 16]).attribute(A::EAP_MESSAGE, &[]).finish(SECRET).unwrap();
    let packet = Packet::parse(&request).unwrap();
    let asked =
        Request { packet: &packet, client: "ap-1", secret: SECRET, source: IpAddr::from([127, 0, 0, 1]) };
    let answer = lab.engine.handle(lab.now, &mut counter(&mut lab.random), &asked).unwrap().unwrap();
    let eap = join_eap(&Packet::parse(&answer.octets).unwrap()).unwrap();
    assert!(matches!(eap[..], [1, _, 0, 5, 1]), "EAP-Request/Identity");
}

#[test]
fn what_is_no_eap_is_rejected() {
    let lab = Lab::new(Ok(login(None)), Ok(()));
    let request = Builder::access_request(1, [1; 16]).text(A::USER_NAME, "x").finish(SECRET).unwrap();
    let packet = Packet::parse(&request).unwrap();
    let asked =
        Request { packet: &packet, client: "ap-1", secret: SECRET, source: IpAddr::from([127, 0, 0, 1]) };
    let answer = lab.engine.handle(lab.now, &mut counter(&mut 0), &asked).unwrap().unwrap();
    let reply = Packet::parse(&answer.octets).unwrap();
    assert_eq!((reply.code(), join_eap(&reply)), (Code::ACCESS_REJECT, None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn arbitrary_eap_never_panics(packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..6), kind in prop_oneof![Just(25u8), Just(21)]) {
        let mut lab = Lab::new(Ok(login(None)), Ok(()));
        let (_, answer) = lab.ask("ap-1", None, IDENTITY);
        let mut octets = answer.unwrap().octets;
        for noise in packets {
            let Some((state, eap)) = Packet::parse(&octets).ok().and_then(|reply| Some((reply.get(A::STATE)?.to_vec(), join_eap(&reply)?))) else { break };
            // A well-formed header, so that the noise reaches the method.
            let length = u16::try_from(noise.len() + 5).unwrap().to_be_bytes();
            let response = [&[2, eap[1], length[0], length[1], kind][..], &noise].concat();
            match lab.ask("ap-1", Some(&state), &response).1 {
                Some(answer) => octets = answer.octets,
                None => break,
            }
        }
    }
}

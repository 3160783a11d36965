//! Access points, this proxy and home servers, all in this file, on a clock that the test turns.

use proptest::prelude::*;
use radius::{Builder, Vendor, check_reply, hide_password, microsoft, reveal_password, unwrap_key};
use zeroize::Zeroizing;

use super::*;
use crate::proxy::{HomeServer, Pattern, Realm, Secret, Transport};

const NAS: &[u8] = b"nas secret";

fn secret(server: usize) -> Vec<u8> {
    format!("secret of {server}").into_bytes()
}

/// What happened, in order.
#[derive(Debug, PartialEq, Eq, Clone)]
enum Seen {
    Sent(usize, Vec<u8>),
    Done(u8, How, Option<Vec<u8>>),
    Health(usize, State),
    Reconnect(usize),
    Unproved,
}

struct Lab {
    core: Core<u8>,
    now: Duration,
    drawn: u8,
}

impl Lab {
    /// `servers` UDP home servers, then one by RadSec; realm 0 has them all, realm 1 only the last.
    fn new(servers: usize, balance: Balance, status_server: bool) -> Self {
        let udp = (0..servers).map(|n| HomeServer {
            name: format!("home-{n}"),
            transport: Transport::Udp {
                address: ([192, 0, 2, 1], 1812).into(),
                accounting_address: ([192, 0, 2, 1], 1813).into(),
            },
            secret: Secret(Zeroizing::new(secret(n))),
            status_server,
            require_message_authenticator: true,
        });
        let tls = HomeServer {
            name: "tls".to_owned(),
            transport: Transport::RadSec { address: "x:2083".to_owned(), server_name: "x".to_owned() },
            secret: Secret(Zeroizing::default()),
            status_server: true,
            require_message_authenticator: false,
        };
        let realm = |members| Realm { pattern: Pattern::Any, home_servers: members, strip: false, balance };
        let settings = Settings {
            home_servers: udp.chain([tls]).collect(),
            realms: vec![realm((0..servers).collect()), realm(vec![servers])],
        };
        Self { core: Core::new(&settings, *b"markmark"), now: Duration::from_secs(1000), drawn: 0 }
    }

    fn dice(drawn: &mut u8) -> impl FnMut(&mut [u8]) -> bool {
        |octets| {
            *drawn = drawn.wrapping_add(1);
            octets.fill(*drawn);
            // In the middle: no spread.
            if let [one] = octets {
                *one = 128;
            }
            true
        }
    }

    fn submit(&mut self, ticket: u8, pool: usize, request: Vec<u8>) -> Vec<Seen> {
        let submit = Submit { ticket, request, secret: NAS.to_vec().into(), pool, user_name: None };
        self.core.submit(self.now, &mut Self::dice(&mut self.drawn), submit);
        self.seen()
    }

    fn receive(&mut self, peer: usize, octets: &[u8]) -> Vec<Seen> {
        // Lanes are told apart by the shell; in these tests identifiers of a peer do not repeat.
        for lane in 0..LANES {
            self.core.receive(self.now, peer, lane, octets);
        }
        self.seen()
    }

    fn link(&mut self, peer: usize, up: bool) -> Vec<Seen> {
        self.core.link(self.now, &mut Self::dice(&mut self.drawn), peer, up);
        self.seen()
    }

    /// Lets time pass until something happens, but no longer than `secs`.
    fn wait(&mut self, secs: u64) -> (u64, Vec<Seen>) {
        let begin = self.now;
        let end = begin + Duration::from_secs(secs);
        while let Some(next) = self.core.next_timeout().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.core.timeout(self.now, &mut Self::dice(&mut self.drawn));
            let seen = self.seen();
            if !seen.is_empty() {
                return ((self.now - begin).as_secs(), seen);
            }
        }
        self.now = end;
        (secs, Vec::new())
    }

    fn seen(&mut self) -> Vec<Seen> {
        std::iter::from_fn(|| self.core.pop())
            .map(|output| match output {
                Output::Send { peer, octets, .. } => Seen::Sent(peer, octets),
                Output::Done { ticket, finished } => Seen::Done(ticket, finished.how, finished.answer),
                Output::Health { peer, state } => Seen::Health(peer, state),
                Output::Reconnect { peer } => Seen::Reconnect(peer),
                Output::Unproved { .. } => Seen::Unproved,
            })
            .collect()
    }
}

fn login(identifier: u8, state: Option<&[u8]>) -> Vec<u8> {
    let hidden = hide_password(b"password", NAS, &[identifier; 16]).unwrap();
    let request = Builder::access_request(identifier, [identifier; 16])
        .text(A::USER_NAME, "guest@partner.example")
        .attribute(A::USER_PASSWORD, &hidden)
        .attribute(A::PROXY_STATE, b"another's");
    state.into_iter().fold(request, |request, state| request.attribute(A::STATE, state)).finish(NAS).unwrap()
}

fn report(identifier: u8) -> Vec<u8> {
    Builder::accounting_request(identifier).integer(A::ACCT_STATUS_TYPE, 2).finish(NAS).unwrap()
}

fn sent(seen: &[Seen]) -> (usize, Vec<u8>) {
    match seen {
        [.., Seen::Sent(peer, octets)] => (*peer, octets.clone()),
        other => panic!("{other:?}"),
    }
}

fn answer(request: &[u8], code: Code, secret: &[u8], add: impl FnOnce(Builder) -> Builder) -> Vec<u8> {
    add(Builder::reply(code, &Packet::parse(request).unwrap())).finish(secret).unwrap()
}

/// An Access-Accept of twenty octets.
fn bare_accept(request: &[u8], secret: &[u8]) -> Vec<u8> {
    use md5::{Digest as _, Md5};
    let header = [2, request[1], 0, 20];
    let digest =
        Md5::new().chain_update(header).chain_update(&request[4..20]).chain_update(secret).finalize();
    [&header[..], &digest].concat()
}

#[test]
fn a_login_goes_there_and_back() {
    let mut lab = Lab::new(2, Balance::FailOver, true);
    let request = login(7, None);
    let (peer, onward) = sent(&lab.submit(1, 0, request.clone()));
    assert_eq!(peer, 0);
    let packet = Packet::parse(&onward).unwrap();
    let password = reveal_password(packet.get(A::USER_PASSWORD).unwrap(), &secret(0), packet.authenticator());
    assert_eq!(&password.unwrap()[..], b"password");
    let states: Vec<_> = packet.all(A::PROXY_STATE).map(|a| a.value.to_vec()).collect();
    assert_eq!(states[0], b"another's");
    assert!(states[1].starts_with(b"markmark"));
    let keys = |reply: Builder| reply.mppe_keys(&[9; 64], [1, 2], &secret(0));
    let accept = answer(&onward, Code::ACCESS_ACCEPT, &secret(0), keys);
    assert_eq!(lab.receive(0, &answer(&onward, Code::ACCESS_ACCEPT, b"forged", |b| b)), []);
    assert_eq!(lab.receive(2, &accept), [], "from another's port");
    let seen = lab.receive(0, &accept);
    let [Seen::Done(1, How::Answered(Code::ACCESS_ACCEPT), Some(back))] = &seen[..] else {
        panic!("{seen:?}")
    };
    let (back, request) = (Packet::parse(back).unwrap(), Packet::parse(&request).unwrap());
    assert_eq!(check_reply(&back, &request, NAS), Ok(()));
    assert_eq!(back.all(A::PROXY_STATE).count(), 1);
    let key = back.vendor(Vendor::MICROSOFT, microsoft::MPPE_RECV_KEY).unwrap();
    assert_eq!(&unwrap_key(key, NAS, request.authenticator()).unwrap()[..], [9; 32]);
    assert_eq!(lab.receive(0, &accept), [], "once");
    assert_eq!(lab.wait(1000), (1000, vec![]), "nothing is left behind");
}

#[test]
fn silence_is_repeated_then_taken_to_the_next_and_the_first_is_probed() {
    let mut lab = Lab::new(2, Balance::FailOver, true);
    let (_, first) = sent(&lab.submit(1, 0, login(7, None)));
    assert_eq!(lab.wait(60), (2, vec![Seen::Sent(0, first.clone())]), "the same octets");
    assert_eq!(lab.wait(60), (2, vec![Seen::Sent(0, first.clone())]));
    let (secs, seen) = lab.wait(60);
    assert_eq!(secs, 2);
    let [Seen::Health(0, State::Suspect), Seen::Sent(2, second), Seen::Sent(0, probe)] = &seen[..] else {
        panic!("{seen:?}")
    };
    assert_ne!(
        Packet::parse(second).unwrap().authenticator(),
        Packet::parse(&first).unwrap().authenticator()
    );
    assert_eq!(Packet::parse(probe).unwrap().code(), Code::STATUS_SERVER);
    let late = answer(&first, Code::ACCESS_ACCEPT, &secret(0), |b| b);
    assert_eq!(lab.receive(0, &late), [], "has been given up");
    let accept = answer(second, Code::ACCESS_ACCEPT, &secret(1), |b| b);
    assert!(matches!(lab.receive(2, &accept)[..], [Seen::Done(1, How::Answered(_), Some(_))]));
    assert_eq!(sent(&lab.submit(2, 0, login(8, None))).0, 2, "the suspect one is spared");
    let alive = answer(probe, Code::ACCESS_ACCEPT, &secret(0), |b| b);
    assert_eq!(lab.receive(0, &alive), [Seen::Health(0, State::Alive)]);
    assert_eq!(sent(&lab.submit(3, 0, login(9, None))).0, 0);
}

#[test]
fn when_all_are_dead_logins_are_rejected_at_once_and_an_answered_probe_revives() {
    let mut lab = Lab::new(1, Balance::FailOver, true);
    lab.submit(1, 0, login(7, None));
    let mut rejected = None;
    let mut last = None;
    for _ in 0..20 {
        let (_, seen) = lab.wait(10);
        for one in seen {
            match one {
                Seen::Done(1, How::Unreachable, Some(reject)) => rejected = Some(reject),
                Seen::Sent(0, octets) => last = Some(octets),
                Seen::Health(0, State::Suspect | State::Dead) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(Packet::parse(&rejected.unwrap()).unwrap().code(), Code::ACCESS_REJECT);
    assert!(matches!(lab.submit(2, 0, login(8, None))[..], [Seen::Done(2, How::Unreachable, Some(_))]));
    let alive = answer(&last.unwrap(), Code::ACCESS_ACCEPT, &secret(0), |b| b);
    assert_eq!(lab.receive(0, &alive), [Seen::Health(0, State::Alive)]);
    assert_eq!(sent(&lab.submit(3, 0, login(9, None))).0, 0);
}

#[test]
fn a_report_is_offered_for_ten_minutes_and_never_rejected() {
    let mut lab = Lab::new(1, Balance::FailOver, false);
    let (peer, _) = sent(&lab.submit(1, 0, report(3)));
    assert_eq!(peer, 1, "the accounting port");
    let (mut sendings, begin) = (1, lab.now);
    let end = loop {
        let (_, seen) = lab.wait(100);
        sendings += seen.iter().filter(|seen| matches!(seen, Seen::Sent(1, _))).count();
        if let Some(done) = seen.into_iter().find(|seen| matches!(seen, Seen::Done(..))) {
            break done;
        }
    };
    assert_eq!(end, Seen::Done(1, How::Unreachable, None));
    assert_eq!((lab.now - begin).as_secs(), 600);
    assert!((10..100).contains(&sendings), "{sendings}");
    // One that comes back in between takes it.
    let mut lab = Lab::new(1, Balance::FailOver, true);
    lab.submit(1, 0, report(3));
    let mut dead = false;
    let done = loop {
        let (_, seen) = lab.wait(100);
        dead |= seen.contains(&Seen::Health(1, State::Dead));
        let sent: Vec<_> = seen
            .into_iter()
            .filter_map(|seen| match seen {
                Seen::Sent(1, octets) if dead => Some(octets),
                _ => None,
            })
            .collect();
        let answers = sent.iter().map(|sent| match Packet::parse(sent).unwrap().code() {
            Code::STATUS_SERVER => answer(sent, Code::ACCESS_ACCEPT, &secret(0), |b| b),
            _ => answer(sent, Code::ACCOUNTING_RESPONSE, &secret(0), |b| b),
        });
        let mut seen = answers.flat_map(|answer| lab.receive(1, &answer));
        if let Some(done) = seen.find(|seen| matches!(seen, Seen::Done(..))) {
            break done;
        }
    };
    assert!(matches!(done, Seen::Done(1, How::Answered(Code::ACCOUNTING_RESPONSE), Some(_))), "{done:?}");
}

#[test]
fn conversations_stay_where_they_began_and_new_ones_take_turns() {
    let mut lab = Lab::new(3, Balance::RoundRobin, true);
    let mut began = Vec::new();
    for n in 1..=6 {
        let (peer, onward) = sent(&lab.submit(n, 0, login(n, None)));
        began.push(peer);
        let challenge =
            answer(&onward, Code::ACCESS_CHALLENGE, &secret(peer / 2), |b| b.attribute(A::STATE, &[n; 9]));
        assert_eq!(lab.receive(peer, &challenge).len(), 1);
    }
    assert_eq!(began, [0, 2, 4, 0, 2, 4]);
    for n in 1..=6u8 {
        let (peer, _) = sent(&lab.submit(10 + n, 0, login(10 + n, Some(&[n; 9]))));
        assert_eq!(peer, began[usize::from(n) - 1]);
    }
}

#[test]
fn an_answer_without_proof_is_no_answer() {
    let mut lab = Lab::new(1, Balance::FailOver, true);
    let (_, onward) = sent(&lab.submit(1, 0, login(7, None)));
    // As old servers answer: by RFC 2865 alone. An Accounting-Response carries no Message-Authenticator.
    let other = answer(&onward, Code::ACCOUNTING_RESPONSE, &secret(0), |b| b);
    assert_eq!(lab.receive(0, &other), [], "of another kind");
    let bare = bare_accept(&onward, &secret(0));
    assert_eq!(lab.receive(0, &bare), [Seen::Unproved]);
    let accept = answer(&onward, Code::ACCESS_ACCEPT, &secret(0), |b| b);
    assert!(matches!(lab.receive(0, &accept)[..], [Seen::Done(..)]));
}

#[test]
fn a_connection_that_breaks_takes_its_requests_elsewhere() {
    let mut lab = Lab::new(1, Balance::FailOver, true);
    assert!(
        matches!(lab.submit(1, 1, login(7, None))[..], [Seen::Done(1, How::Unreachable, Some(_))]),
        "no connection"
    );
    assert_eq!(lab.link(2, true), []);
    let (peer, onward) = sent(&lab.submit(2, 1, login(8, None)));
    assert_eq!(peer, 2);
    let accept = answer(&onward, Code::ACCESS_ACCEPT, b"radsec", |b| b);
    assert!(matches!(lab.receive(2, &accept)[..], [Seen::Done(2, How::Answered(_), Some(_))]));
    let (_, seen) = lab.wait(31);
    let (_, probe) = sent(&seen);
    assert_eq!(Packet::parse(&probe).unwrap().code(), Code::STATUS_SERVER, "quiet for half a minute");
    lab.submit(3, 1, login(9, None));
    assert!(matches!(lab.link(2, false)[..], [Seen::Done(3, How::Unreachable, Some(_))]));
    lab.link(2, true);
    lab.submit(4, 1, login(10, None));
    let mut reconnect = false;
    for _ in 0..20 {
        reconnect |= lab.wait(10).1.contains(&Seen::Reconnect(2));
    }
    assert!(reconnect, "answers nothing any more");
}

#[test]
fn no_more_than_can_be_kept() {
    let mut lab = Lab::new(1, Balance::FailOver, true);
    let mut overload = 0;
    for n in 0..(MOST + 10) {
        let seen = lab.submit(1, 0, login(u8::try_from(n % 256).unwrap(), None));
        overload += usize::from(matches!(seen[..], [Seen::Done(_, How::Overload | How::Unreachable, _)]));
    }
    assert_eq!(overload, MOST + 10 - LANES * 256, "four ports of 256 identifiers");
    assert_eq!(lab.core.exchanges.len(), LANES * 256);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_request_is_done_once_whatever_happens(
        steps in proptest::collection::vec((0u8..6, any::<u8>(), 0u64..8), 1..120),
        balance in prop_oneof![Just(Balance::FailOver), Just(Balance::RoundRobin)],
        status: bool,
    ) {
        let mut lab = Lab::new(2, balance, status);
        let mut submitted = 0u32;
        let mut done = 0u32;
        let mut last = Vec::new();
        for (what, value, secs) in steps {
            let seen = match what {
                0 | 1 => {
                    submitted += 1;
                    let pool = usize::from(value % 2);
                    let request = if what == 0 { login(value, Some(&[value % 4])) } else { report(value) };
                    lab.submit(1, pool, request)
                }
                2 => lab.link(4, value % 3 > 0),
                3 => {
                    let answers: Vec<_> = last.drain(..).filter_map(|(peer, sent): (usize, Vec<u8>)| {
                        let code = match Packet::parse(&sent).unwrap().code() {
                            Code::ACCOUNTING_REQUEST => Code::ACCOUNTING_RESPONSE,
                            _ if value % 2 == 0 => Code::ACCESS_ACCEPT,
                            _ => Code::ACCESS_CHALLENGE,
                        };
                        let secret = if peer == 4 { b"radsec".to_vec() } else { secret(peer / 2) };
                        let add = |reply: Builder| reply.attribute(A::STATE, &[value % 4]);
                        (value % 5 > 0).then(|| (peer, answer(&sent, code, &secret, add)))
                    }).collect();
                    answers.iter().flat_map(|(peer, answer)| lab.receive(*peer, answer)).collect()
                }
                4 => lab.receive(usize::from(value % 6), &[value; 40]),
                _ => lab.wait(secs).1,
            };
            for seen in seen {
                match seen {
                    Seen::Sent(peer, octets) => last.push((peer, octets)),
                    Seen::Done(_, how, answer) => {
                        done += 1;
                        prop_assert!(answer.is_some() || how != How::Answered(Code::ACCESS_ACCEPT));
                    }
                    _ => {}
                }
            }
            prop_assert!(lab.core.timers.len() <= lab.core.exchanges.len());
        }
        // Ten minutes and a little later there is an end to everything.
        let end = lab.now + Duration::from_secs(700);
        while lab.now < end {
            done += u32::try_from(lab.wait(20).1.iter().filter(|seen| matches!(seen, Seen::Done(..))).count()).unwrap();
        }
        prop_assert_eq!(done, submitted);
        prop_assert!(lab.core.exchanges.is_empty() && lab.core.timers.is_empty());
        prop_assert_eq!(lab.core.accounting, 0);
    }
}

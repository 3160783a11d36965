//! What the supplicant's lines mean for a join: pure, `(now, notice) -> outcomes`. Called by `control`.
//!
//! Lines say why, `STATUS` says what is: the tracker believes a line about a failure at once, reports a success
//! only with `STATUS` in hand, and lets `STATUS` overrule lines that never came.

use std::time::Duration;

use provisioning::identity::Mac;

use super::{
    Event, JoinFailure,
    line::{Notice, Refused, Suspension},
    reply::Status,
};

/// Silence in an EAP conversation after which the AAA counts as silent. Access points repeat after 3 s and more
/// (RFC 3748 §4.3), so three repetitions go unanswered.
const AAA_SILENCE: Duration = Duration::from_secs(12);
/// A join that has led to nothing at all.
const JOIN_LIMIT: Duration = Duration::from_secs(40);
/// A scan may miss a beacon; two in a row mean that the network is away.
const MISSED_SCANS: u8 = 2;
/// `STATUS` answers in a row, without a line between them, that must contradict us before they are believed: the
/// lines that explain the first may be on their way.
const DOUBTS: u8 = 2;
/// IEEE 802.11 §9.4.1.7: 802.1X authentication failed.
const REASON_8021X_FAILED: u16 = 23;
/// IEEE 802.11 §9.4.1.9: refused for now, come back later; the supplicant does.
const STATUS_REFUSED_TEMPORARILY: u16 = 30;
/// IEEE 802.11 §9.4.1.7: the station leaves.
const REASON_LEAVING: u16 = 3;

/// What the shell is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Tell the machine.
    Tell(Event),
    /// Ask `STATUS` and hand it to [`Tracker::status`].
    AskStatus,
    /// Disable our network: the supplicant would try again by itself, behind the machine's back.
    Abandon,
}

/// Follows one network block of ours.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    phase: Phase,
    doubts: u8,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    Joining(Join),
    Connected {
        network: u32,
        bssid: Mac,
    },
    /// Was connected; the supplicant may reconnect by itself.
    Lost {
        network: u32,
    },
}

#[derive(Debug)]
struct Join {
    network: u32,
    since: Duration,
    associated: bool,
    eap: Eap,
    subject: Option<String>,
    missed_scans: u8,
}

/// How far 802.1X has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Eap {
    NotStarted,
    /// Last sign of life.
    Running(Duration),
    Succeeded,
}

impl Tracker {
    /// A join of this network block begins.
    pub(super) fn join(&mut self, now: Duration, network: u32) {
        self.phase = Phase::Joining(Join {
            network,
            since: now,
            associated: false,
            eap: Eap::NotStarted,
            subject: None,
            missed_scans: 0,
        });
    }

    /// The machine wants to leave: whatever the supplicant says of it afterwards is no news.
    pub(super) fn leave(&mut self) -> Option<Event> {
        match std::mem::take(&mut self.phase) {
            Phase::Connected { .. } => Some(Event::Disconnected { reason: REASON_LEAVING, locally: true }),
            Phase::Idle | Phase::Joining(_) | Phase::Lost { .. } => None,
        }
    }

    /// When [`Tracker::expire`] wants to be called at the latest.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let Phase::Joining(join) = &self.phase else { return None };
        let limit = join.since + JOIN_LIMIT;
        match join.eap {
            Eap::Running(last) => Some(limit.min(last + AAA_SILENCE)),
            Eap::NotStarted | Eap::Succeeded => Some(limit),
        }
    }

    /// Time has passed.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<Outcome> {
        let Phase::Joining(join) = &self.phase else { return Vec::new() };
        if matches!(join.eap, Eap::Running(last) if now >= last + AAA_SILENCE) {
            return self.fail(JoinFailure::AaaSilent, "no answer within the EAP conversation");
        }
        if now >= join.since + JOIN_LIMIT {
            let failure = if join.associated { JoinFailure::Association } else { JoinFailure::NotFound };
            return self.fail(failure, "the join led to nothing");
        }
        Vec::new()
    }

    /// One line of the supplicant; `text` is it for people.
    pub(super) fn notice(&mut self, now: Duration, notice: Notice, text: &str) -> Vec<Outcome> {
        self.doubts = 0;
        match &mut self.phase {
            Phase::Idle => Vec::new(),
            Phase::Joining(join) => match join.notice(now, notice) {
                Verdict::Nothing => Vec::new(),
                Verdict::Tell(event) => vec![Outcome::Tell(event)],
                Verdict::AskStatus => vec![Outcome::AskStatus],
                Verdict::Failed(failure) => self.fail(failure, text),
            },
            Phase::Connected { network, bssid } => match notice {
                Notice::Disconnected { reason, locally } => {
                    self.phase = Phase::Lost { network: *network };
                    vec![Outcome::Tell(Event::Disconnected { reason, locally })]
                }
                // A roam: associated elsewhere without a disconnection before.
                Notice::Connected { bssid: other, .. } if other != *bssid => {
                    self.phase = Phase::Lost { network: *network };
                    vec![Outcome::AskStatus]
                }
                _ => Vec::new(),
            },
            Phase::Lost { network } => match notice {
                Notice::Connected { network: joined, .. } if joined == Some(*network) => {
                    vec![Outcome::AskStatus]
                }
                _ => Vec::new(),
            },
        }
    }

    /// Whether a look at `STATUS` is wanted soon: something is under way, or was contradicted.
    pub(super) fn unsettled(&self) -> bool {
        matches!(self.phase, Phase::Joining(_)) || self.doubts > 0
    }

    /// A look at `STATUS` every now and then, for lines that never came.
    pub(super) fn check(&mut self, status: &Status) -> Vec<Outcome> {
        let contradicts = match &self.phase {
            Phase::Idle => false,
            Phase::Joining(join) => {
                status.network == Some(join.network)
                    && (status.completed() || (status.associated() && !join.associated))
            }
            Phase::Connected { .. } => status.idle(),
            Phase::Lost { network } => status.network == Some(*network) && status.completed(),
        };
        self.doubts = if contradicts { self.doubts + 1 } else { 0 };
        if self.doubts < DOUBTS {
            return Vec::new();
        }
        self.doubts = 0;
        self.status(status)
    }

    /// What the supplicant is, to be believed.
    pub(super) fn status(&mut self, status: &Status) -> Vec<Outcome> {
        match &mut self.phase {
            Phase::Joining(join) if status.network == Some(join.network) => {
                let mut outcomes = Vec::new();
                if let Some(bssid) = status.bssid
                    && status.associated()
                    && !std::mem::replace(&mut join.associated, true)
                {
                    outcomes.push(Outcome::Tell(Event::Associated { bssid }));
                }
                let network = join.network;
                outcomes.extend(self.connected(network, status));
                outcomes
            }
            Phase::Lost { network } if status.network == Some(*network) => {
                let network = *network;
                self.connected(network, status).into_iter().collect()
            }
            Phase::Connected { network, .. } if status.idle() => {
                self.phase = Phase::Lost { network: *network };
                vec![Outcome::Tell(Event::Disconnected { reason: 0, locally: false })]
            }
            Phase::Idle | Phase::Joining(_) | Phase::Connected { .. } | Phase::Lost { .. } => Vec::new(),
        }
    }

    fn connected(&mut self, network: u32, status: &Status) -> Option<Outcome> {
        let bssid = status.bssid.filter(|_| status.completed())?;
        self.phase = Phase::Connected { network, bssid };
        Some(Outcome::Tell(Event::Connected {
            bssid,
            pairwise_cipher: status.pairwise_cipher.clone().unwrap_or_default(),
            tls_version: status.tls_version.clone(),
            key_mgmt: status.key_mgmt.clone().unwrap_or_default(),
        }))
    }

    fn fail(&mut self, failure: JoinFailure, text: &str) -> Vec<Outcome> {
        self.phase = Phase::Idle;
        let event = Event::JoinFailed { failure, text: text.to_owned() };
        vec![Outcome::Tell(event), Outcome::Abandon]
    }
}

enum Verdict {
    Nothing,
    Tell(Event),
    AskStatus,
    Failed(JoinFailure),
}

impl Join {
    fn notice(&mut self, now: Duration, notice: Notice) -> Verdict {
        let eap_before = self.eap;
        match notice {
            Notice::EapStarted
            | Notice::EapProgress
            | Notice::ServerCertificate { .. }
            | Notice::ServerAccepted
            | Notice::ServerRefused(_)
                if self.eap != Eap::Succeeded =>
            {
                self.eap = Eap::Running(now);
            }
            _ => {}
        }
        match notice {
            Notice::Associated { bssid } => {
                self.associated = true;
                self.eap = Eap::NotStarted;
                Verdict::Tell(Event::Associated { bssid })
            }
            Notice::ServerCertificate { subject } => {
                self.subject = Some(subject);
                Verdict::Nothing
            }
            Notice::ServerAccepted => match self.subject.take() {
                Some(subject) => Verdict::Tell(Event::ServerAccepted { subject }),
                None => Verdict::Nothing,
            },
            Notice::ServerRefused(Refused::Date) => Verdict::Failed(JoinFailure::CertificateDate),
            Notice::ServerRefused(Refused::Other) => Verdict::Failed(JoinFailure::ServerCertificate),
            Notice::EapSuccess => {
                self.eap = Eap::Succeeded;
                Verdict::Nothing
            }
            Notice::EapFailure => Verdict::Failed(JoinFailure::Rejected),
            Notice::Connected { network, .. } if network == Some(self.network) => Verdict::AskStatus,
            // The supplicant preferred another program's network: ours was not there.
            Notice::Connected { network: Some(_), .. } => Verdict::Failed(JoinFailure::NotFound),
            Notice::TemporarilyDisabled { network, why } if network == Some(self.network) => match why {
                Suspension::AuthFailed => Verdict::Failed(JoinFailure::Rejected),
                Suspension::Other => Verdict::Failed(JoinFailure::Association),
            },
            Notice::Refused { status } if status != STATUS_REFUSED_TEMPORARILY => {
                Verdict::Failed(JoinFailure::Association)
            }
            // Ours to end: the network that was joined before, or the supplicant's own retry.
            Notice::Disconnected { locally: false, reason } if self.associated => {
                Verdict::Failed(match (reason, eap_before) {
                    (REASON_8021X_FAILED, Eap::Running(_)) => JoinFailure::Rejected,
                    (_, Eap::Running(_)) => JoinFailure::AaaSilent,
                    (_, Eap::NotStarted | Eap::Succeeded) => JoinFailure::Association,
                })
            }
            Notice::NetworkNotFound => {
                self.missed_scans += 1;
                if self.missed_scans >= MISSED_SCANS {
                    return Verdict::Failed(JoinFailure::NotFound);
                }
                Verdict::Nothing
            }
            _ => Verdict::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::line, *};

    const AP: Mac = Mac([2, 0, 0, 0, 1, 0]);

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn joining(lines: &[&str]) -> (Tracker, Vec<Outcome>) {
        let mut tracker = Tracker::default();
        tracker.join(at(0), 3);
        let outcomes = feed(&mut tracker, 1, lines);
        (tracker, outcomes)
    }

    fn feed(tracker: &mut Tracker, now: u64, lines: &[&str]) -> Vec<Outcome> {
        lines.iter().flat_map(|text| tracker.notice(at(now), line::parse(text), text)).collect()
    }

    fn failure(outcomes: &[Outcome]) -> Option<JoinFailure> {
        outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Tell(Event::JoinFailed { failure, .. }) => Some(*failure),
            _ => None,
        })
    }

    fn completed() -> Status {
        Status { state: "COMPLETED".into(), network: Some(3), bssid: Some(AP), ..Status::default() }
    }

    const ASSOCIATED: &str = "<3>Associated with 02:00:00:00:01:00";
    const STARTED: &str = "<3>CTRL-EVENT-EAP-STARTED EAP authentication started";
    const METHOD: &str = "<3>CTRL-EVENT-EAP-METHOD EAP vendor 0 method 25 (PEAP) selected";
    const CERT: &str = "<3>CTRL-EVENT-EAP-PEER-CERT depth=0 subject='/CN=aaa' hash=00";
    const ACCEPTED: &str =
        "<3>CTRL-EVENT-EAP-STATUS status='remote certificate verification' parameter='success'";
    const SUCCESS: &str = "<3>CTRL-EVENT-EAP-SUCCESS EAP authentication completed successfully";
    const CONNECTED: &str =
        "<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:01:00 completed [id=3 id_str=x]";

    #[test]
    fn a_good_join_is_told_step_by_step() {
        let (mut tracker, outcomes) =
            joining(&[ASSOCIATED, STARTED, METHOD, CERT, ACCEPTED, SUCCESS, CONNECTED]);
        assert_eq!(
            outcomes,
            [
                Outcome::Tell(Event::Associated { bssid: AP }),
                Outcome::Tell(Event::ServerAccepted { subject: "/CN=aaa".into() }),
                Outcome::AskStatus,
            ]
        );
        assert!(matches!(tracker.status(&completed())[..], [Outcome::Tell(Event::Connected { .. })]));
        assert_eq!(tracker.deadline(), None);
        let lost = feed(&mut tracker, 9, &["<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:01:00 reason=2"]);
        assert_eq!(lost, [Outcome::Tell(Event::Disconnected { reason: 2, locally: false })]);
        assert_eq!(feed(&mut tracker, 10, &[CONNECTED]), [Outcome::AskStatus], "it may come back by itself");
    }

    #[test]
    fn failures_are_told_apart() {
        let cases: [(&[&str], JoinFailure); 9] = [
            (
                &[
                    ASSOCIATED,
                    STARTED,
                    METHOD,
                    CERT,
                    ACCEPTED,
                    "<3>CTRL-EVENT-EAP-FAILURE EAP authentication failed",
                ],
                JoinFailure::Rejected,
            ),
            (
                &[
                    "<3>CTRL-EVENT-SSID-TEMP-DISABLED id=3 ssid=\"x\" auth_failures=1 duration=10 reason=AUTH_FAILED",
                ],
                JoinFailure::Rejected,
            ),
            (
                &["<3>CTRL-EVENT-EAP-TLS-CERT-ERROR reason=10 depth=0 subject='/CN=x' err='Domain mismatch'"],
                JoinFailure::ServerCertificate,
            ),
            (
                &[
                    "<3>CTRL-EVENT-SSID-TEMP-DISABLED id=3 ssid=\"x\" auth_failures=1 duration=10 reason=CONN_FAILED",
                ],
                JoinFailure::Association,
            ),
            (
                &["<3>CTRL-EVENT-ASSOC-REJECT bssid=02:00:00:00:01:00 status_code=17"],
                JoinFailure::Association,
            ),
            (
                &[
                    ASSOCIATED,
                    STARTED,
                    SUCCESS,
                    "<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:01:00 reason=15",
                ],
                JoinFailure::Association,
            ),
            (
                &[ASSOCIATED, STARTED, "<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:01:00 reason=2"],
                JoinFailure::AaaSilent,
            ),
            (
                &["<3>CTRL-EVENT-NETWORK-NOT-FOUND ", "<3>CTRL-EVENT-NETWORK-NOT-FOUND "],
                JoinFailure::NotFound,
            ),
            (
                &["<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:01:00 completed [id=0 id_str=]"],
                JoinFailure::NotFound,
            ),
        ];
        for (lines, expected) in cases {
            let (tracker, outcomes) = joining(lines);
            assert_eq!(failure(&outcomes), Some(expected), "{lines:?}");
            assert_eq!(outcomes.last(), Some(&Outcome::Abandon), "{lines:?}");
            assert_eq!(tracker.deadline(), None, "{lines:?}");
        }
    }

    #[test]
    fn what_is_no_failure_is_none() {
        let (_, outcomes) = joining(&[
            "<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:09:00 reason=3 locally_generated=1",
            "<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:09:00 reason=2",
            "<3>CTRL-EVENT-NETWORK-NOT-FOUND ",
            "<3>CTRL-EVENT-ASSOC-REJECT bssid=02:00:00:00:01:00 status_code=30",
            "<3>CTRL-EVENT-SSID-TEMP-DISABLED id=0 ssid=\"other\" auth_failures=1 duration=10 reason=AUTH_FAILED",
        ]);
        assert_eq!(outcomes, []);
    }

    #[test]
    fn an_aaa_that_does_not_answer_is_noticed_after_twelve_seconds() {
        let (mut tracker, _) = joining(&[ASSOCIATED, STARTED]);
        assert_eq!(tracker.deadline(), Some(at(13)));
        assert_eq!(tracker.expire(at(12)), []);
        assert_eq!(failure(&tracker.expire(at(13))), Some(JoinFailure::AaaSilent));
    }

    #[test]
    fn each_sign_of_life_gives_the_aaa_more_time_and_success_ends_the_wait() {
        let (mut tracker, _) = joining(&[ASSOCIATED, STARTED]);
        feed(&mut tracker, 10, &[METHOD]);
        assert_eq!(tracker.deadline(), Some(at(22)));
        feed(&mut tracker, 20, &[SUCCESS]);
        assert_eq!(tracker.deadline(), Some(at(40)));
        assert_eq!(failure(&tracker.expire(at(40))), Some(JoinFailure::Association));
    }

    #[test]
    fn lost_lines_are_made_good_by_a_second_look() {
        let (mut tracker, _) = joining(&[]);
        assert!(tracker.unsettled(), "a join is looked after");
        assert_eq!(tracker.check(&completed()), []);
        let outcomes = tracker.check(&completed());
        assert_eq!(outcomes[0], Outcome::Tell(Event::Associated { bssid: AP }));
        assert!(matches!(outcomes[1], Outcome::Tell(Event::Connected { .. })));
        assert!(!tracker.unsettled());
        let gone = Status { state: "SCANNING".into(), ..Status::default() };
        assert_eq!(tracker.check(&gone), []);
        assert!(tracker.unsettled(), "the second look is soon");
        assert_eq!(tracker.check(&gone), [Outcome::Tell(Event::Disconnected { reason: 0, locally: false })]);
    }

    #[test]
    fn a_look_does_not_overtake_lines_that_are_on_their_way() {
        let (mut tracker, _) = joining(&[ASSOCIATED, STARTED]);
        assert_eq!(tracker.check(&completed()), []);
        let told = feed(&mut tracker, 2, &[CERT, ACCEPTED]);
        assert_eq!(told, [Outcome::Tell(Event::ServerAccepted { subject: "/CN=aaa".into() })]);
        assert_eq!(tracker.check(&completed()), []);
        assert_eq!(feed(&mut tracker, 2, &[SUCCESS, CONNECTED]), [Outcome::AskStatus]);
    }

    #[test]
    fn another_network_is_none_of_our_business() {
        let (mut tracker, _) = joining(&[]);
        assert_eq!(tracker.status(&Status { network: Some(0), ..completed() }), []);
        tracker.leave();
        assert_eq!(feed(&mut tracker, 2, &[CONNECTED]), []);
    }

    #[test]
    fn leaving_is_told_once() {
        let (mut tracker, _) = joining(&[ASSOCIATED]);
        tracker.status(&completed());
        assert_eq!(tracker.leave(), Some(Event::Disconnected { reason: 3, locally: true }));
        assert_eq!(tracker.leave(), None);
        let line = "<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:01:00 reason=3 locally_generated=1";
        assert_eq!(feed(&mut tracker, 2, &[line]), []);
    }

    proptest! {
        /// Whatever comes in whatever order: a join ends exactly once, and never later than its limit.
        #[test]
        fn a_join_ends_once(picks in proptest::collection::vec((0usize..10, 0u64..5), 0..60)) {
            let lines = [
                ASSOCIATED, STARTED, METHOD, CERT, ACCEPTED, SUCCESS, CONNECTED,
                "<3>CTRL-EVENT-EAP-FAILURE x", "<3>CTRL-EVENT-NETWORK-NOT-FOUND ",
                "<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:01:00 reason=2",
            ];
            let mut tracker = Tracker::default();
            tracker.join(at(0), 3);
            let (mut now, mut ends) = (0, 0);
            let mut count = |outcomes: Vec<Outcome>| ends += usize::from(failure(&outcomes).is_some());
            for (pick, pause) in picks {
                now += pause;
                count(tracker.expire(at(now)));
                count(tracker.notice(at(now), line::parse(lines[pick]), lines[pick]));
            }
            count(tracker.expire(at(now + 40)));
            prop_assert_eq!(ends, 1);
            prop_assert_eq!(tracker.deadline(), None);
        }
    }
}

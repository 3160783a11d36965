//! What NetworkManager's and wpa_supplicant's signals mean for a join: pure, `(now, notice) -> outcomes`. Called by
//! `station`.

use std::time::Duration;

use crate::supplicant::{Event, JoinFailure};

/// Silence in an EAP conversation after which the AAA counts as silent. Access points repeat after 3 s and more
/// (RFC 3748 §4.3), so three repetitions go unanswered.
const AAA_SILENCE: Duration = Duration::from_secs(12);
/// A join that has led to nothing at all.
const JOIN_LIMIT: Duration = Duration::from_secs(40);

/// `NMDeviceState`, the ones that mean anything here.
const UNAVAILABLE: u32 = 20;
const PREPARE: u32 = 40;
const NEED_AUTH: u32 = 60;
const IP_CONFIG: u32 = 70;
const ACTIVATED: u32 = 100;

/// `NMDeviceStateReason`, the ones that mean anything here.
const NO_SECRETS: u32 = 7;
const SUPPLICANT: std::ops::RangeInclusive<u32> = 8..=11;
const SUPPLICANT_CONFIG: u32 = 9;
const USER_REQUESTED: u32 = 39;
const SSID_NOT_FOUND: u32 = 53;
const NEW_ACTIVATION: u32 = 60;

/// What the TLS libraries that wpa_supplicant is built with say of a certificate whose dates do not fit the clock.
const DATES: [&str; 2] = ["has expired", "not yet valid"];

/// Something that was heard of our interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Notice {
    /// NetworkManager's device, `StateChanged`.
    Device { state: u32, reason: u32 },
    /// wpa_supplicant's `EAP` signal.
    Eap { status: String, parameter: String },
    /// wpa_supplicant's `Certification` signal.
    Certificate { depth: u32, subject: String },
    /// wpa_supplicant's `State` property changed.
    Link { state: String, reason: Option<i32> },
    /// NetworkManager wants another password than the one it was given.
    PasswordRefused,
}

/// What the shell is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Tell the machine.
    Tell(Event),
    /// Read the access point and tell [`Event::Associated`].
    Associated,
    /// Read the access point and tell [`Event::Connected`].
    Connected,
    /// Read the lease and tell [`Event::Addressed`] if it is news.
    ReadLease,
    /// Deactivate our profile: NetworkManager would try again by itself, behind the machine's back.
    Abandon,
}

/// Follows our profile on one device.
#[derive(Debug, Default)]
pub(super) struct Tracker {
    phase: Phase,
}

#[derive(Debug, Default)]
enum Phase {
    #[default]
    Idle,
    Joining(Join),
    Connected,
    /// Was connected; NetworkManager may reconnect by itself for some seconds.
    Lost,
}

#[derive(Debug)]
struct Join {
    since: Duration,
    /// What came before is the end of what NetworkManager had on the device.
    begun: bool,
    associated: bool,
    /// Last sign of life of a conversation under way.
    eap: Option<Duration>,
    subject: String,
    accepted: bool,
}

impl Tracker {
    /// Our profile is being activated.
    pub(super) fn join(&mut self, now: Duration) {
        self.phase = Phase::Joining(Join {
            since: now,
            begun: false,
            associated: false,
            eap: None,
            subject: String::new(),
            accepted: false,
        });
    }

    /// The machine wants to leave: whatever is heard afterwards is no news.
    pub(super) fn leave(&mut self) -> Option<Event> {
        match std::mem::take(&mut self.phase) {
            // IEEE 802.11 §9.4.1.7: the station leaves.
            Phase::Connected => Some(Event::Disconnected { reason: 3, locally: true }),
            Phase::Idle | Phase::Joining(_) | Phase::Lost => None,
        }
    }

    /// Whether addresses are of interest.
    pub(super) fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Connected)
    }

    /// When [`Tracker::expire`] wants to be called at the latest.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let Phase::Joining(join) = &self.phase else { return None };
        let limit = join.since + JOIN_LIMIT;
        Some(join.eap.map_or(limit, |last| limit.min(last + AAA_SILENCE)))
    }

    /// Time has passed.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<Outcome> {
        let Phase::Joining(join) = &self.phase else { return Vec::new() };
        if join.eap.is_some_and(|last| now >= last + AAA_SILENCE) {
            return self.fail(JoinFailure::AaaSilent, "no answer within the EAP conversation".into());
        }
        if now >= join.since + JOIN_LIMIT {
            let failure = if join.associated { JoinFailure::Association } else { JoinFailure::NotFound };
            return self.fail(failure, "the join led to nothing".into());
        }
        Vec::new()
    }

    /// Something was heard.
    pub(super) fn notice(&mut self, now: Duration, notice: Notice) -> Vec<Outcome> {
        match &mut self.phase {
            Phase::Idle => Vec::new(),
            Phase::Joining(join) => match notice {
                Notice::Device { state, reason } => self.device_while_joining(state, reason),
                // The end of another network's conversation.
                _ if !join.begun => Vec::new(),
                Notice::Eap { status, parameter } => self.eap(now, &status, &parameter),
                Notice::Certificate { depth: 0, subject } => {
                    join.subject = subject;
                    Vec::new()
                }
                Notice::PasswordRefused => {
                    self.fail(JoinFailure::Rejected, "NetworkManager asked for another password".into())
                }
                Notice::Certificate { .. } | Notice::Link { .. } => Vec::new(),
            },
            Phase::Connected => match notice {
                Notice::Device { state: ACTIVATED, .. } => vec![Outcome::ReadLease],
                Notice::Device { state, .. } if (IP_CONFIG..ACTIVATED).contains(&state) => Vec::new(),
                Notice::Device { reason, .. } => {
                    self.phase = Phase::Idle;
                    let locally = reason == USER_REQUESTED || reason == NEW_ACTIVATION;
                    vec![Outcome::Tell(Event::Disconnected { reason: 0, locally })]
                }
                Notice::Link { state, reason } if is_down(&state) => {
                    self.phase = Phase::Lost;
                    let reason = reason.unwrap_or(0);
                    let code = u16::try_from(reason.unsigned_abs()).unwrap_or(0);
                    // wpa_supplicant's DisconnectReason: negative where it was our side.
                    vec![Outcome::Tell(Event::Disconnected { reason: code, locally: reason < 0 })]
                }
                _ => Vec::new(),
            },
            Phase::Lost => match notice {
                Notice::Link { state, .. } if state == "completed" => {
                    self.phase = Phase::Connected;
                    vec![Outcome::Associated, Outcome::Connected, Outcome::ReadLease]
                }
                Notice::Device { state, .. } if !(IP_CONFIG..=ACTIVATED).contains(&state) => {
                    self.phase = Phase::Idle;
                    Vec::new()
                }
                _ => Vec::new(),
            },
        }
    }

    fn device_while_joining(&mut self, state: u32, reason: u32) -> Vec<Outcome> {
        let Phase::Joining(join) = &mut self.phase else { return Vec::new() };
        match state {
            PREPARE..=NEED_AUTH => {
                join.begun = true;
                Vec::new()
            }
            // From here on the link is authenticated.
            IP_CONFIG..=ACTIVATED if join.begun => {
                let mut outcomes = if join.associated { Vec::new() } else { vec![Outcome::Associated] };
                outcomes.push(Outcome::Connected);
                if state == ACTIVATED {
                    outcomes.push(Outcome::ReadLease);
                }
                self.phase = Phase::Connected;
                outcomes
            }
            // The device goes by way of "disconnected" when another profile was active on it.
            _ if !join.begun && state > UNAVAILABLE => Vec::new(),
            _ => {
                let failure = join.meaning(reason);
                self.fail(failure, format!("NetworkManager: device state {state}, reason {reason}"))
            }
        }
    }

    /// Words of wpa_supplicant's `eap_peer`.
    fn eap(&mut self, now: Duration, status: &str, parameter: &str) -> Vec<Outcome> {
        let Phase::Joining(join) = &mut self.phase else { return Vec::new() };
        let mut outcomes = Vec::new();
        if !join.associated {
            join.associated = true;
            outcomes.push(Outcome::Associated);
        }
        join.eap = Some(now);
        match (status, parameter) {
            ("remote certificate verification", "success") if join.accepted => {}
            ("remote certificate verification", "success") => {
                join.accepted = true;
                let subject = std::mem::take(&mut join.subject);
                outcomes.push(Outcome::Tell(Event::ServerAccepted { subject }));
            }
            ("remote certificate verification", why) => {
                let failure = if DATES.iter().any(|date| why.contains(date)) {
                    JoinFailure::CertificateDate
                } else {
                    JoinFailure::ServerCertificate
                };
                outcomes.extend(self.fail(failure, format!("the server's certificate: {why}")));
            }
            ("completion", "success") => join.eap = None,
            ("completion", _) => {
                outcomes.extend(self.fail(JoinFailure::Rejected, "the AAA refused: EAP-Failure".into()));
            }
            _ => {}
        }
        outcomes
    }

    fn fail(&mut self, failure: JoinFailure, text: String) -> Vec<Outcome> {
        self.phase = Phase::Idle;
        vec![Outcome::Tell(Event::JoinFailed { failure, text }), Outcome::Abandon]
    }
}

impl Join {
    fn meaning(&self, reason: u32) -> JoinFailure {
        match reason {
            SSID_NOT_FOUND => JoinFailure::NotFound,
            NO_SECRETS => JoinFailure::Rejected,
            SUPPLICANT_CONFIG => JoinFailure::Association,
            reason if SUPPLICANT.contains(&reason) && self.eap.is_some() => JoinFailure::AaaSilent,
            _ => JoinFailure::Association,
        }
    }
}

/// `fi.w1.wpa_supplicant1.Interface.State`: roaming between access points passes through none of these.
fn is_down(state: &str) -> bool {
    matches!(state, "disconnected" | "inactive" | "interface_disabled")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn device(state: u32, reason: u32) -> Notice {
        Notice::Device { state, reason }
    }

    fn eap(status: &str, parameter: &str) -> Notice {
        Notice::Eap { status: status.into(), parameter: parameter.into() }
    }

    fn link(state: &str, reason: i32) -> Notice {
        Notice::Link { state: state.into(), reason: Some(reason) }
    }

    fn feed(tracker: &mut Tracker, secs: u64, notices: impl IntoIterator<Item = Notice>) -> Vec<Outcome> {
        notices.into_iter().flat_map(|notice| tracker.notice(at(secs), notice)).collect()
    }

    fn joining(notices: impl IntoIterator<Item = Notice>) -> (Tracker, Vec<Outcome>) {
        let mut tracker = Tracker::default();
        tracker.join(at(0));
        let outcomes = feed(&mut tracker, 1, notices);
        (tracker, outcomes)
    }

    fn failure(outcomes: &[Outcome]) -> Option<JoinFailure> {
        outcomes.iter().find_map(|outcome| match outcome {
            Outcome::Tell(Event::JoinFailed { failure, .. }) => Some(*failure),
            _ => None,
        })
    }

    #[test]
    fn a_join_that_works() {
        let cert = Notice::Certificate { depth: 0, subject: "/CN=aaa".into() };
        let issuer = Notice::Certificate { depth: 1, subject: "/CN=ca".into() };
        let (mut tracker, outcomes) = joining([
            // What NetworkManager had there goes first.
            device(110, NEW_ACTIVATION),
            eap("completion", "failure"),
            device(30, NEW_ACTIVATION),
            device(40, 0),
            device(50, 0),
            device(60, 0),
            device(40, 0),
            device(50, 0),
            eap("started", ""),
            issuer,
            cert,
            eap("remote certificate verification", "success"),
            eap("completion", "success"),
            device(70, 0),
            device(80, 0),
            device(90, 0),
            device(100, 0),
        ]);
        let accepted = Event::ServerAccepted { subject: "/CN=aaa".into() };
        assert_eq!(
            outcomes,
            [Outcome::Associated, Outcome::Tell(accepted), Outcome::Connected, Outcome::ReadLease]
        );
        assert_eq!(tracker.deadline(), None);
        assert_eq!(tracker.leave(), Some(Event::Disconnected { reason: 3, locally: true }));
        assert_eq!(tracker.leave(), None);
        assert_eq!(feed(&mut tracker, 2, [device(110, USER_REQUESTED), device(30, USER_REQUESTED)]), []);
    }

    #[test]
    fn failures_are_told_apart() {
        let bad = "remote certificate verification";
        for (notices, expected) in [
            (vec![device(120, SSID_NOT_FOUND)], JoinFailure::NotFound),
            (vec![device(120, NO_SECRETS)], JoinFailure::Rejected),
            (vec![Notice::PasswordRefused], JoinFailure::Rejected),
            (vec![device(120, 11)], JoinFailure::Association),
            (vec![eap("started", ""), device(120, 11)], JoinFailure::AaaSilent),
            (vec![eap("started", ""), eap(bad, "self signed certificate")], JoinFailure::ServerCertificate),
            (
                vec![eap("started", ""), eap(bad, "certificate is not yet valid")],
                JoinFailure::CertificateDate,
            ),
            (
                vec![eap("started", ""), eap(bad, "success"), eap("completion", "failure")],
                JoinFailure::Rejected,
            ),
            (vec![device(110, NEW_ACTIVATION)], JoinFailure::Association),
            (vec![device(20, 36)], JoinFailure::Association),
        ] {
            let (tracker, outcomes) = joining([device(40, 0)].into_iter().chain(notices.clone()));
            assert_eq!(failure(&outcomes), Some(expected), "{notices:?}");
            assert_eq!(outcomes.last(), Some(&Outcome::Abandon), "{notices:?}");
            assert_eq!(tracker.deadline(), None);
        }
    }

    #[test]
    fn an_aaa_that_does_not_answer_is_noticed_after_twelve_seconds() {
        let (mut tracker, _) = joining([device(40, 0), device(50, 0), eap("started", "")]);
        assert_eq!(tracker.deadline(), Some(at(13)));
        assert_eq!(tracker.expire(at(12)), []);
        assert_eq!(failure(&tracker.expire(at(13))), Some(JoinFailure::AaaSilent));
    }

    #[test]
    fn an_access_point_that_goes_is_told_before_networkmanager_says_so() {
        let (mut tracker, _) = joining([device(40, 0), device(70, 0), device(100, 0)]);
        assert!(tracker.is_connected());
        let lost = Outcome::Tell(Event::Disconnected { reason: 7, locally: false });
        assert_eq!(feed(&mut tracker, 2, [link("associating", 7), link("disconnected", 7)]), [lost]);
        assert_eq!(
            feed(&mut tracker, 3, [link("completed", 0)]),
            [Outcome::Associated, Outcome::Connected, Outcome::ReadLease]
        );
        let local = Outcome::Tell(Event::Disconnected { reason: 4, locally: true });
        assert_eq!(feed(&mut tracker, 4, [link("disconnected", -4), device(120, 11)]), [local]);
        assert_eq!(feed(&mut tracker, 5, [link("completed", 0)]), [], "that would be somebody else's");
    }

    #[test]
    fn another_profile_that_takes_the_device_ends_ours() {
        let (mut tracker, _) = joining([device(40, 0), device(100, 0)]);
        let ended = Outcome::Tell(Event::Disconnected { reason: 0, locally: true });
        assert_eq!(feed(&mut tracker, 2, [device(110, NEW_ACTIVATION), device(100, 0)]), [ended]);
    }

    proptest! {
        /// Whatever comes in whatever order: a join ends exactly once, and never later than its limit.
        #[test]
        fn a_join_ends_once(picks in proptest::collection::vec((0usize..11, 0u64..5), 0..60)) {
            let mut tracker = Tracker::default();
            tracker.join(at(0));
            let (mut now, mut ends) = (0, 0);
            let mut count = |outcomes: Vec<Outcome>| {
                ends += outcomes.iter().filter(|outcome| **outcome == Outcome::Abandon).count();
            };
            for (pick, pause) in picks {
                now += pause;
                count(tracker.expire(at(now)));
                count(tracker.notice(at(now), match pick {
                    0 => device(30, 0),
                    1 => device(40, 0),
                    2 => device(50, 0),
                    3 => device(60, 0),
                    4 => device(120, 7),
                    5 => eap("started", ""),
                    6 => eap("completion", "failure"),
                    7 => eap("remote certificate verification", "success"),
                    8 => Notice::PasswordRefused,
                    9 => link("disconnected", 3),
                    _ => device(10, 0),
                }));
            }
            count(tracker.expire(at(now + 40)));
            prop_assert_eq!(ends, 1);
            prop_assert_eq!(tracker.deadline(), None);
        }
    }
}

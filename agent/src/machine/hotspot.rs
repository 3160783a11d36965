//! `LoggingIn` and the session at an open network's gateway (WISPr, RFC 8908): logged on after DHCP and before the probe,
//! logged off before the association goes.
//!
//! The log-off belongs to no state: the machine may be `Armed` already while the gateway is told. Nothing is joined and no
//! network block replaced before that is done.

use std::time::Duration;

use provisioning::{
    report::{self, Outcome},
    wispr::Wispr,
};

use super::{Action, Failure, Machine, Note, ReturnReason, State};
use crate::{
    supplicant::JoinFailure,
    wispr::{Command, Event, Fault, LOG_OFF_LIMIT, LOGIN_LIMIT, Task},
};

/// The login's own limit is shorter, with time for calling it off; this one holds when its task died.
const LIMIT: Duration = Duration::from_secs(LOGIN_LIMIT.as_secs() + 3 * LOG_OFF_LIMIT.as_secs());
/// The same for the log-off, which may have another step behind it.
const OFF_LIMIT: Duration = Duration::from_secs(2 * LOG_OFF_LIMIT.as_secs());
/// Wi-Fi is left so long before the gateway's end of the session, at least and at most; a tenth of it in between.
const MARGIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(30));

/// Facts about the gateway.
#[derive(Debug, Default)]
pub(super) struct Hotspot {
    session: Session,
    /// Wi-Fi is to be left as soon as the gateway has been told, and at the latest then.
    leaving: Option<Duration>,
}

/// Whether the gateway knows us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Session {
    #[default]
    None,
    LoggingIn,
    /// Logged on; Wi-Fi is to be left then, where an end was told.
    Open {
        leave_at: Option<Duration>,
    },
}

impl Hotspot {
    /// The gateway is being told that we go, over an association that must stand meanwhile.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// When the next look is due.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let session = match self.session {
            Session::Open { leave_at } => leave_at,
            Session::None | Session::LoggingIn => None,
        };
        [self.leaving, session].into_iter().flatten().min()
    }

    fn ends(&self, now: Duration) -> bool {
        matches!(self.session, Session::Open { leave_at: Some(at) } if now >= at)
    }
}

impl Machine {
    /// An address is there: open networks want a login first.
    pub(super) fn begin_login(&mut self, rules: Wispr) {
        let (Some(wlan), Some(lease)) = (&self.wlan, &self.lease) else { return };
        let Some(credential) = self.credential.chosen(self.now.unix) else { return };
        let task = Task {
            interface: wlan.name.clone(),
            dns: lease.dns.clone(),
            probe_url: credential.policy.probe_url.clone(),
            api_url: lease.captive_api.clone(),
            username: credential.username.clone(),
            password: credential.password.clone(),
            rules,
            ca_pem: credential.eap.ca_pem.clone(),
        };
        let ssid = self.join.ssid().unwrap_or_default().to_owned();
        self.hotspot.session = Session::LoggingIn;
        self.enter(State::LoggingIn);
        self.note(Note::LoggingIn { ssid });
        self.act(Action::Wispr(Command::LogOn(Box::new(task))));
    }

    pub(super) fn decide_logging_in(&mut self) {
        if self.age() >= LIMIT {
            self.abort_join(Failure::Hotspot(Fault::Protocol), "the login took too long");
        }
    }

    pub(super) fn logging_in_deadline(&self) -> Duration {
        self.entered + LIMIT
    }

    pub(super) fn learn_wispr(&mut self, event: Event) {
        let logging_in = self.state == State::LoggingIn;
        match event {
            Event::LoggedOff { confirmed } => {
                self.hotspot.session = Session::None;
                if self.hotspot.is_leaving() {
                    self.note(Note::LoggedOff { confirmed });
                    self.part();
                }
            }
            // What comes after the machine gave it up: the log-off is on its way.
            _ if !logging_in => {}
            Event::Online => {
                self.hotspot.session = Session::Open { leave_at: None };
                self.enter(State::Verifying);
            }
            Event::LoggedOn { gateway, location, ends_in } => {
                let now = self.now.since_boot;
                let leave_at = ends_in.map(|end| now + end - (end / 10).clamp(MARGIN.0, MARGIN.1).min(end));
                self.hotspot.session = Session::Open { leave_at };
                self.note(Note::LoggedOn { gateway, location, ends_in });
                self.login_accepted();
                self.enter(State::Verifying);
            }
            Event::Refused { text } => {
                self.hotspot.session = Session::None;
                self.learn_refusal(JoinFailure::Rejected, &text);
            }
            Event::Failed { fault, text } => {
                self.hotspot.session = Session::None;
                self.learn_login_failure(fault, &text);
            }
        }
    }

    /// The gateway's fault, not the credential's: it stays as it is.
    fn learn_login_failure(&mut self, fault: Fault, text: &str) {
        let failure = match fault {
            Fault::CertificateDate if !self.clock.confirmed() => Failure::Clock,
            Fault::Certificate | Fault::CertificateDate => Failure::ServerCertificate,
            Fault::NoGateway => Failure::Captive,
            Fault::NotOpen => Failure::NoInternet,
            other => Failure::Hotspot(other),
        };
        match fault {
            Fault::Certificate | Fault::CertificateDate => {
                self.report_failure(report::Failure::ServerCertificate);
            }
            Fault::Radius => self.report_failure(report::Failure::AaaSilent),
            _ => {}
        }
        self.abort_join(failure, text);
    }

    /// The AAA has accepted the credential, asked by the gateway.
    fn login_accepted(&mut self) {
        if let Some(username) = self.credential.chosen(self.now.unix).map(|chosen| chosen.username.clone()) {
            self.credential.accepted(&username);
            self.report(&username, Outcome::FirstSuccess);
        }
    }

    /// The session at the gateway ends soon, by what it told.
    pub(super) fn session_is_ending(&self) -> bool {
        self.hotspot.ends(self.now.since_boot)
    }

    /// The gateway holds us again: its session is over. True where there was one.
    pub(super) fn session_was_ended(&mut self) -> bool {
        let open = matches!(self.hotspot.session, Session::Open { .. });
        if open {
            self.hotspot.session = Session::None;
            self.act(Action::Wispr(Command::Forget));
            self.wifi_lost(ReturnReason::SessionEnded);
        }
        open
    }

    /// The link is dead: nobody can be told, and nobody is to wait.
    pub(super) fn link_died(&mut self) {
        if std::mem::take(&mut self.hotspot.session) != Session::None {
            self.act(Action::Wispr(Command::Forget));
        }
        if self.hotspot.is_leaving() {
            self.part();
        }
    }

    /// Wi-Fi is to be left: at once, or as soon as the gateway has been told.
    pub(super) fn begin_leaving(&mut self) {
        if self.hotspot.is_leaving() {
            return;
        }
        if self.hotspot.session == Session::None {
            self.part();
        } else {
            self.hotspot.leaving = Some(self.now.since_boot + OFF_LIMIT);
            self.act(Action::Wispr(Command::LogOff));
        }
    }

    pub(super) fn tend_leaving(&mut self) {
        if self.hotspot.leaving.is_some_and(|at| self.now.since_boot >= at) {
            self.note(Note::LoggedOff { confirmed: false });
            self.act(Action::Wispr(Command::Forget));
            self.part();
        }
    }

    fn part(&mut self) {
        self.hotspot = Hotspot::default();
        self.disassociate();
    }
}

impl Fault {
    /// What a person can do about it.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Name => {
                "the policy does not list this login page; the password was not told. Tell the operator if it is the right one"
            }
            Self::Location => {
                "another operator's gateway uses this network's name; the agent stays on cellular"
            }
            Self::Radius => "the gateway does not reach its RADIUS server; tell the operator",
            Self::Pending => "the operator's AAA did not answer the gateway in time; tell the operator",
            Self::Gateway => "the gateway has a fault of its own; tell who runs it",
            Self::Protocol => "the gateway does not speak WISPr as it should; the agent stays on cellular",
            Self::Unreachable => "the login page cannot be reached; tell who runs the network",
            Self::NoGateway => "the network wants a login page; the agent stays on cellular",
            Self::Certificate | Self::CertificateDate => {
                "the login page's certificate is not good for its name; the password was not told"
            }
            Self::NotOpen => "the gateway has no Internet; the agent stays on cellular",
        }
    }
}

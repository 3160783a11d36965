//! What the guest and the host tell each other: the order goes in as a file, the report comes out as JSON lines.
//!
//! The guest writes a line the moment something happens, so that the host shows it while it happens.

use std::{io::Write, sync::Mutex};

use serde::{Deserialize, Serialize};

use crate::{
    cases,
    demo::{Break, Step},
    world::owner::Owner,
};

/// What the guest is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Order {
    /// One whole offload and return.
    Demo {
        /// The one thing to make wrong.
        broken: Option<Break>,
        /// What NetworkManager owns.
        owner: Option<Owner>,
        /// The network is an open one, with a WISPr gateway.
        wispr: bool,
    },
    /// The scenarios of suite `vm`.
    Test {
        /// Only those whose name contains this.
        only: Option<String>,
        /// How often, and when, the agent is killed.
        crashes: Crashes,
    },
    /// The scenarios of suite `doctor`.
    Doctor {
        /// Only those whose name contains this.
        only: Option<String>,
    },
    /// The scenarios of suite `handover`.
    Handover {
        /// Only those whose name contains this.
        only: Option<String>,
        /// Moves to Wi-Fi, and as many back.
        moves: u32,
        /// Every trace, and everything with NetworkManager, too.
        full: bool,
    },
}

/// Kills of the agent at random moments.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Crashes {
    /// So many.
    pub(crate) number: u32,
    /// The same seed gives the same moments, as far as the machine is as fast.
    pub(crate) seed: u64,
}

/// One line of the report.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "report", rename_all = "kebab-case")]
pub(crate) enum Line {
    /// What is being done now.
    Progress {
        /// In words.
        what: String,
    },
    /// The demo's timeline.
    Step(Step),
    /// The traffic that ran through the whole of it.
    Traffic(Traffic),
    /// A real part and its version.
    Part {
        /// Program or kernel.
        name: String,
        /// As it says itself.
        version: String,
    },
    /// The demo was stopped.
    Stopped(Stopped),
    /// One test case ended.
    Case(Case),
    /// Nothing more comes.
    End,
}

/// Where a demo stopped, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stopped {
    /// Step of the timeline.
    pub(crate) step: String,
    /// Stable reason code.
    pub(crate) reason: String,
    /// In words; where to read on.
    pub(crate) text: String,
}

/// What the traffic through the whole of a demo suffered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Traffic {
    /// UDP echo, 50 a second.
    pub(crate) udp: Udp,
    /// TCP download.
    pub(crate) tcp: Tcp,
}

/// UDP echo.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Udp {
    /// Packets sent.
    pub(crate) sent: u64,
    /// Echoes that never came.
    pub(crate) lost: u64,
    /// Longest silence between two echoes.
    pub(crate) longest_gap_ms: u64,
}

/// TCP download.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tcp {
    /// Octets received.
    pub(crate) bytes: u64,
    /// All of them, and their digest is the sender's.
    pub(crate) intact: bool,
    /// Connections broken off.
    pub(crate) resets: u64,
}

/// One test case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Case {
    /// Unique in its suite.
    pub(crate) name: String,
    /// None is good.
    pub(crate) failure: Option<String>,
    /// How long it took.
    pub(crate) secs: f32,
    /// What the peer of another hand cannot do, with its own words as evidence. Neither good nor bad of us.
    #[serde(default)]
    pub(crate) limits: Vec<String>,
}

impl Order {
    /// Whether a case of it needs the message centre.
    pub(crate) fn wants_messages(&self) -> bool {
        match self {
            Self::Test { only, .. } => only.as_ref().is_none_or(|only| cases::BY_SMS.contains(only.as_str())),
            _ => false,
        }
    }
}

impl Case {
    /// One that is good.
    pub(crate) fn good(name: &str, secs: f32) -> Self {
        Self { name: name.to_owned(), failure: None, secs, limits: Vec::new() }
    }

    /// One that is not.
    pub(crate) fn bad(name: &str, secs: f32, failure: String) -> Self {
        Self { failure: Some(failure), ..Self::good(name, secs) }
    }
}

/// Writes the report. Threads may share it.
pub(crate) struct Reporter(Mutex<Box<dyn Write + Send>>);

impl Reporter {
    /// To here.
    pub(crate) fn new(to: impl Write + Send + 'static) -> Self {
        Self(Mutex::new(Box::new(to)))
    }

    /// One line. A report that cannot be written leaves the reader to its time limit.
    pub(crate) fn send(&self, line: &Line) {
        if let (Ok(mut to), Ok(mut text)) = (self.0.lock(), serde_json::to_string(line)) {
            text.push('\n');
            let _ = to.write_all(text.as_bytes()).and_then(|()| to.flush());
        }
    }

    /// What is being done now.
    pub(crate) fn progress(&self, what: &str) {
        self.send(&Line::Progress { what: what.to_owned() });
    }
}

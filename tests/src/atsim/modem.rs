//! The simulated modem's mind: AT commands in, answers and unsolicited lines out. Pure; `simulator` carries the lines.
//!
//! 3GPP TS 27.007 for the general commands, and Huawei's `^NDISDUP` for a data session over a network port. It
//! knows what ModemManager 1.20 asks, and refuses the rest as a modem does: with `+CME ERROR: 4`.

use std::net::Ipv4Addr;

/// What differs from modem to modem and from SIM to SIM.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    /// International Mobile Equipment Identity, 15 digits.
    pub(crate) imei: String,
    /// International Mobile Subscriber Identity; MCC of three digits, MNC of two.
    pub(crate) imsi: String,
    /// Serial number of the SIM, 19 digits.
    pub(crate) iccid: String,
    /// Subscriber's number.
    pub(crate) msisdn: String,
    /// Name of the network.
    pub(crate) operator: String,
}

/// What the network gives to a data session (`^DHCP?`).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Address {
    pub(crate) own: Ipv4Addr,
    pub(crate) mask: Ipv4Addr,
    pub(crate) gateway: Ipv4Addr,
    pub(crate) dns: [Ipv4Addr; 2],
}

/// `+CREG` status (TS 27.007 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registration {
    Idle = 0,
    Home = 1,
    Searching = 2,
    Denied = 3,
    Roaming = 5,
}

/// What is in the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sim {
    Ready,
    Absent,
    /// Waits for its PIN, which is 1234.
    Pin,
    /// Blocked after three wrong PINs.
    Puk,
}

/// A data session began or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Session {
    Started,
    Stopped,
}

/// `+CME ERROR` (TS 27.007 §9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    NotSupported = 4,
    SimNotInserted = 10,
    SimPinRequired = 11,
    SimPukRequired = 12,
    IncorrectPassword = 16,
}

/// One command's answer: lines before `OK`, or the refusal.
pub(super) type Answer = Result<Vec<String>, Refusal>;

/// The modem.
#[derive(Debug)]
pub(crate) struct Modem {
    pub(super) identity: Identity,
    pub(super) address: Address,
    pub(super) sim: Sim,
    pub(super) pin_tries: u8,
    pub(super) registration: Registration,
    /// `+CSQ`: 0 to 31, 99 unknown.
    pub(super) signal: u8,
    pub(super) online: bool,
    pub(super) session: bool,
    /// What the network told of the time (3GPP TS 22.042), seconds since 1970; many tell nothing.
    pub(super) network_time: Option<u64>,
    /// Access point name of each context.
    pub(super) contexts: std::collections::BTreeMap<u8, String>,
    /// `+CREG`, `+CGREG`, `+CEREG`: what the host wants to be told.
    pub(super) reporting: [u8; 3],
    numeric_operator: bool,
    numeric_errors: bool,
    pub(super) ucs2: bool,
    /// The network gives data sessions.
    pub(super) data_allowed: bool,
    pub(super) messages: super::messages::Messages,
    unsolicited: Vec<String>,
    sessions: Vec<Session>,
}

/// Location: tracking area and cell; access technology 7 is LTE (TS 27.007 §7.2).
const CELL: &str = "\"1A2B\",\"01A2B301\",7";
const REPORTS: [&str; 3] = ["+CREG", "+CGREG", "+CEREG"];

impl Modem {
    /// In the network, with a ready SIM, without a data session.
    pub(crate) fn new(identity: Identity, address: Address) -> Self {
        Self {
            identity,
            address,
            sim: Sim::Ready,
            pin_tries: 3,
            registration: Registration::Home,
            signal: 20,
            online: true,
            session: false,
            network_time: None,
            contexts: [(1, "internet".to_owned())].into(),
            reporting: [0; 3],
            numeric_operator: false,
            numeric_errors: false,
            ucs2: false,
            data_allowed: true,
            messages: super::messages::Messages::default(),
            unsolicited: Vec::new(),
            sessions: Vec::new(),
        }
    }

    /// Answers one line, such as `AT+CREG?`; none where it is no command. Lines end as TS 27.005 wants.
    pub(crate) fn line(&mut self, line: &str) -> Option<String> {
        let body = line.get(..2).filter(|at| at.eq_ignore_ascii_case("AT")).and_then(|_| line.get(2..))?;
        if self.prompts(&body.to_ascii_uppercase()) {
            return Some("\r\n> ".to_owned());
        }
        let mut lines = Vec::new();
        for command in commands(body) {
            match self.command(command) {
                Ok(more) => lines.extend(more),
                Err(refusal) if self.numeric_errors => {
                    return Some(format!("\r\n+CME ERROR: {}\r\n", refusal as u8));
                }
                Err(_) => return Some("\r\nERROR\r\n".to_owned()),
            }
        }
        let body = if lines.is_empty() { String::new() } else { format!("\r\n{}\r\n", lines.join("\r\n")) };
        Some(format!("{body}\r\nOK\r\n"))
    }

    /// Lines to be sent on all ports, unasked.
    pub(crate) fn take_unsolicited(&mut self) -> Vec<String> {
        std::mem::take(&mut self.unsolicited)
    }

    /// What happened to the data session since the last call.
    pub(crate) fn take_sessions(&mut self) -> Vec<Session> {
        std::mem::take(&mut self.sessions)
    }

    /// The network registers or throws out. A modem that is not registered keeps its session: so do real ones for
    /// a while, and ModemManager then stays connected.
    pub(crate) fn set_registration(&mut self, registration: Registration) {
        self.registration = registration;
        self.report_registration();
    }

    pub(crate) fn set_signal(&mut self, signal: u8) {
        self.signal = signal;
    }

    /// Takes effect where the host reads the SIM next, as after a replug.
    pub(crate) fn set_sim(&mut self, sim: Sim) {
        self.sim = sim;
        self.pin_tries = 3;
        if sim != Sim::Ready {
            self.end_session();
        }
        self.report_registration();
    }

    pub(crate) fn set_imsi(&mut self, imsi: &str) {
        imsi.clone_into(&mut self.identity.imsi);
    }

    /// The network tells the time from the next registration on, or does not.
    pub(crate) fn set_network_time(&mut self, unix: Option<u64>) {
        self.network_time = unix;
    }

    /// Whether the network gives data sessions from now on; one that is up goes.
    pub(crate) fn allow_data(&mut self, allowed: bool) {
        self.data_allowed = allowed;
        if !allowed && self.session {
            self.drop_session();
        }
    }

    /// The network ends the session.
    pub(crate) fn drop_session(&mut self) {
        self.end_session();
        self.unsolicited.push("^NDISSTAT:0,33,,\"IPV4\"".to_owned());
    }

    /// The device was pulled: the session is gone, and nobody is told.
    pub(crate) fn power_cycle(&mut self) {
        self.end_session();
        self.reporting = [0; 3];
        self.numeric_errors = false;
        self.ucs2 = false;
        self.online = true;
        self.unsolicited.clear();
    }

    /// One command without `AT`.
    fn command(&mut self, command: &str) -> Answer {
        let upper = command.to_ascii_uppercase();
        if let Some(answer) = self.general(&upper) {
            return answer;
        }
        if let Some(answer) = self.sim_command(&upper) {
            return answer;
        }
        if let Some(answer) = self.registration_command(&upper) {
            return answer;
        }
        if let Some(answer) = self.message_command(&upper) {
            return answer;
        }
        self.data_command(&upper, command).unwrap_or(Err(Refusal::NotSupported))
    }

    fn general(&mut self, upper: &str) -> Option<Answer> {
        let answer = match upper {
            // Echo is the port's matter; the others are settings of no effect here (V.250).
            "" | "E0" | "E1" | "V1" | "Z" | "X4" | "&C1" | "&D2" | "&F" | "E0V1" | "E0+CMEE=1" => Vec::new(),
            "I" => vec![
                "Manufacturer: SimWorks".to_owned(),
                "Model: AT-SIM LTE".to_owned(),
                "Revision: 1.0".to_owned(),
                format!("IMEI: {}", self.identity.imei),
                "+GCAP: +CGSM,+DS,+ES".to_owned(),
            ],
            "+GCAP" => vec!["+GCAP: +CGSM,+DS,+ES".to_owned()],
            "+CGMI" => vec!["SimWorks".to_owned()],
            "+CGMM" => vec!["AT-SIM LTE".to_owned()],
            "+CGMR" => vec!["1.0".to_owned()],
            "+CGSN" => vec![self.identity.imei.clone()],
            // 28 is E-UTRAN: it makes this an LTE modem for ModemManager (TS 27.007 §5.9).
            "+WS46=?" => vec!["+WS46: (12,22,25,28,29,30,31)".to_owned()],
            "+CSCS=?" => vec!["+CSCS: (\"IRA\",\"GSM\",\"UCS2\")".to_owned()],
            "+CSCS?" => vec![format!("+CSCS: \"{}\"", if self.ucs2 { "UCS2" } else { "GSM" })],
            "+CFUN?" => vec![format!("+CFUN: {}", u8::from(self.online))],
            "+CSQ" => vec![format!("+CSQ: {},99", self.signal)],
            _ if upper.starts_with("+CMEE=") => {
                self.numeric_errors = upper != "+CMEE=0";
                Vec::new()
            }
            _ if upper.starts_with("+CSCS=") => {
                self.ucs2 = upper.contains("UCS2");
                Vec::new()
            }
            _ if upper.starts_with("+CFUN=") => {
                let online = upper.starts_with("+CFUN=1");
                if std::mem::replace(&mut self.online, online) != online {
                    if !online {
                        self.end_session();
                    }
                    self.report_registration();
                }
                Vec::new()
            }
            _ if upper.starts_with("+IFC=") || upper.starts_with("^CURC=") => Vec::new(),
            // Without it the Huawei plugin probes each port to its end and may never be done.
            "^GETPORTMODE" => vec!["^GETPORTMODE:TYPE:WCDMA:huawei,PCUI:0,MDM:1,NDIS:2".to_owned()],
            _ => return None,
        };
        Some(Ok(answer))
    }

    fn registration_command(&mut self, upper: &str) -> Option<Answer> {
        for index in 0..REPORTS.len() {
            let Some(rest) = REPORTS.get(index).and_then(|name| upper.strip_prefix(name)) else { continue };
            return match rest {
                "?" => Some(Ok(vec![self.registration_line(index, true)])),
                "=?" => Some(Ok(vec![format!("{}: (0-2)", REPORTS.get(index)?)])),
                "=0" | "=1" | "=2" => {
                    *self.reporting.get_mut(index)? = rest.get(1..)?.parse().ok()?;
                    Some(Ok(Vec::new()))
                }
                _ => None,
            };
        }
        let answer = match upper {
            "+COPS=3,0" => {
                self.numeric_operator = false;
                Vec::new()
            }
            "+COPS=3,2" => {
                self.numeric_operator = true;
                Vec::new()
            }
            "+COPS?" if !self.registered() => vec!["+COPS: 0".to_owned()],
            "+COPS?" if self.numeric_operator => vec![format!("+COPS: 0,2,\"{}\",7", self.network_code())],
            "+COPS?" => vec![format!("+COPS: 0,0,\"{}\",7", self.encoded(&self.identity.operator))],
            "+COPS=0" => Vec::new(),
            // Huawei's: whether the modem can tell the network's time, and what it is.
            "^NTCT?" => vec!["^NTCT: 1".to_owned()],
            "^NWTIME?" => match self.network_time.filter(|_| self.registered()).and_then(network_time) {
                Some(text) => vec![text],
                None => return Some(Err(Refusal::NotSupported)),
            },
            _ => return None,
        };
        Some(Ok(answer))
    }

    /// Registered, and able to be.
    pub(super) fn registered(&self) -> bool {
        self.online
            && self.sim == Sim::Ready
            && matches!(self.registration, Registration::Home | Registration::Roaming)
    }

    pub(super) fn begin_session(&mut self) {
        if !std::mem::replace(&mut self.session, true) {
            self.sessions.push(Session::Started);
        }
    }

    pub(super) fn end_session(&mut self) {
        if std::mem::take(&mut self.session) {
            self.sessions.push(Session::Stopped);
        }
    }

    pub(super) fn announce(&mut self, line: &str) {
        self.unsolicited.push(line.to_owned());
    }

    pub(super) fn report_registration(&mut self) {
        for index in 0..REPORTS.len() {
            if self.reporting.get(index).is_some_and(|mode| *mode > 0) {
                let line = self.registration_line(index, false);
                self.unsolicited.push(line);
            }
        }
    }

    fn registration_line(&self, index: usize, asked: bool) -> String {
        let mode = self.reporting.get(index).copied().unwrap_or(0);
        let able = self.online && self.sim == Sim::Ready;
        let status = if able { self.registration as u8 } else { 0 };
        let name = REPORTS.get(index).copied().unwrap_or_default();
        let front = if asked { format!("{mode},") } else { String::new() };
        let cell = if mode >= 2 && self.registered() { format!(",{CELL}") } else { String::new() };
        format!("{name}: {front}{status}{cell}")
    }

    /// MCC and MNC.
    fn network_code(&self) -> &str {
        self.identity.imsi.get(..5).unwrap_or_default()
    }

    /// Text in the character set that the host chose (TS 27.007 §5.5).
    pub(super) fn encoded(&self, text: &str) -> String {
        if self.ucs2 {
            text.encode_utf16().map(|unit| format!("{unit:04X}")).collect()
        } else {
            text.to_owned()
        }
    }
}

/// Year of two digits; the zone in quarters of an hour; hours of summer time.
fn network_time(unix: u64) -> Option<String> {
    let time = jiff::Timestamp::from_second(i64::try_from(unix).ok()?).ok()?;
    Some(format!("^NWTIME: {}+00,00", time.strftime("%y/%m/%d,%H:%M:%S")))
}

/// Splits `+COPS=3,2;+COPS?`; a semicolon inside quotes is text.
fn commands(body: &str) -> Vec<&str> {
    let mut quoted = false;
    body.split(|c| {
        quoted ^= c == '"';
        c == ';' && !quoted
    })
    .map(str::trim)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::settings, *};

    fn modem() -> Modem {
        Modem::new(settings::identity(), settings::address().unwrap())
    }

    fn ask(modem: &mut Modem, line: &str) -> String {
        modem.line(line).unwrap().replace("\r\n", "|")
    }

    #[test]
    fn registration_is_answered_and_reported() {
        let mut modem = modem();
        assert_eq!(ask(&mut modem, "AT+CREG?"), "|+CREG: 0,1||OK|");
        assert_eq!(ask(&mut modem, "at+cereg=2"), "|OK|");
        modem.set_registration(Registration::Roaming);
        assert_eq!(modem.take_unsolicited(), ["+CEREG: 5,\"1A2B\",\"01A2B301\",7"]);
        modem.set_registration(Registration::Denied);
        assert_eq!(modem.take_unsolicited(), ["+CEREG: 3"]);
        assert_eq!(ask(&mut modem, "AT+COPS=3,2;+COPS?"), "|+COPS: 0||OK|");
        modem.set_registration(Registration::Home);
        assert_eq!(ask(&mut modem, "AT+COPS=3,2;+COPS?"), "|+COPS: 0,2,\"00101\",7||OK|");
        assert_eq!(ask(&mut modem, "AT^NWTIME?"), "|ERROR|");
        modem.set_network_time(Some(1_795_870_800));
        assert_eq!(ask(&mut modem, "AT^NWTIME?"), "|^NWTIME: 26/11/28,13:00:00+00,00||OK|");
    }

    #[test]
    fn a_session_starts_is_told_and_is_dropped() {
        let mut modem = modem();
        assert_eq!(ask(&mut modem, "AT^NDISDUP=1,1,\"internet\""), "|OK|");
        assert_eq!(modem.take_unsolicited(), ["^NDISSTAT:1,,,\"IPV4\""]);
        assert_eq!(
            ask(&mut modem, "AT^DHCP?"),
            "|^DHCP: 0200400A,FCFFFFFF,0100400A,0100400A,3500400A,3600400A,150000000,50000000||OK|"
        );
        modem.drop_session();
        assert_eq!(modem.take_unsolicited(), ["^NDISSTAT:0,33,,\"IPV4\""]);
        assert_eq!(ask(&mut modem, "AT^NDISSTATQRY?"), "|^NDISSTATQRY:0,,,\"IPV4\"||OK|");
        assert_eq!(modem.take_sessions(), [Session::Started, Session::Stopped]);
    }

    #[test]
    fn without_registration_there_is_no_session() {
        let mut modem = modem();
        modem.set_registration(Registration::Searching);
        assert_eq!(ask(&mut modem, "AT^NDISDUP=1,1,\"internet\""), "|ERROR|");
        assert_eq!(modem.take_sessions(), []);
    }

    #[test]
    fn a_locked_sim_keeps_its_secrets_until_the_pin() {
        let mut modem = modem();
        ask(&mut modem, "AT+CMEE=1");
        modem.set_sim(Sim::Pin);
        assert_eq!(ask(&mut modem, "AT+CIMI"), "|+CME ERROR: 11|");
        assert_eq!(ask(&mut modem, "AT+CPIN=\"0000\""), "|+CME ERROR: 16|");
        assert_eq!(ask(&mut modem, "AT+CSIM=10,\"0020000100\""), "|+CSIM: 4,\"63C2\"||OK|");
        assert_eq!(ask(&mut modem, "AT+CPIN=\"1234\""), "|OK|");
        assert_eq!(ask(&mut modem, "AT+CIMI"), "|001010123456789||OK|");
        modem.set_sim(Sim::Absent);
        assert_eq!(ask(&mut modem, "AT+CPIN?"), "|+CME ERROR: 10|");
    }

    #[test]
    fn what_is_not_known_is_refused_and_noise_is_ignored() {
        let mut modem = modem();
        assert_eq!(ask(&mut modem, "AT+NOSUCH"), "|ERROR|");
        assert_eq!(modem.line("hello"), None);
        assert_eq!(modem.line("Ä"), None);
        assert_eq!(modem.line(""), None);
    }
}

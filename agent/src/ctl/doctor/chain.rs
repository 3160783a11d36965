//! The chain from the device's clock to the Internet behind Wi-Fi, and its first broken link. Pure: facts in, rows out.

use serde::Serialize;

use crate::machine::{Carrier, FailureStatus, State, Status};

/// Less free space than this and the credential may not be saved, octets.
const LEAST_SPACE: u64 = 1024 * 1024;

/// What was found out.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The daemon's picture, or why there is none.
    pub(super) status: Result<Status, String>,
    /// This device's clock, seconds since 1970.
    pub(super) unix: u64,
    /// No true time lies before this, seconds since 1970.
    pub(super) floor: u64,
    /// Free space where the daemon keeps its credential, octets; none where it cannot be asked.
    pub(super) free: Option<u64>,
    /// Whether somebody is `org.freedesktop.ModemManager1` on D-Bus; none without a bus.
    pub(super) modem_manager: Option<bool>,
    /// Whether a switch keeps the WLAN card silent; none where the kernel knows of no switch.
    pub(super) blocked: Option<Switch>,
    /// NetworkManager manages the interface though the configuration gives it to wpa_supplicant.
    pub(super) foreign_owner: bool,
}

/// State of the card's rfkill switches (Linux `Documentation/driver-api/rfkill.rst`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    /// The radio may send.
    Open,
    /// Blocked by software.
    Soft,
    /// Blocked by a switch or by the firmware.
    Hard,
}

/// What became of one link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Mark {
    /// It holds.
    Good,
    /// It is broken.
    Broken,
    /// Not known, or not needed now.
    Unknown,
}

/// One link as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    /// Stable name.
    pub(super) link: &'static str,
    /// For people.
    #[serde(skip)]
    pub(super) title: &'static str,
    /// Verdict.
    pub(super) mark: Mark,
    /// What was seen.
    pub(super) detail: String,
    /// What a person can do; only where it is broken.
    pub(super) remedy: Option<String>,
}

/// What a look at one link gives.
enum Finding {
    Good(String),
    Broken(String, String),
    Unknown(String),
}
use Finding::{Broken, Good, Unknown};

fn good() -> Finding {
    Good(String::new())
}

fn broken(detail: impl Into<String>, remedy: &str) -> Finding {
    Broken(detail.into(), remedy.to_owned())
}

fn unknown(why: &str) -> Finding {
    Unknown(why.to_owned())
}

/// A look at one link; the links before it hold.
type Look = fn(&Facts, &Status) -> Finding;

/// The chain: stable name, words, look. Links that need no daemon come first in [`diagnose`].
const CHAIN: [(&str, &str, Look); 23] = [
    ("modem", "modem", modem),
    ("sim", "SIM", |_, status| match status.cellular.modem.as_str() {
        "sim-missing" => {
            broken("the modem finds no SIM", "put the SIM in; some modems see it only after a restart")
        }
        _ => good(),
    }),
    ("sim-lock", "SIM unlocked", |_, status| match status.cellular.modem.as_str() {
        "locked" => broken(
            "the SIM waits for a code",
            "unlock the SIM (mmcli -i any --pin=…, or --puk=… --pin=…), or mend its PIN in agent.toml",
        ),
        _ => good(),
    }),
    ("denied", "network admits the SIM", |_, status| match status.cellular.modem.as_str() {
        "denied" => broken(
            "the network refuses to register this SIM",
            "ask the operator whether the SIM is active and may use this network",
        ),
        _ => good(),
    }),
    ("registration", "registered", registration),
    ("bearer", "cellular data", bearer),
    ("dns", "name resolution", |facts, status| portal(facts, status, "dns")),
    ("portal", "portal answers", |facts, status| portal(facts, status, "portal")),
    ("portal-certificate", "portal's certificate", |facts, status| {
        portal(facts, status, "portal-certificate")
    }),
    ("subscriber", "portal accepts the SIM", |facts, status| portal(facts, status, "subscriber")),
    ("credential", "credential", credential),
    ("owner", "card's owner", |facts, _| match facts.foreign_owner {
        true => broken(
            "NetworkManager manages the card, agent.toml gives it to wpa_supplicant",
            "set [wlan] owner = \"auto\", or: nmcli device set INTERFACE managed no",
        ),
        false => good(),
    }),
    ("rfkill", "radio switched on", rfkill),
    ("supplicant", "wpa_supplicant", supplicant),
    ("mac", "card's MAC address", |_, status| blames(status, "mac").unwrap_or_else(good)),
    ("ap-heard", "access point heard", heard),
    ("ap-signal", "access point near enough", signal),
    ("server-certificate", "Wi-Fi server's certificate", |_, status| wifi(status, "server-certificate")),
    ("login", "Wi-Fi login", |_, status| wifi(status, "login")),
    ("radius", "RADIUS server answers", |_, status| wifi(status, "radius")),
    ("dhcp", "address on Wi-Fi", |_, status| wifi(status, "dhcp")),
    ("captive", "no login page", |_, status| wifi(status, "captive")),
    ("internet", "Internet by Wi-Fi", |_, status| wifi(status, "internet")),
];

/// Walks the chain. What comes after the first broken link is not looked at: it may be a consequence.
pub(super) fn diagnose(facts: &Facts) -> Vec<Row> {
    let status = facts.status.as_ref();
    let first = [
        ("clock", "clock", clock(facts)),
        ("disk", "disk", disk(facts)),
        (
            "agent",
            "wifi-offloadd",
            match status {
                Ok(status) => Good(format!("version {}, {}", status.version, status.state)),
                Err(why) => broken(why.clone(), "start it: systemctl start wifi-offloadd"),
            },
        ),
    ];
    let mut rows = Vec::new();
    let mut stopped = false;
    for (link, title, finding) in first {
        push(&mut rows, &mut stopped, link, title, || finding);
    }
    for (link, title, look) in CHAIN {
        push(&mut rows, &mut stopped, link, title, || match status {
            Ok(status) => look(facts, status),
            Err(_) => unknown(""),
        });
    }
    rows
}

/// The first broken link.
pub(super) fn first_broken(rows: &[Row]) -> Option<&Row> {
    rows.iter().find(|row| row.mark == Mark::Broken)
}

fn push(
    rows: &mut Vec<Row>,
    stopped: &mut bool,
    link: &'static str,
    title: &'static str,
    finding: impl FnOnce() -> Finding,
) {
    let (mark, detail, remedy) = match if *stopped { unknown("") } else { finding() } {
        Good(detail) => (Mark::Good, detail, None),
        Broken(detail, remedy) => (Mark::Broken, detail, Some(remedy)),
        Unknown(detail) => (Mark::Unknown, detail, None),
    };
    *stopped |= mark == Mark::Broken;
    rows.push(Row { link, title, mark, detail, remedy });
}

/// The link that a failure of the daemon's blames.
fn blamed(failure: &FailureStatus) -> Option<&'static str> {
    Some(match failure.code.as_str() {
        "clock" => "clock",
        "cellular-connect" | "cellular-link" => "bearer",
        // The machine writes the step before the details (`provision::Event::Unreachable`).
        "portal-unreachable" => match failure.text.split_once(':').map(|(step, _)| step) {
            Some("dns") => "dns",
            Some("tls" | crate::provision::DATE) => "portal-certificate",
            _ => "portal",
        },
        "not-entitled" | "identity-mismatch" => "subscriber",
        "supplicant" => "supplicant",
        "association-failed" => "ap-signal",
        "server-certificate" => "server-certificate",
        // The AAA never says whether it was the password or the address.
        "rejected-by-aaa" => "login",
        "mac-refused" => "mac",
        "aaa-silent" => "radius",
        "no-dhcp" => "dhcp",
        "captive-portal" => "captive",
        "no-internet" | "route" => "internet",
        // They show in other facts, and those are newer.
        "sim-missing" | "sim-locked" | "network-not-found" => return None,
        code if code.starts_with("wispr") || code.starts_with("hotspot") => "captive",
        _ => "portal",
    })
}

/// The daemon's last failure, where it blames this link.
fn blames(status: &Status, link: &str) -> Option<Finding> {
    let failure = status.last_failure.as_ref().filter(|failure| blamed(failure) == Some(link))?;
    let remedy = match (link, failure.code.as_str()) {
        ("dns", _) => "the cellular network's name servers do not answer; ask the operator, or check the APN",
        ("portal-certificate", _) if failure.text.starts_with(crate::provision::DATE) => {
            "the portal's certificate has expired or is not valid yet; tell the operator"
        }
        ("portal-certificate", _) => "check [portal] ca in agent.toml; else tell the operator",
        (_, "not-entitled") => "the operator has not allowed this SIM, or has suspended it; ask the operator",
        (_, "rejected-by-aaa") => {
            "password or MAC address refused; a new credential is being fetched, the operator's log has the reason"
        }
        _ => &failure.remedy,
    };
    let detail = match failure.text.as_str() {
        "" => failure.code.clone(),
        text => format!("{}: {text}", failure.code),
    };
    Some(broken(detail, remedy))
}

fn clock(facts: &Facts) -> Finding {
    const REMEDY: &str =
        "set this device's clock (timedatectl); the agent does it by itself when the network tells the time";
    if facts.unix < facts.floor {
        return broken("it is before this program was built", REMEDY);
    }
    facts.status.as_ref().ok().and_then(|status| blames(status, "clock")).unwrap_or_else(good)
}

fn disk(facts: &Facts) -> Finding {
    match facts.free {
        Some(free) if free < LEAST_SPACE => broken(
            format!("{} KiB free for the credential", free / 1024),
            "make room on the file system of [state] dir (df /var/lib/wifi-offload)",
        ),
        Some(free) => Good(format!("{} MiB free", free / LEAST_SPACE)),
        None => unknown("its free space cannot be read"),
    }
}

fn modem(facts: &Facts, status: &Status) -> Finding {
    match (facts.modem_manager, status.cellular.modem.as_str()) {
        (Some(false), _) => broken("ModemManager does not run", "start it: systemctl start ModemManager"),
        (_, "no-modem") => broken(
            "ModemManager shows no modem",
            "plug the modem in; mmcli --list-modems shows what is found",
        ),
        (_, "failed") => broken("ModemManager says that the modem failed", "see why: mmcli -m any"),
        _ => good(),
    }
}

fn registration(_: &Facts, status: &Status) -> Finding {
    match (status.cellular.modem.as_str(), &status.cellular.operator) {
        ("searching", _) if !on_wifi(status) => broken(
            "the modem searches for a network",
            "go where there is coverage; check the antenna (mmcli -m any)",
        ),
        ("searching", _) => unknown("searching; not needed now"),
        (_, Some(operator)) => Good(format!("network {operator}")),
        (_, None) => good(),
    }
}

fn bearer(_: &Facts, status: &Status) -> Finding {
    match status.cellular.bearer.as_str() {
        "ready" => Good(status.cellular.interface.clone().unwrap_or_default()),
        word if on_wifi(status) => Unknown(format!("{word}; not needed now")),
        word => blames(status, "bearer").unwrap_or_else(|| {
            let detail = format!("the data connection is {word}");
            broken(detail, "check the SIM, the APN in agent.toml and the coverage (mmcli -m any)")
        }),
    }
}

fn portal(_: &Facts, status: &Status, link: &str) -> Finding {
    let finding = blames(status, link);
    match (finding, &status.credential) {
        (Some(finding), _) => finding,
        (None, Some(_)) => good(),
        (None, None) => unknown("not known yet"),
    }
}

fn credential(_: &Facts, status: &Status) -> Finding {
    match &status.credential {
        Some(_) => good(),
        None => broken(
            format!("none yet; the agent is {}", status.state),
            "wait a moment; offloadctl status shows whether the portal is being asked",
        ),
    }
}

fn rfkill(facts: &Facts, _: &Status) -> Finding {
    match facts.blocked {
        Some(Switch::Soft) => broken("blocked by software", "rfkill unblock wlan"),
        Some(Switch::Hard) => {
            broken("blocked by a switch", "find the device's radio switch or its BIOS setting")
        }
        Some(Switch::Open) => good(),
        None => unknown("the card has no switch"),
    }
}

fn supplicant(_: &Facts, status: &Status) -> Finding {
    if status.wlan.interface.is_none() {
        return broken("there is no WLAN card", "check the card and its driver (ip link, dmesg)");
    }
    if !status.wlan.supplicant {
        return broken(
            "nobody answers at its control socket",
            "start wpa_supplicant, or correct [supplicant] control-dir in agent.toml",
        );
    }
    blames(status, "supplicant").unwrap_or_else(good)
}

/// Wi-Fi is being used or joined.
fn on_wifi(status: &Status) -> bool {
    status.carrier == Carrier::Wifi || status.state == State::Offloaded
}

fn heard(_: &Facts, status: &Status) -> Finding {
    match &status.wlan.heard {
        _ if status.wlan.ssid.is_some() => good(),
        None => unknown("not looked yet"),
        Some(heard) => match heard.signal_dbm {
            Some(dbm) => Good(format!("{dbm} dBm")),
            None => broken(
                "none of the operator's networks",
                "go where the operator has Wi-Fi; else check the antenna",
            ),
        },
    }
}

fn signal(_: &Facts, status: &Status) -> Finding {
    match &status.wlan.heard {
        _ if on_wifi(status) => good(),
        Some(heard) if heard.signal_dbm.is_some_and(|dbm| dbm < heard.enter_dbm) => broken(
            format!("{} dBm, wanted {}", heard.signal_dbm.unwrap_or_default(), heard.enter_dbm),
            "go nearer to the access point, or turn the antenna",
        ),
        None => unknown(""),
        Some(_) => blames(status, "ap-signal").unwrap_or_else(good),
    }
}

fn wifi(status: &Status, link: &str) -> Finding {
    match blames(status, link) {
        _ if on_wifi(status) => good(),
        Some(finding) => finding,
        None => unknown("not reached yet"),
    }
}

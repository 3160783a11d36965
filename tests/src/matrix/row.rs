//! One combination from an empty disk to the second login: what must be so, and what came out.

use std::{
    cell::{Cell, RefCell},
    fs,
    path::Path,
};

use agent::{machine::State, wlan::links::Link};
use anyhow::{Context as _, Result, bail, ensure};
use provisioning::{
    identity::Mac,
    message::{Credential, MacMode, Trigger},
};

use super::{
    axes::{AfterMove, Binding, Combination, Filter, Lifetime, Renewal, Threshold, Transport, Username},
    device::{CARD, Device},
    login::{login, method},
    site::{EVERY_SECS, OPERATOR, PARTNER, PERIOD_SECS, PLAIN_NAME, PLAIN_PASSWORD, Site},
};
use crate::{clock, peers::User};

/// Another card than the device's.
const OTHER: Mac = Mac([0x02, 0, 0x5e, 0, 1, 1]);
/// Heard, and not worth a move.
const WEAK_DBM: i32 = -88;
/// Next to the access point.
const STRONG_DBM: i32 = -50;
/// Virtual seconds: for a state that must come, and for one that must not.
const SOON: u64 = 120;
const LONG: u64 = 45;
/// The AAA follows what another process writes within a second.
const NEWS: std::time::Duration = std::time::Duration::from_secs(10);

/// Folders of a row.
pub(super) struct Place<'a> {
    /// For files.
    pub(super) dir: &'a Path,
    /// For logs.
    pub(super) logs: &'a Path,
    /// The message centre's script.
    pub(super) smsc: &'a Path,
}

/// Runs it; gives the outcome in a line.
pub(super) fn run(wanted: &Combination, number: u8, place: &Place<'_>) -> Result<String> {
    let site = Site::make(wanted, number, &place.dir.join("site"), place.smsc, place.logs)?;
    let mut told = Vec::new();
    // Bound to the card, it logs in by that; else it must log in by any other, and does so here.
    let card = if wanted.binding == Binding::On { CARD } else { OTHER };
    let logins =
        Logins { wanted, site: &site, dir: place.dir, count: Cell::new(0), card, last: RefCell::default() };
    let mut device = Device::new(wanted, &site, Box::new(|credential| logins.ask(credential, logins.card)))?;
    let outcome = life(wanted, &mut device, &logins, &mut told);
    let story =
        || format!("asked {:?}, logins {:?}, failures {:?}", device.asked, device.logins, device.failed);
    outcome.with_context(story)?;
    if wanted.username == Username::Plain {
        plain(&logins)?;
        told.push("plain name in".to_owned());
    }
    let log = fs::read_to_string(site.server.log())?;
    ensure!(!log.contains(super::site::IMSI), "an IMSI stands in the log");
    drop(device);
    site.end()?;
    Ok(told.join("; "))
}

/// The configuration of this combination must be refused with these words.
pub(super) fn refused(wanted: &Combination, place: &Place<'_>, words: &str) -> Result<()> {
    let error = match Site::make(wanted, 0, &place.dir.join("site"), place.smsc, place.logs) {
        Ok(_) => bail!("it was taken"),
        Err(error) => format!("{error:#}"),
    };
    ensure!(error.contains(words), "{error}");
    Ok(())
}

fn life(
    wanted: &Combination,
    device: &mut Device<'_>,
    logins: &Logins<'_>,
    told: &mut Vec<String>,
) -> Result<()> {
    // Cellular is up, a credential is asked for and waits in the supplicant.
    ensure!(device.until(SOON, |device| device.installed().is_some())?, "no credential came");
    ensure!(device.asked == [Trigger::Attach], "the portal was asked {:?}", device.asked);
    let by_sms = usize::from(wanted.transport == Transport::Sms);
    ensure!(device.by_sms == by_sms, "asked by SMS {} times", device.by_sms);
    let first = device.installed().cloned().context("no credential")?;
    check(wanted, &first)?;
    told.push("issued".to_owned());

    if wanted.binding == Binding::On {
        ensure!(!logins.ask(&first, OTHER)?, "another card logged in with it");
        told.push("other card out".to_owned());
    }

    // A weak signal counts only where no signal does.
    device.signal(Some(WEAK_DBM));
    device.run(LONG)?;
    let joined = device.logins.len();
    ensure!((joined > 0) == (wanted.threshold == Threshold::Off), "{joined} logins at {WEAK_DBM} dBm");
    device.signal(Some(STRONG_DBM));
    on_wifi(device)?;
    let login = device.logins.last().context("no login")?.clone();
    let ssid = if wanted.filter == Filter::OperatorOwned { OPERATOR } else { PARTNER };
    ensure!(login.ssid == ssid && login.newest, "{login:?}");
    told.push(format!("joined {ssid} at {} dBm", login.signal_dbm));

    if wanted.lifetime == Lifetime::OneTime {
        let used = logins.last.borrow().clone().context("no credential was used")?;
        ensure!(!logins.ask(&used, logins.card)?, "a one-time credential logged in twice");
        told.push("used one out".to_owned());
    }

    device.run(LONG)?;
    let down = wanted.after_move == AfterMove::Down;
    ensure!(device.on_cellular() != down, "cellular after the move: {}", device.on_cellular());
    told.push(format!("cellular {}", wanted.after_move.word()));

    // Out of reach, and back with what the renewal says.
    device.signal(None);
    let back = |device: &Device<'_>| device.carrier == Some(Link::Cellular) && device.state() == State::Armed;
    ensure!(device.until(SOON, back)?, "not back on cellular: {}", device.state());
    renew(wanted, device)?;
    device.signal(Some(STRONG_DBM));
    on_wifi(device)?;
    let second = device.logins.last().context("no login")?.username.clone();
    let asked: Vec<String> = device.asked.iter().skip(1).map(|trigger| format!("{trigger:?}")).collect();
    let expected = expected(wanted);
    ensure!(
        expected.iter().all(|trigger| device.asked.iter().skip(1).any(|asked| asked == trigger)),
        "asked for {asked:?}, expected {expected:?}"
    );
    let renewed = wanted.renewal != Renewal::Expiry || wanted.lifetime != Lifetime::Device;
    ensure!(renewed == (second != login.username), "the second login is by {second}");
    ensure!(expected.is_empty() == asked.is_empty(), "asked for {asked:?}, expected {expected:?}");
    ensure!(device.logins.iter().all(|login| login.accepted), "a login was refused");
    told.push(match asked.as_slice() {
        [] => "never renewed".to_owned(),
        asked => format!("renewed: {}", asked.join(" ")),
    });
    let mut once = device.came.clone();
    once.sort_unstable();
    once.dedup();
    ensure!(once.len() == device.came.len(), "a username came twice");
    Ok(())
}

fn on_wifi(device: &mut Device<'_>) -> Result<()> {
    let there =
        |device: &Device<'_>| device.state() == State::Offloaded && device.carrier == Some(Link::Wlan);
    ensure!(device.until(SOON, there)?, "not on Wi-Fi: {}", device.state());
    Ok(())
}

/// The credential says what was configured.
fn check(wanted: &Combination, credential: &Credential) -> Result<()> {
    let life = credential.expires_at.map(|at| at - credential.issued_at);
    ensure!(life == (wanted.lifetime == Lifetime::Period).then_some(PERIOD_SECS), "it lives for {life:?} s");
    ensure!(
        credential.one_time == (wanted.lifetime == Lifetime::OneTime),
        "one-time: {}",
        credential.one_time
    );
    let mode = if wanted.binding == Binding::On { MacMode::Permanent } else { MacMode::Unbound };
    ensure!(credential.mac_mode == mode, "{:?}", credential.mac_mode);
    ensure!(credential.username.ends_with("@operator.example"), "no NAI: {}", credential.username);
    ensure!(credential.signed_policy.is_some(), "the policy is not signed");
    Ok(())
}

/// Lets happen what makes the portal be asked.
fn renew(wanted: &Combination, device: &mut Device<'_>) -> Result<()> {
    match wanted.renewal {
        Renewal::Attach => {
            device.coverage(false);
            device.run(LONG)?;
            device.coverage(true);
            device.run(LONG)
        }
        Renewal::Periodic => device.run(EVERY_SECS + LONG),
        Renewal::BeforeMove | Renewal::AfterReturn => device.run(LONG),
        // Four fifths of the life at most.
        Renewal::Expiry => device.run(PERIOD_SECS / 100 * 85),
    }
}

/// What the portal must have been asked for after the first time.
fn expected(wanted: &Combination) -> Vec<Trigger> {
    let mut expected = match wanted.renewal {
        // The next one came when the last was used: it has never been used, and is as good as a newer one.
        Renewal::Attach | Renewal::AfterReturn if wanted.lifetime == Lifetime::OneTime => Vec::new(),
        Renewal::Attach => vec![Trigger::Attach],
        Renewal::Periodic => vec![Trigger::Periodic],
        Renewal::BeforeMove => vec![Trigger::BeforeMove],
        Renewal::AfterReturn => vec![Trigger::ReturnedToCellular],
        // What has no end does not expire (B8), and what is used up is another matter (B6).
        Renewal::Expiry if wanted.lifetime == Lifetime::Period => vec![Trigger::Expiry],
        Renewal::Expiry => Vec::new(),
    };
    if wanted.lifetime == Lifetime::OneTime {
        expected.push(Trigger::Used);
    }
    expected
}

/// Logins at the AAA of one row.
struct Logins<'a> {
    wanted: &'a Combination,
    site: &'a Site,
    dir: &'a Path,
    count: Cell<u32>,
    /// What the device logs in by.
    card: Mac,
    /// The last credential that was let in.
    last: RefCell<Option<Credential>>,
}

impl Logins<'_> {
    /// With what the credential says, trust included.
    fn ask(&self, credential: &Credential, card: Mac) -> Result<bool> {
        let user = User {
            name: credential.username.clone(),
            password: credential.password.expose().to_owned(),
            station: card.to_string(),
        };
        let method = method(credential.eap.outer, credential.eap.inner)?;
        let accepted = self.user(&user, &credential.eap.ca_pem, method)?;
        if accepted {
            self.last.replace(Some(credential.clone()));
        }
        Ok(accepted)
    }

    fn user(&self, user: &User, ca_pem: &str, method: eap::LoginMethod) -> Result<bool> {
        let number = self.count.replace(self.count.get() + 1);
        let (ca, file) = (self.dir.join("aaa-ca.pem"), self.dir.join(format!("eapol-{number}.conf")));
        crate::peers::write(&ca, ca_pem)?;
        login(self.wanted.logon, self.site.aaa().radius(), &ca, method, user, &file)
    }
}

/// A name without realm, made by hand, logs in the same way; bound to the card or not, as the credential is.
fn plain(logins: &Logins<'_>) -> Result<()> {
    let card = logins.card;
    let server = &logins.site.server;
    let station = card.to_string();
    let mut words = vec!["user", "add", PLAIN_NAME, "--password", PLAIN_PASSWORD];
    if logins.wanted.binding == Binding::On {
        words.extend(["--mac", &station]);
    }
    server.admin(&words)?;
    let ca = fs::read_to_string(server.certificate().ca)?;
    let method = match logins.wanted.logon {
        super::axes::Logon::Ttls => eap::LoginMethod::TtlsPap,
        _ => eap::LoginMethod::PeapMschapv2,
    };
    let user = |station: Mac, password: &str| User {
        name: PLAIN_NAME.to_owned(),
        password: password.to_owned(),
        station: station.to_string(),
    };
    clock::until("the AAA knows a new account", NEWS, || {
        Ok(logins.user(&user(card, PLAIN_PASSWORD), &ca, method)?.then_some(()))
    })?;
    if logins.user(&user(card, "another"), &ca, method)? {
        bail!("the plain name logs in by another password");
    }
    let other = if card == CARD { OTHER } else { CARD };
    let let_in = logins.user(&user(other, PLAIN_PASSWORD), &ca, method)?;
    ensure!(let_in == (logins.wanted.binding == Binding::Off), "the plain name by another card: {let_in}");
    Ok(())
}

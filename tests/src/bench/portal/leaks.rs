//! Secrets under load: nothing that is told to the portal, or by it, may stand in clear in the database, its write-ahead
//! log, the log, or in what could be overheard.
//!
//! Devices with random numbers ask in every format, rightly and wrongly, and log in with what they get. The packet
//! gateway's accounting carries IMSI and IMEISV in clear by 3GPP's rules (TS 29.061 §16.4.7): it is captured apart, and
//! the search must find them there, or it would prove nothing elsewhere. Operators run it inside the core, or by RadSec.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use provisioning::{format::Format, message::Reason};
use serde::Serialize;

use super::{
    PORTAL_NAME,
    client::Client,
    fleet::{Device, posted},
    gate, load,
    operator::{GATEWAY_NAME, GATEWAY_NETWORK, report},
};
use crate::{
    peers::{
        SECRET, User,
        eapol::{Attempt, Method, Tls},
        portal::PortalAaa,
        private_folder,
    },
    secrets::{Files, Secrets, spellings},
    world::{capture::Capture, netns::Netns},
};

/// Devices.
const DEVICES: usize = 400;
/// Rounds in which each asks.
const ROUNDS: usize = 4;
/// Of them, those that log in.
const LOGINS: usize = 4;

/// What was searched.
#[derive(Debug, Serialize)]
pub(super) struct Searched {
    /// IMSIs, IMEIs, MSISDNs and passwords.
    pub(super) secrets: usize,
    /// Spellings of them.
    pub(super) spellings: usize,
    /// Searches while devices asked.
    pub(super) during: usize,
    /// Octets of the last search.
    pub(super) octets: usize,
    /// Credentials issued meanwhile.
    pub(super) issued: usize,
    /// Requests refused meanwhile.
    pub(super) refused: usize,
    /// What was found; nothing may be.
    pub(super) found: Vec<String>,
}

/// One subscriber.
struct Subscriber {
    device: Device,
    msisdn: String,
}

/// How an installation is made: of the program as it is shipped, or as tests use it.
type Make = fn(&str, &Path, &Path) -> Result<PortalAaa>;

/// Runs it; an error where it could not be proved, found secrets in the answer.
pub(super) fn search(make: Make, work: &Path, logs: &Path, out: &Path) -> Result<Searched> {
    private_folder(work)?;
    // Without what comes to standard output of our own tools: that is not the product's.
    let (own_logs, captures, elsewhere) = (work.join("log"), work.join("captures"), work.join("elsewhere"));
    for folder in [&own_logs, &captures, &elsewhere] {
        private_folder(folder)?;
    }
    let fleet = (0..DEVICES).map(Subscriber::random).collect::<Result<Vec<_>>>()?;
    let identities = Secrets::new(fleet.iter().enumerate().flat_map(|(at, one)| one.secrets(at)));
    proved(&identities, &fleet, &elsewhere)?;

    let installation = work.join("installation");
    let mut server = make("leaks", &installation, &own_logs)?;
    server.admin(&["gateway", "add", GATEWAY_NAME, "--network", GATEWAY_NETWORK, "--secret", SECRET])?;
    server.edit("subscribers = \"any\"", "subscribers = \"listed\"")?;
    let list = elsewhere.join("subscribers.csv");
    let lines: String =
        fleet.iter().map(|one| format!("{},{}\n", one.device.imsi.expose(), one.msisdn)).collect();
    fs::write(&list, format!("imsi,msisdn\n{lines}"))?;
    server.admin(&["subscriber", "import", &list.display().to_string()])?;
    let feed = format!("udp port {}", server.accounting().port());
    let start =
        |name: &str, filter: &str| Capture::start(name, &Netns::here(), &["lo", filter], &captures, logs);
    let (overheard, gateway) = (start("overheard", &format!("not ({feed})"))?, start("gateway", &feed)?);
    server.serve()?;
    for (number, one) in fleet.iter().enumerate() {
        report(&server, u8::try_from(number % 256)?, &one.device)?;
    }

    let places = [installation.clone(), own_logs.clone(), captures.clone()];
    let places: Vec<PathBuf> = places.into();
    let (load, during, mut found) = under_load(&server, &fleet, &identities, &places)?;
    // Asked about, listed, and told to a person who may see it: nothing of it may go to a file.
    let passwords = load.passwords.values();
    for user in passwords.clone().take(LOGINS) {
        log_in(&server, user, &elsewhere)?;
    }
    overheard.finish(out)?;
    gateway.finish(out)?;
    // Also what it writes at its end.
    server.stop()?;

    let all =
        Secrets::new(fleet.iter().enumerate().flat_map(|(at, one)| one.secrets(at)).chain(
            passwords.clone().map(|user| (format!("password of {}", user.name), user.password.as_str())),
        ));
    fs::rename(captures.join("gateway.pcap"), elsewhere.join("gateway.pcap"))?;
    let files = Files::below(&places)?;
    ensure!(files.has("overheard.pcap", PORTAL_NAME.as_bytes()), "the capture has not caught a ClientHello");
    ensure!(files.has("leaks.log", b"credential-issued"), "the log says nothing of credentials");
    ensure!(files.has("leaks.log", b"credential-refused"), "the log says nothing of refusals");
    let told = identities.in_files(&Files::below(&[elsewhere.join("gateway.pcap")])?);
    ensure!(told.len() >= DEVICES, "the gateway's own capture holds {} identities", told.len());
    found.extend(all.in_files(&files));
    found.sort_unstable();
    found.dedup();
    let secrets: Vec<&str> = fleet
        .iter()
        .flat_map(|one| one.plain())
        .chain(passwords.map(|user| user.password.as_str()))
        .collect();
    Ok(Searched {
        secrets: secrets.len(),
        spellings: secrets.iter().map(|secret| spellings(secret).len()).sum(),
        during,
        octets: files.octets(),
        issued: load.issued,
        refused: load.refused,
        found,
    })
}

impl Subscriber {
    fn random(number: usize) -> Result<Self> {
        let digits = |count: usize| -> Result<String> {
            let mut octets = vec![0; count];
            getrandom::fill(&mut octets).map_err(|error| anyhow!("{error}"))?;
            // Not even, and not meant to be.
            Ok(octets.iter().map(|octet| char::from(b'0' + octet % 10)).collect())
        };
        let device = Device::scattered(number, &format!("00101{}", digits(10)?), &digits(12)?)?;
        Ok(Self { device, msisdn: format!("4917{}", digits(9)?) })
    }

    fn plain(&self) -> [&str; 3] {
        // IMEI and IMEISV of the equipment share these digits.
        [self.device.imsi.expose(), self.device.imei.equipment(), &self.msisdn]
    }

    fn secrets(&self, at: usize) -> impl Iterator<Item = (String, &str)> {
        ["IMSI", "IMEI", "MSISDN"]
            .into_iter()
            .map(move |kind| format!("{kind} of device {at}"))
            .zip(self.plain())
    }
}

/// The search finds each spelling of each kind where it stands in a file.
fn proved(secrets: &Secrets, fleet: &[Subscriber], folder: &Path) -> Result<()> {
    let last = fleet.last().context("nobody")?;
    for (kind, secret) in ["IMSI", "IMEI", "MSISDN"].into_iter().zip(last.plain()) {
        for (number, spelling) in spellings(secret).into_iter().enumerate() {
            let planted = folder.join(format!("planted-{number}"));
            fs::write(&planted, [b"-----".as_slice(), &spelling, b"-----"].concat())?;
            let found = secrets.in_files(&Files::below(&[&planted])?);
            ensure!(!found.is_empty(), "a planted {kind} was not found in spelling {number}");
            fs::remove_file(&planted)?;
        }
    }
    Ok(())
}

/// What the load came to.
#[derive(Default)]
struct Load {
    issued: usize,
    refused: usize,
    /// The last credential of each device.
    passwords: BTreeMap<usize, User>,
}

/// Devices ask; meanwhile all places are searched again and again.
fn under_load(
    server: &PortalAaa,
    fleet: &[Subscriber],
    secrets: &Secrets,
    places: &[PathBuf],
) -> Result<(Load, usize, Vec<String>)> {
    let client = Client::new(server.portal(), &server.portal_certificate().ca, Tls::V13)?;
    let (load, ended) = (Mutex::new(Load::default()), AtomicBool::new(false));
    // The gateway's own capture carries them by right.
    let places: Vec<PathBuf> = places
        .iter()
        .map(|place| place.join("overheard.pcap"))
        .filter(|p| p.exists())
        .chain(places.iter().filter(|place| !place.ends_with("captures")).cloned())
        .collect();
    let searched = thread::scope(|scope| {
        let searching = scope.spawn(|| -> Result<(usize, Vec<String>)> {
            let (mut times, mut found) = (0, Vec::new());
            loop {
                let last = ended.load(Ordering::Acquire);
                found.extend(secrets.in_files(&Files::below(&places)?));
                times += 1;
                if last {
                    return Ok((times, found));
                }
            }
        });
        let asked = load::many(fleet.len() * ROUNDS, |number| ask(&client, fleet, number, &load));
        ended.store(true, Ordering::Release);
        let searched = searching.join().map_err(|_| anyhow!("the search died"))?;
        asked.and(searched)
    })?;
    Ok((load.into_inner().map_err(|_| anyhow!("a thread died"))?, searched.0, searched.1))
}

/// Rightly in one of the formats; with another's IMSI; with a number that cannot be.
fn ask(client: &Client, fleet: &[Subscriber], number: usize, load: &Mutex<Load>) -> Result<()> {
    let at = number % fleet.len();
    let format = Format::ALL.get(number / fleet.len() % Format::ALL.len()).copied().unwrap_or_default();
    let device = &fleet.get(at).context("device")?.device;
    let other = &fleet.get((at + 1) % fleet.len()).context("device")?.device;
    let credential = gate::issue(client, device, format)?;
    let stranger = Device { imsi: other.imsi.clone(), ..device.clone() };
    let refusal = client.exchange(device.address, &stranger.posted(format)?)?.refusal(format)?;
    ensure!(refusal.reason == Reason::IdentityMismatch, "another's IMSI: {refusal:?}");
    let right = format.encode_request(&device.request())?;
    let imsi = device.imsi.expose();
    let long = right.as_str().replace(imsi, &format!("{imsi}7"));
    let refusal = client.exchange(device.address, &posted(format, long.as_bytes()))?.refusal(format)?;
    ensure!(refusal.flaw.as_ref().and_then(|flaw| flaw.field()) == Some("imsi"), "16 digits: {refusal:?}");
    let mut load = load.lock().unwrap_or_else(PoisonError::into_inner);
    load.issued += 1;
    load.refused += 2;
    load.passwords.insert(
        at,
        User {
            name: credential.username.clone(),
            password: credential.password.expose().to_owned(),
            station: device.mac.to_string().replace(':', "-"),
        },
    );
    Ok(())
}

fn log_in(server: &PortalAaa, user: &User, folder: &Path) -> Result<()> {
    let ca = server.certificate().ca;
    for (method, tls) in [(Method::PeapMschapv2, Tls::V12), (Method::TtlsPap, Tls::V13)] {
        let outcome =
            Attempt::new(server.radius(), &ca, user, method, tls).run(&folder.join("eapol.conf"))?;
        ensure!(outcome.accepted, "a login\n{}", outcome.evidence());
    }
    Ok(())
}

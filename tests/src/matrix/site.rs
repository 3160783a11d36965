//! The operator of one combination: an installation of portal-aaa made by its own commands, the packet gateway's
//! word about the device's session, and what stands beside them (name server, message centre, a second AAA).

use std::{
    net::{Ipv4Addr, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use provisioning::sms::PublicKey;
use radius::{AttributeType as A, Builder, Code, Packet, Vendor, check_reply, tgpp};

use super::{
    axes::{
        AfterMove, Binding, Combination, Database, Delivery, Discovery, Filter, Lifetime, Logon, Renewal,
        Threshold, Transport,
    },
    centre::Centre,
};
use crate::{
    clock,
    peers::{SECRET, portal::PortalAaa, private_folder, write},
    world::{
        daemon::Daemon,
        netns::{self, Netns},
    },
};

/// The subscriber.
pub(super) const IMSI: &str = "001010123456789";
pub(super) const IMEI: &str = "490154203237518";
/// The same equipment, as gateways tell it: without check digit, with software version (3GPP TS 23.003 §6.2.2).
const IMEISV: &str = "4901542032375101";
/// Of the subscriber.
pub(super) const MSISDN: &str = "15551234567";
/// Networks on the air.
pub(super) const OPERATOR: &str = "operator-wifi";
pub(super) const PARTNER: &str = "partner-wifi";
pub(super) const STRANGER: &str = "stranger-wifi";
/// Of the portal in the SIM's domain (3GPP TS 23.003 §19.4.2), as the agent makes it of MCC 001 and MNC 01.
const DOMAIN: &str = "mnc001.mcc001.pub.3gppnetwork.org";
/// Of the portal where devices are told its URL.
const PORTAL_NAME: &str = "portal.operator.example";
/// The device on its bearer, and the portal. Both are on the loopback here; the route says that who speaks to the one is
/// the other. Portals of several combinations differ in their port.
const DEVICE: Ipv4Addr = Ipv4Addr::new(10, 64, 0, 2);
const PORTAL: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 2);
/// Where the gateway's accounting comes from; 127.0.0.1 is the access points'.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
/// The number that devices send to.
const PORTAL_NUMBER: &str = "15550001000";
const SMSC_USER: &str = "lab";
const SMSC_PASSWORD: &str = "smsc-pwd";
/// An account with a name of people's choice.
pub(super) const PLAIN_NAME: &str = "probe in building 7";
pub(super) const PLAIN_PASSWORD: &str = "correct horse battery";
/// For an acknowledgement, which takes a transaction, and for programs to be ready.
const PATIENCE: Duration = Duration::from_secs(20);
/// Seconds between two fetches where the policy wants one now and then.
pub(super) const EVERY_SECS: u64 = 600;
/// Life of a credential for a period, seconds.
pub(super) const PERIOD_SECS: u64 = 3600;

/// The network that all combinations share, in a namespace that nothing else is in.
pub(super) fn network() -> Result<()> {
    netns::ip("link set lo up")?;
    netns::ip(&format!("addr add {DEVICE}/32 dev lo"))?;
    netns::ip(&format!("addr add {PORTAL}/32 dev lo"))?;
    netns::ip(&format!("route replace local {PORTAL} dev lo table local src {DEVICE}"))
}

/// It.
pub(super) struct Site {
    /// Portal and AAA.
    pub(super) server: PortalAaa,
    second: Option<PortalAaa>,
    _names: Daemon,
    /// By SMS, where something goes so: the way in and out, and the portal's key.
    pub(super) sms: Option<(Centre, PublicKey)>,
    /// The bearer's name servers.
    pub(super) dns: Vec<Ipv4Addr>,
    /// What the agent's configuration says of the portal.
    pub(super) url: Option<String>,
}

impl Site {
    /// Makes and starts all of it. `number` is the row's own: addresses follow from it.
    pub(super) fn make(
        wanted: &Combination,
        number: u8,
        dir: &Path,
        smsc: &Path,
        logs: &Path,
    ) -> Result<Self> {
        let name = format!("portal-aaa-{number}");
        let host = match wanted.discovery {
            Discovery::Dns => format!("wifi-offload.{DOMAIN}"),
            Discovery::Static => PORTAL_NAME.to_owned(),
        };
        let data = dir.join("data");
        private_folder(dir)?;
        let mut server = PortalAaa::named(&name, &data, logs, &host)?;
        let gateway = format!("{GATEWAY}/32");
        server.admin(&["gateway", "add", "gateway", "--network", &gateway, "--secret", SECRET])?;
        settings(wanted, &server)?;
        let mut second = match wanted.database {
            Database::Shared => Some(server.beside(&format!("{name}-second"), logs)?),
            Database::Own | Database::Hlr => None,
        };
        let listen = |address: &str| format!("listen = \"{address}:{}\"", server.portal().port());
        server.edit(&listen("127.0.0.1"), &listen("0.0.0.0"))?;
        if wanted.database == Database::Hlr {
            server.edit("subscribers = \"any\"", "subscribers = \"listed\"")?;
            let msisdn = format!("+{MSISDN}");
            server.admin(&["subscriber", "add", "--imsi", IMSI, "--msisdn", &msisdn])?;
        }
        let sms = match wanted.sms() {
            true => Some(messages(wanted, &server, &format!("smsc-{number}"), dir, smsc, logs)?),
            false => None,
        };
        let address = Ipv4Addr::new(127, 77, number, 53);
        let names = name_server(&format!("names-{number}"), address, wanted.discovery, &server, logs)?;
        server.serve()?;
        if let Some(second) = &mut second {
            second.serve()?;
        }
        if let Some((centre, _)) = &sms {
            centre.bound()?;
        }
        attach(&server)?;
        let url = match wanted.discovery {
            Discovery::Dns => None,
            Discovery::Static => Some(format!("https://{PORTAL_NAME}:{}", server.portal().port())),
        };
        let dns = vec![address];
        Ok(Self { server, second, _names: names, sms, dns, url })
    }

    /// Where logins go.
    pub(super) fn aaa(&self) -> &PortalAaa {
        self.second.as_ref().unwrap_or(&self.server)
    }

    /// All must have lived until now.
    pub(super) fn end(mut self) -> Result<()> {
        if let Some(second) = &mut self.second {
            second.stop()?;
        }
        self.server.stop()
    }
}

/// What an operator writes into the configuration.
fn settings(wanted: &Combination, server: &PortalAaa) -> Result<()> {
    let edit = |from: &str, to: &str| server.edit(from, to);
    match wanted.lifetime {
        Lifetime::Device => {}
        Lifetime::Period => edit("lifetime = \"device\"", &format!("lifetime = {PERIOD_SECS}"))?,
        Lifetime::OneTime => edit("lifetime = \"device\"", "lifetime = \"one-time\"")?,
    }
    if wanted.binding == Binding::Off {
        edit("mac = \"permanent\"", "mac = \"unbound\"")?;
    }
    if wanted.logon == Logon::Ttls {
        server.propose_ttls()?;
    }
    let networks = format!(
        "networks = [{{ ssid = \"{PARTNER}\", priority = 20 }}, \
         {{ ssid = \"{OPERATOR}\", priority = 10, operator-owned = true }}]"
    );
    edit("networks = [{ ssid = \"operator-wifi\", priority = 10 }]", &networks)?;
    // Short, so that a case shows in a virtual minute what takes ten in the field.
    edit("dwell-secs = 5", "dwell-secs = 1")?;
    edit("penalty-secs = 30", "penalty-secs = 2")?;
    match wanted.renewal {
        Renewal::Attach => edit("renew-on-attach = false", "renew-on-attach = true")?,
        Renewal::Periodic => edit("renew-every-secs = 0", &format!("renew-every-secs = {EVERY_SECS}"))?,
        Renewal::BeforeMove => edit("renew-before-move = false", "renew-before-move = true")?,
        Renewal::AfterReturn => edit("renew-after-return = false", "renew-after-return = true")?,
        Renewal::Expiry => {}
    }
    if wanted.threshold == Threshold::Off {
        edit("threshold = \"dbm\"", "threshold = \"off\"")?;
    }
    match wanted.filter {
        Filter::PolicySsid => {}
        Filter::Any => edit("ap-filter = \"policy-ssid\"", "ap-filter = \"any\"")?,
        Filter::OperatorOwned => edit("ap-filter = \"policy-ssid\"", "ap-filter = \"operator-owned\"")?,
    }
    if wanted.after_move == AfterMove::Standby {
        edit("cellular-after-move = \"down\"", "cellular-after-move = \"standby\"")?;
    }
    if wanted.transport == Transport::Sms {
        edit("sms = \"never\"", "sms = \"always\"")?;
    }
    Ok(())
}

/// A message centre, and portal-aaa told of it. What devices need is what the operator is told to give them.
fn messages(
    wanted: &Combination,
    server: &PortalAaa,
    name: &str,
    dir: &Path,
    smsc: &Path,
    logs: &Path,
) -> Result<(Centre, PublicKey)> {
    let centre = Centre::start(name, smsc, dir, logs, SMSC_USER, SMSC_PASSWORD, MSISDN)?;
    write(&server.path("smsc.password"), SMSC_PASSWORD)?;
    let delivery = match wanted.delivery {
        Delivery::InBand => "as-asked",
        Delivery::Sms => "sms-only",
    };
    server.configure(&format!(
        "[sms]\nserver = \"{}\"\nsystem_id = \"{SMSC_USER}\"\npassword_file = \"smsc.password\"\n\
         source = \"{PORTAL_NUMBER}\"\nmax_rate = 100\ndelivery = \"{delivery}\"\n",
        centre.address()
    ))?;
    if wanted.database != Database::Hlr {
        // Credentials that were asked for over data go to the number that stands here.
        server.admin(&["subscriber", "add", "--imsi", IMSI, "--msisdn", &format!("+{MSISDN}")])?;
    }
    let told = server.admin(&["sms", "key"])?;
    let key = told.lines().find_map(|line| line.strip_prefix("portal-key = \"")?.strip_suffix('"'));
    let key = key.context("portal-aaa sms key prints no key")?;
    Ok((centre, key.parse().map_err(|error| anyhow::anyhow!("the portal's key: {error}"))?))
}

/// The bearer's name server: the operator's records as `portal-aaa/README.md` tells him to publish them, or only the
/// address of the host in the URL.
fn name_server(
    name: &str,
    address: Ipv4Addr,
    discovery: Discovery,
    server: &PortalAaa,
    logs: &Path,
) -> Result<Daemon> {
    let port = server.portal().port();
    let listen = format!("--listen-address={address}");
    let records = match discovery {
        Discovery::Dns => vec![
            format!("--srv-host=_wifi-offload._tcp.{DOMAIN},edge.operator.example,{port}"),
            format!("--host-record=edge.operator.example,{PORTAL}"),
        ],
        Discovery::Static => vec![format!("--host-record={PORTAL_NAME},{PORTAL}")],
    };
    let mut words = vec![
        "/usr/sbin/dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=root",
        "--log-facility=-",
        "--no-resolv",
        "--no-hosts",
        "--bind-interfaces",
        &listen,
        "--local=/org/",
        "--local=/example/",
    ];
    words.extend(records.iter().map(String::as_str));
    let mut daemon = Daemon::new(name, &Netns::here(), logs, &words);
    daemon.start()?;
    clock::until("the name server listens", PATIENCE, || {
        daemon.must_run()?;
        Ok(TcpStream::connect((address, 53)).ok().map(drop))
    })?;
    Ok(daemon)
}

/// The packet gateway's Start: the device's address is that of this SIM and this equipment.
fn attach(server: &PortalAaa) -> Result<()> {
    let request = Builder::accounting_request(1)
        .integer(A::ACCT_STATUS_TYPE, 1)
        .text(A::NAS_IDENTIFIER, "gateway")
        .integer(A::EVENT_TIMESTAMP, u32::try_from(clock::unix_ms() / 1000)?)
        .text(A::ACCT_SESSION_ID, "s-1")
        .text(A::CALLING_STATION_ID, MSISDN)
        .attribute(A::FRAMED_IP_ADDRESS, &DEVICE.octets())
        .vendor(Vendor::TGPP, tgpp::IMSI, IMSI.as_bytes())
        .vendor(Vendor::TGPP, tgpp::IMEISV, IMEISV.as_bytes())
        .finish(SECRET.as_bytes())?;
    let socket = UdpSocket::bind((GATEWAY, 0))?;
    socket.connect(server.accounting())?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(&request)?;
    let mut octets = [0; 4096];
    let length = socket.recv(&mut octets).context("the gateway's report is not acknowledged")?;
    let (answer, request) =
        (Packet::parse(octets.get(..length).unwrap_or_default())?, Packet::parse(&request)?);
    check_reply(&answer, &request, SECRET.as_bytes())?;
    ensure!(answer.code() == Code::ACCOUNTING_RESPONSE, "not acknowledged: {:?}", answer.code());
    Ok(())
}

/// The authority that devices are configured with.
pub(super) fn portal_ca(server: &PortalAaa) -> PathBuf {
    server.portal_certificate().ca
}

//! Logins without EAP, as WISPr gateways and captive portals send them: PAP, CHAP and MS-CHAP-V2, with and without
//! Message-Authenticator, under each policy that an access point can have.
//!
//! Debian's `radclient` is the real client; where octets have to be looked at, our own socket asks.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use eap::mschapv2::{respond_chap, respond_mschapv2};
use radius::{AttributeType as A, Builder, Code, Packet, Vendor, check_reply, hide_password, microsoft};

use super::{Limits, Task, bed::Bed};
use crate::peers::{SECRET, User, certificate::Kind};

/// How long an answer may take, and how long silence has to last.
const PATIENCE: Duration = Duration::from_secs(2);
/// Login-User (RFC 2865 §5.6).
const LOGIN: u32 = 1;
/// Name in the accounts, and in MS-CHAP-V2's hash.
const CHALLENGE: [u8; 16] = *b"sixteen octets!!";
const PEER_CHALLENGE: [u8; 16] = *b"another sixteen!";
const IDENT: u8 = 7;

/// How the password is proved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Pap,
    Chap,
    Mschapv2,
}

/// Policies of an access point, and the loopback address that each has here.
const POLICIES: [(&str, Ipv4Addr); 3] = [
    ("require", Ipv4Addr::new(127, 0, 0, 21)),
    ("audit", Ipv4Addr::new(127, 0, 0, 22)),
    ("off", Ipv4Addr::new(127, 0, 0, 23)),
];

/// Its cases.
pub(super) fn tasks() -> Vec<Task> {
    let mut tasks = Vec::new();
    for (policy, address) in POLICIES {
        tasks.push(Task::new(format!("no EAP: Message-Authenticator {policy}"), move |bed| {
            under(bed, policy, address)
        }));
    }
    tasks.push(Task::new("no EAP: radclient, PAP CHAP MS-CHAP-V2", by_radclient));
    tasks.push(Task::new("no EAP: radclient, Status-Server", status));
    tasks.push(Task::new("no EAP: a credential and its station", issued));
    tasks.push(Task::new("no EAP: unknown realm", unknown_realm));
    tasks
}

fn under(bed: &Bed, policy: &str, address: Ipv4Addr) -> Result<Limits> {
    let server = bed.server(Kind::P256);
    let network = format!("{address}/32");
    let words = ["nas", "add", policy, "--network", &network, "--secret", SECRET];
    server.admin(&[&words[..], &["--message-authenticator", policy]].concat())?;
    let user = bed.account(&format!("gateway {policy}"), "from a gateway", &[])?;
    let client = Client::new(address, server.radius())?;
    client.until_served(&user)?;
    let liar = User { password: "wrong".to_owned(), ..user.clone() };
    for proof in [Proof::Pap, Proof::Chap, Proof::Mschapv2] {
        ensure!(client.ask(&user, proof, true)? == Some(Code::ACCESS_ACCEPT), "{proof:?}: right password");
        ensure!(client.ask(&liar, proof, true)? == Some(Code::ACCESS_REJECT), "{proof:?}: wrong password");
        let bare = client.ask(&user, proof, false)?;
        let expected = (policy != "require").then_some(Code::ACCESS_ACCEPT);
        ensure!(bare == expected, "{proof:?} without Message-Authenticator: {bare:?}");
    }
    // The first of a period is told at once, the others are counted.
    let (notes, expected) = (noted(bed, policy)?, usize::from(policy == "audit"));
    ensure!(notes.min(1) == expected, "{notes} lines in the log about Message-Authenticator");
    Ok(Limits::new())
}

/// Lines of the log that say that this access point sent no Message-Authenticator.
fn noted(bed: &Bed, nas: &str) -> Result<usize> {
    let lines = bed.server(Kind::P256).log_lines()?;
    let nas = format!("\"nas\":\"{nas}\"");
    Ok(lines.iter().filter(|line| line.contains("no-message-authenticator") && line.contains(&nas)).count())
}

fn issued(bed: &Bed) -> Result<Limits> {
    let user = bed.issue(Kind::P256, "device")?;
    let client = Client::new(Ipv4Addr::LOCALHOST, bed.server(Kind::P256).radius())?;
    let other = User { station: bed.station(), ..user.clone() };
    for proof in [Proof::Pap, Proof::Chap, Proof::Mschapv2] {
        ensure!(client.ask(&user, proof, true)? == Some(Code::ACCESS_ACCEPT), "{proof:?}: its station");
        ensure!(client.ask(&other, proof, true)? == Some(Code::ACCESS_REJECT), "{proof:?}: another station");
    }
    Ok(Limits::new())
}

fn unknown_realm(bed: &Bed) -> Result<Limits> {
    let client = Client::new(Ipv4Addr::LOCALHOST, bed.server(Kind::P256).radius())?;
    let stranger = User {
        name: "somebody@elsewhere.example".to_owned(),
        password: "whatever".to_owned(),
        station: bed.station(),
    };
    ensure!(client.ask(&stranger, Proof::Pap, true)? == Some(Code::ACCESS_REJECT), "an unknown realm");
    let reasons = bed.reasons(Kind::P256, &stranger.name)?;
    ensure!(reasons == ["unknown-realm"], "{reasons:?}");
    Ok(Limits::new())
}

fn by_radclient(bed: &Bed) -> Result<Limits> {
    let user = bed.account("radclient", "from radclient", &[])?;
    let hex = |octets: &[u8]| octets.iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let mschapv2 = |password: &str| -> Result<String> {
        let (value, _) = mschapv2(&user.name, password)?;
        Ok(format!("MS-CHAP-Challenge = 0x{}\nMS-CHAP2-Response = 0x{}\n", hex(&CHALLENGE), hex(&value)))
    };
    for (what, right, wrong) in [
        ("PAP", format!("User-Password = \"{}\"\n", user.password), "User-Password = \"x\"\n".to_owned()),
        ("CHAP", format!("CHAP-Password = \"{}\"\n", user.password), "CHAP-Password = \"x\"\n".to_owned()),
        ("MS-CHAP-V2", mschapv2(&user.password)?, mschapv2("x")?),
    ] {
        let name = format!(
            "User-Name = \"{}\"\nService-Type = Login-User\nMessage-Authenticator = 0x00\n",
            user.name
        );
        let told = radclient(bed, "auth", &format!("{name}{right}"))?;
        ensure!(told.contains("Received Access-Accept"), "{what}, right password\n{told}");
        let told = radclient(bed, "auth", &format!("{name}{wrong}"))?;
        ensure!(told.contains("Received Access-Reject"), "{what}, wrong password\n{told}");
    }
    Ok(Limits::new())
}

fn status(bed: &Bed) -> Result<Limits> {
    let told = radclient(bed, "status", "Message-Authenticator = 0x00\n")?;
    ensure!(told.contains("Received Access-Accept"), "{told}");
    Ok(Limits::new())
}

fn radclient(bed: &Bed, command: &str, attributes: &str) -> Result<String> {
    let server = bed.server(Kind::P256).radius().to_string();
    let mut child = Command::new("radclient")
        .args(["-x", "-t", "2", "-r", "2", &server, command, SECRET])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("start radclient")?;
    child.stdin.take().context("radclient")?.write_all(attributes.as_bytes())?;
    let output = child.wait_with_output()?;
    let told = [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned());
    Ok(told.concat())
}

/// Value of MS-CHAP2-Response (RFC 2548 §2.3.2), and the proof that the server must give.
fn mschapv2(name: &str, password: &str) -> Result<(Vec<u8>, Vec<u8>)> {
    let made = respond_mschapv2(password.as_bytes(), name.as_bytes(), &CHALLENGE, &PEER_CHALLENGE);
    let (response, proof) = made.context("no such password")?;
    let value = [&[IDENT, 0], &PEER_CHALLENGE[..], &[0; 8], &response].concat();
    Ok((value, [&[IDENT], &proof[..]].concat()))
}

/// A gateway with a socket that shows every octet.
struct Client(UdpSocket);

impl Client {
    fn new(own: Ipv4Addr, server: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind((own, 0))?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(socket))
    }

    /// The server follows its client table within a second; until then it is silent.
    fn until_served(&self, user: &User) -> Result<()> {
        for _ in 0..5 {
            if self.ask(user, Proof::Pap, true)?.is_some() {
                return Ok(());
            }
        }
        bail!("the server does not serve a client that was added")
    }

    /// Asks once; none is silence. An answer must have Message-Authenticator first, and prove what it has to.
    fn ask(&self, user: &User, proof: Proof, authenticated: bool) -> Result<Option<Code>> {
        let mut authenticator = [0; 16];
        getrandom::fill(&mut authenticator).map_err(|error| anyhow::anyhow!("no random octets: {error}"))?;
        let builder = Builder::access_request(authenticator[0], authenticator)
            .text(A::USER_NAME, &user.name)
            .integer(A::SERVICE_TYPE, LOGIN)
            .text(A::CALLING_STATION_ID, &user.station);
        let builder = match proof {
            Proof::Pap => {
                let hidden = hide_password(user.password.as_bytes(), SECRET.as_bytes(), &authenticator);
                builder.attribute(A::USER_PASSWORD, &hidden.context("password")?)
            }
            Proof::Chap => {
                let response = respond_chap(IDENT, user.password.as_bytes(), &CHALLENGE);
                let value = [&[IDENT], &response[..]].concat();
                builder.attribute(A::CHAP_PASSWORD, &value).attribute(A::CHAP_CHALLENGE, &CHALLENGE)
            }
            Proof::Mschapv2 => {
                builder.vendor(Vendor::MICROSOFT, microsoft::CHAP_CHALLENGE, &CHALLENGE).vendor(
                    Vendor::MICROSOFT,
                    microsoft::CHAP2_RESPONSE,
                    &mschapv2(&user.name, &user.password)?.0,
                )
            }
        };
        let whole = builder.finish(SECRET.as_bytes())?;
        let sent = if authenticated { whole } else { without_authenticator(&whole)? };
        self.0.send(&sent)?;
        let mut octets = [0; 4096];
        let Ok(length) = self.0.recv(&mut octets) else { return Ok(None) };
        let reply = Packet::parse(octets.get(..length).unwrap_or_default())?;
        check_reply(&reply, &Packet::parse(&sent)?, SECRET.as_bytes())?;
        if proof == Proof::Mschapv2 && reply.code() == Code::ACCESS_ACCEPT {
            let (_, expected) = mschapv2(&user.name, &user.password)?;
            let success = reply.vendor(Vendor::MICROSOFT, microsoft::CHAP2_SUCCESS);
            ensure!(success == Some(&expected[..]), "the server does not prove that it knows the password");
        }
        Ok(Some(reply.code()))
    }
}

/// The same request without its Message-Authenticator, which the builder puts first.
fn without_authenticator(octets: &[u8]) -> Result<Vec<u8>> {
    let (header, attributes) = octets.split_at(20);
    let rest = attributes.get(18..).context("no Message-Authenticator")?;
    let length = u16::try_from(header.len() + rest.len())?.to_be_bytes();
    Ok([header.get(..2).unwrap_or_default(), &length, header.get(4..).unwrap_or_default(), rest].concat())
}

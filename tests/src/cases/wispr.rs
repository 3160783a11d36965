//! Suite `wispr`: the agent's own WISPr client, as a library, at the real gateway of an open network and the real AAA; a
//! wire in place of the air. What needs the radio and the whole agent is in suite `vm`.

use std::{fs, path::PathBuf, time::Duration};

use agent::wispr::{Command as Order, Event, Fault, Task, Wispr as _, shell};
use anyhow::{Context as _, Result, anyhow, bail, ensure};
use provisioning::{secret::Password, wispr::Wispr as Rules};
use tokio::{runtime::Runtime, sync::mpsc};

use crate::{
    clock,
    hotspot::{Authority, Hotspot, Manner},
    report::{Case, Line, Reporter},
    text::Follower,
    traffic::Server,
    world::{Options, core::Core, netns, plan},
};

/// One login, however the gateway behaves.
const LOGIN: Duration = Duration::from_secs(60);
/// For what is written to a log a moment later.
const WRITTEN: Duration = Duration::from_secs(10);
/// The station's address behind the gateway.
const ADDRESS: &str = "10.19.0.100";
/// Its card, a veth.
const CARD: &str = plan::LAPTOP_WLAN;
/// Port of the Internet's server, with which passing the fence is tried.
const SOMEWHERE: &str = "10.99.0.1:5001";

type Run = fn(&mut Ground) -> Result<()>;

const CASES: [(&str, Run); 16] = [
    ("login-and-log-off", login),
    ("the-gateway-knows-us", known),
    ("wrong-password-is-told-once", wrong_password),
    ("credential-of-another-card", other_card),
    ("expired-credential", expired),
    ("radius-down", radius_down),
    ("internal-error-of-the-gateway", internal_error),
    ("pending-with-polls", pending),
    ("given-up-while-pending", given_up),
    ("proxies-on-the-way", proxies),
    ("already-logged-on", already),
    ("wrong-certificate-name", wrong_certificate),
    ("login-page-that-the-policy-does-not-list", other_name),
    ("page-for-people", for_people),
    ("session-timeout-and-captive-portal-api", session_timeout),
    ("revoked-credential-ends-the-session", revoked),
];

/// Runs those whose name contains `only`; true where all are good.
pub(crate) fn run(only: Option<&str>, options: &Options, reporter: &Reporter) -> Result<bool> {
    let wanted: Vec<_> =
        CASES.iter().filter(|(name, _)| only.is_none_or(|only| name.contains(only))).collect();
    if wanted.is_empty() {
        bail!("no case of that name");
    }
    let mut ground = Ground::build(options, reporter)?;
    let mut good = true;
    for (name, case) in wanted {
        let began = clock::now();
        let failure = ground.calm().and_then(|()| case(&mut ground)).err().map(|error| format!("{error:?}"));
        good &= failure.is_none();
        let secs = began.elapsed().as_secs_f32();
        reporter.send(&Line::Case(Case { failure, ..Case::good(name, secs) }));
    }
    Ok(good)
}

/// Core, gateway and station.
struct Ground {
    client: shell::Handle,
    events: mpsc::Receiver<Event>,
    hotspot: Hotspot,
    _internet: Server,
    core: Core,
    mac: String,
    runtime: Runtime,
}

/// What `credential issue` gives.
struct Issued {
    username: String,
    password: String,
    ca_pem: String,
}

impl Ground {
    fn build(options: &Options, reporter: &Reporter) -> Result<Self> {
        let Options { programs, work, out, .. } = options;
        let logs: PathBuf = out.join("log");
        for folder in [work, &logs, &work.join("portal")] {
            fs::create_dir_all(folder)?;
        }
        netns::ip("link set lo up")?;
        reporter.progress("the operator's core, and a gateway of an open network");
        let core = Core::build(&programs.join("portal-aaa"), &work.join("portal"), &logs)?;
        let internet = Server::start(&core.place, plan::INTERNET.parse()?)?;
        let authority = Authority::new()?;
        let hotspot = Hotspot::build(&core.place, &authority, work, &logs)?;
        let place = hotspot.place.name().unwrap_or_default();
        netns::ip(&format!("link add {CARD} type veth peer name lan netns {place}"))?;
        hotspot.open("lan", &authority, &[plan::HOTSPOT_NAME])?;
        netns::ip(&format!("addr add {ADDRESS}/24 dev {CARD}"))?;
        netns::ip(&format!("link set {CARD} up"))?;
        netns::ip(&format!("route add default via {} dev {CARD}", plan::HOTSPOT_ADDRESS))?;
        let mac = fs::read_to_string(format!("/sys/class/net/{CARD}/address"))?.trim().to_owned();
        // As the daemon's: one thread, and more for what blocks.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (sender, events) = mpsc::channel(8);
        let client =
            runtime.block_on(async { shell::spawn(shell::Settings { ca: hotspot.ca.clone() }, sender) });
        Ok(Self { client, events, hotspot, _internet: internet, core, mac, runtime })
    }

    /// Nobody is on, and everybody works.
    fn calm(&mut self) -> Result<()> {
        self.client.send(Order::Forget);
        while self.events.try_recv().is_ok() {}
        if self.core.portal_aaa.pid().is_none() {
            self.core.serve()?;
        }
        self.hotspot.calm()
    }

    fn issue(&self, words: &[&str]) -> Result<Issued> {
        let mut all = vec!["credential", "issue", "--imsi", plan::IMSI, "--json"];
        all.extend(words);
        let issued: serde_json::Value = serde_json::from_str(&self.core.admin(&all)?)?;
        let text = |key: &str| {
            issued
                .get(key)
                .and_then(serde_json::Value::as_str)
                .map(str::to_owned)
                .ok_or_else(|| anyhow!("no {key}"))
        };
        let ca_pem = fs::read_to_string(text("ca_path")?)?;
        Ok(Issued { username: text("username")?, password: text("password")?, ca_pem })
    }

    /// A credential for this card.
    fn credential(&self, lifetime: &str) -> Result<Issued> {
        self.issue(&["--mac", &self.mac, "--lifetime", lifetime])
    }

    fn log_on(&mut self, issued: &Issued) -> Result<Event> {
        self.log_on_with(issued, plan::HOTSPOT_NAME, None)
    }

    fn log_on_with(&mut self, issued: &Issued, name: &str, api: Option<&str>) -> Result<Event> {
        self.begin(issued, name, api)?;
        self.event()
    }

    fn begin(&self, issued: &Issued, name: &str, api: Option<&str>) -> Result<()> {
        let rules = Rules {
            login_names: vec![name.to_owned()],
            location: Some("OPERATOR,".to_owned()),
            ..Rules::default()
        };
        self.client.send(Order::LogOn(Box::new(Task {
            interface: CARD.to_owned(),
            dns: vec![plan::DNS[0].parse()?],
            probe_url: plan::PROBE_URL.to_owned(),
            api_url: api.map(str::to_owned),
            username: issued.username.clone(),
            password: Password::new(issued.password.clone()),
            rules,
            ca_pem: issued.ca_pem.clone(),
        })));
        Ok(())
    }

    fn event(&mut self) -> Result<Event> {
        let events = &mut self.events;
        let waited = self.runtime.block_on(async { tokio::time::timeout(LOGIN, events.recv()).await });
        waited.context("no event of the client")?.context("the client has ended")
    }

    fn log_off(&mut self) -> Result<Event> {
        self.client.send(Order::LogOff);
        self.event()
    }

    fn gateway_log(&self) -> Follower {
        Follower::from_now(self.hotspot.log())
    }

    fn aaa_log(&self) -> Follower {
        Follower::from_now(self.core.portal_aaa.log())
    }

    /// A connection through the fence comes about.
    fn passes(&self) -> Result<bool> {
        let limit = Duration::from_secs(5);
        Ok(std::net::TcpStream::connect_timeout(&SOMEWHERE.parse()?, limit).is_ok())
    }
}

/// The line of a log that tells this event.
fn told(log: &mut Follower, event: &str) -> Result<String> {
    let wanted = format!("\"event\":\"{event}\"");
    log.wait(event, WRITTEN, |line| line.contains(&wanted))
}

fn on(event: &Event) -> Result<Option<Duration>> {
    match event {
        Event::LoggedOn { gateway, location, ends_in } => {
            ensure!(gateway == plan::HOTSPOT_NAME, "logged on at {gateway}");
            ensure!(location.as_deref() == Some(plan::HOTSPOT_LOCATION), "it calls itself {location:?}");
            Ok(*ends_in)
        }
        other => bail!("not logged on: {other:?}"),
    }
}

fn fault(event: &Event, wanted: Fault) -> Result<()> {
    match event {
        Event::Failed { fault, .. } if *fault == wanted => Ok(()),
        other => bail!("wanted {}, got {other:?}", wanted.code()),
    }
}

fn login(ground: &mut Ground) -> Result<()> {
    let issued = ground.credential("device")?;
    let (mut gateway, mut aaa) = (ground.gateway_log(), ground.aaa_log());
    ensure!(!ground.passes()?, "the fence lets everybody through");
    on(&ground.log_on(&issued)?)?;
    ensure!(told(&mut aaa, "login-accepted")?.contains("pap"), "not by PAP");
    told(&mut gateway, "hotspot-accounting-started")?;
    ensure!(ground.passes()?, "logged on, and held all the same");
    let off = ground.log_off()?;
    ensure!(off == Event::LoggedOff { confirmed: true }, "{off:?}");
    told(&mut gateway, "hotspot-accounting-stopped")?;
    ensure!(!ground.passes()?, "logged off, and not held");
    Ok(())
}

fn known(ground: &mut Ground) -> Result<()> {
    let issued = ground.credential("device")?;
    on(&ground.log_on(&issued)?)?;
    ground.client.send(Order::Forget);
    let forms = ground.hotspot.forms();
    let again = ground.log_on(&issued)?;
    ensure!(again == Event::Online && ground.hotspot.forms() == forms, "{again:?}");
    Ok(())
}

fn wrong_password(ground: &mut Ground) -> Result<()> {
    let issued = Issued { password: "not-the-password".to_owned(), ..ground.credential("device")? };
    let (mut aaa, forms) = (ground.aaa_log(), ground.hotspot.forms());
    let event = ground.log_on(&issued)?;
    ensure!(matches!(event, Event::Refused { .. }), "{event:?}");
    ensure!(told(&mut aaa, "login-refused")?.contains("wrong-password"), "another reason");
    ensure!(ground.hotspot.forms() == forms + 1, "told {} times", ground.hotspot.forms() - forms);
    ensure!(ground.hotspot.sessions().is_empty() && !ground.passes()?, "it passes all the same");
    Ok(())
}

/// The AAA believes the MAC that the gateway sees, and not the station.
fn other_card(ground: &mut Ground) -> Result<()> {
    let issued = ground.issue(&["--mac", "02:0f:f0:ad:00:01", "--lifetime", "device"])?;
    let mut aaa = ground.aaa_log();
    let event = ground.log_on(&issued)?;
    ensure!(matches!(event, Event::Refused { .. }), "{event:?}");
    ensure!(told(&mut aaa, "login-refused")?.contains("mac"), "another reason");
    Ok(())
}

fn expired(ground: &mut Ground) -> Result<()> {
    let issued = ground.credential("1")?;
    let mut aaa = ground.aaa_log();
    // Its whole life is to pass.
    clock::pause(Duration::from_millis(2100));
    let event = ground.log_on(&issued)?;
    ensure!(matches!(event, Event::Refused { .. }), "{event:?}");
    ensure!(told(&mut aaa, "login-refused")?.contains("expired"), "another reason");
    Ok(())
}

fn radius_down(ground: &mut Ground) -> Result<()> {
    let issued = ground.credential("device")?;
    ground.core.portal_aaa.stop()?;
    fault(&ground.log_on(&issued)?, Fault::Radius)?;
    ground.core.serve()?;
    on(&ground.log_on(&issued)?).map(drop)
}

fn internal_error(ground: &mut Ground) -> Result<()> {
    let issued = ground.credential("device")?;
    ground.hotspot.behave(Manner { broken: true, ..Manner::default() });
    fault(&ground.log_on(&issued)?, Fault::Gateway)
}

fn pending(ground: &mut Ground) -> Result<()> {
    let issued = ground.credential("device")?;
    ground.hotspot.behave(Manner { polls: 3, ..Manner::default() });
    let began = clock::now();
    on(&ground.log_on(&issued)?)?;
    ensure!(began.elapsed() >= Duration::from_secs(3), "three polls, a second apart, were not made");
    let refused = Issued { password: "not-the-password".to_owned(), ..issued };
    ground.hotspot.calm()?;
    ground.hotspot.behave(Manner { polls: 2, ..Manner::default() });
    let event = ground.log_on(&refused)?;
    ensure!(matches!(event, Event::Refused { .. }), "{event:?}");
    Ok(())
}

/// The machine leaves while the AAA's word is awaited: the session that began meanwhile is ended by the log-off.
fn given_up(ground: &mut Ground) -> Result<()> {
    let issued = ground.credential("device")?;
    ground.hotspot.behave(Manner { polls: 1000, ..Manner::default() });
    let mut gateway = ground.gateway_log();
    ground.begin(&issued, plan::HOTSPOT_NAME, None)?;
    told(&mut gateway, "hotspot-accounting-started")?;
    let event = ground.log_off()?;
    ensure!(matches!(event, Event::LoggedOff { .. }), "{event:?}");
    told(&mut gateway, "hotspot-accounting-stopped")?;
    ensure!(ground.hotspot.sessions().is_empty(), "the session goes on");
    Ok(())
}

fn proxies(ground: &mut Ground) -> Result<()> {
    let issued = ground.credential("device")?;
    ground.hotspot.behave(Manner { proxies: 2, ..Manner::default() });
    let mut gateway = ground.gateway_log();
    on(&ground.log_on(&issued)?)?;
    told(&mut gateway, "hotspot-proxy")?;
    ground.hotspot.calm()?;
    ground.hotspot.behave(Manner { proxies: 100, ..Manner::default() });
    fault(&ground.log_on(&issued)?, Fault::Protocol)
}

/// The gateway has the session and lost the rule: "Already logged on" is no refusal.
fn already(ground: &mut Ground) -> Result<()> {
    let issued = ground.credential("device")?;
    on(&ground.log_on(&issued)?)?;
    ground.client.send(Order::Forget);
    ground.hotspot.lose_rules()?;
    on(&ground.log_on(&issued)?)?;
    ensure!(ground.passes()?, "held");
    let off = ground.log_off()?;
    ensure!(off == Event::LoggedOff { confirmed: true }, "{off:?}");
    Ok(())
}

/// The policy lists a name that the gateway's certificate is not for: TLS ends before a form.
fn wrong_certificate(ground: &mut Ground) -> Result<()> {
    let issued = ground.credential("device")?;
    let (forms, name) = (ground.hotspot.forms(), "other.hotspot.example");
    ground.hotspot.behave(Manner { login_host: Some(name.to_owned()), ..Manner::default() });
    fault(&ground.log_on_with(&issued, name, None)?, Fault::Certificate)?;
    ensure!(ground.hotspot.forms() == forms, "the password was told");
    Ok(())
}

/// A good certificate for a name that the policy does not list.
fn other_name(ground: &mut Ground) -> Result<()> {
    let issued = ground.credential("device")?;
    let forms = ground.hotspot.forms();
    fault(&ground.log_on_with(&issued, "login.partner.example", None)?, Fault::Name)?;
    ensure!(ground.hotspot.forms() == forms, "the password was told");
    Ok(())
}

fn for_people(ground: &mut Ground) -> Result<()> {
    let issued = ground.credential("device")?;
    ground.hotspot.behave(Manner { no_xml: true, ..Manner::default() });
    fault(&ground.log_on(&issued)?, Fault::NoGateway)
}

/// The AAA's Session-Timeout is the credential's end; the API and the gateway's XML tell it, and the gateway keeps it.
fn session_timeout(ground: &mut Ground) -> Result<()> {
    const LIFE: u64 = 8;
    let issued = ground.credential(&LIFE.to_string())?;
    // Else the AAA, which ends sessions at a credential's end by itself, might be faster.
    ground.hotspot.behave(Manner { deaf: true, ..Manner::default() });
    let mut gateway = ground.gateway_log();
    let api = format!("https://{}/captive", plan::HOTSPOT_NAME);
    let ends_in = on(&ground.log_on_with(&issued, plan::HOTSPOT_NAME, Some(&api))?)?;
    let ends_in = ends_in.context("no end was told")?;
    ensure!(ends_in <= Duration::from_secs(LIFE), "it ends in {ends_in:?}");
    told(&mut gateway, "hotspot-accounting-started")?;
    let stopped = told(&mut gateway, "hotspot-accounting-stopped")?;
    ensure!(stopped.contains("\"cause\":5"), "not by Session-Timeout: {stopped}");
    ensure!(!ground.passes()?, "the session is over, and it passes");
    let off = ground.log_off()?;
    ensure!(off == Event::LoggedOff { confirmed: false }, "{off:?}");
    Ok(())
}

fn revoked(ground: &mut Ground) -> Result<()> {
    let issued = ground.credential("device")?;
    let mut gateway = ground.gateway_log();
    on(&ground.log_on(&issued)?)?;
    told(&mut gateway, "hotspot-accounting-started")?;
    ground.core.admin(&["credential", "revoke", &issued.username])?;
    let stopped = told(&mut gateway, "hotspot-accounting-stopped")?;
    ensure!(stopped.contains("\"cause\":6"), "{stopped}");
    ensure!(!ground.passes()?, "revoked, and it passes");
    ground.client.send(Order::Forget);
    let event = ground.log_on(&issued)?;
    ensure!(matches!(event, Event::Refused { .. }), "{event:?}");
    Ok(())
}

//! The simulated modem under Debian's ModemManager. Needs root; says so and passes where that is missing, or where
//! ModemManager is not installed (`cargo lab test` installs it).

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use anyhow::Context as _;

use super::{
    Message, Order,
    manager::{Bus, CellularModem},
    modem::{Registration, Session, Sim},
    settings,
    simulator::Simulator,
};
use crate::{
    clock, text,
    world::{netns::Netns, plan},
};

const LIMIT: Duration = Duration::from_secs(30);
const PROBE_LIMIT: Duration = Duration::from_secs(90);
const CONNECT: &str = "--simple-connect=apn=internet,ip-type=ipv4";

struct Bench {
    modem: CellularModem,
    sessions: Receiver<Session>,
    _bus: Bus,
    place: Netns,
    folder: PathBuf,
}

impl Bench {
    fn new(name: &str, sim: Sim) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() || !Path::new("/usr/sbin/ModemManager").exists() {
            eprintln!("skipped: needs root and ModemManager");
            return None;
        }
        // polkitd is another user, and goes through this to the bus.
        let folder = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let place = Netns::create(&format!("{name}-{}", std::process::id())).unwrap();
        place.ip("link add wwan0 type veth peer name wwan0p").unwrap();
        let simulator =
            Simulator::start(settings::identity(), settings::address().unwrap(), &folder.join("at.log"))
                .unwrap();
        let (sender, sessions) = channel();
        simulator.tell_sessions_to(sender);
        simulator.order(&Order::Sim(sim));
        let bus = Bus::start(&place, &folder, &folder, &[]).unwrap();
        let modem = CellularModem::start(&place, &bus, simulator, &folder, &folder).unwrap();
        Some(Self { modem, sessions, _bus: bus, place, folder })
    }

    fn wait(&self, key: &str, wanted: &str) {
        let what = format!("{key} is {wanted}");
        clock::until(&what, LIMIT, || Ok((self.property(key).as_deref() == Some(wanted)).then_some(())))
            .unwrap();
    }

    /// ModemManager probes ports in steps of 1.5 s.
    fn wait_state(&self, wanted: &[&str]) -> anyhow::Result<String> {
        let what = format!("the modem is {}", wanted.join(" or "));
        clock::until(&what, PROBE_LIMIT, || {
            let state = self.property("modem.generic.state");
            Ok(state.filter(|state| wanted.contains(&state.as_str())))
        })
        .with_context(|| text::tail(&self.folder.join("ModemManager.log"), 25))
    }

    /// One value that mmcli tells of the modem; none without a modem.
    fn property(&self, key: &str) -> Option<String> {
        value(&self.modem.mmcli(&["--modem=any", "--output-keyvalue"]).ok()?, key)
    }

    fn wait_no_modem(&self) {
        clock::until("no modem", LIMIT, || {
            Ok(self.modem.mmcli(&["--list-modems"])?.contains("No modems").then_some(()))
        })
        .unwrap();
    }

    fn connect(&self) {
        self.modem.mmcli(&["--modem=any", CONNECT]).unwrap();
        self.wait_state(&["connected"]).unwrap();
        assert_eq!(self.sessions.recv_timeout(LIMIT), Ok(Session::Started));
        assert!(self.modem.simulator.connected());
    }

    fn bearer(&self) -> String {
        let path = self.property("modem.generic.bearers.value[1]").unwrap();
        self.modem.mmcli(&["--output-keyvalue", &format!("--bearer={path}")]).unwrap()
    }
}

/// A value of `mmcli --output-keyvalue`, whose lines are `key : value`.
fn value(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    })
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = self.place.remove();
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

#[test]
fn modem_manager_finds_registers_connects_and_is_disconnected() {
    let Some(mut bench) = Bench::new("atsim-life", Sim::Ready) else { return };
    bench.wait_state(&["disabled"]).unwrap();
    assert_eq!(bench.property("modem.3gpp.imei").as_deref(), Some(plan::IMEI));
    let sim = bench.property("modem.generic.sim").unwrap();
    let sim = bench.modem.mmcli(&["--output-keyvalue", &format!("--sim={sim}")]).unwrap();
    assert_eq!(value(&sim, "sim.properties.imsi").as_deref(), Some(plan::IMSI));

    bench.modem.mmcli(&["--modem=any", "--enable"]).unwrap();
    bench.wait_state(&["registered"]).unwrap();
    bench.wait("modem.3gpp.registration-state", "home");
    bench.wait("modem.3gpp.operator-code", "00101");

    bench.connect();
    let bearer = bench.bearer();
    for (key, expected) in [
        ("bearer.status.interface", "wwan0"),
        ("bearer.ipv4-config.method", "static"),
        ("bearer.ipv4-config.address", "10.64.0.2"),
        ("bearer.ipv4-config.prefix", "30"),
        ("bearer.ipv4-config.gateway", "10.64.0.1"),
        ("bearer.ipv4-config.dns.value[1]", "10.64.0.53"),
        ("bearer.ipv4-config.dns.value[2]", "10.64.0.54"),
    ] {
        assert_eq!(value(&bearer, key).as_deref(), Some(expected), "{key}");
    }

    bench.modem.simulator.order(&Order::Registration(Registration::Roaming));
    bench.wait("modem.3gpp.registration-state", "roaming");
    bench.modem.simulator.order(&Order::Registration(Registration::Home));
    bench.modem.simulator.order(&Order::DropSession);
    bench.wait_state(&["registered"]).unwrap();
    assert_eq!(bench.sessions.recv_timeout(LIMIT), Ok(Session::Stopped));

    bench.connect();
    bench.modem.mmcli(&["--modem=any", "--simple-disconnect"]).unwrap();
    bench.wait_state(&["registered"]).unwrap();
    assert_eq!(bench.sessions.recv_timeout(LIMIT), Ok(Session::Stopped));

    bench.modem.simulator.order(&Order::Registration(Registration::Searching));
    bench.wait_state(&["searching"]).unwrap();
    bench.modem.simulator.order(&Order::Registration(Registration::Home));
    bench.wait_state(&["registered"]).unwrap();

    bench.connect();
    bench.modem.unplug().unwrap();
    bench.wait_no_modem();
    assert_eq!(bench.sessions.recv_timeout(LIMIT), Ok(Session::Stopped), "a pulled modem has no session");
    bench.modem.plug().unwrap();
    bench.wait_state(&["disabled"]).unwrap();
    bench.connect();

    bench.modem.kill_manager().unwrap();
    assert!(bench.modem.mmcli(&["--list-modems"]).is_err());
    bench.modem.start_manager().unwrap();
    bench.wait_state(&["disabled", "registered", "connected"]).unwrap();
    bench.modem.mmcli(&["--modem=any", CONNECT]).unwrap();
    bench.wait_state(&["connected"]).unwrap();

    let log = fs::read_to_string(bench.folder.join("ModemManager.log")).unwrap();
    assert!(log.contains("connected"), "it is ModemManager's log");
    for identifier in [plan::IMSI, plan::IMEI] {
        assert!(!log.contains(identifier), "logs are kept as results, and searched for identifiers");
    }
}

#[test]
fn a_missing_and_a_locked_sim_are_seen() {
    let Some(bench) = Bench::new("atsim-sim", Sim::Absent) else { return };
    bench.wait_state(&["failed"]).unwrap();
    bench.wait("modem.generic.state-failed-reason", "sim-missing");

    bench.modem.unplug().unwrap();
    bench.wait_no_modem();
    bench.modem.simulator.order(&Order::Sim(Sim::Pin));
    bench.modem.plug().unwrap();
    bench.wait_state(&["locked"]).unwrap();
    let sim = bench.property("modem.generic.sim").unwrap();
    let option = format!("--sim={sim}");
    assert!(bench.modem.mmcli(&[&option, "--pin=0000"]).is_err());
    bench.modem.mmcli(&[&option, "--pin=1234"]).unwrap();
    bench.wait_state(&["disabled", "registered"]).unwrap();
    bench.connect();
}

#[test]
fn orders_come_by_the_socket_too() {
    use std::{
        io::{BufRead, BufReader, Write},
        os::unix::net::UnixStream,
    };
    let Some(bench) = Bench::new("atsim-control", Sim::Ready) else { return };
    let mut socket = UnixStream::connect(bench.folder.join("modem")).unwrap();
    socket.write_all(b"registration 2\nnonsense\n").unwrap();
    let answers: Vec<String> = BufReader::new(&socket).lines().take(2).map(Result::unwrap).collect();
    assert_eq!(answers[0], "ok");
    assert!(answers[1].starts_with("err "), "{}", answers[1]);
    bench.wait_state(&["disabled"]).unwrap();
    bench.modem.mmcli(&["--modem=any", "--enable"]).unwrap();
    bench.wait_state(&["searching"]).unwrap();
}

/// Data of eight bits, longer than one message: ModemManager cuts it, and joins what comes.
#[test]
fn messages_go_and_come_in_parts() {
    let Some(bench) = Bench::new("atsim-sms", Sim::Ready) else { return };
    bench.wait_state(&["disabled"]).unwrap();
    bench.modem.mmcli(&["--modem=any", "--enable"]).unwrap();
    bench.wait_state(&["registered"]).unwrap();
    let (sender, sent) = channel();
    bench.modem.simulator.tell_messages_to(sender);
    let data: Vec<u8> = (0..200).collect();
    let file = bench.folder.join("data");
    fs::write(&file, &data).unwrap();
    let with = format!("--messaging-create-sms-with-data={}", file.display());
    let number = format!("--messaging-create-sms=number='+{}'", plan::PORTAL_NUMBER);
    let created = bench.modem.mmcli(&["--modem=any", &with, &number]).unwrap();
    let path = created.split_whitespace().find(|word| word.contains("/SMS/")).unwrap();
    bench.modem.mmcli(&["--send", &format!("--sms={path}")]).unwrap();
    let parts: Vec<Message> = (0..2).map(|_| sent.recv_timeout(LIMIT).unwrap()).collect();
    let joined: Vec<u8> = parts.iter().flat_map(|part| part.data.iter().skip(6).copied()).collect();
    assert!(parts.iter().all(|part| part.udhi && part.number == plan::PORTAL_NUMBER), "{parts:?}");
    assert_eq!(joined, data);

    for part in parts.iter().rev() {
        let mut part = part.clone();
        // Another reference: ModemManager would take it for a part of what it sent.
        part.data[3] ^= 1;
        bench.modem.simulator.order(&Order::Receive(part));
    }
    let came = clock::until("the message is there and whole", LIMIT, || {
        let list = bench.modem.mmcli(&["--modem=any", "--messaging-list-sms"])?;
        let line = list.lines().find(|line| line.contains("(received)"));
        Ok(line.and_then(|line| line.split_whitespace().next()).map(str::to_owned))
    });
    let came = came.with_context(|| text::tail(&bench.folder.join("at.log"), 40)).unwrap();
    let back = bench.folder.join("back");
    let into = format!("--create-file-with-data={}", back.display());
    bench.modem.mmcli(&[&format!("--sms={came}"), &into]).unwrap();
    assert_eq!(fs::read(&back).unwrap(), data);
    assert_eq!(bench.modem.simulator.messages_kept(), 2);
    bench.modem.mmcli(&["--modem=any", &format!("--messaging-delete-sms={came}")]).unwrap();
    assert_eq!(bench.modem.simulator.messages_kept(), 0, "all parts go");
}

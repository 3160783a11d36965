//! The service on a real dbus-daemon that comes late and is restarted.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use futures_util::StreamExt;
use tokio::sync::mpsc;
use zbus::{MatchRule, MessageStream, message::Type};

use super::*;
use crate::{
    daemon::Journal,
    machine::Input,
    machine::{Machine, Note, Now, Settings},
    provision::{http::Limits, https},
};

const LONG: Duration = Duration::from_secs(20);

/// A private dbus-daemon, ended when dropped.
pub(crate) struct Bus {
    process: Child,
    socket: PathBuf,
}

impl Bus {
    pub(crate) fn start(directory: &Path) -> Self {
        let (socket, config) = (directory.join("bus"), directory.join("bus.conf"));
        let _ = fs::remove_file(&socket);
        let policy = "<policy context='default'><allow send_destination='*' eavesdrop='true'/>\
                      <allow eavesdrop='true'/><allow own='*'/></policy>";
        let listen = format!("<listen>unix:path={}</listen>", socket.display());
        fs::write(&config, format!("<busconfig>{listen}<auth>EXTERNAL</auth>{policy}</busconfig>"))
            .expect("writes");
        let mut process = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--nopidfile", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon runs (Debian package dbus)");
        let mut line = String::new();
        let mut log = BufReader::new(process.stdout.take().expect("stdout"));
        log.read_line(&mut line).expect("an address once it listens");
        assert!(line.starts_with("unix:"), "{line}");
        Self { process, socket }
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:path={}", self.socket.display())
    }

    /// Waits until somebody else is connected.
    pub(crate) async fn somebody_connected(&self) {
        let bus = connect(Some(&self.address())).await.expect("connects");
        let mut owners = owner_changes(&bus).await;
        let all = zbus::fdo::DBusProxy::new(&bus).await.expect("proxy").list_names().await.expect("names");
        // The bus itself, and this connection.
        if all.len() <= 2 {
            owners.next().await;
        }
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn owner_changes(bus: &Connection) -> MessageStream {
    let rule =
        MatchRule::builder().msg_type(Type::Signal).member("NameOwnerChanged").build().expect("a rule");
    MessageStream::for_match_rule(rule, bus, None).await.expect("subscribes")
}

/// Waits until somebody owns our name, and asks.
async fn ask(address: &str) -> String {
    let bus = connect(Some(address)).await.expect("connects");
    let mut owners = owner_changes(&bus).await;
    let agent = Agent1Proxy::new(&bus).await.expect("proxy");
    loop {
        match agent.get_status().await {
            Ok(status) => return status,
            Err(_) => drop(owners.next().await),
        }
    }
}

fn run_test(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
    runtime.block_on(async { timeout(LONG, test).await.expect("in time") });
}

/// What a machine that has just started shows, after `moves` moves.
fn view(moves: u64) -> View {
    let machine = Machine::new(Settings::default(), Now { since_boot: Duration::ZERO, unix: 7 }, None);
    let mut journal = Journal::default();
    (0..moves).for_each(|at| journal.take(at, &Note::MovedToWifi));
    View {
        status: Some(machine.status()),
        log: journal.entries(),
        logged: journal.written(),
        ..View::default()
    }
}

fn orders() -> (Orders, mpsc::Receiver<Input>) {
    let (inputs, queue) = mpsc::channel(4);
    let limits = Limits { connect: LONG, total: LONG };
    let portal = https::Settings { url: None, ca: PathBuf::new(), format: Default::default(), limits };
    (Orders { inputs, portal: watch::Sender::new(portal), config: PathBuf::new() }, queue)
}

#[test]
fn status_and_its_changes_are_told() {
    run_test(async {
        let dir = tempfile::tempdir().expect("directory");
        let bus = Bus::start(dir.path());
        let (sender, receiver) = watch::channel(view(0));
        spawn(Some(bus.address()), receiver, orders().0);
        assert_eq!(ask(&bus.address()).await, view(0).status_json());
        let listener = connect(Some(&bus.address())).await.expect("connects");
        let rule = MatchRule::builder().msg_type(Type::Signal).member("PropertiesChanged");
        let mut changes = MessageStream::for_match_rule(rule.build().expect("a rule"), &listener, None)
            .await
            .expect("subscribes");
        sender.send(view(1)).expect("sends");
        let change = changes.next().await.expect("a signal").expect("a message");
        assert_eq!(change.header().path().map(|path| path.as_str().to_owned()).as_deref(), Some(PATH));
        let told = format!("{:?}", change.body().deserialize::<zbus::Structure<'_>>());
        assert!(told.contains("Logged") && !told.contains("Status"), "only what differs: {told}");
        let mut other = view(1);
        other.status.as_mut().expect("a status").held = true;
        sender.send(other.clone()).expect("sends");
        let change = changes.next().await.expect("a signal").expect("a message");
        let told = format!("{:?}", change.body().deserialize::<zbus::Structure<'_>>());
        assert!(told.contains("Status") && !told.contains("Logged") && !told.contains("State\""), "{told}");
        assert_eq!(ask(&bus.address()).await, other.status_json());
    });
}

#[test]
fn a_bus_that_comes_late_or_again_is_found() {
    run_test(async {
        let dir = tempfile::tempdir().expect("directory");
        let address = format!("unix:path={}", dir.path().join("bus").display());
        let (_sender, receiver) = watch::channel(view(0));
        spawn(Some(address.clone()), receiver, orders().0);
        tokio::task::yield_now().await;
        let first = Bus::start(dir.path());
        assert_eq!(ask(&address).await, view(0).status_json());
        drop(first);
        let _second = Bus::start(dir.path());
        assert_eq!(ask(&address).await, view(0).status_json());
    });
}

/// `dbus/net.wifioffload.Agent1.xml` says what the service says of itself.
#[test]
fn the_interface_is_as_it_is_written() {
    run_test(async {
        let dir = tempfile::tempdir().expect("directory");
        let bus = Bus::start(dir.path());
        let (_sender, receiver) = watch::channel(view(0));
        spawn(Some(bus.address()), receiver, orders().0);
        ask(&bus.address()).await;
        let caller = connect(Some(&bus.address())).await.expect("connects");
        let proxy = zbus::fdo::IntrospectableProxy::builder(&caller)
            .destination(NAME)
            .path(PATH)
            .build()
            .await
            .expect("proxy");
        let told = elements(&proxy.introspect().await.expect("XML"));
        let written = elements(include_str!("../../../../dbus/net.wifioffload.Agent1.xml"));
        assert!(told.len() > 20, "{told:?}");
        assert_eq!(written, told);
    });
}

/// The tags of our interface, without comments and white space, sorted: order means nothing.
fn elements(xml: &str) -> Vec<String> {
    let begin = xml.find("<interface name=\"net.wifioffload.Agent1\">").expect("our interface");
    let ours = &xml[begin..];
    let ours = &ours[..ours.find("</interface>").expect("its end")];
    let mut member = String::new();
    let mut tags = Vec::new();
    let without_comments = ours.split("<!--").enumerate().map(|(part, text)| match part {
        0 => text,
        _ => text.split_once("-->").expect("its end").1,
    });
    for tag in without_comments.collect::<String>().split('<').skip(1) {
        let tag = tag.split('>').next().unwrap_or_default().trim().trim_end_matches('/').trim();
        if tag.starts_with('/') {
            continue;
        }
        if !tag.starts_with("arg") && !tag.starts_with("annotation") {
            tag.clone_into(&mut member);
        }
        tags.push(format!("{member}: {tag}"));
    }
    tags.sort();
    tags
}

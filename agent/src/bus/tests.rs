//! The service on a real dbus-daemon that comes late and is restarted.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use futures_util::StreamExt;
use zbus::{MatchRule, MessageStream, message::Type};

use super::*;

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

#[test]
fn status_and_its_changes_are_told() {
    run_test(async {
        let dir = tempfile::tempdir().expect("directory");
        let bus = Bus::start(dir.path());
        let (sender, receiver) = watch::channel("{\"n\":1}".to_owned());
        spawn(Some(bus.address()), receiver);
        assert_eq!(ask(&bus.address()).await, "{\"n\":1}");
        let listener = connect(Some(&bus.address())).await.expect("connects");
        let rule = MatchRule::builder().msg_type(Type::Signal).member("PropertiesChanged");
        let mut changes = MessageStream::for_match_rule(rule.build().expect("a rule"), &listener, None)
            .await
            .expect("subscribes");
        sender.send("{\"n\":2}".to_owned()).expect("sends");
        let change = changes.next().await.expect("a signal").expect("a message");
        assert_eq!(change.header().path().map(|path| path.as_str().to_owned()).as_deref(), Some(PATH));
        assert!(
            format!("{:?}", change.body().deserialize::<zbus::Structure<'_>>()).contains("{\\\"n\\\":2}")
        );
        assert_eq!(ask(&bus.address()).await, "{\"n\":2}");
    });
}

#[test]
fn a_bus_that_comes_late_or_again_is_found() {
    run_test(async {
        let dir = tempfile::tempdir().expect("directory");
        let address = format!("unix:path={}", dir.path().join("bus").display());
        let (_sender, receiver) = watch::channel("late".to_owned());
        spawn(Some(address.clone()), receiver);
        tokio::task::yield_now().await;
        let first = Bus::start(dir.path());
        assert_eq!(ask(&address).await, "late");
        drop(first);
        let _second = Bus::start(dir.path());
        assert_eq!(ask(&address).await, "late");
    });
}

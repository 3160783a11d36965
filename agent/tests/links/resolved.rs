//! Name servers by way of systemd-resolved: what it is told on a real bus. Its part is played here, because its package
//! would take over the resolver of the machine that tests.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    process::{Child, Command as Process, Stdio},
    sync::{Arc, Mutex},
};

use agent::wlan::links::{Command, Link, Settings};
use tokio::time::Duration;
use zbus::{Connection, connection::Builder, fdo, interface};

use crate::lab::{Agent, Lab, soon};

/// A private bus, ended when dropped.
struct Bus(Child, String);

impl Bus {
    fn start(lab: &Lab) -> Self {
        let socket = lab.folder.path().join("bus");
        let config = lab.folder.path().join("bus.conf");
        let text = format!(
            "<busconfig><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context='default'>\
             <allow send_destination='*' eavesdrop='true'/><allow eavesdrop='true'/><allow own='*'/></policy></busconfig>",
            socket.display()
        );
        std::fs::write(&config, text).expect("written");
        let mut process = Process::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--nopidfile", "--print-address"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon runs (Debian package dbus)");
        let mut line = String::new();
        BufReader::new(process.stdout.take().expect("piped")).read_line(&mut line).expect("an address");
        assert!(line.starts_with("unix:"), "{line}");
        Self(process, format!("unix:path={}", socket.display()))
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What resolved knows of one link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Known {
    servers: Vec<Vec<u8>>,
    domains: Vec<(String, bool)>,
    default_route: bool,
}

type All = Arc<Mutex<BTreeMap<i32, Known>>>;

/// `org.freedesktop.resolve1(5)`, as much as is asked for.
struct Manager(All);

impl Manager {
    fn with(&self, index: i32, change: impl FnOnce(&mut Known)) {
        change(self.0.lock().expect("no panic").entry(index).or_default());
    }
}

#[interface(name = "org.freedesktop.resolve1.Manager")]
impl Manager {
    #[zbus(name = "SetLinkDNS")]
    fn set_link_dns(&self, index: i32, servers: Vec<(i32, Vec<u8>)>) -> fdo::Result<()> {
        for (family, octets) in &servers {
            let fits = matches!((family, octets.len()), (2, 4) | (10, 16));
            fits.then_some(()).ok_or_else(|| fdo::Error::InvalidArgs("family".to_owned()))?;
        }
        self.with(index, |known| known.servers = servers.into_iter().map(|(_, octets)| octets).collect());
        Ok(())
    }

    fn set_link_domains(&self, index: i32, domains: Vec<(String, bool)>) {
        self.with(index, |known| known.domains = domains);
    }

    fn set_link_default_route(&self, index: i32, enable: bool) {
        self.with(index, |known| known.default_route = enable);
    }

    fn revert_link(&self, index: i32) {
        self.0.lock().expect("no panic").remove(&index);
    }
}

async fn serve(bus: &Bus, all: &All) -> Connection {
    let builder = Builder::address(bus.1.as_str()).name("org.freedesktop.resolve1");
    let builder = builder.serve_at("/org/freedesktop/resolve1", Manager(Arc::clone(all)));
    soon(builder.build()).await.expect("on the bus")
}

fn known(server: [u8; 4]) -> Known {
    Known { servers: vec![server.to_vec()], domains: vec![(".".to_owned(), true)], default_route: true }
}

#[test]
fn the_preferred_links_servers_are_asked_and_forgotten_afterwards() {
    let lab = Lab::new();
    let _dhcp = lab.dhcp(&[]);
    let bus = Bus::start(&lab);
    std::fs::remove_file(lab.resolv_conf()).expect("removed");
    symlink("../run/systemd/resolve/stub-resolv.conf", lab.resolv_conf()).expect("linked");
    lab.run(async |lab| {
        let all = All::default();
        // Another program's link.
        all.lock().expect("no panic").insert(99, known([192, 0, 2, 1]));
        let others = all.lock().expect("no panic").clone();
        let seen = |index: u32| all.lock().expect("no panic").get(&index.cast_signed()).cloned();
        let index = |name: &str| nix::net::if_::if_nametoindex(name).expect("an interface");
        let (wwan, wlan) = (index("wwan0"), index("wlan0"));
        let settings = Settings { bus: Some(bus.1.clone()), ..lab.settings() };

        // Nobody there is no reason not to move.
        let mut agent = Agent::start(settings.clone());
        agent.cellular().await;
        agent.prefer(Link::Cellular).await;

        let _service = serve(&bus, &all).await;
        agent.prefer(Link::Cellular).await;
        assert_eq!(seen(wwan), Some(known([10, 64, 0, 1])));
        agent.wlan().await;
        assert_eq!(seen(wlan), None);
        agent.prefer(Link::Wlan).await;
        assert_eq!((seen(wwan), seen(wlan)), (None, Some(known([10, 9, 0, 1]))));
        agent.prefer(Link::Cellular).await;
        assert_eq!((seen(wwan), seen(wlan)), (Some(known([10, 64, 0, 1])), None));
        agent.quietly(Command::ReleaseCellular).await;
        assert_eq!(*all.lock().expect("no panic"), others);

        // As after a crash.
        agent.cellular().await;
        agent.prefer(Link::Cellular).await;
        drop(agent);
        assert_eq!(seen(wwan), Some(known([10, 64, 0, 1])));
        let mut agent = Agent::start(Settings { keep_leftovers: Duration::ZERO, ..settings });
        agent.quietly(Command::ReleaseWlan).await;
        assert_eq!(*all.lock().expect("no panic"), others);
    });
    assert!(std::fs::symlink_metadata(lab.resolv_conf()).expect("there").is_symlink());
}

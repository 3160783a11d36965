//! The virtual wire: namespaces with NetworkManager on one end and hostapd on the other, on a bus of their own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use provisioning::{message::Credential, secret::Password};
use tokio::{
    sync::mpsc,
    time::{sleep, timeout},
};
use zbus::{Connection, connection};

use super::PATIENCE;
use crate::{
    bus::tests::Bus,
    manager::owner::{self, Choice},
    supplicant::{
        Event, Supplicant,
        tests::{bench::write_certificates, credential},
    },
};

/// What the credential says.
pub(super) const USERNAME: &str = "token@operator.example";
pub(super) const PASSWORD: &str = "s3cret-of-the-wire";

const CONFIGURATION: &str = "[main]\nplugins=keyfile\nauth-polkit=root-only\nno-auto-default=*\ndhcp=internal\n\
    dns=none\nsystemd-resolved=false\n[device-sta]\nmatch-device=interface-name:sta0\nmanaged=1\n\
    [device-ap]\nmatch-device=interface-name:ap0\nmanaged=0\n";

/// The set-up; everything it started ends with it.
pub(super) struct Bench {
    directory: tempfile::TempDir,
    namespace: Child,
    programs: Vec<Child>,
    manager: Option<Child>,
    bus: Bus,
    ca_pem: String,
}

impl Bench {
    /// None, with the reason on stderr, where the machine cannot do it.
    pub(super) fn new() -> Option<Self> {
        for program in ["NetworkManager", "wpa_supplicant", "hostapd", "dnsmasq", "ip", "unshare", "nsenter"]
        {
            let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
            if !folders.iter().any(|folder| Path::new(folder).join(program).exists()) {
                eprintln!("skipped: {program} is not installed");
                return None;
            }
        }
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: needs root to make namespaces");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path().display().to_string();
        // A /sys that cannot be written tells NetworkManager that there is no udev to wait for.
        let script = format!(
            "set -e; mount -t tmpfs tmpfs /run; mount -t sysfs -o ro sysfs /sys; \
             mount -t tmpfs tmpfs /var/lib/NetworkManager; mount -t tmpfs tmpfs /etc/NetworkManager; \
             mkdir -p /etc/NetworkManager/system-connections {here}/none; ip link set lo up; \
             ip link add sta0 type veth peer name ap0; ip address add 10.9.0.1/24 dev ap0; ip link set ap0 up; \
             : > {here}/ready; exec sleep infinity"
        );
        let namespace =
            Command::new("unshare").args(["--net", "--mount", "sh", "-c", &script]).spawn().unwrap();
        fs::write(directory.path().join("nm.conf"), CONFIGURATION).unwrap();
        let bus = Bus::start(directory.path());
        let ca_pem = write_certificates(directory.path());
        let mut bench = Self { directory, namespace, programs: Vec::new(), manager: None, bus, ca_pem };
        let ready = bench.path("ready");
        wait_until(|| ready.exists());
        bench.start(&["wpa_supplicant", "-u", "-s"]);
        let files = ["/dev/null", "--conf-file=/dev/null"];
        bench.start(&[
            "dnsmasq",
            "--keep-in-foreground",
            files[1],
            "--interface=ap0",
            "--bind-interfaces",
            "--port=0",
            "--dhcp-range=10.9.0.10,10.9.0.20,1h",
            "--dhcp-option=option:router,10.9.0.1",
            "--dhcp-option=option:dns-server,10.9.0.53",
            "--dhcp-leasefile=/run/leases",
            "--pid-file=/run/dnsmasq.pid",
        ]);
        Some(bench)
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A path as NetworkManager sees it.
    pub(super) fn inner(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.namespace.id()))
    }

    /// Starts NetworkManager, and waits until it manages the interface.
    pub(super) async fn start_manager(&mut self) {
        let [conf, none] = ["nm.conf", "none"].map(|name| self.path(name).display().to_string());
        self.manager = Some(self.inside(&[
            "NetworkManager",
            "--debug",
            "--config",
            &conf,
            "--config-dir",
            &none,
            "--system-config-dir",
            &none,
        ]));
        let bus = self.connection().await;
        until("NetworkManager manages sta0", async || {
            crate::manager::facts::look(&bus, "sta0")
                .await
                .is_ok_and(|facts| facts == crate::manager::facts::Facts::Managed)
        })
        .await;
    }

    pub(super) fn kill_manager(&mut self) {
        if let Some(mut manager) = self.manager.take() {
            end(&mut manager);
        }
    }

    /// An authenticator that knows this user, with its own EAP server.
    pub(super) fn start_authenticator(&mut self, password: &str) {
        let here = self.directory.path().display().to_string();
        let users = format!("* PEAP,TTLS\n\"{USERNAME}\" MSCHAPV2,TTLS-PAP \"{password}\" [2]\n");
        fs::write(self.path("users"), users).unwrap();
        self.start_hostapd(&format!(
            "eap_server=1\neap_user_file={here}/users\nca_cert={here}/ca.pem\nserver_cert={here}/aaa.pem\n\
             private_key={here}/aaa.key\n"
        ));
    }

    /// An authenticator whose RADIUS server is not there.
    pub(super) fn start_authenticator_without_aaa(&mut self) {
        self.start_hostapd(
            "own_ip_addr=127.0.0.1\nauth_server_addr=127.0.0.1\nauth_server_port=1812\n\
             auth_server_shared_secret=secret\n",
        );
    }

    fn start_hostapd(&mut self, backend: &str) {
        let configuration = format!(
            "interface=ap0\ndriver=wired\nieee8021x=1\neapol_version=2\nuse_pae_group_addr=1\n\
             ctrl_interface={}/hostapd\n{backend}",
            self.directory.path().display()
        );
        fs::write(self.path("hostapd.conf"), configuration).unwrap();
        let path = self.path("hostapd.conf").display().to_string();
        self.start(&["hostapd", &path]);
        let socket = self.path("hostapd/ap0");
        wait_until(|| socket.exists());
    }

    /// The credential that the authenticator would accept.
    pub(super) fn credential(&self) -> Box<Credential> {
        let mut credential = credential();
        credential.eap.ca_pem.clone_from(&self.ca_pem);
        credential.password = Password::new(PASSWORD.to_owned());
        Box::new(credential)
    }

    pub(super) async fn connection(&self) -> Connection {
        connection::Builder::address(self.bus.address().as_str()).build().await.unwrap()
    }

    /// The agent's side.
    pub(super) fn owner(&self) -> Agent {
        let (sender, events) = mpsc::channel(64);
        let (alive, ended) = mpsc::channel(1);
        let settings = owner::Settings {
            choice: Choice::Auto,
            bus: Some(self.bus.address()),
            control_dir: self.path("wpa"),
            run_dir: self.path("agent"),
            interface: "sta0".into(),
        };
        Agent { supplicant: Box::new(owner::spawn(settings, sender, alive)), events, ended }
    }

    /// Runs a program inside to its end; gives what it prints.
    pub(super) fn ask(&self, words: &[&str]) -> String {
        let output = self.command(words).output().unwrap();
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn start(&mut self, words: &[&str]) {
        let child = self.inside(words);
        self.programs.push(child);
    }

    fn inside(&self, words: &[&str]) -> Child {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).unwrap();
        self.command(words).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let of = |kind: &str| {
            format!("--{kind}=/proc/{}/ns/{}", self.namespace.id(), &kind[..3].replace("mou", "mnt"))
        };
        let mut command = Command::new("nsenter");
        command.args([of("net"), of("mount")]).args(words).stdin(Stdio::null());
        command.env("DBUS_SYSTEM_BUS_ADDRESS", self.bus.address());
        command
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.path("log")).unwrap_or_default());
        }
        self.kill_manager();
        self.programs.iter_mut().for_each(end);
        end(&mut self.namespace);
    }
}

/// The agent's side: commands in, events out.
pub(super) struct Agent {
    pub(super) supplicant: Box<dyn Supplicant>,
    events: mpsc::Receiver<Event>,
    ended: mpsc::Receiver<()>,
}

impl Agent {
    pub(super) async fn next(&mut self) -> Event {
        timeout(PATIENCE, self.events.recv()).await.expect("an event in time").expect("an event")
    }

    /// Passes over everything before the event that `is` wants.
    pub(super) async fn until<T>(&mut self, is: impl Fn(&Event) -> Option<T>) -> T {
        let mut before = Vec::new();
        loop {
            match timeout(PATIENCE, self.events.recv()).await {
                Ok(Some(event)) => match is(&event) {
                    Some(found) => return found,
                    None => before.push(event),
                },
                _ => panic!("it did not come; before it: {before:?}"),
            }
        }
    }

    /// The orderly end.
    pub(super) async fn stop(mut self) {
        drop(self.supplicant);
        assert_eq!(timeout(PATIENCE, self.ended.recv()).await.expect("it ends"), None);
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// For what other programs do and do not announce.
pub(super) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let step = Duration::from_millis(20);
    for _ in 0..PATIENCE.as_millis() / step.as_millis() {
        if condition().await {
            return;
        }
        sleep(step).await;
    }
    panic!("in vain: {what}");
}

fn wait_until(mut condition: impl FnMut() -> bool) {
    let step = Duration::from_millis(20);
    for _ in 0..PATIENCE.as_millis() / step.as_millis() {
        if condition() {
            return;
        }
        std::thread::sleep(step);
    }
    panic!("waited in vain");
}

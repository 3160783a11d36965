//! Bus, polkitd and wifi-offloadd, each the real one, and users to ask it.

use std::{
    fs::{self, Permissions},
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use agent::vault::{Stored, Vault};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use provisioning::{
    message::{Credential, EapSettings, InnerMethod, MacMode, Network, OuterMethod, Policy},
    secret::Password,
};

use crate::namespace::{LIMIT, Namespace};

/// What the vault holds.
pub const PASSWORD: &str = "s3cret-that-nobody-sees";
/// Users, by number.
pub const ROOT: u32 = 0;
/// `daemon`: the rules let it join and leave.
pub const ALLOWED: u32 = 1;
/// `nobody`: the defaults.
pub const NOBODY: u32 = 65534;

const RULES: &str = r#"polkit.addRule(function(action, subject) {
    if ((action.id == "net.wifioffload.agent.join" || action.id == "net.wifioffload.agent.leave") &&
        subject.user == "daemon") {
        return polkit.Result.YES;
    }
});
"#;

/// What a program said.
#[derive(Debug)]
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
}

/// All of it; ends when dropped.
pub struct World {
    dir: tempfile::TempDir,
    namespace: Namespace,
    /// The daemon first: it ends before its bus.
    programs: Vec<Child>,
}

impl World {
    /// Returns when the daemon is on the bus.
    pub fn start(with_polkit: bool) -> Self {
        let dir =
            tempfile::Builder::new().permissions(Permissions::from_mode(0o755)).tempdir().expect("directory");
        let mut world = Self { dir, namespace: Namespace::new(), programs: Vec::new() };
        let offloadctl = world.path("offloadctl");
        // Users cannot look into every checkout.
        fs::copy(env!("CARGO_BIN_EXE_offloadctl"), &offloadctl).expect("copies");
        world.start_bus();
        if with_polkit {
            world.start_polkit();
        }
        world.start_agent();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Writes a file; gives its path.
    pub fn write(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).expect("writes");
        self.text(name)
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.text("bus"))
    }

    /// As Debian's system.conf, less what a bus of one's own must not do.
    fn start_bus(&mut self) {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dbus");
        let ours = checkout.join("net.wifioffload.Agent1.conf");
        let config = format!(
            r#"<busconfig><type>system</type><auth>EXTERNAL</auth><listen>{}</listen>
<policy context="default">
<allow user="*"/><deny own="*"/><deny send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true" send_type="method_return"/>
<allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/>
<allow receive_type="error"/><allow receive_type="signal"/>
<allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
</policy>
<include ignore_missing="yes">/usr/share/dbus-1/system.d/org.freedesktop.PolicyKit1.conf</include>
<include>{}</include></busconfig>"#,
            self.address(),
            ours.display()
        );
        let config = self.write("bus.conf", &config);
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--nofork", "--nopidfile", "--print-address", &format!("--config-file={config}")]);
        let mut bus = bus.stdout(Stdio::piped()).spawn().expect("dbus-daemon runs (Debian package dbus)");
        let mut line = String::new();
        let mut log = BufReader::new(bus.stdout.take().expect("piped"));
        log.read_line(&mut line).expect("an address once it listens");
        self.programs.push(bus);
        assert!(line.starts_with("unix:"), "{line}");
    }

    /// polkitd of the machine, with our actions in place of the machine's and rules of ours.
    fn start_polkit(&mut self) {
        for folder in ["actions", "rules"] {
            fs::create_dir(self.path(folder)).expect("makes");
        }
        let actions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../dbus/net.wifioffload.agent.policy");
        fs::copy(actions, self.path("actions/net.wifioffload.agent.policy")).expect("copies");
        self.write("rules/50-test.rules", RULES);
        let script = format!(
            "mount --bind {} /usr/share/polkit-1/actions && mount --bind {} /etc/polkit-1/rules.d && \
             exec /usr/lib/polkit-1/polkitd",
            self.text("actions"),
            self.text("rules")
        );
        let mut polkit = Command::new("unshare");
        polkit.args(["--mount", "sh", "-c", &script]).env("DBUS_SYSTEM_BUS_ADDRESS", self.address());
        let polkit = polkit.stdout(Stdio::null()).spawn().expect("polkitd runs (Debian package polkitd)");
        self.programs.push(polkit);
        self.until_owned("org.freedesktop.PolicyKit1");
    }

    fn start_agent(&mut self) {
        let state = self.path("state");
        Vault::open_with(&state, None).and_then(|vault| vault.store(&stored())).expect("stores");
        let config = format!(
            "[portal]\nurl = \"https://portal.operator.example\"\nca = \"{}\"\n\
             [supplicant]\ncontrol-dir = \"{}\"\n[state]\ndir = \"{}\"\nrun-dir = \"{}\"\n",
            self.text("ca.pem"),
            self.text("wpa"),
            state.display(),
            self.text("run"),
        );
        let config = self.write("agent.toml", &config);
        let mut agent = Command::new(env!("CARGO_BIN_EXE_wifi-offloadd"));
        agent.args(["--config", &config]).env("DBUS_SYSTEM_BUS_ADDRESS", self.address());
        agent.stderr(fs::File::create(self.path("agent.log")).expect("creates"));
        let agent = self.namespace.run(|| agent.spawn()).expect("wifi-offloadd runs");
        self.programs.insert(0, agent);
        self.until_owned("net.wifioffload.Agent1");
    }

    /// Other programs do not announce it but on the bus itself, which is asked.
    fn until_owned(&self, name: &str) {
        let step = Duration::from_millis(20);
        let name = format!("string:{name}");
        for _ in 0..LIMIT.as_millis() / step.as_millis() {
            let driver = "org.freedesktop.DBus";
            let owned = self.call_to(
                ROOT,
                driver,
                "/org/freedesktop/DBus",
                "org.freedesktop.DBus.NameHasOwner",
                &[&name],
            );
            if owned.out.contains("boolean true") {
                return;
            }
            thread::sleep(step);
        }
        panic!("{name} does not come\n{}", self.log().out);
    }

    /// Runs a program as this user to its end.
    pub fn run(&self, user: u32, words: &[&str]) -> Said {
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()]);
        command.args(words).env("DBUS_SYSTEM_BUS_ADDRESS", self.address()).stdin(Stdio::null());
        let output = command.output().expect("setpriv runs (Debian package util-linux)");
        Said {
            status: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// `offloadctl WORDS`.
    pub fn offloadctl(&self, user: u32, words: &[&str]) -> Said {
        let program = self.text("offloadctl");
        self.run(user, &[&[program.as_str()], words].concat())
    }

    /// `offloadctl watch` in a terminal of its own: runs `then` when the screen is there, presses `q` when `awaited` is on it.
    pub fn watch(&self, user: u32, awaited: &str, then: impl FnOnce()) -> Said {
        let program = self.text("offloadctl");
        let typed = format!("stty cols 80 rows 24 && exec {program} watch");
        let mut command = Command::new("setpriv");
        command.args([format!("--reuid={user}"), format!("--regid={user}"), "--clear-groups".to_owned()]);
        command.args(["script", "--quiet", "--return", "--command", &typed, "/dev/null"]);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", self.address()).env("SHELL", "/bin/sh");
        let mut script = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script runs (Debian package bsdutils)");
        let (mut keys, mut screen) =
            (script.stdin.take().expect("piped"), script.stdout.take().expect("piped"));
        // What hangs is ended, and the test fails by what is missing.
        let pid = Pid::from_raw(script.id().try_into().expect("a pid"));
        let (over, watched) = mpsc::channel::<()>();
        let guard = thread::spawn(move || {
            if watched.recv_timeout(LIMIT) == Err(mpsc::RecvTimeoutError::Timeout) {
                let _ = kill(pid, Signal::SIGKILL);
            }
        });
        let (mut out, mut then, mut piece) = (String::new(), Some(then), [0; 4096]);
        let mut pressed = false;
        while let Ok(length @ 1..) = screen.read(&mut piece) {
            out.push_str(&String::from_utf8_lossy(&piece[..length]));
            if out.contains("q quit")
                && let Some(then) = then.take()
            {
                then();
            }
            if out.contains(awaited) && !pressed {
                keys.write_all(b"q").expect("a key");
                pressed = true;
            }
        }
        let status = script.wait().expect("it ends").code().unwrap_or(-1);
        drop(over);
        guard.join().expect("ends");
        Said { status, out, err: String::new() }
    }

    /// A call of the agent by a program that does not offer to ask for passwords.
    pub fn call(&self, user: u32, method: &str, arguments: &[&str]) -> Said {
        self.call_to(user, "net.wifioffload.Agent1", "/net/wifioffload/Agent1", method, arguments)
    }

    /// A call of anybody.
    pub fn call_to(&self, user: u32, name: &str, path: &str, method: &str, arguments: &[&str]) -> Said {
        let bus = format!("--bus={}", self.address());
        let dest = format!("--dest={name}");
        let words = ["dbus-send", &bus, "--print-reply", "--reply-timeout=20000", &dest, path, method];
        self.run(user, &[&words, arguments].concat())
    }

    /// Whether the agent has been told to stay on cellular, as this user sees it.
    pub fn held(&self, user: u32) -> bool {
        let status = self.offloadctl(user, &["status", "--json"]);
        let status: serde_json::Value = serde_json::from_str(&status.out).expect("JSON");
        status["held"].as_bool().expect("held")
    }

    /// Where `offloadctl setup` leaves it.
    pub fn setup_fragment(&self) -> PathBuf {
        self.path("agent.toml.d/50-setup.toml")
    }

    /// The portal's authorities.
    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// What the daemon keeps, and its memory.
    pub fn private_files(&self) -> Vec<String> {
        let pid = self.programs[0].id();
        let kept = ["state/vault", "state/vault.key"].map(|name| {
            assert!(self.path(name).exists(), "{name}");
            self.text(name)
        });
        let process = ["mem", "environ", "maps"].map(|name| format!("/proc/{pid}/{name}"));
        kept.into_iter().chain(process).collect()
    }

    /// The daemon's log.
    pub fn log(&self) -> Said {
        let out = fs::read_to_string(self.path("agent.log")).unwrap_or_default();
        Said { status: 0, out, err: String::new() }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.log().out);
        }
        for program in &mut self.programs {
            let _ = program.kill();
            let _ = program.wait();
        }
    }
}

fn stored() -> Stored {
    let policy = Policy {
        version: 3,
        networks: vec![Network::new("operator", 1)],
        probe_url: "http://probe.operator.example/204".to_owned(),
        ..Policy::default()
    };
    let credential = Credential {
        username: "abc@operator.example".to_owned(),
        password: Password::new(PASSWORD.to_owned()),
        eap: EapSettings {
            outer: OuterMethod::Peap,
            inner: InnerMethod::Mschapv2,
            anonymous_identity: "anonymous@operator.example".to_owned(),
            server_name: "aaa.operator.example".to_owned(),
            ca_pem: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n".to_owned(),
        },
        mac_mode: MacMode::Permanent,
        issued_at: 1_700_000_000,
        expires_at: None,
        one_time: false,
        policy,
        signed_policy: None,
    };
    Stored { current: Some(credential), ..Stored::default() }
}

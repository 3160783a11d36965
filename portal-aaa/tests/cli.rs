//! The command line end to end: the real program, real files, and `serve` beside the other commands.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may assume"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

#[path = "cli/doctor.rs"]
mod doctor;
#[path = "cli/policy.rs"]
mod policy;
#[path = "cli/usage.rs"]
mod usage;

const IMSI: &str = "001010123456789";
const IMEI: &str = "490154203237518";
const MAC: &str = "02:00:00:00:00:01";
const SECRET: &str = "a secret of the access point";

struct Installation {
    dir: tempfile::TempDir,
}

struct Ran {
    status: ExitStatus,
    out: String,
    err: String,
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portal-aaa"));
    command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET");
    command
}

fn ran(output: Output) -> Ran {
    let text = |octets| String::from_utf8(octets).unwrap();
    Ran { status: output.status, out: text(output.stdout), err: text(output.stderr) }
}

impl Ran {
    fn well(self) -> String {
        assert!(self.status.success(), "{}\n{}", self.out, self.err);
        self.out
    }

    /// Exit status and what the user reads.
    fn badly(self, status: i32) -> String {
        assert_eq!(self.status.code(), Some(status), "{}\n{}", self.out, self.err);
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self.out + &self.err
    }
}

/// Free ports, so that any number of these tests can run at once.
fn init(dir: &Path) -> Ran {
    let mut command = program();
    command.args(["init", "--realm", "Operator.Example", "--listen", "127.0.0.1", "--dir"]).arg(dir);
    for port in ["--radius-port", "--accounting-port", "--portal-port"] {
        command.args([port, "0"]);
    }
    ran(command.output().unwrap())
}

impl Installation {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        init(&dir.path().join("d")).well();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("d").join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = program();
        command.args(arguments).arg("--config").arg(self.path("portal-aaa.toml"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments).output().unwrap())
    }

    fn issue(&self, more: &[&str]) -> Value {
        let mut arguments =
            vec!["credential", "issue", "--imsi", IMSI, "--imei", IMEI, "--mac", MAC, "--json"];
        arguments.extend_from_slice(more);
        serde_json::from_str(&self.run(&arguments).well()).unwrap()
    }

    fn configure(&self, old: &str, new: &str) {
        let path = self.path("portal-aaa.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(old), "{old}");
        fs::write(path, text.replacen(old, new, 1)).unwrap();
    }

    /// Every file but the keys' that holds one of `words`.
    fn holding(&self, words: &[&str]) -> Vec<PathBuf> {
        let files = fs::read_dir(self.path("")).unwrap().map(|entry| entry.unwrap().path());
        files
            .filter(|file| file.is_file())
            .filter(|file| {
                let octets = fs::read(file).unwrap();
                words.iter().any(|word| octets.windows(word.len()).any(|window| window == word.as_bytes()))
            })
            .collect()
    }
}

/// A running `serve`; killed when the test ends early.
struct Serving {
    child: Child,
    log: BufReader<ChildStderr>,
}

impl Serving {
    fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        Self { child, log }
    }

    /// Waits for a log line of this event; the log ending first is a failure.
    fn event(&mut self, event: &str) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.log.read_line(&mut line).unwrap(), 0, "the log ended before {event}");
            let value: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            if value["event"] == event {
                return value;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn init_makes_a_whole_installation_and_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("deep/er");
    let said = init(&folder).well();
    for word in ["UDP port 0", "aaa.operator.example", "tls/ca.pem", "nas add", "serve --config"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    for (file, mode) in [
        (".", 0o700),
        ("tls", 0o700),
        ("keys.toml", 0o600),
        ("portal-aaa.db", 0o600),
        ("portal-aaa.toml", 0o640),
        ("tls/ca.key", 0o600),
        ("tls/aaa.key", 0o600),
        ("tls/portal.key", 0o600),
        ("tls/ca.pem", 0o644),
    ] {
        let found = fs::metadata(folder.join(file)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found & !0o022, mode & !0o022, "{file}: {found:o}");
    }
    let check = program().arg("check").arg("--config").arg(folder.join("portal-aaa.toml")).output().unwrap();
    ran(check).well();
}

#[test]
fn init_overwrites_nothing() {
    let installation = Installation::new();
    let keys = fs::read(installation.path("keys.toml")).unwrap();
    let said = init(&installation.path("")).badly(1);
    assert!(said.contains("is there already") && said.contains("--dir"), "{said}");
    assert_eq!(fs::read(installation.path("keys.toml")).unwrap(), keys);

    // Also not what is left of one.
    fs::remove_file(installation.path("portal-aaa.toml")).unwrap();
    init(&installation.path("")).badly(1);
}

#[test]
fn init_refuses_what_serve_would() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("d");
    let try_with = |more: &[&str], status| {
        let output = program().args(["init", "--dir"]).arg(&folder).args(more).output().unwrap();
        let said = ran(output).badly(status);
        assert!(!folder.exists(), "{more:?} left something");
        said
    };
    assert!(try_with(&["--realm", "not a name"], 2).contains("domain name"));
    try_with(&["--radius-port", "70000"], 2);
    try_with(&["--listen", "everywhere"], 2);
    assert!(try_with(&["--radius-port", "1813"], 1).contains("accounting_listen"));
}

#[test]
fn certificates_are_what_peers_ask_for() {
    let installation = Installation::new();
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(installation.path("tls")).output();
        ran(output.expect("openssl is needed")).well()
    };
    for (file, name) in [("aaa.pem", "aaa.operator.example"), ("portal.pem", "portal.operator.example")] {
        let verify = [
            "verify",
            "-x509_strict",
            "-purpose",
            "sslserver",
            "-CAfile",
            "ca.pem",
            "-verify_hostname",
            name,
        ];
        openssl(&[&verify[..], &[file]].concat());
        let text = openssl(&["x509", "-in", file, "-noout", "-text"]);
        for word in
            ["prime256v1", "TLS Web Server Authentication", &format!("DNS:{name}"), "Digital Signature"]
        {
            assert!(text.contains(word), "{file}: {word}");
        }
        // Not longer than 825 days, not shorter than 700.
        let end = |days: u64| program_end(&installation, file, days);
        assert!(end(700) && !end(825), "{file}");
    }
    let text = openssl(&["x509", "-in", "ca.pem", "-noout", "-text"]);
    assert!(text.contains("CA:TRUE, pathlen:0") && text.contains("Certificate Sign"), "{text}");
    assert!(program_end(&installation, "ca.pem", 3600));
}

/// Whether a certificate is still good in so many days.
fn program_end(installation: &Installation, file: &str, days: u64) -> bool {
    let seconds = (days * 86_400).to_string();
    let arguments = ["x509", "-in", file, "-noout", "-checkend", &seconds];
    let output =
        Command::new("openssl").args(arguments).current_dir(installation.path("tls")).output().unwrap();
    output.status.success()
}

#[test]
fn issue_prints_exactly_what_other_programs_rely_on() {
    let installation = Installation::new();
    let issued = installation.issue(&[]);
    let mut keys: Vec<_> = issued.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["ca_path", "expires", "password", "server_name", "username"]);
    let username = issued["username"].as_str().unwrap();
    let (opaque, realm) = username.split_once('@').unwrap();
    assert_eq!((opaque.len(), realm), (63, "operator.example"));
    assert!(issued["password"].as_str().unwrap().len() >= 26);
    assert_eq!(issued["server_name"], "aaa.operator.example");
    assert_eq!(issued["expires"], Value::Null);
    let ca = Path::new(issued["ca_path"].as_str().unwrap());
    assert!(ca.is_absolute() && fs::read_to_string(ca).unwrap().contains("BEGIN CERTIFICATE"));

    let again = installation.issue(&["--lifetime", "3600"]);
    assert_ne!(again["username"], issued["username"], "newly generated each time");
    assert_ne!(again["password"], issued["password"]);
    let end: jiff::Timestamp = again["expires"].as_str().unwrap().parse().unwrap();
    let left = end.duration_since(jiff::Timestamp::now()).as_secs();
    assert!((3500..=3600).contains(&left), "{left}");
    assert_eq!(installation.issue(&["--lifetime", "one-time"])["expires"], Value::Null);

    let text = installation.run(&["credential", "issue", "--imei", IMEI, "--mac", "0200.0000.0001"]).well();
    for word in ["username", "password", "trusted CA", "server name", "until revoked"] {
        assert!(text.contains(word), "{text}");
    }
}

#[test]
fn a_credential_is_revoked_once() {
    let installation = Installation::new();
    let issued = installation.issue(&[]);
    let username = issued["username"].as_str().unwrap();
    assert!(
        installation.run(&["credential", "revoke", &username.to_uppercase()]).well().starts_with("revoked")
    );
    assert!(installation.run(&["credential", "revoke", username]).well().starts_with("unchanged"));
    let said = installation.run(&["credential", "revoke", "nobody@operator.example"]).badly(1);
    assert!(said.contains("no credential of this username"), "{said}");
}

#[test]
fn credentials_are_listed_masked_and_revoked_by_whose_they_are() {
    let installation = Installation::new();
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&installation.run(&[arguments, &["--json"]].concat()).well()).unwrap()
    };
    let (first, second) = (installation.issue(&[]), installation.issue(&["--lifetime", "60"]));
    let listed = json(&["credential", "list", "--mac", MAC]);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let named = |one: &Value| {
        listed
            .as_array()
            .unwrap()
            .iter()
            .any(|each| (&each["username"], &each["state"]) == (&one["username"], &"issued".into()))
    };
    assert!(named(&first) && named(&second), "{listed}");
    assert_eq!(listed[0]["imsi"], "00101••••••••89");
    assert!(listed[1]["superseded"].is_null(), "what is made by hand supersedes nothing");
    assert_eq!(json(&["credential", "list", "--imsi", "001010123456788"]), Value::Array(vec![]));
    let username = first["username"].as_str().unwrap();
    let shown = json(&["credential", "show", username]);
    assert_eq!((&shown["state"], &shown["device"]), (&"issued".into(), &MAC.into()));
    assert!(installation.run(&["credential", "show", username]).well().contains("device          02:00"));
    installation.run(&["credential", "show", "nobody@x"]).badly(1);
    installation.run(&["subscriber", "add", "--imsi", IMSI, "--group", "gold"]).well();
    assert_eq!(json(&["credential", "revoke", "--group", "silver"])["revoked"], 0);
    assert_eq!(json(&["credential", "revoke", username])["revoked"], 1);
    assert_eq!(json(&["credential", "revoke", "--group", "gold"])["revoked"], 1);
    assert_eq!(json(&["credential", "show", username])["state"], "revoked");
    installation.issue(&[]);
    assert_eq!(json(&["credential", "revoke", "--mac", MAC])["revoked"], 1);
    installation.issue(&[]);
    assert_eq!(json(&["credential", "revoke", "--imsi", IMSI])["revoked"], 1);
    installation.run(&["credential", "revoke"]).badly(2);
    installation.run(&["credential", "revoke", username, "--mac", MAC]).badly(2);
    assert_eq!(installation.holding(&[IMSI, IMEI]), Vec::<PathBuf>::new());
}

#[test]
fn clients_are_added_and_changed_and_their_secrets_sealed() {
    let installation = Installation::new();
    let add = |kind: &str, name: &str, network: &str, more: &[&str]| {
        let mut arguments = vec![kind, "add", name, "--network", network];
        arguments.extend_from_slice(if more.is_empty() { &["--secret", SECRET] } else { more });
        installation.run(&arguments)
    };
    assert!(add("nas", "ap-1", "10.9.0.0/24", &[]).well().starts_with("added: access point ap-1"));
    assert!(add("nas", "ap-1", "10.9.0.0/24", &[]).well().starts_with("unchanged"));
    let audit = ["--secret", SECRET, "--message-authenticator", "audit"];
    assert!(add("nas", "ap-1", "10.9.0.0/24", &audit).well().starts_with("changed"));
    assert!(
        add("gateway", "pgw", "2001:db8::1", &[])
            .well()
            .starts_with("added: packet gateway pgw at 2001:db8::1/128")
    );
    assert!(add("gateway", "same-network-as-ap", "10.9.0.0/24", &[]).well().starts_with("added"));
    assert!(add("nas", "ap-2", "10.9.0.0/24", &[]).badly(1).contains("belongs to ap-1"));

    let short = add("nas", "short", "10.8.0.0/24", &["--secret", "testing123"]);
    assert!(short.status.success() && short.err.contains("short"), "{}", short.err);
    assert!(add("nas", "ap-3", "10.7.0.0/24", &["--secret", ""]).badly(1).contains("empty"));
    assert!(add("nas", "ap-3", "10.7.0.1/24", &[]).badly(2).contains("address/bits"));
    assert!(add("nas", "a b", "10.7.0.0/24", &[]).badly(2).contains("a name has"));
    add("nas", "ap-3", "10.7.0.0/24", &["--secret", SECRET, "--message-authenticator", "sometimes"]).badly(2);
    assert_eq!(installation.holding(&[SECRET, "testing123"]), Vec::<PathBuf>::new());

    let mut command =
        installation.command(&["nas", "add", "piped", "--network", "10.6.0.0/24", "--secret", "-"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"a secret from a pipe\n").unwrap();
    assert!(ran(child.wait_with_output().unwrap()).well().starts_with("added"));
}

#[test]
fn clients_are_listed_and_removed() {
    let installation = Installation::new();
    installation
        .run(&["nas", "add", "ap-1", "--network", "10.9.0.0/24", "--secret", SECRET, "--coa-port", "3799"])
        .well();
    installation.run(&["gateway", "add", "pgw", "--network", "10.8.0.1", "--secret", SECRET]).well();
    let list: Value = serde_json::from_str(&installation.run(&["nas", "list", "--json"]).well()).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["name"], "ap-1");
    assert_eq!((&list[0]["network"], &list[0]["coa_port"]), (&"10.9.0.0/24".into(), &3799.into()));
    assert_eq!(list[0]["message_authenticator"], "require");
    assert!(!list.to_string().contains(SECRET));
    assert!(installation.run(&["gateway", "list"]).well().starts_with("pgw\t10.8.0.1/32"));
    assert!(installation.run(&["nas", "remove", "pgw"]).well().starts_with("unchanged"));
    assert!(installation.run(&["nas", "remove", "ap-1"]).well().starts_with("removed"));
    assert!(installation.run(&["nas", "remove", "ap-1"]).well().starts_with("unchanged"));
    assert_eq!(installation.run(&["nas", "list", "--json"]).well(), "[]\n");
}

#[test]
fn accounts_are_made_changed_listed_and_removed() {
    let installation = Installation::new();
    let add = |name: &str, password: &str, more: &[&str]| {
        let mut arguments = vec!["user", "add", name, "--password", password];
        arguments.extend_from_slice(more);
        installation.run(&arguments)
    };
    let word = "an ünusual pass word";
    assert!(add("CORP\\jö 1", word, &[]).well().starts_with("added: CORP\\jö 1"));
    assert!(add("CORP\\jö 1", word, &[]).well().starts_with("unchanged"));
    let narrow =
        ["--mac", "0200.0000.0001", "--methods", "pap,peap-mschapv2", "--ssid", "a b", "--ssid", "c"];
    assert!(add("CORP\\jö 1", word, &narrow).well().starts_with("changed"));
    assert_eq!(installation.holding(&[word]), Vec::<PathBuf>::new());

    let list = installation.run(&["user", "list", "--json"]).well();
    assert!(!list.contains(word), "{list}");
    let list: Value = serde_json::from_str(&list).unwrap();
    let account = &list[0];
    assert_eq!((&account["name"], &account["mac"]), (&"CORP\\jö 1".into(), &MAC.into()));
    assert_eq!(account["methods"], serde_json::json!(["peap-mschapv2", "pap"]));
    assert_eq!(account["ssids"], serde_json::json!(["a b", "c"]));
    assert_eq!((&account["vlan"], &account["disabled"]), (&Value::Null, &false.into()));
    assert!(installation.run(&["user", "list"]).well().contains("mac 02:00:00:00:00:01"));

    assert!(add("x", "p", &["--methods", "pap,md5"]).badly(2).contains("ttls-eap-gtc"));
    assert!(add("x", "p", &["--nas", "nowhere"]).badly(1).contains("no access point nowhere"));
    assert!(add("x", "p", &["--vlan", "4095"]).badly(2).contains("4094"));
    assert!(add("x\ny", "p", &[]).badly(1).contains("control characters"));
    assert!(add("x", "", &[]).badly(1).contains("1 to 256 characters"));
    let issued = installation.issue(&[]);
    assert!(add(issued["username"].as_str().unwrap(), "p", &[]).badly(1).contains("issued credential"));
    let long = add("long", &"p".repeat(129), &[]);
    assert!(long.status.success() && long.err.contains("PAP bears 128"), "{}", long.err);
    assert!(!add("long", &"p".repeat(129), &["--methods", "peap-mschapv2"]).err.contains("PAP"));

    let mut command = installation.command(&["user", "add", "piped", "--password", "-"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all("from a pipe ö\n".as_bytes()).unwrap();
    assert!(ran(child.wait_with_output().unwrap()).well().starts_with("added: piped"));
    assert!(add("piped", "from a pipe ö", &[]).well().starts_with("unchanged"));

    let run = |what: &str, name: &str| installation.run(&["user", what, name]);
    assert!(run("disable", "piped").well().starts_with("disabled"));
    assert!(run("disable", "piped").well().starts_with("unchanged"));
    assert!(installation.run(&["user", "list"]).well().contains("DISABLED"));
    assert!(run("enable", "piped").well().starts_with("enabled"));
    assert!(run("enable", "nobody").badly(1).contains("no account nobody"));
    assert!(run("remove", "piped").well().starts_with("removed"));
    assert!(run("remove", "piped").well().starts_with("unchanged"));
}

#[test]
fn wrong_usage_is_2_and_says_what_is_right() {
    let installation = Installation::new();
    let issue = |more: &[&str]| {
        let mut arguments = vec!["credential", "issue", "--mac", MAC];
        arguments.extend_from_slice(more);
        installation.run(&arguments)
    };
    assert!(issue(&[]).badly(2).contains("--imsi"));
    assert!(issue(&["--imsi", "12"]).badly(2).contains("6 to 15 decimal digits"));
    assert!(issue(&["--imei", "12"]).badly(2).contains("14 to 16 decimal digits"));
    assert!(issue(&["--imsi", IMSI, "--lifetime", "forever"]).badly(2).contains("one-time"));
    let mac = ["credential", "issue", "--imsi", IMSI, "--mac", "02:00"];
    assert!(installation.run(&mac).badly(2).contains("six octets"));
    installation.run(&["credential", "revoke"]).badly(2);
    installation.run(&["nas", "add"]).badly(2);
    installation.run(&["nonsense"]).badly(2);
    ran(program().output().unwrap()).badly(2);
    ran(program().args(["init"]).output().unwrap()).badly(2);
}

#[test]
fn check_names_what_is_wrong_and_the_remedy() {
    let installation = Installation::new();
    let said = installation.run(&["check"]).well();
    assert!(
        said.contains("no access point may ask") && said.contains("no packet gateway may report"),
        "{said}"
    );
    installation.run(&["nas", "add", "ap", "--network", "10.9.0.0/24", "--secret", SECRET]).well();
    installation.run(&["gateway", "add", "pgw", "--network", "10.8.0.0/24", "--secret", SECRET]).well();
    let said = installation.run(&["check"]).well();
    assert!(!said.contains("note") && !said.contains("PROBLEM"), "{said}");

    let broken = |name: &str, octets: Option<&[u8]>, expected: &[&str]| {
        let path = installation.path(name);
        let kept = fs::read(&path).unwrap();
        match octets {
            Some(octets) => fs::write(&path, octets).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let said = installation.run(&["check"]).badly(1);
        for word in expected {
            assert!(said.contains(word), "{name}: {word}: {said}");
        }
        assert!(said.contains("PROBLEM") && said.contains('→'), "{said}");
        let mode = if name.ends_with(".pem") { 0o644 } else { 0o600 };
        fs::write(&path, kept).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        installation.run(&["check"]).well();
    };
    broken("portal-aaa.toml", Some(b"realm = 1\n"), &["portal-aaa.toml:1:9:", "^"]);
    broken("keys.toml", None, &["keys.toml", "No such file"]);
    broken("portal-aaa.db", None, &["portal-aaa.db", "No such file"]);
    broken("portal-aaa.db", Some(&[7; 4096]), &["not a database"]);
    broken("tls/ca.pem", Some(b""), &["ca.pem holds no certificate"]);
    broken("tls/aaa.pem", None, &["aaa.pem"]);
    let portal_key = fs::read(installation.path("tls/portal.key")).unwrap();
    broken("tls/aaa.key", Some(&portal_key), &["does not belong to it"]);
    let other = Installation::new();
    let other_keys = fs::read(other.path("keys.toml")).unwrap();
    installation.run(&["user", "add", "probe", "--password", "p", "--nas", "ap"]).well();
    let sealed = ["secret of ap does not open", "secret of pgw", "password of account probe does not open"];
    broken("keys.toml", Some(&other_keys), &sealed);
    let other_ca = fs::read(other.path("tls/ca.pem")).unwrap();
    broken("tls/ca.pem", Some(&other_ca), &["not signed by [tls] ca"]);

    fs::set_permissions(installation.path("keys.toml"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(installation.run(&["check"]).badly(1).contains("chmod 600"));
    fs::set_permissions(installation.path("keys.toml"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(installation.path("tls/aaa.key"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(installation.run(&["check"]).badly(1).contains("others may read its key"));
    fs::set_permissions(installation.path("tls/aaa.key"), fs::Permissions::from_mode(0o600)).unwrap();
    installation.configure("server_name = \"aaa.", "server_name = \"radius.");
    assert!(
        installation.run(&["check"]).badly(1).contains("does not carry the name radius.operator.example")
    );
}

#[test]
fn check_names_access_points_that_are_not_there() {
    let installation = Installation::new();
    installation.run(&["nas", "add", "ap", "--network", "10.9.0.0/24", "--secret", SECRET]).well();
    installation.run(&["user", "add", "probe", "--password", "p", "--nas", "ap"]).well();
    installation.configure("nas = []", "nas = [\"hall\"]");
    installation.configure("# Usage as", "[session.nas.roof]\nvlan = 7\n# Usage as");
    installation.run(&["nas", "remove", "ap"]).well();
    let said = installation.run(&["check"]).well();
    for word in
        ["nas lists hall", "[session.nas.roof]", "account probe is good at ap", "accounts made by hand: 1"]
    {
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn other_commands_say_what_is_missing() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("portal-aaa.toml");
    let revoke =
        || ran(program().args(["credential", "revoke", "a@b", "--config"]).arg(&config).output().unwrap());
    assert!(revoke().badly(1).contains("portal-aaa.toml: No such file"));
    let installation = Installation::new();
    fs::remove_file(installation.path("keys.toml")).unwrap();
    let said = installation.run(&["credential", "revoke", "a@b"]).badly(1);
    assert!(said.contains("keys.toml: No such file"), "{said}");
}

#[test]
fn serve_tells_when_it_is_ready_lets_others_work_and_stops_cleanly() {
    let installation = Installation::new();
    let socket = installation.dir.path().join("notify");
    let manager = UnixDatagram::bind(&socket).unwrap();
    // Only so that a program that never says it fails the test instead of hanging it.
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let length = manager.recv(&mut buffer).expect("the service manager was told nothing");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    };
    let mut command = installation.command(&["serve", "--log-format", "json"]);
    command.env("NOTIFY_SOCKET", &socket);
    let mut serving = Serving::start(command);
    assert!(told().contains("READY=1"));
    assert_eq!(serving.event("portal-ready")["name"], "portal.operator.example");
    let limits = fs::read_to_string(format!("/proc/{}/limits", serving.child.id())).unwrap();
    let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{cores}");

    installation.run(&["nas", "add", "ap", "--network", "10.9.0.0/24", "--secret", SECRET]).well();
    assert_eq!(serving.event("clients-loaded")["count"], 1);
    let issued = installation.issue(&[]);
    let password = issued["password"].as_str().unwrap();
    installation.run(&["credential", "revoke", issued["username"].as_str().unwrap()]).well();
    installation.run(&["check"]).well();
    // Now, with what is not yet moved from the write-ahead log.
    assert!(installation.path("portal-aaa.db-wal").exists());
    assert_eq!(installation.holding(&[IMSI, IMEI, password, SECRET]), Vec::<PathBuf>::new());
    assert!(
        !installation.holding(&[issued["username"].as_str().unwrap()]).is_empty(),
        "the look itself works"
    );

    serving.signal(Signal::SIGTERM);
    assert!(told().contains("STOPPING=1"));
    serving.event("stopped");
    assert!(serving.child.wait().unwrap().success());
    assert_eq!(installation.holding(&[IMSI, IMEI, password, SECRET]), Vec::<PathBuf>::new());
}

#[test]
fn serve_says_why_it_cannot_start() {
    let installation = Installation::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    // The portal's is the first of the three.
    installation.configure("listen = \"127.0.0.1:0\"", &format!("listen = \"{address}\""));
    let said = installation.run(&["serve"]).badly(1);
    assert!(said.contains(&format!("TCP {address} is taken")), "{said}");

    fs::remove_file(installation.path("portal-aaa.db")).unwrap();
    let said = installation.run(&["serve"]).badly(1);
    assert!(said.contains("portal-aaa.db") && said.contains("No such file"), "{said}");
}

#[test]
fn subscribers_are_listed_masked_and_a_list_is_taken_in_whole_or_not_at_all() {
    const OTHER: &str = "001010123456788";
    const NUMBER: &str = "491701234567";
    let installation = Installation::new();
    let list = installation.path("list.csv");
    let import = |text: &str| {
        fs::write(&list, text).unwrap();
        let ran = installation.run(&["subscriber", "import", list.to_str().unwrap()]);
        fs::remove_file(&list).unwrap();
        ran
    };
    let listed = || -> Value {
        serde_json::from_str(&installation.run(&["subscriber", "list", "--json"]).well()).unwrap()
    };
    for (text, expected) in [
        ("", "the list is empty"),
        ("msisdn\n49170\n", "there is no column imsi"),
        ("imsi,imsi\n1,2\n", "name the columns, each once"),
        ("imsi,color\n1,2\n", "name the columns"),
        (&format!("imsi\n{IMSI}\n{OTHER}0\n"), "line 3: imsi: an IMSI is 6 to 15"),
        (&format!("imsi,msisdn\n{IMSI},0170{NUMBER}\n"), "line 2: msisdn: an MSISDN is"),
        (&format!("imsi,state\n{IMSI},perhaps\n"), "line 2: state: a state is"),
        (&format!("imsi,state\n{IMSI}\n"), "line 2: 1 values where there are 2 columns"),
        (&format!("imsi\n{IMSI}\n\n{IMSI}\n"), "line 4: imsi: stands in an earlier line"),
        (&format!("imsi\n{IMSI}{}\n", " ".repeat(5000)), "line 2 is too long"),
    ] {
        let said = import(text).badly(1);
        assert!(said.contains(expected), "{expected} in {said}");
        for secret in [IMSI, OTHER, NUMBER] {
            assert!(!said.contains(secret), "{said}");
        }
        assert_eq!(listed(), Value::Array(vec![]), "{expected}");
    }
    let first = installation.issue(&[]);
    let said = import(&format!("imsi,msisdn,state,group\n{IMSI},+{NUMBER},,gold\n{OTHER},,deny,\n")).well();
    assert_eq!(said, "2 added, 0 changed, 0 unchanged; credentials revoked: 0\n");
    let both = listed();
    assert_eq!(both[0]["imsi"], "00101••••••••88");
    assert_eq!(both[0]["state"], "deny");
    assert_eq!((&both[1]["msisdn"], &both[1]["group"]), (&"+49••••••••67".into(), &"gold".into()));
    let said = installation.run(&["subscriber", "suspend", "--msisdn", NUMBER]).well();
    assert!(said.contains("credentials revoked: 1"), "{said}");
    let username = first["username"].as_str().unwrap();
    assert!(installation.run(&["credential", "revoke", username]).well().contains("unchanged"));
    let issue = ["credential", "issue", "--imsi", IMSI, "--mac", MAC, "--json"];
    assert!(installation.run(&issue).badly(1).contains("subscriber-suspended"));
    // A list that says nothing of the state does not lift it.
    import(&format!("imsi,group\n{IMSI},silver\n")).well();
    assert_eq!(listed()[1]["state"], "suspended");
    let said = installation.run(&["subscriber", "add", "--imsi", OTHER, "--msisdn", NUMBER]).badly(1);
    assert!(said.contains("belongs to another subscriber"), "{said}");
    installation.run(&["subscriber", "allow", "--imsi", IMSI]).well();
    installation.run(&issue).well();
    assert!(installation.run(&["subscriber", "remove", "--imsi", IMSI]).well().starts_with("removed"));
    assert!(installation.run(&["subscriber", "remove", "--imsi", IMSI]).well().starts_with("unchanged"));
    assert_eq!(installation.holding(&[IMSI, OTHER, NUMBER]), Vec::<PathBuf>::new());
}

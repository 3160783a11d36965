//! The virtual wire: a network namespace with hostapd on one end and wpa_supplicant on the other.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use provisioning::message::Credential;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};

use super::{
    super::{commands::Commands, monitor::Monitor, operations},
    PATIENCE,
};

/// What the authenticator knows.
pub(crate) const SERVER_NAME: &str = "aaa.operator.example";

/// What the authenticator writes.
const LOG: &str = "hostapd.log";

/// The set-up; everything it started ends with it.
pub(super) struct Bench {
    directory: tempfile::TempDir,
    namespace: Child,
    authenticator: Option<Child>,
    supplicant: Option<Child>,
    pub(super) ca_pem: String,
}

impl Bench {
    /// None, with the reason on stderr, where the machine cannot do it.
    pub(super) fn new() -> Option<Self> {
        for program in ["wpa_supplicant", "hostapd", "ip", "unshare", "nsenter"] {
            let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
                .iter()
                .any(|dir| Path::new(dir).join(program).exists());
            if !found {
                eprintln!("skipped: {program} is not installed");
                return None;
            }
        }
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: needs root to make a network namespace");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let ready = directory.path().join("ready");
        let script = format!(
            "ip link set lo up && ip link add sta0 type veth peer name ap0 && ip link set sta0 up && \
             ip link set ap0 up && : > {} && exec sleep infinity",
            ready.display()
        );
        let namespace = Command::new("unshare").args(["--net", "sh", "-c", &script]).spawn().unwrap();
        let ca_pem = write_certificates(directory.path());
        let bench = Self { directory, namespace, authenticator: None, supplicant: None, ca_pem };
        wait_until(|| ready.exists());
        Some(bench)
    }

    pub(super) fn with_supplicant() -> Option<Self> {
        let mut bench = Self::new()?;
        bench.start_supplicant();
        Some(bench)
    }

    pub(super) fn run_dir(&self) -> PathBuf {
        let path = self.directory.path().join("run");
        fs::create_dir_all(&path).unwrap();
        path
    }

    /// The agent clears its own when it starts.
    pub(super) fn agent_run_dir(&self) -> PathBuf {
        self.directory.path().join("agent")
    }

    pub(super) fn control_dir(&self) -> PathBuf {
        self.directory.path().join("wpa")
    }

    pub(super) fn control(&self) -> PathBuf {
        self.control_dir().join("sta0")
    }

    /// The wired driver has no scan, hence no wait for one.
    pub(super) fn start_supplicant(&mut self) {
        let configuration = self.directory.path().join("wpa.conf");
        fs::write(&configuration, format!("ctrl_interface={}\n", self.control_dir().display())).unwrap();
        // A killed supplicant leaves its socket; the new one must be told from it.
        let _ = fs::remove_file(self.control());
        let configuration = configuration.display().to_string();
        self.supplicant = Some(self.inside(&["wpa_supplicant", "-Dwired", "-ista0", "-c", &configuration]));
        wait_until(|| self.control().exists());
    }

    /// An authenticator that knows this user, with its own EAP server.
    pub(super) fn start_authenticator(&mut self, username: &str, password: &str) {
        let here = self.directory.path();
        let users = format!("* PEAP,TTLS\n\"{username}\" MSCHAPV2,TTLS-PAP \"{password}\" [2]\n");
        fs::write(here.join("users"), users).unwrap();
        let backend = format!(
            "eap_server=1\neap_user_file={here}/users\nca_cert={here}/ca.pem\nserver_cert={here}/aaa.pem\n\
             private_key={here}/aaa.key\n",
            here = here.display()
        );
        self.start_hostapd(&backend);
    }

    /// An authenticator whose RADIUS server is not there.
    pub(super) fn start_authenticator_without_aaa(&mut self) {
        self.start_hostapd(
            "own_ip_addr=127.0.0.1\nauth_server_addr=127.0.0.1\nauth_server_port=1812\n\
             auth_server_shared_secret=secret\n",
        );
    }

    fn start_hostapd(&mut self, backend: &str) {
        let here = self.directory.path().to_owned();
        let configuration = format!(
            "interface=ap0\ndriver=wired\nieee8021x=1\neapol_version=2\nuse_pae_group_addr=1\n\
             ctrl_interface={}/hostapd\n{backend}",
            here.display()
        );
        fs::write(here.join("hostapd.conf"), configuration).unwrap();
        let path = here.join("hostapd.conf").display().to_string();
        let log = fs::File::create(here.join(LOG)).unwrap();
        let mut command = self.command(&["hostapd", "-dd", &path]);
        self.authenticator = Some(command.stdout(log).spawn().unwrap());
        wait_until(|| here.join("hostapd/ap0").exists());
    }

    /// Ends the authenticator, and gives all that it was told.
    pub(super) fn end_authenticator(&mut self) -> String {
        end(&mut self.authenticator);
        let _ = fs::remove_file(self.directory.path().join("hostapd/ap0"));
        fs::read_to_string(self.directory.path().join(LOG)).unwrap()
    }

    /// Where the authenticator's certificates are.
    pub(super) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn signal_supplicant(&self, signal: Signal) {
        kill(pid(self.supplicant.as_ref().unwrap()), signal).unwrap();
    }

    pub(super) fn kill_supplicant(&mut self) {
        end(&mut self.supplicant);
    }

    pub(super) fn commands(&self) -> Commands {
        let mut commands = Commands::open(&self.control(), &self.run_dir()).unwrap();
        operations::ping(&mut commands).unwrap();
        commands
    }

    pub(super) fn monitor(&self) -> Monitor {
        Monitor::attach(&self.control(), &self.run_dir()).unwrap()
    }

    /// The credential that the authenticator would accept.
    pub(super) fn credential(&self) -> Credential {
        let mut credential = super::credential();
        credential.eap.ca_pem.clone_from(&self.ca_pem);
        credential
    }

    fn inside(&self, words: &[&str]) -> Child {
        self.command(words).spawn().unwrap()
    }

    fn command(&self, words: &[&str]) -> Command {
        let net = format!("--net=/proc/{}/ns/net", self.namespace.id());
        let mut command = Command::new("nsenter");
        command.arg(net).args(words).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        end(&mut self.supplicant);
        end(&mut self.authenticator);
        let _ = self.namespace.kill();
        let _ = self.namespace.wait();
    }
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

/// For what other programs do and do not announce.
fn wait_until(mut condition: impl FnMut() -> bool) {
    let step = Duration::from_millis(20);
    for _ in 0..PATIENCE.as_millis() / step.as_millis() {
        if condition() {
            return;
        }
        thread::sleep(step);
    }
    panic!("waited in vain");
}

/// CA and server certificate of the authenticator; gives the CA's PEM.
pub(crate) fn write_certificates(directory: &Path) -> String {
    let authority = Authority::new("bench CA");
    authority.sign(directory, SERVER_NAME, NOW);
    authority.pem
}

/// Years that the tests' clock is between.
pub(super) const NOW: (i32, i32) = (2001, 2200);

/// Somebody who signs certificates.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(super) pem: String,
}

impl Authority {
    /// With a key of its own, under this name.
    pub(super) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap();
        Self { issuer: Issuer::new(params, key), pem: certificate.pem() }
    }

    /// Writes what the authenticator reads: a server certificate for `name`, from the first of these years to the second.
    pub(super) fn sign(&self, directory: &Path, name: &str, years: (i32, i32)) {
        let key = KeyPair::generate().unwrap();
        let mut server = CertificateParams::new(vec![name.to_owned()]).unwrap();
        server.distinguished_name.push(DnType::CommonName, name);
        server.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        (server.not_before, server.not_after) = (date_time_ymd(years.0, 1, 1), date_time_ymd(years.1, 1, 1));
        let certificate = server.signed_by(&key, &self.issuer).unwrap();
        fs::write(directory.join("ca.pem"), &self.pem).unwrap();
        fs::write(directory.join("aaa.pem"), certificate.pem()).unwrap();
        fs::write(directory.join("aaa.key"), key.serialize_pem()).unwrap();
    }
}

//! The operator's core network: packet gateway's far end, name server, portal-aaa, a piece of the Internet.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};

use super::{daemon::Daemon, netns::Netns, plan};
use crate::{clock, workshop};

/// How long portal-aaa may take to listen (it makes and opens its database under emulation).
const START_LIMIT: Duration = Duration::from_secs(30);

/// The core.
pub(crate) struct Core {
    /// Its namespace.
    pub(crate) place: Netns,
    /// Name server.
    dns: Daemon,
    /// Portal and AAA.
    pub(crate) portal_aaa: Daemon,
    program: PathBuf,
    data: PathBuf,
    account: bool,
}

impl Core {
    /// Builds namespace and links, makes portal-aaa's keys and clients, starts what runs there.
    ///
    /// `program` is portal-aaa, `data` a folder for its database, `logs` a folder for logs.
    pub(crate) fn build(program: &Path, data: &Path, logs: &Path) -> Result<Self> {
        let place = Netns::create("core")?;
        network(&place)?;
        let listen: Vec<String> =
            plan::DNS.iter().map(|address| format!("--listen-address={address}")).collect();
        let answer = format!("--address=/{}/{}", plan::PORTAL_NAME, plan::PORTAL_ADDRESS);
        let hotspot = format!("--address=/hotspot.example/{}", plan::HOTSPOT_ADDRESS);
        let mut words = vec![
            "dnsmasq",
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--user=root",
            "--pid-file=",
            "--no-resolv",
            "--no-hosts",
            "--bind-interfaces",
            "--log-facility=-",
            &answer,
            &hotspot,
        ];
        words.extend(listen.iter().map(String::as_str));
        let dns = Daemon::new("dnsmasq-core", &place, logs, &words);
        let config = data.join("portal-aaa.toml");
        let program_text = program.to_string_lossy().into_owned();
        let config_text = config.to_string_lossy().into_owned();
        let serve = [program_text.as_str(), "serve", "--config", &config_text, "--log-format", "json"];
        let portal_aaa = Daemon::new("portal-aaa", &place, logs, &serve);
        let mut core = Self {
            place,
            dns,
            portal_aaa,
            program: program.to_owned(),
            data: data.to_owned(),
            account: false,
        };
        core.dns.start()?;
        core.prepare()?;
        core.serve()?;
        Ok(core)
    }

    /// The private CA that the agent trusts the portal by.
    pub(crate) fn ca(&self) -> PathBuf {
        self.data.join("tls/ca.pem")
    }

    /// One call of `portal-aaa` with this world's configuration.
    pub(crate) fn admin(&self, arguments: &[&str]) -> Result<String> {
        let config = self.data.join("portal-aaa.toml");
        let mut command = self.place.command(&self.program.to_string_lossy());
        workshop::run(command.args(arguments).arg("--config").arg(config))
    }

    /// Makes an account at the AAA, once, for those who fetch no credential.
    pub(crate) fn visitor(&mut self) -> Result<[&'static str; 2]> {
        let [name, password] = plan::ACCOUNT;
        if !self.account {
            self.admin(&["user", "add", name, "--password", password])?;
            self.account = true;
        }
        Ok([name, password])
    }

    /// The name server ends.
    pub(crate) fn stop_names(&mut self) -> Result<()> {
        self.dns.stop()
    }

    /// It answers again.
    pub(crate) fn start_names(&mut self) -> Result<()> {
        self.dns.start()
    }

    /// Starts portal-aaa and waits until it listens.
    pub(crate) fn serve(&mut self) -> Result<()> {
        self.portal_aaa.start()?;
        let portal: SocketAddr = format!("{}:{}", plan::PORTAL_ADDRESS, plan::PORTAL_PORT).parse()?;
        let place = self.place.clone();
        clock::until("portal-aaa listens", START_LIMIT, || {
            self.portal_aaa.must_run()?;
            let open =
                place.inside(|| TcpStream::connect_timeout(&portal, Duration::from_secs(1)).is_ok())?;
            Ok(open.then_some(()))
        })
    }

    /// Gives keys of the policy other values, as an operator would: in the file, and a restart. False where they had
    /// these values already, and nothing was done.
    pub(crate) fn set_policy(&mut self, values: &[(&str, &str)]) -> Result<bool> {
        let path = self.data.join("portal-aaa.toml");
        let before = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let mut settings = before.clone();
        for (key, value) in values {
            settings = set(&settings, key, value)?;
        }
        if settings == before {
            return Ok(false);
        }
        fs::write(&path, settings)?;
        self.portal_aaa.stop()?;
        self.serve()?;
        Ok(true)
    }

    /// Another authority and other certificates, as of a second installation in the first one's place.
    pub(crate) fn new_certificates(&mut self) -> Result<()> {
        let folder = self.data.join("second");
        let text = folder.to_string_lossy().into_owned();
        let mut init = self.place.command(&self.program.to_string_lossy());
        workshop::run(init.args(["init", "--dir", &text, "--realm", plan::REALM]))?;
        self.portal_aaa.stop()?;
        for entry in fs::read_dir(folder.join("tls"))? {
            let entry = entry?;
            fs::copy(entry.path(), self.data.join("tls").join(entry.file_name()))?;
        }
        fs::remove_dir_all(&folder)?;
        self.serve()
    }

    /// Credentials by SMS, too: the table, the password, the subscriber's number, a restart. Gives what devices need.
    pub(crate) fn set_up_sms(&mut self, msisdn: &str) -> Result<String> {
        let path = self.data.join("portal-aaa.toml");
        let mut settings = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        fs::write(self.data.join("smsc.password"), plan::SMSC_PASSWORD)?;
        settings.push_str(&format!(
            "\n[sms]\nserver = \"127.0.0.1:{}\"\nsystem_id = \"{}\"\npassword_file = \"smsc.password\"\n\
             source = \"{}\"\ndelivery = \"as-asked\"\n",
            plan::SMSC_PORT,
            plan::SMSC_USER,
            plan::PORTAL_NUMBER
        ));
        fs::write(&path, settings)?;
        self.admin(&["subscriber", "add", "--imsi", plan::IMSI, "--msisdn", msisdn])?;
        self.portal_aaa.stop()?;
        self.serve()?;
        self.admin(&["sms", "key"])
    }

    fn prepare(&self) -> Result<()> {
        let data = self.data.to_string_lossy().into_owned();
        let mut init = self.place.command(&self.program.to_string_lossy());
        let port = plan::PORTAL_PORT.to_string();
        workshop::run(init.args(["init", "--dir", &data, "--realm", plan::REALM, "--portal-port", &port]))?;
        let path = self.data.join("portal-aaa.toml");
        let mut settings = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        for (key, value) in [
            ("probe-url", format!("\"{}\"", plan::PROBE_URL)),
            ("networks", format!("[{{ ssid = \"{}\", priority = 10 }}]", plan::SSID)),
            // Short times, so that a run shows in a minute what takes ten in the field.
            ("dwell-secs", "1".to_owned()),
            ("penalty-secs", "2".to_owned()),
            ("drain-secs", "60".to_owned()),
        ] {
            settings = set(&settings, key, &value)?;
        }
        fs::write(&path, settings)?;
        let network = format!("{}/32", plan::AP_UPLINK);
        let (secret, coa) = (plan::NAS_SECRET, plan::AP_COA_PORT.to_string());
        let words =
            ["nas", "add", "access-point", "--network", &network, "--secret", secret, "--coa-port", &coa];
        self.admin(&words)?;
        let network = format!("{}/32", plan::HOTSPOT_UPLINK);
        let (secret, coa) = (plan::HOTSPOT_SECRET, plan::HOTSPOT_COA_PORT.to_string());
        self.admin(&[
            "nas",
            "add",
            "hotspot",
            "--network",
            &network,
            "--secret",
            secret,
            "--coa-port",
            &coa,
        ])?;
        self.admin(&[
            "gateway",
            "add",
            "packet-gateway",
            "--network",
            "127.0.0.0/8",
            "--secret",
            plan::GATEWAY_SECRET,
        ])?;
        Ok(())
    }
}

/// Carriers and campus networks drop packets whose source does not belong to the link they come by: so do these.
pub(crate) fn strict_router(place: &Netns) -> Result<()> {
    place.sysctl("ipv4/ip_forward", "1")?;
    place.sysctl("ipv4/conf/all/rp_filter", "1")?;
    place.sysctl("ipv4/conf/default/rp_filter", "1")
}

fn network(place: &Netns) -> Result<()> {
    strict_router(place)?;
    for address in [plan::INTERNET, plan::PORTAL_ADDRESS].iter().chain(&plan::DNS) {
        place.ip(&format!("addr add {address}/32 dev lo"))?;
    }
    Ok(())
}

/// Gives a key of the configuration that `init` wrote another value. The file is ours and names each key once.
fn set(settings: &str, key: &str, value: &str) -> Result<String> {
    let mut found = 0;
    let mut skipping = false;
    let mut lines = Vec::new();
    for line in settings.lines() {
        if skipping {
            // The rest of an array over several lines.
            skipping = !line.trim_end().ends_with(']');
        } else if line.split('=').next().is_some_and(|name| name.trim() == key) {
            found += 1;
            lines.push(format!("{key} = {value}"));
            skipping = line.trim_end().ends_with('[');
        } else {
            lines.push(line.to_owned());
        }
    }
    match found {
        1 => Ok(lines.join("\n") + "\n"),
        0 => Err(anyhow!("portal-aaa init writes no key {key}")),
        _ => bail!("portal-aaa init writes {key} more than once"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gets_another_value() {
        let before = "[policy]\n# probe-url: where\nprobe-url = \"http://a/\"\nnetworks = [\n  { ssid = \"x\" },\n]\nend = 1\n";
        let after = set(&set(before, "probe-url", "\"http://b/\"").unwrap(), "networks", "[]").unwrap();
        assert_eq!(
            after,
            "[policy]\n# probe-url: where\nprobe-url = \"http://b/\"\nnetworks = []\nend = 1\n"
        );
        assert!(set(before, "absent", "1").is_err());
    }
}

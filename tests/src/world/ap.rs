//! The access point: hostapd on a simulated radio, DHCP, and an uplink to the core. A rogue one, and an open one.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result};

use super::{control, core::strict_router, daemon::Daemon, netns::Netns, plan, radio::Radio};

/// How long hostapd may take.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Where its control socket is.
const CONTROL: &str = "/run/hostapd";
/// Interface of the open network's radio.
pub(crate) const OPEN: &str = "wlan3";
/// Signal in the middle of the cell, dBm.
pub(crate) const NEAR: i32 = -50;

/// Radios are loaded once: the first is the operator's access point, the second the laptop's, the third the rogue's, the
/// fourth the open network's.
pub(crate) const RADIOS: usize = 4;

/// An access point on the air.
pub(crate) struct AccessPoint {
    place: Netns,
    /// Its radio.
    pub(crate) radio: Radio,
    /// Access point and authenticator.
    pub(crate) hostapd: Daemon,
    dhcp: Option<Daemon>,
}

impl AccessPoint {
    /// The operator's, out of range at first. `core` is where its uplink goes.
    pub(crate) fn build(core: &Netns, work: &Path, logs: &Path) -> Result<Self> {
        let place = Netns::create("ap")?;
        strict_router(&place)?;
        let core_name = core.name().unwrap_or_default();
        place.ip(&format!("link add uplink type veth peer name to-ap netns {core_name}"))?;
        place.ip(&format!("addr add {}/24 dev uplink", plan::AP_UPLINK))?;
        core.ip(&format!("addr add {}/24 dev to-ap", plan::AAA))?;
        place.ip("link set uplink up")?;
        core.ip("link set to-ap up")?;
        place.ip(&format!("route add default via {}", plan::AAA))?;
        core.ip(&format!("route add 10.9.0.0/24 via {}", plan::AP_UPLINK))?;
        let radio = Radio::take("wlan0", &place)?;
        radio.in_range(false)?;
        place.ip(&format!("addr add {}/24 dev wlan0", plan::AP_ADDRESS))?;
        let radius = format!(
            "own_ip_addr={own}\nnas_identifier=ap1.{realm}\n\
             auth_server_addr={aaa}\nauth_server_port=1812\nauth_server_shared_secret={secret}\n\
             acct_server_addr={aaa}\nacct_server_port=1813\nacct_server_shared_secret={secret}\n\
             radius_acct_interim_interval=60\n\
             radius_das_port={das}\nradius_das_client={aaa} {secret}\n",
            das = plan::AP_COA_PORT,
            own = plan::AP_UPLINK,
            realm = plan::REALM,
            aaa = plan::AAA,
            secret = plan::NAS_SECRET,
        );
        let hostapd = hostapd("hostapd", &[], "wlan0", &place, &enterprise(&radius), work, logs)?;
        let dhcp = dhcp("dnsmasq-ap", &place, "wlan0", "10.9.0", &[], logs)?;
        let made = Self { place, radio, hostapd, dhcp: Some(dhcp) };
        made.radio.heard_at(NEAR)?;
        Ok(made)
    }

    /// An open network of a gateway that is at `place`; out of range at first.
    pub(crate) fn build_open(place: &Netns, work: &Path, logs: &Path) -> Result<Self> {
        let radio = Radio::take(OPEN, place)?;
        radio.in_range(false)?;
        let settings = format!("ssid={}\n", plan::HOTSPOT_SSID);
        let hostapd = hostapd("hostapd-open", &[], OPEN, place, &settings, work, logs)?;
        radio.heard_at(NEAR)?;
        Ok(Self { place: place.clone(), radio, hostapd, dhcp: None })
    }

    /// Begins to give addresses in an open network, and tells where its captive portal API is (RFC 8910 §2.1).
    pub(crate) fn give_addresses(&mut self, logs: &Path) -> Result<()> {
        let api = format!("--dhcp-option=114,https://{}/captive", plan::HOTSPOT_NAME);
        self.dhcp = Some(dhcp("dnsmasq-open", &self.place, OPEN, "10.19.0", &[&api], logs)?);
        Ok(())
    }

    /// No addresses any more.
    pub(crate) fn stop_addresses(&mut self) -> Result<()> {
        self.dhcp.as_mut().map_or(Ok(()), Daemon::stop)
    }

    /// Addresses again.
    pub(crate) fn start_addresses(&mut self) -> Result<()> {
        self.dhcp.as_mut().map_or(Ok(()), Daemon::start)
    }

    /// Says goodbye to a station.
    pub(crate) fn deauthenticate(&self, station: &str) -> Result<()> {
        control::command(&Path::new(CONTROL).join("wlan0"), &format!("DEAUTHENTICATE {station}"))
    }

    /// What goes to the Internet or comes from it is lost without a word; the access point stays on the air.
    pub(crate) fn cut_uplink(&self, core: &Netns) -> Result<()> {
        self.place.ip("route replace blackhole default")?;
        core.ip("route replace blackhole 10.9.0.0/24")
    }

    /// The other way round.
    pub(crate) fn mend_uplink(&self, core: &Netns) -> Result<()> {
        self.place.ip("route del blackhole default")?;
        self.place.ip(&format!("route replace default via {}", plan::AAA))?;
        core.ip("route del blackhole 10.9.0.0/24")?;
        core.ip(&format!("route replace 10.9.0.0/24 via {}", plan::AP_UPLINK))
    }

    /// Makes it forget whom it knows: the next login goes to the AAA again, and not by a cached key (PMKSA).
    pub(crate) fn forget_keys(&self) -> Result<()> {
        control::command(&Path::new(CONTROL).join("wlan0"), "PMKSA_FLUSH")
    }

    /// Somebody else's, with the operator's network name and an AAA whose certificate another CA signed; in range
    /// at once. `certificates` holds `ca.pem`, `aaa.pem` and `aaa.key` as `portal-aaa init` makes them.
    pub(crate) fn build_rogue(certificates: &Path, work: &Path, logs: &Path) -> Result<Self> {
        let place = Netns::create("rogue")?;
        let radio = Radio::take("wlan2", &place)?;
        let users = work.join("rogue.users");
        fs::write(&users, "* PEAP,TTLS\n\"victim\" MSCHAPV2,TTLS-PAP \"anything\" [2]\n")?;
        let path = |name: &str| certificates.join(name).display().to_string();
        let own_server = format!(
            "eap_server=1\neap_user_file={}\nca_cert={}\nserver_cert={}\nprivate_key={}\n",
            users.display(),
            path("ca.pem"),
            path("aaa.pem"),
            path("aaa.key"),
        );
        // Its log has every identity that it is given and every state of its EAP server.
        let hostapd =
            hostapd("hostapd-rogue", &["-dd"], "wlan2", &place, &enterprise(&own_server), work, logs)?;
        radio.heard_at(NEAR)?;
        Ok(Self { place, radio, hostapd, dhcp: None })
    }
}

/// 802.1X under the operator's network name.
fn enterprise(server: &str) -> String {
    format!(
        "ssid={}\nwpa=2\nwpa_key_mgmt=WPA-EAP WPA-EAP-SHA256\nrsn_pairwise=CCMP\nieee80211w=1\n\
         ieee8021x=1\neapol_version=2\n{server}",
        plan::SSID
    )
}

/// Addresses of `net`.0/24 for who comes by this interface; `net`.1 is the router.
fn dhcp(name: &str, place: &Netns, interface: &str, net: &str, more: &[&str], logs: &Path) -> Result<Daemon> {
    let interface = format!("--interface={interface}");
    let range = format!("--dhcp-range={net}.100,{net}.150,1h");
    let router = format!("--dhcp-option=option:router,{net}.1");
    let mut words = vec![
        "dnsmasq",
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--user=root",
        "--pid-file=",
        "--port=0",
        &interface,
        &range,
        &router,
        "--dhcp-option=option:dns-server,10.64.0.53",
        "--dhcp-authoritative",
        // It would probe an address for two to three seconds before it offers it.
        "--no-ping",
        "--dhcp-leasefile=/dev/null",
        "--log-dhcp",
        "--log-facility=-",
    ];
    words.extend(more);
    let mut dhcp = Daemon::new(name, place, logs, &words);
    dhcp.start()?;
    Ok(dhcp)
}

fn hostapd(
    name: &str,
    options: &[&str],
    interface: &str,
    place: &Netns,
    network: &str,
    work: &Path,
    logs: &Path,
) -> Result<Daemon> {
    let path = work.join(format!("{name}.conf"));
    // No country code: the regulatory database is not in the guest, and channel 1 is allowed everywhere.
    let settings = format!(
        "interface={interface}\ndriver=nl80211\nctrl_interface={CONTROL}\nhw_mode=g\nchannel=1\nieee80211n=1\nwmm_enabled=1\n{network}",
    );
    fs::write(&path, settings).with_context(|| path.display().to_string())?;
    let path = path.to_string_lossy();
    let words = ["hostapd", "-t"].iter().chain(options).copied().chain([&*path]).collect::<Vec<_>>();
    let mut daemon = Daemon::new(name, place, logs, &words);
    daemon.start()?;
    daemon.ready("AP-ENABLED", START_LIMIT)?;
    Ok(daemon)
}

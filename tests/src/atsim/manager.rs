//! D-Bus, polkit and ModemManager around the simulated modem: Debian's own programs, on a bus of their own.
//!
//! Started in the namespace where `wwan0` is. polkit is the real one: ModemManager asks it for every call, and it
//! allows root everything.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Result, anyhow, ensure};

use super::{Order, control, fakesys::FakeSystem, simulator::Simulator};
use crate::{
    clock, workshop,
    world::{daemon::Daemon, netns::Netns},
};

/// How long a program may take to come up.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Without udev ModemManager reads the rules itself, and takes no port without them.
const RULES: &str = "/lib/udev/rules.d/80-mm-candidate.rules";
/// What belongs to the device, in the order of its coming.
const PORTS: [(&str, &str); 3] = [("tty", "ttyUSB0"), ("tty", "ttyUSB1"), ("net", "wwan0")];

/// A message bus of the system type, with Debian's own policies for those who are on it.
pub(crate) struct Bus {
    /// The program.
    pub(crate) daemon: Daemon,
    address: String,
}

impl Bus {
    /// Starts it with its socket in `folder`; `policies` are further folders of D-Bus policy files.
    pub(crate) fn start(place: &Netns, folder: &Path, logs: &Path, policies: &[PathBuf]) -> Result<Self> {
        let socket = folder.join("bus");
        let _ = fs::remove_file(&socket);
        let address = format!("unix:path={}", socket.display());
        let configuration = folder.join("bus.conf");
        fs::write(&configuration, bus_configuration(&address, policies))?;
        let option = format!("--config-file={}", configuration.display());
        let mut daemon =
            Daemon::new("dbus-daemon", place, logs, &["dbus-daemon", &option, "--nofork", "--nopidfile"]);
        daemon.start()?;
        clock::until("the bus listens", START_LIMIT, || {
            daemon.must_run()?;
            Ok(socket.exists().then_some(()))
        })?;
        Ok(Self { daemon, address })
    }

    /// For `DBUS_SYSTEM_BUS_ADDRESS`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

/// The modem, plugged into a machine with ModemManager.
pub(crate) struct CellularModem {
    /// What happens on the air and in the slot.
    pub(crate) simulator: Simulator,
    place: Netns,
    bus: String,
    polkit: Daemon,
    manager: Daemon,
    system: FakeSystem,
}

impl CellularModem {
    /// Starts polkit and ModemManager in `place`, with the modem plugged in. `wwan0` must be there. `folder` gets
    /// the socket `modem` for orders by hand.
    pub(crate) fn start(
        place: &Netns,
        bus: &Bus,
        simulator: Simulator,
        folder: &Path,
        logs: &Path,
    ) -> Result<Self> {
        ensure!(Path::new(RULES).exists(), "ModemManager needs its own udev rules: {RULES} is missing");
        let system = FakeSystem::write(folder)?;
        simulator.link_ports(system.dev())?;
        control::serve(&folder.join("modem"), simulator.orders())?;
        let events = folder.join("kernel-events");
        let lines: Vec<String> =
            PORTS.iter().map(|(subsystem, name)| event("add", subsystem, name)).collect();
        fs::write(&events, lines.join("\n") + "\n")?;
        let polkit = Daemon::new("polkitd", place, logs, &["/usr/lib/polkit-1/polkitd"])
            .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        let initial = format!("--initial-kernel-events={}", events.display());
        let manager = Daemon::new(
            "ModemManager",
            // Its thread is in the namespace already: `ip netns exec` would mount a /sys of its own.
            &Netns::here(),
            logs,
            &[
                "ModemManager",
                "--no-auto-scan",
                "--test-no-udev",
                "--test-no-suspend-resume",
                "--test-no-qrtr",
                // DEBUG shows AT commands, with IMSI and IMEI; the transcript of the simulator has them anyway.
                "--log-level=INFO",
                "--log-timestamps",
                &initial,
            ],
        )
        .env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        let mut made =
            Self { simulator, place: place.clone(), bus: bus.address().to_owned(), polkit, manager, system };
        made.polkit.start()?;
        made.polkit.ready("Acquired the name org.freedesktop.PolicyKit1", START_LIMIT)?;
        made.start_manager()?;
        Ok(made)
    }

    /// Starts ModemManager, the first time or after [`CellularModem::kill_manager`]; returns when it is on the bus.
    /// It finds the modem by itself.
    pub(crate) fn start_manager(&mut self) -> Result<()> {
        let (place, system, manager) = (&self.place, &self.system, &mut self.manager);
        thread::scope(|scope| {
            let starter = scope.spawn(|| {
                place.enter()?;
                system.enter()?;
                manager.start()
            });
            starter.join().map_err(|_| anyhow!("a thread died"))?
        })?;
        clock::until("ModemManager is on the bus", START_LIMIT, || {
            self.manager.must_run()?;
            Ok(self.mmcli(&["--list-modems"]).is_ok().then_some(()))
        })
    }

    /// SIGKILL.
    pub(crate) fn kill_manager(&mut self) -> Result<()> {
        self.manager.kill()
    }

    /// Holds ModemManager still, or lets it go on.
    pub(crate) fn hold_manager(&self, still: bool) -> Result<()> {
        self.manager.hold(still)
    }

    /// Pulls the device.
    pub(crate) fn unplug(&self) -> Result<()> {
        self.simulator.order(&Order::Unplug);
        PORTS.iter().rev().try_for_each(|(subsystem, name)| self.report("remove", subsystem, name))
    }

    /// Plugs it in again.
    pub(crate) fn plug(&self) -> Result<()> {
        self.simulator.order(&Order::Plug);
        PORTS.iter().try_for_each(|(subsystem, name)| self.report("add", subsystem, name))
    }

    /// Debian's command line client of ModemManager.
    pub(crate) fn mmcli(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.place.command("mmcli");
        workshop::run(command.args(arguments).env("DBUS_SYSTEM_BUS_ADDRESS", &self.bus))
    }

    fn report(&self, action: &str, subsystem: &str, name: &str) -> Result<()> {
        let option = format!("--report-kernel-event={}", event(action, subsystem, name));
        self.mmcli(&[&option]).map(drop)
    }
}

fn event(action: &str, subsystem: &str, name: &str) -> String {
    format!("action={action},subsystem={subsystem},name={name}")
}

/// Debian's `system.conf` less what a bus of one's own must not do: another user, forking, starting services.
fn bus_configuration(address: &str, policies: &[PathBuf]) -> String {
    let folders = ["/usr/share/dbus-1/system.d", "/etc/dbus-1/system.d"].map(PathBuf::from);
    let folders: String = folders
        .iter()
        .chain(policies)
        .map(|folder| format!("  <includedir>{}</includedir>\n", folder.display()))
        .collect();
    format!(
        r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <auth>EXTERNAL</auth>
  <listen>{address}</listen>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Properties"/>
  </policy>
{folders}</busconfig>
"#
    )
}

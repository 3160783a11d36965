//! The part of `/sys` and `/dev` by which ModemManager finds a USB modem: Huawei's 12d1:1506 with the serial ports
//! `ttyUSB0` and `ttyUSB1` and the network interface `wwan0`.
//!
//! Written to a folder, then put over `/sys` and `/dev` in a mount namespace that only ModemManager is in.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

/// The controller, its root hub, the device.
const CONTROLLER: &str = "devices/pci0000:00/0000:00:14.0";
const HUB: &str = "devices/pci0000:00/0000:00:14.0/usb1";
const DEVICE: &str = "devices/pci0000:00/0000:00:14.0/usb1/1-1";

/// Device nodes that a program may expect.
const NODES: [&str; 4] = ["null", "zero", "random", "urandom"];

/// The two folders, as they are to be seen.
#[derive(Debug, Clone)]
pub(super) struct FakeSystem {
    sys: PathBuf,
    dev: PathBuf,
}

impl FakeSystem {
    /// Writes both below `folder`. The serial ports are to be linked into [`FakeSystem::dev`].
    pub(super) fn write(folder: &Path) -> Result<Self> {
        let made = Self { sys: folder.join("sys"), dev: folder.join("dev") };
        for old in [&made.sys, &made.dev] {
            if old.exists() {
                fs::remove_dir_all(old)?;
            }
        }
        made.write_sys().context("write a sysfs tree")?;
        fs::create_dir_all(made.dev.join("pts"))?;
        for node in NODES {
            fs::write(made.dev.join(node), "")?;
        }
        Ok(made)
    }

    /// Where device nodes are linked into.
    pub(super) fn dev(&self) -> &Path {
        &self.dev
    }

    /// Gives the calling thread, and what it starts from now on, a mount namespace with these in place of the real
    /// ones. The thread cannot go back.
    pub(super) fn enter(&self) -> Result<()> {
        unshare(CloneFlags::CLONE_NEWNS).context("make a mount namespace")?;
        let none = None::<&str>;
        // Nothing of this reaches the namespace that we come from.
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).context("make mounts private")?;
        let bind = |from: &Path, to: &Path| {
            mount(Some(from), to, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
                .with_context(|| format!("bind {} to {}", from.display(), to.display()))
        };
        bind(Path::new("/dev/pts"), &self.dev.join("pts"))?;
        for node in NODES {
            bind(&Path::new("/dev").join(node), &self.dev.join(node))?;
        }
        bind(&self.sys, Path::new("/sys"))?;
        bind(&self.dev, Path::new("/dev"))
    }

    fn write_sys(&self) -> Result<()> {
        for folder in [
            "class/tty",
            "class/net",
            "bus/usb/drivers/usb",
            "bus/usb/drivers/option",
            "bus/usb/drivers/huawei_cdc_ncm",
            "bus/usb-serial/drivers/option1",
            "bus/pci/drivers/xhci_hcd",
            DEVICE,
        ] {
            fs::create_dir_all(self.sys.join(folder))?;
        }
        self.link(&format!("{CONTROLLER}/subsystem"), "bus/pci")?;
        for usb in [HUB, DEVICE] {
            self.link(&format!("{usb}/subsystem"), "bus/usb")?;
            self.link(&format!("{usb}/driver"), "bus/usb/drivers/usb")?;
        }
        self.attributes(
            DEVICE,
            &[
                ("idVendor", "12d1"),
                ("idProduct", "1506"),
                ("bcdDevice", "0102"),
                ("manufacturer", "SimWorks"),
                ("product", "AT-SIM LTE"),
            ],
        )?;
        self.serial(0, "ttyUSB0", "02")?;
        self.serial(1, "ttyUSB1", "01")?;
        let interface = self.interface(2, ["02", "0d", "00"], "huawei_cdc_ncm")?;
        let net = format!("{interface}/net/wwan0");
        fs::create_dir_all(self.sys.join(&net))?;
        self.link(&format!("{net}/subsystem"), "class/net")?;
        self.link(&format!("{net}/device"), &interface)?;
        self.link("class/net/wwan0", &net)
    }

    /// A USB interface; gives its folder.
    fn interface(&self, number: u8, [class, subclass, protocol]: [&str; 3], driver: &str) -> Result<String> {
        let folder = format!("{DEVICE}/1-1:1.{number}");
        fs::create_dir_all(self.sys.join(&folder))?;
        self.link(&format!("{folder}/subsystem"), "bus/usb")?;
        self.link(&format!("{folder}/driver"), &format!("bus/usb/drivers/{driver}"))?;
        self.attributes(
            &folder,
            &[
                ("bInterfaceNumber", &format!("{number:02x}")),
                ("bInterfaceClass", class),
                ("bInterfaceSubClass", subclass),
                ("bInterfaceProtocol", protocol),
            ],
        )?;
        Ok(folder)
    }

    fn serial(&self, number: u8, name: &str, protocol: &str) -> Result<()> {
        let interface = self.interface(number, ["ff", "02", protocol], "option")?;
        let port = format!("{interface}/{name}");
        let tty = format!("{port}/tty/{name}");
        fs::create_dir_all(self.sys.join(&tty))?;
        self.link(&format!("{port}/subsystem"), "bus/usb-serial")?;
        self.link(&format!("{port}/driver"), "bus/usb-serial/drivers/option1")?;
        self.link(&format!("{tty}/subsystem"), "class/tty")?;
        self.link(&format!("{tty}/device"), &port)?;
        self.link(&format!("class/tty/{name}"), &tty)
    }

    fn attributes(&self, folder: &str, values: &[(&str, &str)]) -> Result<()> {
        for (name, value) in values {
            fs::write(self.sys.join(folder).join(name), format!("{value}\n"))?;
        }
        Ok(())
    }

    /// Links point to where the tree will be seen.
    fn link(&self, at: &str, to: &str) -> Result<()> {
        Ok(symlink(Path::new("/sys").join(to), self.sys.join(at))?)
    }
}

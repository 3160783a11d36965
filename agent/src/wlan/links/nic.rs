//! A link's interface: found, up, with its MTU and IPv6 settings, and put back as it was. What it was is in the ledger
//! before anything is changed.

use std::{fs, io};

use super::{Link, keeper::Keeper, ledger::Before, rt};
use crate::wlan::nl80211::parse::LinkInfo;

impl Keeper {
    /// Finds the interface, and puts it up with this MTU where it is not. `settings` are IPv6's (`ipv6/conf/NAME/`),
    /// and come first: the kernel reads some of them only when the interface comes up.
    pub(super) async fn bring_up(
        &mut self,
        link: Link,
        name: &str,
        mtu: Option<u32>,
        settings: &[(&str, &str)],
    ) -> Result<LinkInfo, String> {
        let nic =
            rt::interface(&mut self.route, name).await.map_err(|error| format!("find {name}: {error}"))?;
        let known = self.ledger.record_of(link);
        if known.is_some_and(|before| (before.index, before.name.as_str()) != (nic.index, name)) {
            self.put_back(link).await;
        }
        self.ledger.note(|record| {
            let fresh = || Before { index: nic.index, name: name.to_owned(), ..Before::default() };
            let before = record.before_mut(link).get_or_insert_with(fresh);
            if !nic.up {
                before.up = Some(false);
            }
        });
        for (setting, value) in settings {
            if let Err(error) = self.set(link, name, setting, value) {
                tracing::debug!(%error, interface = name, setting, "an IPv6 setting is not taken");
            }
        }
        if !nic.up {
            let up = rt::set_interface(&mut self.route, nic.index, Some(true), None).await;
            up.map_err(|error| format!("set {name} up: {error}"))?;
        }
        self.limit_mtu(link, &nic, mtu).await;
        Ok(nic)
    }

    /// A wrong MTU costs fragments and is no reason to stay without the link.
    pub(super) async fn limit_mtu(&mut self, link: Link, nic: &LinkInfo, mtu: Option<u32>) {
        let Some(mtu) = mtu.filter(|mtu| nic.mtu != Some(*mtu)) else { return };
        self.ledger.note(|record| {
            if let Some(before) = record.before_mut(link) {
                before.mtu = before.mtu.or(nic.mtu);
            }
        });
        if let Err(error) = rt::set_interface(&mut self.route, nic.index, None, Some(mtu)).await {
            tracing::warn!(%error, mtu, interface = nic.name, "the link's MTU is not taken");
        }
    }

    /// Leaves the link's interface as it was before us.
    pub(super) async fn put_back(&mut self, link: Link) {
        let Some(before) = self.ledger.record_of(link).cloned() else { return };
        // The index may have been given to another interface meanwhile.
        let there = rt::interface(&mut self.route, &before.name).await;
        if there.is_ok_and(|nic| nic.index == before.index) {
            for (setting, value) in &before.settings {
                if let Err(error) = write(&before.name, setting, value) {
                    tracing::debug!(%error, setting, "an IPv6 setting is not put back");
                }
            }
            if let Err(error) = rt::set_interface(&mut self.route, before.index, before.up, before.mtu).await
            {
                tracing::debug!(%error, index = before.index, "the interface is not put back as it was");
            }
        }
        self.ledger.note(|record| *record.before_mut(link) = None);
    }

    fn set(&mut self, link: Link, name: &str, setting: &str, value: &str) -> io::Result<()> {
        let there = fs::read_to_string(path(name, setting)?)?;
        let there = there.trim();
        if there == value {
            return Ok(());
        }
        self.ledger.note(|record| {
            if let Some(before) = record.before_mut(link) {
                before.settings.entry(setting.to_owned()).or_insert_with(|| there.to_owned());
            }
        });
        write(name, setting, value)
    }
}

fn write(name: &str, setting: &str, value: &str) -> io::Result<()> {
    fs::write(path(name, setting)?, value)
}

/// The kernel allows neither slash nor a name of dots alone, and the ledger's file is no reason to trust one.
fn path(name: &str, setting: &str) -> io::Result<String> {
    let plain = |word: &str| !word.is_empty() && !word.contains('/') && word != "." && word != "..";
    if !plain(name) || !plain(setting) {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    Ok(format!("/proc/sys/net/ipv6/conf/{name}/{setting}"))
}

//! nftables: who is not logged on reaches the name server and the gateway itself, and whatever it asks on port 80 is
//! answered by the gateway. The gateway opens the pair of MAC and address (patent FIG. 6, step 118).

use std::{io::Write as _, net::Ipv4Addr, process::Stdio};

use anyhow::{Context as _, Result, anyhow, ensure};

use super::HTTP_PORT;
use crate::world::{netns::Netns, plan};

/// The rules of one namespace.
pub(super) struct Fence {
    place: Netns,
}

impl Fence {
    pub(super) fn new(place: &Netns) -> Self {
        Self { place: place.clone() }
    }

    /// Nobody may pass yet.
    pub(super) fn set_up(&self, lan: &str) -> Result<()> {
        self.nft(&format!(
            "table ip hotspot {{\n\
             set open {{ type ipv4_addr . ether_addr; }}\n\
             chain redirected {{\n\
             type nat hook prerouting priority dstnat;\n\
             iifname \"{lan}\" ip saddr . ether saddr @open return\n\
             iifname \"{lan}\" ip daddr != {own} tcp dport 80 redirect to :{HTTP_PORT}\n\
             }}\n\
             chain fence {{\n\
             type filter hook forward priority filter; policy accept;\n\
             iifname \"{lan}\" ip saddr . ether saddr @open accept\n\
             iifname \"{lan}\" ip daddr {dns} udp dport 53 accept\n\
             iifname \"{lan}\" meta l4proto tcp reject with tcp reset\n\
             iifname \"{lan}\" reject\n\
             }}\n\
             }}\n",
            own = plan::HOTSPOT_ADDRESS,
            dns = plan::DNS[0],
        ))
    }

    pub(super) fn open(&self, address: Ipv4Addr, mac: &str) -> Result<()> {
        self.nft(&format!("add element ip hotspot open {{ {address} . {mac} }}\n"))
    }

    pub(super) fn close(&self, address: Ipv4Addr, mac: &str) -> Result<()> {
        self.nft(&format!("delete element ip hotspot open {{ {address} . {mac} }}\n"))
    }

    /// The MAC behind an address, as the kernel's neighbour table has it: not what the station says of itself.
    pub(super) fn mac_of(&self, address: Ipv4Addr) -> Result<String> {
        let table = self.place.inside(|| std::fs::read_to_string("/proc/thread-self/net/arp"))??;
        let wanted = address.to_string();
        table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>())
            .find(|words| words.first() == Some(&wanted.as_str()))
            .and_then(|words| words.get(3).map(|mac| (*mac).to_owned()))
            .ok_or_else(|| anyhow!("nobody knows who has {address}"))
    }

    fn nft(&self, rules: &str) -> Result<()> {
        let mut command = self.place.command("nft");
        command.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("start nft")?;
        child.stdin.take().ok_or_else(|| anyhow!("no way to nft"))?.write_all(rules.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(output.status.success(), "nft: {}\n{rules}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}

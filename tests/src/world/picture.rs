//! What the kernel has of addresses, routes, rules and MPTCP endpoints in the laptop, as text that can be compared.

use std::{fmt, fs, process::Command};

use anyhow::Result;

use super::plan::{LAPTOP_WLAN, WWAN};
use crate::workshop;

/// What iproute2 is asked. Its own names for what it shows.
const ASKED: [&str; 8] = [
    "-4 rule show",
    "-6 rule show",
    "-4 route show table all",
    "-6 route show table all",
    "-o address show scope global",
    "-o link show",
    "mptcp endpoint show",
    "mptcp limits show",
];
/// Rules that each namespace has.
const RULES: [&str; 5] = [
    "-4 rule show: 0: from all lookup local",
    "-4 rule show: 32766: from all lookup main",
    "-4 rule show: 32767: from all lookup default",
    "-6 rule show: 0: from all lookup local",
    "-6 rule show: 32766: from all lookup main",
];
/// Under `/proc/sys/net/ipv6/conf/`; what the agent may change.
const SETTINGS: [&str; 4] = ["accept_ra", "accept_ra_defrtr", "addr_gen_mode", "disable_ipv6"];

/// One line each, sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Picture(Vec<String>);

impl Picture {
    /// As it is now.
    pub(crate) fn take() -> Result<Self> {
        let mut lines = Vec::new();
        for asked in ASKED {
            let answer = workshop::run(Command::new("ip").args(asked.split(' ')))?;
            lines.extend(answer.lines().filter_map(|line| lasting(asked, line)));
        }
        for interface in [WWAN, LAPTOP_WLAN] {
            for setting in SETTINGS {
                let value = fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{interface}/{setting}"));
                lines.push(format!("{interface} {setting} {}", value.unwrap_or_default().trim()));
            }
        }
        let servers = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        lines.extend(servers.lines().map(|line| format!("resolv.conf: {line}")));
        lines.sort();
        Ok(Self(lines))
    }

    /// As where no agent runs: no rule but the kernel's own, no endpoint, and neither address nor route on our links.
    pub(crate) fn is_untouched(&self) -> bool {
        self.0.iter().all(|line| {
            let rule = line.contains(" rule show: ");
            let ours = [WWAN, LAPTOP_WLAN].iter().any(|link| line.split(' ').any(|word| word == *link));
            let held = line.contains("address show") || line.contains("route show");
            let endpoint = line.starts_with("mptcp endpoint");
            let added = rule && !RULES.contains(&line.as_str());
            !(added || endpoint || ours && held)
        })
    }

    /// For people: what `other` lacks and has on top.
    pub(crate) fn difference(&self, other: &Self) -> String {
        let without = |these: &[String], those: &[String], sign: char| -> Vec<String> {
            these.iter().filter(|line| !those.contains(line)).map(|line| format!("{sign} {line}")).collect()
        };
        [without(&self.0, &other.0, '-'), without(&other.0, &self.0, '+')].concat().join("\n")
    }
}

impl fmt::Display for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// The line without what changes by itself: times that run, link-local addresses, whether the other end is there.
fn lasting(asked: &str, line: &str) -> Option<String> {
    if ["fe80:", "ff00::", "multicast "].iter().any(|passing| line.contains(passing)) {
        return None;
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    let kept = match asked {
        "-o link show" => {
            let name = words.get(1)?.trim_end_matches(':').split('@').next()?;
            let flags = words.get(2)?.trim_matches(['<', '>']);
            let up = flags.split(',').any(|flag| flag == "UP");
            let mtu = words.iter().skip_while(|word| **word != "mtu").nth(1)?;
            [WWAN, LAPTOP_WLAN].contains(&name).then(|| format!("{name} up {up} mtu {mtu}"))?
        }
        _ => {
            let mut kept = Vec::new();
            let mut words = words.iter();
            while let Some(word) = words.next() {
                match *word {
                    // Each has a value behind it.
                    "valid_lft" | "preferred_lft" | "expires" => drop(words.next()),
                    // An endpoint made anew has the next number.
                    "id" if asked.starts_with("mptcp") => drop(words.next()),
                    "linkdown" | "dynamic" | "\\" => {}
                    word => kept.push(word),
                }
            }
            kept.join(" ")
        }
    };
    Some(format!("{asked}: {kept}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_left_out() {
        let address = "4: wlan1    inet 10.9.0.131/24 scope global dynamic wlan1\\       valid_lft 3599sec preferred_lft 3599sec";
        assert_eq!(
            lasting("-o address show scope global", address).as_deref(),
            Some("-o address show scope global: 4: wlan1 inet 10.9.0.131/24 scope global wlan1\\")
        );
        assert_eq!(lasting("-6 route show table all", "fe80::/64 dev wlan1 proto kernel"), None);
        let link = "4: wlan1: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 qdisc mq state UP mode DORMANT";
        assert_eq!(lasting("-o link show", link).as_deref(), Some("-o link show: wlan1 up true mtu 1500"));
        assert_eq!(lasting("-o link show", "1: lo: <LOOPBACK,UP> mtu 65536"), None);
    }

    #[test]
    fn a_rule_or_an_address_is_a_touch() {
        let picture = |line: &str| Picture(vec![RULES[0].to_owned(), line.to_owned()]);
        assert!(picture(RULES[1]).is_untouched());
        for line in [
            "-4 rule show: 500: from 10.64.0.2 lookup 500",
            "mptcp endpoint show: 10.9.0.131 id 1 dev wlan1",
            "-o address show scope global: 4: wlan1 inet 10.9.0.131/24",
            "-4 route show table all: default via 10.64.0.1 dev wwan0",
        ] {
            assert!(!picture(line).is_untouched(), "{line}");
            assert!(picture(RULES[1]).difference(&picture(line)).contains(&format!("+ {line}")));
        }
    }
}

//! Who has the ports that `serve` is to have, by the kernel's own tables (proc(5): `/proc/net/tcp`, `/proc/net/udp`).

use std::{fs, net::SocketAddr, path::Path};

use crate::{cli::check::Findings, config::Settings};

/// `st` of a listening TCP socket (`TCP_LISTEN`), and of a UDP socket without peer (`TCP_CLOSE`).
const LISTENING: &str = "0A";
const UNCONNECTED: &str = "07";
/// Our name among processes.
const OURS: &str = "portal-aaa";

/// All of them.
pub(super) fn look(settings: &Settings, findings: &mut Findings) {
    let mut ports = vec![
        ("the portal", "tcp", settings.portal.listen),
        ("logins", "udp", settings.radius.listen),
        ("accounting", "udp", settings.radius.accounting_listen),
    ];
    let radsec = settings.radsec.as_ref().and_then(|radsec| radsec.listen);
    ports.extend(radsec.map(|listen| ("RadSec", "tcp", listen)));
    for (what, protocol, address) in ports {
        let whose = format!("{protocol} {address}, of {what}");
        match owner(protocol, address) {
            Owner::Nobody => findings.problem(
                format!("nobody listens on {whose}"),
                "start `portal-aaa serve` (systemctl start portal-aaa), and read what it logs where it ends",
            ),
            Owner::Named(name) if name == OURS => findings.good(whose),
            Owner::Named(name) => findings.problem(
                format!("{name} listens on {whose}"),
                format!("stop {name}, or change the address in the configuration"),
            ),
            Owner::Unknown => findings
                .note(format!("somebody listens on {whose}"), "run as root to see whether it is portal-aaa"),
        }
    }
}

/// Whose a socket is.
#[derive(Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    Named(String),
    /// Of another user's process, which we may not look into.
    Unknown,
}

fn owner(protocol: &str, address: SocketAddr) -> Owner {
    let state = if protocol == "tcp" { LISTENING } else { UNCONNECTED };
    let tables = [format!("/proc/net/{protocol}"), format!("/proc/net/{protocol}6")];
    let inodes: Vec<String> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| inodes(&table, address.port(), state))
        .collect();
    if inodes.is_empty() {
        return Owner::Nobody;
    }
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        .find(|entry| holds(&entry.path(), &inodes))
        .and_then(|entry| fs::read_to_string(entry.path().join("comm")).ok())
        .map_or(Owner::Unknown, |name| Owner::Named(name.trim().to_owned()))
}

/// Inodes of the sockets of this local port in this state.
fn inodes(table: &str, port: u16, state: &str) -> Vec<String> {
    let port = format!(":{port:04X}");
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let (local, found) = (words.nth(1)?, words.nth(1)?);
        // tx_queue:rx_queue, tr:tm->when, retrnsmt, uid, timeout, inode.
        let inode = words.nth(5)?;
        (local.ends_with(&port) && found == state).then(|| inode.to_owned())
    };
    table.lines().skip(1).filter_map(row).collect()
}

fn holds(process: &Path, inodes: &[String]) -> bool {
    let descriptors = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|entry| fs::read_link(entry.path()).ok()).any(|to| {
        let to = to.to_string_lossy();
        to.strip_prefix("socket:[")
            .and_then(|rest| rest.strip_suffix(']'))
            .is_some_and(|inode| inodes.iter().any(|i| i == inode))
    })
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn a_row_of_the_kernel_is_understood() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                     0: 0100007F:20FB 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n   \
                     1: 0100007F:20FB 0100007F:9000 01 00000000:00000000 00:00000000 00000000     0        0 4712 1\n";
        assert_eq!(inodes(table, 0x20fb, LISTENING), ["4711"]);
        assert!(inodes(table, 0x20fc, LISTENING).is_empty() && inodes("", 1, LISTENING).is_empty());
    }

    #[test]
    fn the_owner_of_a_port_is_named_and_a_free_one_is_nobodys() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("[::1]:0").unwrap();
        for (protocol, address) in [("tcp", tcp.local_addr().unwrap()), ("udp", udp.local_addr().unwrap())] {
            assert!(matches!(owner(protocol, address), Owner::Named(_)), "{protocol}");
        }
        let address = tcp.local_addr().unwrap();
        drop(tcp);
        assert_eq!(owner("tcp", address), Owner::Nobody);
    }
}

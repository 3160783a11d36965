//! What a network interface has carried, as the kernel counts it for everybody to see (sysfs-class-net-statistics).

use std::fs;

/// Octets received and sent since the interface is there; none where it is not.
pub fn octets(interface: &str) -> Option<(u64, u64)> {
    let count = |which: &str| {
        let path = format!("/sys/class/net/{interface}/statistics/{which}_bytes");
        fs::read_to_string(path).ok()?.trim().parse().ok()
    };
    Some((count("rx")?, count("tx")?))
}

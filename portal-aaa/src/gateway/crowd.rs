//! Address translation found out: one address from which many claim to be different. Pure: told the time.
//!
//! A packet gateway gives an address to one device. When identities that are not its own are claimed from it again and
//! again, several devices stand behind it (tethering, a translating proxy) or somebody is trying SIMs out; in either
//! case the address proves nothing, so nobody is served from it until it has been quiet.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use super::Prefix;
use crate::store::Handle;

/// After so long without another identity it is forgotten.
pub(super) const QUIET_SECS: u64 = 600;
/// Addresses remembered; beyond it the one quiet for the longest time goes.
const ADDRESSES: usize = 65_536;
/// IPv6 devices have a /64 of their own (3GPP TS 23.401 §5.3.1.2.2).
const IPV6_DEVICE: u8 = 64;

/// Who was claimed from where.
#[derive(Debug)]
pub(super) struct Crowds {
    most: usize,
    seen: HashMap<Prefix, Seen>,
    by_age: BTreeSet<(u64, Prefix)>,
}

#[derive(Debug)]
struct Seen {
    last: u64,
    /// Never more than one above `most`.
    claimed: Vec<Handle>,
}

impl Crowds {
    /// An address is crowded when more than `most` identities were claimed from it.
    pub(super) fn new(most: usize) -> Self {
        Self { most, seen: HashMap::new(), by_age: BTreeSet::new() }
    }

    /// An identity was claimed from there.
    pub(super) fn note(&mut self, now: u64, source: IpAddr, claimed: Handle) {
        self.forget(now);
        let Some(device) = device(source) else { return };
        let seen = self.seen.entry(device).or_insert_with(|| Seen { last: now, claimed: Vec::new() });
        self.by_age.remove(&(seen.last, device));
        if !seen.claimed.contains(&claimed) && seen.claimed.len() <= self.most {
            seen.claimed.push(claimed);
            seen.last = now;
        }
        self.by_age.insert((seen.last, device));
        while self.seen.len() > ADDRESSES {
            self.drop_oldest();
        }
    }

    /// Whether too many were.
    pub(super) fn is_crowded(&self, now: u64, source: IpAddr) -> bool {
        device(source)
            .and_then(|device| self.seen.get(&device))
            .is_some_and(|seen| seen.claimed.len() > self.most && now.saturating_sub(seen.last) <= QUIET_SECS)
    }

    fn forget(&mut self, now: u64) {
        while self.by_age.first().is_some_and(|(last, _)| now.saturating_sub(*last) > QUIET_SECS) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some((_, device)) = self.by_age.pop_first() {
            self.seen.remove(&device);
        }
    }
}

fn device(source: IpAddr) -> Option<Prefix> {
    let source = source.to_canonical();
    if source.is_ipv4() { Some(Prefix::host(source)) } else { Prefix::around(source, IPV6_DEVICE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn many_identities_close_an_address_until_it_is_quiet() {
        let mut crowds = Crowds::new(2);
        for (number, at) in [(1, 10), (1, 11), (2, 12), (2, 13)] {
            crowds.note(at, ip("10.0.0.1"), Handle([number; 32]));
            assert!(!crowds.is_crowded(at, ip("10.0.0.1")));
        }
        crowds.note(20, ip("10.0.0.1"), Handle([3; 32]));
        assert!(crowds.is_crowded(20, ip("::ffff:10.0.0.1")));
        assert!(!crowds.is_crowded(20, ip("10.0.0.2")));
        assert!(crowds.is_crowded(620, ip("10.0.0.1")));
        assert!(!crowds.is_crowded(621, ip("10.0.0.1")));
        crowds.note(700, ip("10.0.0.1"), Handle([4; 32]));
        assert!(!crowds.is_crowded(700, ip("10.0.0.1")), "begins anew");
    }

    #[test]
    fn an_ipv6_device_is_its_network_and_numbers_are_bounded() {
        let mut crowds = Crowds::new(1);
        crowds.note(1, ip("2001:db8::1"), Handle([1; 32]));
        crowds.note(1, ip("2001:db8::2"), Handle([2; 32]));
        assert!(crowds.is_crowded(1, ip("2001:db8::3")));
        for number in 0..70_000u32 {
            crowds.note(2, IpAddr::from((0x0a00_0000 | number).to_be_bytes()), Handle([1; 32]));
        }
        assert_eq!((crowds.seen.len(), crowds.by_age.len()), (ADDRESSES, ADDRESSES));
    }
}

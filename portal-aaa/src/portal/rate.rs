//! How often one address, one subscriber and all together may ask: a token bucket each, in a bounded table. Pure: told
//! the time.
//!
//! # A request sent again
//!
//! The message has no nonce, and needs none: TLS keeps it from third parties, who could not replay it anyway, since
//! from their address it proves nothing. What remains is the device itself. A lost reply makes it send the same octets
//! again, which must be served, so a repetition is no crime; what must be bounded is how many credentials it gets. So
//! each proved request, the same or not, costs one of its subscriber's bucket, whichever address it came from. It is
//! counted after the proof: nobody can use up another's bucket by claiming to be him, and to somebody who proves
//! nothing the answer is the same whether the subscriber exists or not.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    time::Duration,
};

/// Token buckets by address ([`device`]), by subscriber, or one for all.
#[derive(Debug)]
pub struct Rates<K> {
    /// Time that a full bucket is worth.
    depth: Duration,
    refill: Duration,
    capacity: usize,
    /// When the bucket will be full again. Later than now + depth - refill: empty.
    full_at: HashMap<K, Duration>,
    by_time: BTreeSet<(Duration, K)>,
}

impl<K: Copy + Ord + Hash> Rates<K> {
    /// `burst` requests at once, one more each `refill`; at most `capacity` who asked are remembered.
    pub fn new(burst: u32, refill: Duration, capacity: usize) -> Self {
        let depth = refill.saturating_mul(burst.max(1));
        Self { depth, refill, capacity, full_at: HashMap::new(), by_time: BTreeSet::new() }
    }

    /// Counts a request, or says how long to wait for the next.
    pub fn ask(&mut self, now: Duration, who: K) -> Result<(), Duration> {
        let before = self.full_at.get(&who).copied();
        let full_at = before.unwrap_or_default().max(now).saturating_add(self.refill);
        let latest = now.saturating_add(self.depth);
        if full_at > latest {
            return Err(full_at.saturating_sub(latest));
        }
        if let Some(before) = before {
            self.by_time.remove(&(before, who));
        }
        self.full_at.insert(who, full_at);
        self.by_time.insert((full_at, who));
        self.forget(now);
        Ok(())
    }

    /// A full bucket is as good as none. Beyond the bound the fullest goes: who asks most is remembered longest.
    fn forget(&mut self, now: Duration) {
        while let Some(&(full_at, who)) = self.by_time.first() {
            if full_at > now && self.full_at.len() <= self.capacity {
                break;
            }
            self.by_time.remove(&(full_at, who));
            self.full_at.remove(&who);
        }
    }
}

/// What counts as one address: an IPv6 device is its /64 network (3GPP TS 23.401 §5.3.1.2.2).
pub fn device(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn at(text: &str) -> IpAddr {
        device(text.parse().unwrap())
    }

    #[test]
    fn a_burst_then_one_each_refill() {
        let mut rates = Rates::new(3, SECOND * 2, 10);
        let now = SECOND * 100;
        for _ in 0..3 {
            assert_eq!(rates.ask(now, address(1)), Ok(()));
        }
        assert_eq!(rates.ask(now, address(1)), Err(SECOND * 2));
        assert_eq!(rates.ask(now + SECOND, address(1)), Err(SECOND));
        assert_eq!(rates.ask(now, address(2)), Ok(()), "another's bucket");
        assert_eq!(rates.ask(now + SECOND * 2, address(1)), Ok(()));
        assert_eq!(rates.ask(now + SECOND * 2, address(1)), Err(SECOND * 2));
    }

    #[test]
    fn a_device_cannot_multiply_itself_within_its_network() {
        let mut rates = Rates::new(1, SECOND, 10);
        assert_eq!(rates.ask(SECOND, at("2001:db8::1")), Ok(()));
        assert_eq!(rates.ask(SECOND, at("2001:db8::2")), Err(SECOND));
        assert_eq!(rates.ask(SECOND, at("::ffff:10.0.0.1")), Ok(()));
        assert_eq!(rates.ask(SECOND, address(1)), Err(SECOND));
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_nor_the_bound(asks in vec((0u8..6, 0u64..3000), 1..300)) {
            let mut rates = Rates::new(5, SECOND, 4);
            let mut now = Duration::ZERO;
            let mut granted = 0u32;
            for (who, wait) in &asks {
                now += Duration::from_millis(*wait);
                let asker = who % 3;
                granted += u32::from(rates.ask(now, address(asker)).is_ok() && asker == 0);
                prop_assert!(rates.full_at.len() <= 4);
                prop_assert_eq!(rates.full_at.len(), rates.by_time.len());
            }
            prop_assert!(u64::from(granted) <= 5 + now.as_secs());
        }
    }
}

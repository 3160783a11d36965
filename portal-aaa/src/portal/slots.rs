//! How many connections are open, overall and per address.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Counts open connections.
#[derive(Debug)]
pub struct Slots {
    total: usize,
    per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    /// Addresses with at least one; so never more than `total`.
    by_address: HashMap<IpAddr, usize>,
}

/// One open connection; gives its place back when it goes.
#[derive(Debug)]
pub struct Slot {
    slots: Arc<Slots>,
    address: IpAddr,
}

/// Which bound was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// That of all connections.
    Total,
    /// That of this address.
    Address,
}

impl Full {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Total => "connections",
            Self::Address => "connections-per-address",
        }
    }
}

impl Slots {
    /// No connection open.
    pub fn new(total: usize, per_address: usize) -> Arc<Self> {
        Arc::new(Self { total, per_address, open: Mutex::default() })
    }

    /// A place for one more connection of this address.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Result<Slot, Full> {
        self.take_within(address, self.per_address)
    }

    /// The same for an address that many share by right, a proxy's: only the number of all bounds it.
    pub fn take_shared(self: &Arc<Self>, address: IpAddr) -> Result<Slot, Full> {
        self.take_within(address, usize::MAX)
    }

    fn take_within(self: &Arc<Self>, address: IpAddr, per_address: usize) -> Result<Slot, Full> {
        let mut open = self.open();
        if open.total >= self.total {
            return Err(Full::Total);
        }
        let of_address = open.by_address.entry(address).or_default();
        if *of_address >= per_address {
            return Err(Full::Address);
        }
        *of_address += 1;
        open.total += 1;
        Ok(Slot { slots: Arc::clone(self), address })
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open().total
    }

    /// None is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.slots.open();
        open.total = open.total.saturating_sub(1);
        if let Some(of_address) = open.by_address.get_mut(&self.address) {
            *of_address = of_address.saturating_sub(1);
            if *of_address == 0 {
                open.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_and_given_back() {
        let address = |last: u8| IpAddr::from([10, 0, 0, last]);
        let slots = Slots::new(3, 2);
        let first = slots.take(address(1));
        let second = slots.take(address(1));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(slots.take(address(1)).err(), Some(Full::Address));
        let third = slots.take(address(2));
        assert!(third.is_ok());
        assert_eq!(slots.take(address(3)).err(), Some(Full::Total));
        assert_eq!(slots.take_shared(address(1)).err(), Some(Full::Total));
        drop(first);
        assert!(slots.take(address(1)).is_ok());
        drop(third);
        assert!(slots.take_shared(address(1)).is_ok(), "a proxy's");
        drop(second);
        assert!(slots.is_empty());
        assert!(slots.open().by_address.is_empty());
    }
}

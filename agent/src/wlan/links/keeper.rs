//! Keeps the kernel's addresses, routes and rules what they should be: read, compare, send the difference.

use neli::consts::socket::NlFamily;
use nix::errno::Errno;

use super::{
    Link,
    change::{self, Change},
    model::Address,
    plan::{Slot, Wanted},
    rt,
};
use crate::wlan::netlink::{NetlinkError, Socket};

/// Rounds of read, compare, send until the kernel has what is wanted. The second is needed where one removal takes
/// more with it: the first address of a network takes its later ones along (`promote_secondaries` = 0).
const ROUNDS: usize = 4;

/// The kernel's state and ours.
#[derive(Debug)]
pub(super) struct Keeper {
    /// What should be there; [`Keeper::reconcile`] makes it so.
    pub(super) wanted: Wanted,
    /// For rtnetlink requests.
    pub(super) route: Socket,
    /// Addresses that we set, for kernels before 5.18, which cannot keep the mark.
    remembered: Vec<Address>,
}

impl Keeper {
    /// Nothing is wanted yet and nothing touched. Must be called inside a tokio runtime.
    pub(super) fn new(metric: u32) -> Result<Self, NetlinkError> {
        let wanted = Wanted { metric, ..Wanted::default() };
        Ok(Self { wanted, route: Socket::requests(NlFamily::Route)?, remembered: Vec::new() })
    }

    /// Makes the kernel's state what is wanted.
    pub(super) async fn reconcile(&mut self) -> Result<(), String> {
        for round in 0..ROUNDS {
            let read = rt::read(&mut self.route, &self.remembered).await;
            let found = read.map_err(|error| format!("read addresses, routes and rules: {error}"))?;
            let wanted = self.wanted.kernel(&found);
            let changes = change::changes(&found, &wanted, round == 0);
            if changes.is_empty() {
                return Ok(());
            }
            for change in changes {
                self.send(&change).await?;
            }
        }
        Err("another program keeps changing our addresses, routes or rules".to_owned())
    }

    async fn send(&mut self, change: &Change) -> Result<(), String> {
        let error = match rt::apply(&mut self.route, change).await {
            Ok(()) => {
                self.remember(change);
                return Ok(());
            }
            Err(error) => error,
        };
        if !change.adds() && is_gone(&error) {
            self.remember(change);
            return Ok(());
        }
        // A kernel or an interface without IPv6 must not cost the link its IPv4.
        if change.adds() && change.v6() && self.drop_v6() {
            tracing::warn!(%error, %change, "the link goes without IPv6");
            return Ok(());
        }
        Err(format!("{change}: {error}"))
    }

    fn remember(&mut self, change: &Change) {
        if let Change::SetAddress(address) | Change::RemoveAddress(address) = change {
            let same = |other: &Address| (other.interface, other.ip) == (address.interface, address.ip);
            self.remembered.retain(|other| !same(other));
        }
        if let Change::SetAddress(address) = change {
            self.remembered.push(*address);
        }
    }

    /// Takes IPv6 out of every plan that has IPv4 as well; whether there was any.
    fn drop_v6(&mut self) -> bool {
        let mut dropped = false;
        for link in [Link::Cellular, Link::Wlan] {
            if let Slot::Set(plan) = self.wanted.slot_mut(link)
                && plan.ways.iter().any(|way| way.ip.is_ipv4())
            {
                let before = plan.ways.len();
                plan.ways.retain(|way| way.ip.is_ipv4());
                dropped |= plan.ways.len() < before;
            }
        }
        dropped
    }
}

/// What a removal is answered with when the thing, or its interface, went by itself.
fn is_gone(error: &NetlinkError) -> bool {
    matches!(error.errno(), Some(Errno::ENOENT | Errno::ESRCH | Errno::ENODEV | Errno::EADDRNOTAVAIL))
}

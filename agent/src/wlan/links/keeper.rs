//! Keeps the kernel's addresses, routes and rules what they should be: read, compare, send the difference.

use neli::consts::socket::NlFamily;
use nix::errno::Errno;

use super::{
    Link,
    change::{self, Change},
    model::Address,
    plan::Wanted,
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

    /// Makes the kernel's state what is wanted. Fails with what went wrong about `link`; what goes wrong about the
    /// other one, whose interface may have been pulled out, must not keep this one from its order.
    pub(super) async fn reconcile(&mut self, link: Link) -> Result<(), String> {
        let mut failed: Vec<(Option<Link>, String)> = Vec::new();
        for round in 0..ROUNDS {
            let read = rt::read(&mut self.route, &self.remembered).await;
            let found = read.map_err(|error| format!("read addresses, routes and rules: {error}"))?;
            let mut changes = change::changes(&found, &self.wanted.kernel(&found), round == 0);
            changes.retain(|change| !failed.iter().any(|(of, _)| *of == self.wanted.link_of(change)));
            if changes.is_empty() {
                return verdict(link, failed);
            }
            for change in changes {
                let of = self.wanted.link_of(&change);
                if failed.iter().any(|(failed, _)| *failed == of) {
                    continue;
                }
                match self.send(&change).await {
                    Ok(()) => {}
                    // A kernel or an interface without IPv6 must not cost the link its IPv4.
                    Err(error) if change.adds() && change.v6() && self.wanted.drop_v6() => {
                        tracing::warn!(%error, %change, "the link goes without IPv6");
                        break;
                    }
                    Err(error) => failed.push((of, format!("{change}: {error}"))),
                }
            }
        }
        verdict(link, failed)?;
        Err("another program keeps changing our addresses, routes or rules".to_owned())
    }

    async fn send(&mut self, change: &Change) -> Result<(), NetlinkError> {
        match rt::apply(&mut self.route, change).await {
            Err(error) if change.adds() || !is_gone(&error) => Err(error),
            _ => {
                self.remember(change);
                Ok(())
            }
        }
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
}

fn verdict(link: Link, failed: Vec<(Option<Link>, String)>) -> Result<(), String> {
    let mut own = None;
    for (of, text) in failed {
        if of.is_some_and(|of| of != link) {
            tracing::warn!(text, ?of, "the other link is not as it should be");
        } else {
            own = own.or(Some(text));
        }
    }
    own.map_or(Ok(()), Err)
}

/// What a removal is answered with when the thing, or its interface, went by itself.
fn is_gone(error: &NetlinkError) -> bool {
    matches!(error.errno(), Some(Errno::ENOENT | Errno::ESRCH | Errno::ENODEV | Errno::EADDRNOTAVAIL))
}

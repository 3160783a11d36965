//! Keeps the kernel's addresses, routes, rules and MPTCP endpoints what they should be: read, compare, send the
//! difference.

use neli::consts::socket::NlFamily;
use nix::errno::Errno;

use super::{
    Link,
    change::{self, Change},
    ledger::{Ledger, Place},
    model::Kernel,
    mptcp::{Endpoint, Manager},
    plan::{self, Wanted},
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
    /// Whether MPTCP keeps the bearer for when nothing else delivers; none until somebody says so.
    pub(super) cellular_backup: Option<bool>,
    /// For rtnetlink requests.
    pub(super) route: Socket,
    /// What the kernel cannot mark.
    pub(super) ledger: Ledger,
    /// None where the kernel has no MPTCP.
    mptcp: Option<Manager>,
    /// As they were made last; none before that.
    endpoints: Option<Vec<Endpoint>>,
}

impl Keeper {
    /// Nothing is wanted yet and nothing touched. Must be called inside a tokio runtime.
    pub(super) async fn new(metric: u32, ledger: Ledger) -> Result<Self, NetlinkError> {
        let mptcp = Manager::open().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "MPTCP's path manager cannot be asked, connections by MPTCP stay on their link");
            None
        });
        Ok(Self {
            wanted: Wanted { metric, ..Wanted::default() },
            cellular_backup: None,
            route: Socket::requests(NlFamily::Route)?,
            ledger,
            mptcp,
            endpoints: None,
        })
    }

    /// Makes the kernel's state what is wanted. Fails with what went wrong about `link`; what goes wrong about the
    /// other one, whose interface may have been pulled out, must not keep this one from its order.
    pub(super) async fn reconcile(&mut self, link: Link) -> Result<(), String> {
        let mut failed: Vec<(Option<Link>, String)> = Vec::new();
        for round in 0..ROUNDS {
            let read = rt::read(&mut self.route, &self.ledger.record().addresses).await;
            let (found, marks) =
                read.map_err(|error| format!("read addresses, routes and rules: {error}"))?;
            // Another program may set the same address when ours has gone.
            let there = |place: &Place| {
                found.addresses.iter().any(|a| (a.interface, a.ip) == (place.interface, place.ip))
            };
            self.ledger.note(|record| record.addresses.retain(|place| !marks && there(place)));
            let target = self.wanted.kernel(&found);
            let mut changes = change::changes(&found, &target, round == 0);
            changes.retain(|change| !failed.iter().any(|(of, _)| *of == self.wanted.link_of(change)));
            if changes.is_empty() {
                self.make_endpoints(&target, false).await;
                return verdict(link, failed);
            }
            if round == 0 {
                // Before the addresses: the other end is told that these subflows end (RFC 8684 §3.4.2, REMOVE_ADDR).
                self.make_endpoints(&target, true).await;
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

    /// Makes the endpoints those of `target`, or first only takes away those that are not in it. Never a reason to
    /// fail an order: connections by MPTCP then fare like others.
    async fn make_endpoints(&mut self, target: &Kernel, only_fewer: bool) {
        let Some(mptcp) = &mut self.mptcp else { return };
        let mut wanted = plan::endpoints(target, self.cellular_backup);
        if only_fewer {
            wanted.retain(|endpoint| self.ledger.record().endpoints.contains(&endpoint.place));
        }
        if self.endpoints.as_ref() == Some(&wanted) {
            return;
        }
        match mptcp.reconcile(&wanted, &mut self.ledger).await {
            Ok(()) => self.endpoints = Some(wanted),
            Err(error) => tracing::warn!(%error, "the MPTCP endpoints are not as they should be"),
        }
    }

    async fn send(&mut self, change: &Change) -> Result<(), NetlinkError> {
        if let Change::SetAddress(address) = change {
            let place = Place { interface: address.interface, ip: address.ip };
            self.ledger.note(|record| {
                record.addresses.retain(|other| *other != place);
                record.addresses.push(place);
            });
        }
        match rt::apply(&mut self.route, change).await {
            Err(error) if change.adds() || !is_gone(&error) => Err(error),
            _ => {
                if let Change::RemoveAddress(address) = change {
                    let place = Place { interface: address.interface, ip: address.ip };
                    self.ledger.note(|record| record.addresses.retain(|other| *other != place));
                }
                Ok(())
            }
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

//! Proof by header: an enriching proxy of the operator's, which the packet gateway made the devices' only way to the
//! portal, writes the IMSI or MSISDN of the session into each request. Pure.
//!
//! All of it rests on two things that only the operator can see to: that the proxy removes such a header from what
//! devices send, and that nobody else has the proxy's address. Whatever else a proxy writes, such as the device's
//! address, is not looked at.

use std::net::IpAddr;

use provisioning::identity::Imsi;

use super::{Denial, Prefix};
use crate::{credential::Msisdn, store::Handle};

/// Which headers, of which proxies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderProof {
    /// Where the proxies connect from.
    pub proxies: Vec<Prefix>,
    /// Name of the header with the IMSI.
    pub imsi: Option<String>,
    /// Name of the header with the MSISDN.
    pub msisdn: Option<String>,
}

/// A header as it stands in a request.
#[derive(Clone, PartialEq, Eq, Default)]
pub enum Written {
    /// Not there.
    #[default]
    Absent,
    /// There, once.
    Once(String),
    /// Several, or not text: somebody put one beside the proxy's.
    Unclear,
}

/// The headers that count.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// Of the IMSI.
    pub imsi: Written,
    /// Of the MSISDN.
    pub msisdn: Written,
}

/// What the proxy says, read.
pub(super) struct Enriched {
    pub(super) imsi: Option<Imsi>,
    pub(super) msisdn: Option<Msisdn>,
}

impl HeaderProof {
    /// Whether one of the proxies connects from there.
    pub fn is_proxy(&self, source: IpAddr) -> bool {
        self.proxies.iter().any(|network| network.contains(source))
    }

    /// Reads what a proxy says. From anybody else nothing is read.
    pub(super) fn read(&self, source: IpAddr, told: &Told) -> Result<Enriched, Denial> {
        if !self.is_proxy(source) {
            return Err(Denial::NotByProxy);
        }
        let enriched = Enriched { imsi: value(&told.imsi)?, msisdn: value(&told.msisdn)? };
        if enriched.imsi.is_none() && enriched.msisdn.is_none() {
            return Err(Denial::HeaderMissing);
        }
        Ok(enriched)
    }
}

/// Every handle that the proxy told must be that of the claim; one at least is there.
pub(super) fn weigh(claimed: Option<Handle>, told: &[Option<Handle>]) -> Result<Handle, Denial> {
    let claimed = claimed.ok_or(Denial::ImeiUnknown)?;
    let mut told = told.iter().flatten().peekable();
    if told.peek().is_some() && told.all(|told| *told == claimed) {
        Ok(claimed)
    } else {
        Err(Denial::OtherImsi)
    }
}

fn value<T: std::str::FromStr>(written: &Written) -> Result<Option<T>, Denial> {
    match written {
        Written::Absent => Ok(None),
        Written::Once(text) => text.trim().parse().map(Some).map_err(|_| Denial::HeaderUnclear),
        Written::Unclear => Err(Denial::HeaderUnclear),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof() -> HeaderProof {
        HeaderProof {
            proxies: vec!["10.1.0.0/30".parse().unwrap()],
            imsi: Some("x-imsi".to_owned()),
            msisdn: Some("x-msisdn".to_owned()),
        }
    }

    fn read(source: &str, imsi: Written, msisdn: Written) -> Result<(bool, bool), Denial> {
        let enriched = proof().read(source.parse().unwrap(), &Told { imsi, msisdn })?;
        Ok((enriched.imsi.is_some(), enriched.msisdn.is_some()))
    }

    #[test]
    fn only_a_proxy_is_read_and_only_when_it_is_clear() {
        let once = |text: &str| Written::Once(text.to_owned());
        let good = || once("001010123456789");
        assert_eq!(read("10.1.0.1", good(), Written::Absent), Ok((true, false)));
        assert_eq!(read("::ffff:10.1.0.1", good(), once("+491701234567")), Ok((true, true)));
        assert_eq!(read("10.1.0.4", good(), Written::Absent), Err(Denial::NotByProxy));
        assert_eq!(read("10.1.0.1", Written::Absent, Written::Absent), Err(Denial::HeaderMissing));
        for unclear in [Written::Unclear, once(""), once("001010123456789, 001010123456788"), once("nobody")]
        {
            assert_eq!(read("10.1.0.1", unclear, once("+491701234567")), Err(Denial::HeaderUnclear));
        }
    }

    #[test]
    fn all_that_is_told_must_be_the_claimed_one() {
        let (mine, other) = (Handle([1; 32]), Handle([2; 32]));
        assert_eq!(weigh(Some(mine), &[Some(mine), None]), Ok(mine));
        assert_eq!(weigh(Some(mine), &[Some(mine), Some(mine)]), Ok(mine));
        assert_eq!(weigh(Some(mine), &[Some(mine), Some(other)]), Err(Denial::OtherImsi));
        assert_eq!(weigh(Some(mine), &[None, None]), Err(Denial::OtherImsi));
        assert_eq!(weigh(None, &[Some(mine)]), Err(Denial::ImeiUnknown));
    }
}

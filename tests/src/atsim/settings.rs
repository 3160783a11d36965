//! The lab's modem and SIM, and what the packet gateway gives them.

use super::modem::{Address, Identity};
use crate::world::plan;

/// The project's test identities.
pub(crate) fn identity() -> Identity {
    Identity {
        imei: plan::IMEI.to_owned(),
        imsi: plan::IMSI.to_owned(),
        iccid: "8900100000000000017".to_owned(),
        msisdn: "+15551234567".to_owned(),
        operator: "Test Net".to_owned(),
    }
}

/// A /30, its other end, two name servers.
pub(crate) fn address() -> anyhow::Result<Address> {
    let [first, second] = plan::DNS;
    Ok(Address {
        own: plan::WWAN_ADDRESS.parse()?,
        mask: [255, 255, 255, 252].into(),
        gateway: plan::GATEWAY_ADDRESS.parse()?,
        dns: [first.parse()?, second.parse()?],
    })
}

//! Where reports go beside the billing table: those of packet gateways to the table *address → subscriber*, those of
//! access points to the live sessions; and what both know that the packet does not say.
//!
//! `serve` gives it to the accounting writer as its [`GatewayFeed`].

use std::sync::Arc;

use super::{
    feed::{FeedRecord, GatewayFeed},
    live::Live,
};
use crate::{
    aaa::directory::Subscriber,
    credential::Keys,
    store::{AccountingRecord, ClientKind, Handle, StoreError},
};

/// Hands reports on.
pub struct Intake {
    gateways: Arc<dyn GatewayFeed>,
    live: Arc<Live>,
    keys: Arc<Keys>,
}

impl Intake {
    /// To `gateways` and `live`.
    pub fn new(gateways: Arc<dyn GatewayFeed>, live: Arc<Live>, keys: Arc<Keys>) -> Self {
        Self { gateways, live, keys }
    }
}

impl GatewayFeed for Intake {
    fn accounting(&self, record: &FeedRecord, now: u64) -> Result<(), StoreError> {
        self.gateways.accounting(record, now)
    }

    fn complete(&self, report: &mut AccountingRecord, fed: Option<&FeedRecord>) {
        match report.kind {
            ClientKind::Nas => self.live.complete(report),
            ClientKind::Gateway => {
                // The first octets of the handle, as in a token: so cellular and Wi-Fi usage meet.
                let handle = fed.and_then(|fed| fed.imsi.as_ref()).map(|imsi| self.keys.handle_imsi(imsi));
                report.subscriber =
                    handle.map(|Handle([a, b, c, d, e, f, ..])| Subscriber([a, b, c, d, e, f]));
            }
        }
    }

    fn written(&self, report: &AccountingRecord) {
        if report.kind == ClientKind::Nas {
            self.live.report(report);
        }
    }
}

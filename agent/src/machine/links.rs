//! What the WLAN card and the links tell, and which link gets the default route.

use std::time::Duration;

use super::{Action, Machine, ReturnReason, State};
use crate::wlan::{
    self,
    links::{self, Link},
};

/// Pause before a move that the kernel refused is asked again.
const MOVE_RETRY: Duration = Duration::from_secs(1);

impl Machine {
    /// Without Wi-Fi the default route belongs to cellular as soon as cellular is ready.
    pub(super) fn tend_carrier(&mut self) {
        let on_wifi = match self.state {
            State::Offloaded | State::Returning => true,
            State::Verifying => self.moving == Some(Link::Wlan) || self.carrier == Some(Link::Wlan),
            _ => false,
        };
        if !on_wifi && self.cellular.ready() && self.carrier != Some(Link::Cellular) {
            self.prefer(Link::Cellular);
        }
    }

    pub(super) fn prefer(&mut self, link: Link) {
        let now = self.now.since_boot;
        let refused = self.refused.is_some_and(|(which, until)| which == link && now < until);
        if self.moving != Some(link) && !refused {
            self.moving = Some(link);
            self.act(Action::Links(links::Command::Prefer(link)));
        }
    }

    pub(super) fn learn_wlan(&mut self, event: wlan::Event) {
        match event {
            wlan::Event::Interface(interface) => self.wlan = Some(interface),
            wlan::Event::Gone => {
                self.wlan = None;
                self.wifi_lost(ReturnReason::WlanGone);
            }
            wlan::Event::Scan(results) => self.learn_scan(&results),
            wlan::Event::MacRefused(text) => self.learn_mac_refused(&text),
            wlan::Event::ScanFailed(_) => self.scanner.failed(self.now.since_boot),
            wlan::Event::Signal { dbm } => {
                self.signal_dbm = Some(dbm);
                self.learn_signal(dbm);
            }
            wlan::Event::BeaconLoss => self.wifi_lost(ReturnReason::BeaconLoss),
            wlan::Event::Disassociated { .. } => self.wifi_lost(ReturnReason::Disconnected),
        }
    }

    pub(super) fn learn_links(&mut self, event: links::Event) {
        match event {
            links::Event::CellularReady { dns } => self.learn_cellular_ready(dns),
            links::Event::WlanReady(lease) => self.learn_lease(lease),
            links::Event::NoLease(text) => self.learn_no_lease(&text),
            links::Event::Moved(link) => {
                // A move that nobody waits for any more: its link has been taken away since, and its route with it.
                if self.moving == Some(link) {
                    self.moving = None;
                    self.carrier = Some(link);
                }
            }
            links::Event::Suspect(link) => self.learn_suspect(link),
            links::Event::Drained(link) => self.learn_drained(link),
            links::Event::Failed { link, text } => self.learn_link_failure(link, &text),
        }
    }

    fn learn_link_failure(&mut self, link: Link, text: &str) {
        if self.moving == Some(link) {
            self.moving = None;
            self.refused = Some((link, self.now.since_boot + MOVE_RETRY));
        }
        match link {
            Link::Cellular => self.learn_cellular_link_failure(text),
            Link::Wlan => self.learn_wlan_link_failure(text),
        }
    }
}

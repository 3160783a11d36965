//! The card's task on an interface that has no nl80211: what rtnetlink alone decides.

use agent::wlan::{self, Wlan, nl80211};
use provisioning::identity::Mac;
use tokio::sync::mpsc;

use crate::lab::{Lab, soon};

#[test]
fn the_address_is_set_and_what_counts_is_what_the_card_then_has() {
    let lab = Lab::new();
    lab.laptop.ip("link set wlan0 address 02:00:00:00:00:01");
    lab.run(async |lab| {
        let (events, mut inbox) = mpsc::channel(4);
        let card = nl80211::spawn(Some("wlan0".to_owned()), events);
        let mut next = async || soon(inbox.recv()).await.expect("the task lives");
        let wlan::Event::Interface(interface) = next().await else { panic!("the interface first") };
        assert_eq!(interface.current_mac, Mac([2, 0, 0, 0, 0, 1]));
        // Also where it is so already: the machine waits for the word.
        for last in [7, 7, 8] {
            let mac = Mac([2, 0, 0, 0, 0, last]);
            card.send(wlan::Command::SetMac(mac));
            let wlan::Event::Interface(interface) = next().await else { panic!("an interface") };
            assert_eq!(interface.current_mac, mac);
            assert!(lab.laptop.ip("link show wlan0").contains(&format!("02:00:00:00:00:0{last}")));
            assert!(lab.laptop.ip("link show wlan0").contains("UP"));
        }
        // A group's address is nobody's.
        card.send(wlan::Command::SetMac(Mac([3, 0, 0, 0, 0, 1])));
        let wlan::Event::MacRefused(text) = next().await else { panic!("a refusal") };
        assert!(text.contains("EADDRNOTAVAIL"), "{text}");
        assert!(lab.laptop.ip("link show wlan0").contains("02:00:00:00:00:08"));
        lab.laptop.ip("link delete wlan0");
        assert_eq!(next().await, wlan::Event::Gone);
        card.send(wlan::Command::SetMac(Mac([2, 0, 0, 0, 0, 1])));
        assert_eq!(next().await, wlan::Event::MacRefused("no WLAN interface".to_owned()));
    });
}

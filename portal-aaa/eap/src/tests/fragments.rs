//! Every size of fragment, on both sides.

use super::{
    air::Air,
    world::{Conversation, every_login, server_config},
};

/// From the narrowest to more than is used.
const SIZES: std::ops::RangeInclusive<usize> = 64..=1030;

#[test]
fn every_size_carries_every_login() {
    for (start, peer) in every_login().enumerate() {
        // Each method takes its share of the sizes, and all of them the edges.
        for mtu in SIZES.skip(start).step_by(8).chain([0, 64, 65, 1019, 1020, 1021, usize::MAX]) {
            Conversation::new(server_config(), peer.clone(), mtu).run(&mut Air::fair()).assert_success();
        }
    }
}

#[test]
fn narrow_links_take_more_rounds() {
    let rounds = |mtu| {
        let peer = every_login().next().unwrap();
        Conversation::new(server_config(), peer, mtu).run(&mut Air::fair()).rounds
    };
    assert!(rounds(64) > 2 * rounds(256));
    assert_eq!(rounds(1020), rounds(1500));
}

//! Every size of fragment, on both sides.

use super::{
    air::Air,
    world::{Conversation, every_login, remembering, resuming_server_config, server_config},
};

/// From the narrowest to more than is used.
const SIZES: std::ops::RangeInclusive<usize> = 64..=1510;

#[test]
fn every_size_carries_every_login() {
    for (start, peer) in every_login().enumerate() {
        // Each method takes its share of the sizes, and all of them the edges.
        for mtu in
            SIZES.skip(start).step_by(64).chain([0, 64, 65, 100, 500, 1019, 1020, 1398, 1500, usize::MAX])
        {
            let (server, peer) = (resuming_server_config(), remembering(peer.clone()));
            for resumed in [false, true] {
                let mut talk = Conversation::new(server.clone(), peer.clone(), mtu);
                assert_eq!(talk.run(&mut Air::fair()).assert_success().resumed, resumed);
            }
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
    assert_eq!(rounds(1400), rounds(1500));
}

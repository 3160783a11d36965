//! The way between peer and server: loses packets, doubles them, and lets responses overtake each other.

use std::collections::VecDeque;

/// Packets under way. What happens to each is in the list of fates, one after the other and then from the start.
pub(super) struct Air {
    fates: Vec<Fate>,
    next: usize,
    peer: VecDeque<Vec<u8>>,
    server: VecDeque<Vec<u8>>,
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    Arrives,
    IsLost,
    ArrivesTwice,
    /// Before those that were sent earlier. Requests keep their order (RFC 3748 §3.1 takes that for granted).
    Overtakes,
}

impl Air {
    pub(super) fn fair() -> Self {
        Self::with(vec![Fate::Arrives])
    }

    pub(super) fn with(fates: Vec<Fate>) -> Self {
        Self { fates, next: 0, peer: VecDeque::new(), server: VecDeque::new() }
    }

    pub(super) fn send_to_peer(&mut self, packet: &[u8]) {
        match self.fate() {
            Fate::Arrives | Fate::Overtakes => self.peer.push_back(packet.to_vec()),
            Fate::IsLost => {}
            Fate::ArrivesTwice => self.peer.extend([packet.to_vec(), packet.to_vec()]),
        }
    }

    pub(super) fn send_to_server(&mut self, packet: &[u8]) {
        match self.fate() {
            Fate::Arrives => self.server.push_back(packet.to_vec()),
            Fate::IsLost => {}
            Fate::ArrivesTwice => self.server.extend([packet.to_vec(), packet.to_vec()]),
            Fate::Overtakes => self.server.push_front(packet.to_vec()),
        }
    }

    pub(super) fn at_peer(&mut self) -> Option<Vec<u8>> {
        self.peer.pop_front()
    }

    pub(super) fn at_server(&mut self) -> Option<Vec<u8>> {
        self.server.pop_front()
    }

    fn fate(&mut self) -> Fate {
        let fate = self.fates[self.next % self.fates.len()];
        self.next += 1;
        fate
    }
}

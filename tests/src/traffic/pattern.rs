//! The octets of a download: a pseudo-random sequence that both ends make from the same seed, so that each octet can
//! be checked when it comes. Pure.

/// What follows the last octet: a mark and the count of octets before it.
pub(super) const TRAILER: usize = 16;
const MARK: [u8; 8] = *b"complete";

/// Marsaglia's xorshift64*; any seed but 0.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    state: u64,
    word: [u8; 8],
    used: usize,
}

impl Pattern {
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed.max(1), word: [0; 8], used: 8 }
    }

    /// Fills a buffer with what comes next.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) {
        buffer.iter_mut().for_each(|octet| *octet = self.next());
    }

    fn next(&mut self) -> u8 {
        if self.used >= self.word.len() {
            self.state ^= self.state >> 12;
            self.state ^= self.state << 25;
            self.state ^= self.state >> 27;
            self.word = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_be_bytes();
            self.used = 0;
        }
        let octet = self.word.get(self.used).copied().unwrap_or_default();
        self.used += 1;
        octet
    }
}

/// The trailer after `count` octets.
pub(super) fn trailer(count: u64) -> [u8; TRAILER] {
    let mut octets = [0; TRAILER];
    octets.iter_mut().zip(MARK.into_iter().chain(count.to_be_bytes())).for_each(|(to, from)| *to = from);
    octets
}

/// Checks a stream as it comes. The last octets are held back: at the end they are the trailer.
#[derive(Debug)]
pub(super) struct Verifier {
    pattern: Pattern,
    held: Vec<u8>,
    checked: u64,
    wrong: bool,
}

impl Verifier {
    pub(super) fn new(seed: u64) -> Self {
        Self { pattern: Pattern::new(seed), held: Vec::new(), checked: 0, wrong: false }
    }

    pub(super) fn take(&mut self, octets: &[u8]) {
        self.held.extend_from_slice(octets);
        let ready = self.held.len().saturating_sub(TRAILER);
        let mut expected = vec![0; ready];
        self.pattern.fill(&mut expected);
        self.wrong |= self.held.drain(..ready).ne(expected);
        self.checked += u64::try_from(ready).unwrap_or(u64::MAX);
    }

    /// Octets that came, without the trailer.
    pub(super) fn octets(&self) -> u64 {
        self.checked
    }

    /// Every octet was right, and none is missing at the end.
    pub(super) fn intact(&self) -> bool {
        !self.wrong && self.held == trailer(self.checked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(seed: u64, count: usize) -> Vec<u8> {
        let mut octets = vec![0; count];
        Pattern::new(seed).fill(&mut octets);
        octets.extend(trailer(u64::try_from(count).unwrap()));
        octets
    }

    #[test]
    fn a_whole_stream_is_intact_in_any_pieces() {
        for piece in [1, 7, 16, 1000] {
            let mut verifier = Verifier::new(5);
            stream(5, 777).chunks(piece).for_each(|octets| verifier.take(octets));
            assert!(verifier.intact(), "{piece}");
            assert_eq!(verifier.octets(), 777);
        }
    }

    #[test]
    fn anything_missing_changed_or_added_is_seen() {
        let good = stream(5, 777);
        let mut changed = good.clone();
        changed[300] ^= 1;
        let cut = good[..700].to_vec();
        let hole = [&good[..100], &good[101..]].concat();
        let longer = [&good[..], b"x"].concat();
        for bad in [changed, cut, hole, longer, Vec::new()] {
            let mut verifier = Verifier::new(5);
            verifier.take(&bad);
            assert!(!verifier.intact());
        }
    }
}

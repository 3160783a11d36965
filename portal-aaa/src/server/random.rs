//! Random octets from the system, drawn in large pieces: a login takes a dozen small draws, and each would be a system
//! call.

use std::cell::RefCell;

use zeroize::{Zeroize as _, Zeroizing};

/// Drawn at once, a thread.
const PIECE: usize = 4096;

struct Buffer {
    octets: Zeroizing<[u8; PIECE]>,
    used: usize,
}

thread_local! {
    /// Nothing of this program forks, so no two processes ever hold the same octets.
    static BUFFER: RefCell<Buffer> = RefCell::new(Buffer { octets: Zeroizing::new([0; PIECE]), used: PIECE });
}

/// Fills `out`. Nothing is handed out twice, and what was handed out is not kept.
pub(crate) fn fill(out: &mut [u8]) -> Result<(), getrandom::Error> {
    BUFFER.with_borrow_mut(|buffer| {
        if out.len() > PIECE {
            return getrandom::fill(out);
        }
        if PIECE - buffer.used < out.len() {
            getrandom::fill(&mut buffer.octets[..])?;
            buffer.used = 0;
        }
        if let Some(next) = buffer.octets.get_mut(buffer.used..).and_then(|rest| rest.get_mut(..out.len())) {
            out.copy_from_slice(next);
            next.zeroize();
            buffer.used += out.len();
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn nothing_comes_twice_whatever_the_size() {
        let mut seen = HashSet::new();
        for size in (8..300).chain([PIECE - 1, PIECE, PIECE + 1, 8, 8]) {
            let mut octets = vec![0; size];
            fill(&mut octets).unwrap();
            assert!(octets.chunks_exact(8).all(|eight| seen.insert(eight.to_vec())), "{size}");
        }
        fill(&mut []).unwrap();
    }
}

//! Identifiers towards one home server: 256 a source port (RFC 2865 §2.5), so several ports.

/// One source port, or one connection. `S` is what stands behind an identifier.
pub(super) struct Lane<S> {
    slots: Vec<Option<S>>,
    /// Identifiers are used in turn, so that a late answer meets no new request.
    next: u8,
    used: usize,
}

impl<S> Lane<S> {
    pub(super) fn new() -> Self {
        Self { slots: std::iter::repeat_with(|| None).take(256).collect(), next: 0, used: 0 }
    }

    /// Takes an identifier for what `make` makes of it; none when all are in use.
    pub(super) fn take(&mut self, make: impl FnOnce(u8) -> S) -> Option<u8> {
        if self.used == self.slots.len() {
            return None;
        }
        let free = (0..=u8::MAX)
            .map(|n| self.next.wrapping_add(n))
            .find(|n| self.slots.get(usize::from(*n)).is_some_and(Option::is_none))?;
        *self.slots.get_mut(usize::from(free))? = Some(make(free));
        self.next = free.wrapping_add(1);
        self.used += 1;
        Some(free)
    }

    pub(super) fn get(&self, identifier: u8) -> Option<&S> {
        self.slots.get(usize::from(identifier))?.as_ref()
    }

    pub(super) fn release(&mut self, identifier: u8) -> Option<S> {
        let slot = self.slots.get_mut(usize::from(identifier))?.take();
        self.used -= usize::from(slot.is_some());
        slot
    }

    /// How many are free.
    pub(super) fn free(&self) -> usize {
        self.slots.len() - self.used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_256_are_used_in_turn() {
        let mut lane = Lane::new();
        for n in 0..=255u8 {
            assert_eq!(lane.take(|id| id), Some(n));
        }
        assert_eq!((lane.take(|id| id), lane.free()), (None, 0));
        assert_eq!(lane.release(7), Some(7));
        assert_eq!(lane.release(7), None);
        assert_eq!(lane.release(9), Some(9));
        assert_eq!(lane.free(), 2);
        assert_eq!(lane.take(|id| id), Some(7));
        assert_eq!(lane.release(7), Some(7));
        assert_eq!(lane.take(|id| id), Some(9), "the one just released comes last");
        assert_eq!(lane.get(9), Some(&9));
    }
}

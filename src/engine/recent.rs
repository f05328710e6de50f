//! Event ids seen lately, so that an event that is sent again changes nothing.

use std::collections::VecDeque;

use super::bytes::{Bytes, Read, Reader};
use super::parted::PartedMap;

/// Ids of one entry of an image.
const PIECE_IDS: usize = 8_192;

/// Hashes of the latest event ids, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct RecentEvents {
    order: VecDeque<u64>,
    known: PartedMap<u64, ()>,
}

impl RecentEvents {
    /// Whether an id was not seen lately; from now on it was.
    pub fn is_new(&mut self, id: u64) -> bool {
        let is_new = self.known.insert(id, ()).is_none();
        if is_new {
            self.order.push_back(id);
        }
        is_new
    }

    /// Whether an id was seen lately.
    pub fn is_known(&self, id: u64) -> bool {
        self.known.get(&id).is_some()
    }

    /// Takes back the latest [`RecentEvents::is_new`], which was true.
    pub fn take_back(&mut self) {
        let latest = self.order.pop_back();
        self.known.remove(&latest.expect("it was noted just before"));
    }

    /// Forgets the oldest beyond `max`.
    pub fn bound(&mut self, max: usize) {
        while self.order.len() > max {
            let oldest = self.order.pop_front();
            self.known.remove(&oldest.expect("there are more than `max`"));
        }
    }

    /// Canonical entries: so many ids each, in the order of arrival, with the number of the entry.
    pub fn image(&self, visit: &mut dyn FnMut(u64, &[u8])) {
        let mut bytes = Vec::with_capacity(8 * PIECE_IDS);
        let mut ids = self.order.iter().peekable();
        for number in 0.. {
            if ids.peek().is_none() {
                return;
            }
            bytes.clear();
            ids.by_ref().take(PIECE_IDS).for_each(|id| bytes.long(*id));
            visit(number, &bytes);
        }
    }

    /// Takes the next ids of an image, in their order.
    pub fn restore(&mut self, mut bytes: Reader<'_>) -> Read<()> {
        while !bytes.is_at_end() {
            let (id, fault) = (bytes.long()?, bytes.fault("an id comes twice"));
            if self.known.insert(id, ()).is_some() {
                return Err(fault);
            }
            self.order.push_back(id);
        }
        Ok(())
    }

    /// The ids in the order of arrival.
    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = u64> {
        self.order.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten() {
        let mut recent = RecentEvents::default();
        for (id, is_new) in [(1, true), (2, true), (1, false), (3, true), (2, false), (1, true)] {
            assert_eq!(recent.is_new(id), is_new, "{id}");
            recent.bound(2);
        }
        assert_eq!(recent.iter().collect::<Vec<_>>(), [3, 1]);
        assert!(recent.is_new(4));
        recent.take_back();
        assert!(recent.is_new(4) && !recent.is_new(3));
    }
}

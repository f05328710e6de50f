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
    pub fn contains(&self, id: u64) -> bool {
        self.known.contains_key(&id)
    }

    /// Remembers an id; beyond `max` the oldest is forgotten.
    pub fn insert(&mut self, id: u64, max: usize) {
        if self.known.insert(id, ()).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > max {
            if let Some(oldest) = self.order.pop_front() {
                self.known.remove(&oldest);
            }
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
        for id in [1, 2, 1, 3] {
            recent.insert(id, 2);
        }
        assert_eq!(recent.iter().collect::<Vec<_>>(), [2, 3]);
        assert!(!recent.contains(1) && recent.contains(2) && recent.contains(3));
    }
}

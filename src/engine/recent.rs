//! Event ids seen lately, so that an event that is sent again changes nothing.

use std::collections::VecDeque;

use super::parted::PartedMap;

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

    /// The ids in the order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
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

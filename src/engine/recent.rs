//! Event ids seen lately, so that an event that is sent again changes nothing.

use super::bytes::{Bytes, Read, Reader};
use super::entries::{Entries, Kind};
use super::fifo::Fifo;
use super::id_set::IdSet;

/// Ids of one entry of an image.
const PIECE_IDS: usize = 8_192;

/// Hashes of the latest event ids, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct RecentEvents {
    order: Fifo<u64>,
    known: IdSet,
}

impl RecentEvents {
    /// Whether an id was not seen lately; from now on it was.
    pub fn is_new(&mut self, id: u64) -> bool {
        let is_new = self.known.insert(id);
        if is_new {
            self.order.push(id);
        }
        is_new
    }

    /// Looks at where new ids will stand, and at those that they will drive out; something of what stands there.
    pub fn prefetch(&self, new: &[u64], max: usize) -> u64 {
        let beyond = (self.order.len() + new.len()).saturating_sub(max).min(new.len());
        let leaving = self.order.iter().take(beyond);
        self.known.look(new.iter().copied()) ^ self.known.look(leaving)
    }

    /// Takes back the latest [`RecentEvents::is_new`], which was true.
    pub fn take_back(&mut self) {
        let latest = self.order.take_back();
        self.known.remove(latest.expect("it was noted just before"));
    }

    /// Forgets the oldest beyond `max`.
    pub fn bound(&mut self, max: usize) {
        while self.order.len() > max {
            let oldest = self.order.pop();
            self.known.remove(oldest.expect("there are more than `max`"));
        }
    }

    /// Canonical entries: so many ids each, in the order of arrival, with the number of the entry.
    pub fn image(&self, visit: &mut dyn FnMut(Kind, u64, &[u8])) {
        let (mut bytes, mut ids) = (Vec::with_capacity(8 * PIECE_IDS), self.order.iter().peekable());
        for number in 0.. {
            if ids.peek().is_none() {
                return;
            }
            bytes.clear();
            ids.by_ref().take(PIECE_IDS).for_each(|id| bytes.long(id));
            visit(Kind::RecentEvents, number, &bytes);
        }
    }

    /// Begins to hand out the ids as they are now.
    pub fn begin_walk(&mut self) {
        self.order.begin_walk();
    }

    /// Hands out about `most` bytes of them; true when that was all.
    pub fn walk(&mut self, most: usize, into: &mut Entries) -> bool {
        let enough = into.len().saturating_add(most);
        while into.len() < enough {
            let Some((number, ids)) = self.order.walk(PIECE_IDS) else { return true };
            into.push(Kind::RecentEvents, number, |bytes| ids.into_iter().for_each(|id| bytes.long(id)));
        }
        false
    }

    /// Ends that before its end.
    pub fn stop_walk(&mut self) {
        self.order.stop_walk();
    }

    /// Takes the next ids of an image, in their order.
    pub fn restore(&mut self, mut bytes: Reader<'_>) -> Read<()> {
        while !bytes.is_at_end() {
            let (id, fault) = (bytes.long()?, bytes.fault("an id comes twice"));
            if !self.known.insert(id) {
                return Err(fault);
            }
            self.order.push(id);
        }
        Ok(())
    }

    /// The ids in the order of arrival.
    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = u64> {
        self.order.iter()
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

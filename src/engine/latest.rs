//! The latest impressions that a goal learned, in a ring.

use super::bytes::{Bytes, Read, Reader};
use super::impressions::ImpressionId;

/// Impressions in the ring; a further one takes the place of the oldest.
const LATEST_MAX: usize = 1_024;

/// Numbers of the latest learned impressions, and where in them the next look is due.
#[derive(Debug, Default)]
pub(super) struct Latest {
    ids: Vec<ImpressionId>,
    /// Place of the oldest once the ring is full.
    oldest: usize,
    look: usize,
}

impl Latest {
    pub fn push(&mut self, id: ImpressionId) {
        if self.ids.len() < LATEST_MAX {
            self.ids.push(id);
        } else {
            self.ids[self.oldest] = id;
            self.oldest = (self.oldest + 1) % LATEST_MAX;
        }
    }

    /// The next impression to look at again, round and round.
    pub fn next(&mut self) -> Option<ImpressionId> {
        let id = self.ids.get(self.look % self.ids.len().max(1)).copied();
        self.look = (self.look + 1) % LATEST_MAX;
        id
    }

    /// Appends its canonical bytes.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        bytes.list(&self.ids, |bytes, id| bytes.long(*id));
        bytes.short(self.oldest as u16);
        bytes.short(self.look as u16);
    }

    /// A ring out of its canonical bytes.
    pub fn read(bytes: &mut Reader<'_>) -> Read<Latest> {
        let fault = bytes.fault("this is no ring");
        let ids = bytes.list(LATEST_MAX, Reader::long)?;
        let (oldest, look) = (usize::from(bytes.short()?), usize::from(bytes.short()?));
        let is_sound = oldest < LATEST_MAX && look < LATEST_MAX && (oldest == 0 || ids.len() == LATEST_MAX);
        if is_sound { Ok(Latest { ids, oldest, look }) } else { Err(fault) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_round_and_forgets_the_oldest() {
        let mut latest = Latest::default();
        assert_eq!(latest.next(), None);
        (0..1_030).for_each(|id| latest.push(id));
        let looks: Vec<_> = (0..LATEST_MAX).filter_map(|_| latest.next()).collect();
        assert_eq!(looks.len(), LATEST_MAX);
        assert!(!looks.contains(&5) && looks.contains(&6) && looks.contains(&1_029));
    }
}

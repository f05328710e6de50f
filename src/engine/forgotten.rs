//! Who was forgotten lately, so that a token sealed before cannot bring a person back.

use super::bytes::{Read, Reader};
use super::entries::{Entries, Kind};
use super::fifo::Fifo;
use super::parted::PartedMap;
use crate::ids::UserKey;
use crate::units::Timestamp;

/// Most ids that are remembered; beyond, the oldest are given up for the moment before which nobody is known.
const FORGOTTEN_MAX: usize = 4_000_000;
/// Number of the entry that holds that moment.
const NOBODY_BEFORE: u64 = u64::MAX;

/// Ids forgotten within the time that tokens are accepted for.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    since: PartedMap<UserKey, Timestamp>,
    /// The same in the order of forgetting; an id that was forgotten again stands twice.
    order: Fifo<(Timestamp, UserKey)>,
    /// What was scored then or earlier is nobody's: more were forgotten since than are remembered.
    nobody_before: Timestamp,
}

impl Forgotten {
    pub fn insert(&mut self, user: UserKey, at: Timestamp) {
        self.note(user, at, FORGOTTEN_MAX);
    }

    fn note(&mut self, user: UserKey, at: Timestamp, most: usize) {
        self.since.insert(user, at);
        self.order.push((at, user));
        while self.order.len() > most {
            let (at, _) = self.drop_oldest();
            self.nobody_before = at;
        }
    }

    /// Ids that are remembered; one that was forgotten twice counts twice.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether a person that was scored at a moment has been forgotten since, or may have been.
    pub fn covers(&self, user: UserKey, scored_at: Timestamp) -> bool {
        scored_at <= self.nobody_before || self.since.get(&user).is_some_and(|forgotten_at| scored_at <= *forgotten_at)
    }

    /// Drops what was forgotten before a moment, when no token of that time is accepted any more.
    pub fn expire(&mut self, before: Timestamp) {
        while self.order.oldest().is_some_and(|(at, _)| at < before) {
            self.drop_oldest();
        }
        if self.nobody_before < before {
            self.nobody_before = Timestamp(0);
        }
    }

    fn drop_oldest(&mut self) -> (Timestamp, UserKey) {
        let (at, user) = self.order.pop().expect("only asked for where there is one");
        if self.since.get(&user) == Some(&at) {
            self.since.remove(&user);
        }
        (at, user)
    }

    /// Canonical entries: the place in the order, moment and id.
    pub fn image(&self, visit: &mut dyn FnMut(Kind, u64, &[u8])) {
        for (place, forgotten) in self.order.iter().enumerate() {
            visit(Kind::Forgotten, place as u64, &bytes(forgotten));
        }
    }

    /// The canonical entry, if there is one, of the moment before which nobody is known.
    pub fn image_short(&self, visit: &mut dyn FnMut(Kind, u64, &[u8])) {
        if self.nobody_before > Timestamp(0) {
            visit(Kind::Forgotten, NOBODY_BEFORE, &self.nobody_before.0.to_le_bytes());
        }
    }

    /// Begins to hand out the people as they are now.
    pub fn begin_walk(&mut self) {
        self.order.begin_walk();
    }

    /// Hands out about `most` bytes of them; true when that was all.
    pub fn walk(&mut self, most: usize, into: &mut Entries) -> bool {
        let enough = into.len().saturating_add(most);
        while into.len() < enough {
            let Some((place, piece)) = self.order.walk(1) else { return true };
            piece.into_iter().for_each(|forgotten| {
                into.push(Kind::Forgotten, place, |into| into.extend_from_slice(&bytes(forgotten)));
            });
        }
        false
    }

    /// Ends that before its end.
    pub fn stop_walk(&mut self) {
        self.order.stop_walk();
    }

    /// Takes the next one of an image, in their order.
    pub fn restore(&mut self, mut bytes: Reader<'_>) -> Read<()> {
        let (at, user) = (bytes.moment()?, UserKey(bytes.long()?));
        self.note(user, at, usize::MAX);
        bytes.end()
    }

    /// Takes on the moment of an image before which nobody is known.
    pub fn restore_short(&mut self, number: u64, mut bytes: Reader<'_>) -> Read<()> {
        if number == NOBODY_BEFORE {
            self.nobody_before = bytes.moment()?;
            bytes.end()?;
        }
        Ok(())
    }

    /// The ids with their moments, in the order of forgetting.
    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = (Timestamp, UserKey)> {
        self.order.iter()
    }
}

fn bytes((at, user): (Timestamp, UserKey)) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&at.0.to_le_bytes());
    bytes[8..].copy_from_slice(&user.0.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_what_was_scored_before_until_it_expires() {
        let (mut forgotten, user) = (Forgotten::default(), UserKey(7));
        forgotten.insert(user, Timestamp(100));
        forgotten.insert(user, Timestamp(200));
        assert!(forgotten.covers(user, Timestamp(200)) && !forgotten.covers(user, Timestamp(201)));
        forgotten.expire(Timestamp(150));
        assert!(forgotten.covers(user, Timestamp(50)), "forgotten again since");
        forgotten.expire(Timestamp(201));
        assert!(!forgotten.covers(user, Timestamp(50)));
        assert_eq!(forgotten.iter().count(), 0);
    }

    #[test]
    fn nobody_comes_back_when_more_are_forgotten_than_are_remembered() {
        let mut forgotten = Forgotten::default();
        for (user, at) in [(1, 100), (2, 200), (3, 300)] {
            forgotten.note(UserKey(user), Timestamp(at), 2);
        }
        let covers = |forgotten: &Forgotten, user, at| forgotten.covers(UserKey(user), Timestamp(at));
        assert_eq!(forgotten.iter().count(), 2);
        assert!(covers(&forgotten, 1, 100) && covers(&forgotten, 9, 100), "who it was is not known any more");
        assert!(!covers(&forgotten, 1, 101) && covers(&forgotten, 2, 200));
        let mut restored = Forgotten::default();
        forgotten.image(&mut |_, _, bytes| assert!(restored.restore(Reader::new(bytes)).is_ok()));
        forgotten.image_short(&mut |_, number, bytes| {
            assert!(restored.restore_short(number, Reader::new(bytes)).is_ok());
        });
        assert!(restored.iter().eq(forgotten.iter()) && covers(&restored, 9, 100) && !covers(&restored, 9, 101));
        forgotten.expire(Timestamp(101));
        assert!(!covers(&forgotten, 9, 100), "no token of that time is accepted");
    }
}

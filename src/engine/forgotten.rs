//! Who was forgotten lately, so that a token sealed before cannot bring a person back.

use std::collections::{HashMap, VecDeque};

use super::bytes::{Read, Reader};
use crate::hash::KeyHasher;
use crate::ids::UserKey;
use crate::units::Timestamp;

/// Ids forgotten within the time that tokens are accepted for.
#[derive(Debug, Default)]
pub(super) struct Forgotten {
    since: HashMap<UserKey, Timestamp, KeyHasher>,
    /// The same in the order of forgetting; an id that was forgotten again stands twice.
    order: VecDeque<(Timestamp, UserKey)>,
}

impl Forgotten {
    pub fn insert(&mut self, user: UserKey, at: Timestamp) {
        self.since.insert(user, at);
        self.order.push_back((at, user));
    }

    /// Whether a person that was scored at a moment has been forgotten since.
    pub fn covers(&self, user: UserKey, scored_at: Timestamp) -> bool {
        self.since.get(&user).is_some_and(|forgotten_at| scored_at <= *forgotten_at)
    }

    /// Drops what was forgotten before a moment, when no token of that time is accepted any more.
    pub fn expire(&mut self, before: Timestamp) {
        while let Some((at, user)) = self.order.front().copied().filter(|(at, _)| *at < before) {
            self.order.pop_front();
            if self.since.get(&user) == Some(&at) {
                self.since.remove(&user);
            }
        }
    }

    /// Canonical entries: the place in the order, moment and id.
    pub fn image(&self, visit: &mut dyn FnMut(u64, &[u8])) {
        for (place, (at, user)) in self.order.iter().enumerate() {
            visit(place as u64, &[at.0.to_le_bytes(), user.0.to_le_bytes()].concat());
        }
    }

    /// Takes the next one of an image, in their order.
    pub fn restore(&mut self, mut bytes: Reader<'_>) -> Read<()> {
        let (at, user) = (bytes.moment()?, UserKey(bytes.long()?));
        self.insert(user, at);
        bytes.end()
    }

    /// The ids with their moments, in the order of forgetting.
    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = (Timestamp, UserKey)> {
        self.order.iter().copied()
    }
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
}

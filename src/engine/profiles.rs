//! All profiles: found by readers and writer alike, given up when they are too many or too long unseen.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::entries::Kind;
use super::profile::Profile;
use super::shards::{ProfileWalk, Shards};
use crate::hash::{self, KeyHasher};
use crate::ids::{AdvertiserCode, UserKey};
use crate::units::Tick;

/// Seconds of the hours by which profiles are given up.
pub(super) const HOUR_S: u32 = 3_600;

/// Hash of a person's root id and an advertiser. Two of 50 million share one with odds of 1 in 15,000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct ProfileKey(u64);

impl ProfileKey {
    pub fn of(root: UserKey, advertiser: AdvertiserCode) -> ProfileKey {
        ProfileKey(hash::mix(root.0, u64::from(advertiser.0)))
    }

    /// The hash.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The key of a number.
    pub fn from_number(number: u64) -> ProfileKey {
        ProfileKey(number)
    }
}

/// The writer's side of the profiles.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    shared: Arc<Shards>,
    count: usize,
    /// Profiles by the hour they were last seen in, except those of `oldest`.
    hours: BTreeMap<u32, HashSet<ProfileKey, KeyHasher>>,
    /// Profiles of the earliest hour, once some are given up from it, by when they were last seen.
    oldest: BTreeSet<(Tick, ProfileKey)>,
    /// The hour that `oldest` holds; later ones are in `hours`.
    oldest_hour: u32,
    /// Where profiles are packed.
    buffer: Vec<u8>,
}

impl Profiles {
    /// Profiles out of an image: the map, and in it those of each hour.
    pub fn restored(shared: Arc<Shards>, hours: BTreeMap<u32, HashSet<ProfileKey, KeyHasher>>) -> Profiles {
        let count = hours.values().map(HashSet::len).sum();
        Profiles { shared, count, hours, ..Profiles::default() }
    }

    pub fn shared(&self) -> &Arc<Shards> {
        &self.shared
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// A copy of a profile.
    pub fn get(&self, key: ProfileKey) -> Option<Profile> {
        self.shared.read(key, |kept| kept.get())
    }

    /// Changes a profile, a new one if there is none.
    pub fn update<T>(&mut self, key: ProfileKey, change: impl FnOnce(&mut Profile) -> T) -> T {
        let buffer = &mut self.buffer;
        let (result, is_new, before, after) = self.shared.change(key, |kept, is_new| {
            let mut profile = Profile::default();
            kept.unpack(&mut profile);
            let before = profile.last_seen();
            let result = change(&mut profile);
            kept.set(&profile, buffer);
            (result, is_new, before, profile.last_seen())
        });
        let hour = after.0 / HOUR_S;
        if is_new {
            self.count += 1;
            self.file(key, after);
        } else if hour != before.0 / HOUR_S || (hour <= self.oldest_hour && after != before) {
            self.unfile(key, before);
            self.file(key, after);
        }
        result
    }

    /// Changes a profile if there is one.
    pub fn update_existing(&mut self, key: ProfileKey, change: impl FnOnce(&mut Profile)) {
        if self.shared.contains(key) {
            self.update(key, change);
        }
    }

    pub fn remove(&mut self, key: ProfileKey) -> Option<Profile> {
        let profile = self.shared.remove(key)?.get();
        self.count -= 1;
        self.unfile(key, profile.last_seen());
        Some(profile)
    }

    /// Gives up the profile that was unseen for longest, if it was last seen before a tick. False when there is none.
    pub fn evict_before(&mut self, before: Tick) -> bool {
        if self.oldest.is_empty() {
            match self.hours.first_key_value() {
                Some((hour, _)) if *hour <= before.0 / HOUR_S => self.open_oldest_hour(),
                _ => return false,
            }
        }
        match self.oldest.first().copied() {
            Some((seen, key)) if seen < before => self.remove(key).is_some(),
            _ => false,
        }
    }

    fn open_oldest_hour(&mut self) {
        if let Some((hour, keys)) = self.hours.pop_first() {
            self.oldest_hour = hour;
            let seen = |key: ProfileKey| self.shared.read(key, |kept| (kept.get().last_seen(), key));
            self.oldest = keys.into_iter().filter_map(seen).collect();
        }
    }

    /// All canonical entries, in no order.
    pub fn image(&self, visit: &mut dyn FnMut(Kind, u64, &[u8])) {
        self.shared.each(|key, kept| visit(Kind::Profile, key.0, kept.as_bytes()));
    }

    /// Begins to hand out all profiles as they are now; `None` while another walk is not at its end.
    pub fn walk(&self) -> Option<ProfileWalk> {
        self.shared.walk()
    }

    /// Notes when a profile was last seen.
    fn file(&mut self, key: ProfileKey, seen: Tick) {
        let hour = seen.0 / HOUR_S;
        if hour <= self.oldest_hour {
            self.oldest.insert((seen, key));
        } else {
            self.hours.entry(hour).or_default().insert(key);
        }
    }

    fn unfile(&mut self, key: ProfileKey, seen: Tick) {
        let hour = seen.0 / HOUR_S;
        if hour <= self.oldest_hour {
            self.oldest.remove(&(seen, key));
        } else if let Some(keys) = self.hours.get_mut(&hour) {
            keys.remove(&key);
            if keys.is_empty() {
                self.hours.remove(&hour);
            } else if keys.len() < keys.capacity() / 4 {
                // An hour that most have left since gives its room back.
                keys.shrink_to_fit();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_unseen_gives_way() {
        let mut profiles = Profiles::default();
        let key = |n| ProfileKey::of(UserKey(n), AdvertiserCode(0));
        for (user, tick) in [(1, 9_000), (2, 4_000), (3, 4_100), (2, 8_000), (4, 4_200)] {
            profiles.update(key(user), |profile| profile.show(Tick(tick), None, None));
        }
        let mut order = Vec::new();
        for _ in 0..5 {
            let before: Vec<u64> = (1..=4).filter(|n| profiles.get(key(*n)).is_some()).collect();
            if !profiles.evict_before(Tick(8_500)) {
                break;
            }
            order.extend(before.into_iter().filter(|n| profiles.get(key(*n)).is_none()));
        }
        assert_eq!(order, [3, 4, 2], "and 1 was seen at 9,000");
        assert_eq!(profiles.len(), 1);
    }

    #[test]
    fn a_retraction_makes_a_profile_unseen_for_longer() {
        let mut profiles = Profiles::default();
        let key = |n| ProfileKey::of(UserKey(n), AdvertiserCode(0));
        for (user, tick) in [(1, 4_000), (2, 4_200), (3, 4_300)] {
            profiles.update(key(user), |profile| profile.show(Tick(tick), None, None));
        }
        profiles.update(key(2), |profile| profile.convert(Tick(4_400)));
        assert!(profiles.evict_before(Tick(9_000)), "the first is given up, the others are put in order");
        profiles.update(key(2), Profile::retract);
        assert!(profiles.evict_before(Tick(9_000)));
        assert_eq!((profiles.get(key(2)), profiles.len()), (None, 1), "seen at 4,200, the other at 4,300");
    }
}

//! All profiles: found by readers and writer alike, given up when they are too many or too long unseen.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::entries::Kind;
use super::hours::{Hour, Hours};
use super::packed::{Packed, Rooms};
use super::profile::Profile;
use super::shards::{ProfileWalk, Shards};
use crate::hash;
use crate::ids::{AdvertiserCode, UserKey};
use crate::units::Tick;

/// Seconds of the hours by which profiles are given up.
pub(super) const HOUR_S: u32 = 3_600;
/// Entries of an hour put in order at one tick, in view of giving them up: a millisecond or two.
const ORDERED_PER_TICK: usize = if cfg!(test) { 8 } else { 4_096 };
/// Entries of an hour put in order whenever a profile is given up, or is about to be.
const ORDERED_PER_EVICTION: usize = if cfg!(test) { 2 } else { 32 };
/// An hour is begun to be put in order when so many times fewer profiles are left of those before it than the longest
/// of the next [`LOOKED_AT`] lists has, or as few as one tick does: so as a rule it is done before the first of it is
/// given up, though most of it may have moved on.
const LEAD: usize = 8;
const LOOKED_AT: usize = 4;
/// From this part of the limit on, profiles are put in order in view of it.
const NEARLY_FULL: f64 = 7.0 / 8.0;

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
    /// Profiles by the hour they were last seen in: those of hours later than `oldest_hour`.
    hours: Hours,
    /// Profiles of hours up to `oldest_hour`, by when they were last seen: the next to be given up.
    oldest: BTreeSet<(Tick, ProfileKey)>,
    /// Of `oldest_hour`, what is not put in order yet. What of it was seen again since is filed elsewhere, and passed
    /// over.
    unordered: Hour,
    oldest_hour: u32,
    rooms: Rooms,
    /// The one that is changed: its lists have their memory already.
    at_work: Profile,
}

impl Profiles {
    /// Profiles out of an image: the map, and those of each hour, each once.
    pub fn restored(shared: Arc<Shards>, hours: Hours) -> Profiles {
        Profiles { shared, count: hours.entries(), hours, ..Profiles::default() }
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

    /// Somebody's latest action, and how many more there were in its minute.
    pub fn pace(&self, key: ProfileKey) -> (Tick, u16) {
        self.shared.read(key, Packed::pace).unwrap_or_default()
    }

    /// Brings profiles into the nearest memory; something of what they hold, so that it is really read.
    pub fn prefetch(&self, keys: &[ProfileKey]) -> u8 {
        self.shared.prefetch(keys)
    }

    /// Changes a profile, a new one if there is none.
    pub fn update<T>(&mut self, key: ProfileKey, change: impl FnOnce(&mut Profile) -> T) -> T {
        let (profile, rooms) = (&mut self.at_work, &mut self.rooms);
        let (result, is_new, before, after) = self.shared.change(key, |kept, is_new| {
            profile.clear();
            kept.unpack(profile);
            let before = profile.last_seen();
            let result = change(profile);
            kept.set(profile, rooms);
            (result, is_new, before, profile.last_seen())
        });
        let hour = after.0 / HOUR_S;
        if is_new {
            self.count += 1;
            self.file(key, after);
        } else if hour != before.0 / HOUR_S || (hour <= self.oldest_hour && after != before) {
            self.refile(key, before, after);
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
        let seen = profile.last_seen();
        match self.is_old(seen) {
            true => drop(self.oldest.remove(&(seen, key))),
            false => self.hours.remove(seen.0 / HOUR_S, key),
        }
        Some(profile)
    }

    /// Gives up the profile that was unseen for longest, if it was last seen before a tick. False when there is none.
    pub fn evict_before(&mut self, before: Tick) -> bool {
        self.prepare_some(before, ORDERED_PER_EVICTION);
        // Who was last seen before the hour that is being put in order is in order.
        while self.oldest_hour * HOUR_S < before.0 && !self.is_certain() {
            self.put_in_order(usize::MAX);
            if !self.begin_hour(before) {
                break;
            }
        }
        match self.oldest.first().copied() {
            Some((seen, key)) if seen < before => self.remove(key).is_some(),
            _ => false,
        }
    }

    /// Puts some of the profiles of the earliest hour in order, so that little is left to do when they are to be given
    /// up: of hours that are over at a tick, as those of the present are still on the move.
    pub fn prepare(&mut self, now: Tick) {
        self.prepare_some(Tick(now.0 / HOUR_S * HOUR_S), ORDERED_PER_TICK);
    }

    /// Does so with a few of them where there are nearly as many profiles as may be, whatever hour they are of.
    pub fn prepare_for(&mut self, limit: usize) {
        if self.count as f64 >= NEARLY_FULL * limit as f64 {
            self.prepare_some(Tick(u32::MAX), ORDERED_PER_EVICTION);
        }
    }

    /// Whether the first of those in order is the longest unseen of all, though some of `oldest_hour` are not in order.
    fn is_certain(&self) -> bool {
        self.oldest.first().is_some_and(|(seen, _)| seen.0 / HOUR_S < self.oldest_hour)
    }

    fn prepare_some(&mut self, before: Tick, most: usize) {
        if self.unordered.len() > 0 || self.begin_hour(before) {
            self.put_in_order(most);
        }
    }

    /// Begins to put the earliest hour in order, once the one before it is, if it began before a tick and it is time.
    fn begin_hour(&mut self, before: Tick) -> bool {
        let few = (self.hours.longest(LOOKED_AT) / LEAD).max(ORDERED_PER_TICK);
        let is_due = |hour: u32| hour * HOUR_S < before.0 && (hour <= self.oldest_hour || self.oldest.len() <= few);
        if !self.hours.first().is_some_and(is_due) {
            return false;
        }
        (self.oldest_hour, self.unordered) = self.hours.pop_first().expect("just looked at");
        true
    }

    /// Puts at most so many profiles of `oldest_hour` in order.
    fn put_in_order(&mut self, most: usize) {
        for _ in 0..most {
            let Some(key) = self.unordered.pop() else { return };
            let seen = self.shared.read(key, Packed::last_seen);
            if let Some(seen) = seen.filter(|seen| seen.0 / HOUR_S <= self.oldest_hour) {
                self.oldest.insert((seen, key));
            }
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

    /// Whether who was last seen then is, or will be, among `oldest`, and on no list of `hours`.
    fn is_old(&self, seen: Tick) -> bool {
        seen.0 / HOUR_S <= self.oldest_hour
    }

    /// Notes when a profile was last seen.
    fn file(&mut self, key: ProfileKey, seen: Tick) {
        if self.is_old(seen) {
            self.oldest.insert((seen, key));
            return;
        }
        self.hours.push(seen.0 / HOUR_S, key);
        let shared = &self.shared;
        self.hours.sweep_if_many(self.count, |key| shared.read(key, Packed::last_seen).map(|seen| seen.0 / HOUR_S));
    }

    /// Notes that a profile was last seen at another time. On a list it stays.
    fn refile(&mut self, key: ProfileKey, before: Tick, after: Tick) {
        if self.is_old(before) {
            self.oldest.remove(&(before, key));
        }
        // Who goes back to an earlier hour may be on its list.
        if after < before {
            self.hours.remove(after.0 / HOUR_S, key);
        }
        self.file(key, after);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

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

    proptest! {
        /// Whoever is seen when, and however much was put in order before: the longest unseen goes first.
        #[test]
        fn it_is_always_the_longest_unseen(
            seen in proptest::collection::vec((0u64..60, 0u32..40, 0u8..10), 1..300),
        ) {
            let mut profiles = Profiles::default();
            let mut known = BTreeMap::new();
            let mut now = 8 * HOUR_S;
            for (user, later, what) in seen {
                now += later * 100;
                let key = ProfileKey::of(UserKey(user), AdvertiserCode(0));
                match what {
                    0 => profiles.prepare(Tick(now)),
                    1 => profiles.prepare_for(known.len() + 1),
                    2 | 3 => {
                        let before = Tick(if what == 2 { u32::MAX } else { now - HOUR_S });
                        let longest = known.iter().map(|(key, seen)| (*seen, *key)).min();
                        let longest = longest.filter(|(seen, _)| *seen < before);
                        prop_assert_eq!(profiles.evict_before(before), longest.is_some());
                        known.retain(|key, _| longest.is_none_or(|(_, longest)| *key != longest));
                    }
                    4 => prop_assert_eq!(profiles.remove(key).is_some(), known.remove(&key).is_some()),
                    _ => {
                        // Some of what arrives happened before, and some is taken back.
                        let at = Tick(now - if what == 5 { 5_000 } else { 0 });
                        profiles.update(key, |profile| match what {
                            8 => profile.convert(at),
                            9 => profile.retract(),
                            _ => profile.show(at, None, None),
                        });
                        known.insert(key, profiles.get(key).expect("just changed").last_seen());
                    }
                }
                prop_assert_eq!(profiles.len(), known.len());
                prop_assert!(known.keys().all(|key| profiles.get(*key).is_some()));
            }
        }
    }

    #[test]
    fn an_hour_is_put_in_order_bit_by_bit() {
        let mut profiles = Profiles::default();
        for user in 0..1_000 {
            let key = ProfileKey::of(UserKey(user), AdvertiserCode(0));
            profiles.update(key, |profile| profile.show(Tick(8 * HOUR_S), None, None));
        }
        profiles.prepare(Tick(9 * HOUR_S));
        assert!(!profiles.evict_before(Tick(1)), "nobody was seen that long ago");
        let left = 1_000 - ORDERED_PER_TICK - ORDERED_PER_EVICTION;
        assert_eq!((profiles.unordered.len(), profiles.oldest.len()), (left, 1_000 - left));
        assert!(profiles.evict_before(Tick(u32::MAX)), "who is the first shows when all are in order");
        assert_eq!((profiles.unordered.len(), profiles.oldest.len()), (0, 999));
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

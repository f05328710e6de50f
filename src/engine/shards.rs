//! The map of profiles that the writer changes while scorers read it, and that can be handed out meanwhile as it was at
//! one moment.
//!
//! It is split into 4,096 maps with a lock each: the writer, who holds one for some 100 ns, is rarely met. A walk, on a
//! thread of its own, copies map after map. While it goes on, before a profile of a map that was not copied yet changes
//! for the first time, what it was is put aside in the same map; the walk takes that instead. A map is locked for as
//! long as its copy takes: some 2,400 profiles of ten million, a quarter of a millisecond.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Place;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Release};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use smallvec::SmallVec;

use super::Engine;
use super::entries::{Entries, Kind};
use super::packed::Packed;
use super::profiles::ProfileKey;
use crate::hash::KeyHasher;

const SHARDS: usize = 4_096;

type Map<V> = HashMap<ProfileKey, V, KeyHasher>;

/// Place of the map that a profile stands in; that map itself takes other bits of the key, mixed once more.
fn shard(key: ProfileKey) -> usize {
    (key.number() >> 52) as usize % SHARDS
}

/// All profiles.
#[derive(Debug)]
pub(super) struct Shards {
    shards: Box<[Shard]>,
    /// A walk is not at its end.
    is_walked: AtomicBool,
}

/// One lock in a cache line of its own: neighbours would otherwise slow each other down.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard(RwLock<Profiles>);

#[derive(Debug, Default)]
struct Profiles {
    map: Map<Packed>,
    aside: Aside,
}

/// What profiles of a map were that have changed since a walk began; `None` for those that there were not.
#[derive(Debug, Default)]
enum Aside {
    /// No walk has yet to copy the map.
    #[default]
    Unwanted,
    /// Nothing has changed. To begin a walk takes no memory: new memory for all maps at once could take milliseconds.
    Nothing,
    /// What they were.
    Kept(Box<Map<Option<Packed>>>),
}

impl Default for Shards {
    fn default() -> Shards {
        Shards { shards: (0..SHARDS).map(|_| Shard::default()).collect(), is_walked: AtomicBool::new(false) }
    }
}

impl Shard {
    // Whoever panics in between has left the map whole: all changes of it are single calls.
    fn read(&self) -> RwLockReadGuard<'_, Profiles> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Profiles> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Profiles {
    /// To be called before a profile changes, comes or goes.
    fn keep(&mut self, key: ProfileKey) {
        if matches!(self.aside, Aside::Nothing) {
            self.aside = Aside::Kept(Box::default());
        }
        if let Aside::Kept(aside) = &mut self.aside
            && let Place::Vacant(place) = aside.entry(key)
        {
            place.insert(self.map.get(&key).cloned());
        }
    }
}

impl Shards {
    fn shard(&self, key: ProfileKey) -> &Shard {
        &self.shards[shard(key)]
    }

    /// Lets somebody look at a profile. Nothing else of the map may be asked for meanwhile.
    pub fn read<T>(&self, key: ProfileKey, look: impl FnOnce(&Packed) -> T) -> Option<T> {
        self.shard(key).read().map.get(&key).map(look)
    }

    /// Reads profiles, at most [`Engine::AHEAD`], each wait for memory beside the others; something of what they hold.
    ///
    /// A lock ends what the processor does ahead, so all are looked at, by what takes none, and then taken first. One
    /// that is not free is passed over, as nobody may wait for a lock while holding another.
    pub fn prefetch(&self, keys: &[ProfileKey]) -> u8 {
        std::hint::black_box(keys.iter().fold(false, |sum, key| sum | self.shard(*key).0.is_poisoned()));
        let free = |key: &ProfileKey| Some((*key, self.shard(*key).0.try_read().ok()?));
        let shards: SmallVec<[_; Engine::AHEAD]> = keys.iter().filter_map(free).collect();
        let found = shards.iter().filter_map(|(key, shard)| shard.map.get(key));
        let found: SmallVec<[&Packed; Engine::AHEAD]> = found.collect();
        found.into_iter().fold(0, |sum, profile| sum ^ profile.look())
    }

    pub fn contains(&self, key: ProfileKey) -> bool {
        self.shard(key).read().map.contains_key(&key)
    }

    /// Changes a profile, an empty one where there is none; `change` is told whether that is so.
    pub fn change<T>(&self, key: ProfileKey, change: impl FnOnce(&mut Packed, bool) -> T) -> T {
        let mut shard = self.shard(key).write();
        shard.keep(key);
        match shard.map.entry(key) {
            Place::Occupied(mut entry) => change(entry.get_mut(), false),
            Place::Vacant(entry) => change(entry.insert(Packed::default()), true),
        }
    }

    pub fn remove(&self, key: ProfileKey) -> Option<Packed> {
        let mut shard = self.shard(key).write();
        shard.keep(key);
        shard.map.remove(&key)
    }

    /// Whether two profiles stand in the same map.
    pub fn are_neighbours(one: ProfileKey, other: ProfileKey) -> bool {
        shard(one) == shard(other)
    }

    /// Puts [neighbours](Shards::are_neighbours) where none of them is; the first that is there already, which ends it.
    pub fn place(&self, neighbours: &mut Vec<(ProfileKey, Packed)>) -> Result<(), ProfileKey> {
        let Some((first, _)) = neighbours.first() else { return Ok(()) };
        let mut shard = self.shard(*first).write();
        // Found room for all at once, the map does not move them again and again.
        shard.map.reserve(neighbours.len());
        for (key, profile) in neighbours.drain(..) {
            if shard.map.insert(key, profile).is_some() {
                return Err(key);
            }
        }
        Ok(())
    }

    /// Visits all profiles, in no order.
    pub fn each(&self, mut visit: impl FnMut(ProfileKey, &Packed)) {
        for shard in &self.shards {
            shard.read().map.iter().for_each(|(key, profile)| visit(*key, profile));
        }
    }

    /// Begins to hand out the map as it is now; `None` while another walk is not at its end.
    pub fn walk(self: &Arc<Shards>) -> Option<ProfileWalk> {
        if self.is_walked.swap(true, AcqRel) {
            return None;
        }
        self.shards.iter().for_each(|shard| shard.write().aside = Aside::Nothing);
        Some(ProfileWalk { shards: Arc::clone(self), next: 0 })
    }
}

/// Hands out all profiles as they were when it began, on whatever thread. Whoever drops it before its end ends it.
#[derive(Debug)]
pub struct ProfileWalk {
    shards: Arc<Shards>,
    next: usize,
}

impl ProfileWalk {
    /// Appends the profiles of the next map to `into`; false when that was the last one.
    ///
    /// Takes a quarter of a millisecond of ten million profiles; while it does, the writer may wait for it.
    pub fn step(&mut self, into: &mut Entries) -> bool {
        let Some(shard) = self.shards.shards.get(self.next) else { return false };
        let profiles = shard.read();
        let aside = match &profiles.aside {
            Aside::Kept(aside) => Some(&**aside),
            Aside::Nothing | Aside::Unwanted => None,
        };
        let mut write = |key: &ProfileKey, profile: &Packed| {
            into.push(Kind::Profile, key.number(), |bytes| bytes.extend_from_slice(profile.as_bytes()));
        };
        for (key, profile) in &profiles.map {
            if aside.is_none_or(|aside| !aside.contains_key(key)) {
                write(key, profile);
            }
        }
        for (key, profile) in aside.into_iter().flatten() {
            profile.iter().for_each(|profile| write(key, profile));
        }
        drop(profiles);
        // What changes between the two locks is put aside for nothing.
        let aside = std::mem::take(&mut shard.write().aside);
        drop(aside);
        self.next += 1;
        self.next < self.shards.shards.len()
    }
}

impl Drop for ProfileWalk {
    fn drop(&mut self) {
        self.shards.shards[self.next..].iter().for_each(|shard| shard.write().aside = Aside::Unwanted);
        self.shards.is_walked.store(false, Release);
    }
}

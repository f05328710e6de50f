//! Which ids are the same person.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dashmap::DashMap;

use super::bytes::{Read, Reader};
use super::entries::Kind;
use super::table::Table;
use crate::hash::KeyHasher;
use crate::ids::UserKey;

/// More ids than any settings let be one person.
const LINKED_IDS_MAX: usize = 1 << 20;
/// Ids that are linked with another, of all people: from there on a further link is refused.
pub(super) const LINKED_MAX: usize = if cfg!(test) { 1_000 } else { 20_000_000 };

/// From each linked id to its group's smallest one, the root. Shared with scorers; ids that are not linked are absent.
#[derive(Debug, Default)]
pub(super) struct Roots {
    roots: DashMap<UserKey, UserKey, KeyHasher>,
    /// Spares the look-up while nobody is linked, as with most bidders.
    linked: AtomicUsize,
}

impl Roots {
    /// The id under which a person's history is kept.
    pub fn root(&self, user: UserKey) -> UserKey {
        if self.linked.load(Relaxed) == 0 {
            return user;
        }
        self.roots.get(&user).map_or(user, |root| *root)
    }
}

/// The writer's side: the groups.
#[derive(Debug)]
pub(super) struct People {
    roots: Arc<Roots>,
    /// Members of each group by its root, the root among them, sorted.
    pub(super) groups: Table<UserKey, Vec<UserKey>>,
}

impl Default for People {
    fn default() -> People {
        People { roots: Arc::default(), groups: Table::new(Kind::Group, 1_024) }
    }
}

impl People {
    pub fn roots(&self) -> &Arc<Roots> {
        &self.roots
    }

    pub fn root(&self, user: UserKey) -> UserKey {
        self.roots.root(user)
    }

    /// Whether further ids may be linked.
    pub fn has_room(&self) -> bool {
        self.roots.roots.len() < LINKED_MAX
    }

    /// The ids of each person who has several, in no order.
    pub fn linked(&self) -> impl Iterator<Item = &[UserKey]> {
        self.groups.iter().map(|(_, members)| members.as_slice())
    }

    /// All ids of a person, given the root.
    pub fn members(&self, root: UserKey) -> Vec<UserKey> {
        self.groups.get(root).cloned().unwrap_or_else(|| vec![root])
    }

    /// Makes two persons one: `root` takes in the group of `other`, itself a root.
    pub fn join(&mut self, root: UserKey, other: UserKey) {
        let mut members = self.members(root);
        members.extend(self.members(other));
        members.sort_unstable();
        self.groups.remove(other);
        members.iter().for_each(|member| {
            self.roots.roots.insert(*member, root);
        });
        self.groups.insert(root, members);
        self.roots.linked.store(self.roots.roots.len(), Relaxed);
    }

    /// Unlinks a person's ids, given the root.
    pub fn forget(&mut self, root: UserKey) {
        for member in self.groups.remove(root).into_iter().flatten() {
            self.roots.roots.remove(&member);
        }
        self.roots.linked.store(self.roots.roots.len(), Relaxed);
    }

    /// Takes a group out of an image.
    pub fn restore(&mut self, root: UserKey, mut bytes: Reader<'_>) -> Read<()> {
        let fault = bytes.fault("this is no group of its own");
        let members = bytes.list(LINKED_IDS_MAX, |bytes| bytes.long().map(UserKey))?;
        let is_sound = members.len() > 1
            && members.is_sorted_by(|one, next| one < next)
            && members.contains(&root)
            && members.iter().all(|member| self.roots.roots.insert(*member, root).is_none());
        self.roots.linked.store(self.roots.roots.len(), Relaxed);
        self.groups.insert(root, members);
        if is_sound { bytes.end() } else { Err(fault) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    #[test]
    fn links_have_a_bound() {
        use crate::engine::{Applied, Engine};
        use crate::event::{Event, Record};
        let mut engine = Engine::new();
        let mut link = |pair: u64| {
            let event = Event::Link([2 * pair, 2 * pair + 1].map(UserKey));
            engine.apply(&Record { at: Timestamp(1), occurred_at: Timestamp(1), event_id: None, event })
        };
        let pairs = LINKED_MAX as u64 / 2;
        assert!((0..pairs).all(|pair| link(pair) == Applied::Done));
        let refused = link(pairs);
        assert!(matches!(&refused, Applied::Rejected(why) if why.label() == "full"), "{refused:?}");
    }

    #[test]
    fn groups_grow_and_dissolve() {
        let mut people = People::default();
        let [a, b, c, d] = [1, 2, 3, 4].map(UserKey);
        people.join(b, a);
        people.join(c, d);
        people.join(b, c);
        assert!([a, b, c, d].iter().all(|id| people.root(*id) == b));
        assert_eq!(people.members(b), [a, b, c, d]);
        people.forget(b);
        assert!([a, b, c, d].iter().all(|id| people.root(*id) == *id));
        assert_eq!(people.groups.len(), 0);
    }
}

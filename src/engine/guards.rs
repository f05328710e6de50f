//! Who acts as no person does: bots and fraud, quarantined rather than learned from.
//!
//! Two signs: more actions within a minute than `actions_per_minute_max`, and a conversion sooner after an impression
//! than the goal's `conversion_delay_min`. Who shows one is in quarantine until `quarantine` has passed without any
//! further act: what they do meanwhile, and what they are shown, is counted and nothing else. Nothing is taken back:
//! what was learned before stays, as does the history. A quarantine is of one advertiser, as histories are.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dashmap::DashMap;

use super::Engine;
use super::bytes::{Read, Reader};
use super::entries::Kind;
use super::profile::more_in_minute;
use super::profiles::ProfileKey;
use crate::hash::KeyHasher;
use crate::ids::{AdvertiserCode, UserKey};
use crate::settings::Guards as Settings;
use crate::units::Tick;

/// Most people in quarantine; a further one goes free, and is counted.
const QUARANTINED_MAX: usize = if cfg!(test) { 100 } else { 1_000_000 };

/// Who is in quarantine, and up to when, that second included. Shared with scorers.
#[derive(Debug, Default)]
pub(super) struct Quarantine {
    until: DashMap<ProfileKey, Tick, KeyHasher>,
    /// Spares the look-up while nobody is.
    count: AtomicUsize,
}

impl Quarantine {
    /// Until when somebody is in quarantine, if at that time.
    pub fn holds(&self, key: ProfileKey, at: Tick) -> Option<Tick> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        self.until.get(&key).map(|until| *until).filter(|until| at <= *until)
    }
}

/// What became of somebody who gave a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guarded {
    /// Was not in quarantine before.
    Newly,
    /// Was already.
    Still,
    /// Is not, because there are too many.
    Unguarded,
}

/// The writer's side.
#[derive(Debug, Default)]
pub(super) struct Guards {
    quarantine: Arc<Quarantine>,
    /// When was last looked at who may go.
    looked: Tick,
}

impl Guards {
    pub fn quarantine(&self) -> &Arc<Quarantine> {
        &self.quarantine
    }

    pub fn len(&self) -> usize {
        self.quarantine.until.len()
    }

    /// Puts somebody into quarantine from a time on, or keeps them there.
    fn hold(&mut self, key: ProfileKey, at: Tick, settings: &Settings) -> Guarded {
        let until = Tick(at.0.saturating_add(u32::try_from(settings.quarantine.whole_seconds()).unwrap_or(u32::MAX)));
        if let Some(mut known) = self.quarantine.until.get_mut(&key) {
            let was = *known;
            *known = was.max(until);
            return if was < at { Guarded::Newly } else { Guarded::Still };
        }
        if self.len() >= QUARANTINED_MAX {
            return Guarded::Unguarded;
        }
        self.quarantine.until.insert(key, until);
        self.quarantine.count.store(self.len(), Relaxed);
        Guarded::Newly
    }

    /// Lets go of those who were quiet, once a minute.
    pub fn expire(&mut self, now: Tick) {
        if now.0 / 60 == self.looked.0 / 60 {
            return;
        }
        self.looked = now;
        if self.quarantine.count.load(Relaxed) > 0 {
            self.quarantine.until.retain(|_, until| *until >= now);
            self.quarantine.count.store(self.len(), Relaxed);
        }
    }

    /// Moves what is known of one person to another who is the same.
    pub fn merge(&mut self, from: ProfileKey, to: ProfileKey) {
        if let Some((_, theirs)) = self.quarantine.until.remove(&from) {
            let ours = self.quarantine.until.get(&to).map_or(theirs, |ours| theirs.max(*ours));
            self.quarantine.until.insert(to, ours);
            self.quarantine.count.store(self.len(), Relaxed);
        }
    }

    /// Removes all that is known of a person.
    pub fn forget(&mut self, key: ProfileKey) {
        self.quarantine.until.remove(&key);
        self.quarantine.count.store(self.len(), Relaxed);
    }

    /// When was last looked at who may go.
    pub fn looked(&self) -> Tick {
        self.looked
    }

    /// Canonical entries of those in quarantine, in no order.
    pub fn image(&self, visit: &mut dyn FnMut(Kind, u64, &[u8])) {
        for held in self.quarantine.until.iter() {
            visit(Kind::Quarantine, held.key().number(), &held.value().0.to_le_bytes());
        }
    }

    /// Takes on when was last looked.
    pub fn restore_looked(&mut self, looked: Tick) {
        self.looked = looked;
    }

    /// Puts somebody of an image into quarantine.
    pub fn restore_held(&mut self, key: ProfileKey, mut bytes: Reader<'_>) -> Read<()> {
        self.quarantine.until.insert(key, bytes.tick()?);
        self.quarantine.count.store(self.len(), Relaxed);
        bytes.end()
    }
}

impl Engine {
    /// Whether an act is one of somebody in quarantine, who then stays there, or gives the sign that leads there.
    pub(super) fn is_quarantined_act(&mut self, advertiser: AdvertiserCode, root: UserKey, at: Tick) -> bool {
        let allowed = self.catalog.settings().guards.actions_per_minute_max;
        let more = || more_in_minute(self.profiles.pace(ProfileKey::of(root, advertiser)), at);
        let is_hasty = allowed != 0 && more().is_some_and(|more| u32::from(more) >= allowed);
        if is_hasty { self.hold(advertiser, root, at) } else { self.is_held(advertiser, root, at) }
    }

    /// Whether somebody is in quarantine at the time of an act, and then stays there.
    pub(super) fn is_held(&mut self, advertiser: AdvertiserCode, root: UserKey, at: Tick) -> bool {
        let key = ProfileKey::of(root, advertiser);
        let is_held = self.guards.quarantine.holds(key, at).is_some();
        if is_held {
            self.guards.hold(key, at, &self.catalog.settings().guards);
        }
        is_held
    }

    /// Puts somebody into quarantine; false where there are too many.
    pub(super) fn hold(&mut self, advertiser: AdvertiserCode, root: UserKey, at: Tick) -> bool {
        let settings = self.catalog.settings().guards;
        let guarded = self.guards.hold(ProfileKey::of(root, advertiser), at, &settings);
        self.tally.quarantined += u64::from(guarded == Guarded::Newly);
        self.tally.unguarded += u64::from(guarded == Guarded::Unguarded);
        guarded != Guarded::Unguarded
    }

    /// Until when a person is in quarantine with an advertiser; `None` when not.
    pub fn quarantined_until(&self, user: UserKey, advertiser: AdvertiserCode) -> Option<Tick> {
        let key = ProfileKey::of(self.people.root(user), advertiser);
        self.guards.quarantine.holds(key, self.now.tick())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Action, Event, Record};
    use crate::ids::Id;
    use crate::settings::{Advertiser, Settings as All};
    use crate::units::{Span, Timestamp};

    const SETTINGS: Settings = Settings { actions_per_minute_max: 3, quarantine: Span::seconds(600) };

    #[test]
    fn quarantine_ends_with_quiet() {
        let mut guards = Guards::default();
        let [one, other] = [1, 2].map(|user| ProfileKey::of(UserKey(user), AdvertiserCode(0)));
        assert_eq!(guards.hold(one, Tick(6_000), &SETTINGS), Guarded::Newly);
        assert_eq!(guards.hold(one, Tick(6_300), &SETTINGS), Guarded::Still);
        let holds = |guards: &Guards, key, at| guards.quarantine.holds(key, Tick(at));
        assert_eq!([6_900, 6_901].map(|at| holds(&guards, one, at)), [Some(Tick(6_900)), None]);
        guards.merge(one, other);
        assert_eq!((holds(&guards, one, 6_800), holds(&guards, other, 6_800)), (None, Some(Tick(6_900))));
        guards.expire(Tick(6_900));
        assert_eq!(guards.len(), 1);
        guards.expire(Tick(6_960));
        assert_eq!(guards.len(), 0);
        assert_eq!(guards.hold(other, Tick(7_000), &SETTINGS), Guarded::Newly);
        guards.forget(other);
        assert_eq!(holds(&guards, other, 7_000), None);
    }

    #[test]
    fn a_full_quarantine_takes_nobody_and_lets_nobody_go() {
        let mut guards = Guards::default();
        let key = |user| ProfileKey::of(UserKey(user), AdvertiserCode(0));
        let max = QUARANTINED_MAX as u64;
        (0..max).for_each(|user| assert_eq!(guards.hold(key(user), Tick(6_000), &SETTINGS), Guarded::Newly));
        assert_eq!(guards.hold(key(max), Tick(6_000), &SETTINGS), Guarded::Unguarded);
        assert_eq!(guards.quarantine.holds(key(max), Tick(6_000)), None);
        assert_eq!(guards.hold(key(0), Tick(6_100), &SETTINGS), Guarded::Still);
        assert_eq!(guards.quarantine.holds(key(0), Tick(6_700)), Some(Tick(6_700)));
        assert_eq!(guards.len(), QUARANTINED_MAX);
        guards.forget(key(0));
        assert_eq!(guards.hold(key(max), Tick(6_000), &SETTINGS), Guarded::Newly, "there is room again");
    }

    /// Who cannot be held is not lost either: the bound costs protection, never data.
    #[test]
    fn acts_of_one_too_many_for_the_quarantine_are_taken_and_counted() {
        let acme = || Id::literal("acme");
        let guards = Settings { actions_per_minute_max: 1, ..SETTINGS };
        let settings = All { advertisers: vec![Advertiser::new(acme())], guards, ..All::default() };
        let mut engine = Engine::new();
        let at = Timestamp(1_700_000_000_000);
        let mut apply = |event| drop(engine.apply(&Record { at, occurred_at: at, event_id: None, event }));
        apply(Event::Configured(Box::new(settings)));
        let act = |user| {
            let (advertiser, action) = (acme(), Id::literal("view_item"));
            let user = UserKey(user);
            Event::Action(Action { user, advertiser, action, item: None, category: None, value: None })
        };
        let max = QUARANTINED_MAX as u64;
        // Each second act is one too many in its minute.
        (0..=max).for_each(|user| (0..2).for_each(|_| apply(act(user))));
        let tally = engine.tally();
        assert_eq!((tally.quarantined, tally.unguarded), (max, 1));
        assert_eq!((tally.actions_quarantined, tally.actions), (max, max + 2));
        let held = |user| engine.quarantined_until(UserKey(user), AdvertiserCode(0)).is_some();
        assert_eq!([0, max - 1, max].map(held), [true, true, false]);
    }
}

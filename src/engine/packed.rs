//! A profile as it is kept: all of it in one piece of memory, as short as it is.
//!
//! There are millions of profiles, and each is read far more often than changed: a score finds one piece of some 100
//! bytes in memory, where lists of their own would be as many places to wait for. Numbers are little-endian, and what a
//! person never did takes no bytes:
//!
//! | length | what |
//! |---|---|
//! | 12 | first and latest action (4 each), sessions, actions in the latest one (2 each) |
//! | 11 | path (8), flags, kinds of action, counted kinds |
//! | 2 or 0 | actions in the minute of the latest, beyond the first |
//! | 12 or 0 | latest impression and conversion (4 each), impressions, conversions (2 each) |
//! | 1 and 6 a goal, or 0 | number of goals that suppress after a conversion; code (2), latest conversion (4) |
//! | 9 a kind of action | code, latest time (4), decayed count (4) |
//! | 2 a counted kind, 4 a time | code, number of times, times |
//! | 11 an item or category | key, latest act (4 each), latest kind, streak, kinds and a flag |
//! | 2 a kind of act with it | code, times |
//! | 5 more where it was advertised since | latest impression (4), impressions |
//!
//! The same bytes are the profile's entry in the [image](super::image): copying one is all that a snapshot has to do.

use arrayvec::ArrayVec;

use super::bytes::{Read, Reader as Checked};
use super::interest::{Interest, KINDS_MAX};
use super::profile::{ActionHistory, Occurrences, PATH_LENGTH, Profile};
use crate::ids::{ActionCode, GoalCode, ItemKey};
use crate::settings::WINDOWED_COUNT_MAX;
use crate::units::Tick;

/// There were impressions or conversions.
const HAS_OUTCOMES: u8 = 1;
/// There were conversions of goals that suppress.
const HAS_GOALS: u8 = 2;
/// There was more than one action in the minute of the latest.
const HAS_MORE_IN_MINUTE: u8 = 4;
/// Where the flags stand.
const FLAGS_AT: usize = 12 + PATH_LENGTH;
/// Set beside an interest's number of kinds: there were impressions of it.
const HAS_SHOWN: u8 = 1 << 7;

/// Bytes that memory is read by.
const LINE_BYTES: usize = 64;
/// Bytes of one kind of action.
const ACTION_BYTES: usize = 9;

/// Steps by which the room of a profile grows, least and most: those of allocators, which round up anyway.
const STEP_BYTES: (usize, usize) = (16, 64);

/// A profile in one piece; nothing at all for that of somebody who has not been seen yet.
///
/// Behind its bytes stand zeros up to the next step, the last of which says how many more bytes than the profile's
/// there are: most acts lengthen a profile, and few of them have to find it another place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Packed(Box<[u8]>);

/// Where the writer packs profiles: a buffer, and pieces of memory that profiles have just grown out of. The next to
/// grow takes one of these, which the processor still has at hand, where an allocator's next one was given back long
/// ago and has to be waited for.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    buffer: Vec<u8>,
    /// By how many steps of [`STEP_BYTES`] they are long.
    spare: [ArrayVec<Box<[u8]>, SPARE_ROOMS>; SPARE_STEPS],
}

/// Lengths of which rooms are kept: those of all but a few profiles.
const SPARE_STEPS: usize = 32;
/// Rooms of one length that are kept.
const SPARE_ROOMS: usize = 16;

impl Rooms {
    /// A room of so many bytes, whatever they are.
    fn take(&mut self, bytes: usize) -> Box<[u8]> {
        let kept = self.spare.get_mut(bytes / STEP_BYTES.0).and_then(ArrayVec::pop);
        kept.unwrap_or_else(|| vec![0; bytes].into())
    }

    /// Takes back a room that is not needed any more.
    fn give(&mut self, room: Box<[u8]>) {
        if let Some(kept) = self.spare.get_mut(room.len() / STEP_BYTES.0).filter(|_| !room.is_empty()) {
            // Where enough are kept, it is given back.
            drop(kept.try_push(room));
        }
    }
}

/// Room of a profile of so many bytes.
fn room(length: usize) -> usize {
    let least = length + 1;
    let step = (least.next_power_of_two() / 8).clamp(STEP_BYTES.0, STEP_BYTES.1);
    // A power of two, so no division is needed.
    (least + step - 1) & !(step - 1)
}

impl Packed {
    /// Takes on what a profile says.
    pub fn set(&mut self, profile: &Profile, rooms: &mut Rooms) {
        rooms.buffer.clear();
        write(profile, &mut rooms.buffer);
        fill_up(&mut rooms.buffer);
        if self.0.len() != rooms.buffer.len() {
            let found = rooms.take(rooms.buffer.len());
            rooms.give(std::mem::replace(&mut self.0, found));
        }
        self.0.copy_from_slice(&rooms.buffer);
    }

    /// The canonical bytes.
    pub fn as_bytes(&self) -> &[u8] {
        let spare = self.0.last().map_or(0, |spare| usize::from(*spare));
        &self.0[..self.0.len() - spare]
    }

    /// Reads all of its memory: something of what stands there. How much there is does not depend on what stands there,
    /// so the processor goes on to others without waiting.
    pub fn look(&self) -> u8 {
        self.0.iter().step_by(LINE_BYTES).fold(0, |sum, byte| sum ^ byte)
    }

    /// A profile out of its canonical bytes, and when it was last seen.
    pub fn from_bytes(bytes: &[u8]) -> Read<(Packed, Tick)> {
        let last_seen = check(Checked::new(bytes))?;
        let mut room = Vec::with_capacity(room(bytes.len()));
        room.extend_from_slice(bytes);
        fill_up(&mut room);
        Ok((Packed(room.into()), last_seen))
    }

    /// The profile.
    pub fn get(&self) -> Profile {
        let mut profile = Profile::default();
        self.unpack(&mut profile);
        profile
    }

    /// The latest action, and how many more there were in its minute.
    pub fn pace(&self) -> (Tick, u16) {
        let Some(last) = self.0.get(4..8) else { return (Tick(0), 0) };
        let last = u32::from_le_bytes(last.try_into().expect("four bytes"));
        let more = match self.0[FLAGS_AT] & HAS_MORE_IN_MINUTE {
            0 => 0,
            _ => u16::from_le_bytes([self.0[FLAGS_AT + 3], self.0[FLAGS_AT + 4]]),
        };
        (Tick(last), more)
    }

    /// When anything happened last.
    pub fn last_seen(&self) -> Tick {
        if self.0.is_empty() {
            return Tick(0);
        }
        let tick = |at: usize| Tick(u32::from_le_bytes(self.0[at..at + 4].try_into().expect("four bytes")));
        let flags = self.0[FLAGS_AT];
        if flags & HAS_OUTCOMES == 0 {
            return tick(4);
        }
        let outcomes = FLAGS_AT + 3 + if flags & HAS_MORE_IN_MINUTE == 0 { 0 } else { 2 };
        tick(4).max(tick(outcomes)).max(tick(outcomes + 4))
    }

    /// Fills in a profile that nothing happened to yet.
    pub fn unpack(&self, profile: &mut Profile) {
        if !self.0.is_empty() {
            Reader(self.as_bytes()).fill(profile);
        }
    }
}

/// Adds zeros up to the room of what is there, and says in the last byte how many they are.
fn fill_up(bytes: &mut Vec<u8>) {
    let room = room(bytes.len());
    // At most one step, so a byte holds it.
    let spare = (room - bytes.len()) as u8;
    bytes.resize(room - 1, 0);
    bytes.push(spare);
}

fn write(profile: &Profile, bytes: &mut Vec<u8>) {
    let has_outcomes =
        (profile.last_shown, profile.last_converted, profile.shown, profile.conversions) != (Tick(0), Tick(0), 0, 0);
    let has_goals = !profile.latest_by_goal.is_empty();
    let has_more = profile.more_in_minute != 0;
    let flags = [(has_outcomes, HAS_OUTCOMES), (has_goals, HAS_GOALS), (has_more, HAS_MORE_IN_MINUTE)];
    let flags = flags.into_iter().map(|(has, flag)| if has { flag } else { 0 }).sum();
    bytes.extend_from_slice(&pair(profile.first_acted, profile.last_acted));
    bytes.extend_from_slice(&counts(profile.sessions, profile.session_actions));
    bytes.extend_from_slice(&profile.path);
    // Codes are bytes above 0, and each stands once: at most 255 of them.
    bytes.extend_from_slice(&[flags, profile.actions.len() as u8, profile.occurrences.len() as u8]);
    if has_more {
        bytes.extend_from_slice(&profile.more_in_minute.to_le_bytes());
    }
    if has_outcomes {
        bytes.extend_from_slice(&pair(profile.last_shown, profile.last_converted));
        bytes.extend_from_slice(&counts(profile.shown, profile.conversions));
    }
    if has_goals {
        write_goals(profile, bytes);
    }
    for history in &profile.actions {
        let ([a, b, c, d], [e, f, g, h]) = (history.last.0.to_le_bytes(), history.count.to_le_bytes());
        bytes.extend_from_slice(&[history.action.0, a, b, c, d, e, f, g, h]);
    }
    for kept in &profile.occurrences {
        bytes.extend_from_slice(&[kept.action.0, kept.ticks.len() as u8]);
        kept.ticks.iter().for_each(|tick| bytes.extend_from_slice(&tick.0.to_le_bytes()));
    }
    profile.interests.iter().for_each(|interest| write_interest(interest, bytes));
}

/// An advertiser may have 1,024 goals; beyond 255 of one person, the rest is left out.
fn write_goals(profile: &Profile, bytes: &mut Vec<u8>) {
    let goals = &profile.latest_by_goal[..profile.latest_by_goal.len().min(255)];
    bytes.push(goals.len() as u8);
    for (goal, latest) in goals {
        let ([a, b], [c, d, e, f]) = (goal.0.to_le_bytes(), latest.0.to_le_bytes());
        bytes.extend_from_slice(&[a, b, c, d, e, f]);
    }
}

fn write_interest(interest: &Interest, bytes: &mut Vec<u8>) {
    let has_shown = (interest.last_shown, interest.shown) != (Tick(0), 0);
    let kinds = interest.counts().count() as u8 | if has_shown { HAS_SHOWN } else { 0 };
    let ([a, b, c, d], [e, f, g, h]) = (interest.key.0.to_le_bytes(), interest.last.0.to_le_bytes());
    bytes.extend_from_slice(&[a, b, c, d, e, f, g, h, interest.latest.0, interest.streak, kinds]);
    interest.counts().for_each(|(action, count)| bytes.extend_from_slice(&[action.0, count]));
    if has_shown {
        let [a, b, c, d] = interest.last_shown.0.to_le_bytes();
        bytes.extend_from_slice(&[a, b, c, d, interest.shown]);
    }
}

fn pair(one: Tick, other: Tick) -> [u8; 8] {
    (u64::from(one.0) | u64::from(other.0) << 32).to_le_bytes()
}

fn counts(one: u16, other: u16) -> [u8; 4] {
    (u32::from(one) | u32::from(other) << 16).to_le_bytes()
}

/// Reads what [`write`] wrote, front to back.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_first_chunk().expect("what was packed is whole");
        self.0 = rest;
        *taken
    }

    fn pair(&mut self) -> (Tick, Tick) {
        let both = u64::from_le_bytes(self.bytes());
        (Tick(both as u32), Tick((both >> 32) as u32))
    }

    fn counts(&mut self) -> (u16, u16) {
        let both = u32::from_le_bytes(self.bytes());
        (both as u16, (both >> 16) as u16)
    }

    fn fill(mut self, profile: &mut Profile) {
        (profile.first_acted, profile.last_acted) = self.pair();
        (profile.sessions, profile.session_actions) = self.counts();
        profile.path = self.bytes();
        let [flags, actions, counted] = self.bytes();
        if flags & HAS_MORE_IN_MINUTE != 0 {
            profile.more_in_minute = u16::from_le_bytes(self.bytes());
        }
        if flags & HAS_OUTCOMES != 0 {
            (profile.last_shown, profile.last_converted) = self.pair();
            (profile.shown, profile.conversions) = self.counts();
        }
        if flags & HAS_GOALS != 0 {
            let [goals] = self.bytes();
            profile.latest_by_goal = (0..goals).map(|_| self.goal()).collect();
        }
        let (actions, rest) = self.0.split_at(ACTION_BYTES * usize::from(actions));
        self.0 = rest;
        profile.actions.extend(actions.as_chunks().0.iter().map(action));
        for _ in 0..counted {
            profile.occurrences.push(self.occurrences());
        }
        while !self.0.is_empty() {
            profile.interests.push(self.interest());
        }
    }

    fn goal(&mut self) -> (GoalCode, Tick) {
        let [a, b, c, d, e, f] = self.bytes();
        (GoalCode(u16::from_le_bytes([a, b])), Tick(u32::from_le_bytes([c, d, e, f])))
    }

    fn occurrences(&mut self) -> Occurrences {
        let [action, times] = self.bytes();
        let ticks = (0..times).map(|_| Tick(u32::from_le_bytes(self.bytes()))).collect();
        Occurrences { action: ActionCode(action), ticks }
    }

    fn interest(&mut self) -> Interest {
        let [a, b, c, d, e, f, g, h, latest, streak, kinds] = self.bytes();
        let mut interest = Interest::new(ItemKey(u32::from_le_bytes([a, b, c, d])));
        interest.last = Tick(u32::from_le_bytes([e, f, g, h]));
        (interest.latest, interest.streak) = (ActionCode(latest), streak);
        let kinds_count = usize::from(kinds & !HAS_SHOWN);
        for place in 0..kinds_count {
            interest.counts[place] = self.bytes::<2>().into();
        }
        if kinds & HAS_SHOWN != 0 {
            let [a, b, c, d, shown] = self.bytes();
            (interest.last_shown, interest.shown) = (Tick(u32::from_le_bytes([a, b, c, d])), shown);
        }
        interest
    }
}

/// Goes through bytes as [`Reader`] will, and believes nothing; when the profile was last seen.
fn check(mut bytes: Checked<'_>) -> Read<Tick> {
    let mut last_seen = bytes.tick().and(bytes.tick())?;
    bytes.slice(4 + PATH_LENGTH)?;
    let fault = bytes.fault("unknown flags");
    let [flags, actions, counted] = bytes.bytes()?;
    if flags & !(HAS_OUTCOMES | HAS_GOALS | HAS_MORE_IN_MINUTE) != 0 {
        return Err(fault);
    }
    if flags & HAS_MORE_IN_MINUTE != 0 {
        bytes.slice(2)?;
    }
    if flags & HAS_OUTCOMES != 0 {
        last_seen = last_seen.max(bytes.tick()?).max(bytes.tick()?);
        bytes.slice(4)?;
    }
    if flags & HAS_GOALS != 0 {
        let goals = usize::from(bytes.byte()?);
        bytes.slice(goals * (2 + 4))?;
    }
    for _ in 0..actions {
        bytes.action()?;
        bytes.tick()?;
        bytes.number32()?;
    }
    for _ in 0..counted {
        bytes.action()?;
        let fault = bytes.fault("more times than are counted");
        let times = bytes.byte()?;
        if times > WINDOWED_COUNT_MAX {
            return Err(fault);
        }
        bytes.slice(4 * usize::from(times))?;
    }
    while !bytes.is_at_end() {
        bytes.slice(8)?;
        bytes.action()?;
        let fault = bytes.fault("more kinds of acts than are counted");
        let [_, kinds] = bytes.bytes()?;
        if usize::from(kinds & !HAS_SHOWN) > KINDS_MAX {
            return Err(fault);
        }
        for _ in 0..kinds & !HAS_SHOWN {
            bytes.action()?;
            bytes.byte()?;
        }
        bytes.slice(if kinds & HAS_SHOWN != 0 { 5 } else { 0 })?;
    }
    Ok(last_seen)
}

fn action([action, a, b, c, d, e, f, g, h]: &[u8; ACTION_BYTES]) -> ActionHistory {
    ActionHistory {
        action: ActionCode(*action),
        last: Tick(u32::from_le_bytes([*a, *b, *c, *d])),
        count: f32::from_le_bytes([*e, *f, *g, *h]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::catalog::ActionInForce;
    use crate::engine::profile::Act;
    use crate::stats::decay::HalfLife;
    use crate::units::Span;
    use proptest::prelude::*;

    const INTERESTS_MAX: usize = 16;

    fn act(action: u8, tick: u32, item: Option<u32>) -> Act {
        let half_life = HalfLife::new(Span::days(7));
        let in_force = ActionInForce { half_life, position: None, occurrences: action % 9, converts: false };
        Act { action: ActionCode(action), in_force, tick: Tick(tick), item: item.map(ItemKey), category: None }
    }

    fn packed(profile: &Profile) -> Packed {
        let mut packed = Packed::default();
        packed.set(profile, &mut Rooms::default());
        packed
    }

    #[test]
    fn a_profile_fits_its_budget() {
        let mut profile = Profile::default();
        // Six acts of four kinds with three items, of which rules count one.
        for (place, action) in [9, 12, 9, 18, 27, 9].into_iter().enumerate() {
            profile.act(act(action, 1_000 + place as u32, Some(place as u32 % 3)), INTERESTS_MAX);
        }
        profile.act(act(3, 2_000, None), INTERESTS_MAX);
        let length = packed(&profile).0.len();
        assert!(length <= 128, "{length} bytes");
        profile.show(Tick(3_000), Some(ItemKey(1)), None);
        profile.convert(Tick(3_000));
        let length = packed(&profile).0.len();
        assert!(length <= 160, "{length} bytes");
    }

    #[test]
    fn room_grows_by_the_steps_of_allocators() {
        let rooms = [0, 15, 16, 63, 64, 127, 128, 159, 160, 255, 256, 3_000].map(room);
        assert_eq!(rooms, [16, 16, 32, 64, 80, 128, 160, 160, 192, 256, 320, 3_008]);
    }

    #[test]
    fn nobody_is_kept_in_no_bytes() {
        assert_eq!(Packed::default().get(), Profile::default());
        assert_eq!(packed(&Profile::default()).get(), Profile::default());
    }

    proptest! {
        /// Whatever happens to someone, what is kept is what was.
        #[test]
        fn what_is_kept_is_what_was(
            happenings in proptest::collection::vec((0u8..6, any::<u8>(), any::<u16>(), 0u32..40), 0..400),
        ) {
            let mut profile = Profile::default();
            let (mut kept, mut rooms) = (Packed::default(), Rooms::default());
            for (what, action, tick, item) in happenings {
                let (tick, item) = (Tick(tick.into()), Some(item).filter(|item| *item > 3));
                match what {
                    0 => profile.show(tick, item.map(ItemKey), None),
                    1 if action > 250 => profile.convert(tick),
                    1 => profile.retract(),
                    5 => profile.note_goal(GoalCode(u16::from(action)), tick),
                    _ => {
                        profile.act(act(action.max(1), tick.0, item), INTERESTS_MAX);
                    }
                }
                kept.set(&profile, &mut rooms);
                prop_assert_eq!(&kept.get(), &profile);
                prop_assert_eq!(kept.pace(), (profile.last_acted, profile.more_in_minute));
                prop_assert_eq!(kept.last_seen(), profile.last_seen());
            }
            let (read, last_seen) = Packed::from_bytes(kept.as_bytes()).unwrap_or_default();
            prop_assert_eq!(read, kept);
            prop_assert_eq!(last_seen, profile.last_seen());
            profile.clear();
            prop_assert_eq!(profile, Profile::default());
        }

        /// Bytes that are believed can be unpacked, whatever they are.
        #[test]
        fn no_bytes_are_believed(
            happenings in proptest::collection::vec((0u8..6, 1u8..10, any::<u16>(), 0u32..40), 0..30),
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            cut in 0usize..3,
        ) {
            let mut profile = Profile::default();
            for (what, action, tick, item) in happenings {
                match what {
                    0 => profile.show(Tick(tick.into()), Some(ItemKey(item)), None),
                    1 => profile.note_goal(GoalCode(u16::from(action)), Tick(tick.into())),
                    _ => drop(profile.act(act(action, tick.into(), Some(item)), INTERESTS_MAX)),
                }
            }
            let mut bytes = packed(&profile).as_bytes().to_vec();
            let length = bytes.len();
            damage.iter().for_each(|(place, with)| bytes[place.index(length)] ^= with);
            bytes.truncate(length - cut);
            if let Ok((packed, last_seen)) = Packed::from_bytes(&bytes) {
                prop_assert_eq!(packed.get().last_seen(), last_seen);
            }
        }
    }
}

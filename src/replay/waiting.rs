//! Opportunities that wait to learn what came of them: the label rule of the journey log, apart from the engine's.
//!
//! An impression is positive if a conversion of its user and goal comes within (shown, shown + window]. A conversion
//! that names an opportunity joins that one only; any other joins all whose item equals its own where both have one,
//! else whose category does where both have one. The rule is written anew here, from the lines of the log alone, so
//! that what the engine learns is judged by something that the engine has no hand in.

use std::collections::{HashMap, HashSet, VecDeque};

use super::joins::Joined;
use crate::hash::{self, KeyHasher};
use crate::ids::{GoalCode, Id, UserKey};
use crate::journey::Conversion;
use crate::units::{Micros, Span, Timestamp};

/// Opportunities that may wait at a time. Beyond, the oldest is given up, unless it is positive already.
const WAITING_MAX: usize = 5_000_000;

/// What came of an opportunity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// No ad was shown: nothing can be said.
    NotShown,
    /// Too many waited: it left before anything could be said.
    GivenUp,
    /// Shown; converted or not within the window that ends then.
    Shown {
        /// End of the window, which may lie behind the end of the log.
        until: Timestamp,
        /// When the first conversion within the window came: what makes it positive.
        converted_at: Option<Timestamp>,
        /// What the log says that this conversion was worth.
        value: Option<Micros>,
    },
}

impl Outcome {
    /// Whether it converted; `None` where no ad was shown, or too many waited.
    pub fn label(self) -> Option<bool> {
        match self {
            Outcome::NotShown | Outcome::GivenUp => None,
            Outcome::Shown { converted_at, .. } => Some(converted_at.is_some()),
        }
    }
}

/// An opportunity as it was scored.
#[derive(Debug, Clone)]
pub struct Offer {
    /// When.
    pub time: Timestamp,
    /// Hash of its name.
    pub name: u64,
    /// To whom.
    pub user: UserKey,
    /// Towards which goal.
    pub goal: GoalCode,
    /// How long after the impression a conversion counts.
    pub window: Span,
    /// Which product.
    pub item: Option<Id>,
    /// Of which category.
    pub category: Option<Id>,
}

/// An opportunity whose outcome is not settled.
struct Waiting<T> {
    offer: Offer,
    /// What the impression needs: handed out once.
    kept: Option<T>,
    shown_at: Option<Timestamp>,
    converted_at: Option<Timestamp>,
    value: Option<Micros>,
}

/// All that wait, in the order of the log, each with something that its impression will need.
pub struct WaitingRoom<T> {
    /// How long after its opportunity an impression may come.
    notice: Span,
    /// How many may wait.
    most: usize,
    waiting: VecDeque<Waiting<T>>,
    /// Number of the first that waits; they are numbered from 0 without gaps.
    first: u64,
    by_name: HashMap<u64, u64, KeyHasher>,
    by_user: HashMap<(UserKey, GoalCode), VecDeque<u64>, KeyHasher>,
    /// Hashes of all names, and of all users with their goals, that ever waited.
    known: HashSet<u64, KeyHasher>,
}

/// A user and a goal as one number.
fn pair((user, goal): (UserKey, GoalCode)) -> u64 {
    hash::mix(user.0, u64::from(goal.0))
}

impl<T> WaitingRoom<T> {
    /// An empty room, for impressions that come at most so long after their opportunity.
    pub fn new(notice: Span) -> WaitingRoom<T> {
        WaitingRoom {
            notice,
            most: WAITING_MAX,
            waiting: VecDeque::new(),
            first: 0,
            by_name: HashMap::default(),
            by_user: HashMap::default(),
            known: HashSet::default(),
        }
    }

    /// Takes an opportunity that was scored. An earlier one of the same name that still waits can then no longer be
    /// named; whether there was one.
    pub fn enter(&mut self, offer: Offer, kept: T) -> bool {
        let number = self.first + self.waiting.len() as u64;
        let is_repeated = self.by_name.insert(offer.name, number).is_some();
        self.by_user.entry((offer.user, offer.goal)).or_default().push_back(number);
        self.known.extend([offer.name, pair((offer.user, offer.goal))]);
        self.waiting.push_back(Waiting { offer, kept: Some(kept), shown_at: None, converted_at: None, value: None });
        is_repeated
    }

    /// Notes that an opportunity's ad was shown, and hands out what was kept for that. `None` for one that
    /// does not wait, or was shown before.
    pub fn show(&mut self, name: &Id, time: Timestamp) -> Option<T> {
        let waiting = self.named(name)?;
        let kept = waiting.kept.take()?;
        waiting.shown_at = Some(time);
        Some(kept)
    }

    /// Joins a conversion to the one opportunity that it names.
    pub fn convert_named(&mut self, name: &Id, goal: GoalCode, of: &Conversion) -> Joined {
        let is_known = self.known.contains(&hash::text(name.as_str()));
        match self.named(name) {
            Some(waiting) if waiting.offer.goal == goal => waiting.convert(of),
            None if is_known => Joined::TooLate,
            _ => Joined::UnknownOpportunity,
        }
    }

    /// Joins a conversion to all that it agrees with; the best that it did.
    pub fn convert(&mut self, who: (UserKey, GoalCode), of: &Conversion) -> Joined {
        let first = self.first;
        let mut best = if self.known.contains(&pair(who)) { Joined::TooLate } else { Joined::UnknownUser };
        if let Some(numbers) = self.by_user.get(&who) {
            best = Joined::OtherProduct;
            for number in numbers {
                let waiting = &mut self.waiting[(number - first) as usize];
                if waiting.agrees(of.item.as_ref(), of.category.as_ref()) {
                    best = best.min(waiting.convert(of));
                }
            }
        }
        best
    }

    /// The outcome of the first that waits, if it is settled at this time.
    pub fn settled(&mut self, now: Timestamp) -> Option<Outcome> {
        let front = self.waiting.front()?;
        let settles_at = match front.shown_at {
            Some(shown_at) => shown_at + front.offer.window,
            None => front.offer.time + self.notice,
        };
        let is_early = now <= settles_at && self.waiting.len() > self.most;
        let outcome = (now > settles_at || is_early).then(|| self.leave()).flatten()?;
        Some(if is_early && outcome.label() != Some(true) { Outcome::GivenUp } else { outcome })
    }

    /// The outcome of the first that waits, as far as it is known: for the end of a log.
    pub fn leave(&mut self) -> Option<Outcome> {
        let waiting = self.waiting.pop_front()?;
        if self.by_name.get(&waiting.offer.name) == Some(&self.first) {
            self.by_name.remove(&waiting.offer.name);
        }
        let who = (waiting.offer.user, waiting.offer.goal);
        if let Some(numbers) = self.by_user.get_mut(&who) {
            numbers.pop_front();
            if numbers.is_empty() {
                self.by_user.remove(&who);
            }
        }
        self.first += 1;
        Some(match waiting.shown_at {
            Some(shown_at) => Outcome::Shown {
                until: shown_at + waiting.offer.window,
                converted_at: waiting.converted_at,
                value: waiting.value,
            },
            None => Outcome::NotShown,
        })
    }

    fn named(&mut self, name: &Id) -> Option<&mut Waiting<T>> {
        let number = self.by_name.get(&hash::text(name.as_str()))?;
        self.waiting.get_mut(number.checked_sub(self.first)? as usize)
    }
}

impl<T> Waiting<T> {
    fn agrees(&self, item: Option<&Id>, category: Option<&Id>) -> bool {
        match ((&self.offer.item, item), (&self.offer.category, category)) {
            ((Some(ours), Some(theirs)), _) | (_, (Some(ours), Some(theirs))) => ours == theirs,
            _ => true,
        }
    }

    fn convert(&mut self, of: &Conversion) -> Joined {
        let in_window = |shown_at: Timestamp| shown_at < of.time && of.time <= shown_at + self.offer.window;
        if !self.shown_at.is_some_and(in_window) {
            return Joined::Outside;
        }
        if self.converted_at.is_some() {
            return Joined::Again;
        }
        (self.converted_at, self.value) = (Some(of.time), of.value);
        Joined::First
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journey::Line;

    const GOAL: GoalCode = GoalCode(0);
    const USER: UserKey = UserKey(7);

    fn offer(name: &str, time: u64, item: Option<&'static str>, category: Option<&'static str>) -> Offer {
        Offer {
            time: Timestamp(time),
            name: hash::text(name),
            user: USER,
            goal: GOAL,
            window: Span(100),
            item: item.map(Id::literal),
            category: category.map(Id::literal),
        }
    }

    fn conversion(time: u64, rest: &str) -> Conversion {
        let line = format!(r#"{{"time_ms":{time},"kind":"conversion","user":"u","advertiser":"a","goal":"g"{rest}}}"#);
        let Line::Conversion(conversion) = Line::parse(line.as_bytes()).unwrap() else { panic!("{line}") };
        conversion
    }

    /// A room with offers, numbered from 0, each shown at once.
    fn room(offers: &[Offer]) -> WaitingRoom<()> {
        let mut room = WaitingRoom::new(Span(1_000));
        for (number, offer) in offers.iter().enumerate() {
            assert!(!room.enter(offer.clone(), ()));
            assert!(room.show(&Id::new(number.to_string()).unwrap(), offer.time).is_some());
        }
        room
    }

    fn positives(mut room: WaitingRoom<()>) -> Vec<bool> {
        std::iter::from_fn(|| room.leave()).map(|outcome| outcome.label() == Some(true)).collect()
    }

    #[test]
    fn a_window_is_open_at_its_start_and_closed_at_its_end() {
        for (time, positive) in [(50, false), (51, true), (150, true), (151, false)] {
            let mut room = room(&[offer("0", 50, None, None)]);
            room.convert((USER, GOAL), &conversion(time, r#","value":4.5"#));
            room.convert((USER, GOAL), &conversion(time + 1, r#","value":9.0"#));
            let first = positive.then_some((time, 4.5)).or((time == 50).then_some((51, 9.0)));
            let converted_at = first.map(|(time, _)| Timestamp(time));
            let value = first.and_then(|(_, value)| Micros::from_units(value));
            let expected = Outcome::Shown { until: Timestamp(150), converted_at, value };
            assert_eq!(room.leave(), Some(expected), "{time}");
        }
    }

    #[test]
    fn a_conversion_joins_what_agrees_with_it() {
        let all = [
            offer("0", 1, Some("x"), Some("c")),
            offer("1", 1, Some("y"), Some("c")),
            offer("2", 1, None, Some("d")),
            offer("3", 1, None, None),
        ];
        for (rest, joined) in [
            (r#","item":"x","category":"d""#, [true, false, true, true]),
            (r#","category":"c""#, [true, true, false, true]),
            (r#","item":"y""#, [false, true, true, true]),
            ("", [true; 4]),
        ] {
            let mut room = room(&all);
            room.convert((USER, GOAL), &conversion(9, rest));
            assert_eq!(positives(room), joined, "{rest}");
        }
        let mut room = room(&all);
        room.convert((UserKey(8), GOAL), &conversion(9, ""));
        assert_eq!(room.convert_named(&Id::literal("1"), GOAL, &conversion(9, "")), Joined::First);
        assert_eq!(room.convert_named(&Id::literal("9"), GOAL, &conversion(9, "")), Joined::UnknownOpportunity);
        assert_eq!(positives(room), [false, true, false, false]);
    }

    #[test]
    fn the_first_leaves_once_its_window_has_passed_or_its_impression_is_too_late() {
        let mut room = room(&[offer("0", 10, None, None)]);
        assert!(!room.enter(offer("1", 20, None, None), ()));
        assert_eq!(room.settled(Timestamp(110)), None);
        let shown = Outcome::Shown { until: Timestamp(110), converted_at: None, value: None };
        assert_eq!(room.settled(Timestamp(111)), Some(shown));
        assert_eq!(room.settled(Timestamp(1_020)), None);
        assert_eq!(room.settled(Timestamp(1_021)), Some(Outcome::NotShown));
        assert!(room.show(&Id::literal("1"), Timestamp(1_022)).is_none());
        assert!(room.leave().is_none() && room.by_user.is_empty() && room.by_name.is_empty());
    }

    #[test]
    fn what_a_conversion_did_is_told() {
        let mut room = room(&[offer("0", 10, Some("x"), None)]);
        assert!(!room.enter(offer("late", 20, None, None), ()));
        let of_item = |time, item: &str| conversion(time, &format!(r#","item":"{item}""#));
        assert_eq!(room.convert((USER, GOAL), &of_item(10, "x")), Joined::Outside, "not before its impression");
        assert_eq!(room.convert((USER, GOAL), &of_item(60, "x")), Joined::First);
        assert_eq!(room.convert((USER, GOAL), &of_item(70, "x")), Joined::Again);
        assert_eq!(room.convert((USER, GoalCode(1)), &of_item(70, "x")), Joined::UnknownUser);
        let late = Id::literal("late");
        assert_eq!(room.convert_named(&late, GOAL, &conversion(70, "")), Joined::Outside, "it was not shown");
        assert_eq!(room.convert_named(&late, GoalCode(1), &conversion(70, "")), Joined::UnknownOpportunity);
        while room.leave().is_some() {}
        assert_eq!(room.convert_named(&late, GOAL, &conversion(999, "")), Joined::TooLate);
        assert_eq!(room.convert((USER, GOAL), &conversion(999, "")), Joined::TooLate);
        room = self::room(&[offer("0", 10, Some("x"), None)]);
        assert_eq!(room.convert((USER, GOAL), &of_item(60, "y")), Joined::OtherProduct);
    }

    #[test]
    fn who_leaves_because_too_many_wait_is_no_negative() {
        let mut room = room(&[offer("0", 10, None, None), offer("1", 11, None, None), offer("2", 12, None, None)]);
        room.most = 1;
        room.convert_named(&Id::literal("1"), GOAL, &conversion(20, ""));
        assert_eq!(room.settled(Timestamp(50)), Some(Outcome::GivenUp));
        assert_eq!(room.settled(Timestamp(50)).and_then(Outcome::label), Some(true), "a positive is known as one");
        assert_eq!(room.settled(Timestamp(50)), None, "as many wait as may");
    }
}

//! What a score looks at. One function builds the features for scoring, explaining and learning.
//!
//! Each feature is a cause, hashed with its values to a slot. Counts stand in buckets of powers of two, recencies in
//! the buckets of [`RECENCY_BOUNDS_S`], so that no value needs scaling. Changing a definition here needs a new
//! [`FEATURE_SCHEMA`](crate::exposure::FEATURE_SCHEMA): exposures of the old one are then not learned from.

use arrayvec::ArrayVec;
use smallvec::SmallVec;

use super::catalog::AdvertiserInForce;
use super::cause::Cause;
use super::interest::Interest;
use super::paths::SupportedPaths;
use super::profile::{ActionHistory, Profile, category_interest};
use crate::action::HALF_LIFE_DEFAULT;
use crate::exposure::{FEATURES_MAX, Feature};
use crate::hash;
use crate::ids::{ActionCode, AdvertiserCode, Id, ItemKey, SegmentCode};
use crate::math;
use crate::signal::{RECENCY_BOUNDS_S, Scope};
use crate::stats::decay::HalfLife;
use crate::units::{Tick, Timestamp};

/// Context entries that are looked at, the first ones: so a long context leaves 41 of the 64 features to the person,
/// their segments included.
pub const CONTEXT_USED_MAX: usize = 12;
/// Numbers that are looked at, the first ones.
pub const NUMBERS_USED_MAX: usize = 6;
/// Segments that are looked at, the first ones.
pub const SEGMENTS_USED_MAX: usize = 8;
/// Numbers that are crossed with what the person did last.
const NUMBERS_CROSSED_MAX: usize = 3;
/// Greatest bucket of a count: 127 and more.
const COUNT_BUCKET_MAX: u8 = 7;

/// The features of one opportunity, with what each of them means.
#[derive(Debug, Clone, Default)]
pub(super) struct FeatureSet {
    pub features: ArrayVec<Feature, FEATURES_MAX>,
    pub causes: ArrayVec<Cause, FEATURES_MAX>,
    /// How many of the first features tell of the context alone.
    pub context: usize,
}

/// A person, as far as known to an advertiser.
#[derive(Debug, Clone, Copy)]
pub(super) struct History<'a> {
    pub profile: &'a Profile,
    pub in_force: &'a AdvertiserInForce,
    pub segments: &'a [SegmentCode],
    /// Which paths are features, and of which advertiser's.
    pub paths: (&'a SupportedPaths, AdvertiserCode),
}

/// What a request says of all its targets, hashed once.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    /// Name and value of each context entry that is looked at.
    context: ArrayVec<u64, CONTEXT_USED_MAX>,
    /// Name and bucket of each number that is looked at.
    numbers: ArrayVec<(u64, i8), NUMBERS_USED_MAX>,
}

/// What is asked about, apart from the person.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    pub at: Timestamp,
    pub surroundings: &'a Surroundings,
    pub item: Option<ItemKey>,
    pub category: Option<ItemKey>,
    /// The probability that is in the bidder's base bid.
    pub base_p: Option<f64>,
}

impl History<'_> {
    /// The furthest milestone that was done.
    pub fn furthest(&self) -> Option<&ActionHistory> {
        let position = |action: ActionCode| self.in_force.action(action).and_then(|known| known.position);
        let furthest = self.profile.actions.iter().filter_map(|done| position(done.action).map(|at| (at, done)));
        furthest.max_by_key(|(position, done)| (*position, done.action)).map(|(_, done)| done)
    }
}

/// ⌊log₂(1 + count)⌋, at most [`COUNT_BUCKET_MAX`].
fn count_bucket(count: f32) -> u8 {
    let exponent = (1.0 + count.max(0.0)).to_bits() >> 23;
    (exponent.saturating_sub(127) as u8).min(COUNT_BUCKET_MAX)
}

/// Place of a time among the recency bounds.
fn recency_bucket(now: Tick, then: Tick) -> u8 {
    let age = now.since(then);
    // They rise, so these are the first ones. To count them takes no branch that could be guessed wrong.
    RECENCY_BOUNDS_S.iter().map(|bound| u8::from(age > *bound)).sum()
}

/// Sign and ⌊log₂(1 + 4 |number|)⌋.
fn number_bucket(number: f64) -> i8 {
    let exponent = ((1.0 + 4.0 * number.abs()).to_bits() >> 52) as i64 - 1023;
    let bucket = exponent.min(100) as i8;
    if number < 0.0 { -1 - bucket } else { bucket }
}

impl Surroundings {
    /// Those of a request's context and numbers.
    pub fn of(context: &[(Id, Id)], numbers: &[(Id, f64)]) -> Surroundings {
        let entry = |(name, value): &(Id, Id)| hash::mix(hash::text(name.as_str()), hash::text(value.as_str()));
        let number = |(name, number): &(Id, f64)| (hash::text(name.as_str()), number_bucket(*number));
        Surroundings {
            context: context.iter().take(CONTEXT_USED_MAX).map(entry).collect(),
            numbers: numbers.iter().take(NUMBERS_USED_MAX).map(number).collect(),
        }
    }

    /// Place, and hash of name and bucket, of each number that is crossed.
    fn crossed(&self) -> impl Iterator<Item = (u8, u64)> {
        (0..)
            .zip(&self.numbers)
            .take(NUMBERS_CROSSED_MAX)
            .map(|(place, (name, bucket))| (place, hash::mix(*name, *bucket as u64)))
    }
}

/// Twice the log-odds of a stated probability, rounded down, within ±40.
fn odds_bucket(p: f64) -> i8 {
    (2.0 * math::logit(p)).floor().clamp(-40.0, 40.0) as i8
}

impl FeatureSet {
    /// All features of an opportunity. Without a person, those of the context alone.
    ///
    /// Where [`FEATURES_MAX`] is reached, what comes last is left out: the actions done longest ago.
    pub fn build(asked: &Asked<'_>, person: Option<History<'_>>) -> FeatureSet {
        let mut set = FeatureSet::default();
        set.push(Cause::Bias, 0);
        set.push_context(asked);
        set.context = set.features.len();
        if let Some(history) = person {
            set.push_segments(history.segments);
            set.push_person(asked, &history);
        }
        set
    }

    #[inline(always)]
    fn push(&mut self, cause: Cause, value: u64) {
        let key = key(cause, value);
        self.add(cause, if tells_of_person(cause) { Feature::of_person(key) } else { Feature::new(key) });
    }

    /// A cross: the two values are those of the features it is made of.
    #[inline(always)]
    fn push_cross(&mut self, cause: Cause, one: u64, other: u64) {
        self.add(cause, Feature::cross(key(cause, hash::mix(one, other))));
    }

    fn add(&mut self, cause: Cause, feature: Feature) {
        if !self.features.is_full() {
            self.features.push(feature);
            self.causes.push(cause);
        }
    }

    fn push_context(&mut self, asked: &Asked<'_>) {
        self.push(Cause::Hour((asked.at.0 / 3_600_000 % 24) as u8), 0);
        if let Some(item) = asked.item {
            self.push(Cause::Item, u64::from(item.0));
        }
        if let Some(category) = asked.category {
            self.push(Cause::Category, u64::from(category.0));
        }
        for (place, entry) in (0..).zip(&asked.surroundings.context) {
            self.push(Cause::Context(place), *entry);
        }
        for (place, (name, bucket)) in (0..).zip(&asked.surroundings.numbers) {
            self.push(Cause::Number(place, *bucket), *name);
        }
        if let Some(p) = asked.base_p {
            self.push(Cause::BaseP(odds_bucket(p)), 0);
        }
    }

    fn push_segments(&mut self, segments: &[SegmentCode]) {
        segments.iter().take(SEGMENTS_USED_MAX).for_each(|segment| self.push(Cause::Segment(*segment), 0));
    }

    fn push_person(&mut self, asked: &Asked<'_>, history: &History<'_>) {
        let (profile, now) = (history.profile, asked.at.tick());
        self.push(Cause::Exposures(count_bucket(profile.shown.into())), 0);
        if profile.last_shown != Tick(0) {
            self.push(Cause::LastShown(recency_bucket(now, profile.last_shown)), 0);
        }
        self.push(Cause::Conversions(count_bucket(profile.conversions.into())), 0);
        if profile.last_converted != Tick(0) {
            self.push(Cause::LastConverted(recency_bucket(now, profile.last_converted)), 0);
        }
        let scopes = [(Scope::Item, asked.item), (Scope::Category, asked.category.map(category_interest))];
        let interests = scopes.map(|(scope, key)| Some((scope, profile.interest(key?))));
        interests.into_iter().flatten().for_each(|(scope, interest)| self.push_interest(scope, interest, now));
        self.push_crosses(asked, profile, interests, now);
        if profile.actions.is_empty() {
            self.push(Cause::NoHistory, 0);
            return;
        }
        self.push(Cause::Sessions(count_bucket(profile.sessions.into())), 0);
        self.push(Cause::SessionLength(count_bucket(profile.session_actions.into())), 0);
        self.push(Cause::LastSeen(recency_bucket(now, profile.last_acted)), 0);
        self.push_paths(profile, history.paths);
        self.push_stage(history, now);
        self.push_actions(history, now);
    }

    /// The last action, and the last two and three as far as enough people have walked them.
    fn push_paths(&mut self, profile: &Profile, (supported, advertiser): (&SupportedPaths, AdvertiserCode)) {
        let [first, second, third, ..] = profile.path;
        self.push(Cause::Path([0, 0, first]), 0);
        for (is_longer, path) in [(second != 0, [0, second, first]), (third != 0, [third, second, first])] {
            if is_longer && supported.contains(advertiser, path) {
                self.push(Cause::Path(path), 0);
            }
        }
    }

    fn push_interest(&mut self, scope: Scope, interest: Option<&Interest>, now: Tick) {
        let Some(interest) = interest else {
            self.push(Cause::NoAffinity { scope }, 0);
            return;
        };
        let count = |count: u8| count_bucket(count.into());
        self.push(Cause::InterestShown { scope, count: count(interest.shown) }, 0);
        if interest.last_shown != Tick(0) {
            self.push(Cause::InterestLastShown { scope, recency: recency_bucket(now, interest.last_shown) }, 0);
        }
        self.push(Cause::InterestStreak { scope, count: count(interest.streak) }, 0);
        self.push(Cause::InterestLast { scope, recency: recency_bucket(now, interest.last) }, 0);
        for (action, times) in interest.counts() {
            self.push(Cause::InterestCount { scope, action, count: count(times) }, 0);
        }
    }

    /// What was done last, in general and with what is advertised, crossed with each other and with the first numbers:
    /// where in a list something stands, or what it costs, means one thing to who looked at it just now and another to
    /// who never did.
    fn push_crosses(
        &mut self,
        asked: &Asked<'_>,
        profile: &Profile,
        interests: [Option<(Scope, Option<&Interest>)>; 2],
        now: Tick,
    ) {
        let state = |action: u8, last: Tick| match action {
            0 => u64::MAX,
            action => u64::from(action) << 8 | u64::from(recency_bucket(now, last)),
        };
        let latest = state(profile.path[0], profile.last_acted);
        for (scope, interest) in interests.into_iter().flatten() {
            let touched = interest.map_or(u64::MAX, |interest| state(interest.latest.0, interest.last));
            self.push_cross(Cause::LatestAndInterest(scope), latest, touched);
            for (place, number) in asked.surroundings.crossed() {
                self.push_cross(Cause::InterestAndNumber { scope, place }, touched, number);
            }
        }
        for (place, number) in asked.surroundings.crossed() {
            self.push_cross(Cause::LatestAndNumber(place), latest, number);
        }
    }

    fn push_stage(&mut self, history: &History<'_>, now: Tick) {
        if let Some(done) = history.furthest() {
            self.push(Cause::Stage { action: done.action, recency: recency_bucket(now, done.last) }, 0);
        }
    }

    fn push_actions(&mut self, history: &History<'_>, now: Tick) {
        let mut latest: SmallVec<[&ActionHistory; 16]> = history.profile.actions.iter().collect();
        // Which come first matters only where not all find room.
        if 2 * latest.len() > self.features.remaining_capacity() {
            latest.sort_unstable_by_key(|done| (std::cmp::Reverse(done.last), done.action));
        }
        for done in latest {
            let action = done.action;
            let known = history.in_force.action(action);
            let half_life = known.map_or(HalfLife::new(HALF_LIFE_DEFAULT), |known| known.half_life);
            let count = count_bucket(done.count_at(now, half_life));
            self.push(Cause::ActionRecency { action, count, recency: recency_bucket(now, done.last) }, 0);
            self.push(Cause::ActionCount { action, count }, 0);
        }
    }
}

/// Whether a cause lies in the person rather than in the request.
fn tells_of_person(cause: Cause) -> bool {
    !matches!(
        cause,
        Cause::Bias
            | Cause::Hour(_)
            | Cause::Item
            | Cause::Category
            | Cause::Context(_)
            | Cause::Number(..)
            | Cause::BaseP(_)
    )
}

/// Hash of a cause, with a value that the cause itself does not hold.
///
/// Inlined to where the cause is known, it is a hash of what differs alone.
#[inline(always)]
fn key(cause: Cause, value: u64) -> u64 {
    let (kind, a, b, c): (u64, u8, u8, u8) = match cause {
        Cause::Bias => (1, 0, 0, 0),
        Cause::ActionRecency { action, count, recency } => (2, action.0, count, recency),
        Cause::ActionCount { action, count } => (3, action.0, count, 0),
        Cause::InterestCount { scope, action, count } => (4, scope as u8, action.0, count),
        Cause::InterestLast { scope, recency } => (5, scope as u8, recency, 0),
        Cause::InterestStreak { scope, count } => (6, scope as u8, count, 0),
        Cause::InterestShown { scope, count } => (7, scope as u8, count, 0),
        Cause::InterestLastShown { scope, recency } => (14, scope as u8, recency, 0),
        Cause::NoAffinity { scope } => (25, scope as u8, 0, 0),
        Cause::Path([third, second, first]) => (8, third, second, first),
        Cause::Stage { action, recency } => (9, action.0, recency, 0),
        Cause::NoHistory => (10, 0, 0, 0),
        Cause::Sessions(count) => (11, count, 0, 0),
        Cause::SessionLength(count) => (12, count, 0, 0),
        Cause::LastSeen(recency) => (13, recency, 0, 0),
        Cause::Exposures(count) => (15, count, 0, 0),
        Cause::LastShown(recency) => (16, recency, 0, 0),
        Cause::Conversions(count) => (17, count, 0, 0),
        Cause::LastConverted(recency) => (18, recency, 0, 0),
        Cause::Segment(segment) => (19, (segment.0 >> 8) as u8, segment.0 as u8, 0),
        // The place in the request is for words only: the name decides.
        Cause::Context(_) => (20, 0, 0, 0),
        Cause::Number(_, bucket) => (21, bucket as u8, 0, 0),
        Cause::Item => (22, 0, 0, 0),
        Cause::Category => (23, 0, 0, 0),
        Cause::Hour(hour) => (24, hour, 0, 0),
        // Places are for words only here too.
        Cause::InterestAndNumber { scope, place: _ } => (26, scope as u8, 0, 0),
        Cause::LatestAndNumber(_) => (27, 0, 0, 0),
        Cause::LatestAndInterest(scope) => (28, scope as u8, 0, 0),
        Cause::BaseP(bucket) => (29, bucket as u8, 0, 0),
    };
    let packed = kind << 24 | u64::from(a) << 16 | u64::from(b) << 8 | u64::from(c);
    hash::mix(packed, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_powers_of_two() {
        for (count, bucket) in [(0.0, 0), (0.9, 0), (1.0, 1), (2.9, 1), (3.0, 2), (7.0, 3), (1e30, 7), (f32::NAN, 0)] {
            assert_eq!(count_bucket(count), bucket, "{count}");
        }
        for (number, bucket) in [(0.0, 0), (0.25, 1), (1.0, 2), (-1.0, -3), (100.0, 8), (1e300, 100), (-1e300, -101)] {
            assert_eq!(number_bucket(number), bucket, "{number}");
        }
        for (p, bucket) in [(0.5, 0), (0.499, -1), (0.02, -8), (0.99, 9), (1e-300, -40), (1.0 - 1e-16, 40)] {
            assert_eq!(odds_bucket(p), bucket, "{p}");
        }
        for (age, bucket) in [(0, 0), (10, 0), (11, 1), (1_800, 3), (864_000, 8), (864_001, 9)] {
            assert_eq!(recency_bucket(Tick(1_000_000), Tick(1_000_000 - age)), bucket, "{age} s");
        }
    }

    #[test]
    fn a_context_of_any_length_leaves_room_for_the_person() {
        let id = |text: String| Id::new(text).unwrap();
        let context: Vec<_> = (0..64).map(|n| (id(format!("name{n}")), id(format!("value{n}")))).collect();
        let numbers: Vec<_> = (0..64).map(|n| (id(format!("number{n}")), f64::from(n))).collect();
        let surroundings = Surroundings::of(&context, &numbers);
        let asked =
            Asked { at: Timestamp(0), surroundings: &surroundings, item: None, category: None, base_p: Some(0.02) };
        let profile = Profile::default();
        let in_force = AdvertiserInForce::default();
        let paths = (&SupportedPaths::default(), AdvertiserCode(0));
        let history = History { profile: &profile, in_force: &in_force, segments: &[], paths };
        let set = FeatureSet::build(&asked, Some(history));
        assert_eq!(set.features.len(), set.causes.len());
        assert!(set.features.len() <= FEATURES_MAX / 2);
        assert!(set.causes.contains(&Cause::NoHistory));
        let of_context = FeatureSet::build(&asked, None);
        assert_eq!(of_context.features[..], set.features[..set.context]);
        assert_eq!(of_context.context, of_context.features.len());
        assert!(of_context.features.iter().all(|feature| !feature.tells_of_person()));
        assert!(set.features[set.context..].iter().all(|feature| feature.tells_of_person()));
    }
}

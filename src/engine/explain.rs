//! Why a probability is what it is: contributions of features, summed by what they tell of.
//!
//! Several features tell of one thing (how often something was done, how long ago, both together), and each alone means
//! little: what one of them adds another takes back. Their sum is what the thing means, and its figures are those of
//! the history, not those of a bucket. Nothing here is computed unless reasons are asked for.

use super::cause::Cause;
use super::features::{Asked, History};
use super::interest::Interest;
use super::profile::category_interest;
use crate::ids::{ActionCode, SegmentCode};
use crate::learn::ftrl::Term;
use crate::signal::{About, Reason, Scope, Touched};
use crate::units::Tick;

/// What a feature tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Topic {
    Everybody,
    Action(ActionCode),
    Interest(Scope),
    Path([u8; 3]),
    Stage,
    NoHistory,
    Visits,
    Shown,
    Converted,
    Segment(SegmentCode),
    Context(u8),
    Number(u8),
    NumberForPerson(u8),
    BaseP,
    Item,
    Category,
    Hour(u8),
}

impl Topic {
    fn of(cause: Cause) -> Topic {
        match cause {
            Cause::Bias => Topic::Everybody,
            Cause::ActionRecency { action, .. } | Cause::ActionCount { action, .. } => Topic::Action(action),
            Cause::InterestCount { scope, .. }
            | Cause::InterestLast { scope, .. }
            | Cause::InterestStreak { scope, .. }
            | Cause::InterestShown { scope, .. }
            | Cause::InterestLastShown { scope, .. }
            | Cause::NoAffinity { scope }
            | Cause::LatestAndInterest(scope) => Topic::Interest(scope),
            Cause::Path(path) => Topic::Path(path),
            Cause::Stage { .. } => Topic::Stage,
            Cause::NoHistory => Topic::NoHistory,
            Cause::Sessions(_) | Cause::SessionLength(_) | Cause::LastSeen(_) => Topic::Visits,
            Cause::Exposures(_) | Cause::LastShown(_) => Topic::Shown,
            Cause::Conversions(_) | Cause::LastConverted(_) => Topic::Converted,
            Cause::Segment(segment) => Topic::Segment(segment),
            Cause::Context(place) => Topic::Context(place),
            Cause::Number(place, _) => Topic::Number(place),
            Cause::InterestAndNumber { place, .. } | Cause::LatestAndNumber(place) => Topic::NumberForPerson(place),
            Cause::BaseP(_) => Topic::BaseP,
            Cause::Item => Topic::Item,
            Cause::Category => Topic::Category,
            Cause::Hour(hour) => Topic::Hour(hour),
        }
    }

    /// The topic of both, where one more cause belongs to this one. A longer path takes in the shorter one it ends in.
    fn with(self, other: Topic) -> Option<Topic> {
        match (self, other) {
            (Topic::Path(shorter), Topic::Path(longer)) => Some(Topic::Path(shorter.max(longer))),
            _ => (self == other).then_some(self),
        }
    }
}

/// All that was contributed to one topic.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sum {
    topic: Topic,
    contribution: f64,
    collided: bool,
}

/// Contributions by topic, the strongest first; of equal ones the one that was built first.
fn sums(terms: impl Iterator<Item = (Term, Cause)>) -> Vec<Sum> {
    let mut sums: Vec<Sum> = Vec::new();
    for (term, cause) in terms {
        let topic = Topic::of(cause);
        let known = sums.iter_mut().find_map(|sum| sum.topic.with(topic).map(|both| (sum, both)));
        match known {
            Some((sum, both)) => {
                sum.topic = both;
                sum.contribution += term.contribution;
                sum.collided |= term.collided;
            }
            None => sums.push(Sum { topic, contribution: term.contribution, collided: term.collided }),
        }
    }
    sums.sort_by(|one, other| other.contribution.abs().total_cmp(&one.contribution.abs()));
    sums
}

/// The strongest reasons, at most so many.
pub(super) fn reasons(
    terms: impl Iterator<Item = (Term, Cause)>,
    asked: &Asked<'_>,
    history: Option<&History<'_>>,
    most: usize,
) -> Vec<Reason> {
    let reason = |sum: Sum| {
        let about = match history {
            Some(history) => about_person(sum.topic, asked, history),
            None => about_request(sum.topic, asked),
        };
        Reason { about, contribution: sum.contribution, collided: sum.collided }
    };
    sums(terms).into_iter().take(most).map(reason).collect()
}

/// What holds whoever the person is. What tells of a person stands for nobody here.
fn about_request(topic: Topic, asked: &Asked<'_>) -> About {
    match topic {
        Topic::Everybody => About::Everybody,
        Topic::Context(place) => About::Context(place),
        Topic::Number(place) => About::Number(place),
        Topic::BaseP => About::BaseP(asked.base_p.unwrap_or_default()),
        Topic::Item => About::Item,
        Topic::Category => About::Category,
        Topic::Hour(hour) => About::Hour(hour),
        Topic::Segment(segment) => About::Segment(segment),
        Topic::Path(path) => About::Path(path),
        Topic::NumberForPerson(place) => About::NumberForPerson { place, latest: None },
        Topic::Interest(scope) => About::Interest { scope, touched: None },
        Topic::Action(_) | Topic::Stage | Topic::NoHistory | Topic::Visits | Topic::Shown | Topic::Converted => {
            About::NoHistory
        }
    }
}

fn about_person(topic: Topic, asked: &Asked<'_>, history: &History<'_>) -> About {
    let (profile, now) = (history.profile, asked.at.tick());
    let age = |then: Tick| now.since(then);
    let age_of = |then: Tick| (then != Tick(0)).then(|| age(then));
    match topic {
        Topic::Action(action) => match profile.action(action) {
            Some(done) => About::Action { action, times: done.count, age_s: age(done.last) },
            None => About::NoHistory,
        },
        Topic::Interest(scope) => {
            let key = match scope {
                Scope::Item => asked.item,
                Scope::Category => asked.category.map(category_interest),
            };
            let interest = key.and_then(|key| profile.interest(key));
            About::Interest { scope, touched: interest.map(|interest| touched(interest, now)) }
        }
        Topic::Stage => match history.furthest() {
            Some(done) => About::Stage { action: done.action, age_s: age(done.last) },
            None => About::NoHistory,
        },
        Topic::Visits => About::Visits {
            sessions: profile.sessions,
            actions: profile.session_actions,
            age_s: age(profile.last_acted),
        },
        Topic::Shown => About::Shown { times: profile.shown, age_s: age_of(profile.last_shown) },
        Topic::Converted => About::Converted { times: profile.conversions, age_s: age_of(profile.last_converted) },
        Topic::NumberForPerson(place) => {
            let latest = Some(profile.path[0]).filter(|code| *code != 0);
            About::NumberForPerson { place, latest: latest.map(|code| (ActionCode(code), age(profile.last_acted))) }
        }
        _ => about_request(topic, asked),
    }
}

fn touched(interest: &Interest, now: Tick) -> Touched {
    Touched {
        acts: interest.counts().collect(),
        streak: interest.streak,
        age_s: now.since(interest.last),
        shown: interest.shown,
        shown_age_s: (interest.last_shown != Tick(0)).then(|| now.since(interest.last_shown)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn causes() -> impl Strategy<Value = Cause> {
        let scope = prop_oneof![Just(Scope::Item), Just(Scope::Category)];
        let action = (1u8..4).prop_map(ActionCode);
        prop_oneof![
            Just(Cause::Bias),
            (action.clone(), 0u8..8, 0u8..9).prop_map(|(action, count, recency)| Cause::ActionRecency {
                action,
                count,
                recency
            }),
            (action.clone(), 0u8..8).prop_map(|(action, count)| Cause::ActionCount { action, count }),
            (scope.clone(), action, 0u8..8).prop_map(|(scope, action, count)| Cause::InterestCount {
                scope,
                action,
                count
            }),
            (scope.clone(), 0u8..9).prop_map(|(scope, recency)| Cause::InterestLast { scope, recency }),
            scope.prop_map(Cause::LatestAndInterest),
            (0u8..9).prop_map(Cause::LastSeen),
            (0u8..8).prop_map(Cause::Sessions),
            (0u8..3).prop_map(Cause::Context),
            (0u8..3).prop_map(Cause::LatestAndNumber),
        ]
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_told_twice(
            terms in proptest::collection::vec((-5.0f64..5.0, any::<bool>(), causes()), 0..64),
        ) {
            let term = |(contribution, collided, cause): &(f64, bool, Cause)| {
                (Term { contribution: *contribution, collided: *collided }, *cause)
            };
            let sums = sums(terms.iter().map(term));
            let total: f64 = terms.iter().map(|(contribution, ..)| contribution).sum();
            let size: f64 = terms.iter().map(|(contribution, ..)| contribution.abs()).sum();
            prop_assert!((sums.iter().map(|sum| sum.contribution).sum::<f64>() - total).abs() <= 1e-12 * size);
            prop_assert!(sums.is_sorted_by(|one, next| one.contribution.abs() >= next.contribution.abs()));
            for (place, sum) in sums.iter().enumerate() {
                prop_assert!(sums[..place].iter().all(|other| other.topic != sum.topic), "{:?}", sum.topic);
                let of_it = terms.iter().filter(|(.., cause)| Topic::of(*cause) == sum.topic);
                let collided = of_it.clone().any(|(_, collided, _)| *collided);
                let alone: f64 = of_it.map(|(contribution, ..)| contribution).sum();
                prop_assert!(sum.collided == collided && (sum.contribution - alone).abs() <= 1e-12 * size);
            }
        }
    }

    #[test]
    fn a_path_is_told_in_its_full_length() {
        let term = |contribution| Term { contribution, collided: false };
        let paths = [[0, 0, 7], [0, 5, 7], [3, 5, 7]];
        let sums = sums(paths.into_iter().map(|path| (term(0.25), Cause::Path(path))));
        assert_eq!(sums, [Sum { topic: Topic::Path([3, 5, 7]), contribution: 0.75, collided: false }]);
    }
}

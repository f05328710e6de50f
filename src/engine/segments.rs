//! Who is in which segment.

use super::catalog::{ActionInForce, AdvertiserEntry, AdvertiserInForce};
use super::profile::Profile;
use crate::ids::{ActionCode, SegmentCode};
use crate::settings::Rule;
use crate::units::Tick;

/// A rule in codes. A name that is not known makes its part false.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Membership {
    All(Vec<Membership>),
    Any(Vec<Membership>),
    Not(Box<Membership>),
    Count {
        action: ActionCode,
        window_s: u32,
        at_least: u8,
    },
    Recency {
        action: ActionCode,
        less_than_s: u32,
    },
    /// One of these actions was done: the milestone itself and all beyond it.
    Stage(Vec<ActionCode>),
    Sessions(u16),
    External(SegmentCode),
    Never,
}

impl Membership {
    pub fn compile(rule: &Rule, entry: &AdvertiserEntry, actions: &[Option<ActionInForce>]) -> Membership {
        let parts = |rules: &[Rule]| rules.iter().map(|rule| Membership::compile(rule, entry, actions)).collect();
        let known = |name: &str| {
            entry.action_code(name).filter(|code| actions.get(code.index() - 1).is_some_and(Option::is_some))
        };
        let seconds = |span: crate::units::Span| u32::try_from(span.whole_seconds()).unwrap_or(u32::MAX);
        match rule {
            Rule::All(rules) => Membership::All(parts(rules)),
            Rule::Any(rules) => Membership::Any(parts(rules)),
            Rule::Not(rule) => Membership::Not(Box::new(Membership::compile(rule, entry, actions))),
            Rule::Count { action, window, at_least } => match known(action.as_str()) {
                Some(action) => Membership::Count { action, window_s: seconds(*window), at_least: *at_least },
                None => Membership::Never,
            },
            Rule::Recency { action, less_than } => match known(action.as_str()) {
                Some(action) => Membership::Recency { action, less_than_s: seconds(*less_than) },
                None => Membership::Never,
            },
            Rule::Stage(action) => {
                let position = |action: ActionCode| actions[action.index() - 1].and_then(|known| known.position);
                match known(action.as_str()).and_then(position) {
                    Some(least) => Membership::Stage(
                        (1..=actions.len())
                            .map(|code| ActionCode(code as u8))
                            .filter(|code| position(*code).is_some_and(|position| position >= least))
                            .collect(),
                    ),
                    None => Membership::Never,
                }
            }
            Rule::Sessions(at_least) => Membership::Sessions(*at_least),
            Rule::External(name) => entry.external_code(name.as_str()).map_or(Membership::Never, Membership::External),
        }
    }

    /// Visits each window: its action, how many occurrences are counted in it, and its seconds. A recency counts none,
    /// as it looks at the latest alone.
    pub fn each_window(&self, visit: &mut impl FnMut(ActionCode, u8, u32)) {
        match self {
            Membership::All(parts) | Membership::Any(parts) => parts.iter().for_each(|part| part.each_window(visit)),
            Membership::Not(part) => part.each_window(visit),
            Membership::Count { action, window_s, at_least } => visit(*action, *at_least, *window_s),
            Membership::Recency { action, less_than_s } => visit(*action, 0, *less_than_s),
            _ => {}
        }
    }

    /// Whether someone with this history is a member at a tick.
    pub fn holds(&self, profile: &Profile, externals: &[SegmentCode], now: Tick) -> bool {
        match self {
            Membership::All(parts) => parts.iter().all(|part| part.holds(profile, externals, now)),
            Membership::Any(parts) => parts.iter().any(|part| part.holds(profile, externals, now)),
            Membership::Not(part) => !part.holds(profile, externals, now),
            Membership::Count { action, window_s, at_least } => {
                profile.occurrence(*action, *at_least).is_some_and(|tick| now.since(tick) <= *window_s)
            }
            Membership::Recency { action, less_than_s } => {
                profile.occurrence(*action, 1).is_some_and(|tick| now.since(tick) < *less_than_s)
            }
            Membership::Stage(actions) => actions.iter().any(|action| profile.action(*action).is_some()),
            Membership::Sessions(at_least) => profile.sessions >= *at_least,
            Membership::External(segment) => externals.contains(segment),
            Membership::Never => false,
        }
    }
}

/// Rule segments a person is in, as one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct RuleSegments(pub u64);

impl RuleSegments {
    /// The rule segments of someone with this history at a tick.
    pub fn of(in_force: &AdvertiserInForce, profile: &Profile, externals: &[SegmentCode], now: Tick) -> RuleSegments {
        let mut bits = 0;
        for segment in &in_force.segments {
            if segment.membership.holds(profile, externals, now) {
                bits |= 1 << segment.code.0;
            }
        }
        RuleSegments(bits)
    }

    /// The codes, lowest first.
    pub fn codes(self) -> impl Iterator<Item = SegmentCode> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let code = (bits != 0).then(|| SegmentCode(bits.trailing_zeros() as u16));
            bits &= bits.wrapping_sub(1);
            code
        })
    }

    pub fn contains(self, code: SegmentCode) -> bool {
        code.0 < 64 && self.0 & 1 << code.0 != 0
    }
}

//! The answer: a bid multiplier for each target and goal, and why.

use smallvec::SmallVec;

use crate::exposure::{Arm, Exposure};
use crate::ids::{ActionCode, GoalCode, SegmentCode};
use crate::rejection::Rejection;
use crate::units::Micros;

/// Neutral multiplier: the bid stays as it is.
pub const NEUTRAL: f64 = 1.0;

/// The answer to one target, in the order of the request's targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// One signal a goal, in the order asked.
    pub signals: Vec<Signal>,
    /// One factor for all goals of the campaign's objective; `None` without one, and where not all of its goals were
    /// asked for.
    pub combined: Option<Box<Combined>>,
    /// What to seal into the token; `None` when nothing may be learned from this opportunity.
    pub exposure: Option<Box<Exposure>>,
}

/// The answer to a request: each target is answered or refused on its own.
pub type Signals = Vec<Result<Scored, Rejection>>;

/// What the bidder shall do, and why, for one target and goal.
#[derive(Debug, Clone, PartialEq)]
pub struct Signal {
    /// Which goal.
    pub goal: GoalCode,
    /// Factor on the value of an impression: above 0, at most 10, neutral exactly [`NEUTRAL`]. Never NaN.
    pub multiplier: f64,
    /// The multiplier that a treated user would have got, drawn or not: `multiplier` but in the control arm.
    pub treated_multiplier: f64,
    /// What `treated_multiplier` contains so that all multipliers of the goal together spend what would be spent
    /// without them, 0.25 to 4: what makes multipliers 1 in the mean, and what follows spend, each 0.5 to 2. 1 where it
    /// does not apply. The goal's bounds come after it.
    pub spend_factor: f64,
    /// How `multiplier` was drawn; `None` where it is the one that the probability asks for.
    pub explored: Option<Explored>,
    /// Do not bid at all, and why. The multiplier stays what it would be.
    pub suppress: Option<Suppression>,
    /// Probability of at least one conversion within the goal's window if the ad is shown, 0 to 1 exclusive.
    pub p_conversion: f64,
    /// 95 % interval of `p_conversion`, from the spread of the weights.
    pub interval: (f64, f64),
    /// The probability that the base bid pays for: the multiplier is 1 where `p_conversion` equals it. That probability
    /// itself where nothing is known of the person against a context, or of the base bid.
    pub baseline: f64,
    /// `p_conversion` × mean credited value of a positive impression.
    pub expected_value: Micros,
    /// Furthest milestone the user has reached.
    pub stage: Option<ActionCode>,
    /// Segments the user is in: rule segments first, then external ones.
    pub segments: SmallVec<[SegmentCode; 8]>,
    /// How far the goal has been learned.
    pub readiness: Readiness,
    /// Why the multiplier is exactly 1, where a rule says so.
    pub neutral: Option<Neutral>,
    /// The arm the user is in.
    pub arm: Arm,
    /// Log-odds before correction: `intercept` and the contributions of all features.
    pub logit: f64,
    /// What is added to `logit`, because such predictions turned out to be off, for the log-odds of `p_conversion`.
    pub correction: f64,
    /// Log-odds from which the goal started.
    pub intercept: f64,
    /// Strongest contributions to the log-odds, as many as were asked for.
    pub reasons: Vec<Reason>,
}

/// What the bidder shall do for a campaign that is after several goals. Stands for their multipliers, which are not to
/// be multiplied with each other.
#[derive(Debug, Clone, PartialEq)]
pub struct Combined {
    /// Factor on the value of an impression, as that of a [`Signal`].
    pub multiplier: f64,
    /// The one that a treated user would get.
    pub treated_multiplier: f64,
    /// The goal with the largest weight: its exponent, bounds and spend factor are those of the combined factor, and it
    /// learns what that spends.
    pub lead: GoalCode,
    /// How `multiplier` was drawn: where that of the goal with the largest weight was.
    pub explored: Option<Explored>,
    /// Do not bid at all, and why: where that is said for every goal.
    pub suppress: Option<Suppression>,
    /// Σ weight × probability, in conversions of weight 1.
    pub expected: f64,
    /// 95 % interval of `expected`, with errors of all goals taken to go together.
    pub interval: (f64, f64),
    /// Σ weight × the probability that the base bid pays for.
    pub baseline: f64,
    /// Why the multiplier is exactly 1: where a rule says so for every goal, that of the goal with the largest weight.
    pub neutral: Option<Neutral>,
    /// The arm the user is in.
    pub arm: Arm,
    /// What each goal adds, in the order of the campaign's goals.
    pub parts: Vec<Part>,
}

/// How a multiplier was drawn that was not taken at its mean: what an analyst needs to weigh by.
///
/// Before the goal's bounds its logarithm is normal. A multiplier that equals a bound stands for all that lies beyond.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Explored {
    /// Share of opportunities of which this is one, above 0.
    pub share: f64,
    /// Mean of the multiplier's logarithm, weights and spend factor included.
    pub ln_mean: f64,
    /// Its standard deviation, above 0.
    pub ln_deviation: f64,
}

/// One goal's part in a combined signal.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Which goal.
    pub goal: GoalCode,
    /// What one of its conversions is worth beside those of the other goals.
    pub weight: f64,
    /// What it adds to the ratio of worth to baseline: all gains and 1 sum to it. 0 where the goal is neutral by
    /// itself.
    pub gain: f64,
}

/// How far a goal has been learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// Nobody has done anything yet.
    Cold,
    /// Some have, too few to act on.
    Warming {
        /// Distinct users of the goal or of its best supported milestone.
        users: u32,
        /// Distinct users needed.
        needed: u32,
    },
    /// Enough have.
    Ready,
    /// The service runs, but not as it should: answers may be stale.
    Degraded,
}

/// The rule by which a multiplier is exactly 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Neutral {
    /// The caller's privacy mode allows no scoring.
    NoConsent,
    /// The user is in the control arm.
    ControlArm,
    /// Too few distinct users have reached the goal or any milestone below it.
    Support,
    /// The base bid shall pay for the probability that the request states, and it states none.
    NoBaseP,
    /// The user acts as no person does.
    Quarantined,
    /// There was no time left to answer well.
    Deadline,
    /// The service had more to do than it can.
    Overload,
}

/// Why not to bid at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Suppression {
    /// The user has reached the goal, and the goal gives a rest after that. No would-be impression is to be told of:
    /// treated users get none either.
    JustConverted,
    /// The user is held out. Where the bid would have won, the would-be impression is to be told of.
    Holdout,
}

impl Suppression {
    /// Both, in the order of their counters.
    pub const ALL: [Suppression; 2] = [Suppression::JustConverted, Suppression::Holdout];

    /// Short fixed name: the label of the counter.
    pub fn label(self) -> &'static str {
        match self {
            Suppression::JustConverted => "just_converted",
            Suppression::Holdout => "holdout",
        }
    }
}

impl Neutral {
    /// Short fixed name: the label of the counter.
    pub fn label(self) -> &'static str {
        match self {
            Neutral::NoConsent => "no_consent",
            Neutral::ControlArm => "control_arm",
            Neutral::Support => "support",
            Neutral::NoBaseP => "no_base_p",
            Neutral::Quarantined => "quarantined",
            Neutral::Deadline => "deadline",
            Neutral::Overload => "overload",
        }
    }
}

/// Why the log-odds are what they are: all that the features tell of one thing, in one sum.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// What was seen.
    pub about: About,
    /// Contribution in log-odds. With the intercept, all contributions sum to the logit, but for the rounding of sums:
    /// to within 10⁻¹² of their absolute sum.
    pub contribution: f64,
    /// Another feature has used one of the slots: the contribution may be partly the other's.
    pub collided: bool,
}

/// On which part of the history a feature looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// What the user did with the advertised item.
    Item,
    /// What the user did with the advertised category.
    Category,
}

/// What a reason is about, with the figures of the person's history. Ages are in whole seconds before the score.
#[derive(Debug, Clone, PartialEq)]
pub enum About {
    /// Everybody: the goal's own level.
    Everybody,
    /// How often, and how long ago, an action was done.
    Action {
        /// The action.
        action: ActionCode,
        /// How often, faded as of the last time: what was done in one go counts in full.
        times: f32,
        /// How long ago last.
        age_s: u32,
    },
    /// What was done with the advertised item or category.
    Interest {
        /// Item or category.
        scope: Scope,
        /// `None` where it was never touched.
        touched: Option<Touched>,
    },
    /// The last one to three actions, as far as enough people did the same; earlier ones first, 0 for none.
    Path([u8; 3]),
    /// Furthest milestone.
    Stage {
        /// The milestone.
        action: ActionCode,
        /// How long ago.
        age_s: u32,
    },
    /// The user has no history with the advertiser.
    NoHistory,
    /// Visits, of which half an hour without an action separates two.
    Visits {
        /// How many.
        sessions: u16,
        /// Actions in the latest one.
        actions: u16,
        /// How long ago the last action was.
        age_s: u32,
    },
    /// Impressions shown.
    Shown {
        /// How many.
        times: u16,
        /// How long ago the last one was; `None` where there was none.
        age_s: Option<u32>,
    },
    /// The user's own conversions, of any goal.
    Converted {
        /// How many stand.
        times: u16,
        /// How long ago the last one was; `None` where there was none.
        age_s: Option<u32>,
    },
    /// Membership of a segment.
    Segment(SegmentCode),
    /// A context entry, by its place in the request.
    Context(u8),
    /// A number, by its place in the request.
    Number(u8),
    /// A number, by its place in the request, together with what the user did last, in general and with what is
    /// advertised.
    NumberForPerson {
        /// Its place.
        place: u8,
        /// What was done last, and how long ago; `None` where nothing was.
        latest: Option<(ActionCode, u32)>,
    },
    /// The probability that the target states as its base bid's.
    BaseP(f64),
    /// The advertised item itself.
    Item,
    /// The advertised category itself.
    Category,
    /// Hour of the day, UTC.
    Hour(u8),
}

/// What a user did with one item or category.
#[derive(Debug, Clone, PartialEq)]
pub struct Touched {
    /// How often each kind of action was done, up to 255, in the order of first occurrence.
    pub acts: Vec<(ActionCode, u8)>,
    /// Acts without a pause of half an hour, up to 255.
    pub streak: u8,
    /// How long ago the last act was.
    pub age_s: u32,
    /// Impressions since the first act, up to 255.
    pub shown: u8,
    /// How long ago the last of them was; `None` where there was none.
    pub shown_age_s: Option<u32>,
}

/// Upper bounds of the recency buckets in seconds; the bucket after the last holds all that is older.
pub const RECENCY_BOUNDS_S: [u32; 9] = [10, 60, 300, 1_800, 7_200, 21_600, 86_400, 259_200, 864_000];

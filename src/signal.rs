//! The answer: a bid multiplier for each target and goal, and why.

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
    /// Do not bid at all.
    pub suppress: bool,
    /// Probability of at least one conversion within the goal's window if the ad is shown, 0 to 1 exclusive.
    pub p_conversion: f64,
    /// 95 % interval of `p_conversion`, from the spread of the weights.
    pub interval: (f64, f64),
    /// The probability that the base bid pays for: the multiplier is 1 where `p_conversion` equals it.
    pub baseline: f64,
    /// `p_conversion` × mean credited value of a positive impression.
    pub expected_value: Micros,
    /// Furthest milestone the user has reached.
    pub stage: Option<ActionCode>,
    /// Segments the user is in: rule segments first, then external ones.
    pub segments: Vec<SegmentCode>,
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
    /// There was no time left to answer well.
    Deadline,
    /// The service had more to do than it can.
    Overload,
}

impl Neutral {
    /// Short fixed name: the label of the counter.
    pub fn label(self) -> &'static str {
        match self {
            Neutral::NoConsent => "no_consent",
            Neutral::ControlArm => "control_arm",
            Neutral::Support => "support",
            Neutral::Deadline => "deadline",
            Neutral::Overload => "overload",
        }
    }
}

/// One contribution to the log-odds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reason {
    /// What was seen.
    pub cause: Cause,
    /// Contribution in log-odds; with the intercept and all other contributions it sums to the logit exactly.
    pub contribution: f64,
    /// Another feature has used the same slot: the contribution may be partly the other's.
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

/// What a feature says. Buckets are powers of two for counts, and [`RECENCY_BOUNDS_S`] for recencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Always there: the goal's own level.
    Bias,
    /// How often, and how long ago, an action was done.
    ActionRecency {
        /// The action.
        action: ActionCode,
        /// ⌊log₂(1 + decayed count)⌋, 0 to 7.
        count: u8,
        /// Recency bucket.
        recency: u8,
    },
    /// How often an action was done.
    ActionCount {
        /// The action.
        action: ActionCode,
        /// ⌊log₂(1 + decayed count)⌋, 0 to 7.
        count: u8,
    },
    /// How often an action was done with the advertised item or category.
    InterestCount {
        /// Item or category.
        scope: Scope,
        /// The action.
        action: ActionCode,
        /// ⌊log₂(1 + times)⌋, 0 to 7.
        count: u8,
    },
    /// How long ago the advertised item or category was last touched.
    InterestLast {
        /// Item or category.
        scope: Scope,
        /// Recency bucket.
        recency: u8,
    },
    /// How often the advertised item or category was touched without a pause of half an hour.
    InterestStreak {
        /// Item or category.
        scope: Scope,
        /// ⌊log₂(1 + times)⌋, 0 to 7.
        count: u8,
    },
    /// How often an ad of the item or category was shown since it was first touched.
    InterestShown {
        /// Item or category.
        scope: Scope,
        /// ⌊log₂(1 + times)⌋, 0 to 7.
        count: u8,
    },
    /// How long ago such an ad was last shown.
    InterestLastShown {
        /// Item or category.
        scope: Scope,
        /// Recency bucket.
        recency: u8,
    },
    /// The user has never touched the advertised item or category.
    NoAffinity {
        /// Item or category.
        scope: Scope,
    },
    /// The last one to three actions; earlier ones first, 0 for none.
    Path([u8; 3]),
    /// Furthest milestone and how long ago.
    Stage {
        /// The milestone.
        action: ActionCode,
        /// Recency bucket.
        recency: u8,
    },
    /// The user has no history with the advertiser.
    NoHistory,
    /// ⌊log₂(1 + sessions)⌋.
    Sessions(u8),
    /// ⌊log₂(1 + actions in the latest session)⌋.
    SessionLength(u8),
    /// How long ago the user was last seen.
    LastSeen(u8),
    /// ⌊log₂(1 + impressions shown)⌋.
    Exposures(u8),
    /// How long ago the last impression was shown.
    LastShown(u8),
    /// ⌊log₂(1 + own conversions)⌋.
    Conversions(u8),
    /// How long ago the user last converted.
    LastConverted(u8),
    /// Membership of a segment.
    Segment(SegmentCode),
    /// A context entry, by its place in the request.
    Context(u8),
    /// A number, by its place in the request, and its bucket.
    Number(u8, i8),
    /// The advertised item itself.
    Item,
    /// The advertised category itself.
    Category,
    /// Hour of the day, UTC.
    Hour(u8),
    /// What was done last with the advertised item or category and when, together with a number.
    InterestAndNumber {
        /// Item or category.
        scope: Scope,
        /// Place of the number in the request.
        place: u8,
    },
    /// What was done last and when, together with a number of the request.
    LatestAndNumber(u8),
    /// What was done last and when, together with what was done last with the advertised item or category and when.
    LatestAndInterest(Scope),
}

/// Upper bounds of the recency buckets in seconds; the bucket after the last holds all that is older.
pub const RECENCY_BOUNDS_S: [u32; 9] = [10, 60, 300, 1_800, 7_200, 21_600, 86_400, 259_200, 864_000];

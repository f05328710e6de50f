//! What a single feature says.

use crate::ids::{ActionCode, SegmentCode};
use crate::signal::Scope;

/// What a feature says. Buckets are powers of two for counts, and
/// [`RECENCY_BOUNDS_S`](crate::signal::RECENCY_BOUNDS_S) for recencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Cause {
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
    /// ⌊2 × log-odds⌋ of the probability that the request states as its base bid's.
    BaseP(i8),
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

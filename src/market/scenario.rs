//! What a market is like: everything that a scenario file can say, with its units, bounds and defaults.

use crate::ids::Id;
use crate::units::{Micros, Span};

/// Most shoppers of a scenario; bots count.
pub const SHOPPERS_MAX: u32 = 2_000_000;
/// Most states of intent.
pub const INTENTS_MAX: usize = 8;
/// Most campaigns.
pub const CAMPAIGNS_MAX: usize = 16;
/// Most kinds of context.
pub const CONTEXTS_MAX: usize = 8;
/// Most external segments.
pub const SEGMENTS_MAX: usize = 16;
/// Most micro actions that a state of intent can name.
pub const ACTS_MAX: usize = 24;
/// Most exponential parts of the delay of purchases.
pub const DELAYS_MAX: usize = 4;
/// Most changes on schedule.
pub const CHANGES_MAX: usize = 32;

/// A market, its shoppers and the campaigns that bid in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// What the scenario shall find out, in a sentence.
    pub question: String,
    /// How long bids are made, the warm-up included.
    pub days: u32,
    /// The first days, in which everything happens and nothing is counted: bidders learn.
    pub warm_up_days: u32,
    /// How many people there are.
    pub shoppers: u32,
    /// How often things happen to them.
    pub activity: Activity,
    /// States of intent, from the coldest to the keenest; at least one.
    pub intents: Vec<Intent>,
    /// Mean time after which a person's intent is drawn anew, by the shares of the intents.
    pub forgets_after: Span,
    /// What an ad does.
    pub ad: Ad,
    /// What comes with a bid request, and what it does to the response.
    pub contexts: Vec<Context>,
    /// External segments, and what they do to the response.
    pub segments: Vec<Segment>,
    /// On what people are.
    pub devices: Devices,
    /// Who bids; each opportunity is one campaign's.
    pub campaigns: Vec<Campaign>,
    /// What impressions cost.
    pub prices: Prices,
    /// A purchase counts for an ad shown at most this long before.
    pub window: Span,
    /// For which of these ads.
    pub attribution: Attribution,
    /// What a purchase is worth.
    pub value: Micros,
    /// How long after the decision the purchase comes.
    pub delays: Vec<Delay>,
    /// What becomes of the notices of impressions.
    pub notices: Notices,
    /// Purchases taken back.
    pub refunds: Refunds,
    /// Programs that act like people.
    pub bots: Bots,
    /// What changes on schedule, in the order of time.
    pub changes: Vec<Change>,
}

/// How often things happen to a person, in the mean of all; each at random times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Activity {
    /// Bid requests a day.
    pub ads: f64,
    /// Visits a day that no ad led to.
    pub visits: f64,
    /// Spread of ln activity over people: 0 makes all alike, 1 gives the busiest tenth 39 % of everything.
    pub spread: f64,
}

/// A state of intent that nobody sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Intent {
    /// Its name.
    pub name: String,
    /// Share of people whose intent, drawn anew, is this one.
    pub share: f64,
    /// Probability that a visit ends in the next state.
    pub rises: f64,
    /// Probability that a visit ends with the decision to buy.
    pub buys: f64,
    /// Mean number of products viewed in a visit, at least 1; those beyond the first are Lomax of shape 2.
    pub views: f64,
    /// Added to the log-odds of the response to an ad.
    pub pull: f64,
    /// Probability of each micro action in a visit.
    pub acts: Vec<(Id, f64)>,
}

/// What an ad does: it makes some people visit, and visits do the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ad {
    /// Log-odds of a visit, before all that moves it.
    pub response: f64,
}

/// Something that comes with a bid request.
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    /// Its name.
    pub name: Id,
    /// How many different values there are.
    pub values: u32,
    /// How uneven they are: value ⌊n·u^skew⌋ of a uniform u; 1 makes all alike.
    pub skew: f64,
    /// Spread of what a value adds to the log-odds of the response.
    pub spread: f64,
}

/// An audience that requests name.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// `provider/id`.
    pub id: Id,
    /// Share of people in it.
    pub share: f64,
    /// Added to the log-odds of its members' response.
    pub pull: f64,
}

/// On what people are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Devices {
    /// Share of people with a second device, which has an id of its own.
    pub second: f64,
    /// Share of these whose ids are linked, by a login at the first visit on the second device.
    pub linked: f64,
}

/// A campaign.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    /// Its name.
    pub name: Id,
    /// Share of the opportunities.
    pub share: f64,
    /// Budget of the days that count, spread evenly; the warm-up has the same for each day.
    pub budget_per_day: Micros,
    /// Added to the log-odds of the response.
    pub pull: f64,
}

/// How an auction charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auction {
    /// The winner pays the best other bid.
    Second,
    /// The winner pays its own bid.
    First,
}

/// For which ads a purchase counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attribution {
    /// For those clicked.
    Click,
    /// For all: then most belong to people who would have bought anyway.
    View,
}

/// What impressions cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Prices {
    /// How an auction charges.
    pub auction: Auction,
    /// Median of the best other bid, per mille; log-normal unless a landscape is given.
    pub median_cpm: Micros,
    /// Spread of its logarithm.
    pub spread: f64,
    /// No bid below wins, per mille.
    pub floor_cpm: Micros,
    /// Correlation of the price's rank and that of the response's log-odds, −1 to 1: others see what we see.
    pub correlation: f64,
}

/// One exponential part of the delay of purchases.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delay {
    /// Share of the purchases.
    pub share: f64,
    /// Mean delay.
    pub mean: Span,
}

/// What becomes of the notices of impressions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Notices {
    /// Share that never arrives.
    pub lost: f64,
    /// Share that arrives late.
    pub late: f64,
    /// How late these are in the mean.
    pub late_by: Span,
}

/// Purchases taken back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refunds {
    /// Share of purchases.
    pub share: f64,
    /// Mean time after the purchase.
    pub after: Span,
}

/// Programs that act like people and never buy.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bots {
    /// Share of the shoppers.
    pub share: f64,
    /// Visits of each a day.
    pub visits: f64,
}

/// Something that changes on schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// On this day, counted from the start.
    pub day: u32,
    /// What changes.
    pub what: Changing,
}

/// What changes on schedule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Changing {
    /// All prices times this, from now on.
    Prices(f64),
    /// So much is added to the log-odds of all responses, from now on.
    Level(f64),
    /// For so long no action is reported.
    Outage(Span),
    /// For so long bots are so many times as busy.
    Bots {
        /// How many times.
        times: f64,
        /// How long.
        span: Span,
    },
}

impl Default for Scenario {
    fn default() -> Scenario {
        let act = |name: &'static str, probability: f64| (Id::literal(name), probability);
        Scenario {
            question: String::new(),
            days: 28,
            warm_up_days: 7,
            shoppers: 20_000,
            activity: Activity { ads: 0.25, visits: 0.1, spread: 1.0 },
            intents: vec![Intent {
                name: "anyone".to_owned(),
                share: 1.0,
                rises: 0.0,
                buys: 0.05,
                views: 2.0,
                pull: 0.0,
                acts: vec![act("add_to_cart", 0.1)],
            }],
            forgets_after: Span::days(10),
            ad: Ad { response: -4.0 },
            contexts: Vec::new(),
            segments: Vec::new(),
            devices: Devices { second: 0.0, linked: 1.0 },
            campaigns: vec![Campaign {
                name: Id::literal("main"),
                share: 1.0,
                budget_per_day: Micros(10_000_000),
                pull: 0.0,
            }],
            prices: Prices {
                auction: Auction::Second,
                median_cpm: Micros(2_000_000),
                spread: 0.8,
                floor_cpm: Micros(0),
                correlation: 0.0,
            },
            window: Span::days(7),
            attribution: Attribution::Click,
            value: Micros(40_000_000),
            delays: Delay::criteo(),
            notices: Notices { lost: 0.0, late: 0.0, late_by: Span::hours(1) },
            refunds: Refunds { share: 0.0, after: Span::days(5) },
            bots: Bots { share: 0.0, visits: 20.0 },
            changes: Vec::new(),
        }
    }
}

impl Delay {
    /// The delays of Criteo's clicks, as three exponentials: 35 % within an hour, 50 % within a day, 87 % within two
    /// weeks (Chapelle 2014 gives 35 %, 50 %, 87 %).
    pub fn criteo() -> Vec<Delay> {
        let part = |share: f64, mean: Span| Delay { share, mean };
        vec![part(0.352, Span::minutes(20)), part(0.1, Span::hours(8)), part(0.548, Span::days(10))]
    }
}

impl Scenario {
    /// When bidding ends, in milliseconds of the market's time.
    pub fn end_ms(&self) -> u64 {
        Span::days(u64::from(self.days)).0
    }

    /// Auctions and visits of one seed in the mean.
    pub(super) fn moments(&self) -> f64 {
        let (days, window) = (f64::from(self.days), self.window.0 as f64 / Span::days(1).0 as f64);
        let visits = self.activity.visits * (days + window) + self.bots.share * self.bots.visits * days;
        f64::from(self.shoppers) * (self.activity.ads * days + visits)
    }

    /// When counting begins.
    pub fn counted_from_ms(&self) -> u64 {
        Span::days(u64::from(self.warm_up_days)).0
    }

    /// The sum of what has been added to the log-odds of responses by a time.
    pub fn level_at(&self, ms: u64) -> f64 {
        self.changes_until(ms).map(|change| if let Changing::Level(by) = change.what { by } else { 0.0 }).sum()
    }

    /// The product of what prices have been multiplied with by a time.
    pub fn price_factor_at(&self, ms: u64) -> f64 {
        self.changes_until(ms).map(|change| if let Changing::Prices(by) = change.what { by } else { 1.0 }).product()
    }

    /// Whether actions go unreported at a time.
    pub fn outage_at(&self, ms: u64) -> bool {
        self.changes_until(ms).any(
            |change| matches!(change.what, Changing::Outage(span) if ms < Span::days(u64::from(change.day)).0 + span.0),
        )
    }

    /// How many times as busy bots are at a time.
    pub fn bot_factor_at(&self, ms: u64) -> f64 {
        let running = |change: &Change| match change.what {
            Changing::Bots { times, span } if ms < Span::days(u64::from(change.day)).0 + span.0 => times,
            _ => 1.0,
        };
        self.changes_until(ms).map(running).product()
    }

    fn changes_until(&self, ms: u64) -> impl Iterator<Item = &Change> {
        self.changes.iter().take_while(move |change| Span::days(u64::from(change.day)).0 <= ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math;

    #[test]
    fn the_delays_are_those_of_criteo() {
        let within = |span: Span| -> f64 {
            let share = |delay: &Delay| delay.share * (1.0 - math::exp(-(span.0 as f64) / delay.mean.0 as f64));
            Delay::criteo().iter().map(share).sum()
        };
        let shares = [Span::hours(1), Span::hours(24), Span::days(14)].map(within);
        for (share, published) in shares.into_iter().zip([0.35, 0.50, 0.87]) {
            assert!((share - published).abs() < 0.01, "{shares:?}");
        }
    }

    #[test]
    fn changes_hold_from_their_day_on() {
        let change = |day, what| Change { day, what };
        let changes = vec![
            change(1, Changing::Prices(1.5)),
            change(2, Changing::Level(0.5)),
            change(2, Changing::Outage(Span::hours(2))),
            change(3, Changing::Prices(2.0)),
        ];
        let scenario = Scenario { changes, ..Scenario::default() };
        let day = |days: u64| Span::days(days).0;
        assert_eq!([0, day(1), day(3)].map(|ms| scenario.price_factor_at(ms)), [1.0, 1.5, 3.0]);
        assert_eq!([day(2) - 1, day(2)].map(|ms| scenario.level_at(ms)), [0.0, 0.5]);
        let hours = |hours: u64| day(2) + Span::hours(hours).0;
        assert_eq!([hours(0), hours(1), hours(2)].map(|ms| scenario.outage_at(ms)), [true, true, false]);
    }
}

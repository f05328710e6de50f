//! Everything that shapes state or score and is chosen rather than learned. The journal carries it as `Configured`.

use std::fmt;

use crate::action::{ActionKind, HALF_LIFE_DEFAULT, STANDARD_ACTIONS};
use crate::ids::Id;
use crate::units::{Currency, Micros, Span};

/// Most advertisers of one engine.
pub const ADVERTISERS_MAX: usize = 4_096;
/// Most actions of one advertiser, the standard ones included.
pub const ACTIONS_MAX: usize = 255;
/// Most goals of one engine, over all advertisers; each keeps a weight table.
pub const GOALS_MAX: usize = 1_024;
/// Most campaigns of one advertiser.
pub const CAMPAIGNS_MAX: usize = 4_096;
/// Most rule segments of one advertiser: membership is one 64-bit word.
pub const RULE_SEGMENTS_MAX: usize = 64;
/// Most external segments of one advertiser; requests may name more, which do not count.
pub const KNOWN_EXTERNALS_MAX: usize = 1_000;
/// Most milestones of one goal.
pub const MILESTONES_MAX: usize = 32;
/// Latest occurrences of an action that a rule can count: `count(a, w) >= n` with n up to this.
pub const WINDOWED_COUNT_MAX: u8 = 8;
/// Deepest nesting of a rule: reading it recurses, and so does whoever evaluates it.
pub const RULE_DEPTH_MAX: usize = 32;
/// Most rules within one segment's rule, itself included.
pub const RULES_PER_SEGMENT_MAX: usize = 1_024;
/// Distinct users that are told apart: the most that a goal's support can ask for.
pub const SUPPORT_MAX: u32 = 1_000;
/// Smallest and largest allowed bounds of a multiplier.
pub const MULTIPLIER_BOUNDS: (f64, f64) = (0.01, 10.0);
/// Largest share of opportunities that a goal explores.
pub const EXPLORATION_MAX: f64 = 0.02;
/// Bounds of the learning rate. Within these and the next two no weight leaves the finite numbers of an f32, whatever
/// is learned (a test tries).
pub const ALPHA_BOUNDS: (f64, f64) = (0.000_1, 10.0);
/// Bounds of the smoothing of the learning rate.
pub const BETA_BOUNDS: (f64, f64) = (0.000_1, 1_000.0);
/// Bounds of L1 and L2 regularisation.
pub const PENALTY_BOUNDS: (f64, f64) = (0.0, 1_000.0);
/// Longest time for which a conversion can keep ads from a user.
pub const SUPPRESS_MAX: Span = Span::days(365);
/// Bounds of the product of a user's segment weights.
pub const WEIGHT_BOUNDS: (f64, f64) = (0.2, 5.0);

/// All settings that state or score depend on.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Settings {
    /// Who advertises; at most [`ADVERTISERS_MAX`].
    pub advertisers: Vec<Advertiser>,
    /// How the model learns.
    pub learner: Learner,
    /// Shares of the arms.
    pub arms: Arms,
    /// Bounds of every table.
    pub limits: Limits,
    /// What is accepted late, and what is kept how long.
    pub retention: Retention,
    /// Who acts as no person does.
    pub guards: Guards,
}

/// One advertiser.
#[derive(Debug, Clone, PartialEq)]
pub struct Advertiser {
    /// Name events and requests carry.
    pub id: Id,
    /// All actions it knows: the standard ones in their order, then its own; at most [`ACTIONS_MAX`].
    pub actions: Vec<ActionSetting>,
    /// What it wants to reach.
    pub goals: Vec<Goal>,
    /// Its campaigns; at most [`CAMPAIGNS_MAX`].
    pub campaigns: Vec<Campaign>,
    /// Audiences by rule; at most [`RULE_SEGMENTS_MAX`].
    pub segments: Vec<RuleSegment>,
    /// Audiences that requests name; at most [`KNOWN_EXTERNALS_MAX`].
    pub externals: Vec<ExternalSegment>,
    /// Share of users who get none of its ads, 0 to 1; `None` for that of [`Arms`].
    pub holdout_share: Option<f64>,
}

/// One action of an advertiser.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionSetting {
    /// Name events carry.
    pub id: Id,
    /// Milestone or secondary.
    pub kind: ActionKind,
    /// Half-life of its decayed count, at least a minute.
    pub half_life: Span,
}

/// Something an advertiser wants people to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// Name events and requests carry.
    pub id: Id,
    /// The action that *is* this conversion; without one, conversions are sent as such.
    pub converting_action: Option<Id>,
    /// A conversion counts for an impression shown at most this long ago, if it was clicked.
    pub click_window: Span,
    /// A conversion counts for an impression shown at most this long ago, clicked or not.
    pub view_window: Span,
    /// A conversion sooner after an impression is no person's: it joins nothing, and leads into quarantine. 0 for any.
    pub conversion_delay_min: Span,
    /// Steps on the way, furthest last; at most [`MILESTONES_MAX`].
    pub milestones: Vec<Id>,
    /// What a conversion without a stated value is worth.
    pub value: Micros,
    /// Currency of values and costs.
    pub currency: Currency,
    /// Share of impressions expected to convert before anything is known, 0 to 1 exclusive.
    pub prior_rate: f64,
    /// Half-life of this goal's statistics.
    pub half_life: Span,
    /// Which impression of several gets the credit.
    pub credit: Credit,
    /// Who has converted within this time gets no ad; `None` for no such rule. At most [`SUPPRESS_MAX`].
    pub suppress_after_conversion: Option<Span>,
    /// How a probability becomes a multiplier.
    pub multiplier: Multiplier,
}

/// Which of the impressions before a conversion gets the credit for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Credit {
    /// The last one clicked or shown.
    #[default]
    LastTouch,
    /// All, in equal parts.
    Even,
}

/// How a probability becomes a multiplier.
#[derive(Clone, Copy, PartialEq)]
pub struct Multiplier {
    /// What the base bid pays for already.
    pub baseline: Baseline,
    /// ln m = exponent × ln ρ: 1 bids in proportion to value, less is more cautious.
    pub exponent: f64,
    /// Smallest multiplier, within [`MULTIPLIER_BOUNDS`].
    pub min: f64,
    /// Largest multiplier, within [`MULTIPLIER_BOUNDS`].
    pub max: f64,
    /// Variance of ln ρ over opportunities that is believed before data; ln ρ is shrunk by it against its own variance.
    pub prior_variance: f64,
    /// Distinct users that the goal or one milestone needs before the multiplier leaves 1; at most [`SUPPORT_MAX`].
    pub support: u32,
    /// Whether one factor on all multipliers keeps what they spend at what the control arm says would be spent without.
    pub spend_control: bool,
    /// Share of opportunities whose multiplier is drawn around the one that the probability asks for, so that people of
    /// whom little is known are tried; 0 for none, at most [`EXPLORATION_MAX`].
    pub exploration: f64,
}

/// What the base bid pays for already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Baseline {
    /// The context: the same model with the user's history absent.
    #[default]
    Context,
    /// Nothing: the base bid is flat, all impressions of the goal are worth the same.
    Goal,
    /// The probability the request states; where it states none, the multiplier is 1.
    Request,
}

/// A campaign and what it is after.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    /// Name requests carry.
    pub id: Id,
    /// Goals it bids for when a request names none.
    pub goals: Vec<Id>,
    /// Weights of goals in one combined signal; empty for none.
    pub objective: Vec<(Id, f64)>,
}

/// An audience by rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSegment {
    /// Name in reports.
    pub id: Id,
    /// Who is in it.
    pub rule: Rule,
    /// Factor on the multiplier of its members.
    pub weight: f64,
}

/// An audience that requests name.
#[derive(Debug, Clone, PartialEq)]
pub struct ExternalSegment {
    /// `provider/id`.
    pub id: Id,
    /// Factor on the multiplier of its members.
    pub weight: f64,
}

/// Who is in a segment.
#[derive(Debug, Clone, PartialEq)]
pub enum Rule {
    /// Every part holds.
    All(Vec<Rule>),
    /// At least one part holds.
    Any(Vec<Rule>),
    /// The part does not hold.
    Not(Box<Rule>),
    /// The action was done at least so often within the window; 1 to [`WINDOWED_COUNT_MAX`] times.
    Count {
        /// The action.
        action: Id,
        /// How far back.
        window: Span,
        /// How often at least.
        at_least: u8,
    },
    /// The action was last done less than this long ago.
    Recency {
        /// The action.
        action: Id,
        /// How long ago at most, exclusive.
        less_than: Span,
    },
    /// The furthest milestone is this one or a later one.
    Stage(Id),
    /// There were at least so many sessions.
    Sessions(u16),
    /// The request names this external segment.
    External(Id),
}

/// How the model learns: FTRL-proximal logistic regression, McMahan 2013, algorithm 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Learner {
    /// Learning rate of the faster heads, within [`ALPHA_BOUNDS`]; the slower ones have three tenths of it.
    pub alpha: f64,
    /// Smoothing of the per-coordinate rate, within [`BETA_BOUNDS`].
    pub beta: f64,
    /// L1 regularisation, within [`PENALTY_BOUNDS`]: weights whose evidence is below it are exactly zero.
    pub l1: f64,
    /// L2 regularisation, within [`PENALTY_BOUNDS`].
    pub l2: f64,
    /// Half-life of what a weight has seen, so that the model can follow a changing market.
    pub half_life: Span,
    /// log₂ of the slots of a goal's weight table, 10 to 22.
    pub table_bits: u8,
}

/// Shares of the arms of the running experiment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arms {
    /// Another salt deals all users anew.
    pub salt: u64,
    /// Share of users whose multiplier is always 1, 0 to 1.
    pub control_share: f64,
    /// Share of users who get no ad, 0 to 1; an advertiser may have its own.
    pub holdout_share: f64,
}

/// Bounds of every table. What happens at the bound stands beside each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Profiles; the longest unseen gives way.
    pub profiles_max: usize,
    /// Impressions kept: those that wait for their label, and those whose conversions may still come late or be
    /// retracted. The one that is due first gives way.
    pub live_impressions_max: usize,
    /// Impressions kept of one user and goal; the one shown first gives way.
    pub live_per_user_max: usize,
    /// Conversions kept for late impressions and retractions; the oldest can no longer be retracted.
    pub conversions_max: usize,
    /// Event ids remembered; an older one that comes again is applied again.
    pub event_ids_max: usize,
    /// Ids of one person; a link beyond is refused.
    pub linked_ids_max: usize,
    /// Label windows a tick closes; the rest close at the next.
    pub closings_per_tick: usize,
    /// Items and categories remembered of a user; the longest untouched gives way.
    pub interests_max: usize,
}

/// Signs of bots and fraud, and what follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards {
    /// More actions of one person with one advertiser than this, within a minute, lead into quarantine; 0 for no limit.
    pub actions_per_minute_max: u32,
    /// Who is in quarantine stays there until this long after the last act.
    pub quarantine: Span,
}

/// What is accepted late, and what is kept how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Oldest accepted action, click or link; conversions until their window + this.
    pub lateness: Span,
    /// How far ahead of the engine's clock an event may be.
    pub clock_skew: Span,
    /// How long a conversion can be retracted.
    pub retraction: Span,
    /// How long a token is accepted.
    pub token: Span,
    /// A profile unseen for so long is forgotten.
    pub profile: Span,
}

impl Default for Learner {
    fn default() -> Learner {
        Learner { alpha: 0.1, beta: 1.0, l1: 0.0, l2: 1.0, half_life: Span::days(30), table_bits: 18 }
    }
}

impl Default for Arms {
    fn default() -> Arms {
        Arms { salt: 0, control_share: 0.05, holdout_share: 0.0 }
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            profiles_max: 10_000_000,
            live_impressions_max: 2_000_000,
            live_per_user_max: 512,
            conversions_max: 1_000_000,
            event_ids_max: 1_000_000,
            linked_ids_max: 16,
            closings_per_tick: 10_000,
            interests_max: 16,
        }
    }
}

impl Guards {
    /// No limit.
    pub const OFF: Guards = Guards { actions_per_minute_max: 0, quarantine: Span::hours(1) };
}

impl Default for Guards {
    fn default() -> Guards {
        Guards { actions_per_minute_max: 300, ..Guards::OFF }
    }
}

impl Default for Retention {
    fn default() -> Retention {
        Retention {
            lateness: Span::hours(72),
            clock_skew: Span::minutes(5),
            retraction: Span::days(30),
            token: Span::hours(24),
            profile: Span::days(90),
        }
    }
}

impl Default for Multiplier {
    fn default() -> Multiplier {
        Multiplier {
            baseline: Baseline::Context,
            exponent: 1.0,
            min: 0.3,
            max: 3.0,
            prior_variance: 10.0,
            support: 25,
            spend_control: true,
            exploration: 0.0,
        }
    }
}

/// As derived, but that no exploration is left out: a state's digest holds this form, and who does not explore has the
/// digest that versions without exploration tell.
impl fmt::Debug for Multiplier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Multiplier { baseline, exponent, min, max, prior_variance, support, spend_control, exploration } = self;
        let mut all = out.debug_struct("Multiplier");
        all.field("baseline", baseline).field("exponent", exponent).field("min", min).field("max", max);
        all.field("prior_variance", prior_variance).field("support", support).field("spend_control", spend_control);
        if *exploration != 0.0 {
            all.field("exploration", exploration);
        }
        all.finish()
    }
}

impl Arms {
    /// The shares that hold for an advertiser.
    pub fn of(self, advertiser: &Advertiser) -> Arms {
        Arms { holdout_share: advertiser.holdout_share.unwrap_or(self.holdout_share), ..self }
    }
}

impl Goal {
    /// A goal with the default settings.
    pub fn new(id: Id) -> Goal {
        Goal {
            id,
            converting_action: None,
            click_window: Span::days(7),
            view_window: Span::days(1),
            conversion_delay_min: Span::ZERO,
            milestones: Vec::new(),
            value: Micros(0),
            currency: Currency::USD,
            prior_rate: 0.01,
            half_life: Span::days(14),
            credit: Credit::LastTouch,
            suppress_after_conversion: None,
            multiplier: Multiplier::default(),
        }
    }

    /// The longest time an impression can wait for its label.
    pub fn window(&self) -> Span {
        self.click_window.max(self.view_window)
    }
}

impl Advertiser {
    /// An advertiser with the standard actions and nothing else.
    pub fn new(id: Id) -> Advertiser {
        let actions = STANDARD_ACTIONS
            .iter()
            .map(|action| ActionSetting {
                id: Id::literal(action.name),
                kind: action.kind,
                half_life: HALF_LIFE_DEFAULT,
            })
            .collect();
        Advertiser {
            id,
            actions,
            goals: Vec::new(),
            campaigns: Vec::new(),
            segments: Vec::new(),
            externals: Vec::new(),
            holdout_share: None,
        }
    }

    /// The action of a name.
    pub fn action(&self, name: &str) -> Option<&ActionSetting> {
        self.actions.iter().find(|action| action.id.as_str() == name)
    }
}

impl Rule {
    /// The conditions, without what joins and negates them, from left to right.
    pub fn conditions(&self) -> Vec<&Rule> {
        match self {
            Rule::All(parts) | Rule::Any(parts) => parts.iter().flat_map(Rule::conditions).collect(),
            Rule::Not(part) => part.conditions(),
            condition => vec![condition],
        }
    }
}

/// Whether a name is one of an external segment: a provider, a slash, and the provider's own name of it.
pub fn is_external_name(name: &str) -> bool {
    name.split_once('/').is_some_and(|(provider, segment)| !provider.is_empty() && !segment.is_empty())
}

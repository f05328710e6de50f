//! Answering a bid request from the state as it is.

use std::sync::Arc;

use arc_swap::ArcSwap;
use arrayvec::ArrayVec;

use super::arms;
use super::catalog::{AdvertiserInForce, Catalog, GoalInForce};
use super::combine::{self, Doubt};
use super::explain;
use super::exploration::Draw;
use super::features::{Asked, FeatureSet, History, Surroundings};
use super::guards::Quarantine;
use super::multiplier::{Base, Estimate, Factors, multiplier};
use super::paths::SupportedPaths;
use super::people::Roots;
use super::profile::Profile;
use super::profiles::ProfileKey;
use super::segments::RuleSegments;
use super::shards::Shards;
use crate::exposure::{Arm, EXPOSED_SEGMENTS_MAX, Exposure, FEATURE_SCHEMA, GoalScore, NOT_BID, sort_into};
use crate::hash;
use crate::ids::{ActionCode, AdvertiserCode, GoalCode, OpportunityKey, SegmentCode, UserKey};
use crate::learn::PerLane;
use crate::learn::calibration::Curve;
use crate::learn::ftrl::{Model, Prediction};
use crate::math;
use crate::opportunity::{GOALS_PER_TARGET_MAX, PrivacyMode, ScoreRequest, Target};
use crate::rejection::Rejection;
use crate::settings::{Baseline, RULE_SEGMENTS_MAX};
use crate::signal::{Combined, NEUTRAL, Neutral, Readiness, Reason, Scored, Signal, Signals, Suppression};
use crate::units::{Micros, Timestamp};

/// What scorers and the engine share.
#[derive(Debug)]
pub(super) struct Shared {
    pub profiles: Arc<Shards>,
    pub roots: Arc<Roots>,
    pub quarantine: Arc<Quarantine>,
    pub published: ArcSwap<Published>,
}

/// What scorers see all at once: replaced before a frame is acknowledged.
#[derive(Debug, Default)]
pub(super) struct Published {
    pub catalog: Arc<Catalog>,
    /// Which paths are features.
    pub paths: SupportedPaths,
    /// By goal code.
    pub goals: Vec<GoalView>,
}

/// A goal as scorers see it.
#[derive(Debug, Clone)]
pub(super) struct GoalView {
    pub model: Model,
    /// How far each lane of the model is believed.
    pub belief: PerLane,
    /// Log-odds that the model's weights add to.
    pub intercept: f64,
    /// What is added to the log-odds after that, because predictions turned out to be off.
    pub correction: Curve,
    /// Probability that a flat base bid pays for.
    pub baseline: f64,
    /// What is known of a person adds to the log-odds of the context, in the mean.
    pub gap: f64,
    pub readiness: Readiness,
    /// Factor on all multipliers that keeps spend at what it would be without them.
    pub spend_factor: f64,
    /// Credited value of a positive impression, in micros.
    pub value: f64,
}

/// A reader of the engine's state: cheap to clone, never blocks the writer for longer than a copy.
#[derive(Debug, Clone)]
pub struct Scorer {
    pub(super) shared: Arc<Shared>,
}

/// The person a request is about, as one advertiser knows it.
struct Person {
    advertiser: AdvertiserCode,
    root: Option<UserKey>,
    profile: Profile,
    segments: ArrayVec<SegmentCode, { RULE_SEGMENTS_MAX + EXPOSED_SEGMENTS_MAX }>,
    externals: ArrayVec<SegmentCode, EXPOSED_SEGMENTS_MAX>,
    /// Product of the segments' weights.
    weight: f64,
    arm: Arm,
    /// Acts as no person does.
    is_quarantined: bool,
}

impl Person {
    /// Somebody of whom nothing is known yet.
    fn nobody(advertiser: AdvertiserCode) -> Person {
        Person {
            advertiser,
            root: None,
            profile: Profile::default(),
            segments: ArrayVec::new(),
            externals: ArrayVec::new(),
            weight: 1.0,
            arm: Arm::Treated,
            is_quarantined: false,
        }
    }
}

impl Scorer {
    /// Answers a bid request from the state as it is; changes nothing.
    ///
    /// `at` is the engine's clock: the receive time, or, where events drive the clock, the request's own time. A
    /// request that breaks a limit has all its targets refused.
    pub fn score(&self, at: Timestamp, request: &ScoreRequest) -> Signals {
        if let Err(rejection) = request.check() {
            return request.targets.iter().map(|_| Err(rejection.clone())).collect();
        }
        let published = self.shared.published.load();
        let surroundings = Surroundings::of(&request.context, &request.numbers);
        let scoring = Scoring { shared: &self.shared, published: &published, at, request, surroundings };
        let mut person = None;
        request.targets.iter().map(|target| scoring.target(target, &mut person)).collect()
    }

    /// The settings in force and all names and codes.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.shared.published.load().catalog)
    }
}

/// One target as it is looked at.
struct Seen<'a> {
    target: &'a Target,
    opportunity: OpportunityKey,
    /// By which opportunities are dealt.
    salt: u64,
    asked: &'a Asked<'a>,
    /// `None` where nothing is known of the person.
    history: Option<History<'a>>,
    set: &'a FeatureSet,
}

/// One request being answered.
struct Scoring<'a> {
    shared: &'a Shared,
    published: &'a Published,
    at: Timestamp,
    request: &'a ScoreRequest,
    surroundings: Surroundings,
}

impl Scoring<'_> {
    /// Answers one target. `person` is kept from the target before, for the same advertiser.
    fn target(&self, target: &Target, person: &mut Option<Person>) -> Result<Scored, Rejection> {
        target.check()?;
        let catalog = &self.published.catalog;
        let unknown = || Rejection::UnknownAdvertiser(target.advertiser.clone());
        let advertiser = catalog.advertiser(target.advertiser.as_str()).ok_or_else(unknown)?;
        let in_force = catalog.in_force(advertiser).ok_or_else(unknown)?;
        let goals = self.goals(target, advertiser, in_force)?;
        if self.request.privacy == PrivacyMode::Neutral {
            let signals: Vec<Signal> = goals.iter().map(|goal| self.without_consent(*goal)).collect();
            let combined = self.combined(target, in_force, &signals, &[], 1.0);
            return Ok(Scored { signals, combined, exposure: None });
        }
        if person.as_ref().is_none_or(|known| known.advertiser != advertiser) {
            self.look_up(person.insert(Person::nobody(advertiser)), in_force);
        }
        let person = person.as_ref().expect("set just above");
        let asked = Asked {
            at: self.at,
            surroundings: &self.surroundings,
            item: target.item.as_ref().map(|item| hash::item_key(item.as_str())),
            category: target.category.as_ref().map(|category| hash::item_key(category.as_str())),
            base_p: target.base_p,
        };
        let paths = (&self.published.paths, advertiser);
        let history = History { profile: &person.profile, in_force, segments: &person.segments, paths };
        let history = person.root.map(|_| history);
        let set = FeatureSet::build(&asked, history);
        let opportunity = hash::opportunity_key(target.advertiser.as_str(), self.request.opportunity.as_str());
        let seen = Seen { target, opportunity, salt: in_force.arms.salt, asked: &asked, history, set: &set };
        let scored = goals.iter().map(|goal| self.signal(*goal, person, &seen));
        let (signals, doubts): (Vec<Signal>, ArrayVec<Doubt, GOALS_PER_TARGET_MAX>) = scored.unzip();
        let combined = self.combined(target, in_force, &signals, &doubts, person.weight);
        let mut exposure = Box::new(self.exposure(person, &seen, &signals, combined.as_deref()));
        sort_into(&mut exposure.features, &set.features);
        Ok(Scored { signals, combined, exposure: Some(exposure) })
    }

    /// The goals asked for: the target's, else those of its campaign, which must then be configured, else all of the
    /// advertiser's.
    fn goals(
        &self,
        target: &Target,
        advertiser: AdvertiserCode,
        in_force: &AdvertiserInForce,
    ) -> Result<ArrayVec<GoalCode, GOALS_PER_TARGET_MAX>, Rejection> {
        let unknown = |goal: &crate::ids::Id| Rejection::UnknownGoal {
            advertiser: target.advertiser.clone(),
            goal: goal.clone(),
        };
        if !target.goals.is_empty() {
            let code = |goal| self.published.catalog.goal(advertiser, goal);
            return target.goals.iter().map(|goal| code(goal.as_str()).ok_or_else(|| unknown(goal))).collect();
        }
        let campaign = match &target.campaign {
            Some(campaign) => Some(in_force.campaigns.get(campaign).ok_or_else(|| {
                let advertiser = &target.advertiser;
                Rejection::invalid("campaign", format!("'{campaign}' is not configured for advertiser '{advertiser}'"))
            })?),
            None => None,
        };
        let goals = campaign.map(|campaign| &campaign.goals).filter(|goals| !goals.is_empty());
        let goals = goals.unwrap_or(&in_force.goals);
        Ok(goals.iter().copied().take(GOALS_PER_TARGET_MAX).collect())
    }

    /// Finds out about the person: the first of the request's users that has a profile, else the first.
    fn look_up(&self, person: &mut Person, in_force: &AdvertiserInForce) {
        let advertiser = person.advertiser;
        let is_known = self.request.privacy == PrivacyMode::Full;
        for user in self.request.users.iter().filter(|_| is_known).map(|user| self.shared.roots.root(*user)) {
            person.root = person.root.or(Some(user));
            let key = ProfileKey::of(user, advertiser);
            if self.shared.profiles.read(key, |kept| kept.unpack(&mut person.profile)).is_some() {
                person.root = Some(user);
                break;
            }
        }
        let catalog = &self.published.catalog;
        let named = self.request.segments.iter().filter_map(|name| catalog.external(advertiser, name.as_str()));
        let externals = &mut person.externals;
        for segment in named {
            if !externals.is_full() && !externals.contains(&segment) {
                externals.push(segment);
            }
        }
        let rules = match person.root {
            Some(_) => RuleSegments::of(in_force, &person.profile, externals, self.at.tick()),
            None => RuleSegments::default(),
        };
        let weights = in_force.segments.iter().filter(|segment| rules.contains(segment.code)).map(|one| one.weight);
        let external_weight = |code: &SegmentCode| in_force.external_weights.get(code.index() - RULE_SEGMENTS_MAX);
        person.weight = weights.chain(externals.iter().filter_map(external_weight).copied()).product();
        person.segments.extend(rules.codes().chain(externals.iter().copied()));
        person.arm = person.root.map_or(Arm::Treated, |root| arms::arm(&in_force.arms, root));
        let quarantine = |root| self.shared.quarantine.holds(ProfileKey::of(root, advertiser), self.at.tick());
        person.is_quarantined = person.root.is_some_and(|root| quarantine(root).is_some());
    }

    /// One factor for all goals of the campaign's objective, where all were scored. `doubts` stand in the order of the
    /// signals; none for no doubt.
    fn combined(
        &self,
        target: &Target,
        in_force: &AdvertiserInForce,
        signals: &[Signal],
        doubts: &[Doubt],
        weight: f64,
    ) -> Option<Box<Combined>> {
        let campaign = in_force.campaigns.get(target.campaign.as_ref()?)?;
        let scored = |(goal, weight): &(GoalCode, f64)| {
            let place = signals.iter().position(|signal| signal.goal == *goal)?;
            Some(combine::Scored {
                signal: &signals[place],
                doubt: doubts.get(place).copied().unwrap_or_default(),
                weight: *weight,
                settings: &self.published.catalog.goal_in_force(*goal)?.setting.multiplier,
            })
        };
        let goals: Option<ArrayVec<_, GOALS_PER_TARGET_MAX>> =
            campaign.objective.iter().take(GOALS_PER_TARGET_MAX).map(scored).collect();
        combine::combine(&goals?, weight).map(Box::new)
    }

    /// Answers for one goal; with it how uncertain that is.
    fn signal(&self, goal: GoalCode, person: &Person, seen: &Seen<'_>) -> (Signal, Doubt) {
        let view = &self.published.goals[goal.index()];
        let in_force = self.published.catalog.goal_in_force(goal).expect("only goals in force are asked for");
        let (of_context, of_person) = seen.set.features.split_at(seen.set.context);
        let context = view.model.predict(&view.belief, of_context);
        let prediction = view.model.predict_beyond(&view.belief, context, of_person);
        let estimate = Estimate::new(view.intercept, prediction, &view.correction);
        let settings = &in_force.setting.multiplier;
        let base = base(settings.baseline, view, &estimate, context, seen);
        let neutral = match view.readiness {
            _ if person.is_quarantined => Some(Neutral::Quarantined),
            Readiness::Cold | Readiness::Warming { .. } => Some(Neutral::Support),
            _ if base.is_none() => Some(Neutral::NoBaseP),
            Readiness::Ready | Readiness::Degraded => None,
        };
        let base = base.unwrap_or(Base { p: estimate.p, variance: estimate.variance, doubted: 0.0 });
        // Of people without an id none is in the control arm, so nobody can say what they would spend.
        let spend_factor = if neutral.is_none() && person.root.is_some() { view.spend_factor } else { 1.0 };
        let explores = settings.exploration > 0.0 && neutral.is_none();
        let draw = if explores { explore(goal, settings.exploration, person, seen) } else { None };
        let factors = Factors { weight: person.weight, spend: spend_factor };
        let factor = || multiplier(settings, estimate.p, base, factors, draw);
        let (treated_multiplier, explored) = if neutral.is_some() { (NEUTRAL, None) } else { factor() };
        let is_control = person.arm == Arm::Control;
        let doubt = Doubt { variance: base.variance, doubted: base.doubted, draw, neutral };
        let neutral = if is_control { Some(Neutral::ControlArm) } else { neutral };
        let signal = Signal {
            goal,
            multiplier: if is_control { NEUTRAL } else { treated_multiplier },
            treated_multiplier,
            spend_factor,
            explored: explored.filter(|_| !is_control),
            suppress: suppression(in_force, goal, person, self.at),
            p_conversion: estimate.p,
            interval: estimate.interval,
            baseline: base.p,
            expected_value: Micros((estimate.p * view.value) as i64),
            stage: furthest(&in_force.milestones, &person.profile),
            segments: person.segments.as_slice().into(),
            readiness: view.readiness,
            neutral,
            arm: person.arm,
            logit: estimate.logit,
            correction: estimate.correction,
            intercept: view.intercept,
            reasons: self.reasons(view, seen),
        };
        (signal, doubt)
    }

    /// The strongest contributions, as many as were asked for.
    fn reasons(&self, view: &GoalView, seen: &Seen<'_>) -> Vec<Reason> {
        if self.request.reasons_max == 0 {
            return Vec::new();
        }
        let terms = view.model.terms(&view.belief, &seen.set.features).zip(seen.set.causes.iter().copied());
        explain::reasons(terms, seen.asked, seen.history.as_ref(), self.request.reasons_max)
    }

    fn without_consent(&self, goal: GoalCode) -> Signal {
        let view = &self.published.goals[goal.index()];
        Signal {
            goal,
            multiplier: NEUTRAL,
            treated_multiplier: NEUTRAL,
            spend_factor: 1.0,
            explored: None,
            suppress: None,
            p_conversion: view.baseline,
            interval: (view.baseline, view.baseline),
            baseline: view.baseline,
            expected_value: Micros((view.baseline * view.value) as i64),
            stage: None,
            segments: Default::default(),
            readiness: view.readiness,
            neutral: Some(Neutral::NoConsent),
            arm: Arm::Treated,
            logit: math::logit(view.baseline),
            correction: 0.0,
            intercept: view.intercept,
            reasons: Vec::new(),
        }
    }

    /// What to seal, but for the features. Where one factor stands for several goals, it is the lead's.
    fn exposure(&self, person: &Person, seen: &Seen<'_>, signals: &[Signal], combined: Option<&Combined>) -> Exposure {
        let target = seen.target;
        let combined = |goal: GoalCode| combined.filter(|combined| combined.parts.iter().any(|part| part.goal == goal));
        let score = |signal: &Signal| {
            let (multiplier, explored) = match combined(signal.goal) {
                None => (signal.treated_multiplier, signal.explored),
                Some(combined) if combined.lead == signal.goal => (combined.treated_multiplier, combined.explored),
                Some(_) => (NOT_BID, None),
            };
            GoalScore {
                goal: signal.goal,
                logit: signal.logit as f32,
                p: signal.p_conversion as f32,
                multiplier: multiplier as f32,
                is_explored: explored.is_some(),
            }
        };
        Exposure {
            schema: FEATURE_SCHEMA,
            opportunity: seen.opportunity,
            user: person.root,
            advertiser: person.advertiser,
            line_item: target.line_item.as_ref().map(|line_item| hash::item_key(line_item.as_str())),
            item: seen.asked.item,
            category: seen.asked.category,
            scored_at: self.at,
            arm: person.arm,
            goals: signals.iter().take(crate::exposure::EXPOSED_GOALS_MAX).map(score).collect(),
            externals: person.externals.clone(),
            features: ArrayVec::new(),
        }
    }
}

/// How far a bidder's own probability is believed to be off: the variance of its logarithm. A model that bids on
/// contexts is mostly older and better fed than ours is of them.
const STATED_VARIANCE: f64 = 0.02;

/// What the probability is compared with; `None` where the request was to say it and does not.
///
/// Against the context, the log-odds of its features alone are moved by what people's features add in the mean, so that
/// ln ρ is 0 in the mean. Where nothing is known of the person, there is nothing to pay for: ρ is 1.
///
/// Against the request, what the person adds counts in full; what the model and the bidder's own probability disagree
/// on about the context counts as far as the model is surer of it than of the bidder (see [`STATED_VARIANCE`]).
fn base(
    baseline: Baseline,
    view: &GoalView,
    estimate: &Estimate,
    context: Prediction,
    seen: &Seen<'_>,
) -> Option<Base> {
    let (variance, set) = (estimate.variance, seen.set);
    let of_context = || match set.context == set.features.len() {
        true => Base { p: estimate.p, variance: 0.0, doubted: 0.0 },
        false => {
            let logit = view.intercept + context.logit + view.gap;
            let p = math::sigmoid(logit + view.correction.shift(logit));
            Base { p, variance: (variance - context.variance).max(0.0), doubted: 0.0 }
        }
    };
    match baseline {
        Baseline::Goal => Some(Base { p: view.baseline, variance, doubted: 0.0 }),
        Baseline::Context => Some(of_context()),
        Baseline::Request => seen.target.base_p.map(|stated| {
            let alone = of_context();
            let doubt = (1.0 - alone.p) * (1.0 - alone.p) * context.variance;
            let doubted = math::ln(alone.p / stated) * doubt / (doubt + STATED_VARIANCE);
            Base { p: stated, variance: alone.variance, doubted }
        }),
    }
}

/// How an opportunity is explored for a goal, where it is: only for somebody who is known by an id, as others are not
/// learned apart.
///
/// Control is answered 1 all the same, but its would-be multipliers are drawn as often as those of treated people: what
/// multipliers spend is told by how both lie (see [`tilt`](crate::stats::tilt)). Who is held out gets no ad that could
/// teach anything.
fn explore(goal: GoalCode, share: f64, person: &Person, seen: &Seen<'_>) -> Option<Draw> {
    if person.root.is_none() || person.arm == Arm::Holdout {
        return None;
    }
    Draw::of(share, seen.salt, goal, seen.opportunity)
}

/// Why a person shall see no ad for a goal. Who has just converted would see none in any arm.
fn suppression(goal: &GoalInForce, code: GoalCode, person: &Person, at: Timestamp) -> Option<Suppression> {
    let has_reached = |within| person.profile.has_just_reached(code, within, at.tick());
    if goal.setting.suppress_after_conversion.is_some_and(has_reached) {
        return Some(Suppression::JustConverted);
    }
    (person.arm == Arm::Holdout).then_some(Suppression::Holdout)
}

/// The furthest of some milestones that was done; the furthest stands last.
fn furthest(milestones: &[ActionCode], profile: &Profile) -> Option<ActionCode> {
    milestones.iter().rev().copied().find(|milestone| profile.action(*milestone).is_some())
}

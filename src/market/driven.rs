//! The engine in the market: events in, multipliers out, by the same `apply` and `score` as in production.

use std::collections::HashMap;

use super::policy::Worth;
use super::scenario::Attribution;
use super::truth::Opportunity;
use super::world::{Ad, Happening, World};
use crate::engine::{Engine, Scorer, tick_due};
use crate::event::{Action, Click, Event, EventId, Impression, Record, Retraction, Shown};
use crate::exposure::{Arm, Exposure};
use crate::hash::{self, KeyHasher};
use crate::ids::{Id, UserKey};
use crate::opportunity::{PrivacyMode, ScoreRequest, Target};
use crate::settings::{ActionSetting, Advertiser, Baseline, ExternalSegment, Goal, Settings};
use crate::signal::Suppression;
use crate::units::{Micros, Money, Span, Timestamp};

/// The market's day 0: 2026-01-01.
const START_MS: u64 = 1_767_225_600_000;
/// Bounds of a stated probability.
const STATED: (f64, f64) = (1e-9, 1.0 - 1e-9);
/// Names of the devices.
const DEVICES: [&str; 2] = ["phone", "tv"];

/// What the multiplier is a factor on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseBid {
    /// The same bid for all.
    Flat,
    /// In proportion to the context's probability of a purchase.
    Context,
    /// The same, and the request states that probability.
    Stated,
}

impl BaseBid {
    /// What the goal's multiplier then has to be measured against.
    pub fn baseline(self) -> Baseline {
        match self {
            BaseBid::Flat => Baseline::Goal,
            BaseBid::Context => Baseline::Context,
            BaseBid::Stated => Baseline::Request,
        }
    }
}

/// The engine at work.
pub struct Driven {
    engine: Engine,
    scorer: Scorer,
    base: BaseBid,
    mean_p: f64,
    names: Names,
    request: ScoreRequest,
    /// What was scored last.
    latest: Option<Box<Exposure>>,
    /// Ads whose notice is on its way.
    shown: HashMap<Ad, Unnoticed, KeyHasher>,
}

/// An ad that was shown, of which the engine does not know yet.
struct Unnoticed {
    exposure: Box<Exposure>,
    bid: Money,
    cost: Money,
    /// When it was clicked: senders repeat a click that is refused until its impression is known.
    clicked_ms: Option<u64>,
}

/// Names that the engine is told.
struct Names {
    advertiser: Id,
    view: Id,
    purchase: Id,
    acts: Vec<Id>,
    contexts: Vec<Vec<Id>>,
    segments: Vec<Id>,
    devices: [Id; 2],
    campaigns: Vec<Id>,
    /// Mixed into the ids of people: each seed deals them into other arms.
    seed: u64,
}

fn named(text: String) -> Id {
    Id::new(text).expect("made of words and numbers")
}

/// The settings of a market for which none were given: one advertiser with the goal `purchase`, all else by default.
pub fn settings_of(world: &super::scenario::Scenario) -> Settings {
    let mut advertiser = Advertiser::new(Id::literal("shop"));
    let mut goal = Goal::new(Id::literal("purchase"));
    goal.converting_action = Some(Id::literal("purchase"));
    (goal.click_window, goal.view_window) = match world.attribution {
        Attribution::Click => (world.window, Span::minutes(1)),
        Attribution::View => (world.window, world.window),
    };
    goal.value = world.value;
    goal.milestones = ["view_item", "add_to_cart", "begin_checkout"].map(Id::literal).to_vec();
    for (name, _) in world.intents.iter().flat_map(|intent| &intent.acts) {
        if advertiser.action(name.as_str()).is_none() {
            let setting = ActionSetting {
                id: name.clone(),
                kind: crate::action::ActionKind::Secondary,
                half_life: crate::action::HALF_LIFE_DEFAULT,
            };
            advertiser.actions.push(setting);
        }
    }
    advertiser.goals.push(goal);
    advertiser.externals =
        world.segments.iter().map(|segment| ExternalSegment { id: segment.id.clone(), weight: 1.0 }).collect();
    Settings { advertisers: vec![advertiser], ..Settings::default() }
}

impl Driven {
    /// The engine under these settings, of which the first goal of the first advertiser is bid for.
    pub fn new(world: &World<'_>, settings: &Settings, base: BaseBid, mean_p: f64) -> Driven {
        let mut settings = settings.clone();
        let advertiser = &mut settings.advertisers[0];
        advertiser.goals[0].multiplier.baseline = base.baseline();
        let names = Names::new(world, advertiser);
        let goal = advertiser.goals[0].id.clone();
        let mut engine = Engine::new();
        let start = Timestamp(START_MS);
        let event = Event::Configured(Box::new(settings));
        engine.apply(&Record { at: start, occurred_at: start, event_id: None, event });
        engine.publish();
        let request = ScoreRequest {
            opportunity: Id::literal("o"),
            users: Vec::with_capacity(1),
            context: Vec::new(),
            numbers: Vec::new(),
            segments: Vec::new(),
            privacy: PrivacyMode::Full,
            targets: vec![Target {
                advertiser: names.advertiser.clone(),
                campaign: None,
                line_item: None,
                creative: None,
                item: None,
                category: None,
                goals: vec![goal],
                base_p: None,
            }],
            reasons_max: 0,
        };
        let scorer = engine.scorer();
        Driven { engine, scorer, base, mean_p, names, request, latest: None, shown: HashMap::default() }
    }

    /// The base bid times the multiplier, relative to the mean; and the probability that the engine tells.
    pub fn worth(&mut self, world: &World<'_>, opportunity: &Opportunity) -> Worth {
        let context_p = world.truth.p_of_context(opportunity);
        let base = if self.base == BaseBid::Flat { 1.0 } else { context_p / self.mean_p };
        self.fill(world, opportunity);
        self.request.targets[0].base_p = (self.base == BaseBid::Stated).then(|| context_p.clamp(STATED.0, STATED.1));
        self.engine.publish();
        let at = Timestamp(START_MS + opportunity.at_ms).max(self.engine.now());
        let mut signals = self.scorer.score(at, &self.request);
        let scored = signals.pop().and_then(Result::ok);
        self.latest = None;
        let Some(scored) = scored else { return Worth { bid: base, ..Worth::default() } };
        self.latest = scored.exposure;
        let signal = &scored.signals[0];
        let worth = Worth { told: Some(signal.p_conversion), ..Worth::default() };
        match signal.suppress {
            None => {
                let at_one = (signal.arm == Arm::Treated).then_some(base);
                Worth { bid: base * signal.multiplier, at_one, ..worth }
            }
            Some(Suppression::Holdout) => Worth { withheld: Some(base * signal.multiplier), ..worth },
            Some(Suppression::JustConverted) => worth,
        }
    }

    fn fill(&mut self, world: &World<'_>, opportunity: &Opportunity) {
        let (names, request) = (&self.names, &mut self.request);
        request.opportunity = named(format!("{}-{}", opportunity.person, opportunity.number));
        request.users.clear();
        request.users.push(names.user(opportunity.person, opportunity.device));
        request.context.clear();
        for (kind, context) in world.scenario.contexts.iter().enumerate() {
            let value = opportunity.contexts[kind] as usize;
            request.context.push((context.name.clone(), names.contexts[kind][value].clone()));
        }
        request.context.push((Id::literal("device"), names.devices[usize::from(opportunity.device)].clone()));
        if names.campaigns.len() > 1 {
            let campaign = names.campaigns[usize::from(opportunity.campaign)].clone();
            request.context.push((Id::literal("campaign"), campaign));
        }
        let segments = names.segments.iter().enumerate();
        let of = segments.filter(|(place, _)| opportunity.segments >> place & 1 == 1);
        request.segments = of.map(|(_, name)| name.clone()).collect();
    }

    /// The ad of what was scored last is shown, for what was bid and paid, in nanos; its notice will come.
    pub fn shown(&mut self, opportunity: &Opportunity, (bid, paid): (i64, i64)) {
        if let Some(exposure) = self.latest.take() {
            let money = |nanos: i64| Money { amount: Micros((nanos + 500) / 1_000), currency: None };
            let unnoticed = Unnoticed { exposure, bid: money(bid), cost: money(paid), clicked_ms: None };
            self.shown.insert(opportunity.ad(), unnoticed);
        }
    }

    /// The ad of what was scored last would have been shown, if the person were not held out: bidders know at once.
    pub fn withheld(&mut self, now: u64) {
        if let Some(exposure) = self.latest.take() {
            self.apply(now, None, Event::GhostImpression(exposure));
        }
    }

    /// Something happened.
    pub fn happened(&mut self, now: u64, happening: &Happening) {
        match *happening {
            Happening::Visit { person, device, by, acts } => {
                if let Some(ad) = by {
                    match self.shown.get_mut(&ad) {
                        Some(unnoticed) => unnoticed.clicked_ms = Some(now),
                        None => self.click(now, now, ad),
                    }
                }
                for _ in 0..acts.views {
                    let view = self.names.view.clone();
                    self.act(now, None, (person, device), view);
                }
                for place in (0..self.names.acts.len()).filter(|place| acts.done >> place & 1 == 1) {
                    let act = self.names.acts[place].clone();
                    self.act(now, None, (person, device), act);
                }
            }
            Happening::Notice(ad) => {
                if let Some(Unnoticed { exposure, bid, cost, clicked_ms }) = self.shown.remove(&ad) {
                    let shown_at = exposure.scored_at;
                    let of = Shown::Scored(exposure);
                    self.apply_late(
                        now,
                        shown_at,
                        None,
                        Event::Impression(Impression { of, cost: Some(cost), bid: Some(bid) }),
                    );
                    if let Some(clicked_ms) = clicked_ms {
                        self.click(now, clicked_ms, ad);
                    }
                }
            }
            Happening::Purchase { person, device, number } => {
                let purchase = self.names.purchase.clone();
                self.act(now, Some(named(format!("purchase-{number}"))), (person, device), purchase);
            }
            Happening::Refund { number } => {
                let conversion_id = named(format!("purchase-{number}"));
                let advertiser = self.names.advertiser.clone();
                self.apply(now, None, Event::Retraction(Retraction { advertiser, conversion_id }));
            }
            Happening::Link { person } => {
                self.apply(now, None, Event::Link([0, 1].map(|device| self.names.user(person, device))));
            }
        }
    }

    fn act(&mut self, now: u64, event_id: Option<Id>, (person, device): (u32, u8), action: Id) {
        let advertiser = self.names.advertiser.clone();
        let user = self.names.user(person, device);
        let action = Action { user, advertiser, action, item: None, category: None, value: None };
        self.apply(now, event_id, Event::Action(action));
    }

    fn click(&mut self, now: u64, clicked_ms: u64, ad: Ad) {
        let name = format!("{}-{}", ad.person, ad.number);
        let key = hash::opportunity_key(self.names.advertiser.as_str(), &name);
        self.apply_late(now, Timestamp(START_MS + clicked_ms), None, Event::Click(Click::Opportunity(key)));
    }

    fn apply(&mut self, now: u64, event_id: Option<Id>, event: Event) {
        self.apply_late(now, Timestamp(START_MS + now), event_id, event);
    }

    /// Tells now what happened at another time.
    fn apply_late(&mut self, now: u64, occurred_at: Timestamp, event_id: Option<Id>, event: Event) {
        let at = Timestamp(START_MS + now).max(self.engine.now());
        if let Some(second) = tick_due(self.engine.now(), at) {
            self.engine.apply(&Record { at: second, occurred_at: second, event_id: None, event: Event::Tick });
        }
        let event_id = event_id.map(EventId::from);
        self.engine.apply(&Record { at, occurred_at: occurred_at.min(at), event_id, event });
    }
}

impl Names {
    fn new(world: &World<'_>, advertiser: &Advertiser) -> Names {
        let scenario = world.scenario;
        let values = |context: &super::scenario::Context| {
            (0..context.values).map(|value| named(format!("{}-{value}", context.name))).collect()
        };
        let purchase = advertiser.goals[0].converting_action.clone();
        Names {
            advertiser: advertiser.id.clone(),
            view: Id::literal("view_item"),
            purchase: purchase.unwrap_or_else(|| Id::literal("purchase")),
            acts: world.act_names().to_vec(),
            contexts: scenario.contexts.iter().map(values).collect(),
            segments: scenario.segments.iter().map(|segment| segment.id.clone()).collect(),
            devices: DEVICES.map(Id::literal),
            campaigns: scenario.campaigns.iter().map(|campaign| campaign.name.clone()).collect(),
            seed: world.draws.0,
        }
    }

    fn user(&self, person: u32, device: u8) -> UserKey {
        UserKey(hash::mix(hash::mix(u64::from(person), u64::from(device)), self.seed))
    }
}

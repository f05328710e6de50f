//! One journey log through one engine, in order: scored before anything later is known, learned when it becomes known.

use std::collections::{BTreeSet, HashMap};

use arrayvec::ArrayVec;

use super::joins::Joined;
use super::lines::{LineCounts, count};
use super::predictions::{Prediction, PredictionFile, ReplayError, names_of};
use super::traits::{Kind, TRAITS_MAX, Trait, Traits};
use super::unused::Unused;
use super::waiting::{Offer, Outcome, WaitingRoom};
use crate::engine::{Applied, Catalog, Engine, Scorer, tick_due};
use crate::event::{Action, Conversion, Converter, Event, Impression, Record, Shown};
use crate::exposure::{Arm, Exposure};
use crate::hash::{self, KeyHasher};
use crate::ids::{AdvertiserCode, GoalCode, Id, UserKey};
use crate::journey::{self, Line, LineFault};
use crate::opportunity::{PrivacyMode, ScoreRequest, Target};
use crate::rejection::Rejection;
use crate::settings::Settings;
use crate::signal::{RECENCY_BOUNDS_S, Scored, Signal};
use crate::units::{Micros, Money, Span, Timestamp};

/// All that a replay has brought to light.
#[derive(Debug)]
pub struct Played {
    /// One for each opportunity that was scored, in the order of the log.
    pub predictions: Vec<Prediction>,
    /// Names of what the predictions' traits are.
    pub traits: Traits,
    /// Number of different users.
    pub users: u32,
    /// Names of opportunities that no feature is made of.
    pub unused: Unused,
    /// Lines by kind.
    pub lines: LineCounts,
    /// Time of the first line; that of the last where there is none.
    pub began_at: Timestamp,
    /// Time of the last line.
    pub ended_at: Timestamp,
    /// Goals whose conversions all name their opportunity.
    pub named_goals: BTreeSet<GoalCode>,
    /// The engine as the log left it.
    pub engine: Engine,
    /// Where the predictions are to be written, if they are.
    pub file: Option<PredictionFile>,
}

/// Opportunities of one replay: each prediction is kept until all are evaluated.
pub(super) const OPPORTUNITIES_MAX: usize = 100_000_000;

/// The replay at work.
pub struct Player {
    engine: Engine,
    scorer: Scorer,
    room: WaitingRoom<Box<Exposure>>,
    /// Goals that an action is the conversion of.
    converting: HashMap<(Id, Id), Vec<GoalCode>>,
    users: HashMap<UserKey, u32, KeyHasher>,
    predictions: Vec<Prediction>,
    /// Predictions whose outcome is settled: the first so many.
    settled: usize,
    traits: Traits,
    unused: Unused,
    lines: LineCounts,
    began_at: Option<Timestamp>,
    now: Timestamp,
    /// Goals of conversions that name their opportunity, and of those that do not.
    named: BTreeSet<GoalCode>,
    unnamed: BTreeSet<GoalCode>,
    file: Option<PredictionFile>,
    /// Impressions were not bid for at the engine's own multipliers.
    is_bid_at_one: bool,
}

/// The key of a user, by the name in the log. Any key will do: nothing here leaves the machine.
fn user_key(name: &Id) -> UserKey {
    UserKey(hash::text(name.as_str()))
}

fn money(amount: Option<Micros>) -> Option<Money> {
    amount.map(|amount| Money { amount, currency: None })
}

impl Player {
    /// A replay from the beginning, under these settings. A file of predictions, if one is given, is told of each.
    ///
    /// # Errors
    /// When the engine refuses the settings.
    pub fn new(settings: Settings, file: Option<PredictionFile>) -> Result<Player, ReplayError> {
        let room = WaitingRoom::new(settings.retention.token);
        let mut engine = Engine::new();
        let configured = Record {
            at: Timestamp(0),
            occurred_at: Timestamp(0),
            event_id: None,
            event: Event::Configured(Box::new(settings)),
        };
        if let Applied::Rejected(rejection) = engine.apply(&configured) {
            return Err(ReplayError::Settings(rejection));
        }
        engine.publish();
        Ok(Player {
            scorer: engine.scorer(),
            converting: converting_actions(engine.catalog()),
            engine,
            room,
            users: HashMap::default(),
            predictions: Vec::new(),
            settled: 0,
            traits: Traits::default(),
            unused: Unused::default(),
            lines: LineCounts::default(),
            began_at: None,
            now: Timestamp(0),
            named: BTreeSet::new(),
            unnamed: BTreeSet::new(),
            file,
            is_bid_at_one: false,
        })
    }

    /// The same, where what the log shows was not won with the engine's multipliers: it counts as bid for at 1, as what
    /// the control arm is shown does. What is learned is the same; what multipliers are measured from is not.
    pub fn bid_at_one(mut self) -> Player {
        self.is_bid_at_one = true;
        self
    }

    /// What was predicted so far, in the order of the log.
    pub fn predictions(&self) -> &[Prediction] {
        &self.predictions
    }

    /// Counts a line that could not be read.
    pub fn note_bad_line(&mut self, fault: &LineFault) {
        self.lines.bad += 1;
        self.lines.faults.note(fault);
    }

    /// Plays one line; lines come in the order of the log, with their numbers.
    ///
    /// # Errors
    /// When names cannot be kept for the file of predictions, or there are too many opportunities.
    pub fn play(&mut self, number: u64, line: Line) -> Result<(), ReplayError> {
        if self.predictions.len() == OPPORTUNITIES_MAX {
            return Err(ReplayError::TooManyOpportunities { line: number, limit: OPPORTUNITIES_MAX });
        }
        self.lines.faults.note_good(number);
        self.began_at.get_or_insert(line.time());
        self.now = line.time();
        self.settle_until(line.time());
        match line {
            Line::Action(action) => self.act(action),
            Line::Opportunity(opportunity) => self.score(number, opportunity)?,
            Line::Impression(impression) => self.show(&impression),
            Line::Conversion(conversion) => self.convert(conversion),
        }
        Ok(())
    }

    /// Ends the replay.
    pub fn finish(mut self) -> Played {
        while let Some(outcome) = self.room.leave() {
            self.settle(outcome);
        }
        Played {
            predictions: self.predictions,
            traits: self.traits,
            unused: self.unused,
            users: self.users.len() as u32,
            lines: self.lines,
            began_at: self.began_at.unwrap_or(self.now),
            ended_at: self.now,
            named_goals: self.named.difference(&self.unnamed).copied().collect(),
            engine: self.engine,
            file: self.file,
        }
    }

    fn settle_until(&mut self, now: Timestamp) {
        while let Some(outcome) = self.room.settled(now) {
            self.settle(outcome);
        }
    }

    fn settle(&mut self, outcome: Outcome) {
        self.predictions[self.settled].outcome = outcome;
        self.settled += 1;
    }

    /// Applies an event at its own time, the tick that is due before it first.
    fn apply(&mut self, time: Timestamp, event: Event) {
        let at = time.max(self.engine.now());
        if let Some(second) = tick_due(self.engine.now(), at) {
            self.engine.apply(&Record { at: second, occurred_at: second, event_id: None, event: Event::Tick });
        }
        let record = Record { at, occurred_at: time, event_id: None, event };
        match self.engine.apply(&record) {
            Applied::Done => {}
            Applied::Duplicate => self.refused("repeats an earlier event"),
            Applied::Rejected(rejection) => self.refuse(&rejection),
        }
    }

    fn refuse(&mut self, rejection: &Rejection) {
        self.refused(&rejection.to_string());
    }

    fn refused(&mut self, why: &str) {
        count(&mut self.lines.refused, why);
    }

    fn act(&mut self, line: journey::Action) {
        self.lines.actions += 1;
        let user = user_key(&line.user);
        if !self.converting.is_empty() {
            self.note_converting(user, &line);
        }
        let action = Action {
            user,
            advertiser: line.advertiser,
            action: line.action,
            item: line.item,
            category: line.category,
            value: money(line.value),
        };
        self.apply(line.time, Event::Action(action));
    }

    /// Joins an action that is a conversion to the opportunities that wait.
    fn note_converting(&mut self, user: UserKey, line: &journey::Action) {
        let key = (line.advertiser.clone(), line.action.clone());
        for goal in self.converting.get(&key).into_iter().flatten() {
            let conversion = journey::Conversion {
                time: line.time,
                user: line.user.clone(),
                advertiser: line.advertiser.clone(),
                goal: line.action.clone(),
                id: None,
                item: line.item.clone(),
                category: line.category.clone(),
                value: line.value,
            };
            self.unnamed.insert(*goal);
            let joined = self.room.convert((user, *goal), &conversion);
            let name = self.engine.catalog().goal_name(*goal).unwrap_or(&line.action);
            self.lines.joins.note(&line.advertiser, name, joined);
        }
    }

    /// What the engine answers to an opportunity at this point of the log, and what its impression would be learned
    /// with. Nothing is noted: played next, the line gets the same answer.
    pub fn ask(&mut self, line: journey::Opportunity) -> Option<Result<Scored, Rejection>> {
        let (time, user) = (line.time, user_key(&line.user));
        self.answer(time, &request(line, user))
    }

    fn answer(&mut self, time: Timestamp, request: &ScoreRequest) -> Option<Result<Scored, Rejection>> {
        self.engine.publish();
        self.scorer.score(time.max(self.engine.now()), request).pop()
    }

    fn score(&mut self, number: u64, line: journey::Opportunity) -> Result<(), ReplayError> {
        self.lines.opportunities += 1;
        self.lines.joins.note_opportunity(&line.advertiser, &line.goal);
        let names = self.file.as_ref().map(|_| names_of(&line));
        let (time, user) = (line.time, user_key(&line.user));
        let request = request(line, user);
        match self.answer(time, &request) {
            Some(Ok(Scored { signals, exposure: Some(exposure), .. })) if !signals.is_empty() => {
                self.predict(number, time, request, &signals[0], exposure);
                if let Some((file, names)) = self.file.as_mut().zip(names) {
                    file.enter(&names)?;
                }
            }
            Some(Err(rejection)) => self.refuse(&rejection),
            _ => self.refused("the opportunity got no score"),
        }
        Ok(())
    }

    fn predict(
        &mut self,
        number: u64,
        time: Timestamp,
        mut request: ScoreRequest,
        signal: &Signal,
        exposure: Box<Exposure>,
    ) {
        let (user, goal, next) = (request.users[0], signal.goal, self.users.len() as u32);
        let opportunity = hash::text(request.opportunity.as_str());
        let prediction = Prediction {
            line: number,
            opportunity,
            time,
            user: *self.users.entry(user).or_insert(next),
            goal,
            p: signal.p_conversion,
            multiplier: if signal.suppress.is_some() { 0.0 } else { signal.multiplier },
            outcome: Outcome::NotShown,
            traits: self.traits_of(&request, signal, exposure.advertiser),
        };
        self.predictions.push(prediction);
        self.unused.note(&request, signal, self.engine.catalog(), exposure.advertiser);
        let window = self.engine.catalog().goal_setting(goal).map_or(Span::ZERO, |goal| goal.view_window);
        let Target { item, category, .. } = request.targets.swap_remove(0);
        let offer = Offer { time, name: opportunity, user, goal, window, item, category };
        self.lines.repeated_opportunities += u64::from(self.room.enter(offer, exposure));
    }

    /// What was known of the opportunity when it was scored.
    fn traits_of(&mut self, request: &ScoreRequest, signal: &Signal, advertiser: AdvertiserCode) -> Box<[Trait]> {
        let (traits, catalog) = (&mut self.traits, self.engine.catalog());
        let mut found = ArrayVec::<Trait, TRAITS_MAX>::new();
        let mut note = |of: Option<Trait>| {
            if !found.is_full() {
                found.extend(of);
            }
        };
        for (name, value) in &request.context {
            note(traits.of(Kind::Context, name.as_str(), value.as_str()));
        }
        for (name, number) in &request.numbers {
            // Sign, exponent and the first four bits behind the point.
            let coarse = number.to_bits() >> 48;
            let text = || f64::from_bits(coarse << 48).to_string();
            note(traits.hashed(Kind::Number, (hash::text(name.as_str()), || name.as_str()), (coarse, text)));
        }
        for segment in signal.segments.iter().filter_map(|code| catalog.segment_name(advertiser, *code)) {
            note(traits.of(Kind::Segment, segment.as_str(), "member"));
        }
        let target = &request.targets[0];
        let advertised = [(Kind::Item, &target.item), (Kind::Category, &target.category)];
        for (kind, value) in advertised.into_iter().filter_map(|(kind, id)| Some((kind, id.as_ref()?))) {
            note(traits.of(kind, "", value.as_str()));
        }
        let now = self.engine.now().tick();
        self.engine.each_act(request.users[0], advertiser, |done| {
            let name = || catalog.action_name(advertiser, done.action).map_or("", Id::as_str);
            let code = u64::from(advertiser.0) << 8 | u64::from(done.action.0);
            let times = done.count.to_bits() >> 23;
            let recency = RECENCY_BOUNDS_S.iter().take_while(|bound| now.since(done.last) > **bound).count();
            let text = || format!("about 2^{} times, recency {recency}", times as i32 - 127);
            note(traits.hashed(Kind::Did, (code, name), (u64::from(times) << 8 | recency as u64, text)));
        });
        found.as_slice().into()
    }

    fn show(&mut self, line: &journey::Impression) {
        self.lines.impressions += 1;
        match self.room.show(&line.id, line.time) {
            Some(mut exposure) => {
                if self.is_bid_at_one {
                    exposure.arm = Arm::Control;
                }
                let of = Shown::Scored(exposure);
                self.apply(line.time, Event::Impression(Impression { of, cost: money(line.cost), bid: None }));
            }
            None => self.lines.lost_impressions += 1,
        }
    }

    fn convert(&mut self, line: journey::Conversion) {
        self.lines.conversions += 1;
        let user = user_key(&line.user);
        let joined = self.judge(user, &line);
        self.lines.joins.note(&line.advertiser, &line.goal, joined);
        let by = match &line.id {
            Some(id) => Converter::Opportunity {
                opportunity: hash::opportunity_key(line.advertiser.as_str(), id.as_str()),
                user: Some(user),
            },
            None => Converter::User(user),
        };
        let conversion = Conversion {
            by,
            advertiser: line.advertiser,
            goal: line.goal,
            item: line.item,
            category: line.category,
            value: money(line.value),
            conversion_id: None,
        };
        self.apply(line.time, Event::Conversion(conversion));
    }

    /// Joins a conversion to the opportunities that wait.
    fn judge(&mut self, user: UserKey, line: &journey::Conversion) -> Joined {
        let catalog = self.engine.catalog();
        let advertiser = catalog.advertiser(line.advertiser.as_str());
        let Some(goal) = advertiser.and_then(|code| catalog.goal(code, line.goal.as_str())) else {
            return Joined::UnknownGoal;
        };
        let Some(id) = &line.id else {
            self.unnamed.insert(goal);
            return self.room.convert((user, goal), line);
        };
        self.named.insert(goal);
        let joined = self.room.convert_named(id, goal, line);
        self.lines.lost_conversions += u64::from(matches!(joined, Joined::TooLate | Joined::UnknownOpportunity));
        joined
    }
}

/// The question that an opportunity of the log stands for.
fn request(line: journey::Opportunity, user: UserKey) -> ScoreRequest {
    ScoreRequest {
        opportunity: line.id,
        users: vec![user],
        context: line.context,
        numbers: line.numbers,
        segments: line.segments,
        privacy: PrivacyMode::Full,
        targets: vec![Target {
            advertiser: line.advertiser,
            campaign: line.campaign,
            line_item: None,
            creative: None,
            item: line.item,
            category: line.category,
            goals: vec![line.goal],
            base_p: None,
        }],
        reasons_max: 0,
    }
}

/// Which action of an advertiser is the conversion of which of its goals.
fn converting_actions(catalog: &Catalog) -> HashMap<(Id, Id), Vec<GoalCode>> {
    let mut all: HashMap<(Id, Id), Vec<GoalCode>> = HashMap::new();
    for advertiser in &catalog.settings().advertisers {
        let code = catalog.advertiser(advertiser.id.as_str());
        for goal in &advertiser.goals {
            let goal_code = code.and_then(|code| catalog.goal(code, goal.id.as_str()));
            if let Some((action, goal_code)) = goal.converting_action.as_ref().zip(goal_code) {
                all.entry((advertiser.id.clone(), action.clone())).or_default().push(goal_code);
            }
        }
    }
    all
}

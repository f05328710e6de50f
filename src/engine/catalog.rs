//! Names and their codes, and what the settings in force say of each.
//!
//! Codes are given in the order of first sight and never taken back: what a later configuration no longer names keeps
//! its code, but is not found by name until it is named again.

use std::collections::HashMap;

use super::bytes::{Bytes, Read, Reader};
use super::kept::Kept;
use super::names::Names;
use super::segments::Membership;
use crate::action::ActionKind;
use crate::hash::KeyHasher;
use crate::ids::{ActionCode, AdvertiserCode, GoalCode, Id, SegmentCode};
use crate::rejection::Rejection;
use crate::settings::{
    ACTIONS_MAX, ADVERTISERS_MAX, Arms, GOALS_MAX, Goal, KNOWN_EXTERNALS_MAX, RULE_SEGMENTS_MAX, Rule, Settings,
};
use crate::stats::decay::HalfLife;
use crate::units::Tick;

/// The settings in force, compiled to codes.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    settings: Settings,
    advertisers: Names,
    entries: Vec<AdvertiserEntry>,
    goals: Vec<GoalEntry>,
}

/// One advertiser: its dictionaries, and what is in force.
#[derive(Debug, Clone)]
pub struct AdvertiserEntry {
    /// The name.
    pub id: Id,
    pub(super) actions: Names,
    pub(super) segments: Names,
    pub(super) externals: Names,
    pub(super) goals: Names,
    pub(super) goal_codes: Vec<GoalCode>,
    pub(super) kept: Kept,
    /// `None` while the configuration does not name the advertiser.
    pub(super) in_force: Option<AdvertiserInForce>,
}

/// What the settings say of an advertiser.
#[derive(Debug, Clone, Default)]
pub(super) struct AdvertiserInForce {
    /// By action code − 1.
    pub actions: Vec<Option<ActionInForce>>,
    /// In the order of the configuration.
    pub goals: Vec<GoalCode>,
    /// Rule segments.
    pub segments: Vec<SegmentInForce>,
    /// Weights of the external segments, by number; 1 for those no longer named.
    pub external_weights: Vec<f64>,
    /// Distinct users of a milestone that are told apart: as many as the most demanding goal asks for.
    pub support: usize,
    /// Shares of the arms among its users.
    pub arms: Arms,
    /// What each campaign is after.
    pub campaigns: HashMap<Id, CampaignInForce, KeyHasher>,
}

/// What the settings say of a campaign.
#[derive(Debug, Clone)]
pub(super) struct CampaignInForce {
    /// Goals it bids for.
    pub goals: Vec<GoalCode>,
    /// Those that it weighs against each other, with their weights, in the order of its goals; empty for none.
    pub objective: Vec<(GoalCode, f64)>,
}

/// What the settings say of an action.
#[derive(Debug, Clone, Copy)]
pub(super) struct ActionInForce {
    /// Of its decayed count.
    pub half_life: HalfLife,
    /// Place on the ladder; `None` for a secondary action.
    pub position: Option<u8>,
    /// How many latest occurrences rules need to know; 0 or 1 need none beyond the last.
    pub occurrences: u8,
    /// Some goal names it as its converting action.
    pub converts: bool,
}

/// What the settings say of a rule segment.
#[derive(Debug, Clone)]
pub(super) struct SegmentInForce {
    pub code: SegmentCode,
    pub membership: Membership,
    pub weight: f64,
}

/// One goal: whose, its name, and what is in force.
#[derive(Debug, Clone)]
pub struct GoalEntry {
    /// Whose goal.
    pub advertiser: AdvertiserCode,
    /// The name.
    pub id: Id,
    /// `None` while the configuration does not name the goal.
    pub(super) in_force: Option<GoalInForce>,
}

/// What the settings say of a goal.
#[derive(Debug, Clone)]
pub(super) struct GoalInForce {
    pub setting: Goal,
    pub converting_action: Option<ActionCode>,
    /// Furthest last.
    pub milestones: Vec<ActionCode>,
    pub half_life: HalfLife,
}

impl Catalog {
    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The code of an advertiser that is in force.
    pub fn advertiser(&self, name: &str) -> Option<AdvertiserCode> {
        let number = self.advertisers.find(name)?;
        self.entries[number].in_force.as_ref().map(|_| AdvertiserCode(number as u16))
    }

    /// All advertisers ever named, in the order of their codes.
    pub fn advertisers(&self) -> &[AdvertiserEntry] {
        &self.entries
    }

    /// All goals ever named, in the order of their codes.
    pub fn goals(&self) -> &[GoalEntry] {
        &self.goals
    }

    /// Name of an advertiser; `None` for a code that was never given.
    pub fn advertiser_name(&self, code: AdvertiserCode) -> Option<&Id> {
        self.entries.get(code.index()).map(|entry| &entry.id)
    }

    /// The code of an advertiser's goal that is in force.
    pub fn goal(&self, advertiser: AdvertiserCode, name: &str) -> Option<GoalCode> {
        let entry = self.entries.get(advertiser.index())?;
        let code = entry.goal_codes[entry.goals.find(name)?];
        self.goals[code.index()].in_force.as_ref().map(|_| code)
    }

    /// Name of a goal; `None` for a code that was never given.
    pub fn goal_name(&self, code: GoalCode) -> Option<&Id> {
        self.goals.get(code.index()).map(|goal| &goal.id)
    }

    /// The code of an advertiser's action that is in force.
    pub fn action(&self, advertiser: AdvertiserCode, name: &str) -> Option<ActionCode> {
        let entry = self.entries.get(advertiser.index())?;
        let number = entry.actions.find(name)?;
        entry.in_force.as_ref()?.actions.get(number)?.as_ref().map(|_| action_code(number))
    }

    /// Name of an action; `None` for a code that was never given.
    pub fn action_name(&self, advertiser: AdvertiserCode, code: ActionCode) -> Option<&Id> {
        self.entries.get(advertiser.index())?.actions.all().get(code.index().checked_sub(1)?)
    }

    /// Name of a segment; `None` for a code that was never given.
    pub fn segment_name(&self, advertiser: AdvertiserCode, code: SegmentCode) -> Option<&Id> {
        let entry = self.entries.get(advertiser.index())?;
        match code.index().checked_sub(RULE_SEGMENTS_MAX) {
            Some(external) => entry.externals.all().get(external),
            None => entry.segments.all().get(code.index()),
        }
    }

    /// Who is in a rule segment that is in force.
    pub fn rule(&self, advertiser: AdvertiserCode, code: SegmentCode) -> Option<&Rule> {
        let id = self.entries.get(advertiser.index())?.segments.all().get(code.index())?;
        let name = self.advertiser_name(advertiser)?;
        let settings = self.settings.advertisers.iter().find(|settings| settings.id == *name)?;
        settings.segments.iter().find(|segment| segment.id == *id).map(|segment| &segment.rule)
    }

    /// The last second in which a rule segment that is in force may miss members, because a window of its rule reaches
    /// back to before its acts were kept.
    pub(super) fn warming_until(&self, advertiser: AdvertiserCode, code: SegmentCode) -> Option<Tick> {
        let entry = self.entries.get(advertiser.index())?;
        let segment = entry.in_force.as_ref()?.segments.iter().find(|segment| segment.code == code)?;
        let mut until = None;
        segment.membership.each_window(&mut |action, occurrences, window_s| {
            let since = entry.kept.since(action, occurrences);
            until = until.max(Some(Tick(since.0.saturating_add(window_s))));
        });
        until
    }

    /// The code of an external segment the advertiser knows.
    pub fn external(&self, advertiser: AdvertiserCode, name: &str) -> Option<SegmentCode> {
        self.entries.get(advertiser.index())?.external_code(name)
    }

    /// What the settings in force say of a goal.
    pub fn goal_setting(&self, code: GoalCode) -> Option<&Goal> {
        self.goal_in_force(code).map(|goal| &goal.setting)
    }

    /// Place of an action on its advertiser's ladder; `None` for a secondary one.
    pub fn position(&self, advertiser: AdvertiserCode, code: ActionCode) -> Option<u8> {
        self.action_in_force(advertiser, code)?.position
    }

    /// The segments of an advertiser that are in force: by rule, then external ones, in the order of their codes.
    pub fn segments(&self, advertiser: AdvertiserCode) -> Vec<SegmentCode> {
        let Some(in_force) = self.in_force(advertiser) else { return Vec::new() };
        let mut rules: Vec<SegmentCode> = in_force.segments.iter().map(|segment| segment.code).collect();
        rules.sort_unstable();
        let externals = 0..in_force.external_weights.len();
        rules.into_iter().chain(externals.map(|number| SegmentCode((RULE_SEGMENTS_MAX + number) as u16))).collect()
    }

    /// What is in force of an advertiser.
    pub(super) fn in_force(&self, code: AdvertiserCode) -> Option<&AdvertiserInForce> {
        self.entries.get(code.index())?.in_force.as_ref()
    }

    /// What is in force of a goal.
    pub(super) fn goal_in_force(&self, code: GoalCode) -> Option<&GoalInForce> {
        self.goals.get(code.index())?.in_force.as_ref()
    }

    /// What is in force of an action.
    pub(super) fn action_in_force(&self, advertiser: AdvertiserCode, code: ActionCode) -> Option<ActionInForce> {
        self.in_force(advertiser)?.action(code)
    }

    /// Whether all new names of some settings still get a code.
    ///
    /// # Errors
    /// Names the dictionary that would overflow; names of earlier settings count.
    pub(super) fn check(&self, settings: &Settings) -> Result<(), Rejection> {
        let known = Names::default();
        let fits = |what, names: &Names, new: &mut dyn Iterator<Item = &Id>, limit| {
            let count = names.all().len() + new.filter(|name| names.find(name.as_str()).is_none()).count();
            if count > limit { Err(Rejection::Full { what, limit }) } else { Ok(()) }
        };
        fits("advertisers", &self.advertisers, &mut settings.advertisers.iter().map(|one| &one.id), ADVERTISERS_MAX)?;
        let mut goals = self.goals.len();
        for advertiser in &settings.advertisers {
            let entry = self.advertisers.find(advertiser.id.as_str()).map(|number| &self.entries[number]);
            let names = |pick: fn(&AdvertiserEntry) -> &Names| entry.map_or(&known, pick);
            fits("actions", names(|e| &e.actions), &mut advertiser.actions.iter().map(|one| &one.id), ACTIONS_MAX)?;
            let segments = &mut advertiser.segments.iter().map(|one| &one.id);
            fits("rule segments", names(|e| &e.segments), segments, RULE_SEGMENTS_MAX)?;
            let externals = &mut advertiser.externals.iter().map(|one| &one.id);
            fits("external segments", names(|e| &e.externals), externals, KNOWN_EXTERNALS_MAX)?;
            let known = names(|e| &e.goals);
            goals += advertiser.goals.iter().filter(|goal| known.find(goal.id.as_str()).is_none()).count();
        }
        if goals > GOALS_MAX { Err(Rejection::Full { what: "goals", limit: GOALS_MAX }) } else { Ok(()) }
    }

    /// A catalogue out of an image: advertisers in the order of their codes, and whose each goal is, in the order of
    /// theirs. `None` where these and the settings do not name the same.
    pub(super) fn restored(
        mut entries: Vec<AdvertiserEntry>,
        goals: impl Iterator<Item = AdvertiserCode>,
        settings: Settings,
    ) -> Option<Catalog> {
        let mut catalog = Catalog::default();
        for (number, advertiser) in goals.enumerate() {
            let entry = entries.get_mut(advertiser.index())?;
            let id = entry.goals.all().get(entry.goal_codes.len())?.clone();
            entry.goal_codes.push(GoalCode(number as u16));
            catalog.goals.push(GoalEntry { advertiser, id, in_force: None });
        }
        catalog.advertisers = Names::from_list(entries.iter().map(|entry| entry.id.clone()).collect())?;
        catalog.entries = entries;
        catalog.check(&settings).ok()?;
        let named = catalog.named();
        // Since when acts are kept is known, also where that is second 0, which stands for "not kept".
        let kept: Vec<Kept> = catalog.entries.iter().map(|entry| entry.kept.clone()).collect();
        catalog.configure(settings, Tick(0));
        catalog.entries.iter_mut().zip(kept).for_each(|(entry, kept)| entry.kept = kept);
        let is_whole = catalog.entries.iter().all(|entry| entry.goal_codes.len() == entry.goals.all().len());
        (is_whole && catalog.named() == named).then_some(catalog)
    }

    /// How many names there are.
    fn named(&self) -> usize {
        let of = |entry: &AdvertiserEntry| {
            [&entry.actions, &entry.segments, &entry.externals, &entry.goals].map(|names| names.all().len())
        };
        self.entries.len() + self.entries.iter().flat_map(of).sum::<usize>()
    }

    /// Puts settings in force that were checked; names keep their codes, new ones get the next.
    pub(super) fn configure(&mut self, settings: Settings, now: Tick) {
        self.entries.iter_mut().for_each(|entry| entry.in_force = None);
        self.goals.iter_mut().for_each(|goal| goal.in_force = None);
        for advertiser in &settings.advertisers {
            let number = self.advertisers.number(&advertiser.id);
            if number == self.entries.len() {
                self.entries.push(AdvertiserEntry::new(advertiser.id.clone()));
            }
            let code = AdvertiserCode(number as u16);
            let entry = &mut self.entries[number];
            let mut in_force = entry.register_actions(advertiser);
            in_force.goals = register_goals(&mut self.goals, entry, code, advertiser);
            for goal in &advertiser.goals {
                in_force.support = in_force.support.max(goal.multiplier.support as usize);
                let converting = goal.converting_action.as_ref().and_then(|id| entry.action_code(id.as_str()));
                if let Some(Some(known)) = converting.and_then(|code| in_force.actions.get_mut(code.index() - 1)) {
                    known.converts = true;
                }
            }
            entry.register_segments(advertiser, &mut in_force);
            for campaign in &advertiser.campaigns {
                let code = |goal: &Id| entry.goals.find(goal.as_str()).map(|number| entry.goal_codes[number]);
                let goals = campaign.goals.iter().filter_map(code).collect();
                let weighed = campaign.objective.iter().filter(|(_, weight)| *weight > 0.0);
                let objective = weighed.filter_map(|(goal, weight)| Some((code(goal)?, *weight))).collect();
                in_force.campaigns.insert(campaign.id.clone(), CampaignInForce { goals, objective });
            }
            in_force.arms = settings.arms.of(advertiser);
            entry.in_force = Some(in_force);
        }
        for entry in &mut self.entries {
            entry.kept.configure(entry.in_force.as_ref().map_or(&[], |in_force| &in_force.actions), now);
        }
        self.settings = settings;
    }
}

impl AdvertiserInForce {
    /// What is in force of an action.
    pub fn action(&self, code: ActionCode) -> Option<ActionInForce> {
        *self.actions.get(code.index().checked_sub(1)?)?
    }
}

/// The code of the action with this number in its advertiser's dictionary.
fn action_code(number: usize) -> ActionCode {
    ActionCode((number + 1) as u8)
}

fn register_goals(
    goals: &mut Vec<GoalEntry>,
    entry: &mut AdvertiserEntry,
    advertiser: AdvertiserCode,
    settings: &crate::settings::Advertiser,
) -> Vec<GoalCode> {
    let register = |goal: &Goal| {
        let number = entry.goals.number(&goal.id);
        if number == entry.goal_codes.len() {
            entry.goal_codes.push(GoalCode(goals.len() as u16));
            goals.push(GoalEntry { advertiser, id: goal.id.clone(), in_force: None });
        }
        let action = |id: &Id| entry.actions.find(id.as_str()).map(action_code);
        goals[entry.goal_codes[number].index()].in_force = Some(GoalInForce {
            setting: goal.clone(),
            converting_action: goal.converting_action.as_ref().and_then(action),
            milestones: goal.milestones.iter().filter_map(action).collect(),
            half_life: HalfLife::new(goal.half_life),
        });
        entry.goal_codes[number]
    };
    settings.goals.iter().map(register).collect()
}

impl AdvertiserEntry {
    /// The code of an action, in force or not.
    pub(super) fn action_code(&self, name: &str) -> Option<ActionCode> {
        self.actions.find(name).map(action_code)
    }

    /// The code of an external segment, in force or not.
    pub(super) fn external_code(&self, name: &str) -> Option<SegmentCode> {
        self.externals.find(name).map(|number| SegmentCode((RULE_SEGMENTS_MAX + number) as u16))
    }

    /// Appends its canonical bytes.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.name(&self.id);
        for names in [&self.actions, &self.segments, &self.externals, &self.goals] {
            bytes.list(names.all(), Bytes::name);
        }
        self.kept.write(bytes);
    }

    /// An advertiser out of its canonical bytes; its goals have no codes yet, and nothing is in force.
    pub(super) fn read(mut bytes: Reader<'_>) -> Read<AdvertiserEntry> {
        let mut entry = AdvertiserEntry::new(bytes.name()?);
        entry.actions = Names::read(&mut bytes, ACTIONS_MAX)?;
        entry.segments = Names::read(&mut bytes, RULE_SEGMENTS_MAX)?;
        entry.externals = Names::read(&mut bytes, KNOWN_EXTERNALS_MAX)?;
        entry.goals = Names::read(&mut bytes, GOALS_MAX)?;
        entry.kept = Kept::read(&mut bytes)?;
        bytes.end().map(|()| entry)
    }

    fn new(id: Id) -> AdvertiserEntry {
        AdvertiserEntry {
            id,
            actions: Names::default(),
            segments: Names::default(),
            externals: Names::default(),
            goals: Names::default(),
            goal_codes: Vec::new(),
            kept: Kept::default(),
            in_force: None,
        }
    }

    fn register_actions(&mut self, settings: &crate::settings::Advertiser) -> AdvertiserInForce {
        let mut in_force = AdvertiserInForce::default();
        for action in &settings.actions {
            let number = self.actions.number(&action.id);
            let position = match action.kind {
                ActionKind::Milestone { position } => Some(position),
                ActionKind::Secondary => None,
            };
            in_force.actions.resize(self.actions.all().len(), None);
            in_force.actions[number] = Some(ActionInForce {
                half_life: HalfLife::new(action.half_life),
                position,
                occurrences: 0,
                converts: false,
            });
        }
        in_force
    }

    fn register_segments(&mut self, settings: &crate::settings::Advertiser, in_force: &mut AdvertiserInForce) {
        for external in &settings.externals {
            let number = self.externals.number(&external.id);
            in_force.external_weights.resize(self.externals.all().len(), 1.0);
            in_force.external_weights[number] = external.weight;
        }
        for segment in &settings.segments {
            let code = SegmentCode(self.segments.number(&segment.id) as u16);
            let membership = Membership::compile(&segment.rule, self, &in_force.actions);
            membership.each_window(&mut |action, occurrences, _| {
                if let Some(Some(known)) = in_force.actions.get_mut(action.index() - 1) {
                    known.occurrences = known.occurrences.max(occurrences);
                }
            });
            in_force.segments.push(SegmentInForce { code, membership, weight: segment.weight });
        }
    }
}

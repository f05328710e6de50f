//! The experiment that says what ads do: who of each arm was reached, and who of them converted.
//!
//! It counts people, each once, in the arm they were dealt, whatever then happened to them (intention to treat).
//! Nothing fades. It begins when a configuration holds people out, and anew with other shares or another salt. A person
//! is *reached* by an impression, or, where held out, by the notice of one that would have been shown.

use super::Engine;
use super::arms;
use super::bytes::{Bytes, Read, Reader};
use super::conversions::{Conversion, ConversionId};
use super::entries::Kind;
use super::table::{Row, Table};
use crate::exposure::Arm;
use crate::ids::{GoalCode, UserKey};
use crate::settings::Arms;
use crate::stats::lift::{Contrast, Group, Lift};
use crate::stats::split;
use crate::units::Timestamp;

/// Maps that the people of one experiment stand in.
const PEOPLE_MAPS: usize = 256;

/// People of one arm, each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ArmPeople {
    /// Who converted, reached or not.
    pub converters: u64,
    /// Who was shown an impression, or, held out, would have been.
    pub reached: u64,
    /// Who of those converted afterwards.
    pub reached_converters: u64,
}

/// What ads do, by people who were held out from them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Incrementality {
    /// When the experiment began; earlier impressions and conversions do not count.
    pub since: Timestamp,
    /// Who gets ads as the multiplier says.
    pub treated: ArmPeople,
    /// Who gets ads with multiplier 1.
    pub control: ArmPeople,
    /// Who gets none.
    pub holdout: ArmPeople,
    /// Share of all people who are treated, 0 to 1.
    pub treated_share: f64,
    /// Share of all people who are held out, 0 to 1.
    pub holdout_share: f64,
    /// How many times as many of all treated people convert as of those held out. Needs no notices. `None` while
    /// either arm has no converter.
    pub everybody: Option<Lift>,
    /// The same of those who were reached; what it says is only as good as the notices for held-out people are
    /// complete. `None` while either arm has nobody reached, or nobody reached has converted.
    pub reached: Option<Lift>,
}

/// What is known of one person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Participant {
    goal: GoalCode,
    arm: Arm,
    /// When first reached.
    reached_at: Option<Timestamp>,
    /// Conversions that stand.
    standing: u32,
    /// Those of them after the person was reached.
    after: u32,
}

/// One goal's experiment.
#[derive(Debug)]
pub(super) struct Trial {
    goal: GoalCode,
    shares: Arms,
    since: Timestamp,
    /// The first conversion that counts: earlier ones came before the experiment, whenever they say they occurred.
    first: ConversionId,
    /// By root id.
    pub(super) people: Table<u64, Participant>,
    /// How many people were ever taken. Beyond the limit nobody is: who is forgotten makes no room, for somebody
    /// taken late would be taken with half a history.
    taken: u64,
    /// By the arm's number. Who was forgotten stays counted.
    arms: [ArmPeople; 3],
}

impl Participant {
    /// Changes the counts by a conversion of some time.
    fn convert(&mut self, occurred_at: Timestamp, step: fn(u32) -> u32) {
        self.standing = step(self.standing);
        if self.reached_at.is_some_and(|reached_at| reached_at < occurred_at) {
            self.after = step(self.after);
        }
    }
}

impl Trial {
    fn begin(goal: GoalCode, shares: Arms, since: Timestamp, first: ConversionId) -> Trial {
        let people = Table::new(Kind::Participant, PEOPLE_MAPS);
        Trial { goal, shares, since, first, people, taken: 0, arms: Default::default() }
    }

    /// Whether a conversion is part of it.
    fn counts(&self, id: ConversionId, conversion: &Conversion) -> bool {
        id >= self.first && conversion.occurred_at >= self.since
    }

    /// Changes a person who is known, and the sums with them; nobody else.
    fn change_known(&mut self, root: UserKey, change: impl FnOnce(&mut Participant)) {
        let Some(before) = self.people.get(root.0).copied() else { return };
        let mut person = before;
        change(&mut person);
        self.count(&before, u64::wrapping_sub);
        self.count(&person, u64::wrapping_add);
        self.people.insert(root.0, person);
    }

    /// The same, also of who is new. False when there is no room for one more.
    fn change_or_add(&mut self, root: UserKey, people_max: usize, change: impl FnOnce(&mut Participant)) -> bool {
        if self.people.get(root.0).is_none() {
            if self.taken >= people_max as u64 {
                return false;
            }
            self.taken += 1;
            let arm = arms::arm(&self.shares, root);
            // The sums know nothing of who was neither reached nor converted.
            let person = Participant { goal: self.goal, arm, reached_at: None, standing: 0, after: 0 };
            self.people.insert(root.0, person);
        }
        self.change_known(root, change);
        true
    }

    fn count(&mut self, person: &Participant, step: fn(u64, u64) -> u64) {
        let people = &mut self.arms[usize::from(person.arm.number())];
        let is_reached = person.reached_at.is_some();
        people.converters = step(people.converters, u64::from(person.standing > 0));
        people.reached = step(people.reached, u64::from(is_reached));
        people.reached_converters = step(people.reached_converters, u64::from(is_reached && person.after > 0));
    }

    fn incrementality(&self) -> Incrementality {
        let [treated, control, holdout] = self.arms;
        let [treated_share, _, holdout_share] = arms::shares(&self.shares);
        let group =
            |people: ArmPeople| Group { trials: people.reached as f64, positives: people.reached_converters as f64 };
        let contrast = Contrast { with: group(treated), without: group(holdout) };
        let counts = [treated, holdout].map(|people| people.converters);
        Incrementality {
            since: self.since,
            treated,
            control,
            holdout,
            treated_share,
            holdout_share,
            everybody: split::lift(counts, [treated_share, holdout_share]),
            reached: contrast.lift(),
        }
    }

    /// Canonical bytes of the whole; people have entries of their own.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        [self.since.0, self.first, self.taken].into_iter().for_each(|word| bytes.long(word));
        for people in &self.arms {
            [people.converters, people.reached, people.reached_converters].into_iter().for_each(|one| bytes.long(one));
        }
    }

    /// A trial out of its canonical bytes, without its people.
    pub fn read(goal: GoalCode, shares: Arms, mut bytes: Reader<'_>) -> Read<Trial> {
        let mut trial = Trial::begin(goal, shares, bytes.moment()?, bytes.long()?);
        trial.taken = bytes.long()?;
        for people in &mut trial.arms {
            let [converters, reached, reached_converters] = [bytes.long()?, bytes.long()?, bytes.long()?];
            *people = ArmPeople { converters, reached, reached_converters };
        }
        bytes.end().map(|()| trial)
    }
}

impl Participant {
    /// A participant out of its canonical bytes.
    pub fn read(mut bytes: Reader<'_>) -> Read<Participant> {
        let goal = bytes.goal()?;
        let fault = bytes.fault("there is no such arm");
        let arm = Arm::from_number(bytes.byte()?).ok_or(fault)?;
        let reached_at = bytes.option(Reader::moment)?;
        let (standing, after) = (bytes.word()?, bytes.word()?);
        bytes.end().map(|()| Participant { goal, arm, reached_at, standing, after })
    }

    /// Whose experiment it is.
    pub fn goal(&self) -> GoalCode {
        self.goal
    }
}

impl Row for Participant {
    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.short(self.goal.0);
        bytes.byte(self.arm.number());
        bytes.option(self.reached_at, |bytes, at| bytes.long(at.0));
        bytes.word(self.standing);
        bytes.word(self.after);
    }
}

impl Engine {
    /// What ads do for a goal; `None` while nobody is held out.
    pub fn incrementality(&self, goal: GoalCode) -> Option<Incrementality> {
        self.goals.get(goal.index())?.trial.as_ref().map(|trial| trial.incrementality())
    }

    /// Begins and ends experiments, as a new configuration says.
    pub(super) fn begin_trials(&mut self) {
        let (now, first) = (self.now, self.conversions.next());
        for code in (0..self.goals.len()).map(|code| GoalCode(code as u16)) {
            let shares = self.trial_shares(code);
            let trial = &mut self.goals[code.index()].trial;
            if trial.as_ref().map(|trial| trial.shares) != shares {
                let new = shares.map(|shares| Box::new(Trial::begin(code, shares, now, first)));
                let old = std::mem::replace(trial, new);
                old.into_iter().for_each(|mut old| self.keep_table(&mut old.people));
            }
        }
    }

    /// The shares of a goal's experiment; `None` while nobody is held out.
    pub(super) fn trial_shares(&self, goal: GoalCode) -> Option<Arms> {
        let entry = &self.catalog.goals()[goal.index()];
        let in_force = entry.in_force.as_ref().and_then(|_| self.catalog.in_force(entry.advertiser));
        in_force.map(|in_force| in_force.arms).filter(|shares| shares.holdout_share > 0.0)
    }

    /// Counts a person as reached at a moment.
    pub(super) fn reach(&mut self, goal: GoalCode, root: UserKey, shown_at: Timestamp) {
        let Some(trial) = self.goals[goal.index()].trial.as_deref() else { return };
        let reached_at = trial.people.get(root.0).and_then(|person| person.reached_at);
        if shown_at < trial.since || reached_at.is_some_and(|at| at <= shown_at) {
            return;
        }
        let earlier = self.trial_conversions(goal, root, shown_at, reached_at);
        let change = |person: &mut Participant| {
            person.reached_at = Some(shown_at);
            person.after += earlier;
        };
        self.change_or_add_participant(goal, root, change);
    }

    /// Counts a conversion that was noted just now.
    pub(super) fn count_trial_conversion(&mut self, id: ConversionId) {
        let Some((goal, root, at)) = self.trial_conversion(id) else { return };
        self.change_or_add_participant(goal, root, |person| person.convert(at, |count| count.saturating_add(1)));
    }

    /// Takes it back, before the conversion is let go.
    pub(super) fn uncount_trial_conversion(&mut self, id: ConversionId) {
        let Some((goal, root, at)) = self.trial_conversion(id) else { return };
        // Whoever is not known has nothing that could be taken back.
        if let Some(trial) = self.goals[goal.index()].trial.as_deref_mut() {
            trial.change_known(root, |person| person.convert(at, |count| count.saturating_sub(1)));
        }
    }

    /// Of which goal and whose a conversion is, and when it was, if it is part of the goal's experiment.
    fn trial_conversion(&self, id: ConversionId) -> Option<(GoalCode, UserKey, Timestamp)> {
        let conversion = self.conversions.get(id)?;
        let trial = self.goals[conversion.goal.index()].trial.as_deref()?;
        let root = conversion.user.filter(|_| trial.counts(id, conversion))?;
        Some((conversion.goal, root, conversion.occurred_at))
    }

    fn change_or_add_participant(&mut self, goal: GoalCode, root: UserKey, change: impl FnOnce(&mut Participant)) {
        let people_max = self.limits().profiles_max;
        let Some(trial) = self.goals[goal.index()].trial.as_deref_mut() else { return };
        if !trial.change_or_add(root, people_max, change) {
            self.tally.trial_people_untracked += 1;
        }
    }

    /// A person's conversions that count and are kept, after one moment and up to another.
    fn trial_conversions(&self, goal: GoalCode, root: UserKey, after: Timestamp, upto: Option<Timestamp>) -> u32 {
        let Some(trial) = self.goals[goal.index()].trial.as_deref() else { return 0 };
        let is_between = |at: Timestamp| after < at && upto.is_none_or(|upto| at <= upto);
        let kept = self.conversions.of_user(root, goal).into_iter();
        let theirs = kept.filter_map(|id| Some((id, self.conversions.get(id)?)));
        theirs.filter(|(id, one)| trial.counts(*id, one) && is_between(one.occurred_at)).count() as u32
    }

    /// Makes one person of two that were linked, in the arm of the id that stays. To be called before the conversions
    /// of the other are the root's.
    pub(super) fn merge_participants(&mut self, goal: GoalCode, root: UserKey, other: UserKey) {
        let Some(trial) = self.goals[goal.index()].trial.as_deref() else { return };
        let Some(theirs) = trial.people.get(other.0).copied() else { return };
        let ours = trial.people.get(root.0).copied();
        let arm = arms::arm(&trial.shares, root);
        let all = [(root, ours), (other, Some(theirs))];
        let reached_at = all.iter().filter_map(|(_, person)| person.as_ref()?.reached_at).min();
        let mut merged = Participant { goal, arm, reached_at, standing: 0, after: 0 };
        for (id, person) in all.iter().filter_map(|(id, person)| Some((*id, (*person)?))) {
            merged.standing = merged.standing.saturating_add(person.standing);
            // Of conversions before the person was reached by this id, those count that came after the other was.
            let between = reached_at.map_or(0, |from| self.trial_conversions(goal, id, from, person.reached_at));
            merged.after = merged.after.saturating_add(person.after).saturating_add(between);
        }
        let trial = self.goals[goal.index()].trial.as_deref_mut().expect("looked up above");
        all.iter().filter_map(|(_, person)| person.as_ref()).for_each(|one| trial.count(one, u64::wrapping_sub));
        trial.count(&merged, u64::wrapping_add);
        trial.people.remove(other.0);
        trial.people.insert(root.0, merged);
    }

    /// Forgets a person's part. They stay counted.
    pub(super) fn forget_participant(&mut self, root: UserKey) {
        for trial in self.goals.iter_mut().filter_map(|goal| goal.trial.as_deref_mut()) {
            trial.people.remove(root.0);
        }
    }
}

//! The experiment that says what ads do, as a list of people.

use std::collections::{BTreeMap, BTreeSet};

use inkling::engine::{ArmPeople, Incrementality};
use inkling::exposure::Arm;
use inkling::hash;
use inkling::ids::{GoalCode, Id};
use inkling::settings::Arms;

use super::audit::Audit;
use super::reference::Reference;

/// What is known of one person, with conversions by their places.
#[derive(Debug, Clone, Default)]
struct Member {
    reached_at: Option<u64>,
    converted: BTreeSet<usize>,
    /// Those of them after the person was reached.
    afterwards: BTreeSet<usize>,
}

/// One goal's experiment.
#[derive(Debug)]
pub struct Trial {
    shares: Arms,
    since: u64,
    /// Place of the first conversion that counts.
    first: usize,
    members: BTreeMap<u64, Member>,
    /// Of who was forgotten since: arm, and what they were.
    gone: Vec<(Arm, Member)>,
    taken: usize,
}

/// In millionths: control below its share, holdout above what its own leaves.
pub fn dealt(shares: &Arms, person: u64) -> Arm {
    let draw = ((hash::mix(shares.salt, person) >> 20) % 1_000_000) as f64 / 1e6;
    match draw {
        draw if draw < shares.control_share => Arm::Control,
        draw if draw >= 1.0 - shares.holdout_share => Arm::Holdout,
        _ => Arm::Treated,
    }
}

impl Reference {
    pub fn begin_trials(&mut self) {
        let (now, first) = (self.now, self.conversions.len());
        for (of, advertiser) in self.settings.advertisers.iter().enumerate() {
            let shares = self.settings.arms.of(advertiser);
            for goal in &advertiser.goals {
                let key = (of, goal.id.clone());
                let is_running = self.trials.get(&key).is_some_and(|trial| trial.shares == shares);
                if shares.holdout_share == 0.0 {
                    self.trials.remove(&key);
                } else if !is_running {
                    let (members, gone) = (BTreeMap::new(), Vec::new());
                    self.trials.insert(key, Trial { shares, since: now, first, members, gone, taken: 0 });
                }
            }
        }
    }

    /// Kept conversions of a person that count and came after a moment.
    fn conversions_after(&self, of: usize, goal: &Id, person: u64, at: u64) -> BTreeSet<usize> {
        let Some(trial) = self.trials.get(&(of, goal.clone())) else { return BTreeSet::new() };
        let is_theirs = |one: &usize| {
            let reached = &self.conversions[*one];
            let is_of = (reached.advertiser, &reached.goal, reached.user) == (of, goal, Some(person));
            is_of && reached.at > at && reached.at >= trial.since && *one >= trial.first
        };
        self.kept_conversions().filter(is_theirs).collect()
    }

    fn member(&mut self, of: usize, goal: &Id, person: u64) -> Option<&mut Member> {
        let most = self.settings.limits.profiles_max;
        let trial = self.trials.get_mut(&(of, goal.clone()))?;
        let is_new = !trial.members.contains_key(&person);
        if is_new && trial.taken >= most {
            self.count("trial_people_untracked");
            return None;
        }
        let trial = self.trials.get_mut(&(of, goal.clone()))?;
        trial.taken += usize::from(is_new);
        Some(trial.members.entry(person).or_default())
    }

    pub fn reach_person(&mut self, of: usize, goal: &Id, person: u64, at: u64) {
        let Some(trial) = self.trials.get(&(of, goal.clone())) else { return };
        let before = trial.members.get(&person).and_then(|member| member.reached_at);
        if at < trial.since || before.is_some_and(|before| before <= at) {
            return;
        }
        let after = self.conversions_after(of, goal, person, at);
        if let Some(member) = self.member(of, goal, person) {
            member.reached_at = Some(at);
            member.afterwards.extend(after);
        }
    }

    pub fn count_in_trial(&mut self, conversion: usize) {
        let reached = self.conversions[conversion].clone();
        let Some(person) = reached.user else { return };
        let Some(trial) = self.trials.get(&(reached.advertiser, reached.goal.clone())) else { return };
        if reached.at < trial.since {
            return;
        }
        if let Some(member) = self.member(reached.advertiser, &reached.goal, person) {
            member.converted.insert(conversion);
            if member.reached_at.is_some_and(|at| at < reached.at) {
                member.afterwards.insert(conversion);
            }
        }
    }

    pub fn take_out_of_trial(&mut self, conversion: usize) {
        for trial in self.trials.values_mut() {
            for member in trial.members.values_mut() {
                member.converted.remove(&conversion);
                member.afterwards.remove(&conversion);
            }
        }
    }

    /// To be called while each has conversions of their own.
    pub fn link_in_trials(&mut self, root: u64, other: u64) {
        let keys: Vec<_> = self.trials.keys().cloned().collect();
        for (of, goal) in keys {
            let trial = self.trials.get_mut(&(of, goal.clone())).unwrap();
            let Some(theirs) = trial.members.remove(&other) else { continue };
            let ours = trial.members.remove(&root);
            let both = [(root, ours), (other, Some(theirs))];
            let reached_at = both.iter().filter_map(|(_, one)| one.as_ref()?.reached_at).min();
            let mut merged = Member { reached_at, ..Member::default() };
            for (person, member) in both.into_iter().filter_map(|(person, one)| Some((person, one?))) {
                merged.converted.extend(member.converted);
                merged.afterwards.extend(member.afterwards);
                if let Some(at) = merged.reached_at {
                    merged.afterwards.extend(self.conversions_after(of, &goal, person, at));
                }
            }
            self.trials.get_mut(&(of, goal)).unwrap().members.insert(root, merged);
        }
    }

    pub fn forget_in_trials(&mut self, person: u64) {
        for trial in self.trials.values_mut() {
            let arm = dealt(&trial.shares, person);
            trial.gone.extend(trial.members.remove(&person).map(|member| (arm, member)));
        }
    }
}

impl Audit<'_> {
    pub fn trial(&self, of: usize, goal: &Id, code: GoalCode) {
        let told = self.engine.incrementality(code);
        let Some(trial) = self.reference.trials.get(&(of, goal.clone())) else {
            assert_eq!(told, None, "nobody is held out from {goal}");
            return;
        };
        let Incrementality { since, treated, control, holdout, treated_share, holdout_share, everybody, .. } =
            told.unwrap();
        assert_eq!(since.0, trial.since);
        let members = trial.members.iter().map(|(person, member)| (dealt(&trial.shares, *person), member));
        let all: Vec<_> = members.chain(trial.gone.iter().map(|(arm, member)| (*arm, member))).collect();
        for (arm, told) in [(Arm::Treated, treated), (Arm::Control, control), (Arm::Holdout, holdout)] {
            let count = |is: &dyn Fn(&Member) -> bool| {
                all.iter().filter(|(of, member)| *of == arm && is(member)).count() as u64
            };
            let expected = ArmPeople {
                converters: count(&|one| !one.converted.is_empty()),
                reached: count(&|one| one.reached_at.is_some()),
                reached_converters: count(&|one| one.reached_at.is_some() && !one.afterwards.is_empty()),
            };
            assert_eq!(told, expected, "{arm:?} of {goal}: {trial:?}");
        }
        assert!((treated_share + holdout_share + trial.shares.control_share - 1.0).abs() < 1e-5);
        let counts = [treated.converters, holdout.converters].map(|count| count as f64);
        assert_eq!(everybody.is_some(), counts[0] > 0.0 && counts[1] > 0.0);
        if let Some(lift) = everybody {
            let ratio = counts[0] / treated_share / (counts[1] / holdout_share);
            assert!((lift.ratio - ratio).abs() < 1e-9 * ratio && lift.low < ratio && ratio < lift.high, "{lift:?}");
        }
    }
}

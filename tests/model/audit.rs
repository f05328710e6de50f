//! Asks the engine all it can be asked, and compares with what the lists say.

use std::collections::{BTreeMap, BTreeSet};

use inkling::engine::{AudienceCounts, ClassCounts, Engine};
use inkling::exposure::Arm;
use inkling::ids::{AdvertiserCode, GoalCode, Id, SegmentCode, UserKey};
use inkling::insight;
use inkling::settings::RuleSegment;
use inkling::signal::Readiness;
use inkling::units::Span;

use super::fading::{Fading, Sum};
use super::outcomes::Shown;
use super::person::Person;
use super::reference::Reference;

/// Half-life of what is counted of an advertiser's audience, and over all goals.
const WIDE: Span = Span::days(14);
/// Impressions that a parent's rate is worth.
const STRENGTH: f64 = 200.0;

pub struct Audit<'a> {
    pub reference: &'a Reference,
    pub engine: &'a Engine,
}

impl Audit<'_> {
    /// What is cheap enough to be checked after every record.
    pub fn brief(&self) {
        let mut tally = self.reference.tally.clone();
        for (name, count) in self.engine.tally().entries() {
            assert_eq!(count, tally.remove(name).unwrap_or_default(), "tally of {name}");
        }
        assert!(tally.is_empty(), "not in the engine's tally: {tally:?}");
        let kept = (self.reference.kept().count(), self.reference.kept_conversions().count());
        let sizes = self.engine.sizes().map(|(_, size)| size);
        let expected = [self.reference.histories.len(), kept.0, kept.1, self.reference.quarantine.len()];
        assert_eq!(sizes[..4], expected, "profiles, impressions, conversions, quarantined");
    }

    pub fn whole(&self) {
        self.brief();
        self.people();
        for (of, advertiser) in self.reference.settings.advertisers.iter().enumerate() {
            let code = self.engine.catalog().advertiser(advertiser.id.as_str()).unwrap();
            self.audiences(of, code);
            for goal in &advertiser.goals {
                let code = self.engine.catalog().goal(code, goal.id.as_str()).unwrap();
                self.goal(of, &goal.id, code);
            }
        }
        let counters: BTreeMap<_, _> =
            insight::counters(self.engine).into_iter().map(|one| (one.label.unwrap().1, one.value)).collect();
        assert_eq!(counters["records"], self.reference.tally["records"]);
        assert_eq!(counters["profiles"], self.reference.histories.len() as u64);
    }

    fn people(&self) {
        for (root, members) in &self.reference.groups {
            for member in members {
                let linked: BTreeSet<u64> = self.engine.linked_ids(UserKey(*member)).iter().map(|id| id.0).collect();
                assert_eq!(linked, *members, "linked to {member} under {root}");
            }
        }
        for ((person, of), history) in &self.reference.histories {
            let code = AdvertiserCode(*of as u16);
            let profile = self.engine.profile(UserKey(*person), code);
            let profile = profile.unwrap_or_else(|| panic!("{person} is not known to {of}: {history:?}"));
            let checked = Person { audit: self, of: *of, code, life: &history.life(), profile: &profile };
            checked.times_and_counts();
            checked.actions();
            checked.interests();
            checked.segments(UserKey(*person));
        }
    }

    fn fading(&self, half_life: Span) -> Fading {
        let skew = Span::seconds(if self.reference.saw_ahead { 400 } else { 0 });
        Fading {
            now: self.reference.now / 1_000,
            half_life: half_life.whole_seconds().max(1),
            ahead: skew.whole_seconds(),
        }
    }

    fn audiences(&self, of: usize, code: AdvertiserCode) {
        let fading = self.fading(WIDE);
        self.users(of, code);
        let everyone = self.engine.audience(code, None).unwrap();
        self.audience(of, code, None, &everyone, &fading);
        for RuleSegment { id, .. } in &self.reference.of(of).segments {
            let audience = self.engine.audience(code, Some(self.segment(code, id))).unwrap();
            self.audience(of, code, Some(id), &audience, &fading);
        }
        let funnel = insight::funnel(self.engine, code).unwrap();
        assert_eq!(funnel.users, self.reference.histories.len());
        assert_eq!(funnel.sessions, everyone.sessions);
    }

    fn audience(
        &self,
        of: usize,
        code: AdvertiserCode,
        segment: Option<&Id>,
        audience: &AudienceCounts,
        fading: &Fading,
    ) {
        let mut sessions = Sum::default();
        let mut actions: BTreeMap<&Id, Sum> = BTreeMap::new();
        for deed in self.reference.deeds.iter().filter(|deed| deed.advertiser == of) {
            if segment.is_none_or(|segment| deed.segments.contains(segment)) {
                let factor = fading.factors(deed.tick);
                sessions.add(factor, f64::from(u8::from(deed.begins_session)));
                actions.entry(&deed.action).or_default().add(factor, 1.0);
            }
        }
        let at = format!("{segment:?} of advertiser {of}");
        fading.check(audience.sessions, sessions, || format!("sessions of {at}"));
        for (action, count) in &audience.actions {
            let name = self.engine.catalog().action_name(code, *action).unwrap();
            let expected = actions.remove(name).unwrap_or_else(|| panic!("{name} was never done by {at}"));
            fading.check(*count, expected, || format!("{name} by {at}"));
        }
        assert!(actions.values().all(|sum| sum.exact < 1e-12), "not counted: {actions:?} of {at}");
    }

    pub fn segment(&self, code: AdvertiserCode, name: &Id) -> SegmentCode {
        let segments = self.engine.catalog().segments(code);
        let is_meant = |one: &SegmentCode| self.engine.catalog().segment_name(code, *one) == Some(name);
        segments.into_iter().find(is_meant).unwrap()
    }

    fn goal(&self, of: usize, goal: &Id, code: GoalCode) {
        let reference = self.reference;
        let setting = reference.goal(of, goal).unwrap();
        let fading = self.fading(setting.half_life);
        let is_of = |shown: &&Shown| shown.advertiser == of && shown.goal == *goal;
        let open = reference.impressions.iter().filter(is_of).filter(|one| one.is_kept && !one.is_closed).count();
        assert_eq!(self.engine.open_impressions(code), open, "open impressions of {goal}");
        let advertiser = AdvertiserCode(of as u16);
        let names = reference.of(of).segments.iter().map(|one| &one.id);
        let names: Vec<&Id> = names.chain(reference.of(of).externals.iter().map(|one| &one.id)).collect();
        let parent = self.parent_rate(of, setting.prior_rate);
        let whole = self.cell(of, goal, code, None, &fading, parent);
        let mut checked = vec![None];
        for name in names {
            let segment = match self.engine.catalog().external(advertiser, name.as_str()) {
                Some(external) => external,
                None => self.segment(advertiser, name),
            };
            self.cell(of, goal, code, Some((segment, name)), &fading, whole);
            checked.push(Some(segment));
        }
        let reports = insight::segment_reports(self.engine, code);
        let reported: BTreeSet<_> = reports.iter().map(|report| report.segment).collect();
        assert_eq!(reported, checked.into_iter().collect(), "segments reported of {goal}");

        let mut organic = Sum::default();
        let reached = reference.conversions.iter().filter(|one| one.advertiser == of && one.goal == *goal);
        for one in reached.filter(|one| !one.is_retracted && one.credit.is_empty()) {
            organic.add(fading.factors(one.at / 1_000), 1.0);
        }
        fading.check(self.engine.organic(code), organic, || format!("organic conversions of {goal}"));
        self.arms(code, reference.impressions.iter().filter(is_of), &fading);
        super::spend::check(reference, self.engine, of, goal, code);
        self.effects(of, goal, code, &fading);
        self.trial(of, goal, code);
        self.readiness(of, goal, code);
    }

    /// Checks one cell, and gives its rate.
    fn cell(
        &self,
        of: usize,
        goal: &Id,
        code: GoalCode,
        segment: Option<(SegmentCode, &Id)>,
        fading: &Fading,
        parent: f64,
    ) -> f64 {
        let is_of = |shown: &Shown| {
            let is_goal = shown.advertiser == of && shown.goal == *goal;
            is_goal && segment.is_none_or(|(_, name)| shown.segments.contains(name))
        };
        let [mut impressions, mut clicks, mut conversions, mut value, mut cost] = [Sum::default(); 5];
        for shown in self.reference.impressions.iter().filter(|one| is_of(one) && !one.is_ghost) {
            let factors = fading.factors(shown.shown_at / 1_000);
            impressions.add(factors, 1.0);
            cost.add(factors, shown.cost as f64);
            if let Some((_, clicked)) = shown.clicked_at {
                clicks.add(fading.factors(clicked / 1_000), 1.0);
            }
        }
        for reached in self.reference.conversions.iter().filter(|one| !one.is_retracted) {
            let ours = reached.credit.iter().filter(|shown| is_of(&self.reference.impressions[**shown])).count();
            if ours > 0 {
                let (factors, part) = (fading.factors(reached.at / 1_000), ours as f64 / reached.credit.len() as f64);
                conversions.add(factors, part);
                value.add(factors, part * reached.value.unwrap() as f64);
            }
        }
        let cell = self.engine.cell(code, segment.map(|(code, _)| code)).unwrap();
        let name = |what: &str| format!("{what} of {goal} in {segment:?}");
        fading.check(cell.impressions, impressions, || name("impressions"));
        fading.check(cell.clicks, clicks, || name("clicks"));
        fading.check(cell.conversions, conversions, || name("conversions"));
        fading.check_whole(cell.value.0, value, || name("value"));
        fading.check_whole(cell.cost.0, cost, || name("cost"));
        let successes = conversions.grid.clamp(0.0, impressions.grid);
        let expected = (successes + STRENGTH * parent) / (impressions.grid + STRENGTH);
        let rate = self.engine.rate(code, segment.map(|(code, _)| code)).unwrap().mean;
        assert!((rate - expected).abs() <= 0.02 * expected, "{}: {rate}, not {expected}", name("rate"));
        expected
    }

    /// Share of positives over everything, then over the advertiser.
    fn parent_rate(&self, of: usize, prior: f64) -> f64 {
        let fading = self.fading(WIDE);
        let below = |parent: f64, is_of: &dyn Fn(&Shown) -> bool| {
            let [mut impressions, mut positives] = [Sum::default(); 2];
            for shown in self.reference.impressions.iter().filter(|one| one.is_learned && is_of(one)) {
                let factors = fading.factors(shown.shown_at / 1_000);
                impressions.add(factors, 1.0);
                positives.add(factors, f64::from(u8::from(shown.standing > 0)));
            }
            (positives.grid + STRENGTH * parent) / (impressions.grid + STRENGTH)
        };
        below(below(prior, &|_| true), &|shown| shown.advertiser == of)
    }

    fn arms<'b>(&self, code: GoalCode, shown: impl Iterator<Item = &'b Shown>, fading: &Fading) {
        let mut sums: BTreeMap<Arm, [Sum; 3]> = BTreeMap::new();
        let classes = self.engine.by_multiplier(code);
        let mut by_class = vec![[Sum::default(); 3]; classes.len()];
        let is_below =
            |multiplier: f32, class: &ClassCounts| class.below.is_none_or(|below| f64::from(multiplier) < below);
        for one in shown {
            if let Some((arm, p, multiplier)) = one.answered.filter(|_| one.is_learned || one.is_ghost) {
                let factors = fading.factors(one.shown_at / 1_000);
                let add = |[impressions, positives, predicted]: &mut [Sum; 3]| {
                    impressions.add(factors, 1.0);
                    positives.add(factors, f64::from(u8::from(one.standing > 0)));
                    predicted.add(factors, f64::from(p));
                };
                add(sums.entry(arm).or_default());
                // A goal that another one led in what was bid counts as if it had asked for nothing.
                let multiplier = if multiplier == 0.0 { 1.0 } else { multiplier };
                let is_within = |class: &ClassCounts| class.from <= multiplier.into() && is_below(multiplier, class);
                let class = classes.iter().position(is_within).unwrap();
                if arm == Arm::Treated {
                    add(&mut by_class[class]);
                }
            }
        }
        for (class, [impressions, positives, predicted]) in classes.iter().zip(by_class) {
            let name = |what| format!("{what} of {class:?}, goal {code:?}");
            fading.check(class.impressions, impressions, || name("impressions"));
            fading.check(class.positives, positives, || name("positives"));
            fading.check(class.predicted, predicted, || name("predicted"));
        }
        for counts in self.engine.arms(code) {
            let [impressions, positives, predicted] = sums.remove(&counts.arm).unwrap_or_default();
            let name = |what| format!("{what} of {:?}, goal {code:?}", counts.arm);
            fading.check(counts.impressions, impressions, || name("impressions"));
            fading.check(counts.positives, positives, || name("positives"));
            fading.check(counts.predicted, predicted, || name("predicted"));
        }
    }

    fn readiness(&self, of: usize, goal: &Id, code: GoalCode) {
        let setting = self.reference.goal(of, goal).unwrap();
        let users = |what: String| self.reference.support.get(&(of, what)).map_or(0, |support| support.users());
        let milestones = setting.milestones.iter().map(|milestone| users(milestone.to_string()));
        let most = milestones.chain([users(format!("goal {goal}"))]).max().unwrap() as u32;
        let needed = setting.multiplier.support;
        let expected = match most {
            _ if most >= needed => Readiness::Ready,
            0 => Readiness::Cold,
            users => Readiness::Warming { users, needed },
        };
        assert_eq!(self.engine.goal_readiness(code), Some(expected), "readiness of {goal}");
    }
}

//! One person: the engine's profile beside the list of all that was done.

use std::collections::BTreeSet;

use inkling::engine::profile::Profile;
use inkling::ids::{ActionCode, AdvertiserCode, Id, UserKey};
use inkling::insight;
use inkling::units::Tick;

use super::audit::Audit;
use super::fading::{Fading, Sum};
use super::history::{Life, counted, position};

/// One profile beside the list of all that the person did.
pub struct Person<'a> {
    pub audit: &'a Audit<'a>,
    pub of: usize,
    pub code: AdvertiserCode,
    pub life: &'a Life<'a>,
    pub profile: &'a Profile,
}

impl Person<'_> {
    pub fn times_and_counts(&self) {
        let (life, profile) = (self.life, self.profile);
        let counts = [profile.sessions, profile.session_actions, profile.shown, profile.conversions].map(u64::from);
        let expected = [life.sessions, life.session_actions, life.shown, life.conversions];
        assert_eq!(counts, expected, "sessions, actions of the last, impressions, conversions: {life:?}");
        assert_eq!(u64::from(profile.more_in_minute), life.more_in_minute(), "more in the minute: {life:?}");
        let times = [profile.first_acted, profile.last_acted, profile.last_shown, profile.last_converted];
        let first = life.first_acted().unwrap_or(0);
        let expected = [first, life.last_acted, life.last_shown, life.last_converted];
        assert_eq!(times.map(|tick| u64::from(tick.0)), expected, "first and last acted, shown, converted: {life:?}");
    }

    fn name(&self, action: u8) -> &Id {
        let action = ActionCode(action);
        self.audit.engine.catalog().action_name(self.code, action).unwrap()
    }

    pub fn actions(&self) {
        let path: Vec<&Id> = self.profile.path.iter().filter(|code| **code > 0).map(|code| self.name(*code)).collect();
        assert_eq!(path, self.life.path);
        let done: BTreeSet<&Id> = self.life.acts.iter().map(|act| &act.action).collect();
        assert_eq!(self.profile.actions.len(), done.len(), "{done:?}");
        let advertiser = self.audit.reference.of(self.of);
        for history in &self.profile.actions {
            let name = self.name(history.action.0);
            let times = self.life.times(name);
            let latest = times.first().unwrap_or_else(|| panic!("{name} was never done: {:?}", self.life));
            assert_eq!(u64::from(history.last.0), *latest, "{name}");
            let half_life = advertiser.action(name.as_str()).unwrap().half_life;
            // A count reads as of its last change where that lies ahead of the clock.
            let now = (self.audit.reference.now / 1_000).max(*latest);
            let fading = Fading { now, half_life: half_life.whole_seconds(), ahead: 0 };
            let mut sum = Sum::default();
            times.iter().for_each(|tick| sum.add(fading.factors(*tick), 1.0));
            let count = self.audit.engine.count_now(self.code, history);
            fading.check_f32(count, sum, times.len(), || format!("{name} of {:?}", self.life));
            let rules = advertiser.segments.iter().map(|segment| counted(&segment.rule, name));
            for n in 1..=rules.max().unwrap_or(0).max(1) {
                let expected = times.get(usize::from(n) - 1).map(|tick| Tick(*tick as u32));
                assert_eq!(self.profile.occurrence(history.action, n), expected, "{n} from last of {name}");
            }
        }
    }

    pub fn interests(&self) {
        let most = self.audit.reference.settings.limits.interests_max;
        let mut touched = self.life.touched();
        let (all, kept) = (touched.len(), self.profile.interests.len());
        assert_eq!(kept, all.min(most), "{touched:?}");
        let mut oldest = u64::MAX;
        for interest in &self.profile.interests {
            let expected = touched.remove(&interest.key.0).unwrap();
            assert_eq!(u64::from(interest.last.0), expected.last, "{expected:?}");
            oldest = oldest.min(expected.last);
            // What was given up and touched again is counted anew; and only so many kinds of action are counted.
            let kinds: BTreeSet<&Id> = expected.acts.iter().map(|act| &act.action).collect();
            let may_be_less = all > most || kinds.len() > 6;
            assert!(interest.counts().count() >= 1);
            for (action, count) in interest.counts() {
                let name = self.name(action.0);
                let times = expected.acts.iter().filter(|act| act.action == *name).count().min(255);
                let count = usize::from(count);
                assert!(count == times || (may_be_less && count < times), "{count} × {name}: {expected:?}");
            }
            assert!(may_be_less || interest.counts().count() == kinds.len(), "{expected:?}");
            let latest = self.name(interest.latest.0);
            let mut last = expected.acts.iter().filter(|act| act.tick == expected.last);
            assert!(last.any(|act| act.action == *latest), "{latest}: {expected:?}");
        }
        let forgotten = touched.values().map(|one| one.last).max().unwrap_or(0);
        assert!(forgotten <= oldest, "{forgotten} was given up, {oldest} kept");
    }

    pub fn segments(&self, user: UserKey) {
        let now = self.audit.reference.now / 1_000;
        let expected = self.audit.reference.segments_of(self.of, self.life, &[], now);
        let catalog = self.audit.engine.catalog();
        let codes = self.audit.engine.segments_of(user, self.code);
        let names: BTreeSet<Id> =
            codes.iter().map(|code| catalog.segment_name(self.code, *code).unwrap().clone()).collect();
        assert_eq!(names, expected, "{:?}", self.life);
        let report = insight::user_report(self.audit.engine, self.code, user).unwrap();
        assert_eq!(report.segments, codes);
        let ladder = |action: &Id| position(self.audit.reference.of(self.of), action);
        let furthest = self.life.acts.iter().map(|act| ladder(&act.action)).max().unwrap_or(0);
        assert_eq!(report.stage.map_or(0, |action| ladder(self.name(action.0))), furthest);
    }
}

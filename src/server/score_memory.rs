//! Scores remembered for bidders that cannot carry a token: opportunity → exposure, bounded in number and age.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::exposure::Exposure;
use crate::hash::KeyHasher;
use crate::ids::OpportunityKey;
use crate::units::{Span, Timestamp};

/// The memory. At its bound the oldest score gives way.
#[derive(Debug)]
pub struct ScoreMemory {
    entries: Mutex<Entries>,
    scores_max: usize,
    age_max: Span,
}

#[derive(Debug, Default)]
struct Entries {
    exposures: HashMap<OpportunityKey, Box<Exposure>, KeyHasher>,
    /// In the order of remembering. A score that was replaced stands here twice; its first entry is passed over, as the
    /// time in it is no longer that of the exposure.
    order: VecDeque<(Timestamp, OpportunityKey)>,
}

impl ScoreMemory {
    /// An empty memory for so many scores, each for so long.
    pub fn new(scores_max: usize, age_max: Span) -> ScoreMemory {
        ScoreMemory { entries: Mutex::default(), scores_max, age_max }
    }

    /// Remembers a score by its opportunity; a later score of the same opportunity replaces it.
    pub fn remember(&self, exposure: Box<Exposure>) {
        if self.scores_max == 0 {
            return;
        }
        let mut entries = self.lock();
        entries.expire(exposure.scored_at - self.age_max);
        while entries.order.len() >= self.scores_max {
            entries.drop_oldest();
        }
        entries.order.push_back((exposure.scored_at, exposure.opportunity));
        entries.exposures.insert(exposure.opportunity, exposure);
    }

    /// The score of an opportunity, if it is remembered and not too old at `now`.
    pub fn recall(&self, opportunity: OpportunityKey, now: Timestamp) -> Option<Box<Exposure>> {
        let entries = self.lock();
        let exposure = entries.exposures.get(&opportunity)?;
        (now.since(exposure.scored_at) <= self.age_max).then(|| exposure.clone())
    }

    /// Lets go of what is too old at `now`.
    pub fn expire(&self, now: Timestamp) {
        self.lock().expire(now - self.age_max);
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Whoever panicked while holding the lock left two containers that may differ: both are only a cache.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn expire(&mut self, oldest: Timestamp) {
        while self.order.front().is_some_and(|(scored_at, _)| *scored_at < oldest) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some((scored_at, opportunity)) = self.order.pop_front() else { return };
        if self.exposures.get(&opportunity).is_some_and(|exposure| exposure.scored_at == scored_at) {
            self.exposures.remove(&opportunity);
        }
    }
}

#[cfg(test)]
mod tests {
    use arrayvec::ArrayVec;

    use super::*;
    use crate::exposure::{Arm, FEATURE_SCHEMA};
    use crate::ids::AdvertiserCode;

    fn exposure(opportunity: u64, scored_at: u64) -> Box<Exposure> {
        Box::new(Exposure {
            schema: FEATURE_SCHEMA,
            opportunity: OpportunityKey(opportunity),
            user: None,
            advertiser: AdvertiserCode(0),
            line_item: None,
            item: None,
            category: None,
            scored_at: Timestamp(scored_at),
            arm: Arm::Treated,
            goals: ArrayVec::new(),
            externals: ArrayVec::new(),
            features: ArrayVec::new(),
        })
    }

    /// What is still known at `now` of the scores of opportunities 0, 1, 2 …, given at these times.
    fn known(memory: &ScoreMemory, scored: &[(u64, u64)], now: u64) -> Vec<u64> {
        scored.iter().for_each(|(opportunity, at)| memory.remember(exposure(*opportunity, *at)));
        (0..10).filter(|key| memory.recall(OpportunityKey(*key), Timestamp(now)).is_some()).collect()
    }

    #[test]
    fn the_oldest_gives_way() {
        let memory = ScoreMemory::new(3, Span(100));
        assert_eq!(known(&memory, &[(0, 0), (1, 1), (2, 2), (3, 3)], 3), [1, 2, 3]);
        assert_eq!(memory.lock().order.len(), 3);
    }

    #[test]
    fn a_score_too_old_is_not_known_any_more() {
        let memory = ScoreMemory::new(3, Span(100));
        assert_eq!(known(&memory, &[(0, 0), (1, 50)], 100), [0, 1]);
        assert_eq!(known(&memory, &[], 101), [1]);
        memory.expire(Timestamp(101));
        assert_eq!(memory.lock().exposures.len(), 1, "gone, not only hidden");
        assert_eq!(known(&memory, &[(2, 151)], 151), [2]);
        assert_eq!(memory.lock().exposures.len(), 1);
    }

    #[test]
    fn a_later_score_of_the_same_opportunity_replaces_and_outlives() {
        let memory = ScoreMemory::new(10, Span(100));
        assert_eq!(known(&memory, &[(0, 0), (0, 90)], 90), [0]);
        assert_eq!(known(&memory, &[(1, 110)], 110), [0, 1]);
        let found = memory.recall(OpportunityKey(0), Timestamp(110)).unwrap();
        assert_eq!(found.scored_at, Timestamp(90));
    }

    #[test]
    fn a_memory_of_size_zero_remembers_nothing() {
        assert_eq!(known(&ScoreMemory::new(0, Span(100)), &[(0, 0)], 0), [0; 0]);
    }
}

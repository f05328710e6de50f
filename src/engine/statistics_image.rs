//! Statistics as canonical bytes, and out of them again.

use super::bytes::{Bytes, Read, Reader};
use super::statistics::{AdvertiserStatistics, GoalStatistics, Watched};
use crate::settings::{ACTIONS_MAX, KNOWN_EXTERNALS_MAX, RULE_SEGMENTS_MAX};

impl AdvertiserStatistics {
    /// Appends canonical bytes.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        bytes.audience(&self.everyone);
        bytes.list(&self.segments, Bytes::audience);
        bytes.outcome(&self.outcome);
        bytes.list(&self.users, Bytes::users);
        bytes.list(&self.support, Bytes::support);
    }

    /// Statistics out of their canonical bytes.
    pub fn read(mut bytes: Reader<'_>) -> Read<AdvertiserStatistics> {
        let statistics = AdvertiserStatistics {
            everyone: bytes.audience()?,
            segments: bytes.list(RULE_SEGMENTS_MAX, Reader::audience)?,
            outcome: bytes.outcome()?,
            users: bytes.list(ACTIONS_MAX, Reader::users)?,
            support: bytes.list(ACTIONS_MAX, Reader::support)?,
        };
        bytes.end().map(|()| statistics)
    }
}

impl GoalStatistics {
    /// Appends canonical bytes.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        bytes.cell(&self.everyone);
        bytes.list(&self.segments, Bytes::cell);
        bytes.word(self.externals.len() as u32);
        for (segment, cell) in &self.externals {
            bytes.segment(segment);
            bytes.cell(cell);
        }
        bytes.list(&self.done, Bytes::outcome);
        bytes.list(&self.steps, Bytes::outcome);
        bytes.count(&self.organic);
        bytes.outcome(&self.outcome);
        self.arms.iter().chain(&self.by_multiplier).for_each(|watched| bytes.watched(watched));
        bytes.support(&self.support);
    }

    /// Statistics out of their canonical bytes.
    pub fn read(bytes: &mut Reader<'_>) -> Read<GoalStatistics> {
        Ok(GoalStatistics {
            everyone: bytes.cell()?,
            segments: bytes.list(RULE_SEGMENTS_MAX, Reader::cell)?,
            externals: bytes
                .list(KNOWN_EXTERNALS_MAX, |bytes| Ok((bytes.segment()?, bytes.cell()?)))?
                .into_iter()
                .collect(),
            done: bytes.list(ACTIONS_MAX, Reader::outcome)?,
            steps: bytes.list(ACTIONS_MAX, Reader::outcome)?,
            organic: bytes.count()?,
            outcome: bytes.outcome()?,
            arms: watched(bytes)?,
            by_multiplier: watched(bytes)?,
            support: bytes.support()?,
        })
    }
}

fn watched<const N: usize>(bytes: &mut Reader<'_>) -> Read<[Watched; N]> {
    let mut all = [Watched::default(); N];
    for watched in &mut all {
        *watched = bytes.watched()?;
    }
    Ok(all)
}

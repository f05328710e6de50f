//! Names of opportunities that no feature is made of: only so many of each kind are looked at, the first ones.

use std::collections::BTreeMap;

use super::traits::Kind;
use crate::engine::{CONTEXT_USED_MAX, Catalog, NUMBERS_USED_MAX, SEGMENTS_USED_MAX};
use crate::ids::{AdvertiserCode, Id};
use crate::opportunity::ScoreRequest;
use crate::signal::Signal;

/// Names that are told apart.
const NAMES_MAX: usize = 1_024;

/// How many opportunities have each name without use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unused {
    counts: BTreeMap<(Kind, Id), u64>,
}

impl Unused {
    /// Counts the names of an opportunity that are beyond those looked at.
    pub(super) fn note(
        &mut self,
        request: &ScoreRequest,
        signal: &Signal,
        catalog: &Catalog,
        advertiser: AdvertiserCode,
    ) {
        for (name, _) in request.context.iter().skip(CONTEXT_USED_MAX) {
            self.count(Kind::Context, name);
        }
        for (name, _) in request.numbers.iter().skip(NUMBERS_USED_MAX) {
            self.count(Kind::Number, name);
        }
        for segment in signal.segments.iter().skip(SEGMENTS_USED_MAX) {
            if let Some(name) = catalog.segment_name(advertiser, *segment) {
                self.count(Kind::Segment, name);
            }
        }
        // Of the request's own segments, some do not even get as far as the signal.
        for name in request.segments.iter().skip(SEGMENTS_USED_MAX) {
            let code = catalog.external(advertiser, name.as_str());
            if code.is_some_and(|code| !signal.segments.contains(&code)) {
                self.count(Kind::Segment, name);
            }
        }
    }

    fn count(&mut self, kind: Kind, name: &Id) {
        let key = (kind, name.clone());
        if self.counts.len() < NAMES_MAX || self.counts.contains_key(&key) {
            *self.counts.entry(key).or_default() += 1;
        }
    }

    /// Kind, name, and number of opportunities, those of most opportunities first.
    pub fn names(&self) -> Vec<(Kind, &Id, u64)> {
        let mut names: Vec<_> = self.counts.iter().map(|((kind, name), many)| (*kind, name, *many)).collect();
        names.sort_by_key(|(kind, name, many)| (std::cmp::Reverse(*many), *kind, *name));
        names
    }
}

//! What is known of people adds to the log-odds of a goal, in the mean over its impressions.

use super::bytes::{Bytes, Read, Reader};
use crate::stats::decay::{Decayed, HalfLife};
use crate::units::Tick;

/// Mean difference between the log-odds of all features and those of the context's features alone, over the
/// impressions of people that a goal has learned.
///
/// Some of what holds for everybody is learned by features that each person has one of (how often an ad was shown, how
/// long ago they came), so that the context's features alone are off by about this much.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gap {
    sum: Decayed,
    impressions: Decayed,
}

impl Gap {
    /// Counts one impression, as of when it was shown.
    pub fn add(&mut self, difference: f64, shown: Tick, half_life: HalfLife) {
        self.sum.add(difference, shown, half_life);
        self.impressions.add(1.0, shown, half_life);
    }

    /// The mean; 0 before the first impression. It does not change with time: both counts fade alike.
    pub fn mean(&self) -> f64 {
        if self.impressions.value > 0.0 { self.sum.value / self.impressions.value } else { 0.0 }
    }

    /// Appends its canonical bytes.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        bytes.count(&self.sum);
        bytes.count(&self.impressions);
    }

    /// A gap out of its canonical bytes.
    pub fn read(bytes: &mut Reader<'_>) -> Read<Gap> {
        Ok(Gap { sum: bytes.count()?, impressions: bytes.count()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Span;

    #[test]
    fn older_impressions_count_less() {
        let half_life = HalfLife::new(Span::days(1));
        let mut gap = Gap::default();
        assert_eq!(gap.mean(), 0.0);
        gap.add(3.0, Tick(1_000_000), half_life);
        assert_eq!(gap.mean(), 3.0);
        gap.add(0.0, Tick(1_000_000 + 86_400), half_life);
        assert!((gap.mean() - 1.0).abs() < 0.01, "half of one against a whole one: {}", gap.mean());
    }
}

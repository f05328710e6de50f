//! What may be promised of a point that was found.

use crate::market::compare::Estimate;
use crate::market::equal_spend::EQUAL;

/// A point against the settings it started from, in worlds that nothing was chosen on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verdict {
    /// What it gains, as a share, with its 95 % interval; `None` where nothing can be said.
    pub gain: Option<Estimate>,
    /// The same, counted as it came rather than expected; where there is such a difference.
    pub came: Option<Estimate>,
    /// What the settings came to, and what the point did, a world in the mean.
    pub kpi: (f64, f64),
    /// What the point spent ÷ what the settings spent.
    pub spend: f64,
    /// What must be sure to be gained, as a share: the whole interval lies above it, or nothing is promised.
    pub gain_min: f64,
}

/// Why nothing is promised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Why {
    /// The point spends something else.
    Unequal,
    /// It may be chance.
    Noise,
    /// A gain is sure, but not one that is worth a change.
    Small,
}

impl Verdict {
    /// Whether there is no gain to be promised, and why.
    pub fn refused(&self) -> Option<Why> {
        match self.gain {
            _ if (self.spend - 1.0).abs() > EQUAL => Some(Why::Unequal),
            Some(gain) if gain.low > self.gain_min => None,
            Some(gain) if gain.low > 0.0 => Some(Why::Small),
            _ => Some(Why::Noise),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sure_gain_at_equal_spend_is_promised() {
        let verdict = |mean: f64, error: f64, spend| Verdict {
            gain: Some(Estimate { mean, low: mean - error, high: mean + error, detectable: error }),
            came: None,
            kpi: (1.0, 1.0),
            spend,
            gain_min: 0.01,
        };
        let cases = [
            (verdict(0.05, 0.02, 1.0), None),
            (verdict(0.05, 0.06, 1.0), Some(Why::Noise)),
            (verdict(-0.05, 0.01, 1.0), Some(Why::Noise)),
            (verdict(0.05, 0.045, 1.0), Some(Why::Small)),
            (verdict(0.009, 0.001, 1.0), Some(Why::Small)),
            (verdict(0.05, 0.02, 0.98), Some(Why::Unequal)),
            (Verdict { gain: None, ..verdict(0.0, 0.0, 1.0) }, Some(Why::Noise)),
        ];
        for (verdict, refused) in cases {
            assert_eq!(verdict.refused(), refused, "{verdict:?}");
        }
    }
}

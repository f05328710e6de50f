//! How good predictions are: proper scores, ranking, calibration; for any weights of the users behind them.
//!
//! Predictions are put in order once; every resample of the users is then one pass.

use crate::math;

/// Probabilities are taken as at least this, and at most 1 − this, so that one certain mistake is not an infinite loss.
pub const PROBABILITY_MIN: f64 = 1e-6;

/// What was predicted, and what came.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// Predicted probability.
    pub p: f64,
    /// Whether it happened.
    pub positive: bool,
    /// Number of the user, who is drawn with all that is theirs.
    pub user: u32,
}

/// Predictions in descending order of their probability; equal ones stay as they came.
#[derive(Debug, Clone, Default)]
pub struct Ranking {
    rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    p: f64,
    loss: f64,
    user: u32,
    positive: bool,
    /// The next row has another probability.
    ends_tie: bool,
}

/// Figures of one set of predictions. What cannot be told is NaN: without a positive there is no AUC.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Predictions.
    pub opportunities: f64,
    /// Of those, positive.
    pub positives: f64,
    /// Mean of −ln of the probability that was given to what came, in nats.
    pub log_loss: f64,
    /// Log loss ÷ that of always saying the observed rate (He et al., ADKDD 2014). Below 1 is better than the rate.
    pub normalized_entropy: f64,
    /// Probability that a positive is ranked above a negative; ties count half.
    pub auc: f64,
    /// Average precision: Σ (recall step × precision), ties taken together.
    pub pr_auc: f64,
    /// Mean squared difference.
    pub brier: f64,
    /// Predicted ÷ observed: Σ p ÷ positives.
    pub calibration: f64,
    /// Rate of positives in the tenth with the highest probabilities ÷ the rate of all. The tenth is rounded down, to
    /// at least one; of equal probabilities the earlier ones count.
    pub top_decile_lift: f64,
}

/// A band of predictions that stand next to each other in the ranking.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Predictions.
    pub opportunities: u64,
    /// Of those, positive.
    pub positives: u64,
    /// Mean predicted probability.
    pub predicted: f64,
    /// Smallest and largest probability.
    pub range: (f64, f64),
}

/// Entropy in nats of something that happens at this rate; 0 at 0 and 1.
pub fn entropy(rate: f64) -> f64 {
    let part = |p: f64| if p > 0.0 { -p * math::ln(p) } else { 0.0 };
    part(rate) + part(1.0 - rate)
}

/// A probability within [`PROBABILITY_MIN`] and 1 − that.
pub fn clipped(p: f64) -> f64 {
    p.clamp(PROBABILITY_MIN, 1.0 - PROBABILITY_MIN)
}

/// Log loss of always saying `p` where this share is positive.
pub fn constant_loss(p: f64, rate: f64) -> f64 {
    let p = clipped(p);
    -rate * math::ln(p) - (1.0 - rate) * math::ln(1.0 - p)
}

impl Ranking {
    /// Puts predictions in order. Probabilities are clipped as [`clipped`] says.
    pub fn new(judged: impl IntoIterator<Item = Judged>) -> Ranking {
        let row = |judged: Judged| {
            let p = clipped(judged.p);
            let given = if judged.positive { p } else { 1.0 - p };
            Row { p, loss: -math::ln(given), user: judged.user, positive: judged.positive, ends_tie: true }
        };
        let mut rows: Vec<Row> = judged.into_iter().map(row).collect();
        rows.sort_by(|one, other| other.p.total_cmp(&one.p));
        for place in 1..rows.len() {
            rows[place - 1].ends_tie = rows[place].p != rows[place - 1].p;
        }
        Ranking { rows }
    }

    /// Number of predictions.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The figures, each prediction counted once.
    pub fn quality(&self) -> Quality {
        self.weighted(|_| 1)
    }

    /// The figures with all predictions of a user counted as often as the user was drawn.
    pub fn weighted(&self, times: impl Fn(u32) -> u32) -> Quality {
        let weight = |row: &Row| u64::from(times(row.user));
        let total: u64 = self.rows.iter().map(weight).sum();
        let mut top_left = (total / 10).max(1);
        let (mut loss, mut squares, mut predicted) = (0.0, 0.0, 0.0);
        // Positives and negatives ranked above, and those of the tie at hand.
        let (mut above, mut tied) = ([0.0, 0.0], [0.0, 0.0]);
        let (mut pairs, mut precision, mut top) = (0.0, 0.0, 0.0);
        for row in &self.rows {
            let times = weight(row);
            if times > 0 {
                let count = times as f64;
                let y = f64::from(u8::from(row.positive));
                loss += count * row.loss;
                predicted += count * row.p;
                squares += count * (row.p - y) * (row.p - y);
                tied[usize::from(!row.positive)] += count;
                let of_top = times.min(top_left);
                top_left -= of_top;
                top += of_top as f64 * y;
            }
            if row.ends_tie {
                let [positives, negatives] = tied;
                pairs += negatives * (above[0] + positives / 2.0);
                above = [above[0] + positives, above[1] + negatives];
                if positives > 0.0 {
                    precision += positives * above[0] / (above[0] + above[1]);
                }
                tied = [0.0, 0.0];
            }
        }
        let ([positives, negatives], all) = (above, total as f64);
        let rate = positives / all;
        Quality {
            opportunities: all,
            positives,
            log_loss: loss / all,
            normalized_entropy: loss / all / positive_or_nan(entropy(rate)),
            auc: pairs / positive_or_nan(positives * negatives),
            pr_auc: precision / positive_or_nan(positives),
            brier: squares / all,
            calibration: predicted / positive_or_nan(positives),
            top_decile_lift: top / (total / 10).max(1) as f64 / positive_or_nan(rate),
        }
    }

    /// Predicted against observed in bands of equal size, from the lowest probabilities to the highest.
    pub fn bands(&self, bands: usize) -> Vec<Band> {
        let ascending: Vec<&Row> = self.rows.iter().rev().collect();
        let edge = |band: usize| ascending.len() * band / bands;
        let parts = (0..bands).map(|band| &ascending[edge(band)..edge(band + 1)]).filter(|part| !part.is_empty());
        parts
            .map(|part| Band {
                opportunities: part.len() as u64,
                positives: part.iter().filter(|row| row.positive).count() as u64,
                predicted: part.iter().map(|row| row.p).sum::<f64>() / part.len() as f64,
                range: (part[0].p, part[part.len() - 1].p),
            })
            .collect()
    }
}

impl Quality {
    /// The figures that intervals are given for, by the names they have in reports.
    pub fn figures(&self) -> [(&'static str, f64); 7] {
        [
            ("log_loss", self.log_loss),
            ("normalized_entropy", self.normalized_entropy),
            ("auc", self.auc),
            ("pr_auc", self.pr_auc),
            ("brier", self.brier),
            ("calibration", self.calibration),
            ("top_decile_lift", self.top_decile_lift),
        ]
    }
}

fn positive_or_nan(number: f64) -> f64 {
    if number > 0.0 { number } else { f64::NAN }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranking(rows: &[(f64, bool, u32)]) -> Ranking {
        Ranking::new(rows.iter().map(|(p, positive, user)| Judged { p: *p, positive: *positive, user: *user }))
    }

    #[test]
    fn figures_of_a_small_set_are_those_of_paper_and_pencil() {
        let quality =
            ranking(&[(0.9, true, 0), (0.8, false, 0), (0.8, true, 1), (0.3, false, 1), (0.1, false, 2)]).quality();
        assert_eq!((quality.opportunities, quality.positives), (5.0, 2.0));
        let loss = -(math::ln(0.9) + math::ln(0.2) + math::ln(0.8) + math::ln(0.7) + math::ln(0.9)) / 5.0;
        assert!((quality.log_loss - loss).abs() < 1e-12);
        assert!((quality.normalized_entropy - loss / entropy(0.4)).abs() < 1e-12);
        assert!((quality.auc - 5.5 / 6.0).abs() < 1e-12, "one of six pairs is a tie");
        assert!((quality.pr_auc - (0.5 * 1.0 + 0.5 * 2.0 / 3.0)).abs() < 1e-12);
        assert!((quality.brier - (0.01 + 0.64 + 0.04 + 0.09 + 0.01) / 5.0).abs() < 1e-12);
        assert!((quality.calibration - 2.9 / 2.0).abs() < 1e-12);
        assert!((quality.top_decile_lift - 1.0 / 0.4).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_told_is_no_number() {
        let none = ranking(&[(0.2, false, 0)]).quality();
        assert!(none.auc.is_nan() && none.calibration.is_nan() && none.normalized_entropy.is_nan());
        assert!((none.log_loss + math::ln(0.8)).abs() < 1e-12);
        let empty = ranking(&[]);
        assert!(empty.is_empty() && empty.quality().log_loss.is_nan() && empty.bands(10).is_empty());
        let certain = ranking(&[(1.0, false, 0)]).quality();
        assert!((certain.log_loss - 13.815_510_557).abs() < 1e-6, "clipped at one in a million");
    }

    #[test]
    fn bands_share_the_predictions() {
        let rows: Vec<_> = (0..25).map(|n| (f64::from(n) / 25.0, n % 2 == 0, 0)).collect();
        let bands = ranking(&rows).bands(10);
        assert_eq!(bands.iter().map(|band| band.opportunities).sum::<u64>(), 25);
        assert_eq!(bands.iter().map(|band| band.positives).sum::<u64>(), 13);
        assert!(bands.windows(2).all(|pair| pair[0].range.1 <= pair[1].range.0));
    }

    /// The definitions, word by word, over all pairs and thresholds.
    fn slow(rows: &[(f64, bool)]) -> (f64, f64) {
        let (positives, negatives): (Vec<_>, Vec<_>) = rows.iter().partition(|(_, positive)| *positive);
        let wins = |positive: f64, negative: f64| match positive.total_cmp(&negative) {
            std::cmp::Ordering::Greater => 1.0,
            std::cmp::Ordering::Equal => 0.5,
            std::cmp::Ordering::Less => 0.0,
        };
        let pairs: f64 = positives.iter().flat_map(|(p, _)| negatives.iter().map(move |(n, _)| wins(*p, *n))).sum();
        let at_least = |rows: &[(f64, bool)], p: f64| rows.iter().filter(|(q, _)| *q >= p).count() as f64;
        let precision: f64 = positives.iter().map(|(p, _)| at_least(&positives, *p) / at_least(rows, *p)).sum();
        (pairs / (positives.len() * negatives.len()) as f64, precision / positives.len() as f64)
    }

    proptest! {
        #[test]
        fn ranking_figures_equal_their_definitions(
            rows in proptest::collection::vec((1u8..20, any::<bool>(), 0u32..5), 2..60),
            times in proptest::collection::vec(0u32..4, 5),
        ) {
            let rows: Vec<_> = rows.into_iter().map(|(p, y, user)| (f64::from(p) / 20.0, y, user)).collect();
            let quality = ranking(&rows).weighted(|user| times[user as usize]);
            let drawn: Vec<(f64, bool)> = rows
                .iter()
                .flat_map(|(p, y, user)| std::iter::repeat_n((*p, *y), times[*user as usize] as usize))
                .collect();
            let positives = drawn.iter().filter(|(_, y)| *y).count();
            prop_assume!(positives > 0 && positives < drawn.len());
            let (auc, pr_auc) = slow(&drawn);
            prop_assert!((quality.auc - auc).abs() < 1e-9, "{} {auc}", quality.auc);
            prop_assert!((quality.pr_auc - pr_auc).abs() < 1e-9, "{} {pr_auc}", quality.pr_auc);
            prop_assert_eq!(quality.opportunities, drawn.len() as f64);
            prop_assert_eq!(quality.positives, positives as f64);
        }
    }
}

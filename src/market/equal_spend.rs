//! The scale at which a policy spends as much as another: without it, policies are compared by how much they spend.

use crate::math;

/// A search ends once the spend is so near.
const AIM: f64 = 0.001;
/// So near it must be for figures to be called those of equal spend.
pub const EQUAL: f64 = 0.01;
/// Most doublings or halvings until the spend lies between two scales.
const DOUBLINGS_MAX: usize = 14;

/// ln of a scale, and of what it spends ÷ the target.
type Point = (f64, f64);

/// What a search has found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found<R> {
    /// The scale that came nearest.
    pub scale: f64,
    /// What it came to.
    pub outcome: R,
    /// What it spent ÷ what was to be spent.
    pub ratio: f64,
}

impl<R> Found<R> {
    /// Whether the spend is equal, within 1 %.
    pub fn is_equal(&self) -> bool {
        (self.ratio - 1.0).abs() <= EQUAL
    }
}

/// Searches for the scale at which `play` spends `target`, from `start` on, with at most `plays_max` plays. Spend is
/// taken to rise with the scale, by and large: a policy that learns from what it wins need not keep that to the last
/// unit. The nearest is returned, whether it is near or not.
pub fn search<R>(
    target: f64,
    start: f64,
    plays_max: usize,
    mut play: impl FnMut(f64) -> R,
    spend: impl Fn(&R) -> f64,
) -> Found<R> {
    let target = target.max(f64::MIN_POSITIVE);
    let mut best: Option<Found<R>> = None;
    let (mut below, mut above): (Option<Point>, Option<Point>) = (None, None);
    let mut at = math::ln(start);
    for number in 0..plays_max.max(1) {
        let outcome = play(math::exp(at));
        let ratio = spend(&outcome) / target;
        let distance = |ratio: f64| (ratio - 1.0).abs();
        if best.as_ref().is_none_or(|best| distance(ratio) < distance(best.ratio)) {
            best = Some(Found { scale: math::exp(at), outcome, ratio });
        }
        if distance(ratio) <= AIM {
            break;
        }
        let side = if ratio < 1.0 { &mut below } else { &mut above };
        *side = Some((at, math::ln(ratio)));
        at = match (below, above) {
            (Some(below), Some(above)) => between(below, above, number),
            _ if number == DOUBLINGS_MAX => break,
            (Some((at, _)), None) => at + std::f64::consts::LN_2,
            (None, Some((at, _))) => at - std::f64::consts::LN_2,
            (None, None) => break,
        };
    }
    best.expect("there is at least one play")
}

/// A scale between two: where a straight line between their spends meets the target; every third time the middle, which
/// no curve can make slow.
fn between((low, short): Point, (high, beyond): Point, number: usize) -> f64 {
    let share = if number % 3 == 2 || !short.is_finite() { 0.5 } else { short / (short - beyond) };
    low + (high - low) * share.clamp(0.02, 0.98)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_scale_from_afar() {
        for (start, target) in [(1.0, 300.0), (900.0, 1.0), (1e-3, 7.0), (50.0, 1e4)] {
            let mut plays = 0;
            let play = |scale: f64| {
                plays += 1;
                scale * scale.sqrt()
            };
            let found = search(target, start, 40, play, |spend| *spend);
            assert!(found.is_equal() && (found.outcome / target - 1.0).abs() <= AIM, "{found:?}");
            assert!((found.scale * found.scale.sqrt() / target - 1.0).abs() <= AIM && plays <= 30, "{plays}");
        }
    }

    #[test]
    fn says_so_where_it_cannot_be_spent() {
        let capped = search(100.0, 1.0, 40, |scale: f64| scale.min(60.0), |spend| *spend);
        assert!(!capped.is_equal() && capped.ratio == 0.6, "{capped:?}");
        let steps = search(100.0, 10.0, 40, |scale: f64| if scale < 40.0 { 90.0 } else { 130.0 }, |spend| *spend);
        assert!(!steps.is_equal() && steps.ratio == 0.9, "{steps:?}");
        let nothing = search(0.0, 1.0, 40, |_| 0.0, |spend| *spend);
        assert!(!nothing.is_equal());
    }
}

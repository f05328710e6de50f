use super::*;
use proptest::prelude::*;

const WINDOW: Span = Span::days(30);
/// Of counted impressions.
const FADING: HalfLife = HalfLife::new(Span::days(14));
const HOUR: u64 = 3_600_000;

/// A small generator: the tests must not depend on a library's.
struct Dice(u64);

impl Dice {
    fn unit(&mut self) -> f64 {
        self.0 = crate::hash::mix(self.0, 99);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Criteo's delays: 35 % within an hour, 50 % within a day, 87 % within 14 days.
    fn delay(&mut self) -> u64 {
        let (draw, within) = (self.unit(), self.unit());
        let (from, to) = match draw {
            draw if draw < 0.35 => (0, 1),
            draw if draw < 0.50 => (1, 24),
            draw if draw < 0.87 => (24, 336),
            _ => (336, 720),
        };
        ((from as f64 + within * (to - from) as f64) * HOUR as f64) as u64
    }
}

#[test]
fn what_is_left_of_late_conversions_is_known_once_a_window_has_passed() {
    let mut calibrator = Calibrator::new(WINDOW);
    let week = 7 * 24 * HOUR;
    for at in (0..3 * WINDOW.0).step_by(HOUR as usize) {
        calibrator.advance(at, FADING);
        calibrator.show(at, -3.0, 1.0);
        if at < WINDOW.0 - 24 * HOUR {
            assert_eq!(calibrator.left(), 1.0, "nobody can know");
        }
        if at >= week {
            calibrator.convert(at - week, calibrator.delay(at - week, at), 0.05, 1.0);
        }
    }
    // Half a half-life, to within a cohort's length.
    assert!((calibrator.left() - 0.5f64.sqrt()).abs() < 0.02, "{}", calibrator.left());
    let mut numbers = Vec::new();
    calibrator.numbers(&mut |number| numbers.push(number));
    assert_eq!(Calibrator::from_numbers(&numbers).as_ref(), Some(&calibrator));
    // An image of a version that did not know of it, and what becomes of that.
    numbers.pop();
    let before = Calibrator { left: 1.0, ..calibrator };
    let mut again = Vec::new();
    before.numbers(&mut |number| again.push(number));
    assert_eq!((Calibrator::from_numbers(&numbers), again), (Some(before), numbers));
}

/// Days of impressions with log-odds around −3; those that convert are `truth` of what is predicted. Returns
/// corrected predictions ÷ observed by day.
fn ratios(days: u64, truth: impl Fn(u64, f64) -> f64) -> Vec<f64> {
    let mut dice = Dice(5);
    let mut calibrator = Calibrator::new(WINDOW);
    let mut events: std::collections::BTreeMap<u64, Vec<(u64, f64, bool)>> = Default::default();
    let mut ratios = Vec::new();
    for day in 0..days {
        let (mut predicted, mut observed) = (0.0, 0.0);
        for at in (0..5_000).map(|n| day * 24 * HOUR + n * 24 * HOUR / 5_000) {
            for (time, due) in events.extract_if(..=at, |_, _| true).collect::<Vec<_>>() {
                for (shown, logit, label) in due {
                    match time >= shown + WINDOW.0 {
                        true => calibrator.close(logit, label, 1.0),
                        false => calibrator.convert(shown, calibrator.delay(shown, time), 1.0, 1.0),
                    }
                }
            }
            calibrator.advance(at, FADING);
            let logit = -3.0 + 2.0 * (dice.unit() - 0.5);
            let p = truth(day, math::sigmoid(logit));
            let label = dice.unit() < p;
            predicted += math::sigmoid(logit + calibrator.curve().shift(logit));
            observed += p;
            calibrator.show(at, logit, 1.0);
            if label {
                let converted = (at + dice.delay()).min(at + WINDOW.0 - 1);
                events.entry(converted).or_default().push((at, logit, true));
            }
            events.entry(at + WINDOW.0).or_default().push((at, logit, label));
        }
        ratios.push(predicted / observed);
    }
    ratios
}

fn mean(of: &[f64]) -> f64 {
    of.iter().sum::<f64>() / of.len() as f64
}

#[test]
fn nothing_is_corrected_before_a_window_has_passed() {
    let ratios = ratios(30, |_, p| p * 1.4);
    assert!(ratios[..29].iter().all(|ratio| (ratio - 1.0 / 1.4).abs() < 1e-9), "{ratios:?}");
}

#[test]
fn the_level_comes_right_and_follows_a_shift_within_days() {
    let ratios = ratios(90, |day, p| if day < 60 { p * 0.8 } else { p * 1.2 });
    assert!((mean(&ratios[34..60]) - 1.0).abs() < 0.05, "{ratios:?}");
    assert!(ratios[60] < 0.75, "nobody can know yet");
    assert!((mean(&ratios[68..90]) - 1.0).abs() < 0.05, "{ratios:?}");
}

#[test]
fn the_shape_is_learned_where_windows_have_closed() {
    let mut dice = Dice(3);
    let mut calibrator = Calibrator::new(Span::hours(1));
    for _ in 0..200_000 {
        let logit = -6.0 + 4.0 * dice.unit();
        // Too sure of itself: true log-odds are nearer to −3.
        let label = dice.unit() < math::sigmoid(-3.0 + (logit + 3.0) * 0.7);
        calibrator.close(logit, label, 1.0);
    }
    let shift = |logit| calibrator.curve_now().shift(logit);
    // Relative to the middle: the level is the other part's.
    let (low, high) = (shift(-5.25) - shift(-3.0), shift(-2.25) - shift(-3.0));
    assert!((0.45..0.75).contains(&low), "{low}");
    assert!((-0.35..-0.1).contains(&high), "{high}");
}

proptest! {
    #[test]
    fn corrections_are_bounded_and_keep_the_order(
        events in proptest::collection::vec(
            (0u8..4, 0u64..2_000_000_000, -30.0f64..30.0, 0.0f64..=1.0, any::<bool>()), 1..300),
    ) {
        let mut calibrator = Calibrator::new(Span::hours(1));
        for (kind, at, logit, share, yes) in events {
            match kind {
                0 => calibrator.show(at, logit, share),
                1 => {
                    let delay = calibrator.delay(at, at + (logit.abs() * 1e5) as u64);
                    calibrator.convert(at, delay, share, if yes { 1.0 } else { -1.0 });
                }
                2 => calibrator.close(logit, yes, share),
                _ => { calibrator.advance(at, FADING); }
            }
            let curve = calibrator.curve_now();
            let corrected: Vec<f64> = (-100..100).map(|n| {
                let logit = f64::from(n) * 0.1;
                logit + curve.shift(logit)
            }).collect();
            prop_assert!(corrected.iter().all(|logit| logit.is_finite()));
            prop_assert!(corrected.windows(2).all(|pair| pair[1] >= pair[0] - 1e-9));
            prop_assert!((LEFT_MIN..=1.0).contains(&calibrator.left()));
            prop_assert!(curve.shifts.iter().all(|shift| shift.abs() < 2.0));
            let mut numbers = Vec::new();
            calibrator.numbers(&mut |number| numbers.push(number));
            prop_assert_eq!(Calibrator::from_numbers(&numbers), Some(calibrator.clone()));
            prop_assert_eq!(Calibrator::from_numbers(&numbers[2..]), None);
        }
    }
}

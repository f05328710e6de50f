//! An axis: from numbers to places, and where its ticks are.

use super::table::{count, percent};
use crate::math;

/// The power of ten with this exponent.
fn power_of_ten(exponent: i32) -> f64 {
    (0..exponent.unsigned_abs()).fold(1.0, |power, _| if exponent < 0 { power / 10.0 } else { power * 10.0 })
}

/// The exponent of the largest power of ten that is at most a number above 0.
fn decade(number: f64) -> i32 {
    let mut exponent = (math::ln(number) / std::f64::consts::LN_10) as i32 + 1;
    while exponent > -300 && power_of_ten(exponent) > number * (1.0 + 1e-9) {
        exponent -= 1;
    }
    exponent
}

/// How numbers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    /// Whole, with thousands apart.
    Count,
    /// With so many digits behind the point.
    Digits(usize),
    /// As per cent of 1.
    Percent,
}

impl Tell {
    /// A number in words.
    pub fn tell(self, number: f64) -> String {
        match self {
            _ if !number.is_finite() => "–".to_owned(),
            Tell::Count => count(number),
            Tell::Digits(digits) => format!("{number:.digits$}"),
            Tell::Percent => percent(number),
        }
    }

    /// A tick, which lies on a step of this size: no more digits than tell it from its neighbours.
    fn tick(self, number: f64, step: f64) -> String {
        let digits = |step: f64| (-decade(step)).clamp(0, 8) as usize;
        match self {
            Tell::Count if step >= 1.0 => count(number),
            Tell::Percent => format!("{:.*} %", digits(step * 100.0), number * 100.0),
            _ if number.abs() >= 1_000.0 && step >= 1.0 => count(number),
            _ => format!("{number:.*}", digits(step)),
        }
    }
}

/// An axis with its unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// What it shows, with its unit.
    pub label: String,
    /// How its numbers are told.
    pub tell: Tell,
    /// Equal distances are equal factors.
    pub is_log: bool,
}

/// An axis over a range of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    low: f64,
    high: f64,
    is_log: bool,
}

impl Axis {
    /// A straight axis.
    pub fn new(label: &str, tell: Tell) -> Axis {
        Axis { label: label.to_owned(), tell, is_log: false }
    }

    /// The same, with equal distances for equal factors.
    pub fn log(self) -> Axis {
        Axis { is_log: true, ..self }
    }

    /// A scale that holds all these numbers, with some room; numbers that have no place on it are left out.
    pub fn scale(&self, numbers: impl Iterator<Item = f64>) -> Scale {
        let fits = |number: &f64| number.is_finite() && (!self.is_log || *number > 0.0);
        let (low, high) = numbers
            .filter(fits)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), number| (low.min(number), high.max(number)));
        let (low, high) = if low <= high { (low, high) } else { (1.0, 2.0) };
        match self.is_log {
            true if high / low < 1.5 => Scale { low: low / 1.3, high: high * 1.3, is_log: true },
            true => Scale { low: low / 1.05, high: high * 1.05, is_log: true },
            false => {
                let room = if high > low { 0.04 * (high - low) } else { 0.5 * high.abs().max(1e-9) };
                // An axis that begins a little above or below 0 begins there.
                let low = if low >= 0.0 && low < 0.5 * high { 0.0 } else { low - room };
                let high = if high <= 0.0 && high > 0.5 * low { 0.0 } else { high + room };
                Scale { low, high, is_log: false }
            }
        }
    }

    /// Ticks of a scale, some four to seven, with their words.
    pub fn ticks(&self, scale: Scale) -> Vec<(f64, String)> {
        let mut ticks = Vec::new();
        if scale.is_log {
            let decades = decade(scale.low)..=decade(scale.high);
            let factor = scale.high / scale.low;
            let steps: &[f64] = if factor < 200.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
            for (decade, step) in decades.flat_map(|decade| steps.iter().map(move |step| (decade, *step))) {
                let unit = power_of_ten(decade);
                let number = unit * step;
                if number >= scale.low && number <= scale.high {
                    ticks.push((number, self.tell.tick(number, unit)));
                }
            }
            if ticks.len() > 2 || factor > 10.0 {
                return ticks;
            }
            // Over so short a range equal steps are nearly equal factors.
            ticks.clear();
        }
        let raw = (scale.high - scale.low) / 5.0;
        let unit = power_of_ten(decade(raw));
        let step = [1.0, 2.0, 2.5, 5.0, 10.0].map(|of| of * unit).into_iter().find(|step| *step >= raw);
        let step = step.unwrap_or(10.0 * unit);
        let first = (scale.low / step).ceil() as i64;
        let told = if (step / unit - 2.5).abs() < 0.01 { unit / 10.0 } else { step };
        for number in (first..).map(|place| place as f64 * step).take_while(|number| *number <= scale.high).take(12) {
            ticks.push((number, self.tell.tick(number, told)));
        }
        ticks
    }
}

impl Scale {
    /// Where a number stands, 0 to 1; `None` where it has no place.
    pub fn place(&self, number: f64) -> Option<f64> {
        let place = match self.is_log {
            true if number > 0.0 => math::ln(number / self.low) / math::ln(self.high / self.low),
            true => return None,
            false => (number - self.low) / (self.high - self.low),
        };
        place.is_finite().then_some(place.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(axis: Axis, numbers: &[f64]) -> Vec<String> {
        let scale = axis.scale(numbers.iter().copied());
        axis.ticks(scale).into_iter().map(|(_, words)| words).collect()
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(Axis::new("", Tell::Count), &[0.0, 4_300.0]), ["0", "1,000", "2,000", "3,000", "4,000"]);
        let shares = ticks(Axis::new("", Tell::Percent), &[-0.012, 0.026]);
        assert_eq!(shares, ["-1 %", "0 %", "1 %", "2 %"]);
        assert_eq!(ticks(Axis::new("", Tell::Digits(2)).log(), &[0.4, 3.0]), ["0.5", "1", "2"]);
        assert_eq!(ticks(Axis::new("", Tell::Count).log(), &[3.0, 80_000.0]), ["10", "100", "1,000", "10,000"]);
        assert_eq!(ticks(Axis::new("", Tell::Digits(3)).log(), &[0.71, 1.4]), ["0.8", "1.0", "1.2", "1.4"]);
        assert_eq!(ticks(Axis::new("", Tell::Digits(1)).log(), &[0.3, 22.0]).len(), 6);
        assert_eq!(ticks(Axis::new("", Tell::Digits(1)), &[5.0, 5.0]).len(), 5);
        assert!(ticks(Axis::new("", Tell::Digits(1)), &[f64::NAN]).len() > 1);
    }

    #[test]
    fn places_run_from_end_to_end() {
        let scale = Axis::new("", Tell::Count).log().scale([1.0, 100.0].into_iter());
        assert!((scale.place(10.0).unwrap() - 0.5).abs() < 1e-9 && scale.place(0.0).is_none());
        let scale = Axis::new("", Tell::Count).scale([10.0, 12.0].into_iter());
        assert!(scale.place(10.0).unwrap() > 0.0 && scale.place(13.0) == Some(1.0) && scale.place(f64::NAN).is_none());
    }
}

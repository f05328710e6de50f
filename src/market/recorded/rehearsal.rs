//! A log at prices, played under other settings than those it was recorded by: for tuning.
//!
//! The log is cut in two. Settings are tried on the days before the cut, of which nothing later is read, and judged on
//! the days from it on. Each play bids what multiplier and flat bid say, scaled so that it spends what the flat bid
//! does.

use std::path::PathBuf;

use super::join::{JoinError, Market, Recorded, Won, flat};
use super::lines::read_lines;
use crate::journey::Line;
use crate::market::paired::Sums;
use crate::replay::EvaluateFrom;
use crate::settings::Settings;
use crate::units::{Micros, Timestamp};

/// A log in two parts.
pub struct Halves {
    /// The days that are searched in.
    pub searched: Recorded,
    /// The whole log, of which only the days from the cut on are evaluated.
    pub held_out: Recorded,
    /// Where what is searched begins to be evaluated, and the cut.
    pub from: (Timestamp, Timestamp),
}

/// What settings came to in one world.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    /// By evaluated user.
    pub users: Vec<Sums>,
    /// Its spend ÷ that of the flat bid.
    pub ratio: f64,
}

impl Halves {
    /// Reads a log and cuts it: `from` and `cut` are moments, or shares of the time between the first opportunity and
    /// the last.
    ///
    /// # Errors
    /// When the log cannot be read whole, or nothing of a part is evaluated.
    pub fn open(
        paths: &[PathBuf],
        settings: &Settings,
        from: EvaluateFrom,
        cut: EvaluateFrom,
    ) -> Result<Halves, JoinError> {
        let (lines, _) = read_lines(paths)?;
        let times =
            || lines.iter().filter(|(_, line)| matches!(line, Line::Opportunity(_))).map(|(_, line)| line.time().0);
        let (Some(first), Some(last)) = (times().next(), times().next_back()) else {
            return Err(JoinError::NoOpportunities);
        };
        let moment = |at: EvaluateFrom| match at {
            EvaluateFrom::Moment(moment) => moment,
            EvaluateFrom::Share(share) => Timestamp(first + (share * last.saturating_sub(first) as f64).ceil() as u64),
        };
        let (from, cut) = (moment(from), moment(cut));
        let before = lines.partition_point(|(_, line)| line.time() < cut);
        let part = |lines: Vec<(u64, Line)>, from, words| {
            Recorded::of(lines, flat(settings.clone()), EvaluateFrom::Moment(from)).map_err(|error| match error {
                JoinError::NoOpportunities | JoinError::NothingShown | JoinError::NothingEvaluated => {
                    JoinError::NothingInPart(words)
                }
                other => other,
            })
        };
        let searched = part(lines[..before].to_vec(), from, "searched")?;
        Ok(Halves { searched, held_out: part(lines, cut, "judged")?, from: (from, cut) })
    }
}

/// What hits are counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Worth {
    /// Each impression that converts is one.
    One,
    /// By the value of its first conversion; 0 where the log states none.
    Value,
}

impl Recorded {
    /// Opportunities that are evaluated and convert with a value that the log states.
    pub fn valued(&self) -> usize {
        self.shown.iter().filter(|shown| shown.evaluated.is_some() && shown.value.is_some()).count()
    }

    /// Plays these settings in the world of a seed.
    ///
    /// # Errors
    /// When the flat bid wins nothing.
    pub fn rehearse(
        &self,
        settings: &Settings,
        market: Market<'_>,
        seed: u64,
        worth: Worth,
    ) -> Result<Rehearsal, JoinError> {
        let prices: Vec<u32> = self.shown.iter().map(|shown| market.price(shown, seed)).collect();
        let bid = f64::from(market.bid);
        let target = self.spend(&Won::of(&prices, |_| bid), &prices);
        if target <= 0.0 {
            return Err(JoinError::NothingSpent);
        }
        let (found, won) = self.scaled(&flat(settings.clone()), market, &prices, target)?;
        let mut users = vec![Sums::default(); self.users];
        for (place, shown) in self.shown.iter().enumerate().filter(|(place, _)| won.0[*place]) {
            let Some(user) = shown.evaluated else { continue };
            let hits = match worth {
                Worth::One => f64::from(u8::from(shown.converts)),
                Worth::Value => shown.value.map_or(0.0, Micros::units),
            };
            users[user].add(Sums { impressions: 1.0, hits, cost: f64::from(prices[place]) }, 1.0);
        }
        Ok(Rehearsal { users, ratio: found.ratio })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journey::Discovery;
    use crate::market::landscape::Landscape;
    use crate::market::stream::Stream;

    #[test]
    fn what_is_won_counts_by_its_value_where_that_is_asked_for() {
        let stream = Stream { users: 800, days: 10, level: 1.0, ..Stream::default() };
        let mut lines: Vec<(u64, Line)> = (1..).zip(stream.make().lines).collect();
        let mut discovery = Discovery::default();
        lines.iter().for_each(|(_, line)| discovery.see(line).unwrap());
        let settings = flat(discovery.settings(stream.window()));
        let landscape = Landscape::of((1..=200).map(|price| (price, 1)), 10_000).unwrap();
        let market = Market { landscape: &landscape, correlation: 0.0, bid: 60 };
        let mut hits = |value: &dyn Fn(u64) -> Option<Micros>| -> Vec<[f64; 2]> {
            for (number, line) in &mut lines {
                if let Line::Conversion(conversion) = line {
                    conversion.value = value(*number);
                }
            }
            let recorded = Recorded::of(lines.clone(), settings.clone(), EvaluateFrom::Share(0.5)).unwrap();
            let of = |worth| recorded.rehearse(&settings, market, 1, worth).unwrap().users;
            let two = of(Worth::One).into_iter().zip(of(Worth::Value));
            two.map(|(one, value)| [one.hits, value.hits]).collect()
        };
        let same = hits(&|_| Micros::from_units(12.5));
        assert!(same.iter().all(|[one, value]| *value == 12.5 * one) && same.iter().any(|[one, _]| *one > 0.0));
        let none = hits(&|_| None);
        assert!(none.iter().all(|[_, value]| *value == 0.0), "what is not stated counts as nothing");
        let some = hits(&|number| Micros::from_units(1.0).filter(|_| number % 2 == 0));
        let sum = |place: usize| some.iter().map(|user| user[place]).sum::<f64>();
        assert!(0.0 < sum(1) && sum(1) < sum(0), "{} of {}", sum(1), sum(0));
    }
}

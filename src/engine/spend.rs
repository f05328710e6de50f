//! Keeps what multipliers spend at what would be spent without them.
//!
//! Winning is not proportional to the bid, so multipliers that are 1 in the mean still change what is spent. One factor
//! on all multipliers of a goal evens that out: once a minute of the journal's time what the treated arm spent is
//! compared with what it would have at a multiplier of 1, as the control arm tells: by bids where these are told and
//! the best other bid is paid ([`repriced`](crate::stats::repriced)), else by [`tilt`](crate::stats::tilt). If the
//! ratio leaves its 95 % interval, the factor follows in small steps until the ratio is 1: ln κ ← ln κ − k ln(S_m ÷
//! S_1).

use super::bytes::{Bytes, Read, Reader};
use crate::exposure::Arm;
use crate::hash;
use crate::ids::UserKey;
use crate::math;
use crate::settings::{Arms, MULTIPLIER_BOUNDS};
use crate::stats::decay::HalfLife;
use crate::stats::repriced::Repriced;
use crate::stats::tilt::{self, Amounts, Comparison};
use crate::units::{Span, Tick};

/// Least and most that the factor can be.
pub const FACTOR_BOUNDS: (f64, f64) = (0.5, 2.0);
/// The share k of the measured difference that one minute takes back.
const GAIN: f64 = 0.1;
/// Most that ln κ changes in a minute: ln 1.05.
const STEP_MAX: f64 = 0.048_790_164_169_432;
/// What was spent this long ago counts half.
const MEMORY: HalfLife = HalfLife::new(Span::hours(12));
/// The same where bids are told, once they say enough: what they say must not lag behind multipliers that spread.
const MEMORY_OF_BIDS: HalfLife = HalfLife::new(Span::hours(2));
/// Mean amounts that say enough: by those of 12 hours where 2 hours have fewer.
const BIDS_ENOUGH: f64 = 1_000.0;
/// How others' prices go with multipliers does not change with prices as a whole, nor with multipliers.
const MEMORY_OF_THETA: HalfLife = HalfLife::new(Span::days(7));
/// Without any spend for this long, ln κ fades with the next.
const STALE_AFTER: Span = Span::hours(2);
const STALE_HALF_LIFE: HalfLife = HalfLife::new(Span::hours(1));
/// Bounds of the elasticity by which older spend is brought to the present factor.
const ELASTICITY: (f64, f64) = (0.5, 4.0);

/// What was spent of one goal, and the factor that evens it out.
#[derive(Debug, Clone)]
pub(super) struct SpendControl {
    ln_factor: f64,
    /// Since the ratio left its interval: whether too much (1) or too little (−1) was spent. 0 within it.
    correcting: i8,
    /// When the last step was made: to then all sums have faded.
    stepped: Tick,
    /// As the people of the sums were dealt.
    arms: Arms,
    /// `None` before anything was spent.
    spent: Option<Box<Spent>>,
}

/// What was spent, faded to the last step.
#[derive(Debug, Clone, Default)]
struct Spent {
    treated: Amounts,
    control: Amounts,
    /// Sum of treated amount × the ln κ of then.
    ln_factors: f64,
    repriced: Repriced,
    /// The same of what is in there.
    repriced_ln_factors: f64,
    /// When anything was spent last.
    last: Tick,
}

/// What an impression cost, in micros, and what was bid for it, where that is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Paid {
    pub cost: f64,
    pub bid: Option<f64>,
}

/// What is spent with multipliers, against without.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpendReport {
    /// Faded cost of the treated arm's impressions, in micros.
    pub treated: f64,
    /// Faded cost of the control arm's, for as many people as the treated arm has.
    pub control: f64,
    /// What would be spent with the present factor ÷ what would be at a multiplier of 1; `None` while too few people
    /// were shown anything.
    pub ratio: Option<f64>,
    /// Its 95 % interval.
    pub interval: Option<(f64, f64)>,
    /// The factor on all multipliers: within [`FACTOR_BOUNDS`], times what makes them 1 in the mean.
    pub factor: f64,
}

impl SpendControl {
    /// One that has seen nothing yet.
    pub fn new(now: Tick) -> SpendControl {
        SpendControl { ln_factor: 0.0, correcting: 0, stepped: now, arms: Arms::default(), spent: None }
    }

    /// The factor on all multipliers.
    pub fn factor(&self) -> f64 {
        math::exp(self.ln_factor)
    }

    /// Counts what was paid for an impression at the multiplier that was answered or, for control, would have been.
    pub fn spend(&mut self, arm: Arm, person: UserKey, Paid { cost, bid }: Paid, multiplier: f64, now: Tick) {
        if arm == Arm::Holdout || cost <= 0.0 || !multiplier.is_finite() {
            return;
        }
        let spent = self.spent.get_or_insert_default();
        let ln_multiplier = math::ln(multiplier.clamp(MULTIPLIER_BOUNDS.0, MULTIPLIER_BOUNDS.1));
        let person = hash::mix(person.0, BUCKET) >> 32;
        let bid = bid.unwrap_or(0.0);
        match arm {
            Arm::Treated => {
                spent.treated.add(cost, ln_multiplier, person);
                spent.ln_factors += cost * self.ln_factor;
                spent.repriced.add_treated(cost, bid, ln_multiplier);
                spent.repriced_ln_factors += if bid >= cost { cost * self.ln_factor } else { 0.0 };
            }
            Arm::Control => {
                spent.control.add(cost, ln_multiplier, person);
                spent.repriced.add_control(cost, bid, ln_multiplier);
            }
            Arm::Holdout => return,
        }
        spent.last = now;
    }

    /// Moves the factor, once a minute; true where it did.
    pub fn advance(&mut self, now: Tick) -> bool {
        let before = self.stepped;
        if !self.step(now) {
            return false;
        }
        let Some(spent) = &mut self.spent else { return false };
        let left = MEMORY.factor(before, now);
        spent.treated.fade(left);
        spent.control.fade(left);
        spent.ln_factors *= left;
        let memory = if spent.repriced.sizes() > BIDS_ENOUGH { MEMORY_OF_BIDS } else { MEMORY };
        let left = memory.factor(before, now);
        spent.repriced.fade(left, MEMORY_OF_THETA.factor(before, now));
        spent.repriced_ln_factors *= left;
        let was = self.ln_factor;
        let stale_from = Tick(spent.last.0.saturating_add(STALE_AFTER.whole_seconds() as u32));
        if now > stale_from {
            self.correcting = 0;
            self.ln_factor *= STALE_HALF_LIFE.factor(before.max(stale_from), now);
        } else if let Some(comparison) = self.compare() {
            self.follow(comparison);
        }
        self.ln_factor != was
    }

    /// Notes the time, once a minute.
    fn step(&mut self, now: Tick) -> bool {
        let is_due = now.0 / 60 != self.stepped.0 / 60;
        if is_due {
            self.stepped = now;
        }
        is_due
    }

    /// Once the ratio has left its interval the factor moves until the difference is gone.
    fn follow(&mut self, Comparison { ln_ratio, error, .. }: Comparison) {
        let side = if ln_ratio > 0.0 { 1 } else { -1 };
        if ln_ratio.abs() > 1.96 * error {
            self.correcting = side;
        } else if self.correcting != side {
            self.correcting = 0;
        }
        if self.correcting != 0 {
            let step = (-GAIN * ln_ratio).clamp(-STEP_MAX, STEP_MAX);
            let (least, most) = (math::ln(FACTOR_BOUNDS.0), math::ln(FACTOR_BOUNDS.1));
            self.ln_factor = (self.ln_factor + step).clamp(least, most);
        }
    }

    /// What was spent against what would have been, brought to the present factor.
    fn compare(&self) -> Option<Comparison> {
        let spent = self.spent.as_ref()?;
        let mut comparison = tilt::compare(&spent.treated, &spent.control, scale(&self.arms)?)?;
        let mut then = spent.ln_factors / spent.treated.total();
        if let Some((ln_ratio, error)) = spent.repriced.ln_ratio() {
            (comparison.ln_ratio, comparison.error) = (ln_ratio, error);
            then = spent.repriced_ln_factors / spent.repriced.treated();
        }
        let elasticity = comparison.elasticity.clamp(ELASTICITY.0, ELASTICITY.1);
        comparison.ln_ratio += elasticity * (self.ln_factor - then);
        Some(comparison)
    }

    /// The shares of the advertiser's arms: where they are others than before, other people are in them, and the sums
    /// begin anew. The factor stays.
    pub fn deal(&mut self, arms: Arms) {
        if arms != self.arms {
            (self.arms, self.spent, self.correcting) = (arms, None, 0);
        }
    }

    /// Forgets everything, as the goal is not controlled; true where the factor was not 1.
    pub fn stop(&mut self, now: Tick) -> bool {
        self.step(now);
        let stopped = SpendControl { arms: self.arms, ..SpendControl::new(self.stepped) };
        std::mem::replace(self, stopped).ln_factor != 0.0
    }

    /// Appends its canonical bytes.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        bytes.number(self.ln_factor);
        bytes.byte(self.correcting as u8);
        bytes.word(self.stepped.0);
        bytes.long(self.arms.salt);
        bytes.number(self.arms.control_share);
        bytes.number(self.arms.holdout_share);
        bytes.option(self.spent.as_deref(), |bytes, spent| {
            spent.treated.each(|amount| bytes.number(amount));
            spent.control.each(|amount| bytes.number(amount));
            bytes.number(spent.ln_factors);
            bytes.word(spent.last.0);
        });
    }

    /// A control out of its canonical bytes.
    pub fn read(bytes: &mut Reader<'_>) -> Read<SpendControl> {
        let ln_factor = bytes.number()?;
        let fault = bytes.fault("nothing is corrected so");
        let correcting = bytes.byte()? as i8;
        if correcting.abs() > 1 {
            return Err(fault);
        }
        Ok(SpendControl {
            ln_factor,
            correcting,
            stepped: bytes.tick()?,
            arms: Arms { salt: bytes.long()?, control_share: bytes.number()?, holdout_share: bytes.number()? },
            spent: bytes.option(|bytes| {
                Ok(Box::new(Spent {
                    treated: Amounts::read(|| bytes.number())?,
                    control: Amounts::read(|| bytes.number())?,
                    ln_factors: bytes.number()?,
                    last: bytes.tick()?,
                    ..Spent::default()
                }))
            })?,
        })
    }

    /// Whether anything is known of bids, or of their absence: images of before they were kept know nothing.
    pub fn has_bids(&self) -> bool {
        self.spent.as_ref().is_some_and(|spent| spent.repriced != Repriced::default())
    }

    /// Appends the canonical bytes of what was bid, which [`SpendControl::write`] leaves out.
    pub fn write_bids(&self, bytes: &mut Vec<u8>) {
        if let Some(spent) = &self.spent {
            bytes.number(spent.repriced_ln_factors);
            spent.repriced.each(|amount| bytes.number(amount));
        }
    }

    /// Takes what was bid out of its canonical bytes.
    pub fn read_bids(&mut self, mut bytes: Reader<'_>) -> Read<()> {
        let fault = bytes.fault("nothing was spent");
        let spent = self.spent.as_mut().ok_or(fault)?;
        spent.repriced_ln_factors = bytes.number()?;
        spent.repriced = Repriced::read(|| bytes.number())?;
        if !spent.repriced.is_sound() {
            return Err(bytes.fault("no bids come to this"));
        }
        bytes.end()
    }

    /// What it knows.
    pub fn report(&self) -> SpendReport {
        let amount = |of: fn(&Spent) -> f64| self.spent.as_ref().map_or(0.0, |spent| of(spent));
        let comparison = self.compare();
        let bound = |comparison: &Comparison, width: f64| math::exp(comparison.ln_ratio + width * comparison.error);
        SpendReport {
            treated: amount(|spent| spent.treated.total()),
            control: amount(|spent| spent.control.total()) * scale(&self.arms).unwrap_or(0.0),
            ratio: comparison.as_ref().map(|known| bound(known, 0.0)),
            interval: comparison.as_ref().map(|known| (bound(known, -1.96), bound(known, 1.96))),
            factor: self.factor(),
        }
    }
}

/// Mixed into the keys of people before they are dealt into buckets: arms are dealt by another hash.
const BUCKET: u64 = 0x6275_636b_6574;

/// Treated people for each of control; `None` where either arm has nobody.
fn scale(arms: &Arms) -> Option<f64> {
    let treated = 1.0 - arms.control_share - arms.holdout_share;
    (treated > 0.0 && arms.control_share > 0.0).then(|| treated / arms.control_share)
}

#[cfg(test)]
#[path = "spend_tests.rs"]
mod tests;

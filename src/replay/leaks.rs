//! The search for traits that give the label away.
//!
//! A log that was put together afterwards easily holds what nobody could have known when the ad was offered: a context
//! entry, a segment or an action that only those have who converted. A model then looks far better than it will ever
//! bid. Such a trait explains most of the label's entropy by itself; nothing that is known at bidding time does.

use std::collections::BTreeMap;

use super::predictions::Prediction;
use super::traits::{Kind, Trait, Traits};
use crate::stats::quality::{Quality, constant_loss, entropy};

/// A name that explains more than this share of the labels' entropy by itself is suspected.
pub const SUSPECT_SHARE: f64 = 0.4;
/// With fewer positives, nothing is suspected: any name explains a handful of labels.
pub const POSITIVES_MIN: u64 = 20;
/// Opportunities that are looked at, about: of a larger log, those of every second, third … user.
const LOOKED_AT: usize = 300_000;
/// Opportunities that the mean rate is worth in a value's rate.
const STRENGTH: f64 = 2.0;

/// A name that gives the label away.
#[derive(Debug, Clone, PartialEq)]
pub struct Suspect {
    /// Where it comes from.
    pub kind: Kind,
    /// Its name in the log.
    pub name: String,
    /// Share of the labels' entropy that it explains by itself, for users other than those it was counted on.
    pub explained: f64,
}

/// Opportunities and positives.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    all: f64,
    positive: f64,
}

impl Count {
    fn add(&mut self, positive: bool) {
        self.all += 1.0;
        self.positive += f64::from(u8::from(positive));
    }
}

/// Predictions as good as these know the label from somewhere, even where no single name gives it away: purchases that
/// are known minutes ahead have an AUC of 0.9.
pub fn is_too_good(quality: &Quality) -> bool {
    quality.positives as u64 >= POSITIVES_MIN && (quality.auc > 0.98 || quality.normalized_entropy < 0.35)
}

/// Names that are suspected, most telling first.
///
/// Each opportunity's label is predicted by the rate of its value among the opportunities of *other* users: a user's
/// own ones share labels, and would explain each other through any trait that is the user's own.
pub fn suspects(predictions: &[Prediction], traits: &Traits) -> Vec<Suspect> {
    let every = predictions.len().div_ceil(LOOKED_AT).max(1) as u32;
    let shown = || {
        let looked_at = predictions.iter().filter(|prediction| prediction.user % every == 0);
        looked_at.filter_map(|prediction| Some((prediction, prediction.outcome.label()?)))
    };
    let (mut whole, mut by_user) = (Count::default(), BTreeMap::<u32, Count>::new());
    // A trait's counts over all, and of each user who has it.
    let mut by_trait = BTreeMap::<Trait, Count>::new();
    let mut by_both = BTreeMap::<(Trait, u32), Count>::new();
    for (prediction, positive) in shown() {
        whole.add(positive);
        by_user.entry(prediction.user).or_default().add(positive);
        for of in &prediction.traits {
            by_trait.entry(*of).or_default().add(positive);
            by_both.entry((*of, prediction.user)).or_default().add(positive);
        }
    }
    if (whole.positive as u64) < POSITIVES_MIN || whole.positive == whole.all {
        return Vec::new();
    }
    let rate = whole.positive / whole.all;
    let loss = |with: Count, own: Count| {
        // As if each user's opportunities had come without the others of the same user.
        let others = Count { all: with.all - own.all, positive: with.positive - own.positive };
        let p = (others.positive + STRENGTH * rate) / (others.all + STRENGTH);
        own.all * constant_loss(p, own.positive / own.all)
    };
    let mut losses: Vec<f64> = vec![0.0; traits.names().len()];
    // Those who have no value of a name are a value of their own: all, less those who have one.
    let mut without: Vec<(Count, BTreeMap<u32, Count>)> = losses.iter().map(|_| (whole, BTreeMap::new())).collect();
    for ((of, user), own) in &by_both {
        let name = traits.name_of(*of);
        losses[name] += loss(by_trait[of], *own);
        let (all, users) = &mut without[name];
        all.all -= own.all;
        all.positive -= own.positive;
        let left = users.entry(*user).or_insert_with(|| by_user[user]);
        left.all -= own.all;
        left.positive -= own.positive;
    }
    for (total, (all, users)) in losses.iter_mut().zip(&without) {
        let untouched = by_user.iter().filter(|(user, _)| !users.contains_key(user)).map(|(_, count)| *count);
        let left = users.values().copied().chain(untouched).filter(|count| count.all > 0.0);
        *total += left.map(|own| loss(*all, own)).sum::<f64>();
    }
    let explained = |total: f64| 1.0 - total / (whole.all * entropy(rate));
    let mut found: Vec<Suspect> = traits
        .names()
        .iter()
        .zip(losses)
        .map(|(name, total)| Suspect { kind: name.kind, name: name.name.clone(), explained: explained(total) })
        .filter(|suspect| suspect.explained > SUSPECT_SHARE)
        .collect();
    found.sort_by(|one, other| other.explained.total_cmp(&one.explained).then(one.name.cmp(&other.name)));
    found
}

//! What became of the conversions of a log, goal by goal: a log whose conversions join nothing looks like one without.

use std::collections::BTreeMap;

use crate::ids::Id;

/// What a conversion did to the opportunities before it; of several, the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Joined {
    /// An opportunity became positive.
    First,
    /// It joined only such as were positive already.
    Again,
    /// It came outside the windows of those that it agrees with, or their ads were not shown.
    Outside,
    /// Those that it could have joined wait no more: their windows are over.
    TooLate,
    /// Those that wait have another item or category.
    OtherProduct,
    /// It names an opportunity that did not come before it, or one of another goal.
    UnknownOpportunity,
    /// Its user had no opportunity towards its goal before.
    UnknownUser,
    /// Its goal has no opportunities, or is not configured.
    UnknownGoal,
}

/// Goals that are told apart; what comes beyond counts under one name.
const GOALS_MAX: usize = 4_096;

/// Opportunities of one goal, and its conversions by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct OfGoal {
    opportunities: u64,
    conversions: BTreeMap<Joined, u64>,
}

/// The conversions of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Joins {
    /// By advertiser and goal, as the log names them.
    goals: BTreeMap<(Id, Id), OfGoal>,
}

impl Joins {
    /// Counts an opportunity towards a goal.
    pub fn note_opportunity(&mut self, advertiser: &Id, goal: &Id) {
        self.of(advertiser, goal).opportunities += 1;
    }

    /// Counts a conversion of a goal.
    pub fn note(&mut self, advertiser: &Id, goal: &Id, joined: Joined) {
        *self.of(advertiser, goal).conversions.entry(joined).or_default() += 1;
    }

    fn of(&mut self, advertiser: &Id, goal: &Id) -> &mut OfGoal {
        let mut key = (advertiser.clone(), goal.clone());
        if self.goals.len() >= GOALS_MAX && !self.goals.contains_key(&key) {
            key = (Id::literal("(others)"), Id::literal("(others)"));
        }
        self.goals.entry(key).or_default()
    }

    /// Conversions by what became of them. Those of goals without opportunities count as [`Joined::UnknownGoal`].
    pub fn counts(&self) -> BTreeMap<Joined, u64> {
        let mut counts = BTreeMap::new();
        for goal in self.goals.values() {
            for (joined, many) in &goal.conversions {
                let joined = if goal.opportunities == 0 { Joined::UnknownGoal } else { *joined };
                *counts.entry(joined).or_default() += many;
            }
        }
        counts
    }

    /// Goals that have conversions and no opportunities: advertiser, goal, conversions.
    pub fn without_opportunities(&self) -> impl Iterator<Item = (&Id, &Id, u64)> {
        let alone = self.goals.iter().filter(|(_, goal)| goal.opportunities == 0);
        alone.map(|((advertiser, goal), of)| (advertiser, goal, of.conversions.values().sum()))
    }

    /// Goals of an advertiser that have opportunities.
    pub fn with_opportunities(&self, advertiser: &Id) -> impl Iterator<Item = &Id> {
        let has = move |((of, _), goal): &(&(Id, Id), &OfGoal)| of == advertiser && goal.opportunities > 0;
        self.goals.iter().filter(has).map(|((_, goal), _)| goal)
    }
}

impl Joined {
    /// Whether the conversion has nothing to do with any opportunity of the log.
    pub fn is_nothing(self) -> bool {
        self >= Joined::OtherProduct
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_of_a_goal_without_opportunities_are_told_by_name() {
        let [shop, lower, upper] = ["shop", "purchase", "Purchase"].map(Id::literal);
        let mut joins = Joins::default();
        joins.note(&shop, &lower, Joined::UnknownUser);
        joins.note_opportunity(&shop, &lower);
        joins.note(&shop, &lower, Joined::First);
        (0..3).for_each(|_| joins.note(&shop, &upper, Joined::UnknownUser));
        let counts = [(Joined::First, 1), (Joined::UnknownUser, 1), (Joined::UnknownGoal, 3)];
        assert_eq!(joins.counts(), BTreeMap::from(counts));
        assert_eq!(joins.without_opportunities().collect::<Vec<_>>(), [(&shop, &upper, 3)]);
        assert_eq!(joins.with_opportunities(&shop).collect::<Vec<_>>(), [&lower]);
    }
}

//! A set of one advertiser's actions.

use crate::ids::ActionCode;

/// One bit for each action code. Most advertisers have few actions: higher codes stand apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ActionSet {
    /// Codes below 64.
    low: u64,
    /// The others, where there are any.
    high: Option<Box<[u64; 3]>>,
}

impl ActionSet {
    pub fn insert(&mut self, action: ActionCode) {
        let bit = 1 << (action.index() % 64);
        match (action.index() / 64).checked_sub(1) {
            None => self.low |= bit,
            Some(word) => self.high.get_or_insert_default()[word] |= bit,
        }
    }

    /// The codes, lowest first.
    pub fn codes(&self) -> impl Iterator<Item = ActionCode> {
        (0u8..4).zip(self.words()).flat_map(|(word, mut bits)| {
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as u8)?;
                bits &= bits - 1;
                Some(ActionCode(word * 64 + bit))
            })
        })
    }

    pub fn words(&self) -> [u64; 4] {
        let [second, third, fourth] = self.high.as_deref().copied().unwrap_or_default();
        [self.low, second, third, fourth]
    }

    /// The set of these words. Code 0 is nobody's, and in no set.
    pub fn from_words([first, second, third, fourth]: [u64; 4]) -> ActionSet {
        let high = Some([second, third, fourth]).filter(|high| *high != [0; 3]);
        ActionSet { low: first & !1, high: high.map(Box::new) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn holds_what_was_inserted() {
        let codes = BTreeSet::from([1, 2, 63, 64, 65, 127, 128, 200, 254, 255].map(ActionCode));
        let mut set = ActionSet::default();
        codes.iter().rev().for_each(|code| set.insert(*code));
        assert_eq!(set.codes().collect::<Vec<_>>(), codes.into_iter().collect::<Vec<_>>());
        assert_eq!(ActionSet::from_words(set.words()), set);
        let low = ActionSet::from_words([7, 0, 0, 0]);
        assert_eq!((low.codes().collect::<Vec<_>>(), low.high), (vec![ActionCode(1), ActionCode(2)], None));
        assert_eq!(ActionSet::default().codes().count(), 0);
    }
}

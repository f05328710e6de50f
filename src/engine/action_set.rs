//! A set of one advertiser's actions.

use crate::ids::ActionCode;

/// One bit for each action code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ActionSet([u64; 4]);

impl ActionSet {
    pub fn insert(&mut self, action: ActionCode) {
        self.0[action.index() / 64] |= 1 << (action.index() % 64);
    }

    /// The codes, lowest first.
    pub fn codes(self) -> impl Iterator<Item = ActionCode> {
        (0u8..4).zip(self.0).flat_map(|(word, mut bits)| {
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as u8)?;
                bits &= bits - 1;
                Some(ActionCode(word * 64 + bit))
            })
        })
    }

    pub fn words(self) -> [u64; 4] {
        self.0
    }

    /// The set of these words. Code 0 is nobody's, and in no set.
    pub fn from_words([first, second, third, fourth]: [u64; 4]) -> ActionSet {
        ActionSet([first & !1, second, third, fourth])
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
        assert_eq!(ActionSet::default().codes().count(), 0);
    }
}

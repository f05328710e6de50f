//! Since when the latest occurrences of an advertiser's actions are kept without a gap.

use super::bytes::{Bytes, Read, Reader};
use super::catalog::ActionInForce;
use crate::ids::ActionCode;
use crate::settings::{ACTIONS_MAX, WINDOWED_COUNT_MAX};
use crate::units::Tick;

/// By action code − 1, then by how many occurrences − 1: since when so many are kept; [`Tick`] 0 for "not kept".
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Vec<[Tick; WINDOWED_COUNT_MAX as usize]>);

impl Kept {
    /// Takes note of how many occurrences are kept from now on: the latest of each action in force, and as many as
    /// rules count.
    pub fn configure(&mut self, actions: &[Option<ActionInForce>], now: Tick) {
        self.0.resize(self.0.len().max(actions.len()), Default::default());
        for (number, since) in self.0.iter_mut().enumerate() {
            let kept = actions.get(number).copied().flatten().map_or(0, |known| known.occurrences.max(1));
            let (kept, not_kept) = since.split_at_mut(kept.into());
            kept.iter_mut().filter(|since| **since == Tick(0)).for_each(|since| *since = now);
            not_kept.fill(Tick(0));
        }
    }

    /// Since when the latest so many occurrences of an action that is in force are kept; 0 asks like 1.
    pub fn since(&self, action: ActionCode, occurrences: u8) -> Tick {
        let places = self.0.get(action.index() - 1);
        places.map(|places| places[usize::from(occurrences.max(1)) - 1]).unwrap_or_default()
    }

    /// Appends its canonical bytes.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        bytes.list(&self.0, |bytes, places| places.iter().for_each(|since| bytes.word(since.0)));
    }

    /// The times out of their canonical bytes.
    pub fn read(bytes: &mut Reader<'_>) -> Read<Kept> {
        let places = |bytes: &mut Reader<'_>| {
            let mut places = <[Tick; WINDOWED_COUNT_MAX as usize]>::default();
            for since in &mut places {
                *since = bytes.tick()?;
            }
            Ok(places)
        };
        bytes.list(ACTIONS_MAX, places).map(Kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::decay::HalfLife;
    use crate::units::Span;

    #[test]
    fn what_is_kept_on_keeps_its_time() {
        let one = ActionCode(1);
        let counted = |occurrences| {
            let half_life = HalfLife::new(Span::days(7));
            [Some(ActionInForce { half_life, position: None, occurrences, converts: false })]
        };
        let mut kept = Kept::default();
        let mut since = |actions: &[Option<ActionInForce>], now| {
            kept.configure(actions, Tick(now));
            [0, 1, 2, 3, 5].map(|occurrences| kept.since(one, occurrences).0)
        };
        assert_eq!(since(&counted(0), 10), [10, 10, 0, 0, 0]);
        assert_eq!(since(&counted(3), 20), [10, 10, 20, 20, 0]);
        assert_eq!(since(&counted(5), 30), [10, 10, 20, 20, 30]);
        assert_eq!(since(&counted(2), 40), [10, 10, 20, 0, 0]);
        assert_eq!(since(&counted(3), 50), [10, 10, 20, 50, 0], "what was not kept meanwhile begins anew");
        assert_eq!(since(&[None], 60), [0; 5]);
        assert_eq!(since(&[], 65), [0; 5]);
        assert_eq!(since(&counted(8), 70), [70; 5]);
        let mut bytes = Vec::new();
        kept.write(&mut bytes);
        assert_eq!(Kept::read(&mut Reader::new(&bytes)).unwrap().0, kept.0);
    }
}

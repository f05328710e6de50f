//! A learner out of the pieces of its image.

use std::sync::atomic::Ordering::Relaxed;

use thiserror::Error;

use super::slot::Known;
use super::{Learner, Table};
use crate::learn::{HEADS, LADDER, LANES};
use crate::settings::Learner as Parameters;

/// Slots of one piece.
const PIECE_SLOTS: usize = 256;
/// Numbers of one slot in an image: its stamp, and z, n and w of each lane; four bytes each.
const SLOT_WORDS: usize = 1 + 3 * LANES;

/// Why pieces are no image of a learner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ImageFault {
    /// The table is smaller.
    #[error("piece {piece} of the weights lies beyond a table of {pieces} pieces")]
    Beyond {
        /// Number of the piece.
        piece: u32,
        /// How many the table has.
        pieces: usize,
    },
    /// Pieces have one length.
    #[error("piece {piece} of the weights has {bytes} bytes, not {expected}")]
    Length {
        /// Number of the piece.
        piece: u32,
        /// What it has.
        bytes: usize,
        /// What it must have.
        expected: usize,
    },
    /// A weight is no finite number, or a sum of squares is below zero.
    #[error("piece {piece} of the weights holds a number at slot {slot} that no learner comes to")]
    Number {
        /// Number of the piece.
        piece: u32,
        /// Place of the slot in the piece.
        slot: usize,
    },
}

impl Learner {
    /// A learner that goes on where an image was taken, bit by bit: `pieces` are what [`Learner::image`] handed out,
    /// and `collisions` is what [`Learner::collisions`] said. The parameters are those that were in force, with the
    /// table's own number of bits.
    ///
    /// # Errors
    /// When the pieces do not fit the table or hold what no learner comes to.
    pub fn from_image<'a>(
        parameters: &Parameters,
        collisions: u64,
        pieces: impl IntoIterator<Item = (u32, &'a [u8])>,
    ) -> Result<Learner, ImageFault> {
        let mut learner = Learner::new(parameters);
        learner.collisions = collisions;
        pieces.into_iter().try_for_each(|(piece, bytes)| learner.table.restore(piece, bytes))?;
        Ok(learner)
    }
}

impl Table {
    fn restore(&self, piece: u32, bytes: &[u8]) -> Result<(), ImageFault> {
        let pieces = self.slots.len() / PIECE_SLOTS;
        let slots = self.slots.chunks(PIECE_SLOTS).nth(piece as usize).ok_or(ImageFault::Beyond { piece, pieces })?;
        let expected = PIECE_SLOTS * SLOT_WORDS * size_of::<u32>();
        if bytes.len() != expected {
            return Err(ImageFault::Length { piece, bytes: bytes.len(), expected });
        }
        for (place, (slot, bytes)) in slots.iter().zip(bytes.chunks_exact(SLOT_WORDS * size_of::<u32>())).enumerate() {
            let word = |at: usize| {
                u32::from_le_bytes(bytes[4 * at..4 * at + 4].try_into().expect("the length is checked above"))
            };
            let lanes =
                |first: usize| -> [f32; LANES] { std::array::from_fn(|lane| f32::from_bits(word(first + lane))) };
            let [z, n, w] = [lanes(1), lanes(1 + LANES), lanes(1 + 2 * LANES)];
            let is_sound = [z, n, w].as_flattened().iter().all(|number| number.is_finite());
            if !is_sound || n.iter().any(|n| *n < 0.0) {
                return Err(ImageFault::Number { piece, slot: place });
            }
            slot.stamp.store(word(0), Relaxed);
            let heads = |all: [f32; LANES]| -> [f32; HEADS] { std::array::from_fn(|head| all[head]) };
            slot.set_heads(Known { z: heads(z), n: heads(n), w: heads(w) });
            slot.set_ladder(Known { z: [z[LADDER]], n: [n[LADDER]], w: [w[LADDER]] });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exposure::Feature;
    use crate::units::Tick;

    /// The only piece of a learner that has seen one feature, in the first slot.
    fn piece() -> Vec<u8> {
        let mut learner = Learner::new(&Parameters::default());
        learner.learn(&[Feature::from_parts(0, 0).unwrap()], [0.5; LANES], Tick(1_700_000_000));
        let mut found = Vec::new();
        learner.image(&mut |number, bytes| found.push((number, bytes.to_vec())));
        let [(0, piece)] = &found[..] else { panic!("{found:?}") };
        piece.clone()
    }

    fn fault(number: u32, piece: &[u8]) -> ImageFault {
        Learner::from_image(&Parameters::default(), 0, [(number, piece)]).unwrap_err()
    }

    #[test]
    fn what_is_no_image_is_refused_with_its_place() {
        let sound = piece();
        assert!(Learner::from_image(&Parameters::default(), 0, [(1_023, &sound[..])]).is_ok());
        assert_eq!(fault(1_024, &sound), ImageFault::Beyond { piece: 1_024, pieces: 1_024 });
        let short = ImageFault::Length { piece: 7, bytes: sound.len() - 4, expected: sound.len() };
        assert_eq!(fault(7, &sound[4..]), short);
        let words = [(1, f32::NAN), (3, f32::INFINITY), (1 + LANES, -1.0), (1 + 2 * LANES, f32::NEG_INFINITY)];
        for (word, number) in words {
            let mut unsound = sound.clone();
            let at = 4 * (5 * SLOT_WORDS + word);
            unsound[at..at + 4].copy_from_slice(&number.to_le_bytes());
            assert_eq!(fault(7, &unsound), ImageFault::Number { piece: 7, slot: 5 }, "{word} {number}");
        }
    }
}

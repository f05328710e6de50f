//! A learner as pieces of bytes, and out of them again.
//!
//! The pieces can be asked for bit by bit while the learner goes on: what they say is the table as it was when the walk
//! began. Before a piece that was not handed out changes for the first time it is put aside.

use std::sync::atomic::Ordering::Relaxed;

use thiserror::Error;

use super::slot::{Known, Lanes, Slot};
use super::{Learner, Table};
use crate::exposure::Feature;
use crate::learn::{HEADS, LADDER, LANES};
use crate::settings::Learner as Parameters;

/// Slots of one piece: 4 KiB, which takes about a microsecond to put aside.
const PIECE_SLOTS: usize = 64;
/// Numbers of one slot in an image: its stamp, and z, n and w of each lane; four bytes each.
const SLOT_WORDS: usize = 1 + 3 * LANES;
const PIECE_BYTES: usize = PIECE_SLOTS * SLOT_WORDS * size_of::<u32>();

/// How far a table has been handed out.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// The next piece to be handed out.
    next: usize,
    /// One bit for each piece: it was put aside, or is one that need not be.
    aside: Vec<u64>,
    /// What was put aside and not handed out yet, each piece in memory of its own: all in one would have to move as it
    /// grows.
    kept: Vec<(u32, Box<[u8]>)>,
}

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
    /// Hands out the table in pieces of 64 slots, little-endian, that are not all zero: number of the piece and its
    /// bytes.
    pub fn image(&self, visit: &mut dyn FnMut(u32, &[u8])) {
        let mut bytes = Vec::with_capacity(PIECE_BYTES);
        for number in 0..self.table.pieces() {
            bytes.clear();
            if self.table.write_piece(number, &mut bytes) {
                visit(number as u32, &bytes);
            }
        }
    }

    /// Begins to hand out the table as it is now. A walk that was going on ends.
    pub fn begin_walk(&mut self) {
        let aside = vec![0; self.table.pieces().div_ceil(64)];
        self.walk = Some(Box::new(Walk { aside, ..Walk::default() }));
    }

    /// Hands out at most so many pieces, those that were put aside first; true when that was all. Together they are
    /// the [`image`](Learner::image) of when the walk began.
    pub fn walk(&mut self, most: usize, visit: &mut dyn FnMut(u32, &[u8])) -> bool {
        let Some(walk) = &mut self.walk else { return true };
        let from = walk.kept.len().saturating_sub(most);
        let left = most - (walk.kept.len() - from);
        walk.kept.drain(from..).for_each(|(number, piece)| visit(number, &piece));
        let end = self.table.pieces().min(walk.next.saturating_add(left));
        let mut bytes = Vec::with_capacity(PIECE_BYTES);
        for number in walk.next..end {
            if walk.is_aside(number) {
                continue;
            }
            bytes.clear();
            if self.table.write_piece(number, &mut bytes) {
                visit(number as u32, &bytes);
            }
        }
        walk.next = end;
        if end == self.table.pieces() && walk.kept.is_empty() {
            self.walk = None;
        }
        self.walk.is_none()
    }

    /// Ends a walk before its end.
    pub fn stop_walk(&mut self) {
        self.walk = None;
    }

    /// log₂ of the slots.
    pub fn table_bits(&self) -> u8 {
        self.table.bits as u8
    }

    /// To be called before the slot of a feature changes.
    pub(super) fn keep(&mut self, feature: Feature) {
        if let Some(walk) = &mut self.walk {
            walk.keep(&self.table, self.table.place(feature) / PIECE_SLOTS);
        }
    }

    /// To be called before all slots change.
    pub(super) fn keep_all(&mut self) {
        if let Some(walk) = &mut self.walk {
            (walk.next..self.table.pieces()).for_each(|number| walk.keep(&self.table, number));
        }
    }

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

impl Walk {
    fn is_aside(&self, number: usize) -> bool {
        self.aside[number / 64] >> (number % 64) & 1 == 1
    }

    fn keep(&mut self, table: &Table, number: usize) {
        if number < self.next || self.is_aside(number) {
            return;
        }
        self.aside[number / 64] |= 1 << (number % 64);
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        if table.write_piece(number, &mut piece) {
            self.kept.push((number as u32, piece.into()));
        }
    }
}

impl Table {
    fn pieces(&self) -> usize {
        self.slots.len() / PIECE_SLOTS
    }

    /// Appends a piece, unless it is all zero: then false.
    fn write_piece(&self, number: usize, bytes: &mut Vec<u8>) -> bool {
        let piece = &self.slots[number * PIECE_SLOTS..][..PIECE_SLOTS];
        if piece.iter().all(|slot| slot.stamp.load(Relaxed) == 0) {
            return false;
        }
        let words = |slot: &'_ Slot| {
            let (heads, ladder) = (slot.heads(), slot.ladder());
            let numbers = [(heads.z, ladder.z), (heads.n, ladder.n), (heads.w, ladder.w)];
            let lanes = numbers.map(|(heads, ladder)| Lanes { heads, ladder }.all());
            let words = lanes.into_iter().flatten().map(f32::to_bits);
            std::iter::once(slot.stamp.load(Relaxed)).chain(words)
        };
        for word in piece.iter().flat_map(words) {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        true
    }

    fn restore(&self, piece: u32, bytes: &[u8]) -> Result<(), ImageFault> {
        let pieces = self.pieces();
        let slots = self.slots.chunks(PIECE_SLOTS).nth(piece as usize).ok_or(ImageFault::Beyond { piece, pieces })?;
        let expected = PIECE_BYTES;
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
        assert!(Learner::from_image(&Parameters::default(), 0, [(4_095, &sound[..])]).is_ok());
        assert_eq!(fault(4_096, &sound), ImageFault::Beyond { piece: 4_096, pieces: 4_096 });
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

    #[test]
    fn a_walk_hands_out_what_was_however_the_learner_goes_on() {
        let feature = |number: u64| Feature::new(crate::hash::mix(number, 7));
        let parameters = Parameters { table_bits: 14, ..Parameters::default() };
        for (step, is_retuned) in [(1, false), (7, false), (40, true), (1_000, false)] {
            let mut learner = Learner::new(&parameters);
            let learn = |learner: &mut Learner, number| {
                learner.learn(&[feature(number)], [0.1; LANES], Tick(1_700_000_000));
            };
            (0..300).for_each(|number| learn(&mut learner, number));
            let mut then = Vec::new();
            learner.image(&mut |number, bytes| then.push((number, bytes.to_vec())));
            let mut walked = Vec::new();
            learner.begin_walk();
            for number in 200.. {
                learn(&mut learner, number);
                if number == 230 && is_retuned {
                    learner.retune(&Parameters { alpha: 0.5, ..parameters });
                }
                if learner.walk(step, &mut |number, bytes| walked.push((number, bytes.to_vec()))) {
                    break;
                }
            }
            walked.sort();
            assert!(walked == then, "{step} pieces at a time");
            assert!(learner.walk(1, &mut |_, _| panic!("a walk ends")));
        }
    }
}

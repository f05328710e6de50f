//! What a goal's model has learned from one impression so far.

use super::bytes::{Bytes, Read, Reader};
use crate::learn::HEADS;
use crate::learn::calibration::COHORTS_PER_WINDOW;

/// What the heads said of an impression when it was learned, and how far they were moved for it since.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Lesson {
    /// Log-odds on top of the intercept, of each head, before it was learned.
    pub logits: [f32; HEADS],
    /// Log-odds as the mixed heads had them, before correction.
    pub logit: f32,
    /// The ladder's log-odds, from its centre.
    pub centred: f32,
    /// Sum of the gradients that each head learned it with.
    pub pulls: [f32; HEADS],
    /// How much it counts, above 0 and at most 1: impressions that one conversion would join together are hardly more
    /// than one.
    pub share: f32,
    /// It is learned once, when its label is known, and was not yet.
    pub waits: bool,
    /// Delay, in cohorts of the calibrator, at which its conversion was counted, to be taken back at the same: another
    /// one may stand last. `None` while there is none, and where an image did not know.
    pub counted_delay: Option<u8>,
}

impl Lesson {
    /// How much an impression counts that comes while so many wait for the same conversion: 1 ÷ √(1 + waiting).
    ///
    /// With shares of 1 ÷ n, as if all were one, what the later ones have to say is lost; with 1, one user with many
    /// impressions outweighs all others. The root lies half way, in logarithms.
    pub fn share(waiting: u32) -> f32 {
        1.0 / (1.0 + waiting as f32).sqrt()
    }

    /// Appends its canonical bytes, but for those of [`Lesson::write_end`].
    pub fn write(&self, bytes: &mut Vec<u8>) {
        let single = [self.logit, self.centred, self.share];
        self.logits.iter().chain(&self.pulls).chain(&single).for_each(|number| bytes.number32(*number));
        bytes.flag(self.waits);
    }

    /// Appends what an impression's bytes end with, if there is any: the delay.
    pub fn write_end(&self, bytes: &mut Vec<u8>) {
        if let Some(delay) = self.counted_delay {
            bytes.byte(delay);
        }
    }

    /// Takes on what an impression's bytes end with.
    pub fn read_end(&mut self, bytes: &mut Reader<'_>) -> Read<()> {
        if !bytes.is_at_end() {
            let fault = bytes.fault("there is no such delay");
            let delay = bytes.byte()?;
            self.counted_delay = Some(delay);
            return if usize::from(delay) < COHORTS_PER_WINDOW { Ok(()) } else { Err(fault) };
        }
        Ok(())
    }

    /// A lesson out of its canonical bytes.
    pub fn read(bytes: &mut Reader<'_>) -> Read<Lesson> {
        let (logits, pulls) = (bytes.numbers32()?, bytes.numbers32()?);
        let [logit, centred, share] = bytes.numbers32()?;
        Ok(Lesson { logits, logit, centred, pulls, share, waits: bytes.flag()?, ..Lesson::default() })
    }
}

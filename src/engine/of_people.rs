//! How far what is known of people is borne out by a goal's labels.
//!
//! Where people's doings have nothing to do with a goal, weights still differ from 0 by chance, and each of them moves
//! bids. Labels tell: with slope 0 the more likely ones of a context convert no more often than the others.
//! Probabilities need it less (how often they are off is measured by the calibrator), so only multipliers heed it.

use super::bytes::{Bytes, Read, Reader};
use crate::learn::slope::{Prior, Slope};

/// All is believed, and never more than that, until labels say otherwise: those of some forty conversions, where what
/// is known of people moves log-odds by a third.
const PRIOR: Prior = Prior { value: 1.0, information: 4.0, bounds: (0.0, 1.0) };

/// The slope at which labels follow what is known of people.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct OfPeople(Slope);

impl Default for OfPeople {
    fn default() -> OfPeople {
        OfPeople(Slope::new(&PRIOR))
    }
}

impl OfPeople {
    /// How far it counts, 0 to 1.
    pub fn borne_out(&self) -> f64 {
        self.0.value()
    }

    /// Learns from a label of an impression that had these log-odds, so much of them because of the person. `share` is
    /// how much it counts.
    pub fn learn(&mut self, logit: f64, of_person: f64, label: bool, share: f64) {
        self.0.learn(&PRIOR, logit - of_person, of_person, label, share);
    }

    /// Appends its canonical bytes: none before any label.
    pub fn write(&self, bytes: &mut Vec<u8>) {
        if *self != OfPeople::default() {
            self.0.numbers().into_iter().for_each(|number| bytes.number(number));
        }
    }

    /// What the rest of some bytes says, if anything does.
    pub fn read(bytes: &mut Reader<'_>) -> Read<OfPeople> {
        if bytes.is_at_end() {
            return Ok(OfPeople::default());
        }
        let fault = bytes.fault("no labels come to this slope");
        Slope::from_numbers(&PRIOR, bytes.numbers()?).map(OfPeople).ok_or(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math;

    /// One in 50 converts; by what is said of people, some e^0.7 times as many do and others e^0.7 times fewer.
    fn taught(tells: bool, labels: u32) -> OfPeople {
        let mut of_people = OfPeople::default();
        for round in 0..labels {
            let of_person = if round % 2 == 0 { 0.7 } else { -0.7 };
            let every = if tells { if of_person > 0.0 { 25 } else { 100 } } else { 50 };
            of_people.learn(math::logit(0.02) + of_person, of_person, (round / 2) % every == 0, 1.0);
        }
        of_people
    }

    #[test]
    fn what_labels_do_not_follow_is_believed_no_longer() {
        assert_eq!(taught(false, 0).borne_out(), 1.0);
        assert!(taught(true, 20_000).borne_out() > 0.9, "{:?}", taught(true, 20_000));
        let few = taught(false, 500).borne_out();
        assert!((0.2..0.9).contains(&few), "ten conversions tell little: {few}");
        assert!(taught(false, 20_000).borne_out() < 0.1, "{:?}", taught(false, 20_000));
    }

    #[test]
    fn it_is_what_it_was_out_of_its_bytes() {
        for of_people in [OfPeople::default(), taught(false, 900)] {
            let mut bytes = Vec::new();
            of_people.write(&mut bytes);
            assert_eq!(OfPeople::read(&mut Reader::new(&bytes)).unwrap(), of_people);
        }
    }
}

//! Counts that fade, distinct counts, and rates and lifts that are sure of themselves only as far as they may be.
//!
//! *Invariants.* Knows numbers, ticks and hashes of whom it counts; no goals, events or settings. Reading at a later
//! tick projects, and never changes.

pub mod beta;
pub mod decay;
pub mod hyperloglog;
pub mod lift;
pub mod normal;
pub mod quality;
pub mod repriced;
pub mod split;
pub mod tilt;

/// Sets all numbers that a visitor is shown, in their order, until there is no next one.
fn fill<E>(mut next: impl FnMut() -> Result<f64, E>, each_mut: impl FnOnce(&mut dyn FnMut(&mut f64))) -> Result<(), E> {
    let mut outcome = Ok(());
    each_mut(&mut |number| {
        if outcome.is_ok() {
            match next() {
                Ok(read) => *number = read,
                Err(error) => outcome = Err(error),
            }
        }
    });
    outcome
}

//! Online learners of a conversion probability.
//!
//! A learner is two handles on one table: the writer learns, the readers predict, and neither waits for the other.
//!
//! *Invariants.* Sees features as slots and values only; knows no users, goals, actions, times of day or money.
//! Predicting changes nothing. Learning is a fixed sequence of operations: same calls, same bits.

pub mod calibration;
pub mod ftrl;
pub mod ladder;
pub mod level;
pub mod mixture;

/// Models that learn a goal's label side by side from the same examples, mixed by how well each predicts.
pub const HEADS: usize = 4;
/// Columns of a weight table: the heads, and last the ladder, which learns from the steps before the goal. The weights
/// of one feature in all of them stand in one cache line.
pub const LANES: usize = HEADS + 1;
/// The ladder's column.
pub const LADDER: usize = HEADS;

/// One number for each lane.
pub type PerLane = [f64; LANES];

/// How much of what the ladder says each head starts from, to learn the rest: a head that does, and others that do not,
/// so that the mixture finds out whether the ladder helps.
pub const FROM_LADDER: [f64; HEADS] = [0.0, 0.0, 0.0, 1.0];

/// What each head says: its lane, on top of what it starts from. `ladder` is the ladder's word, slope and centre
/// applied.
pub fn heads(lanes: &PerLane, ladder: f64) -> [f64; HEADS] {
    std::array::from_fn(|head| lanes[head] + FROM_LADDER[head] * ladder)
}

/// Numbers of the heads, and one for the ladder.
pub fn lanes(heads: [f64; HEADS], ladder: f64) -> PerLane {
    std::array::from_fn(|lane| if lane == LADDER { ladder } else { heads[lane] })
}

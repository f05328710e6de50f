//! When a tick is due.

use crate::units::Timestamp;

/// The tick that is due before a record at `at`, when the record before it was at `previous`: one, at the last whole
/// second that was crossed, however many were. All drivers use this, so that ticks fall alike in service and replay.
pub fn tick_due(previous: Timestamp, at: Timestamp) -> Option<Timestamp> {
    let second = at.0 / 1_000;
    (second > previous.0 / 1_000).then_some(Timestamp(second * 1_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tick_a_crossed_second() {
        let due = |previous, at| tick_due(Timestamp(previous), Timestamp(at)).map(|tick| tick.0);
        assert_eq!(due(1_000, 1_999), None);
        assert_eq!(due(1_999, 2_000), Some(2_000));
        assert_eq!(due(1_999, 9_300), Some(9_000));
        assert_eq!(due(5_000, 4_000), None);
    }
}

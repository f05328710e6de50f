//! Who is in which arm of the experiment.

use crate::exposure::Arm;
use crate::hash;
use crate::ids::UserKey;
use crate::settings::Arms;

/// Arms are dealt in steps of 1 / this.
const DEALS: u64 = 1_000_000;

/// Shares of all people by the arm's number, as they are dealt.
pub(super) fn shares(settings: &Arms) -> [f64; 3] {
    let [control, holdout] =
        [settings.control_share, settings.holdout_share].map(|share| upto(share) as f64 / DEALS as f64);
    [1.0 - control - holdout, control, holdout]
}

/// Deals below which a share lies.
fn upto(share: f64) -> u64 {
    (share * DEALS as f64) as u64
}

/// The arm of a person by the root id: the same for as long as salt and shares stay.
///
/// Control takes the lowest draws and holdout the highest, so that enlarging a share moves nobody between the two.
pub(super) fn arm(settings: &Arms, root: UserKey) -> Arm {
    let draw = (hash::mix(settings.salt, root.0) >> 20) % DEALS;
    if draw < upto(settings.control_share) {
        Arm::Control
    } else if draw >= DEALS - upto(settings.holdout_share) {
        Arm::Holdout
    } else {
        Arm::Treated
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept_and_sticky() {
        let count = |settings: &Arms, of| (0..100_000).filter(|user| arm(settings, UserKey(*user)) == of).count();
        let settings = Arms { salt: 3, control_share: 0.05, holdout_share: 0.1 };
        assert!((4_800..5_200).contains(&count(&settings, Arm::Control)), "{}", count(&settings, Arm::Control));
        assert!((9_700..10_300).contains(&count(&settings, Arm::Holdout)), "{}", count(&settings, Arm::Holdout));
        let wider = Arms { control_share: 0.2, ..settings };
        for user in (0..1_000).map(UserKey) {
            assert!(arm(&settings, user) != Arm::Control || arm(&wider, user) == Arm::Control);
        }
        assert_eq!(count(&Arms { control_share: 1.0, holdout_share: 0.0, salt: 0 }, Arm::Control), 100_000);
    }
}

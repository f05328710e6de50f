//! Who is in which segment.

use super::catalog::{ActionInForce, AdvertiserEntry};
use crate::ids::ActionCode;
use crate::settings::Rule;

/// A rule in codes.
#[derive(Debug, Clone)]
pub(super) struct Membership {}

impl Membership {
    pub fn compile(_rule: &Rule, _entry: &AdvertiserEntry, _actions: &[Option<ActionInForce>]) -> Membership {
        Membership {}
    }

    pub fn each_count(&self, _visit: &mut impl FnMut(ActionCode, u8)) {}
}

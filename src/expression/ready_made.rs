//! Audiences that need no expression of one's own.

use super::parse::parse;
use crate::ids::Id;
use crate::settings::{Advertiser, Rule, RuleSegment};

/// An audience that every advertiser can use by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadyMade {
    /// Its name.
    pub name: &'static str,
    /// What it means, as a trader says it.
    pub words: &'static str,
    /// Who is in it, in canonical form; names standard actions only.
    pub expression: &'static str,
}

/// All ready-made audiences.
pub const READY_MADE: [ReadyMade; 4] = [
    ReadyMade {
        name: "cart_abandoners",
        words: "added to cart within 7 days and did not purchase",
        expression: "did(add_to_cart, 7d) and not did(purchase, 7d)",
    },
    ReadyMade {
        name: "repeat_viewers",
        words: "viewed products at least 3 times within 7 days",
        expression: "count(view_item, 7d) >= 3",
    },
    ReadyMade {
        name: "video_completers",
        words: "watched a video to the end within 14 days",
        expression: "did(video_complete, 14d)",
    },
    ReadyMade { name: "recent_buyers", words: "purchased within 30 days", expression: "did(purchase, 30d)" },
];

/// The ready-made audience of a name.
pub fn ready_made(name: &str) -> Option<&'static ReadyMade> {
    READY_MADE.iter().find(|made| made.name == name)
}

impl ReadyMade {
    /// Who is in it.
    pub fn rule(&self) -> Rule {
        let standard = Advertiser::new(Id::literal(self.name)).actions;
        parse(self.expression, &standard).expect("ready-made expressions name standard actions, which a test checks")
    }

    /// The segment of this name.
    pub fn segment(&self, weight: f64) -> RuleSegment {
        RuleSegment { id: Id::literal(self.name), rule: self.rule(), weight }
    }
}

//! Micro conversions: what people do before they buy, by the names of GA4 where GA4 has one.

use crate::units::Span;

/// What an action says about the way to the goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActionKind {
    /// A step on the path to the goal. Steps are ordered by `position`; a larger one is closer to the goal.
    Milestone {
        /// Place on the ladder, 1 to 255.
        position: u8,
    },
    /// Interest beside the path: a download, a share, a video.
    Secondary,
}

/// An action that every advertiser has without naming it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StandardAction {
    /// The name events carry.
    pub name: &'static str,
    /// Milestone or secondary.
    pub kind: ActionKind,
    /// How a trader calls it.
    pub words: &'static str,
}

/// Half-life of an action's decayed count where the configuration sets none.
pub const HALF_LIFE_DEFAULT: Span = Span::days(7);

const fn milestone(name: &'static str, position: u8, words: &'static str) -> StandardAction {
    StandardAction { name, kind: ActionKind::Milestone { position }, words }
}

const fn secondary(name: &'static str, words: &'static str) -> StandardAction {
    StandardAction { name, kind: ActionKind::Secondary, words }
}

/// The standard actions, in the order of their codes. Only ever appended to: the order is part of stored state.
pub const STANDARD_ACTIONS: &[StandardAction] = &[
    milestone("session_start", 10, "visited"),
    milestone("page_view", 20, "viewed a page"),
    milestone("view_item_list", 30, "viewed a product list"),
    milestone("select_item", 40, "picked a product from a list"),
    milestone("view_item", 50, "viewed a product"),
    milestone("add_to_wishlist", 60, "put on the wish list"),
    milestone("add_to_cart", 70, "added to cart"),
    milestone("view_cart", 80, "viewed the cart"),
    milestone("begin_checkout", 90, "began checkout"),
    milestone("add_shipping_info", 100, "gave a shipping address"),
    milestone("add_payment_info", 110, "gave payment details"),
    milestone("purchase", 120, "purchased"),
    secondary("remove_from_cart", "removed from cart"),
    secondary("ad_click", "clicked an ad"),
    secondary("sign_up", "created an account"),
    secondary("login", "logged in"),
    secondary("generate_lead", "left contact details"),
    secondary("newsletter_signup", "signed up for the newsletter"),
    secondary("sms_signup", "signed up for text messages"),
    secondary("video_start", "started a video"),
    secondary("video_25", "watched a quarter of a video"),
    secondary("video_50", "watched half of a video"),
    secondary("video_75", "watched three quarters of a video"),
    secondary("video_complete", "watched a video to the end"),
    secondary("social_engage", "engaged on social media"),
    secondary("share", "shared"),
    secondary("follow", "followed the brand"),
    secondary("form_start", "started a form"),
    secondary("form_submit", "sent a form"),
    secondary("click_to_call", "called from the page"),
    secondary("chat", "opened the chat"),
    secondary("bookmark", "bookmarked"),
    secondary("compare_products", "compared products"),
    secondary("availability_check", "checked availability"),
    secondary("search", "searched"),
    secondary("view_search_results", "viewed search results"),
    secondary("file_download", "downloaded a file"),
    secondary("pdf_download", "downloaded a PDF"),
    secondary("content_download", "downloaded content"),
    secondary("app_install", "installed the app"),
    secondary("user_engagement", "stayed on the page"),
    secondary("time_on_page", "spent time on a page"),
    secondary("scroll", "scrolled to the end"),
    secondary("sitelink_click", "followed a site link"),
    secondary("select_promotion", "followed a promotion"),
    secondary("view_promotion", "saw a promotion"),
    secondary("popup_open", "opened a pop-up"),
    secondary("click", "followed an outbound link"),
    secondary("first_visit", "came for the first time"),
    secondary("refund", "asked for a refund"),
];

/// The standard action of a name.
pub fn standard(name: &str) -> Option<&'static StandardAction> {
    STANDARD_ACTIONS.iter().find(|action| action.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_milestones_climb() {
        let names: BTreeSet<_> = STANDARD_ACTIONS.iter().map(|action| action.name).collect();
        assert_eq!(names.len(), STANDARD_ACTIONS.len());
        let positions: Vec<u8> = STANDARD_ACTIONS
            .iter()
            .filter_map(|action| match action.kind {
                ActionKind::Milestone { position } => Some(position),
                ActionKind::Secondary => None,
            })
            .collect();
        assert!(positions.is_sorted_by(|lower, higher| lower < higher), "{positions:?}");
        assert!(names.len() < 200, "custom actions need room below 255");
    }
}

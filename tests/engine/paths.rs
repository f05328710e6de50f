//! What a person did last becomes a feature as a sequence only once enough people have done the same.

use inkling::action::STANDARD_ACTIONS;
use inkling::hash;
use inkling::settings::{Guards, Settings};

use super::shop::*;

const SUPPORT: u64 = 25;

fn walk(shop: &mut Shop, user: u64) {
    for action in ["search", "share", "search"] {
        shop.act(user, action);
        shop.wait(1_000);
    }
}

fn features(shop: &mut Shop, user: u64) -> usize {
    shop.score(user).exposure.unwrap().features.len()
}

#[test]
fn a_sequence_is_a_feature_once_enough_people_have_walked_it() {
    let mut shop = Shop::new();
    let counts: Vec<usize> = (1..=SUPPORT + 1)
        .map(|user| {
            walk(&mut shop, user);
            features(&mut shop, 1)
        })
        .collect();
    let before = counts[0];
    let (few, enough) = counts.split_at(SUPPORT as usize - 1);
    assert!(few.iter().all(|count| *count == before), "{counts:?}");
    assert!(enough.iter().all(|count| *count == before + 2), "the last two acts and the last three: {counts:?}");
}

#[test]
fn one_person_however_often_is_one_walker() {
    let mut shop = Shop::new();
    walk(&mut shop, 1);
    let before = features(&mut shop, 1);
    (0..100).for_each(|_| walk(&mut shop, 1));
    assert_eq!(features(&mut shop, 1), before);
}

#[test]
fn a_late_act_walks_no_path() {
    let mut shop = Shop::new();
    for user in 1..=SUPPORT + 5 {
        shop.act(user, "view_item");
        shop.wait(1_000);
        let at = shop.now - 10 * MINUTE;
        shop.apply_of(at, None, act(user, "add_to_cart"));
    }
    shop.act(1_001, "view_item");
    shop.act(1_001, "add_to_cart");
    let together = features(&mut shop, 1_001);
    for user in 2_001..=2_000 + SUPPORT {
        shop.act(user, "view_item");
        shop.act(user, "add_to_cart");
    }
    assert_eq!(features(&mut shop, 1_001), together + 1);
}

#[test]
fn beyond_the_most_sequences_new_ones_are_counted() {
    let mut shop = Shop::with(Settings { guards: Guards::OFF, ..settings() });
    walk(&mut shop, 2);
    for step in 0..30_000 {
        let action = hash::mix(1, step) % STANDARD_ACTIONS.len() as u64;
        shop.act(1, STANDARD_ACTIONS[action as usize].name);
    }
    let untracked = shop.engine.tally().paths_untracked;
    assert!((5_000..20_000).contains(&untracked), "{untracked}");
    (1_001..1_100).for_each(|user| walk(&mut shop, user));
    assert_eq!(shop.engine.tally().paths_untracked, untracked, "those that are known already go on");
}

//! The example file says what is true.

use super::*;
use crate::action::ActionKind;
use crate::expression::{parse, ready_made};
use crate::ids::Id;
use crate::settings::{Campaign, ExternalSegment, Goal, RuleSegment};
use crate::units::{Micros, Span};

const EXAMPLE: &str = include_str!("../../inkling.example.toml");

/// The example with the defaults that it only mentions.
fn with_defaults_stated() -> String {
    let state = |line: &'static str| match line.strip_prefix('#') {
        Some(default) if default.starts_with(|c: char| c.is_ascii_lowercase()) => default,
        _ => line,
    };
    EXAMPLE.lines().map(state).collect::<Vec<_>>().join("\n")
}

fn acme() -> Advertiser {
    let mut acme = Advertiser::new(Id::literal("acme"));
    let newsletter = acme.actions.iter_mut().find(|action| action.id.as_str() == "newsletter_signup").unwrap();
    newsletter.half_life = Span::days(30);
    acme.actions.push(crate::settings::ActionSetting {
        id: Id::literal("configure_product"),
        kind: ActionKind::Milestone { position: 65 },
        half_life: Span::days(7),
    });
    let purchase = Id::literal("purchase");
    let sign_up = Id::literal("sign_up");
    acme.goals = vec![
        Goal {
            converting_action: Some(purchase.clone()),
            milestones: ["view_item", "configure_product", "add_to_cart", "begin_checkout"].map(Id::literal).to_vec(),
            value: Micros(40_000_000),
            multiplier: Multiplier { max: 4.0, ..Multiplier::default() },
            ..Goal::new(purchase.clone())
        },
        Goal {
            converting_action: Some(sign_up.clone()),
            click_window: Span::days(1),
            view_window: Span::hours(1),
            milestones: vec![Id::literal("view_item")],
            prior_rate: 0.02,
            suppress_after_conversion: Some(Span::days(30)),
            ..Goal::new(sign_up.clone())
        },
    ];
    let campaign = |name, goals, objective| Campaign { id: Id::literal(name), goals, objective };
    let objective = vec![(sign_up.clone(), 0.2), (purchase.clone(), 1.0)];
    acme.campaigns = vec![
        campaign("spring_sale", vec![purchase.clone()], Vec::new()),
        campaign("newcomers", vec![sign_up, purchase], objective),
    ];
    let segment = |name, weight| ready_made(name).unwrap().segment(weight);
    let rule = parse("count(view_item, 7d) >= 3 and stage < begin_checkout and not did(purchase, 30d)", &acme.actions);
    acme.segments = vec![
        RuleSegment { id: Id::literal("hesitating_shoppers"), rule: rule.unwrap(), weight: 1.3 },
        segment("cart_abandoners", 1.5),
        segment("repeat_viewers", 1.0),
        segment("recent_buyers", 0.5),
    ];
    acme.externals = vec![ExternalSegment { id: Id::literal("acxiom/in_market_shoes"), weight: 1.2 }];
    acme
}

#[test]
fn the_example_means_what_it_says() {
    let config = Config::parse("inkling.example.toml", EXAMPLE).unwrap_or_else(|error| panic!("{error}"));
    let expected = Settings { advertisers: vec![acme()], ..Settings::default() };
    assert_eq!(config, Config::from_settings(expected));
}

#[test]
fn the_defaults_it_mentions_are_the_defaults() {
    let stated = with_defaults_stated();
    assert!(stated.lines().count() == EXAMPLE.lines().count() && stated.len() < EXAMPLE.len() - 40);
    let config = Config::parse("stated.toml", &stated).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config, Config::parse("inkling.example.toml", EXAMPLE).unwrap());
}

#[test]
fn it_shows_every_key() {
    let places = [
        "[server]",
        "[storage]",
        "[learner]",
        "[arms]",
        "[multiplier]",
        "[limits]",
        "[retention]",
        "[guards]",
        "[[advertiser]]\nid = 'a'",
        "[[advertiser]]\nid = 'a'\n[[advertiser.action]]",
        "[[advertiser]]\nid = 'a'\n[[advertiser.goal]]",
        "[[advertiser]]\nid = 'a'\n[[advertiser.campaign]]",
        "[[advertiser]]\nid = 'a'\n[[advertiser.segment]]",
        "",
    ];
    let mut keys_seen = 0;
    for place in places {
        let error = Config::parse("f", &format!("{place}\nqqqqqqqqqqqq = 1\n")).unwrap_err().to_string();
        let (_, known) = error.split_once("unknown key: known are ").unwrap_or_else(|| panic!("{error}"));
        let known = known.lines().next().unwrap();
        for key in known.split(", ") {
            let shown = EXAMPLE.lines().any(|line| {
                let line = line.trim_start_matches(['#', '[']).trim_start_matches("advertiser.");
                line.strip_prefix(key).is_some_and(|rest| rest.starts_with([' ', ']']))
            });
            assert!(shown, "{key} of {place}");
            keys_seen += 1;
        }
    }
    assert!(keys_seen > 60, "{keys_seen}");
}

proptest::proptest! {
    /// Whatever an editor's slip makes of the file, it is read or refused, at places that exist.
    #[test]
    fn slips_are_survived(cut in 0..EXAMPLE.len(), length in 0usize..60, typed in "[\\PC\n]{0,8}") {
        let stated = with_defaults_stated();
        let (start, end) = (stated.floor_char_boundary(cut), stated.floor_char_boundary(cut + length));
        let slipped = format!("{}{typed}{}", &stated[..start], &stated[end..]);
        if let Err(ConfigError::Invalid { problems, .. }) = Config::parse("slipped.toml", &slipped) {
            proptest::prop_assert!(!problems.is_empty());
            for Problem { line, column, message, excerpt } in problems {
                let excerpt = excerpt.unwrap_or_default();
                proptest::prop_assert!(excerpt.lines().all(|line| line.starts_with("  | ")), "{excerpt}");
                proptest::prop_assert!(line <= slipped.lines().count() + 1 && !message.contains('\n'), "{message}");
                let characters = slipped.split('\n').nth(line - 1).map_or(0, |line| line.chars().count());
                proptest::prop_assert!(column <= characters + 1, "{line}:{column}: {message}");
            }
        }
    }
}

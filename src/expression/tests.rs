//! Expressions, good and bad, and whatever else may stand in a configuration.

use std::time::{Duration, Instant};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::action::{ActionKind, HALF_LIFE_DEFAULT, standard};
use crate::ids::Id;
use crate::settings::{ActionSetting, Advertiser, RULE_DEPTH_MAX, Rule};
use crate::units::Span;

/// The standard actions and some with odd names.
fn actions() -> Vec<ActionSetting> {
    let mut actions = Advertiser::new(Id::literal("acme")).actions;
    for (name, kind) in [
        ("pop-up (blue)", ActionKind::Secondary),
        ("it's \"it\"", ActionKind::Milestone { position: 65 }),
        ("größe:1/2.5", ActionKind::Secondary),
        ("and", ActionKind::Secondary),
        ("7d", ActionKind::Milestone { position: 15 }),
    ] {
        actions.push(ActionSetting { id: Id::literal(name), kind, half_life: HALF_LIFE_DEFAULT });
    }
    actions
}

fn did(action: &'static str, window: Span) -> Rule {
    count(action, window, 1)
}

fn count(action: &'static str, window: Span, at_least: u8) -> Rule {
    Rule::Count { action: Id::literal(action), window, at_least }
}

fn recency(action: &'static str, less_than: Span) -> Rule {
    Rule::Recency { action: Id::literal(action), less_than }
}

fn not(rule: Rule) -> Rule {
    Rule::Not(Box::new(rule))
}

fn read(text: &str) -> Rule {
    parse(text, &actions()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_condition_means_its_rule() {
    let (day, week) = (Span::days(1), Span::days(7));
    let three = || count("view_item", week, 3);
    let four = || count("view_item", week, 4);
    let cases = [
        ("count(view_item, 7d) >= 3", three()),
        ("count(view_item,168h)>=3", three()),
        ("count(view_item, 7d) > 3", four()),
        ("count(view_item, 7d) < 3", not(three())),
        ("count(view_item, 7d) <= 3", not(four())),
        ("count(view_item, 7d) == 3", Rule::All(vec![three(), not(four())])),
        ("count(view_item, 7d) == 0", not(did("view_item", week))),
        ("count(view_item, 7d) > 7", count("view_item", week, 8)),
        ("did(purchase, 1d)", did("purchase", day)),
        ("recency(purchase) < 2h", recency("purchase", Span::hours(2))),
        ("recency(purchase) >= 2h", not(recency("purchase", Span::hours(2)))),
        ("stage >= add_to_cart", Rule::Stage(Id::literal("add_to_cart"))),
        ("stage < add_to_cart", not(Rule::Stage(Id::literal("add_to_cart")))),
        ("stage >= 7d", Rule::Stage(Id::literal("7d"))),
        ("sessions >= 0", Rule::Sessions(0)),
        ("sessions > 3", Rule::Sessions(4)),
        ("sessions <= 65534", not(Rule::Sessions(65_535))),
        ("sessions == 0", not(Rule::Sessions(1))),
        ("external(\"acxiom/in market\")", Rule::External(Id::literal("acxiom/in market"))),
        ("external(acxiom/1)", Rule::External(Id::literal("acxiom/1"))),
        ("did('pop-up (blue)', 1d)", did("pop-up (blue)", day)),
        ("did('it''s \"it\"', 1d)", did("it's \"it\"", day)),
        ("did(\"it's \"\"it\"\"\", 1d)", did("it's \"it\"", day)),
        ("did(größe:1/2.5, 1d) and did(and, 1d)", Rule::All(vec![did("größe:1/2.5", day), did("and", day)])),
        (" \t\n( did ( purchase ,\r\n1d ) ) ", did("purchase", day)),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn not_binds_before_and_before_or() {
    let session = Rule::Sessions;
    let cases = [
        (
            "sessions >= 1 or sessions >= 2 and not sessions >= 3",
            Rule::Any(vec![session(1), Rule::All(vec![session(2), not(session(3))])]),
        ),
        (
            "(sessions >= 1 or sessions >= 2) and sessions >= 3",
            Rule::All(vec![Rule::Any(vec![session(1), session(2)]), session(3)]),
        ),
        (
            "not (sessions >= 1 or sessions >= 2) and sessions >= 3",
            Rule::All(vec![not(Rule::Any(vec![session(1), session(2)])), session(3)]),
        ),
        ("sessions >= 1 and (sessions >= 2 and (sessions >= 3))", Rule::All(vec![session(1), session(2), session(3)])),
        ("not not sessions >= 1", session(1)),
        ("not (not (not sessions >= 1))", not(session(1))),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), expected, "{text}");
    }
}

#[test]
fn rules_are_written_as_one_would() {
    let same = [
        "count(view_item, 7d) >= 3 and not did(purchase, 30d)",
        "count(view_item, 7d) < 3 or recency(purchase) >= 2h and stage < add_to_cart",
        "(sessions >= 1 or sessions < 5) and did('pop-up (blue)', 90s)",
        "not (sessions >= 1 and external(p/1)) or not (external('p/a b') or stage >= 'it''s \"it\"')",
    ];
    for text in same {
        assert_eq!(write(&read(text)), text);
    }
    assert_eq!(write(&read("count(view_item,168h) == 3")), "count(view_item, 7d) >= 3 and count(view_item, 7d) < 4");
    let (all, any) = (Rule::All(Vec::new()), Rule::Any(Vec::new()));
    assert_eq!((write(&all), write(&any)), ("sessions >= 0".to_owned(), "sessions < 0".to_owned()));
    assert_eq!(write(&Rule::All(vec![Rule::Any(vec![all])])), "sessions >= 0");
}

/// Texts, the column of their mistake, and what is said of it.
const WRONG: &[(&str, usize, &str)] = &[
    ("", 1, "says not who is in it: write a condition, such as count(view_item, 7d) >= 3"),
    (" \n", 1, "says not who is in it: write a condition, such as count(view_item, 7d) >= 3"),
    ("did(veiw_item, 7d)", 5, "unknown action 'veiw_item': did you mean 'view_item'?"),
    ("cuont(view_item, 7d) >= 3", 1, "unknown function 'cuont': did you mean 'count'?"),
    (
        "average(view_item) > 3",
        1,
        "unknown function 'average': known are count, did, recency, stage, sessions, external",
    ),
    (
        "sessions > 1 and purchase",
        18,
        "'purchase' is an action, not a condition: write did(purchase, 7d) or count(purchase, 7d) >= 3",
    ),
    (
        "stage >= add_to_crat",
        10,
        "'add_to_crat' is no milestone: did you mean 'add_to_cart'? the milestones are session_start, 7d, page_view, \
         view_item_list, select_item, view_item, add_to_wishlist, it's \"it\", add_to_cart, view_cart, begin_checkout, \
         add_shipping_info, add_payment_info, purchase",
    ),
    (
        "stage < share",
        9,
        "'share' is no milestone: the milestones are session_start, 7d, page_view, view_item_list, select_item, \
         view_item, add_to_wishlist, it's \"it\", add_to_cart, view_cart, begin_checkout, add_shipping_info, \
         add_payment_info, purchase",
    ),
    ("external('')", 10, "an identifier must not be empty"),
    ("external('a/\u{7}')", 10, "an identifier must not hold the control character at byte 2"),
    ("external(acxiom)", 10, "'acxiom' must be the provider and its segment, such as external(provider/id)"),
    ("external(/1)", 10, "'/1' must be the provider and its segment, such as external(provider/id)"),
    (
        "did(share, 7)",
        12,
        "'7' is no span of time: write a whole number and a unit, such as 30d, 12h, 15m, 90s or 250ms",
    ),
    ("did(share, 1500ms)", 12, "1500ms must be whole seconds, from 1s to 3650d"),
    ("recency(share) < 0s", 18, "0s must be whole seconds, from 1s to 3650d"),
    ("did(share, 3651d)", 12, "3651d must be whole seconds, from 1s to 3650d"),
    ("count(share, 7d) >= 9", 21, "needs the 9 latest occurrences of an action, of which 8 are kept"),
    ("count(share, 7d) == 8", 21, "needs the 9 latest occurrences of an action, of which 8 are kept"),
    (
        "count(share, 7d) > 99999999999999999999",
        20,
        "needs the 18446744073709551615 latest occurrences of an action, of which 8 are kept",
    ),
    ("count(share, 7d) >= 0", 21, "always holds: compare with a larger number"),
    ("count(share, 7d) < 0", 20, "never holds: compare with a larger number"),
    ("sessions > 65535", 12, "needs 65536 sessions to be counted: they are up to 65535"),
    ("sessions > -1", 12, "expected a whole number, found '-1'"),
    ("sessions > 2.5", 12, "expected a whole number, found '2.5'"),
    ("sessions >", 11, "expected a whole number, found the end"),
    ("count(share, 7d)", 17, "expected a comparison, such as >= 3, found the end"),
    ("did(share, 7d) >= 3", 16, "expected 'and', 'or' or the end, found '>='"),
    ("did share", 5, "expected '(', found 'share'"),
    ("did(share)", 10, "expected ',' and a span of time, such as 7d, found ')'"),
    ("did(, 7d)", 5, "expected an action, such as view_item, found ','"),
    ("did(share, '7d')", 12, "expected a span of time, such as 7d, found ''7d''"),
    ("recency(share) <= 2h", 16, "expected '<' or '>=', found '<='"),
    ("stage >= (", 10, "expected a milestone, such as add_to_cart, found '('"),
    ("(sessions > 1", 14, "expected 'and', 'or' or ')', found the end"),
    ("sessions > 1 AND sessions > 2", 14, "expected 'and', 'or' or the end, found 'AND': did you mean 'and'?"),
    ("sessions > 1)", 13, "expected 'and', 'or' or the end, found ')'"),
    ("sessions > 1 and", 17, "expected a condition, such as did(purchase, 30d), found the end"),
    ("or sessions > 1", 1, "expected a condition, such as did(purchase, 30d), found 'or'"),
    ("größe", 1, "unknown function 'größe': known are count, did, recency, stage, sessions, external"),
    ("did(größe:1/2.5, 7d) && sessions > 1", 22, "'&&' is not of this language: write and"),
    ("sessions ≥ 3", 10, "'≥' is not of this language: write >="),
    ("sessions = 3", 10, "'=' is not of this language: write =="),
    (
        "did(a+b, 7d)",
        6,
        "'+' is not of this language: put a name with other characters than letters, digits and _ . : / - in quotes",
    ),
    (
        "sessions > 1 \u{1b}",
        14,
        "'\\u{1b}' is not of this language: put a name with other characters than letters, digits and _ . : / - in \
         quotes",
    ),
    ("did('share, 7d)", 5, "this quote is never closed"),
];

#[test]
fn mistakes_are_told_with_their_column() {
    for (text, column, fault) in WRONG {
        let error = parse(text, &actions()).unwrap_err();
        assert_eq!((error.column, error.fault.to_string().as_str()), (*column, *fault), "{text:?}");
        assert_eq!(error.to_string(), format!("column {column}: {fault}"));
    }
}

#[test]
fn limits_have_names() {
    let nested = |levels: usize| format!("{}sessions > 1{}", "(".repeat(levels), ")".repeat(levels));
    assert_eq!(read(&nested(RULE_DEPTH_MAX)), Rule::Sessions(2));
    let error = |text: &str| parse(text, &actions()).unwrap_err();
    assert_eq!((error(&nested(33)).column, error(&nested(33)).fault), (33, Fault::TooDeep));
    // One level of text is two of the rule: an `or` of an `and`.
    let zigzag = |levels: usize| {
        let open = "sessions > 1 or sessions > 2 and (".repeat(levels);
        format!("{open}sessions > 3{}", ")".repeat(levels))
    };
    read(&zigzag(15));
    assert_eq!(error(&zigzag(16)).fault, Fault::TooDeep);

    let chain = |conditions: usize| vec!["sessions > 1"; conditions].join(" or ");
    read(&chain(1_023));
    assert_eq!((error(&chain(1_024)).column, error(&chain(1_024)).fault), (1, Fault::TooMany));

    assert_eq!(error(&" ".repeat(EXPRESSION_BYTES_MAX)).fault, Fault::Empty);
    let long = "ü".repeat(EXPRESSION_BYTES_MAX);
    assert_eq!(error(&long).fault, Fault::TooLong { bytes: 2 * EXPRESSION_BYTES_MAX });
    assert_eq!(error(&long).column, EXPRESSION_BYTES_MAX / 2 + 1);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test may know how long it took")]
fn hostile_texts_end_soon() {
    let texts = ["(", "not ", "not(", "((sessions>0)or", "did(", "'", "''", "sessions>1and", "\u{1f}", "a", "ü"];
    let started = Instant::now();
    for text in texts {
        let whole = text.repeat(EXPRESSION_BYTES_MAX / text.len());
        let error = parse(&whole, &actions()).unwrap_err();
        assert!(error.excerpt(&whole).chars().count() < 200, "{text}");
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
}

#[test]
fn excerpts_point_at_the_part() {
    let cases = [
        ("did(veiw_item, 7d)", "  | did(veiw_item, 7d)\n  |     ^^^^^^^^^"),
        ("sessions >\n\tdid(x, 7d)", "  |  did(x, 7d)\n  |  ^^^"),
        ("", "  | \n  | ^"),
        ("größe('ö', 1d)", "  | größe('ö', 1d)\n  | ^^^^^"),
        ("sessions >", "  | sessions >\n  |           ^"),
        ("did('share\n, 7d)", "  | did('share\n  |     ^^^^^^"),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text, &actions()).unwrap_err().excerpt(text), expected, "{text}");
    }
    let long = format!("{} or did(x, 7d) or {0}", ["sessions > 1"; 10].join(" or "));
    let excerpt = parse(&long, &actions()).unwrap_err().excerpt(&long);
    let [line, carets] = excerpt.lines().collect::<Vec<_>>()[..] else { panic!("{excerpt}") };
    assert_eq!(line.chars().count(), 84);
    assert_eq!((line.find("x, 7d"), carets.find('^')), (Some(44), Some(44)), "{excerpt}");
}

#[test]
fn ready_made_audiences_are_canonical_and_standard() {
    for made in READY_MADE {
        let rule = made.rule();
        assert_eq!(write(&rule), made.expression);
        for condition in rule.conditions() {
            let Rule::Count { action, .. } = condition else { panic!("{condition:?}") };
            assert!(standard(action.as_str()).is_some(), "{action}");
        }
        assert_eq!(ready_made(made.name), Some(&made));
    }
    assert_eq!(ready_made("nobody"), None);
}

/// Any rule that the language can say, normal or not.
fn rule() -> impl Strategy<Value = Rule> {
    let name = || {
        let names: Vec<Id> = actions().into_iter().map(|action| action.id).collect();
        select(names)
    };
    let milestone = select(["session_start", "7d", "it's \"it\"", "purchase"].map(Id::literal).to_vec());
    let window = || (1..=Span::days(3_650).whole_seconds()).prop_map(Span::seconds);
    let external = "[^\\p{Cc}/]{1,6}/[^\\p{Cc}]{1,6}".prop_map(|name| Rule::External(Id::new(name).unwrap()));
    let condition = prop_oneof![
        (name(), window(), 1u8..=8).prop_map(|(action, window, at_least)| Rule::Count { action, window, at_least }),
        (name(), window()).prop_map(|(action, less_than)| Rule::Recency { action, less_than }),
        milestone.prop_map(Rule::Stage),
        any::<u16>().prop_map(Rule::Sessions),
        external,
    ];
    condition.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Rule::All),
            vec(inner.clone(), 0..5).prop_map(Rule::Any),
            inner.prop_map(|part| Rule::Not(Box::new(part))),
        ]
    })
}

/// Any text: noise, pieces of the language in any order, and good expressions with a slip.
fn text() -> impl Strategy<Value = String> {
    let pieces = [
        "count",
        "did",
        "recency",
        "stage",
        "sessions",
        "external",
        "and",
        "or",
        "not",
        "view_item",
        "7d",
        "3",
        "0",
        "(",
        ")",
        ",",
        ">=",
        "<",
        "==",
        "'",
        "\"",
        " ",
        "\n",
        "ü",
        "p/1",
        "&&",
        "\u{0}",
    ];
    let slip = (rule(), any::<prop::sample::Index>(), 0usize..6, "\\PC{0,3}").prop_map(|(rule, at, length, typed)| {
        let text = write(&rule);
        let start = text.floor_char_boundary(at.index(text.len()));
        let end = text.floor_char_boundary(start + length);
        format!("{}{typed}{}", &text[..start], &text[end..])
    });
    prop_oneof![
        1 => any::<String>(),
        2 => vec(select(pieces.to_vec()), 0..40).prop_map(|pieces| pieces.concat()),
        4 => slip,
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(rule in rule()) {
        let text = write(&rule);
        prop_assert_eq!(&read(&text), &normal(&rule), "{}", text);
        prop_assert_eq!(write(&read(&text)), text);
    }

    #[test]
    fn any_text_is_read_or_refused_at_a_place_in_it(text in text()) {
        match parse(&text, &actions()) {
            Ok(rule) => {
                prop_assert_eq!(&normal(&rule), &rule, "parsing gives normal rules");
                prop_assert_eq!(read(&write(&rule)), rule);
            }
            Err(error) => {
                prop_assert!((1..=text.chars().count() + 1).contains(&error.column), "{:?}", error);
                prop_assert!(text.get(error.part.clone()).is_some(), "{:?}", error);
                prop_assert_eq!(text[..error.part.start].chars().count() + 1, error.column);
                prop_assert!(!error.fault.to_string().contains(char::is_control), "{}", error);
                let excerpt = error.excerpt(&text);
                prop_assert_eq!(excerpt.lines().count(), 2, "{}", excerpt);
                prop_assert!(excerpt.ends_with('^') && excerpt.chars().count() < 180, "{}", excerpt);
            }
        }
    }
}

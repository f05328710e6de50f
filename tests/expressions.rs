//! What an expression says is who the engine finds in the segment: against plain counting over whole histories.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fmt;

use inkling::action::{ActionKind, HALF_LIFE_DEFAULT};
use inkling::engine::{Applied, Engine};
use inkling::event::{Action, Event, Record};
use inkling::expression::parse;
use inkling::ids::{Id, UserKey};
use inkling::opportunity::{PrivacyMode, ScoreRequest, Target};
use inkling::settings::{ActionSetting, Advertiser, ExternalSegment, Goal, RuleSegment, Settings};
use inkling::units::Timestamp;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

const START: u64 = 1_700_000_000_000;
const USER: UserKey = UserKey(7);
/// Actions with their positions on the ladder; 0 is none.
const ACTIONS: [(&str, u8); 5] =
    [("view_item", 50), ("'pop-up (blue)'", 65), ("add_to_cart", 70), ("purchase", 120), ("share", 0)];
const EXTERNALS: [&str; 2] = ["p/1", "p/2"];
/// Seconds between acts, of lateness and of windows: few, so that windows often end exactly at an act.
const STEPS: [u64; 6] = [0, 30, 60, 1_800, 1_801, 86_400];

/// An expression as a person means it: comparisons stay comparisons.
#[derive(Debug, Clone)]
enum Said {
    Count(usize, u64, &'static str, u64),
    Did(usize, u64),
    Recency(usize, bool, u64),
    Stage(usize, bool),
    Sessions(&'static str, u64),
    External(&'static str),
    Not(Box<Said>),
    Both(Vec<Said>),
    Either(Vec<Said>),
}

/// An act: which action, and in which second.
type Act = (usize, u64);

/// All that is known of a user.
#[derive(Debug, Default)]
struct History {
    acts: Vec<Act>,
    sessions: u64,
}

impl History {
    fn act(&mut self, act: Act) {
        let latest = self.acts.iter().map(|(_, second)| *second).max();
        // A late act begins no session, and a pause of half an hour ends one.
        self.sessions += u64::from(latest.is_none_or(|latest| act.1 > latest + 1_800));
        self.acts.push(act);
    }

    /// Ages in seconds of all acts of an action; what is dated ahead is new.
    fn ages(&self, action: usize, now: u64) -> impl Iterator<Item = u64> {
        self.acts.iter().filter(move |(one, _)| *one == action).map(move |(_, second)| now.saturating_sub(*second))
    }
}

fn compare(left: u64, comparison: &str, right: u64) -> bool {
    match comparison {
        ">=" => left >= right,
        ">" => left > right,
        "<" => left < right,
        "<=" => left <= right,
        "==" => left == right,
        other => panic!("{other}"),
    }
}

impl Said {
    fn holds(&self, history: &History, externals: &[&str], now: u64) -> bool {
        match self {
            Said::Count(action, window, comparison, number) => {
                let count = history.ages(*action, now).filter(|age| age <= window).count();
                compare(count as u64, comparison, *number)
            }
            Said::Did(action, window) => history.ages(*action, now).any(|age| age <= *window),
            Said::Recency(action, is_below, span) => {
                let is_recent = history.ages(*action, now).any(|age| age < *span);
                is_recent == *is_below
            }
            Said::Stage(least, is_below) => {
                let furthest = history.acts.iter().map(|(action, _)| ACTIONS[*action].1).max().unwrap_or(0);
                (furthest < ACTIONS[*least].1) == *is_below
            }
            Said::Sessions(comparison, number) => compare(history.sessions, comparison, *number),
            Said::External(name) => externals.contains(name),
            Said::Not(part) => !part.holds(history, externals, now),
            Said::Both(parts) => parts.iter().all(|part| part.holds(history, externals, now)),
            Said::Either(parts) => parts.iter().any(|part| part.holds(history, externals, now)),
        }
    }
}

impl fmt::Display for Said {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |action: &usize| ACTIONS[*action].0;
        let from_below = |is_below: &bool| if *is_below { "<" } else { ">=" };
        let joined = |parts: &[Said], word: &str| {
            let part = |part: &Said| match part {
                Said::Both(_) | Said::Either(_) => format!("({part})"),
                part => part.to_string(),
            };
            parts.iter().map(part).collect::<Vec<_>>().join(word)
        };
        match self {
            Said::Count(action, window, comparison, number) => {
                write!(out, "count({}, {window}s) {comparison} {number}", name(action))
            }
            Said::Did(action, window) => write!(out, "did({}, {window}s)", name(action)),
            Said::Recency(action, is_below, span) => {
                write!(out, "recency({}) {} {span}s", name(action), from_below(is_below))
            }
            Said::Stage(least, is_below) => write!(out, "stage {} {}", from_below(is_below), name(least)),
            Said::Sessions(comparison, number) => write!(out, "sessions {comparison} {number}"),
            Said::External(name) => write!(out, "external({name})"),
            Said::Not(part) => write!(out, "not ({part})"),
            Said::Both(parts) => out.write_str(&joined(parts, " and ")),
            Said::Either(parts) => out.write_str(&joined(parts, " or ")),
        }
    }
}

fn acme() -> Advertiser {
    let mut acme = Advertiser::new(Id::literal("acme"));
    let kind = ActionKind::Milestone { position: 65 };
    acme.actions.push(ActionSetting { id: Id::literal("pop-up (blue)"), kind, half_life: HALF_LIFE_DEFAULT });
    acme.goals.push(Goal::new(Id::literal("buy")));
    acme.externals = EXTERNALS.map(|name| ExternalSegment { id: Id::literal(name), weight: 1.0 }).to_vec();
    acme
}

/// An engine whose only rule segment is an expression.
struct World {
    engine: Engine,
    now: u64,
}

impl World {
    fn new(expression: &str) -> World {
        let mut world = World { engine: Engine::new(), now: START };
        world.configure(&[("it", expression)]);
        world
    }

    fn configure(&mut self, segments: &[(&'static str, &str)]) {
        let mut acme = acme();
        for (name, expression) in segments {
            let rule = parse(expression, &acme.actions).unwrap_or_else(|error| panic!("{expression}: {error}"));
            acme.segments.push(RuleSegment { id: Id::literal(name), rule, weight: 1.0 });
        }
        let settings = Settings { advertisers: vec![acme], ..Settings::default() };
        self.apply(self.now, Event::Configured(Box::new(settings)));
    }

    /// Seconds from the start until which the segments in force are warming, in the order of their names' first sight.
    fn warming(&self) -> Vec<Option<u64>> {
        let catalog = self.engine.catalog();
        let acme = catalog.advertiser("acme").unwrap();
        let rules = catalog.segments(acme).into_iter().filter(|code| catalog.rule(acme, *code).is_some());
        let until = |code| self.engine.warming_until(acme, code);
        rules.map(|code| until(code).map(|tick| u64::from(tick.0) - START / 1_000)).collect()
    }

    fn apply(&mut self, occurred_at: u64, event: Event) {
        let record = Record { at: Timestamp(self.now), occurred_at: Timestamp(occurred_at), event_id: None, event };
        assert_eq!(self.engine.apply(&record), Applied::Done);
        self.engine.publish();
    }

    fn act(&mut self, action: usize, occurred_at: u64) {
        let action = Action {
            user: USER,
            advertiser: Id::literal("acme"),
            action: Id::literal(ACTIONS[action].0.trim_matches('\'')),
            item: None,
            category: None,
            value: None,
        };
        self.apply(occurred_at, Event::Action(action));
    }

    /// Whether a bid request finds the user in the segment.
    fn is_member(&self, at: u64, externals: &[&'static str]) -> bool {
        let request = ScoreRequest {
            opportunity: Id::literal("o"),
            users: vec![USER],
            context: Vec::new(),
            numbers: Vec::new(),
            segments: externals.iter().copied().map(Id::literal).collect(),
            privacy: PrivacyMode::Full,
            targets: vec![Target {
                advertiser: Id::literal("acme"),
                campaign: None,
                line_item: None,
                creative: None,
                item: None,
                category: None,
                goals: vec![Id::literal("buy")],
                base_p: None,
            }],
            reasons_max: 0,
        };
        let scored = self.engine.scorer().score(Timestamp(at), &request).remove(0).unwrap();
        let catalog = self.engine.catalog();
        let acme = catalog.advertiser("acme").unwrap();
        scored.signals[0].segments.iter().any(|code| catalog.segment_name(acme, *code).unwrap().as_str() == "it")
    }

    /// Whether the engine itself finds the user there now.
    fn is_member_now(&self) -> bool {
        let acme = self.engine.catalog().advertiser("acme").unwrap();
        !self.engine.segments_of(USER, acme).is_empty()
    }
}

fn said() -> impl Strategy<Value = Said> {
    let comparison = || select(vec![">=", ">", "<", "<=", "=="]);
    let window = || select(STEPS[1..].to_vec());
    let action = || 0..ACTIONS.len();
    let count = (action(), window(), comparison(), 1u64..=7);
    let condition = prop_oneof![
        4 => count.prop_map(|(action, window, comparison, n)| Said::Count(action, window, comparison, n)),
        1 => (action(), window()).prop_map(|(action, window)| Said::Did(action, window)),
        2 => (action(), any::<bool>(), window()).prop_map(|(action, below, span)| Said::Recency(action, below, span)),
        1 => (0..ACTIONS.len() - 1, any::<bool>()).prop_map(|(action, below)| Said::Stage(action, below)),
        1 => (comparison(), 1u64..5).prop_map(|(comparison, n)| Said::Sessions(comparison, n)),
        1 => select(EXTERNALS.to_vec()).prop_map(Said::External),
    ];
    condition.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|part| Said::Not(Box::new(part))),
            vec(inner.clone(), 2..4).prop_map(Said::Both),
            vec(inner, 2..4).prop_map(Said::Either),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn segments_are_who_the_expression_says(
        said in said(),
        acts in vec((0..ACTIONS.len(), select(STEPS.to_vec()), select(STEPS.to_vec()), 0u64..2, 0u64..10), 0..24),
        externals in subsequence(EXTERNALS.to_vec(), 0..=2),
        later in select(STEPS.to_vec()),
    ) {
        let text = said.to_string();
        let (mut world, mut history) = (World::new(&text), History::default());
        for (action, step, late, milliseconds, luck) in acts {
            world.now += step * 1_000 + milliseconds * 900;
            // Most acts are told of at once, some late, some ahead of the clock.
            let occurred_at = match luck {
                0 | 1 => world.now - late * 1_000,
                2 => world.now + late.min(300) * 1_000,
                _ => world.now,
            };
            world.act(action, occurred_at);
            history.act((action, occurred_at / 1_000));
            let expected = said.holds(&history, &[], world.now / 1_000);
            prop_assert_eq!(world.is_member_now(), expected, "{} of {:?}", text, history);
        }
        let at = world.now + later * 1_000;
        let expected = said.holds(&history, &externals, at / 1_000);
        prop_assert_eq!(world.is_member(at, &externals), expected, "{} of {:?}", text, history);
    }
}

#[test]
fn windows_end_where_they_say() {
    // The user shares twice, one minute apart.
    let (first, second) = (START, START + 60_000);
    let day = 86_400_000;
    let cases = [
        ("did(share, 1d)", second + day, true),
        ("did(share, 1d)", second + day + 999, true),
        ("did(share, 1d)", second + day + 1_000, false),
        ("not did(share, 1d)", second + day, false),
        ("not did(share, 1d)", second + day + 1_000, true),
        ("recency(share) < 1d", second + day - 1, true),
        ("recency(share) < 1d", second + day, false),
        ("recency(share) >= 1d", second + day - 1, false),
        ("recency(share) >= 1d", second + day, true),
        ("recency(purchase) >= 1d", second, true),
        ("count(share, 1d) >= 2", first + day, true),
        ("count(share, 1d) >= 2", first + day + 1_000, false),
        ("count(share, 1d) == 1", first + day, false),
        ("count(share, 1d) == 1", first + day + 1_000, true),
    ];
    for (expression, at, expected) in cases {
        let mut world = World::new(expression);
        world.act(4, first);
        world.now = second;
        world.act(4, second);
        assert_eq!(world.is_member(at, &[]), expected, "{expression} {} ms after the first", at - first);
    }
}

#[test]
fn a_rule_is_warming_until_its_windows_began_when_its_acts_were_kept() {
    let (often, more) = (("often", "count(share, 1h) >= 3"), ("more", "count(share, 2h) >= 4 or sessions > 9"));
    let (single, ever) = (("single", "did(share, 1h) and recency(share) < 30m"), ("ever", "stage >= purchase"));
    let mut world = World { engine: Engine::new(), now: START };
    world.configure(&[often, ever]);
    assert_eq!(world.warming(), [Some(3_600), None], "nothing was kept before the first settings");

    world.now = START + 3_600_000;
    world.apply(world.now, Event::Tick);
    assert_eq!(world.warming(), [Some(3_600), None], "an act of the first second may count still");
    world.now += 1_000;
    world.apply(world.now, Event::Tick);
    assert_eq!(world.warming(), [None, None]);

    world.configure(&[often, ever, more, single]);
    let later = 3_601 + 7_200;
    assert_eq!(world.warming(), [None, None, Some(later), None], "the latest act was kept all the time");
    world.configure(&[ever, single]);
    world.now += 1_000;
    world.configure(&[often, ever, more, single]);
    assert_eq!(world.warming(), [Some(3_602 + 3_600), None, Some(later + 1), None], "between them, none was kept");
}

#[test]
fn since_when_acts_are_kept_is_state() {
    let digest = |before: &str| {
        let mut world = World { engine: Engine::new(), now: START };
        world.configure(&[("it", before)]);
        world.now += 1_000;
        world.configure(&[("it", "count(share, 1h) >= 3")]);
        world.engine.digest()
    };
    assert_ne!(digest("did(share, 1h)"), digest("count(share, 1h) >= 3"));
    assert_eq!(digest("count(share, 1d) < 4"), digest("count(share, 1h) >= 4"), "how far it looks is no matter");
}

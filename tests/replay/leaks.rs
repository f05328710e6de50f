//! Labels that are planted where a careless evaluation would find them.

use inkling::journey::{Conversion, Line, Opportunity};
use inkling::replay::{
    self, BadLines, EvaluateFrom, Evaluation, Kind, POSITIVES_MIN, Played, Resamples, SUSPECT_SHARE,
};
use inkling::units::{Span, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::lockstep::Unwatched;
use crate::log::{Log, action, at, conversion, id, impression, opportunity};

const DRAWS: Resamples = Resamples { count: 50, seed: 1 };

fn play(lines: Vec<Line>) -> Played {
    let log = Log::of(lines);
    let paths = [log.path.clone()];
    let settings = replay::discover(&paths, Span::hours(1), BadLines::Refused, &mut Unwatched).unwrap();
    replay::play(&paths, settings, None, BadLines::Refused, &mut Unwatched).unwrap().0
}

fn evaluate(lines: Vec<Line>) -> Evaluation {
    Evaluation::of(&play(lines), EvaluateFrom::Share(0.3), DRAWS)
}

/// Opportunities of which one in five converts by chance; `plant` may put lines and traits wherever it likes.
fn lottery(mut plant: impl FnMut(&mut Opportunity, &mut Vec<Line>, bool)) -> Vec<Line> {
    let mut chance = StdRng::seed_from_u64(11);
    let mut lines = Vec::new();
    for number in 0..3_000u32 {
        let wins = chance.random_bool(0.2);
        let time = at(u64::from(number));
        let mut one = opportunity(time, number % 1_000, &format!("o{number}"));
        let mut around = vec![impression(time, &format!("o{number}"))];
        if wins {
            let by = conversion(Timestamp(time.0 + 1_000 + chance.random_range(0..30_000)), number % 1_000);
            around.push(Line::Conversion(Conversion { id: Some(id(format!("o{number}"))), ..by }));
        }
        plant(&mut one, &mut around, wins);
        lines.push(Line::Opportunity(one));
        lines.extend(around);
    }
    lines
}

#[test]
fn without_a_leak_a_lottery_cannot_be_predicted() {
    let evaluation = evaluate(lottery(|_, _, _| {}));
    let auc = evaluation.evaluated.intervals[2].unwrap();
    assert!(auc.0 < 0.5 + 0.03 && 0.5 - 0.03 < auc.1, "{auc:?}");
    assert!(evaluation.evaluated.quality.normalized_entropy > 0.99);
    assert_eq!(evaluation.suspects, []);
}

/// An act of the very same millisecond that only winners have, on the line after the opportunity: an evaluation that
/// scored after it would be nearly perfect.
#[test]
fn what_stands_behind_an_opportunity_is_not_seen_by_its_score() {
    let told_after = |one: &mut Opportunity, around: &mut Vec<Line>, wins: bool| {
        // The user of each opportunity comes once only, so that nobody's past tells anything.
        let user = one.id.as_str()[1..].parse().unwrap();
        one.user = id(format!("user {user}"));
        around.retain(|line| !matches!(line, Line::Conversion(_)));
        if wins {
            around.insert(0, action(one.time, user, "won_the_lottery"));
            around.push(Line::Conversion(conversion(Timestamp(one.time.0 + 5_000), user)));
        }
    };
    let evaluation = evaluate(lottery(told_after));
    assert!(evaluation.evaluated.quality.positives > 300.0);
    let auc = evaluation.evaluated.quality.auc;
    assert!((0.46..0.54).contains(&auc), "{auc}");
    assert_eq!(evaluation.suspects, []);

    // The same act a line earlier is a leak in the log itself: nothing can undo it, but it is named.
    let told_before = |one: &mut Opportunity, around: &mut Vec<Line>, wins: bool| {
        told_after(one, around, wins);
        if let Some(Line::Action(act)) = around.first_mut() {
            act.time = Timestamp(act.time.0 - 1);
        }
    };
    let evaluation = evaluate(lottery(told_before));
    assert!(evaluation.evaluated.quality.auc > 0.95);
    let [suspect] = &evaluation.suspects[..] else { panic!("{:?}", evaluation.suspects) };
    assert_eq!((suspect.kind, suspect.name.as_str()), (Kind::Did, "won_the_lottery"));
    assert!(suspect.explained > 0.9);
}

#[test]
fn a_trait_that_gives_the_label_away_is_named() {
    for (kind, name) in
        [(Kind::Context, "paid"), (Kind::Number, "paid"), (Kind::Segment, "crm/paid"), (Kind::Category, "")]
    {
        let evaluation = evaluate(lottery(|one, _, wins| match kind {
            Kind::Context => one.context.push((id("paid"), id(if wins { "yes" } else { "no" }))),
            Kind::Number => one.numbers.push((id("paid"), if wins { 1.0 } else { 1.9 })),
            Kind::Segment => one.segments.extend(wins.then(|| id("crm/paid"))),
            _ => one.category = Some(id(if wins { "paid" } else { "open" })),
        }));
        let [suspect] = &evaluation.suspects[..] else { panic!("{kind:?}: {:?}", evaluation.suspects) };
        assert_eq!((suspect.kind, suspect.name.as_str()), (kind, name));
        assert!(suspect.explained > SUSPECT_SHARE, "{suspect:?}");
        assert!(evaluation.evaluated.quality.auc > 0.95, "{kind:?}");
    }
}

/// What matters is when and how often it was done, which everybody did at some time.
#[test]
fn an_act_that_is_timed_by_the_label_is_named() {
    let timed = |one: &mut Opportunity, around: &mut Vec<Line>, wins: bool| {
        let user = one.user.as_str()[5..].parse().unwrap();
        let ago = if wins { 1 } else { 200_000 };
        around.push(action(Timestamp(one.time.0 - ago), user, "add_to_cart"));
    };
    let evaluation = evaluate(lottery(timed));
    let [suspect] = &evaluation.suspects[..] else { panic!("{:?}", evaluation.suspects) };
    assert_eq!((suspect.kind, suspect.name.as_str()), (Kind::Did, "add_to_cart"));
}

/// No single name gives it away to others: each user always or never wins, and has a name.
#[test]
fn predictions_that_are_too_good_are_told() {
    let by_user = |one: &mut Opportunity, around: &mut Vec<Line>, _: bool| {
        let number: u32 = one.id.as_str()[1..].parse().unwrap();
        let user = number % 100;
        one.user = id(format!("user {user}"));
        one.context.push((id("crm"), one.user.clone()));
        around.retain(|line| !matches!(line, Line::Conversion(_)));
        if user.is_multiple_of(3) {
            let by = conversion(Timestamp(one.time.0 + 1_000), user);
            around.push(Line::Conversion(Conversion { id: Some(one.id.clone()), ..by }));
        }
    };
    let evaluation = evaluate(lottery(by_user));
    assert!(evaluation.is_too_good, "{:?}", evaluation.evaluated.quality);
    assert!(!evaluate(lottery(|_, _, _| {})).is_too_good);
}

/// A trait of each user's own explains that user's labels among themselves, but nobody else's.
#[test]
fn what_users_have_to_themselves_is_no_leak() {
    let lines = lottery(|one, _, _| {
        one.context.push((id("cookie"), one.user.clone()));
        one.context.push((id("request"), one.id.clone()));
    });
    assert_eq!(evaluate(lines).suspects, []);
}

#[test]
fn a_handful_of_positives_suspects_nobody() {
    let mut left = POSITIVES_MIN;
    let lines = lottery(|one, around, wins| {
        let counts = wins && left > 1;
        left -= u64::from(counts);
        around.retain(|line| counts || !matches!(line, Line::Conversion(_)));
        one.context.push((id("paid"), id(counts)));
    });
    assert_eq!(evaluate(lines).suspects, []);
}

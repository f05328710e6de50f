//! Are probabilities what they say, and intervals as sure as they say? On made-up streams, of which the truth is known.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect shall fail")]

use inkling::exposure::Arm;
use inkling::journey::{Discovery, Line};
use inkling::learn::calibration::Calibrator;
use inkling::market::stream::{Delays, Made, Micro, Stream};
use inkling::math;
use inkling::replay::Player;
use inkling::stats::decay::HalfLife;
use inkling::units::{Span, Timestamp};

const DAY_MS: u64 = 86_400_000;

/// An answer, and what is true.
struct Answer {
    day: u64,
    p: f64,
    interval: (f64, f64),
    arm: Arm,
    truth: f64,
    is_positive: bool,
}

/// Plays a stream, and keeps the answer to each opportunity. A third of the people are in the control arm.
fn answers(stream: Stream) -> Vec<Answer> {
    let made: Made = stream.make();
    let mut discovery = Discovery::default();
    made.lines.iter().for_each(|line| discovery.see(line).unwrap());
    let mut settings = discovery.settings(stream.window());
    settings.arms.control_share = 0.33;
    let bought: std::collections::HashSet<_> = made
        .lines
        .iter()
        .filter_map(|line| if let Line::Conversion(conversion) = line { conversion.id.clone() } else { None })
        .collect();
    let mut player = Player::new(settings, None).unwrap();
    let first = made.lines[0].time();
    let day = |at: Timestamp| at.since(first).0 / DAY_MS;
    let mut answers = Vec::new();
    for (number, line) in (1..).zip(made.lines) {
        if let Line::Opportunity(opportunity) = &line {
            let scored = player.ask(opportunity.clone()).unwrap().unwrap();
            let signal = &scored.signals[0];
            answers.push(Answer {
                day: day(opportunity.time),
                p: signal.p_conversion,
                interval: signal.interval,
                arm: signal.arm,
                truth: made.truth[&opportunity.id],
                is_positive: bought.contains(&opportunity.id),
            });
        }
        player.play(number, line).unwrap();
    }
    answers
}

/// Predicted ÷ observed of some days and an arm, and how many were observed.
fn ratio(answers: &[Answer], days: std::ops::Range<u64>, arm: Option<Arm>) -> (f64, f64) {
    let of = |answer: &&Answer| days.contains(&answer.day) && arm.is_none_or(|arm| answer.arm == arm);
    let (predicted, observed) = answers.iter().filter(of).fold((0.0, 0.0), |(predicted, observed), answer| {
        (predicted + answer.p, observed + f64::from(u8::from(answer.is_positive)))
    });
    (predicted / observed, observed)
}

#[test]
fn predicted_is_observed_before_and_after_a_shift_in_both_arms() {
    // Windows of 30 days, Criteo's delays; the log-odds of each step rise by a quarter on day 60.
    let stream = Stream {
        users: 70_000,
        days: 100,
        level: 2.7,
        delays: Delays::Long,
        shift: Some((60, 0.25)),
        ..Stream::default()
    };
    println!("seed {}", stream.seed);
    let answers = answers(stream);
    let positives = answers.iter().filter(|answer| answer.is_positive).count();
    println!("{positives} positives of {} opportunities", answers.len());
    for (from, to) in (0..100).step_by(5).map(|from| (from, from + 5)) {
        let (all, observed) = ratio(&answers, from..to, None);
        println!("days {from} to {to}: predicted ÷ observed {all:.3} of {observed}");
    }
    assert!(positives >= 20_000, "{positives} positives");
    for (what, days) in [("before the shift", 35..60), ("after it", 68..98)] {
        for arm in [None, Some(Arm::Control), Some(Arm::Treated)] {
            let (ratio, observed) = ratio(&answers, days.clone(), arm);
            println!("{what}, {arm:?}: {ratio:.3} of {observed}");
            assert!((0.95..=1.05).contains(&ratio), "{what}, {arm:?}: {ratio} of {observed}");
        }
    }
}

#[test]
fn intervals_hold_the_truth_about_as_often_as_they_say() {
    // Nothing is hidden, so that the truth follows from what the engine sees.
    let mut held = Vec::new();
    for seed in 1..=3 {
        for micro in [Micro::Telling, Micro::Idle] {
            let answers = answers(Stream { seed, users: 20_000, level: 0.5, hidden: 0.0, micro, ..Stream::default() });
            let late = &answers[answers.len() / 2..];
            let count =
                |of: &dyn Fn(&Answer) -> bool| late.iter().filter(|one| of(one)).count() as f64 / late.len() as f64;
            let holds = count(&|one| one.interval.0 <= one.truth && one.truth <= one.interval.1);
            let (above, below) = (count(&|one| one.truth > one.interval.1), count(&|one| one.truth < one.interval.0));
            let width = late.iter().map(|one| math::logit(one.interval.1) - math::logit(one.interval.0)).sum::<f64>();
            println!(
                "{seed}, {micro:?}: {holds:.3} hold the truth, {above:.3} end below it, {below:.3} begin above it, \
                 mean width in log-odds {:.2}",
                width / late.len() as f64
            );
            held.push(holds);
        }
    }
    // Wider than they need be where steps tell, and as narrow as they may be where nothing but rare places tells.
    assert!(held.iter().all(|holds| *holds >= 0.88), "{held:?}");
}

/// A tracker whose clock runs ahead: impressions, and their conversions, come before the tick that begins their cohort.
#[test]
fn a_sender_ahead_of_time_keeps_no_cohort_from_counting() {
    const HOUR_MS: u64 = 3_600_000;
    let window = Span::days(30);
    let shift = |ahead: u64| {
        let mut calibrator = Calibrator::new(window);
        // Twice as many conversions as predicted, each soon after its impression.
        for at in (0..2 * window.0).step_by(HOUR_MS as usize) {
            calibrator.advance(at, HalfLife::new(Span::days(14)));
            calibrator.show(at + ahead, -1.0, 1.0);
            let delay = calibrator.delay(at + ahead, at + ahead + 1);
            calibrator.convert(at + ahead, delay, 2.0 * math::sigmoid(-1.0), 1.0);
        }
        calibrator.curve().shift(-1.0)
    };
    assert!(shift(0) > 0.4, "{}", shift(0));
    // A cohort takes 22.5 hours.
    for hours in [1, 45] {
        let ahead = shift(hours * HOUR_MS);
        assert!((ahead - shift(0)).abs() < 0.05, "{ahead}, not {}", shift(0));
    }
}

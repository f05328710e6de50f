//! A made-up market as a page: what bids come to, when, and for whom.

use super::market::{Words, change_words};
use crate::market::compare::{Comparison, Contest, Row};
use crate::market::landscape::Landscape;
use crate::market::paired::Gain;
use crate::market::policy::Policy;
use crate::market::run::Tally;
use crate::market::scenario::Scenario;
use crate::market::tune::Audience;
use crate::math;
use crate::report::axis::{Axis, Tell};
use crate::report::chart::{Bars, Chart, Lines, Range, Ranges, STYLES, Series};
use crate::report::page::{Page, Part};
use crate::report::table::percent;
use crate::stats::normal;
use crate::units::Micros;

/// Budgets at which conversions are shown, as multiples of the scenario's.
const BUDGETS: [f64; 4] = [0.25, 0.5, 1.0, 2.0];
/// Markets of each budget, at most.
const CURVE_SEEDS: u32 = 5;
/// Points of a reliability diagram, about.
const POINTS: u64 = 12;
/// Normal scores of the prices that the landscape shows.
const SCORES: std::ops::RangeInclusive<i32> = -10..=10;

/// What one policy spends and gets, by budget.
pub struct Curve {
    policy: Policy,
    points: Vec<(f64, f64)>,
}

/// Policies whose lines are drawn; the others are in the table.
fn is_drawn(policy: Policy) -> bool {
    use Policy::{Filtering, Flat, Inkling, LinearPaced, Oracle};
    matches!(policy, Flat | LinearPaced | Inkling(_) | Filtering | Oracle)
}

/// How many markets the curves take, beside the contest's own.
pub fn curve_runs(contest: &Contest<'_>) -> usize {
    BUDGETS.len() * contest.seeds.min(CURVE_SEEDS) as usize
}

/// Plays the policies that are drawn at several budgets.
pub fn curves(contest: &Contest<'_>, progress: &(dyn Fn() + Sync)) -> Vec<Curve> {
    let policies: Vec<Policy> = contest.policies.iter().copied().filter(|policy| is_drawn(*policy)).collect();
    let mut curves: Vec<Curve> = Vec::new();
    for times in BUDGETS {
        let mut scenario = contest.scenario.clone();
        for campaign in &mut scenario.campaigns {
            let budget = campaign.budget_per_day.units() * times;
            campaign.budget_per_day = Micros::from_units(budget).unwrap_or(campaign.budget_per_day);
        }
        let seeds = contest.seeds.min(CURVE_SEEDS);
        let contest = Contest { scenario: &scenario, seeds, policies: policies.clone(), ..contest.clone() };
        let played = contest.play(&|_, _| ());
        (0..seeds).for_each(|_| progress());
        for row in played.rows.iter().filter(|row| is_drawn(row.policy)) {
            let point = (row.mean.spend, row.mean.expected);
            match curves.iter_mut().find(|curve| curve.policy == row.policy) {
                Some(curve) => curve.points.push(point),
                None => curves.push(Curve { policy: row.policy, points: vec![point] }),
            }
        }
    }
    curves
}

/// The page.
pub fn page(words: &Words<'_>, landscape: Option<&Landscape>, curves: &[Curve]) -> String {
    let (scenario, comparison) = (words.scenario, words.comparison);
    let question = if scenario.question.is_empty() { "A made-up market" } else { &scenario.question };
    let mut page = Page::new(question);
    page.say(words.seeds());
    page.say(words.counts());
    page.say(
        "Expected conversions are sums of the true probabilities of what was bought. All policies are paced towards \
         the same budget. Intervals are 95 %, from the spread over markets.",
    );
    page.add(Part::new("Policies").table(words.table()));
    let gains = gains(comparison);
    if !gains.rows.is_empty() {
        page.add(
            Part::new("More expected conversions than the base bid, at the same spend")
                .say("An interval that holds 0 names no winner.")
                .chart(Chart::Ranges(gains)),
        );
    }
    let curve =
        |curve: &Curve| Series { name: curve.policy.name().to_owned(), points: curve.points.clone(), has_dots: true };
    page.add(
        Part::new("Conversions by spend")
            .say(format!(
                "Budgets of {} times the scenario's; each point is the mean of {} markets.",
                BUDGETS.map(|times| times.to_string()).join(", "),
                comparison.seeds.min(CURVE_SEEDS)
            ))
            .chart(Chart::Lines(Lines {
                x: Axis::new("spend of a market, in the currency", Tell::Digits(2)),
                y: Axis::new("expected conversions", Tell::Digits(1)),
                series: curves.iter().take(STYLES).map(curve).collect(),
                marks: Vec::new(),
                has_diagonal: false,
            })),
    );
    for part in over_time(words) {
        page.add(part);
    }
    reliability(comparison).into_iter().for_each(|part| page.add(part));
    funnel(comparison).into_iter().for_each(|part| page.add(part));
    if !scenario.segments.is_empty() {
        let names: Vec<String> = scenario.segments.iter().map(|segment| segment.id.to_string()).collect();
        page.add(segments(&names, &comparison.audiences));
    }
    page.add(win_rates(scenario, landscape));
    page.html()
}

fn gains(comparison: &Comparison) -> Ranges {
    let row = |row: &Row| {
        let gain = row.expected_gain?;
        let name = format!("{}, against {}", row.policy.name(), row.policy.base().name());
        Some(Range { name, mean: gain.mean, interval: Some((gain.low, gain.high)) })
    };
    let rows = comparison.rows.iter().filter_map(row).collect();
    Ranges { axis: Axis::new("share of the base bid's expected conversions", Tell::Percent), against: 0.0, rows }
}

/// Days as the scenario counts them.
pub const DAY: &str = "day, from 0";

/// When counting begins, and what changes on schedule; days count from 1.
pub fn marks(scenario: &Scenario) -> Vec<(f64, String)> {
    let first = f64::from(scenario.warm_up_days);
    let warm_up = (scenario.warm_up_days > 0).then(|| (first, "counting begins".to_owned()));
    let changes = scenario.changes.iter().map(|change| (f64::from(change.day), change_words(change)));
    warm_up.into_iter().chain(changes).collect()
}

/// Regret that adds up, and expected conversions by day.
fn over_time(words: &Words<'_>) -> [Part; 2] {
    let (scenario, comparison) = (words.scenario, words.comparison);
    let seeds = f64::from(comparison.seeds);
    let per_day = |row: &Row| -> Vec<f64> {
        row.days.iter().take(scenario.days as usize).map(|day| day.expected / seeds).collect()
    };
    let oracle = comparison.rows.iter().find(|row| row.policy == Policy::Filtering).map(per_day).unwrap_or_default();
    let drawn =
        || comparison.rows.iter().filter(|row| is_drawn(row.policy) && row.policy != Policy::Oracle).take(STYLES);
    let series = |row: &Row, of: &dyn Fn(usize, f64) -> f64| {
        let days = per_day(row);
        let points = days.iter().enumerate().map(|(day, number)| (day as f64, of(day, *number))).collect();
        Series { name: row.policy.name().to_owned(), points, has_dots: false }
    };
    let regrets = drawn().filter(|row| row.policy != Policy::Filtering).map(|row| {
        let sum = std::cell::Cell::new(0.0);
        series(row, &|day, number| {
            sum.set(sum.get() + oracle[day] - number);
            sum.get()
        })
    });
    let marks = marks(scenario);
    let lines = |label: &str, series: Vec<Series>| {
        Chart::Lines(Lines {
            x: Axis::new(DAY, Tell::Count),
            y: Axis::new(label, Tell::Digits(2)),
            series,
            marks: marks.clone(),
            has_diagonal: false,
        })
    };
    [
        Part::new("Regret that adds up")
            .say(
                "Expected conversions short of the filtering oracle's, which knows the rules of the market and sees \
                 what can be seen.",
            )
            .chart(lines("expected conversions lost so far, a market", regrets.collect())),
        Part::new("Day by day").say("Changes on schedule are marked.").chart(lines(
            "expected conversions a day and market",
            drawn().map(|row| series(row, &|_, number| number)).collect(),
        )),
    ]
}

fn reliability(comparison: &Comparison) -> Option<Part> {
    let told = comparison.rows.iter().filter(|row| matches!(row.policy, Policy::Inkling(_)));
    let series: Vec<Series> = told
        .map(|row| Series { name: row.policy.name().to_owned(), points: reliable(&row.told), has_dots: true })
        .collect();
    reliability_part(series)
}

/// Probabilities told against true ones; `None` where none were told.
pub fn reliability_part(series: Vec<Series>) -> Option<Part> {
    let axis = |label: &str| Axis::new(label, Tell::Digits(6)).log();
    let is_any = series.iter().any(|series| !series.points.is_empty());
    let chart = Chart::Lines(Lines {
        x: axis("probability told, in the mean (logarithmic)"),
        y: axis("true probability, in the mean (logarithmic)"),
        series,
        marks: Vec::new(),
        has_diagonal: true,
    });
    let part = Part::new("Reliability")
        .say("Of the ads that were shown, by the probability told for them. On the dashed line it is right.");
    is_any.then(|| part.chart(chart))
}

/// Neighbouring bands together, until each point stands for enough ads.
pub fn reliable(bands: &[Tally]) -> Vec<(f64, f64)> {
    let least = (bands.iter().map(|band| band.wins).sum::<u64>() / POINTS).max(1);
    let (mut points, mut sum) = (Vec::new(), Tally::default());
    for band in bands.iter().rev() {
        sum.add(band);
        if sum.wins >= least {
            points.push((sum.told / sum.wins as f64, sum.expected / sum.wins as f64));
            sum = Tally::default();
        }
    }
    points
}

fn funnel(comparison: &Comparison) -> Option<Part> {
    let inkling = comparison.rows.iter().find(|row| matches!(row.policy, Policy::Inkling(_)))?;
    let base = comparison.rows.iter().find(|row| row.policy == inkling.policy.base())?;
    let of = |row: &Row| {
        let mean = &row.mean;
        (row.policy.name().to_owned(), [mean.auctions, mean.wins, mean.clicks, mean.conversions])
    };
    Some(funnel_part(&[of(base), of(inkling)]))
}

/// Of several policies: what was asked, won, clicked, and led to a purchase.
pub fn funnel_part(policies: &[(String, [f64; 4])]) -> Part {
    const STEPS: [&str; 4] = ["asked", "won", "clicked", "purchases"];
    let mut rows = Vec::new();
    for (name, numbers) in policies {
        for (place, (step, number)) in STEPS.into_iter().zip(numbers).enumerate() {
            let remark = match place {
                0 => String::new(),
                _ => format!("{} of the step before", percent(number / numbers[place - 1])),
            };
            rows.push((format!("{name}, {step}"), *number, remark));
        }
    }
    let axis = Axis::new("a market, in the mean (logarithmic)", Tell::Count).log();
    Part::new("From bid request to purchase").chart(Chart::Bars(Bars { axis, rows }))
}

/// What segments are worth, by a fit over what a flat bid is shown.
pub fn segments(names: &[String], audiences: &[Audience]) -> Part {
    let row = |(name, audience): (&String, &Audience)| {
        let (mean, low, high) = audience.weight?;
        Some(Range { name: name.clone(), mean, interval: Some((low, high)) })
    };
    let rows = names.iter().zip(audiences).filter_map(row).collect();
    let axis = Axis::new("weight at which a bid is in proportion (logarithmic)", Tell::Digits(3)).log();
    Part::new("What segments are worth beside others")
        .say(
            "Of what a flat bid is shown. An interval that holds 1 says that the segment cannot be told from \
             everybody. A learner that sees segments needs no weights.",
        )
        .chart(Chart::Ranges(Ranges { axis, against: 1.0, rows }))
}

/// What policies gain over a base, of recorded markets.
pub fn gain_part<'g>(heading: &str, gains: impl Iterator<Item = (&'g str, &'g Gain)>) -> Option<Part> {
    let row = |(name, gain): (&str, &Gain)| {
        gain.share.is_finite().then(|| Range { name: name.to_owned(), mean: gain.share, interval: gain.share_interval })
    };
    let rows: Vec<Range> = gains.filter_map(row).collect();
    let axis = Axis::new("share of the base's", Tell::Percent);
    let is_any = !rows.is_empty();
    let part = Part::new(heading).say("95 % intervals; one that holds 0 names no winner.");
    is_any.then(|| part.chart(Chart::Ranges(Ranges { axis, against: 0.0, rows })))
}

/// The share of some auctions that a bid wins.
pub fn won_by_bid(unit: &str, points: Vec<(f64, f64)>) -> Part {
    Part::new("What a bid wins").chart(Chart::Lines(Lines {
        x: Axis::new(unit, Tell::Count),
        y: Axis::new("share of the auctions", Tell::Percent),
        series: vec![Series { name: "all auctions".to_owned(), points, has_dots: false }],
        marks: Vec::new(),
        has_diagonal: false,
    }))
}

/// The share of the auctions that a bid wins, before anything changes.
pub fn win_rates(scenario: &Scenario, landscape: Option<&Landscape>) -> Part {
    let cpm = |micros: f64| micros / 1e6;
    let floor = scenario.prices.floor_cpm.0 as f64;
    let point = |number: i32| {
        let score = f64::from(number) * 0.3;
        match landscape {
            Some(landscape) => {
                let price = landscape.quantile(normal::cumulative(score));
                (cpm((landscape.per_mille(price).0 as f64).max(floor)), landscape.win_rate(price))
            }
            None => {
                let price = scenario.prices.median_cpm.0 as f64 * math::exp(scenario.prices.spread * score);
                (cpm(price.max(floor)), normal::cumulative(score))
            }
        }
    };
    let mut points: Vec<(f64, f64)> = Vec::new();
    for point in SCORES.map(point) {
        match points.last_mut().filter(|last| last.0 == point.0) {
            Some(last) => *last = point,
            None => points.push(point),
        }
    }
    Part::new("What a bid wins").chart(Chart::Lines(Lines {
        x: Axis::new("bid per mille, in the currency (logarithmic)", Tell::Digits(4)).log(),
        y: Axis::new("share of the auctions", Tell::Percent),
        series: vec![Series { name: "all auctions".to_owned(), points, has_dots: false }],
        marks: Vec::new(),
        has_diagonal: false,
    }))
}

//! What tuning found, as a page.

use super::changes::{self, Change};
use super::show::{self, Judged, Searched, Segment};
use crate::cli::simulate::page::{DAY, funnel_part, marks, reliability_part, reliable, win_rates};
use crate::market::landscape::Landscape;
use crate::market::run::{Outcome, TOLD_BANDS, Tally};
use crate::market::scenario::Scenario;
use crate::report::axis::{Axis, Tell};
use crate::report::chart::{Chart, Lines, Range, Ranges, Series};
use crate::report::page::{Page, Part};
use crate::report::table::{Align, Table};

/// What is the same for markets and logs.
pub fn page(title: &str, lead: &[String], of: &Searched<'_>, judged: Option<&Judged>, last: &str) -> Page {
    let mut page = Page::new(title);
    lead.iter().for_each(|words| page.say(words.as_str()));
    page.say(last.trim());
    if !of.changed.is_empty() {
        let mut table = Table::new(&[("setting", Align::Left), ("before", Align::Right), ("found", Align::Right)]);
        for Change { name, knob, before, after, .. } in of.changed {
            table.row([name.clone(), changes::number(*knob, *before), changes::number(*knob, *after)]);
        }
        page.add(Part::new("What was found").table(table));
    }
    if let Some(verdict) = judged.map(|judged| &judged.verdict) {
        let row = |name: &str, estimate: Option<crate::market::compare::Estimate>| {
            estimate.map(|of| Range { name: name.to_owned(), mean: of.mean, interval: Some((of.low, of.high)) })
        };
        let rows = [row("to be expected", verdict.gain), row("counted as they came", verdict.came)];
        let axis = Axis::new("gain at the same spend, as a share", Tell::Percent);
        page.add(
            Part::new("What it gains, where nothing was chosen")
                .say("95 % intervals. Where the first holds 0, nothing is promised.")
                .chart(Chart::Ranges(Ranges { axis, against: 0.0, rows: rows.into_iter().flatten().collect() })),
        );
    }
    let steps = &of.found.steps;
    if !steps.is_empty() {
        let mut gain = 1.0;
        let point = |step: &crate::market::tune::Step| {
            gain *= 1.0 + step.better.share;
            (step.plays as f64, gain - 1.0)
        };
        let points: Vec<(f64, f64)> = [(0.0, 0.0)].into_iter().chain(steps.iter().map(point)).collect();
        let series = vec![Series { name: "best so far".to_owned(), points, has_dots: true }];
        page.add(
            Part::new("The search")
                .say("On the worlds it was chosen on: the best of many looks better than it is.")
                .chart(Chart::Lines(Lines {
                    x: Axis::new("plays", Tell::Count),
                    y: Axis::new("gain over the settings it began with", Tell::Percent),
                    series,
                    marks: Vec::new(),
                    has_diagonal: false,
                })),
        );
    }
    page
}

/// The weights of segments with their intervals.
pub fn weights(rows: &[Segment]) -> Option<Part> {
    let row = |segment: &Segment| {
        let (mean, low, high) = segment.estimate?;
        let tell = |weight: Option<f64>| weight.map_or("none".to_owned(), |weight| weight.to_string());
        let name = format!("{}: weight {}, tuned {}", segment.name, tell(segment.before), tell(segment.after));
        Some(Range { name, mean, interval: Some((low, high)) })
    };
    let rows: Vec<Range> = rows.iter().filter_map(row).collect();
    let axis = Axis::new("weight at which a bid is in proportion (logarithmic)", Tell::Digits(3)).log();
    let part = Part::new("What segments are worth beside others")
        .say("An interval that holds 1 says that it cannot be told from everybody.");
    (!rows.is_empty()).then(|| part.chart(Chart::Ranges(Ranges { axis, against: 1.0, rows })))
}

/// Both settings in the markets that they were judged in.
pub fn markets(page: &mut Page, scenario: &Scenario, landscape: Option<&Landscape>, outcomes: &[Vec<Outcome>; 2]) {
    let names = ["before", "found"];
    let each = || names.iter().zip(outcomes).filter(|(_, of)| !of.is_empty());
    let by_day = |of: &[Outcome], day: usize| {
        of.iter().map(|outcome| outcome.days.get(day).map_or(0.0, |tally| tally.expected)).sum::<f64>()
            / of.len() as f64
    };
    let days = 0..scenario.days as usize;
    let series = |of: &dyn Fn(usize, f64) -> f64| -> Vec<Series> {
        each()
            .enumerate()
            .map(|(which, (name, outcomes))| {
                let points = days.clone().map(|day| (day as f64, of(which, by_day(outcomes, day)))).collect();
                Series { name: (*name).to_owned(), points, has_dots: false }
            })
            .collect()
    };
    let lines = |label: &str, series| {
        let (x, y) = (Axis::new(DAY, Tell::Count), Axis::new(label, Tell::Digits(2)));
        Chart::Lines(Lines { x, y, series, marks: marks(scenario), has_diagonal: false })
    };
    page.add(
        Part::new("Day by day").chart(lines("expected conversions a day and market", series(&|_, number| number))),
    );
    let mut more = 0.0;
    let points = days.clone().map(|day| {
        more += by_day(&outcomes[1], day) - by_day(&outcomes[0], day);
        (day as f64, more)
    });
    let series = vec![Series { name: "found, less before".to_owned(), points: points.collect(), has_dots: false }];
    page.add(Part::new("What adds up").chart(lines("more expected conversions so far, a market", series)));
    let told = |of: &[Outcome]| {
        let mut bands = vec![Tally::default(); TOLD_BANDS];
        of.iter().for_each(|outcome| bands.iter_mut().zip(&outcome.told).for_each(|(band, other)| band.add(other)));
        reliable(&bands)
    };
    let series = each().map(|(name, of)| Series { name: (*name).to_owned(), points: told(of), has_dots: true });
    reliability_part(series.collect()).into_iter().for_each(|part| page.add(part));
    let mean = |of: &[Outcome], number: &dyn Fn(&Tally) -> u64| {
        of.iter().map(|outcome| number(&outcome.all) as f64).sum::<f64>() / of.len() as f64
    };
    let funnel = each().map(|(name, of)| {
        let numbers = [
            mean(of, &|all| all.auctions),
            mean(of, &|all| all.wins),
            mean(of, &|all| all.clicks),
            mean(of, &|all| all.conversions),
        ];
        ((*name).to_owned(), numbers)
    });
    page.add(funnel_part(&funnel.collect::<Vec<_>>()));
    page.add(win_rates(scenario, landscape));
}

/// What was written, if anything was.
pub fn written(page: &mut Page, texts: Option<(&str, &str)>) {
    if let Some((old, new)) = texts {
        page.add(Part::new("What changed in the configuration").lines(show::diff(old, new)));
    }
}

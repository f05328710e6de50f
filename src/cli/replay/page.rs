//! What a replay says, as a page.

use super::show::{self, FIGURES};
use super::warnings::warnings;
use super::{Replay, Told};
use crate::replay::{Part as Figures, Slice};
use crate::report::axis::{Axis, Tell};
use crate::report::chart::{Bars, Chart, Lines, Range, Ranges, Series};
use crate::report::page::{Page, Part};
use crate::report::table::percent;

/// Slices of a kind that are drawn, the first ones; all are in the terminal's tables.
const SLICES_DRAWN: usize = 12;
/// Places of log loss and of predicted ÷ observed among the figures.
const LOG_LOSS: usize = 0;
const CALIBRATION: usize = 5;

/// One replay.
pub fn page(of: &Replay, told: &Told) -> String {
    let evaluation = &told.evaluation;
    let logs: Vec<String> = of.logs.iter().map(|log| log.display().to_string()).collect();
    let mut page = Page::new(format!("Replay of {}", logs.join(", ")));
    // How fast it went is no part of it: the same log gives the same page.
    page.say(show::counts(told));
    page.say(show::joins(told));
    page.say(format!(
        "Evaluated from {} on; intervals are 95 %, by {} resamples of the users, seed {}.",
        super::moment(evaluation.from),
        of.resamples,
        of.seed
    ));
    warnings(told).lines().filter(|line| !line.is_empty()).for_each(|line| page.say(line));
    if evaluation.evaluated.quality.opportunities == 0.0 {
        return page.html();
    }
    page.add(Part::new("Quality").table(show::figures_table(told)));
    let bands = evaluation.reliability.iter();
    let points: Vec<(f64, f64)> =
        bands.map(|band| (band.predicted, band.positives as f64 / band.opportunities as f64)).collect();
    page.add(
        Part::new("Reliability")
            .say(
                "Opportunities of the evaluated part in bands of equal size. On the dashed line what was predicted \
                 came.",
            )
            .chart(Chart::Lines(Lines {
                x: Axis::new("predicted, in the mean", Tell::Digits(5)),
                y: Axis::new("observed", Tell::Digits(5)),
                series: vec![Series { name: "bands".to_owned(), points, has_dots: true }],
                marks: Vec::new(),
                has_diagonal: true,
            })),
    );
    days(told).into_iter().for_each(|part| page.add(part));
    page.add(funnel(told));
    let goals: Vec<Slice> = evaluation.goals.iter().map(|goal| goal.slice.clone()).collect();
    for (heading, slices) in [("Goals", &goals), ("Segments", &evaluation.segments), ("Context", &evaluation.contexts)]
    {
        slices_part(heading, slices).into_iter().for_each(|part| page.add(part));
    }
    page.html()
}

fn days(told: &Told) -> Option<Part> {
    let days = &told.evaluation.days;
    let first = days.first()?.0;
    let series = |name: &str, of: &dyn Fn(&Figures) -> f64| {
        let day = |at: crate::units::Timestamp| (at.0 - first.0) as f64 / 86_400_000.0 + 1.0;
        let points = days.iter().map(|(at, part)| (day(*at), of(part))).collect();
        Series { name: name.to_owned(), points, has_dots: days.len() < 32 }
    };
    let observed = |part: &Figures| part.quality.positives / part.quality.opportunities;
    let lines = Lines {
        x: Axis::new(&format!("day, from {} on (UTC)", super::moment(first)), Tell::Count),
        y: Axis::new("share of the opportunities that convert", Tell::Percent),
        series: vec![
            series("observed", &observed),
            series("predicted", &|part| part.quality.calibration * observed(part)),
        ],
        marks: Vec::new(),
        has_diagonal: false,
    };
    (days.len() > 1).then(|| Part::new("Day by day").chart(Chart::Lines(lines)))
}

fn funnel(told: &Told) -> Part {
    let lines = &told.played.lines;
    let shown = told.evaluation.all.quality.opportunities;
    let positives = told.evaluation.all.quality.positives;
    let rows = vec![
        ("actions".to_owned(), lines.actions as f64, String::new()),
        ("opportunities".to_owned(), lines.opportunities as f64, String::new()),
        ("impressions that were judged".to_owned(), shown, String::new()),
        ("that convert".to_owned(), positives, format!("{} of these", percent(positives / shown))),
    ];
    let axis = Axis::new("in the log (logarithmic)", Tell::Count).log();
    Part::new("From act to conversion").chart(Chart::Bars(Bars { axis, rows }))
}

fn slices_part(heading: &str, slices: &[Slice]) -> Option<Part> {
    let row = |slice: &Slice| {
        let mean = slice.part.quality.calibration;
        let name = format!("{} {}", slice.name, slice.value).trim().to_owned();
        let loss = slice.part.quality.figures()[LOG_LOSS].1;
        let name = format!("{name}: {} {loss:.4}", FIGURES[LOG_LOSS]);
        (mean.is_finite() && mean > 0.0).then_some(Range { name, mean, interval: slice.part.intervals[CALIBRATION] })
    };
    let rows: Vec<Range> = slices.iter().take(SLICES_DRAWN).filter_map(row).collect();
    let axis = Axis::new("predicted ÷ observed (logarithmic)", Tell::Digits(3)).log();
    let part = Part::new(heading).say("On the dashed line as many conversions were predicted as came. 95 % intervals.");
    (!rows.is_empty()).then(|| part.chart(Chart::Ranges(Ranges { axis, against: 1.0, rows })))
}

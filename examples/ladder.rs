//! How soon can a campaign rank its users? Log loss and AUC after so many conversions, with micro conversions and
//! without.
//!
//! ```sh
//! cargo run --release --example ladder                          # made-up streams
//! cargo run --release --example ladder -- LOG --window 24h      # a log of one's own
//! ```
//!
//! Of each log, people drawn at random are learned from until they have brought so many conversions; then the same
//! engine is asked about the opportunities of others, the same ones after any number, none of which is shown, so that
//! nothing more is learned of the goal. Three ways: *without micro conversions* (the log holds no actions), *as
//! features* (the goal names no milestones, so that there is no ladder), *with the ladder*. The people are the same for
//! all three, so that differences are paired; intervals are 1.96 standard errors over the draws. `--svg FILE` draws the
//! curve.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use inkling::hash;
use inkling::ids::Id;
use inkling::journey::{Discovery, JourneyReader, Line};
use inkling::market::stream::{Micro, Stream};
use inkling::math;
use inkling::replay::Player;
use inkling::settings::Settings;
use inkling::stats::quality::{Judged, Quality, Ranking};
use inkling::units::{Span, Timestamp};

const DAY_MS: u64 = 86_400_000;
/// Conversions after which is asked.
const SEEN: [usize; 7] = [10, 20, 25, 50, 100, 200, 400];
/// People of a made-up stream: some 750 purchases.
const PEOPLE: u32 = 30_000;
/// Opportunities that are asked about, at most.
const ASKED_MAX: usize = 30_000;

/// Compares what is learned from few conversions, with micro conversions and without.
#[derive(Debug, Parser)]
struct Arguments {
    /// A journey log (NDJSON, plain, gzip or zstd); without one, streams are made up
    #[arg(requires = "window")]
    log: Option<PathBuf>,
    /// How long after an impression a conversion counts
    #[arg(long, value_name = "SPAN", value_parser = Span::parse, requires = "log")]
    window: Option<Span>,
    /// Draws of people, with seeds from 1 on
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(2..=1_000))]
    draws: u64,
    /// Draw the log losses into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// What the engine learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Without,
    Features,
    Ladder,
}

const WAYS: [(Way, &str); 3] = [
    (Way::Without, "without micro conversions"),
    (Way::Features, "micro conversions as features"),
    (Way::Ladder, "with the ladder"),
];

/// A log with what came of its opportunities, by the number of their line.
struct Log {
    lines: Vec<Line>,
    /// The person of each line, by number; a notice of an impression names none.
    of_line: Vec<Option<usize>>,
    people: Vec<Id>,
    /// Conversions that each person brings.
    brings: Vec<usize>,
    settings: Settings,
    positive: HashMap<u64, bool>,
}

/// Figures of one way after so many conversions, one for each draw.
struct Point {
    seen: usize,
    figures: [Vec<Quality>; 3],
}

fn user_of(line: &Line) -> Option<&Id> {
    match line {
        Line::Action(action) => Some(&action.user),
        Line::Opportunity(opportunity) => Some(&opportunity.user),
        Line::Conversion(conversion) => Some(&conversion.user),
        Line::Impression(_) => None,
    }
}

fn move_by(line: &mut Line, ms: u64) {
    let time = match line {
        Line::Action(action) => &mut action.time,
        Line::Opportunity(opportunity) => &mut opportunity.time,
        Line::Impression(impression) => &mut impression.time,
        Line::Conversion(conversion) => &mut conversion.time,
    };
    *time = Timestamp(time.0 + ms);
}

impl Log {
    /// Takes lines, and finds out by a replay what came of each opportunity.
    fn new(lines: Vec<Line>, window: Span) -> Result<Log> {
        let mut discovery = Discovery::default();
        lines.iter().try_for_each(|line| discovery.see(line))?;
        let settings = discovery.settings(window);
        let mut player = Player::new(settings.clone(), None)?;
        for (number, line) in (0..).zip(&lines) {
            player.play(number, line.clone())?;
        }
        let played = player.finish();
        let label = |one: &inkling::replay::Prediction| Some((one.line, one.outcome.label()?));
        let positive = played.predictions.iter().filter_map(label).collect();
        let (mut numbers, mut people, mut brings) = (HashMap::new(), Vec::new(), Vec::new());
        let mut number_of = |line: &Line| {
            let user = user_of(line)?;
            let number = *numbers.entry(user.clone()).or_insert(people.len());
            if number == people.len() {
                people.push(user.clone());
                brings.push(0);
            }
            brings[number] += usize::from(matches!(line, Line::Conversion(_)));
            Some(number)
        };
        let of_line = lines.iter().map(&mut number_of).collect();
        Ok(Log { lines, of_line, people, brings, settings, positive })
    }

    /// People in a drawn order, until they have brought so many conversions: for each person, whether drawn.
    fn draw(&self, seen: usize, seed: u64) -> Option<Vec<bool>> {
        if self.brings.iter().sum::<usize>() * 2 < seen * 3 {
            // Too few people are left to be asked about.
            return None;
        }
        let mut order: Vec<usize> = (0..self.people.len()).collect();
        order.sort_by_cached_key(|person| {
            let name = &self.people[*person];
            (hash::mix(hash::text(name.as_str()), seed), name)
        });
        let mut drawn = vec![false; self.people.len()];
        let mut brought = 0;
        for person in order {
            if brought >= seen {
                break;
            }
            drawn[person] = true;
            brought += self.brings[person];
        }
        Some(drawn)
    }

    /// Learns from some people, and is asked about others: all but those spared.
    fn ask(&self, learned: &[bool], spared: &[bool], way: Way) -> Result<Quality> {
        let mut settings = self.settings.clone();
        if way == Way::Features {
            settings.advertisers.iter_mut().flat_map(|one| &mut one.goals).for_each(|goal| goal.milestones.clear());
        }
        let mut player = Player::new(settings, None)?;
        let is_used = |line: &Line| way != Way::Without || !matches!(line, Line::Action(_));
        let mut shown = HashSet::new();
        let used = || (0..).zip(&self.lines).zip(&self.of_line).filter(|((_, line), _)| is_used(line));
        for ((number, line), person) in used() {
            let is_theirs = match line {
                Line::Impression(impression) => shown.contains(&impression.id),
                _ => person.is_some_and(|person| learned[person]),
            };
            if is_theirs {
                if let Line::Opportunity(opportunity) = line {
                    shown.insert(opportunity.id.clone());
                }
                player.play(number, line.clone())?;
            }
        }
        // Whole days later, so that hours of the day stay, and all windows of those learned from have closed.
        let (first, last) = (self.lines[0].time().0, self.lines[self.lines.len() - 1].time().0);
        let window = self.settings.advertisers.iter().flat_map(|one| &one.goals).map(|goal| goal.window().0).max();
        let later = ((last - first + window.unwrap_or(0)) / DAY_MS + 1) * DAY_MS;
        let mut asked = 0;
        for ((number, line), person) in used() {
            if person.is_some_and(|person| !spared[person]) && asked < ASKED_MAX {
                asked += usize::from(matches!(line, Line::Opportunity(_)));
                let mut line = line.clone();
                move_by(&mut line, later);
                player.play(number, line)?;
            }
        }
        let played = player.finish();
        let asked = played.predictions.iter().filter(|one| one.time.0 >= first + later);
        let judged = |one: &inkling::replay::Prediction| {
            let positive = *self.positive.get(&one.line)?;
            Some(Judged { p: one.p, positive, user: one.user })
        };
        Ok(Ranking::new(asked.filter_map(judged)).quality())
    }

    fn point(&self, seen: usize, seed: u64) -> Result<Option<[Quality; 3]>> {
        let Some(learned) = self.draw(seen, seed) else { return Ok(None) };
        // Draws grow from one to the next: who is in the largest is asked in none.
        let spared = SEEN.iter().rev().find_map(|seen| self.draw(*seen, seed)).expect("there is this one at least");
        let [without, features, ladder] = WAYS.map(|(way, _)| self.ask(&learned, &spared, way));
        Ok(Some([without?, features?, ladder?]))
    }
}

/// Mean, and 1.96 standard errors of it.
fn mean(numbers: &[f64]) -> (f64, f64) {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let variance = numbers.iter().map(|number| (number - mean) * (number - mean)).sum::<f64>() / (count - 1.0);
    (mean, 1.96 * (variance / count).sqrt())
}

impl Point {
    fn of(&self, way: usize, figure: fn(&Quality) -> f64) -> (f64, f64) {
        mean(&self.figures[way].iter().map(figure).collect::<Vec<_>>())
    }

    /// A way's figure less that of micro conversions as features.
    fn less_features(&self, way: usize, figure: fn(&Quality) -> f64) -> (f64, f64) {
        let pairs = self.figures[way].iter().zip(&self.figures[1]);
        mean(&pairs.map(|(one, other)| figure(one) - figure(other)).collect::<Vec<_>>())
    }
}

fn table(title: &str, points: &[Point]) {
    println!("\n**{title}**\n");
    println!("| conversions seen | way | log loss | less as features, × 10⁴ | AUC | predicted ÷ observed |");
    println!("|---|---|---|---|---|---|");
    for point in points {
        for (number, (way, name)) in WAYS.iter().enumerate() {
            let (loss, _) = point.of(number, |quality| quality.log_loss);
            let (auc, width) = point.of(number, |quality| quality.auc);
            let (calibration, spread) = point.of(number, |quality| quality.calibration);
            let (less, sure) = point.less_features(number, |quality| quality.log_loss * 1e4);
            let less = if *way == Way::Features { "–".to_owned() } else { format!("{less:+.1} ± {sure:.1}") };
            let seen = point.seen;
            println!(
                "| {seen} | {name} | {loss:.5} | {less} | {auc:.3} ± {width:.3} | {calibration:.2} ± {spread:.2} |"
            );
        }
    }
}

const COLOURS: [&str; 3] = ["#888888", "#2f7fd6", "#d6602f"];
const WIDTH: f64 = 300.0;
const HEIGHT: f64 = 200.0;
const MARGIN: f64 = 50.0;

/// The log losses as curves over the conversions seen, readable on light and dark paper.
fn draw(panels: &[(String, Vec<Point>)]) -> String {
    let total = (WIDTH + MARGIN) * panels.len() as f64 + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {total} {}\" role=\"img\" font-family=\"sans-serif\" \
         font-size=\"11\" fill=\"#808080\">\n<title>Log loss after so many conversions, three ways of learning\
         </title>\n",
        HEIGHT + 110.0
    );
    for (place, (title, points)) in panels.iter().enumerate() {
        draw_panel(&mut svg, MARGIN + (WIDTH + MARGIN) * place as f64, title, points);
    }
    for (way, colour) in COLOURS.iter().enumerate() {
        let left = MARGIN + 220.0 * way as f64;
        let (line, words) = (HEIGHT + 80.0, WAYS[way].1);
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {line}h24\" stroke=\"{colour}\" stroke-width=\"2\"/>\
             <text x=\"{}\" y=\"{}\">{words}</text>",
            left + 30.0,
            line + 4.0
        );
    }
    let below = HEIGHT + 102.0;
    let words = "Across: conversions seen. Bars: 1.96 standard errors of the difference to features.";
    let _ = writeln!(svg, "<text x=\"{MARGIN}\" y=\"{below}\">{words}</text>");
    svg + "</svg>\n"
}

fn draw_panel(svg: &mut String, left: f64, title: &str, points: &[Point]) {
    // Draws differ among themselves far more than the ways do, so the bars are of the differences.
    let loss_of = |point: &Point, way| {
        let figure = |quality: &Quality| quality.log_loss;
        (point.of(way, figure).0, point.less_features(way, figure).1)
    };
    let ends = points.iter().flat_map(|point| (0..3).map(|way| loss_of(point, way)));
    let (low, high) =
        ends.fold((f64::MAX, f64::MIN), |(low, high), (loss, sure)| (low.min(loss - sure), high.max(loss + sure)));
    let (first, last) = (points[0].seen as f64, points[points.len() - 1].seen as f64);
    let x = |seen: usize| left + WIDTH * math::ln(seen as f64 / first) / math::ln(last / first);
    let y = |loss: f64| 30.0 + HEIGHT * (high - loss) / (high - low);
    let _ = writeln!(svg, "<text x=\"{left}\" y=\"18\" font-size=\"13\">{title}</text>");
    for loss in [low, (low + high) / 2.0, high] {
        let (at, beside) = (y(loss), left - 4.0);
        let _ = writeln!(
            svg,
            "<path d=\"M{left} {at:.1}h{WIDTH}\" stroke=\"#808080\" stroke-opacity=\".3\"/>\
             <text x=\"{beside:.0}\" y=\"{:.1}\" text-anchor=\"end\">{loss:.4}</text>",
            at + 4.0
        );
    }
    for point in points {
        let (at, below, seen) = (x(point.seen), HEIGHT + 46.0, point.seen);
        let _ = writeln!(svg, "<text x=\"{at:.1}\" y=\"{below}\" text-anchor=\"middle\">{seen}</text>");
    }
    for (way, colour) in COLOURS.iter().enumerate() {
        let line: Vec<String> =
            points.iter().map(|point| format!("{:.1},{:.1}", x(point.seen), y(loss_of(point, way).0))).collect();
        let line = line.join(" ");
        let _ = writeln!(svg, "<polyline points=\"{line}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        for point in points {
            let (at, (loss, sure)) = (x(point.seen), loss_of(point, way));
            let (from, to) = (y(loss + sure), y(loss - sure));
            let _ = writeln!(svg, "<path d=\"M{at:.1} {from:.1}V{to:.1}\" stroke=\"{colour}\"/>");
        }
    }
}

/// The figures of one draw at each point: of a made-up stream of its own, or of the log, with other people drawn.
fn figures(log: Option<&Log>, micro: Micro, seed: u64) -> Result<[Option<[Quality; 3]>; SEEN.len()]> {
    let made = match log {
        Some(_) => None,
        None => {
            let stream = Stream { seed, users: PEOPLE, micro, ..Stream::default() };
            Some(Log::new(stream.make().lines, stream.window())?)
        }
    };
    let log = log.or(made.as_ref()).expect("one of the two is there");
    let mut figures = [None; SEEN.len()];
    for (figure, seen) in figures.iter_mut().zip(SEEN) {
        *figure = log.point(seen, seed)?;
    }
    Ok(figures)
}

/// The figures of all draws, which are shared out among the cores.
fn points(log: Option<&Log>, micro: Micro, draws: u64) -> Result<Vec<Point>> {
    let cores = std::thread::available_parallelism()?.get() as u64;
    let mut drawn = std::thread::scope(|scope| {
        let of_core = |core: u64| (1 + core..=draws).step_by(cores as usize);
        let work = |core| move || of_core(core).map(|seed| Ok((seed, figures(log, micro, seed)?))).collect();
        let workers: Vec<_> = (0..cores).map(|core| scope.spawn(work(core))).collect();
        let done = workers.into_iter().map(|worker| worker.join().expect("a worker does not panic"));
        done.collect::<Result<Vec<Vec<_>>>>().map(|parts| parts.concat())
    })?;
    drawn.sort_by_key(|(seed, _)| *seed);
    let mut points: Vec<Point> = SEEN.map(|seen| Point { seen, figures: Default::default() }).into();
    for (point, figures) in drawn.into_iter().flat_map(|(_, of_draw)| (0..).zip(of_draw)) {
        let all: &mut [Vec<Quality>; 3] = &mut points[point].figures;
        all.iter_mut().zip(figures.into_iter().flatten()).for_each(|(all, figure)| all.push(figure));
    }
    points.retain(|point| point.figures[0].len() > 1);
    let least = SEEN[0] * 3 / 2;
    ensure!(!points.is_empty(), "there are fewer than {least} conversions: too few to learn from some and ask others");
    Ok(points)
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let draws = arguments.draws;
    println!("{draws} draws, seeds 1 to {draws}");
    let panels = match (&arguments.log, arguments.window) {
        (Some(path), Some(window)) => {
            let lines = JourneyReader::open(path)?.map(|line| Ok(line?.1)).collect::<Result<Vec<_>>>()?;
            let log = Log::new(lines, window).with_context(|| path.display().to_string())?;
            vec![(format!("{}", path.display()), points(Some(&log), Micro::Telling, draws)?)]
        }
        _ => vec![
            ("made-up stream, steps tell".to_owned(), points(None, Micro::Telling, draws)?),
            ("made-up stream, steps tell nothing".to_owned(), points(None, Micro::Idle, draws)?),
        ],
    };
    panels.iter().for_each(|(title, points)| table(title, points));
    if let Some(path) = &arguments.svg {
        std::fs::write(path, draw(&panels)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

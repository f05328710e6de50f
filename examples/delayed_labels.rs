//! Conversions come late: how should a model learn an impression whose label is not known yet?
//!
//! ```sh
//! cargo run --release --example delayed_labels                        # made-up streams, delays up to 30 days
//! cargo run --release --example delayed_labels -- LOG --window 24h    # a log of one's own
//! ```
//!
//! The engine plays the log and says which features each opportunity has. Beside it, one learner for each treatment of
//! late labels learns the same impressions with the same features, shares and rates, in the order of time:
//!
//! - *oracle*: the label is known at once. No service can do that: it is what lateness costs the others.
//! - *retract*: negative at once, gradient p; at the conversion p′ − 1, less what was learned before.
//! - *retract, heads too*: the same, and the weights of the heads follow an impression as a negative at once and as a
//!   positive at its conversion, instead of waiting until its window has closed. The engine's way, where windows are
//!   not short.
//! - *wait*: learned once, when the window has closed.
//! - *FNW*, fake negative weighted (Ktena et al., RecSys 2019): negative at once, a second, positive example at the
//!   conversion; the positive weighs 1 + p, the negative (1 − p)(1 + p), p taken as it is.
//! - *FNC*, fake negative calibrated (the same): both examples weigh 1; what is learned is b = p ÷ (1 + p), and what is
//!   answered b ÷ (1 − b).
//!
//! Where nothing else is said, the weights of the heads follow closed windows; those of the oracle
//! follow the labels it has, those of FNC its examples. No second looks, no ladder, no calibration: labels alone.
//! Evaluated is the second half of the time. The whole log is held in memory.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use inkling::exposure::Feature;
use inkling::ids::{GoalCode, Id, ItemKey};
use inkling::journey::{Discovery, JourneyReader, Line};
use inkling::learn::ftrl::{Learner, probability};
use inkling::learn::mixture::Mixture;
use inkling::learn::{HEADS, heads, lanes};
use inkling::market::stream::{Delays, Stream};
use inkling::math;
use inkling::replay::{EvaluateFrom, Outcome, Played, Player, Resamples, Sample, evaluated, interval};
use inkling::settings::{Goal, Learner as Parameters};
use inkling::stats::quality::{Judged, clipped};
use inkling::units::{Span, Timestamp};

const DAY_MS: u64 = 86_400_000;
/// Days over which people of a made-up stream come; the second half is evaluated.
const DAYS: u64 = 60;
/// In the middle of the evaluated part the log-odds of each step rise by so much.
const SHIFT: (u64, f64) = (45, 0.5);
/// Added to the log-odds of a stream's steps: some 2 % of the ads lead to a purchase.
const LEVEL: f64 = 1.0;

/// Compares how labels that come late are learned.
#[derive(Debug, Parser)]
struct Arguments {
    /// A journey log (NDJSON, plain, gzip or zstd); without one, streams are made up
    #[arg(requires = "window")]
    log: Option<PathBuf>,
    /// How long after an impression a conversion counts
    #[arg(long, value_name = "SPAN", value_parser = Span::parse, requires = "log")]
    window: Option<Span>,
    /// Streams of each kind, with seeds from 1 on
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100))]
    streams: u64,
    /// People of each stream
    #[arg(long, default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    users: u32,
    /// Resamples of the users for the 95 % intervals
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u32).range(40..=10_000))]
    resamples: u32,
}

/// How late labels are learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Treatment {
    Oracle,
    Retract,
    Prompt,
    Wait,
    Weighted,
    Calibrated,
}

const TREATMENTS: [Treatment; 6] = [
    Treatment::Oracle,
    Treatment::Retract,
    Treatment::Prompt,
    Treatment::Wait,
    Treatment::Weighted,
    Treatment::Calibrated,
];
/// Their names in the tables.
const ROWS: [&str; TREATMENTS.len()] = ["oracle", "retract", "retract, heads too", "wait", "FNW", "FNC"];
/// The row with which the others are compared.
const RETRACT: usize = 1;

/// An opportunity whose ad was shown.
struct Example {
    goal: GoalCode,
    user: u32,
    /// What one conversion would join it together with.
    crowd: Option<ItemKey>,
    features: Box<[Feature]>,
    scored_at: Timestamp,
    shown_at: Timestamp,
    until: Timestamp,
    converted_at: Option<Timestamp>,
    is_evaluated: bool,
    /// Where it is known.
    truth: Option<f64>,
}

/// What happens to an example, in the order in which it counts where times are equal: nothing that comes at the moment
/// of a score may have been learned before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Scored,
    Shown,
    Converted,
    Closed,
}

/// The model of one goal under one treatment.
struct Pupil {
    learner: Learner,
    mixture: Mixture,
    intercept: f64,
}

/// What was learned of one example so far, head by head.
#[derive(Clone, Copy, Default)]
struct Lesson {
    logits: [f64; HEADS],
    pulls: [f64; HEADS],
}

impl Pupil {
    fn new() -> Pupil {
        // As the engine begins under the settings that are taken from a log.
        let prior = Goal::new(Id::literal("any")).prior_rate;
        Pupil {
            learner: Learner::new(&Parameters::default()),
            mixture: Mixture::default(),
            intercept: math::logit(prior),
        }
    }

    fn answer(&self, treatment: Treatment, example: &Example) -> f64 {
        let p = probability(self.intercept, self.mixture.mean(&heads(&self.learner.logits(&example.features), 0.0)));
        match treatment {
            Treatment::Calibrated => clipped(p.min(0.5) / (1.0 - p.min(0.5))),
            _ => p,
        }
    }

    /// Learns what a treatment learns at a moment, if anything.
    fn hear(&mut self, treatment: Treatment, moment: Moment, example: &Example, lesson: &mut Lesson, share: f64) {
        let label = example.converted_at.is_some();
        let y = f64::from(u8::from(label));
        let logits = heads(&self.learner.logits(&example.features), 0.0);
        let p = logits.map(|logit| probability(self.intercept, logit));
        if moment == Moment::Shown {
            *lesson = Lesson { logits, pulls: p };
        }
        let gradients = match (treatment, moment) {
            (Treatment::Oracle, Moment::Shown) | (Treatment::Wait, Moment::Closed) => p.map(|p| p - y),
            (Treatment::Retract | Treatment::Prompt | Treatment::Calibrated, Moment::Shown) => p,
            (Treatment::Retract | Treatment::Prompt, Moment::Converted) => {
                std::array::from_fn(|head| p[head] - 1.0 - lesson.pulls[head])
            }
            (Treatment::Calibrated, Moment::Converted) => p.map(|p| p - 1.0),
            (Treatment::Weighted, Moment::Shown) => p.map(|p| (1.0 - p) * (1.0 + p) * p),
            (Treatment::Weighted, Moment::Converted) => p.map(|p| (1.0 + p) * (p - 1.0)),
            _ => [0.0; HEADS],
        };
        let tick = example.at(moment).tick();
        if gradients != [0.0; HEADS] {
            let gradients = lanes(gradients.map(|gradient| gradient * share), 0.0);
            self.learner.learn(&example.features, gradients, tick);
        }
        let shown_label = match (treatment, moment) {
            (Treatment::Oracle, Moment::Shown) => Some(label),
            (Treatment::Prompt | Treatment::Calibrated, Moment::Shown | Moment::Converted) => {
                Some(moment == Moment::Converted)
            }
            (Treatment::Retract | Treatment::Wait | Treatment::Weighted, Moment::Closed) => Some(label),
            _ => None,
        };
        if let Some(label) = shown_label {
            self.mixture.learn(self.intercept, &lesson.logits, label, share);
        }
    }
}

impl Example {
    /// When a moment comes. A window is closed once its end has passed; only a conversion may not come at all.
    fn at(&self, moment: Moment) -> Timestamp {
        match moment {
            Moment::Scored => self.scored_at,
            Moment::Shown => self.shown_at,
            Moment::Converted => self.converted_at.unwrap_or(self.until),
            Moment::Closed => self.until + Span(1),
        }
    }
}

/// All moments of all examples, in the order of time.
fn moments(examples: &[Example]) -> Vec<(Timestamp, Moment, usize)> {
    let of = |(place, example): (usize, &Example)| {
        let all = [Moment::Scored, Moment::Shown, Moment::Converted, Moment::Closed];
        let comes = all.map(|moment| {
            (moment != Moment::Converted || example.converted_at.is_some()).then_some((
                example.at(moment),
                moment,
                place,
            ))
        });
        comes.into_iter().flatten()
    };
    let mut moments: Vec<_> = examples.iter().enumerate().flat_map(of).collect();
    moments.sort_unstable();
    moments
}

/// How much each example counts: 1 ÷ √(1 + waiting), waiting those with an open window that one conversion would join
/// together with it. As in the engine, that is told by item, else category, even where conversions name opportunities.
fn shares(examples: &[Example], moments: &[(Timestamp, Moment, usize)]) -> Vec<f64> {
    let mut waiting: HashMap<(u32, GoalCode, Option<ItemKey>), u32> = HashMap::new();
    let mut shares = vec![1.0; examples.len()];
    for (_, moment, place) in moments {
        let example = &examples[*place];
        let crowd = waiting.entry((example.user, example.goal, example.crowd)).or_default();
        match moment {
            Moment::Shown => {
                shares[*place] = 1.0 / f64::from(1 + *crowd).sqrt();
                *crowd += 1;
            }
            Moment::Closed => *crowd -= 1,
            _ => {}
        }
    }
    shares
}

/// The answers to all examples, each given when it was scored.
fn learn(
    treatment: Treatment,
    examples: &[Example],
    moments: &[(Timestamp, Moment, usize)],
    shares: &[f64],
) -> Vec<f64> {
    let mut pupils: BTreeMap<GoalCode, Pupil> = BTreeMap::new();
    let mut lessons = vec![Lesson::default(); examples.len()];
    let mut answers = vec![0.0; examples.len()];
    for (_, moment, place) in moments {
        let example = &examples[*place];
        let pupil = pupils.entry(example.goal).or_insert_with(Pupil::new);
        match moment {
            Moment::Scored => answers[*place] = pupil.answer(treatment, example),
            moment => pupil.hear(treatment, *moment, example, &mut lessons[*place], shares[*place]),
        }
    }
    answers
}

/// Plays a log through the engine, which says what the features of each opportunity are.
fn play(lines: Vec<Line>, window: Span, truth: &HashMap<Id, f64>) -> Result<Vec<Example>> {
    let mut discovery = Discovery::default();
    for line in &lines {
        discovery.see(line).context("the log names too much")?;
    }
    let mut player = Player::new(discovery.settings(window), None)?;
    let mut asked = Vec::new();
    for (number, line) in (1..).zip(lines) {
        if let Line::Opportunity(opportunity) = &line
            && let Some(Ok(scored)) = player.ask(opportunity.clone())
            && let Some(exposure) = scored.exposure
        {
            asked.push((exposure, truth.get(&opportunity.id).copied()));
        }
        player.play(number, line)?;
    }
    let played = player.finish();
    ensure!(asked.len() == played.predictions.len(), "not every opportunity that was asked for was scored");
    let is_evaluated = evaluated_lines(&played);
    let shown = played.predictions.iter().zip(asked).filter_map(|(prediction, (exposure, truth))| {
        let Outcome::Shown { until, converted_at, .. } = prediction.outcome else { return None };
        Some(Example {
            goal: prediction.goal,
            user: prediction.user,
            crowd: exposure.item.or(exposure.category),
            features: exposure.features.as_slice().into(),
            scored_at: prediction.time,
            shown_at: Timestamp(until.0 - window.0),
            until,
            converted_at,
            is_evaluated: is_evaluated.binary_search(&prediction.line).is_ok(),
            truth,
        })
    });
    Ok(shown.collect())
}

/// The lines of the evaluated opportunities, in their order.
fn evaluated_lines(played: &Played) -> Vec<u64> {
    evaluated(played, EvaluateFrom::Share(0.5)).map(|prediction| prediction.line).collect()
}

/// Answers and labels of a part of the time, row by row.
#[derive(Default)]
struct Part {
    judged: [Vec<Judged>; ROWS.len()],
    /// Of each stream, the mean Kullback–Leibler divergence of the answers from the truth, in nats.
    divergences: Vec<[f64; ROWS.len()]>,
}

impl Part {
    /// Adds the examples of one log that are meant. Users of different logs are different people.
    fn add(
        &mut self,
        examples: &[Example],
        answers: &[Vec<f64>; ROWS.len()],
        log: u32,
        is_meant: impl Fn(&Example) -> bool,
    ) {
        let mut divergence = [0.0; ROWS.len()];
        let mut known = 0.0;
        for (place, example) in examples.iter().enumerate().filter(|(_, example)| is_meant(example)) {
            known += f64::from(u8::from(example.truth.is_some()));
            for row in 0..ROWS.len() {
                let (p, positive) = (answers[row][place], example.converted_at.is_some());
                self.judged[row].push(Judged { p, positive, user: log << 24 | example.user });
                divergence[row] += example.truth.map_or(0.0, |truth| divergence_from(truth, p));
            }
        }
        if known > 0.0 {
            self.divergences.push(divergence.map(|sum| sum / known));
        }
    }

    /// The table, in Markdown.
    fn print(&self, title: &str, resamples: u32) {
        let sample = Sample::new(&self.judged);
        let drawn = sample.draw(Resamples { count: resamples, seed: 1 });
        let whole: Vec<_> = sample.rankings().iter().map(|ranking| ranking.quality()).collect();
        println!("\n{title}: {} opportunities, {} positive\n", whole[0].opportunities, whole[0].positives);
        let truth = if self.divergences.is_empty() { "" } else { " KL × 10⁴ | less retract's, over streams |" };
        println!("| | log loss | less retract's, × 10⁴ | AUC | predicted ÷ observed |{truth}");
        println!("|---|---|---|---|---|{}", if truth.is_empty() { "" } else { "---|---|" });
        for (row, name) in ROWS.iter().enumerate() {
            let losses = drawn.iter().map(|sets| (sets[row].log_loss - sets[RETRACT].log_loss) * 1e4);
            let change = (whole[row].log_loss - whole[RETRACT].log_loss) * 1e4;
            let change = spread(change, interval(losses.collect()), 2).filter(|_| row != RETRACT);
            let ratio = interval(drawn.iter().map(|sets| sets[row].calibration).collect());
            let ratio = spread(whole[row].calibration, ratio, 3).unwrap_or_default();
            let change = change.unwrap_or_else(|| "–".to_owned());
            print!("| {name} | {:.5} | {change} | {:.4} | {ratio} |", whole[row].log_loss, whole[row].auc);
            println!("{}", self.divergence(row));
        }
    }

    /// The last two cells of a row, where the truth is known.
    fn divergence(&self, row: usize) -> String {
        if self.divergences.is_empty() {
            return String::new();
        }
        let mean = |of: &dyn Fn(&[f64; ROWS.len()]) -> f64| {
            self.divergences.iter().map(of).sum::<f64>() / self.divergences.len() as f64
        };
        let change = |stream: &[f64; ROWS.len()]| (stream[row] - stream[RETRACT]) * 1e4;
        let changes = || self.divergences.iter().map(change);
        let range = (changes().fold(f64::INFINITY, f64::min), changes().fold(f64::NEG_INFINITY, f64::max));
        let change = spread(mean(&change), Some(range), 2).filter(|_| row != RETRACT);
        format!(" {:.1} | {} |", mean(&|stream| stream[row]) * 1e4, change.unwrap_or_else(|| "–".to_owned()))
    }
}

/// Divergence of an answer from the truth, for one label, in nats.
fn divergence_from(truth: f64, p: f64) -> f64 {
    let (truth, p) = (clipped(truth), clipped(p));
    truth * math::ln(truth / p) + (1.0 - truth) * math::ln((1.0 - truth) / (1.0 - p))
}

/// A number and the range it stands in; `None` where the range cannot be told.
fn spread(number: f64, range: Option<(f64, f64)>, digits: usize) -> Option<String> {
    let (low, high) = range?;
    Some(format!("{number:.digits$} ({low:.digits$} … {high:.digits$})"))
}

/// The answers of all rows.
fn answers(examples: &[Example]) -> [Vec<f64>; ROWS.len()] {
    let moments = moments(examples);
    let shares = shares(examples, &moments);
    TREATMENTS.map(|treatment| learn(treatment, examples, &moments, &shares))
}

fn read(path: &Path) -> Result<Vec<Line>> {
    let lines = JourneyReader::open(path)?.map(|line| Ok(line?.1));
    lines.collect()
}

/// The tables of a log.
fn log(path: &Path, window: Span, resamples: u32) -> Result<()> {
    let examples = play(read(path)?, window, &HashMap::new())?;
    let mut part = Part::default();
    part.add(&examples, &answers(&examples), 0, |example| example.is_evaluated);
    ensure!(part.judged[0].iter().any(|judged| judged.positive), "the second half of the log has no conversion");
    part.print(&path.file_name().unwrap_or_default().to_string_lossy(), resamples);
    Ok(())
}

/// The tables of made-up streams, with a shift or without.
fn streams(arguments: &Arguments, shift: Option<(u64, f64)>) -> Result<()> {
    let [mut whole, mut before, mut after] = [Part::default(), Part::default(), Part::default()];
    for seed in 1..=arguments.streams {
        let stream = Stream {
            seed,
            users: arguments.users,
            days: DAYS,
            level: LEVEL,
            delays: Delays::Long,
            shift,
            ..Stream::default()
        };
        let made = stream.make();
        let start = made.lines.first().map_or(Timestamp(0), Line::time);
        // Streams begin at midnight, UTC.
        let day = |example: &Example| example.scored_at.0 / DAY_MS - start.0 / DAY_MS;
        let examples = play(made.lines, stream.window(), &made.truth)?;
        let answers = answers(&examples);
        whole.add(&examples, &answers, seed as u32, |example| example.is_evaluated);
        if let Some((shifted, _)) = shift {
            before.add(&examples, &answers, seed as u32, |one| one.is_evaluated && day(one) < shifted);
            after.add(&examples, &answers, seed as u32, |one| one.is_evaluated && day(one) >= shifted);
        }
    }
    let kind = format!("{} streams of {} people over {DAYS} days", arguments.streams, arguments.users);
    match shift {
        None => whole.print(&format!("{kind}, second half"), arguments.resamples),
        Some((day, by)) => {
            before.print(&format!("{kind}, from day {} until the shift on day {day}", DAYS / 2), arguments.resamples);
            after.print(&format!("{kind}, after a shift by {by:+} log-odds a step on day {day}"), arguments.resamples);
        }
    }
    Ok(())
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match (&arguments.log, arguments.window) {
        (Some(path), Some(window)) => log(path, window, arguments.resamples),
        _ => streams(&arguments, None).and_then(|()| streams(&arguments, Some(SHIFT))),
    }
}

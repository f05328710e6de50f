//! The model test: random events from a seed, taken by the engine and by a slow, obvious reference, and audited.
//!
//! `INKLING_SEED=7 cargo test --test model` repeats one run, `INKLING_SEEDS=500` makes so many. Each run draws its
//! settings and limits, which kinds of stories are told, and how often (swarm testing, Groce et al. 2012).
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod audit;
mod dice;
mod effects;
mod fading;
mod golden;
mod guards;
mod history;
mod images;
mod orders;
mod outcomes;
mod person;
mod readers;
mod reference;
mod scores;
mod spend;
mod stories;
mod swarm;
mod tables;
mod trial;

use std::collections::{BTreeMap, BTreeSet};

use inkling::engine::{Applied, Engine, tick_due};
use inkling::event::{Event, Record};
use inkling::record::{FrameBuilder, decode_frame};

use audit::Audit;
use dice::Dice;
use reference::Reference;
use stories::Stories;

const SEEDS: u64 = 30;
const RECORDS: usize = 2_000;

/// Says how to repeat a run that fails.
struct Run {
    seed: u64,
    step: usize,
    record: Option<Record>,
}

impl Drop for Run {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Run { seed, step, record } = self;
            eprintln!("at step {step}, {record:?}; repeat with INKLING_SEED={seed} cargo test --test model");
        }
    }
}

/// What some runs have come upon.
#[derive(Default)]
struct Coverage {
    tally: BTreeMap<&'static str, u64>,
    refusals: BTreeSet<&'static str>,
    lifts: usize,
}

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a whole number"));
    match number("INKLING_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("INKLING_SEEDS").unwrap_or(SEEDS)).collect(),
    }
}

/// The record, and before it the tick that is due.
fn with_tick(engine: &Engine, record: Record) -> Vec<Record> {
    let tick = |at| Record { at, occurred_at: at, event_id: None, event: Event::Tick };
    let due = (engine.now().0 > 0).then(|| tick_due(engine.now(), record.at)).flatten();
    due.map(tick).into_iter().chain([record]).collect()
}

#[test]
fn the_engine_does_what_the_reference_does() {
    let (seeds, mut coverage) = (seeds(), Coverage::default());
    for seed in &seeds {
        println!("INKLING_SEED={seed}");
        audited_run(*seed, &mut coverage);
    }
    if seeds.len() as u64 >= SEEDS {
        let never: Vec<_> = Engine::new().tally().entries().map(|(name, _)| name).to_vec();
        // No run is long enough for so many sequences or people; the engine's own tests are.
        let beyond = ["paths_untracked", "unguarded"];
        let is_missing = |name: &&str| !coverage.tally.contains_key(name) && !beyond.contains(name);
        let never: Vec<_> = never.into_iter().filter(is_missing).collect();
        assert!(never.is_empty(), "no run came upon {never:?}");
        assert!(coverage.lifts >= seeds.len(), "hardly any lift was known: {}", coverage.lifts);
        let expected = [
            "in_the_future",
            "invalid",
            "link_full",
            "not_found",
            "token_version",
            "too_late",
            "unknown_action",
            "unknown_advertiser",
            "unknown_goal",
            "wrong_currency",
        ];
        assert_eq!(coverage.refusals.into_iter().collect::<Vec<_>>(), expected);
    }
}

/// One run: the engine takes each record as it is, its twin in frames as the journal gives them.
fn audited_run(seed: u64, coverage: &mut Coverage) {
    let mut run = Run { seed, step: 0, record: None };
    let mut dice = Dice::new(seed);
    let mut stories = Stories::new(Dice::new(dice.roll()));
    if seed.is_multiple_of(2) {
        stories.explore();
    }
    let (mut engine, mut twin, mut reference) = (Engine::new(), Engine::new(), Reference::default());
    let mut frame = FrameBuilder::new();
    // In lock-step, both publish after the same records: only then are scores bound to be equal.
    let is_in_step = dice.percent(40);
    let (publishing, framing) =
        if is_in_step { (100, 100) } else { (*dice.pick(&[5, 50, 100]), *dice.pick(&[2, 20, 80])) };
    let mut arrived = stories.configured();
    while run.step < RECORDS {
        for record in with_tick(&engine, arrived) {
            run.step += 1;
            run.record = Some(record.clone());
            let answer = engine.apply(&record);
            if let Applied::Rejected(rejection) = &answer {
                coverage.refusals.insert(rejection.label());
            }
            reference.apply(&record, &answer);
            Audit { reference: &reference, engine: &engine }.brief();
            if !frame.push(&record).unwrap() {
                take(&mut twin, &mut frame);
                assert!(frame.push(&record).unwrap());
            }
        }
        let is_last = run.step >= RECORDS;
        if dice.percent(4) || is_last {
            Audit { reference: &reference, engine: &engine }.whole();
        }
        if dice.percent(publishing) {
            engine.publish();
        }
        if dice.percent(framing) || is_last {
            take(&mut twin, &mut frame);
            if dice.percent(5) || is_last {
                assert_eq!(engine.digest(), twin.digest(), "state depends on frames or on publishing");
                engine.publish();
                scores::check(&reference, &engine, is_in_step.then_some(&twin), &mut stories);
            }
        }
        arrived = stories.next(&engine.scorer());
    }
    coverage.lifts += effects::known(&engine);
    reference.tally.iter().for_each(|(name, count)| *coverage.tally.entry(name).or_default() += count);
}

/// Applies what a frame holds, read back from its bytes and looked ahead to.
fn take(twin: &mut Engine, frame: &mut FrameBuilder) {
    for records in decode_frame(&frame.take()).unwrap().chunks(Engine::AHEAD) {
        twin.prefetch(records);
        records.iter().for_each(|record| drop(twin.apply(record)));
    }
    twin.publish();
}

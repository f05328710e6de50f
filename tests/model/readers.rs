//! Readers beside the writer: they change nothing, and never see what cannot be.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use inkling::engine::{Engine, Scorer};
use inkling::event::Record;
use inkling::units::Timestamp;

use super::dice::Dice;
use super::stories::{START, Stories};
use super::with_tick;

const SEEDS: std::ops::RangeInclusive<u64> = 1..=4;
const RECORDS: usize = 1_500;

/// A run's records, and what the engine had become by the end.
pub fn records(stories: &mut Stories, count: usize) -> (Vec<Record>, Engine) {
    let (mut engine, mut records) = (Engine::new(), Vec::new());
    let mut arrived = stories.configured();
    while records.len() < count {
        for record in with_tick(&engine, arrived) {
            engine.apply(&record);
            records.push(record);
        }
        engine.publish();
        arrived = stories.next(&engine.scorer());
    }
    (records, engine)
}

#[test]
fn readers_change_nothing() {
    for seed in SEEDS {
        let mut stories = Stories::new(Dice::new(seed));
        let (records, quiet) = records(&mut stories, RECORDS);
        let (now, is_over) = (AtomicU64::new(START), AtomicBool::new(false));
        let mut engine = Engine::new();
        let scorer = engine.scorer();
        let scored = std::thread::scope(|scope| {
            let reader = scope.spawn(|| read(&scorer, &mut stories, &now, &is_over));
            for record in &records {
                engine.apply(record);
                engine.publish();
                now.store(record.at.0, Relaxed);
            }
            is_over.store(true, Relaxed);
            reader.join().unwrap()
        });
        assert!(scored > 0, "the reader never had its turn");
        assert_eq!(engine.digest(), quiet.digest(), "seed {seed}");
    }
}

/// Asks until the writer is done, and once more; how many answers there were.
fn read(scorer: &Scorer, stories: &mut Stories, now: &AtomicU64, is_over: &AtomicBool) -> usize {
    let mut scored = 0;
    loop {
        let is_last = is_over.load(Relaxed);
        let request = stories.request();
        for answer in scorer.score(Timestamp(now.load(Relaxed)), &request).into_iter().flatten() {
            for signal in answer.signals {
                let is_sane = signal.p_conversion > 0.0 && signal.p_conversion < 1.0 && signal.multiplier > 0.0;
                assert!(is_sane, "{signal:?}");
                scored += 1;
            }
        }
        if is_last {
            return scored;
        }
    }
}

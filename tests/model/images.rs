//! An image is the state: an engine out of one goes on as if it had never been away.

use inkling::engine::{Engine, Entries, Entry, RestoreError, Restoring, Scorer};
use inkling::event::Record;
use inkling::ids::Seq;
use inkling::opportunity::ScoreRequest;
use inkling::snapshot::{Covers, Taking, load};
use inkling::units::Timestamp;
use proptest::prelude::*;

use super::dice::Dice;
use super::readers::records;
use super::stories::Stories;

const SEEDS: std::ops::RangeInclusive<u64> = 1..=8;
const RECORDS: usize = 1_000;

/// The entries of an engine's image, each in a piece of its own, in an order that the dice choose.
fn pieces(engine: &Engine, dice: &mut Dice) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    engine.image(&mut |Entry { kind, number, bytes }| {
        let length = (bytes.len() as u32).to_le_bytes();
        pieces.push([&[kind as u8], &number.to_le_bytes()[..], &length, bytes].concat());
    });
    for place in (1..pieces.len()).rev() {
        pieces.swap(place, dice.below(place as u64 + 1) as usize);
    }
    pieces
}

fn restored(engine: &Engine, pieces: &[Vec<u8>]) -> Result<Engine, RestoreError> {
    let restoring = Restoring::new();
    pieces.iter().try_for_each(|piece| restoring.take(piece))?;
    restoring.finish(engine.catalog().settings().clone())
}

/// Answers of two engines to the same questions are the same to the bit.
fn compare(one: &Scorer, other: &Scorer, at: Timestamp, requests: &[ScoreRequest]) {
    for request in requests {
        assert_eq!(format!("{:?}", one.score(at, request)), format!("{:?}", other.score(at, request)));
    }
}

#[test]
fn an_engine_out_of_an_image_goes_on_as_if_never_away() {
    for seed in SEEDS {
        let mut stories = Stories::new(Dice::new(seed));
        let (records, _) = records(&mut stories, RECORDS);
        let requests: Vec<ScoreRequest> = (0..20).map(|_| stories.request()).collect();
        let mut dice = Dice::new(seed);
        let mut straight = Engine::new();
        let mut away: Option<Engine> = None;
        for (place, record) in records.iter().enumerate() {
            let answer = straight.apply(record);
            straight.publish();
            if let Some(away) = &mut away {
                assert_eq!(away.apply(record), answer, "seed {seed}, record {place}");
                away.publish();
            }
            if dice.percent(1) || place == 0 {
                let pieces = pieces(&straight, &mut dice);
                let restored = restored(&straight, &pieces).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                assert_eq!(restored.digest(), straight.digest(), "seed {seed}, record {place}");
                assert_eq!(restored.tally(), straight.tally());
                compare(&straight.scorer(), &restored.scorer(), record.at, &requests);
                // One that was away before is away for longer, another begins.
                if away.is_none() || dice.percent(50) {
                    away = Some(restored);
                }
            }
        }
        let away = away.expect("the first record makes one");
        assert_eq!(away.digest(), straight.digest(), "seed {seed}");
        compare(&straight.scorer(), &away.scorer(), straight.now(), &requests);
    }
}

/// Applies records while an image is taken: between two of them a slice, beside them the profiles.
fn image_meanwhile(engine: &mut Engine, records: &[Record], slice: usize) -> Vec<Vec<u8>> {
    let mut pieces = vec![Entries::default()];
    let mut walk = engine.begin_image(&mut pieces[0]).expect("no other image is taken");
    assert!(engine.begin_image(&mut Entries::default()).is_none(), "one at a time");
    let mut records = records.iter();
    std::thread::scope(|scope| {
        let walked = scope.spawn(move || {
            let mut profiles = Entries::default();
            while walk.step(&mut profiles) {
                std::thread::yield_now();
            }
            profiles
        });
        let mut is_done = false;
        while !is_done || !walked.is_finished() {
            if let Some(record) = records.next() {
                engine.apply(record);
                engine.publish();
            }
            if !is_done {
                let mut piece = Entries::default();
                is_done = engine.image_slice(slice, &mut piece);
                pieces.push(piece);
            }
        }
        pieces.push(walked.join().unwrap());
    });
    records.for_each(|record| {
        engine.apply(record);
        engine.publish();
    });
    pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect()
}

#[test]
fn an_image_taken_meanwhile_says_what_was_when_it_began_and_changes_nothing() {
    for seed in SEEDS {
        let mut stories = Stories::new(Dice::new(seed));
        let (records, quiet) = records(&mut stories, RECORDS);
        let cut = Dice::new(seed).below(RECORDS as u64 / 2) as usize + 100;
        let slice = [1, 300, 20_000, 1 << 20][seed as usize % 4];
        let mut engine = Engine::new();
        for record in &records[..cut] {
            engine.apply(record);
            engine.publish();
        }
        let (then, settings) = (engine.digest(), engine.catalog().settings().clone());
        let pieces = image_meanwhile(&mut engine, &records[cut..], slice);
        assert_eq!(engine.digest(), quiet.digest(), "seed {seed}: taking an image changes nothing");
        let restoring = Restoring::new();
        pieces.iter().for_each(|piece| restoring.take(piece).unwrap());
        let mut restored = restoring.finish(settings).unwrap();
        assert_eq!(restored.digest(), then, "seed {seed}");
        for record in &records[cut..] {
            restored.apply(record);
        }
        assert_eq!(restored.digest(), quiet.digest(), "seed {seed}");
    }
}

/// With `INKLING_FIXTURE=FILE` it leaves the snapshot there: the fixture of a new format.
#[test]
fn a_snapshot_file_holds_everything() {
    let (records, _) = records(&mut Stories::new(Dice::new(11)), 2_500);
    let mut engine = Engine::new();
    records.iter().for_each(|record| drop(engine.apply(record)));
    let directory = tempfile::tempdir().unwrap();
    let covers = Covers { seq: Seq(2_500), fingerprint: [7; 8], at: engine.now() };
    let taking =
        Taking::begin(&mut engine, directory.path(), covers, Box::new(|| true), Box::new(|| {})).unwrap().unwrap();
    let written = taking.end(&mut engine).unwrap();
    assert_eq!(written.digest, engine.digest());
    let loaded = load(&written.path, [7; 8], 3).unwrap();
    assert_eq!(loaded.engine.digest(), written.digest);
    if let Some(fixture) = std::env::var_os("INKLING_FIXTURE") {
        std::fs::copy(&written.path, fixture).unwrap();
    }
}

/// The clock of events stands at 0 until the first: that is also the mark of what is not known.
#[test]
fn settings_before_the_first_event_are_restored() {
    let mut stories = Stories::new(Dice::new(2));
    let mut engine = Engine::new();
    let (at, first) = (Timestamp(0), stories.configured());
    engine.apply(&Record { at, occurred_at: at, ..first });
    let (records, _) = records(&mut stories, 50);
    records[1..].iter().for_each(|record| drop(engine.apply(record)));
    let restored = restored(&engine, &pieces(&engine, &mut Dice::new(2))).unwrap();
    assert_eq!(restored.digest(), engine.digest());
}

#[test]
fn an_image_can_be_given_up_and_begun_again() {
    let (records, _) = records(&mut Stories::new(Dice::new(3)), RECORDS);
    let (before, after) = records.split_at(600);
    let mut engine = Engine::new();
    before.iter().for_each(|record| drop(engine.apply(record)));
    let mut walk = engine.begin_image(&mut Entries::default()).unwrap();
    walk.step(&mut Entries::default());
    engine.image_slice(100, &mut Entries::default());
    after[..100].iter().for_each(|record| drop(engine.apply(record)));
    engine.stop_image();
    drop(walk);
    let (then, settings) = (engine.digest(), engine.catalog().settings().clone());
    let pieces = image_meanwhile(&mut engine, &after[100..], 1_000);
    let restoring = Restoring::new();
    pieces.iter().for_each(|piece| restoring.take(piece).unwrap());
    assert_eq!(restoring.finish(settings).unwrap().digest(), then);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// An image with an entry that is damaged, cut, gone or doubled is refused, or an engine comes of it that says what
    /// the image says; never a panic.
    #[test]
    fn no_entry_is_believed(
        seed in 1u64..5,
        which in any::<prop::sample::Index>(),
        places in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 0..4),
        what in 0..4,
    ) {
        let (_, engine) = records(&mut Stories::new(Dice::new(seed)), 300);
        let mut pieces = pieces(&engine, &mut Dice::new(seed));
        let which = which.index(pieces.len());
        let length = pieces[which].len();
        match what {
            0 => places.iter().for_each(|(place, with)| pieces[which][place.index(length)] ^= with),
            1 => pieces[which].truncate(length - 1),
            2 => drop(pieces.swap_remove(which)),
            _ => pieces.push(pieces[which].clone()),
        }
        match restored(&engine, &pieces) {
            Err(error) => prop_assert!(!error.to_string().is_empty()),
            Ok(restored) => {
                restored.digest();
                prop_assert!(what == 0 || what == 2, "cut and doubled entries are refused");
            }
        }
    }
}

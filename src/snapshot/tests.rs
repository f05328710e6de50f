use std::fs;
use std::path::Path;

use super::*;
use crate::engine::{Engine, Entries};
use crate::event::{Action, Event, Record};
use crate::ids::{Id, UserKey};
use crate::settings::{Advertiser, Goal, Settings};

const FINGERPRINT: Fingerprint = [7; 8];
/// States of each format, with all their parts.
const FIXTURES: [&str; 2] = [
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/snapshot-format-1.inkling"),
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/snapshot-format-2.inkling"),
];

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

/// An engine that so many people have visited.
fn engine(people: u64) -> Engine {
    let mut advertiser = Advertiser::new(id("acme"));
    advertiser.goals.push(Goal::new(id("purchase")));
    let mut settings = Settings { advertisers: vec![advertiser], ..Settings::default() };
    settings.learner.table_bits = 10;
    let mut engine = Engine::new();
    let at = Timestamp(1_700_000_000_000);
    let mut apply = |event| drop(engine.apply(&Record { at, occurred_at: at, event_id: None, event }));
    apply(Event::Configured(Box::new(settings)));
    (0..people).for_each(|user| apply(visit(user)));
    engine.publish();
    engine
}

fn visit(user: u64) -> Event {
    let (advertiser, action) = (id("acme"), id("view_item"));
    Event::Action(Action {
        user: UserKey(user),
        advertiser,
        action,
        item: Some(id("sku")),
        category: None,
        value: None,
    })
}

fn covers(seq: u64) -> Covers {
    Covers { seq: Seq(seq), fingerprint: FINGERPRINT, at: Timestamp(1_700_000_000_000) }
}

fn write(directory: &Path, engine: &mut Engine, seq: u64) -> Written {
    let taking = Taking::begin(engine, directory, covers(seq), Box::new(|| true), Box::new(|| {})).unwrap().unwrap();
    taking.end(engine).unwrap()
}

#[test]
fn a_snapshot_is_read_as_it_was_written() {
    let directory = tempfile::tempdir().unwrap();
    for (seq, people) in [(1, 0), (2, 1), (3, 20_000)] {
        let mut engine = engine(people);
        let written = write(directory.path(), &mut engine, seq);
        assert_eq!((written.covers, written.digest), (covers(seq), engine.digest()));
        assert_eq!(written.bytes, fs::metadata(&written.path).unwrap().len());
        assert_eq!(check(&written.path).unwrap(), (covers(seq), written.digest));
        for threads in [0, 1, 5] {
            let loaded = load(&written.path, FINGERPRINT, threads).unwrap();
            assert_eq!((loaded.covers, loaded.digest), (covers(seq), written.digest));
            assert_eq!(loaded.engine.digest(), written.digest);
        }
    }
    let names: Vec<_> = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 3, "{names:?}");
}

#[test]
fn a_snapshot_is_taken_bit_by_bit_while_people_come() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(5_000);
    let then = engine.digest();
    let (tell, told) = std::sync::mpsc::channel();
    let wake = Box::new(move || tell.send(()).unwrap_or_default());
    let mut taking = Taking::begin(&mut engine, directory.path(), covers(9), Box::new(|| true), wake).unwrap().unwrap();
    let again = Taking::begin(&mut engine, directory.path(), covers(10), Box::new(|| true), Box::new(|| {}));
    assert!(again.unwrap().is_none(), "one at a time");
    let at = Timestamp(1_700_000_000_000);
    let mut user = 4_000;
    let written = loop {
        match taking.step(&mut engine) {
            Progress::Working => {}
            // Whoever is not woken waits for ever: the test would hang.
            Progress::Waiting => told.recv().unwrap(),
            Progress::Over(written) => break written.unwrap(),
        }
        engine.apply(&Record { at, occurred_at: at, event_id: None, event: visit(user) });
        user += 1;
    };
    assert_eq!(written.digest, then);
    assert_eq!(load(&written.path, FINGERPRINT, 2).unwrap().engine.digest(), then);
    assert_ne!(engine.digest(), then);
}

#[test]
fn who_goes_before_the_end_leaves_no_snapshot() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(100);
    let (tell, told) = std::sync::mpsc::channel();
    let wake = Box::new(move || tell.send(()).unwrap_or_default());
    drop(Taking::begin(&mut engine, directory.path(), covers(9), Box::new(|| true), wake).unwrap().unwrap());
    // Until the thread has gone.
    while told.recv().is_ok() {}
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// Named, it would cover frames that no journal holds, and the next start would go on behind a hole.
#[test]
fn a_snapshot_of_frames_that_the_journal_never_got_is_given_up() {
    let directory = tempfile::tempdir().unwrap();
    let mut engine = engine(100);
    let taking = Taking::begin(&mut engine, directory.path(), covers(9), Box::new(|| false), Box::new(|| {}));
    let outcome = taking.unwrap().unwrap().end(&mut engine);
    assert!(matches!(outcome, Err(SnapshotError::GivenUp)), "{outcome:?}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// What is said of a file with these bytes.
fn refused(path: &Path, bytes: &[u8]) -> SnapshotError {
    fs::write(path, bytes).unwrap();
    load(path, FINGERPRINT, 1).unwrap_err()
}

#[test]
fn flips_and_cuts_are_found_wherever_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let written = write(directory.path(), &mut engine(2), 3);
    let whole = fs::read(&written.path).unwrap();
    let other = directory.path().join("other");
    for at in 0..whole.len() {
        let cut = refused(&other, &whole[..at]);
        assert!(matches!(cut, SnapshotError::Damaged { .. }), "cut at {at}: {cut}");
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        let flipped = refused(&other, &flipped);
        assert!(matches!(flipped, SnapshotError::Damaged { .. }), "flipped at {at}: {flipped}");
        assert!(check(&other).is_err(), "flipped at {at}");
    }
    let longer = refused(&other, &[&whole[..], b"x"].concat()).to_string();
    assert!(longer.contains("more follows after its end"), "{longer}");
}

#[test]
fn flips_and_cuts_of_a_large_file_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let written = write(directory.path(), &mut engine(30_000), 3);
    let whole = fs::read(&written.path).unwrap();
    let other = directory.path().join("other");
    for round in 0..60 {
        let at = (crate::hash::mix(round, 5) % whole.len() as u64) as usize;
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (round % 8);
        assert!(matches!(refused(&other, &flipped), SnapshotError::Damaged { .. }), "flipped at {at}");
        assert!(matches!(refused(&other, &whole[..at]), SnapshotError::Damaged { .. }), "cut at {at}");
        // A part of a file that comes twice, or from another place of it.
        let mut moved = whole.clone();
        moved.splice(at..at, whole[at / 2..at].iter().copied());
        assert!(at < 2 || matches!(refused(&other, &moved), SnapshotError::Damaged { .. }), "moved to {at}");
    }
}

#[test]
fn a_later_format_and_another_key_are_refused_with_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let written = write(directory.path(), &mut engine(2), 3);
    let foreign = load(&written.path, [8; 8], 1).unwrap_err().to_string();
    assert!(foreign.contains("another identity key: put back the key"), "{foreign}");
    let mut bytes = fs::read(&written.path).unwrap();
    bytes[8..12].copy_from_slice(&(FORMAT + 1).to_le_bytes());
    let checksum = blake3::hash(&bytes[..36]);
    bytes[36..52].copy_from_slice(&checksum.as_bytes()[..16]);
    fs::write(&written.path, bytes).unwrap();
    let shelf = Shelf::new(directory.path());
    let future = shelf.newest(FINGERPRINT, 1).unwrap_err().to_string();
    assert!(future.contains(&format!("has format {}", FORMAT + 1)), "{future}");
    assert!(future.contains("start the version that wrote it"), "{future}");
}

#[test]
fn the_newest_sound_one_serves_and_the_oldest_go() {
    let directory = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(directory.path());
    assert!(shelf.newest(FINGERPRINT, 1).unwrap().loaded.is_none());
    assert_eq!(shelf.keep(2).unwrap(), None);
    let mut engine = engine(3);
    for seq in [5, 20, 300] {
        write(directory.path(), &mut engine, seq);
    }
    fs::write(directory.path().join("snapshot-00000000000000000400.inkling.tmp"), "half").unwrap();
    fs::write(directory.path().join("snapshot-500.inkling"), "a name of another form").unwrap();
    fs::write(shelf.path(Seq(400)), "damaged").unwrap();
    let found = shelf.newest(FINGERPRINT, 1).unwrap();
    assert_eq!(found.loaded.unwrap().covers.seq, Seq(300));
    let [damaged] = &found.damaged[..] else { panic!("{:?}", found.damaged) };
    assert!(damaged.to_string().contains("00400.inkling is damaged at byte 0"), "{damaged}");
    shelf.set_aside(damaged).unwrap();
    assert_eq!(shelf.list().unwrap(), [5, 20, 300].map(Seq));
    assert_eq!(shelf.keep(2).unwrap(), Some(Seq(20)));
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let kept = [20, 300].map(|seq| format!("snapshot-{seq:020}.inkling"));
    assert_eq!(names, [&kept[0], &kept[1], "snapshot-500.inkling"]);
    fs::rename(shelf.path(Seq(300)), shelf.path(Seq(301))).unwrap();
    let found = shelf.newest(FINGERPRINT, 1).unwrap();
    assert_eq!((found.loaded.unwrap().covers.seq, found.damaged.len()), (Seq(20), 1), "a name that lies");
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let mut engine = engine(1);
    let nowhere = Path::new("/nowhere/at/all");
    let taking = Taking::begin(&mut engine, nowhere, covers(1), Box::new(|| true), Box::new(|| {})).unwrap().unwrap();
    let failed = taking.end(&mut engine).unwrap_err().to_string();
    assert!(failed.contains("/nowhere/at/all/snapshot-") && failed.contains("creating it failed"), "{failed}");
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &mut engine, 1);
}

/// Files of the formats that are read open. The model test writes one of a later format: see there.
#[test]
fn the_fixtures_open() {
    for fixture in FIXTURES {
        let loaded = load(Path::new(fixture), FINGERPRINT, 2).unwrap();
        assert_eq!(loaded.covers.seq, Seq(2_500));
        assert_eq!(loaded.engine.digest(), loaded.digest);
        let mut entries = Entries::default();
        assert!({ loaded.engine }.begin_image(&mut entries).is_some() && !entries.is_empty());
    }
}

//! Data that was written once opens for ever: a data directory of each format stands in `tests/data/`.
//!
//! `INKLING_WRITE=tests/data/journal-N cargo test --test old_data` writes one as this version does. A directory that is
//! committed is never written again: a new format gets a directory of its own.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect shall fail")]

use std::path::Path;

use inkling::engine::Engine;
use inkling::event::{Action, Event, Record};
use inkling::ids::{Id, Seq, UserKey};
use inkling::journal::{Journal, Options};
use inkling::record::encode_frame;
use inkling::settings::{Advertiser, Goal, Settings};
use inkling::storage::{Directory, recover};
use inkling::units::Timestamp;

/// Frames of the fixture: settings, then three frames of actions in two files.
fn frames() -> Vec<Vec<u8>> {
    let mut acme = Advertiser::new(Id::literal("acme"));
    acme.goals.push(Goal::new(Id::literal("purchase")));
    let mut settings = Settings { advertisers: vec![acme], ..Settings::default() };
    settings.learner.table_bits = 10;
    let record = |at, event| Record {
        at: Timestamp(at),
        occurred_at: Timestamp(at),
        event_id: Some(Id::new(format!("e{at}")).unwrap().into()),
        event,
    };
    let act = |at: u64| {
        let (advertiser, action) = (Id::literal("acme"), Id::literal("view_item"));
        let (item, user) = (Some(Id::literal("sku-1")), UserKey(at % 3));
        record(at, Event::Action(Action { user, advertiser, action, item, category: None, value: None }))
    };
    let actions = (1..4).map(|frame| (0..50).map(|place| act(1_780_000_000_000 + frame * 1_000 + place)).collect());
    let first = vec![record(1_780_000_000_000, Event::Configured(Box::new(settings)))];
    let all: Vec<Vec<Record>> = std::iter::once(first).chain(actions).collect();
    all.iter().map(|records| encode_frame(records).unwrap()).collect()
}

fn write(path: &Path) {
    let directory = Directory::open_or_make_with(path, || [11; 32]).unwrap();
    let mut journal = directory.journal(Seq(0), Options::default()).unwrap();
    for (place, frame) in frames().into_iter().enumerate() {
        if place == 2 {
            assert!(journal.roll().unwrap().wait());
        }
        journal.append(frame).unwrap();
        journal.wait();
        journal.next().unwrap().unwrap();
    }
    journal.close().unwrap();
}

/// A copy, since opening a directory locks and may repair it.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_directory_of_format_1_opens() {
    if let Some(path) = std::env::var_os("INKLING_WRITE") {
        write(Path::new(&path));
    }
    let data = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journal-1"), data.path());
    let directory = Directory::open(data.path()).unwrap();
    assert_eq!(directory.identity().user_key("u1"), inkling::identity::Identity::new([11; 32]).user_key("u1"));
    assert_eq!(directory.journal_files().unwrap(), [Seq(1), Seq(3)]);

    let mut reader = directory.reader(Seq(0)).unwrap();
    for (place, frame) in frames().into_iter().enumerate() {
        assert_eq!(
            reader.next_frame().unwrap(),
            Some((Seq(place as u64 + 1), frame)),
            "the bytes of a frame stay what they are"
        );
    }
    assert_eq!(reader.next_frame().unwrap(), None);

    let mut journal = directory.journal(Seq(0), Options::default()).unwrap();
    assert_eq!(journal.stored_last(), Seq(4));
    let mut engine = Engine::new();
    let mut left = 4;
    let next = || {
        left -= 1;
        if left < 0 { Ok(None) } else { journal.next() }
    };
    let recovered = recover(&mut engine, Seq(0), next, |_| {}).unwrap();
    assert_eq!((recovered.frames, recovered.records), (4, 151));
    let known = engine.catalog().advertiser("acme").is_some();
    assert!(known && engine.now() == Timestamp(1_780_000_003_049), "{:?}", engine.now());
    journal.append(frames().pop().unwrap()).unwrap();
    journal.wait();
    assert_eq!(journal.next().unwrap().unwrap().0, Seq(5), "and goes on");
}

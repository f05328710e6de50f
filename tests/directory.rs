//! The commands that work on a data directory, as an operator meets them.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect shall fail")]

use std::path::Path;
use std::process::Command;

use inkling::event::{Action, Conversion, Converter, Event, Impression, Record, Shown, Unscored};
use inkling::ids::{Id, OpportunityKey, Seq, UserKey};
use inkling::journal::{Journal, Options};
use inkling::journey::{JourneyReader, Line};
use inkling::record::encode_frame;
use inkling::settings::{Advertiser, Goal, Settings};
use inkling::storage::Directory;
use inkling::units::Timestamp;

/// 2026-06-01T00:00:00Z
const START: u64 = 1_780_272_000_000;

fn record(at: u64, event: Event) -> Record {
    Record { at: Timestamp(START + at), occurred_at: Timestamp(START + at), event_id: None, event }
}

fn act(user: u64, advertiser: &'static str) -> Event {
    let (advertiser, action) = (Id::literal(advertiser), Id::literal("view_item"));
    Event::Action(Action { user: UserKey(user), advertiser, action, item: None, category: None, value: None })
}

fn shown(user: u64) -> Event {
    let named = Unscored {
        opportunity: OpportunityKey(0xabc),
        user: UserKey(user),
        advertiser: Id::literal("acme"),
        goals: Vec::new(),
        item: Some(Id::literal("sku")),
        category: None,
    };
    Event::Impression(Impression { of: Shown::Named(Box::new(named)), cost: None })
}

fn bought(user: u64) -> Event {
    Event::Conversion(Conversion {
        by: Converter::User(UserKey(user)),
        advertiser: Id::literal("acme"),
        goal: Id::literal("purchase"),
        item: None,
        category: None,
        value: None,
        conversion_id: None,
    })
}

/// Settings, then what a few users did: two journal files, five frames.
fn make(path: &Path) {
    let advertisers = ["acme", "zeta"].map(|name| {
        let mut advertiser = Advertiser::new(Id::literal(name));
        advertiser.goals.push(Goal::new(Id::literal("purchase")));
        advertiser
    });
    let mut settings = Settings { advertisers: advertisers.to_vec(), ..Settings::default() };
    settings.learner.table_bits = 10;
    let frames = [
        vec![record(0, Event::Configured(Box::new(settings)))],
        vec![record(1_000, act(1, "acme")), record(1_001, act(2, "zeta")), record(1_002, act(3, "acme"))],
        vec![record(2_000, shown(1)), record(3_000, bought(1))],
        // Users 3 and 4 are one person, who is forgotten and comes back.
        vec![record(4_000, Event::Link([UserKey(3), UserKey(4)])), record(4_000, act(4, "acme"))],
        vec![record(5_000, Event::Forget(UserKey(4))), record(86_400_000, act(3, "acme"))],
    ];
    let directory = Directory::open_or_make(path).unwrap();
    let mut journal = directory.journal(Seq(0), Options::default()).unwrap();
    for (place, records) in frames.iter().enumerate() {
        if place == 3 {
            assert!(journal.roll().unwrap().wait());
        }
        journal.append(encode_frame(records).unwrap()).unwrap();
        journal.wait();
        journal.next().unwrap().unwrap();
    }
    journal.close().unwrap();
}

/// Exit code, output and errors of a command.
fn inkling(arguments: &[&str], directory: &Path) -> (i32, String, String) {
    let (command, rest) = arguments.split_first().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_inkling"));
    let ran = program.arg(command).arg(directory).args(rest).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (ran.status.code().unwrap(), text(ran.stdout), text(ran.stderr))
}

#[test]
fn a_whole_directory_is_verified_and_shown() {
    let data = tempfile::tempdir().unwrap();
    make(data.path());
    let (code, out, err) = inkling(&["verify"], data.path());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("is whole: 2 journal files, frames 1 to 5, 10 records"), "{out}");
    assert!(out.contains(&format!("state at frame 5: clock {} ms, digest ", START + 86_400_000)), "{out}");
    assert_eq!(inkling(&["verify"], data.path()).1, out, "looking changes nothing");

    let (code, out, _) = inkling(&["inspect"], data.path());
    assert_eq!(code, 0);
    assert!(out.contains("journal-00000000000000000004.redb") && out.contains("whole"), "{out}");
    assert!(out.contains("5 actions, 1 conversions, 1 forgotten users, 1 impressions, 1 links, 1 settings"), "{out}");
    let (code, out, _) = inkling(&["inspect", "--frame", "3"], data.path());
    assert!(code == 0 && out.lines().count() == 2 && out.contains("Conversion"), "{out}");
    let (code, _, err) = inkling(&["inspect", "--frame", "6"], data.path());
    assert!(code == 1 && err.contains("there is no frame 6"), "{err}");
}

#[test]
fn a_directory_in_use_is_refused() {
    let data = tempfile::tempdir().unwrap();
    make(data.path());
    let _held = Directory::open(data.path()).unwrap();
    for command in ["verify", "inspect", "repair"] {
        let (code, _, err) = inkling(&[command], data.path());
        assert!(code == 1 && err.contains("is in use by process"), "{command}: {err}");
    }
    let (code, _, err) = inkling(&["verify"], &data.path().join("elsewhere"));
    assert!(code == 1 && err.contains("is no data directory of inkling"), "{err}");
}

/// Lines of an export.
fn exported(data: &Path, filters: &[&str]) -> (Vec<Line>, String) {
    let log = data.join("../log.ndjson.zst");
    let arguments = [&["export", log.to_str().unwrap()], filters].concat();
    let (code, out, err) = inkling(&arguments, data);
    assert_eq!((code, err.as_str()), (0, ""));
    let (code, _, err) = inkling(&arguments, data);
    assert!(code == 1 && err.contains("a log is written to a new file only"), "{err}");
    let lines = JourneyReader::open(&log).unwrap().map(|line| line.unwrap().1).collect();
    std::fs::remove_file(log).unwrap();
    (lines, out)
}

#[test]
fn a_journal_is_exported_by_time_and_advertiser_without_who_was_forgotten() {
    let place = tempfile::tempdir().unwrap();
    let data = place.path().join("data");
    make(&data);
    let (lines, told) = exported(&data, &[]);
    let told_of = |line: &Line| match line {
        Line::Action(action) => format!("action {} {}", action.user, action.advertiser),
        Line::Opportunity(shown) => format!("opportunity {} {} {}", shown.id, shown.user, shown.goal),
        Line::Impression(shown) => format!("impression {}", shown.id),
        Line::Conversion(bought) => format!("conversion {}", bought.user),
    };
    let told_of = |lines: &[Line]| lines.iter().map(told_of).collect::<Vec<_>>();
    let all = [
        "action 0000000000000001 acme",
        "action 0000000000000002 zeta",
        "opportunity 0000000000000abc:purchase 0000000000000001 purchase",
        "impression 0000000000000abc:purchase",
        "conversion 0000000000000001",
        "action 0000000000000003 acme",
    ];
    assert_eq!(told_of(&lines), all);
    // Settings, link and forgetting have no line; two acts were the forgotten person's.
    assert!(told.contains("6 lines; left out: 3 records that a journey log has no word for, 2 of people"), "{told}");

    let (lines, _) = exported(&data, &["--advertiser", "zeta"]);
    assert_eq!(told_of(&lines), all[1..2]);
    let (lines, _) = exported(&data, &["--from", "2026-06-02"]);
    assert_eq!(told_of(&lines), all[5..]);
    let (lines, _) = exported(&data, &["--from", "2026-06-01T00:00:02Z", "--to", "2026-06-01T00:00:03Z"]);
    assert_eq!(told_of(&lines), all[2..4]);
}

#[test]
fn a_newest_file_that_is_gone_is_missed() {
    let data = tempfile::tempdir().unwrap();
    make(data.path());
    std::fs::remove_file(data.path().join("journal-00000000000000000004.redb")).unwrap();
    for command in ["verify", "export"] {
        let (code, _, err) = inkling(&[command, "/nowhere/log"][..1 + usize::from(command == "export")], data.path());
        assert!(code == 1 && err.contains("04.redb: is missing") && err.contains("inkling repair"), "{command}: {err}");
    }
    let (code, out, err) = inkling(&["repair"], data.path());
    assert!(code == 1 && out.contains("frames up to 3 can stay") && out.contains("is lost"), "{out}{err}");
    assert_eq!(inkling(&["repair", "--drop"], data.path()).0, 0);
    let (code, out, _) = inkling(&["verify"], data.path());
    assert!(code == 0 && out.contains("frames 1 to 3, 6 records"), "{out}");
}

#[test]
fn damage_is_told_and_repaired_on_request_only() {
    let data = tempfile::tempdir().unwrap();
    make(data.path());
    assert!(inkling(&["repair"], data.path()).1.contains("nothing is wrong with the journal"));
    let last = data.path().join("journal-00000000000000000004.redb");
    std::fs::write(&last, b"overwritten by somebody").unwrap();

    let (code, _, err) = inkling(&["verify"], data.path());
    assert_eq!(code, 1);
    assert!(err.contains("04.redb: cannot be read") && err.contains("inkling repair"), "{err}");
    let (code, out, err) = inkling(&["repair"], data.path());
    assert!(code == 1 && out.contains("frames up to 3 can stay; would be dropped:"), "{out}{err}");
    assert!(
        out.contains("04.redb: all from frame 4 on") && err.contains("nothing was changed; --drop does it"),
        "{err}"
    );
    assert!(last.exists());

    let (code, out, err) = inkling(&["repair", "--drop"], data.path());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("dropped-1"), "{out}");
    assert!(data.path().join("dropped-1/journal-00000000000000000004.redb").exists());
    let (code, out, _) = inkling(&["verify"], data.path());
    assert!(code == 0 && out.contains("frames 1 to 3, 6 records"), "{out}");
}

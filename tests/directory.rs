//! The commands that work on a data directory, as an operator meets them.

#![allow(clippy::unwrap_used, reason = "a test that meets what it does not expect shall fail")]

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use inkling::engine::{Digest, Engine};
use inkling::event::{Action, Conversion, Converter, Event, Impression, Record, Shown, Unscored};
use inkling::ids::{Id, OpportunityKey, Seq, UserKey};
use inkling::journal::{Journal, Options};
use inkling::journey::{JourneyReader, Line};
use inkling::record::encode_frame;
use inkling::settings::{Advertiser, Goal, Settings};
use inkling::snapshot::{Covers, FORMAT, Taking};
use inkling::storage::{Directory, Ground, Plan, audit, recover, repair};
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
    Event::Impression(Impression { of: Shown::Named(Box::new(named)), cost: None, bid: None })
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
    make_with(path, &[4], &[]);
}

/// The same, with journal files that begin with these frames, and snapshots after these.
fn make_with(path: &Path, files: &[u64], snapshots: &[u64]) {
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
    let mut engine = Engine::new();
    for (seq, records) in (1..).zip(&frames) {
        if files.contains(&seq) {
            assert!(journal.roll().unwrap().wait());
        }
        journal.append(encode_frame(records).unwrap()).unwrap();
        journal.wait();
        journal.next().unwrap().unwrap();
        records.iter().for_each(|record| drop(engine.apply(record)));
        if snapshots.contains(&seq) {
            let fingerprint = directory.identity().fingerprint();
            let covers = Covers { seq: Seq(seq), fingerprint, at: engine.now() };
            let taking = Taking::begin(&mut engine, path, covers, Box::new(|| true), Box::new(|| {}));
            taking.unwrap().unwrap().end(&mut engine).unwrap();
        }
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
    assert!(!out.contains("SNAPSHOT"), "{out}");
    assert!(out.contains("5 actions, 1 conversions, 1 forgotten users, 1 impressions, 1 links, 1 settings"), "{out}");
    let (code, out, _) = inkling(&["inspect", "--frame", "3"], data.path());
    assert!(code == 0 && out.lines().count() == 2 && out.contains("Conversion"), "{out}");
    let (code, _, err) = inkling(&["inspect", "--frame", "6"], data.path());
    assert!(code == 1 && err.contains("there is no frame 6"), "{err}");
}

/// A copy of a directory.
fn copy(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

/// The state that a service starts with.
fn started(path: &Path) -> Result<(Seq, Digest), String> {
    let directory = Directory::open(path).map_err(|error| error.to_string())?;
    let ground = Ground::stored(&directory, Options::default(), Box::new(|_, _| {}), Arc::new(|_| {}));
    let Ground { mut engine, after, mut journal, .. } = ground.map_err(|error| error.to_string())?;
    let (last, mut at) = (journal.stored_last(), after);
    let next = || {
        let next = if at == last { None } else { journal.next()? };
        at = next.as_ref().map_or(at, |(seq, _)| *seq);
        Ok(next)
    };
    let recovered = recover(&mut engine, after, next, |_| {}).map_err(|error| format!("{error:?}"))?;
    Ok((recovered.seq, engine.digest()))
}

/// What `verify` says a service would start with, and whether all is whole.
fn audited(path: &Path) -> Result<((Seq, Digest), bool), String> {
    let directory = Directory::look(path).map_err(|error| error.to_string())?;
    let audit = audit(&directory, |_| {}).map_err(|error| format!("{error:?}"))?;
    assert_eq!(audit.digest, audit.from_earliest, "snapshot and journal say the same");
    Ok(((audit.seq, audit.digest), audit.faults.is_empty()))
}

/// Whatever file is damaged: `verify` says what `serve` does, no damage is called whole, and after a repair both give
/// the same state.
#[test]
fn verify_serve_and_repair_agree_whatever_is_damaged() {
    let (mut refused, mut passed, mut repaired) = (0, 0, 0);
    for snapshots in [&[][..], &[2], &[4], &[2, 4], &[3, 5]] {
        let data = tempfile::tempdir().unwrap();
        make_with(data.path(), &[3, 5], snapshots);
        let whole = started(copy(data.path()).path()).unwrap();
        assert_eq!(audited(data.path()), Ok((whole, true)));
        let files: Vec<_> = std::fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        for name in files.iter().filter(|name| name.to_string_lossy().ends_with(['b', 'g'])) {
            for damage in ["gone", "cut", "ruined", "flipped"] {
                let copied = copy(data.path());
                let (path, what) = (copied.path(), format!("{snapshots:?} {} {damage}", name.display()));
                let file = path.join(name);
                let mut bytes = std::fs::read(&file).unwrap();
                match damage {
                    "gone" => std::fs::remove_file(&file).unwrap(),
                    "cut" => std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap(),
                    "ruined" => std::fs::write(&file, b"overwritten by somebody").unwrap(),
                    _ => {
                        let middle = bytes.len() / 2;
                        bytes[middle..].iter_mut().for_each(|byte| *byte ^= 1);
                        std::fs::write(&file, bytes).unwrap();
                    }
                }
                let (verdict, start) = (audited(path), started(copy(path).path()));
                match (&verdict, &start) {
                    (Ok((state, whole)), Ok(begun)) => {
                        assert_eq!(state, begun, "{what}");
                        // What a snapshot holds may have been let go of; so may an old snapshot.
                        assert!(!whole || damage == "gone", "{what}");
                        passed += 1;
                    }
                    (Err(_), Err(_)) => refused += 1,
                    _ => panic!("{what}: {verdict:?}, but {start:?}"),
                }
                let directory = Directory::open(path).unwrap();
                let Ok(Some(plan)) = Plan::of(&directory) else { continue };
                repair(&directory, &plan).unwrap();
                drop(directory);
                let ((verified, _), begun) = (audited(path).unwrap(), started(path));
                assert_eq!(Ok(verified), begun, "{what}, repaired");
                assert!(start.is_err() || start == begun, "{what}: a repair dropped what a start can use");
                repaired += 1;
            }
        }
    }
    println!("{refused} refused, {passed} started all the same, {repaired} repaired");
    assert!(refused > 10 && passed > 10 && repaired > 10);
}

#[test]
fn verify_says_what_serve_would_do_with_a_damaged_snapshot() {
    let data = tempfile::tempdir().unwrap();
    make_with(data.path(), &[3, 5], &[2, 4]);
    let (_, whole, _) = inkling(&["verify"], data.path());
    assert!(whole.contains("is whole: 3 journal files, frames 1 to 5, 10 records, 2 snapshots"), "{whole}");
    std::fs::write(data.path().join("snapshot-00000000000000000004.inkling"), "ruined").unwrap();
    let (code, out, err) = inkling(&["verify"], data.path());
    assert!(code == 1 && whole.ends_with(&out) && out.starts_with("state at frame 5"), "{out}");
    for words in [
        "would start all the same, from the snapshot at 2, with the state at frame 5",
        "04.inkling is damaged at byte 0",
        "move it away, or leave it to the next snapshots",
    ] {
        assert!(err.contains(words), "{err}");
    }
    let (code, out, _) = inkling(&["repair"], data.path());
    assert!(code == 0 && out.contains("nothing is wrong with the journal"), "{out}");
}

#[test]
fn inspect_shows_snapshots_and_fails_where_something_is_damaged() {
    let data = tempfile::tempdir().unwrap();
    make_with(data.path(), &[3, 5], &[2, 4]);
    let bytes = std::fs::metadata(data.path().join("snapshot-00000000000000000002.inkling")).unwrap().len();
    let row = |out: &str, name: &str| -> Vec<String> {
        let line = out.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("no {name} in {out}"));
        line.split_whitespace().map(|word| word.replace(',', "")).collect()
    };
    let (code, out, err) = inkling(&["inspect"], data.path());
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert_eq!(row(&out, "02.inkling")[1..], ["2", &FORMAT.to_string(), &bytes.to_string(), "sound"]);
    assert!(out.contains("records from"), "{out}");
    std::fs::write(data.path().join("snapshot-00000000000000000004.inkling"), "ruined").unwrap();
    let (code, out, err) = inkling(&["inspect"], data.path());
    assert!(code == 1 && err.contains("damaged; `inkling verify` says"), "{err}");
    assert_eq!(row(&out, "04.inkling")[1..4], ["4", "?", "6"]);
    assert!(out.contains("04.inkling is damaged at byte 0") && row(&out, "02.inkling").contains(&"sound".to_owned()));
    for damage in ["gone", "ruined"] {
        let copied = copy(data.path());
        let newest = copied.path().join("journal-00000000000000000005.redb");
        match damage {
            "gone" => std::fs::remove_file(newest).unwrap(),
            _ => std::fs::write(newest, "ruined").unwrap(),
        }
        let (code, out, _) = inkling(&["inspect"], copied.path());
        let told = if damage == "gone" { "05.redb: is missing" } else { "05.redb: cannot be read" };
        assert!(code == 1 && out.contains(told), "{out}");
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|of| of.uid() == 0)
}

/// As nobody, where the tests run as root: root may write everywhere.
#[test]
fn a_directory_that_cannot_be_written_is_verified_shown_and_exported() {
    let (data, log) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    make_with(data.path(), &[3, 5], &[2, 4]);
    std::fs::remove_file(data.path().join("inkling.lock")).unwrap();
    let is_root = is_root();
    const NOBODY: u32 = 65_534;
    let program = log.path().join("inkling");
    std::fs::copy(env!("CARGO_BIN_EXE_inkling"), &program).unwrap();
    for path in [data.path(), log.path()] {
        for file in std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).chain([path.to_owned()]) {
            if is_root {
                std::os::unix::fs::chown(&file, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
    }
    let allow = |mode| {
        for file in std::fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().path()) {
            std::fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
        }
        std::fs::set_permissions(data.path(), Permissions::from_mode(mode | 0o100)).unwrap();
    };
    allow(0o400);
    let export = log.path().join("log.ndjson");
    for (command, argument) in [("verify", None), ("inspect", None), ("export", Some(&export)), ("repair", None)] {
        let mut running = Command::new(&program);
        running.arg(command).arg(data.path()).args(argument);
        if is_root {
            running.uid(NOBODY).gid(NOBODY);
        }
        let ran = running.output().unwrap();
        assert!(ran.status.success(), "{command}: {}", String::from_utf8_lossy(&ran.stderr));
    }
    assert!(!data.path().join("inkling.lock").exists(), "looking leaves nothing behind");
    assert!(std::fs::read_to_string(export).unwrap().lines().count() > 5);

    // What this user may not even read is told as that, not as damage that a repair would drop.
    allow(0o600);
    let hidden = data.path().join("journal-00000000000000000005.redb");
    std::fs::set_permissions(&hidden, Permissions::from_mode(0o000)).unwrap();
    for command in [&["verify"][..], &["repair"], &["repair", "--drop"]] {
        let mut running = Command::new(&program);
        running.args(command).arg(data.path());
        if is_root {
            running.uid(NOBODY).gid(NOBODY);
        }
        let told = String::from_utf8(running.output().unwrap().stderr).unwrap();
        assert!(told.contains("05.redb: cannot be opened: this user may not: run inkling as the user whom"), "{told}");
        assert!(!told.contains("repair"), "{told}");
    }
    assert!(hidden.exists() && !data.path().join("dropped-1").exists());
}

/// What a command says of a wrong place: one line that names it and what to do, and the system's words once.
#[test]
fn wrong_places_are_named_with_what_to_do() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    make_with(&path("data"), &[3], &[2]);
    std::fs::create_dir(path("empty")).unwrap();
    std::fs::create_dir(path("other")).unwrap();
    std::fs::write(path("other/letter.txt"), "dear").unwrap();
    std::fs::write(path("file"), "x").unwrap();
    let config = "[server]\ngrpc = \"127.0.0.1:0\"\nhttp = \"127.0.0.1:0\"\n[[advertiser]]\nid = \"acme\"\n\
                  [[advertiser.goal]]\nname = \"purchase\"\nconverting_action = \"purchase\"\n";
    std::fs::write(path("config.toml"), config).unwrap();
    let mut cases: Vec<(Vec<&str>, &str, &str)> = Vec::new();
    for (name, why) in [
        ("nowhere", "it does not exist"),
        ("file", "it is a file"),
        ("empty", "it has no file"),
        ("other", "it has no file"),
    ] {
        for command in [&["verify", name][..], &["inspect", name], &["repair", name], &["repair", "--drop", name]] {
            cases.push((command.to_vec(), why, "name the one of a service, `[storage] path` or `serve --data`"));
        }
        cases.push((vec!["export", name, "log"], why, "name the one of a service"));
        cases.push((vec!["backup", name, "copy"], why, "name the one of a service"));
    }
    let serve = ["serve", "--config", "config.toml", "--data"];
    for (name, why, remedy) in [
        ("file", "file: cannot be used: a file stands where a directory belongs", "name another"),
        ("file/sub", "file/sub: cannot be used: a file stands where a directory belongs", "name another"),
        ("other", "other: is not empty and no data directory of inkling ('letter.txt' is in it)", "name another one"),
    ] {
        cases.push(([&serve[..], &[name]].concat(), why, remedy));
    }
    cases.extend([
        (vec!["backup", "data", "file"], "file: cannot be used: a file stands where a directory", "name another"),
        (
            vec!["backup", "data", "other"],
            "other: is not empty ('letter.txt' is in it)",
            "name a directory that does not",
        ),
        (vec!["backup", "data", "data/copy"], "copy: stands in the directory that is copied", "name one outside"),
        (vec!["export", "data", "file"], "file: is there already", "name another one"),
        (vec!["export", "data", "no/log"], "no/log: the directory is not there", "make it, or name another one"),
        (vec!["inspect", "data", "--frame", "0"], "there is no frame 0", "the journal begins with frame 1"),
    ]);
    for (arguments, what, remedy) in cases {
        let mut program = Command::new(env!("CARGO_BIN_EXE_inkling"));
        let ran = program.current_dir(place.path()).args(&arguments).output().unwrap();
        let told = String::from_utf8(ran.stderr).unwrap();
        assert_eq!((ran.status.code(), told.lines().count()), (Some(1), 1), "{arguments:?}: {told}");
        assert!(ran.stdout.is_empty() && told.contains(what) && told.contains(remedy), "{arguments:?}: {told}");
        assert!(told.matches("os error").count() <= 1, "{arguments:?}: {told}");
    }
    assert!(!path("copy").exists() && !path("log").exists() && !path("data/copy").exists());
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
    // One that was broken off leaves what is in nobody's way.
    std::fs::write(data.join("../.unfinished-log.ndjson.zst"), "").unwrap();
    let (code, out, err) = inkling(&arguments, data);
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(std::fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    // Said before anything is read.
    let (code, _, err) = inkling(&arguments, Path::new("no/such/directory"));
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
    assert!(
        told.contains("6 lines; left out: 3 records that a journey log has no word for, 0 that changed nothing"),
        "{told}"
    );

    let (lines, _) = exported(&data, &["--advertiser", "zeta"]);
    assert_eq!(told_of(&lines), all[1..2]);
    let log = place.path().join("nobody.ndjson");
    let (code, out, err) = inkling(&["export", log.to_str().unwrap(), "--advertiser", "nobody"], &data);
    assert!(code == 1 && out.is_empty() && err.contains("knows no advertiser 'nobody': it knows acme, zeta"), "{err}");
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 2, "nothing is written");
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
    let (code, _, err) = inkling(&["verify"], data.path());
    assert!(code == 1 && err.contains("04.redb: is missing") && err.contains("inkling repair"), "{err}");
    let (code, _, err) = inkling(&["export", data.path().join("log").to_str().unwrap()], data.path());
    assert!(code == 1 && err.contains("04.redb: is missing"), "{err}");
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
    let said = ["can stay; dropping:", "copied to ", "dropped-1 first\n", "dropped; the files as they were are in "];
    let places = said.map(|words| out.find(words).unwrap_or_else(|| panic!("no '{words}' in {out}")));
    assert!(places.is_sorted() && out.trim_end().ends_with("dropped-1"), "{out}");
    assert!(data.path().join("dropped-1/journal-00000000000000000004.redb").exists());
    let (code, out, _) = inkling(&["verify"], data.path());
    assert!(code == 0 && out.contains("frames 1 to 3, 6 records"), "{out}");
}

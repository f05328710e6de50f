//! Logs that were written are read, and logs that were not are told what is wrong with them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::ids::Id;
use crate::units::{MICROS_MAX, Micros, TIMESTAMP_MAX, Timestamp};

fn id() -> impl Strategy<Value = Id> {
    prop_oneof![8 => "[a-z_0-9]{1,8}", 1 => "[^\\p{Cc}]{1,32}", 1 => r#"["\\/]{128}"#]
        .prop_map(|text| Id::new(text).expect("1 to 128 bytes without control characters"))
}

fn pairs<V: Strategy>(value: V) -> impl Strategy<Value = Vec<(Id, V::Value)>>
where
    V::Value: Clone,
{
    vec((id(), value), 0..5).prop_map(|mut pairs| {
        let mut names = Vec::new();
        pairs.retain(|(name, _)| {
            !names.contains(name) && {
                names.push(name.clone());
                true
            }
        });
        pairs
    })
}

fn line(time: Timestamp) -> impl Strategy<Value = Line> {
    let amount = || option::of((0..=MICROS_MAX.0).prop_map(Micros));
    let of = || (option::of(id()), option::of(id()));
    let number = prop_oneof![-1e3..1e3, any::<f64>().prop_filter("finite", |number| number.is_finite())];
    let action = (id(), id(), id(), of(), amount()).prop_map(move |(user, advertiser, action, of, value)| {
        Line::Action(Action { time, user, advertiser, action, item: of.0, category: of.1, value })
    });
    let conversion = (id(), id(), id(), option::of(id()), of(), amount()).prop_map(
        move |(user, advertiser, goal, id, (item, category), value)| {
            Line::Conversion(Conversion { time, user, advertiser, goal, id, item, category, value })
        },
    );
    let names = ((id(), id(), id(), id()), option::of(id()), of());
    let opportunity = (names, pairs(id()), pairs(number), vec(id(), 0..3)).prop_map(
        move |(((id, user, advertiser, goal), campaign, (item, category)), context, numbers, segments)| {
            Line::Opportunity(Opportunity {
                time,
                id,
                user,
                advertiser,
                goal,
                campaign,
                item,
                category,
                context,
                numbers,
                segments,
            })
        },
    );
    let impression = (id(), amount(), any::<bool>())
        .prop_map(move |(id, cost, is_explored)| Line::Impression(Impression { time, id, cost, is_explored }));
    prop_oneof![action, opportunity, impression, conversion]
}

/// Lines sorted by time.
fn lines() -> impl Strategy<Value = Vec<Line>> {
    vec(0..=TIMESTAMP_MAX.0, 0..12).prop_flat_map(|mut times| {
        times.sort_unstable();
        times.into_iter().map(|time| line(Timestamp(time))).collect::<Vec<_>>()
    })
}

fn write(path: &Path, lines: &[Line]) {
    let mut writer = JourneyWriter::create(path).unwrap();
    lines.iter().for_each(|line| writer.write(line).unwrap());
    assert_eq!(writer.lines(), lines.len() as u64);
    writer.finish().unwrap();
}

fn read(path: &Path) -> Vec<(u64, Line)> {
    JourneyReader::open(path).unwrap().collect::<Result<_, _>>().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(lines in lines()) {
        let directory = TempDir::new().unwrap();
        let numbered: Vec<(u64, Line)> = (1..).zip(lines.clone()).collect();
        for name in ["log.ndjson", "log.ndjson.gz", "log.ndjson.zst"] {
            let path = directory.path().join(name);
            write(&path, &lines);
            prop_assert_eq!(&read(&path), &numbered, "{}", name);
        }
    }

    #[test]
    fn any_bytes_are_read_to_an_end(bytes in vec(any::<u8>(), 0..200), magic in 0usize..3) {
        let log = Log::new(&[[&b""[..], &[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]][magic], &bytes].concat());
        let entries = JourneyReader::open(&log.path).unwrap().count();
        prop_assert!(entries <= bytes.len() + 1);
    }
}

/// A log in a directory of its own, gone with it.
struct Log {
    path: PathBuf,
    _directory: TempDir,
}

impl Log {
    fn new(bytes: &[u8]) -> Log {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("log");
        fs::write(&path, bytes).unwrap();
        Log { path, _directory: directory }
    }

    /// The line numbers of the good lines, and all errors without the directory.
    fn read(&self) -> (Vec<u64>, Vec<String>) {
        let (mut good, mut bad) = (Vec::new(), Vec::new());
        let directory = format!("{}/", self.path.parent().unwrap().display());
        for entry in JourneyReader::open(&self.path).unwrap() {
            match entry {
                Ok((number, _)) => good.push(number),
                Err(error) => bad.push(chain(error).replace(&directory, "")),
            }
        }
        (good, bad)
    }
}

const GOOD: &str = r#"{"time_ms":5,"kind":"impression","id":"o1"}"#;

/// The one error of a log of a good line, this one, and another good one.
fn error_of(line: &str) -> String {
    let (good, bad) = Log::new(format!("{GOOD}\n{line}\n{GOOD}\n").as_bytes()).read();
    assert_eq!((&good[..], bad.len()), (&[1, 3][..], 1), "{line}: {bad:?}");
    bad.into_iter().next().unwrap()
}

#[test]
fn bad_lines_are_told_with_their_place() {
    let cases = [
        ("nonsense", "log:2:1: a line is one JSON object, in braces"),
        (r#"[5,"impression","o1"]"#, "log:2:1: a line is one JSON object, in braces"),
        (
            "{",
            "log:2:1: a line is one JSON object, in braces: this one goes on over other lines; `jq -c .` writes each \
             object on a line of its own",
        ),
        (
            r#"[{"time_ms":5},"#,
            "log:2:1: a line is one JSON object, in braces: this begins an array; `jq -c '.[]'` writes each object on \
             a line of its own",
        ),
        ("time_ms,kind,id", "log:2:1: a line is one JSON object, in braces: this looks like comma-separated values"),
        (r#"{"time_ms":5"#, "log:2: the log is cut in the middle of this line"),
        (r#"{"time_ms":5,"kind":"impression","id":"o1"}x"#, "log:2:44: trailing characters"),
        (r#"{"kind":"impression","id":"o1"}"#, "log:2:31: missing field `time_ms`"),
        (r#"{"time_ms":5,"id":"o1"}"#, "log:2:23: missing field `kind`"),
        (r#"{"time_ms":-5,"kind":"impression","id":"o1"}"#, "log:2:13: invalid value: integer `-5`, expected u64"),
        (
            r#"{"time_ms":5,"kind":"bid","id":"o1"}"#,
            "log:2:25: unknown variant `bid`, expected one of `action`, `opportunity`, `impression`, `conversion`",
        ),
        (r#"{"time_ms":5,"kind":"impression","id":"o1","id":"o2"}"#, "log:2:47: duplicate field `id`"),
        (r#"{"time_ms":5,"kind":"impression","id":7}"#, "log:2:39: invalid type: integer `7`, expected a string"),
        (r#"{"time_ms":5,"kind":"impression"}"#, "log:2: an impression needs 'id'"),
        (r#"{"time_ms":5,"kind":"impression","id":""}"#, "log:2: id: an identifier must not be empty"),
        (
            r#"{"time_ms":5,"kind":"impression","id":"a\u0000"}"#,
            "log:2: id: an identifier must not hold the control character at byte 1",
        ),
        (
            r#"{"time_ms":5,"kind":"impression","id":"o","cost_micros":-1}"#,
            "log:2: cost_micros is -1, allowed is 0 to 10000000000000",
        ),
        (r#"{"time_ms":5,"kind":"impression","id":"o","goal":"g"}"#, "log:2: an impression has no 'goal'"),
        (
            r#"{"time_ms":4,"kind":"impression","id":"o"}"#,
            "log:2: time_ms is 4, before 5 of an earlier line: a log is sorted by time",
        ),
        (
            r#"{"time_ms":4294967295001,"kind":"impression","id":"o"}"#,
            "log:2: time_ms is 4294967295001, allowed is 0 to 4294967295000",
        ),
        (r#"{"time_ms":5,"kind":"action","user":"u","advertiser":"a"}"#, "log:2: an action needs 'action'"),
        (r#"{"time_ms":5,"kind":"conversion","user":"u","advertiser":"a"}"#, "log:2: a conversion needs 'goal'"),
    ];
    for (line, expected) in cases {
        assert_eq!(error_of(line), expected, "{line}");
    }
}

#[test]
fn bad_fields_are_told_by_name() {
    let cases = [
        (r#""kind":"action","action":"x","value":NaN"#, "log:2:79: expected value"),
        (r#""kind":"action","action":"x","value":1e999"#, "log:2:83: number out of range"),
        (r#""kind":"action","action":"x","value":-0.5"#, "log:2: value is -0.5, allowed is 0 to 10000000"),
        (r#""kind":"action","action":"x","value":2e7"#, "log:2: value is 20000000, allowed is 0 to 10000000"),
        (r#""kind":"action","action":"x","segments":[]"#, "log:2: an action has no 'segments'"),
        (r#""kind":"opportunity","goal":"g""#, "log:2: an opportunity needs 'id'"),
        (
            r#""kind":"opportunity","goal":"g","id":"o","context":{"k":""}"#,
            "log:2: context: an identifier must not be empty",
        ),
        (r#""kind":"opportunity","goal":"g","id":"o","context":{"k":"v","k":"v"}"#, "log:2: context names 'k' twice"),
        (r#""kind":"opportunity","goal":"g","id":"o","numbers":{"k":1,"j":2,"k":3}"#, "log:2: numbers names 'k' twice"),
        (
            r#""kind":"opportunity","goal":"g","id":"o","numbers":[1]"#,
            "log:2:92: invalid type: sequence, expected an object of names and values",
        ),
    ];
    for (fields, expected) in cases {
        let line = format!(r#"{{"time_ms":5,"user":"u","advertiser":"a",{fields}}}"#);
        assert_eq!(error_of(&line), expected, "{line}");
    }
    let misspelt = error_of(r#"{"time_ms":5,"kind":"impression","id":"o","cost":1}"#);
    assert!(misspelt.starts_with("log:2:48: unknown field `cost`, expected one of `time_ms`, `kind`"), "{misspelt}");
}

#[test]
fn long_lists_are_refused() {
    let list = |entry: fn(usize) -> String, count| (0..count).map(entry).collect::<Vec<_>>().join(",");
    let line = |field: String| {
        format!(r#"{{"time_ms":5,"kind":"opportunity","id":"o","user":"u","advertiser":"a","goal":"g",{field}}}"#)
    };
    let context = |count| line(format!(r#""context":{{{}}}"#, list(|n| format!(r#""c{n}":"v""#), count)));
    let numbers = |count| line(format!(r#""numbers":{{{}}}"#, list(|n| format!(r#""n{n}":{n}"#), count)));
    let segments = |count| line(format!(r#""segments":[{}]"#, list(|n| format!(r#""p/{n}""#), count)));
    for good in [context(64), numbers(64), segments(256)] {
        assert!(Line::parse(good.as_bytes()).is_ok(), "{good}");
    }
    assert_eq!(error_of(&context(65)), "log:2: context: at most 64 entries, 65 found");
    assert_eq!(error_of(&numbers(65)), "log:2: numbers: at most 64 entries, 65 found");
    assert_eq!(error_of(&segments(257)), "log:2: segments: at most 256 entries, 257 found");
    let long = format!(r#"{{"time_ms":5,"kind":"impression","id":"{}"}}"#, "x".repeat(129));
    assert_eq!(error_of(&long), "log:2: id: an identifier has at most 128 bytes, this one has 129");
}

#[test]
fn long_lines_are_passed_over_without_being_kept() {
    let padded = |bytes: usize| format!("{GOOD}{}", " ".repeat(bytes - GOOD.len()));
    let log = Log::new(format!("{}\n{}\n{GOOD}\n", padded(LINE_BYTES_MAX), padded(4 * LINE_BYTES_MAX)).as_bytes());
    let (good, bad) = log.read();
    assert_eq!(good, [1, 3]);
    assert_eq!(bad, ["log:2: the line has more than 1048576 bytes"]);
    let mut reader = JourneyReader::open(&log.path).unwrap();
    reader.by_ref().for_each(drop);
    assert!(reader.buffer_capacity() < 3 * LINE_BYTES_MAX, "{}", reader.buffer_capacity());
}

#[test]
fn line_ends_and_blank_lines_do_not_matter() {
    for (log, numbers) in [
        (format!("{GOOD}\r\n\r\n\n{GOOD}"), vec![1, 4]),
        (format!("\n  \n{GOOD}\n\n"), vec![3]),
        (String::new(), vec![]),
    ] {
        assert_eq!(Log::new(log.as_bytes()).read(), (numbers, vec![]), "{log:?}");
    }
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn compressed_logs_are_known_by_their_bytes_and_may_be_joined() {
    let line = format!("{GOOD}\n");
    let zstd = |text: &str| zstd::encode_all(text.as_bytes(), 1).unwrap();
    for packed in [gzip(&line), zstd(&line)] {
        let log = Log::new(&packed.repeat(3));
        assert_eq!(log.read(), (vec![1, 2, 3], vec![]));
        let mut reader = JourneyReader::open(&log.path).unwrap();
        reader.by_ref().for_each(drop);
        assert_eq!((reader.bytes_read(), reader.bytes_total()), (3 * packed.len() as u64, 3 * packed.len() as u64));
    }
}

#[test]
fn a_log_cut_anywhere_says_so() {
    let text: String =
        (0..50).map(|n| format!("{{\"time_ms\":{n},\"kind\":\"impression\",\"id\":\"o{n}\"}}\n")).collect();
    let plain = Log::new(&text.as_bytes()[..text.len() - 10]);
    assert_eq!(plain.read(), ((1..50).collect(), vec!["log:50: the log is cut in the middle of this line".to_owned()]));

    for packed in [gzip(&text), zstd::encode_all(text.as_bytes(), 1).unwrap()] {
        for cut in [10, packed.len() / 2, packed.len() - 1] {
            let (good, bad) = Log::new(&packed[..cut]).read();
            let expected = format!("log: cannot be read beyond line {}: the compressed stream is cut", good.len());
            assert_eq!(bad, [expected], "cut at {cut} of {}", packed.len());
        }
        let mut damaged = packed.clone();
        damaged[packed.len() / 2] ^= 0x55;
        let (_, bad) = Log::new(&damaged).read();
        assert!(!bad.is_empty(), "a checksum fails at the latest at the end");
    }
}

/// An error with its causes, as a user is told.
fn chain(error: JourneyError) -> String {
    format!("{:#}", anyhow::Error::from(error))
}

#[test]
fn files_that_cannot_be_opened_are_named() {
    let missing = chain(JourneyReader::open("no/such/log").err().unwrap());
    assert_eq!(missing, "no/such/log: cannot be opened: No such file or directory (os error 2)");
    assert!(JourneyReader::open(std::env::temp_dir()).is_err(), "a directory is no log");
    let refused = chain(JourneyWriter::create("no/such/log.gz").err().unwrap());
    assert_eq!(refused, "no/such/log.gz: cannot be opened: No such file or directory (os error 2)");
}

#[test]
fn the_writer_refuses_what_no_reader_would_take() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("log");
    let mut writer = JourneyWriter::create(&path).unwrap();
    let impression = |time, cost| {
        let (time, cost) = (Timestamp(time), Some(Micros(cost)));
        Line::Impression(Impression { time, id: Id::literal("o"), cost, is_explored: false })
    };
    let refusal = |error: JourneyError| chain(error).replace(&format!("{}/", directory.path().display()), "");
    writer.write(&impression(5, 1)).unwrap();
    let error = writer.write(&impression(4, 1)).unwrap_err();
    assert_eq!(refusal(error), "log:2: time_ms is 4, before 5 of an earlier line: a log is sorted by time");
    let error = writer.write(&impression(6, -1)).unwrap_err();
    assert_eq!(refusal(error), "log:2: cost_micros is -1, allowed is 0 to 10000000000000");
    writer.write(&impression(5, 2)).unwrap();
    writer.finish().unwrap();
    assert_eq!(read(&path), [(1, impression(5, 1)), (2, impression(5, 2))]);
}

/// The lines of the format's description.
#[test]
fn the_json_is_as_documented() {
    let lines = [
        concat!(
            r#"{"time_ms":1,"kind":"action","user":"u","advertiser":"a","action":"view_item","#,
            r#""item":"sku","category":"c","value":22.0}"#
        ),
        concat!(
            r#"{"time_ms":2,"kind":"opportunity","id":"o1","user":"u","advertiser":"a","goal":"purchase","#,
            r#""campaign":"k","item":"sku","category":"c","context":{"country":"US"},"numbers":{"price":20.0},"#,
            r#""segments":["p/1"]}"#
        ),
        r#"{"time_ms":2,"kind":"impression","id":"o1","cost_micros":1200}"#,
        r#"{"time_ms":2,"kind":"impression","id":"o1","explored":true}"#,
        concat!(
            r#"{"time_ms":9,"kind":"conversion","id":"o1","user":"u","advertiser":"a","goal":"purchase","#,
            r#""item":"sku","category":"c","value":40.0}"#
        ),
    ];
    for json in lines {
        let mut written = Vec::new();
        Line::parse(json.as_bytes()).unwrap().write(&mut written).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), json);
    }
}

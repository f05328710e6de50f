//! The command as a user runs it: figures, files, and what is said when something is wrong.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use inkling::journey::Line;
use inkling::math::ln;
use serde_json::Value;

use crate::log::{Log, at, conversion, impression, opportunity, shoppers};

pub fn replay(arguments: &[&str]) -> (Option<i32>, String, String) {
    let binary = env!("CARGO_BIN_EXE_inkling");
    let output: Output = Command::new(binary).arg("replay").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

pub fn path(of: &Path) -> &str {
    of.to_str().unwrap()
}

pub fn json(arguments: &[&str]) -> Value {
    let (code, out, err) = replay(arguments);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    serde_json::from_str(&out).unwrap()
}

const KEYS: [&str; 9] = [
    "opportunities",
    "positives",
    "log_loss",
    "normalized_entropy",
    "auc",
    "pr_auc",
    "brier",
    "calibration",
    "top_decile_lift",
];

#[test]
fn figures_follow_from_the_predictions_that_are_written() {
    let log = Log::of(shoppers(400, 7));
    let file = log.path.with_file_name("predictions.csv");
    let report = json(&[
        path(&log.path),
        "--window",
        "1h",
        "--evaluate-from",
        "0",
        "--resamples",
        "50",
        "--json",
        "--predictions",
        path(&file),
    ]);
    for part in ["evaluated", "all"] {
        for key in KEYS {
            assert!(report[part][key].is_number(), "{part}.{key} is {}", report[part][key]);
        }
        let interval = &report[part]["intervals"]["log_loss"];
        let (low, high) = (interval[0].as_f64().unwrap(), interval[1].as_f64().unwrap());
        assert!(low < high && (low..high).contains(&report[part]["log_loss"].as_f64().unwrap()));
    }
    assert!(report["events_per_second"].as_f64().unwrap() > 0.0);
    let text = fs::read_to_string(&file).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split(',').collect()).collect();
    assert_eq!(text.lines().next(), Some("line,time_ms,id,user,advertiser,goal,p,converted,window_ends_ms,evaluated"));
    assert_eq!(rows.len() as u64, report["lines"]["opportunities"].as_u64().unwrap());
    // A window that was open at the end counts as negative in "all", but its outcome is not told.
    let judged = |is: &dyn Fn(&[&str]) -> bool| -> Vec<(f64, f64)> {
        let rows = rows.iter().filter(|row| is(row));
        rows.map(|row| (row[6].parse().unwrap(), row[7].parse().unwrap_or(0.0))).collect()
    };
    assert_figures(&report["all"], &judged(&|row| !row[8].is_empty()));
    assert_figures(&report["evaluated"], &judged(&|row| row[9] == "1"));
    let told = |row: &Vec<&str>| row[7].is_empty();
    assert!(rows.iter().all(|row| row[9] == "0" || !told(row)), "what is evaluated has a label");
    let open = rows.iter().filter(|row| told(row) && !row[8].is_empty()).count() as u64;
    let [of_all, of_evaluated] = ["all", "evaluated"].map(|part| report[part]["open_at_the_end"].as_u64().unwrap());
    assert!(open > 0 && open <= of_all - of_evaluated, "{open} {of_all} {of_evaluated}");
    let slices = report["contexts"].as_array().unwrap();
    let devices: f64 = slices
        .iter()
        .filter(|slice| slice["name"] == "device")
        .map(|slice| slice["opportunities"].as_f64().unwrap())
        .sum();
    assert_eq!(Some(devices), report["evaluated"]["opportunities"].as_f64());
    let days = report["days"].as_array().unwrap();
    let by_day: u64 = days.iter().map(|day| day["positives"].as_u64().unwrap()).sum();
    assert_eq!(Some(by_day), report["evaluated"]["positives"].as_u64());
}

fn assert_figures(part: &Value, judged: &[(f64, f64)]) {
    let count = judged.len() as f64;
    let loss: f64 = judged.iter().map(|(p, y)| -(y * ln(*p) + (1.0 - y) * ln(1.0 - p))).sum::<f64>() / count;
    let brier: f64 = judged.iter().map(|(p, y)| (p - y) * (p - y)).sum::<f64>() / count;
    let positives: f64 = judged.iter().map(|(_, y)| y).sum();
    let calibration = judged.iter().map(|(p, _)| p).sum::<f64>() / positives;
    assert_eq!((part["opportunities"].as_f64(), part["positives"].as_f64()), (Some(count), Some(positives)));
    for (key, expected) in [("log_loss", loss), ("brier", brier), ("calibration", calibration)] {
        assert!((part[key].as_f64().unwrap() - expected).abs() < 1e-9, "{key}: {} {expected}", part[key]);
    }
}

#[test]
fn the_tables_say_the_same_each_time() {
    let log = Log::of(shoppers(200, 7));
    let run = || replay(&[path(&log.path), "--window", "1h", "--resamples", "50"]);
    let stable = |(code, out, err): (Option<i32>, String, String)| {
        assert_eq!((code, err.as_str()), (Some(0), ""));
        let lines = out.lines().filter(|line| !line.contains("a second") && !line.contains("to find the settings"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let lines = stable(run());
    assert_eq!(lines[0], "seed 1, 50 resamples of the users");
    for head in ["LOG:", "QUALITY", "RELIABILITY", "GOALS", "SEGMENTS", "CONTEXT", "DAYS"] {
        assert!(lines.iter().any(|line| line.starts_with(head)), "{head}: {lines:#?}");
    }
    assert_eq!(lines, stable(run()));
}

#[test]
fn two_configurations_are_compared_pair_by_pair() {
    let log = Log::of(shoppers(300, 7));
    let config = |name: &str, rest: &str| {
        let file = log.path.with_file_name(name);
        let goals = |names: &[&str]| {
            names.iter().map(|name| format!("[[advertiser.goal]]\nname = \"{name}\"\n")).collect::<String>()
        };
        let (shop, club) = (goals(&["purchase", "sign_up"]), goals(&["join"]));
        let wave = "[[advertiser.action]]\nname = \"wave\"\n";
        let text =
            format!("{rest}\n[[advertiser]]\nid = \"shop\"\n{wave}{shop}\n[[advertiser]]\nid = \"club\"\n{wave}{club}");
        fs::write(&file, text).unwrap();
        file
    };
    let (a, b) = (config("a.toml", ""), config("b.toml", "[learner]\nalpha = 0.001"));
    let arguments = [path(&log.path), "--window", "1h", "--resamples", "50", "--json", "--compare", path(&a), path(&b)];
    let report = json(&arguments);
    let loss = &report["differences"]["log_loss"];
    assert_eq!(loss["a"], report["a"]["evaluated"]["log_loss"]);
    assert_eq!(loss["b"], report["b"]["evaluated"]["log_loss"]);
    assert!(loss["difference"].as_f64().unwrap() != 0.0 && loss["interval"].is_array());
    let same = json(&[&arguments[..7], &[path(&a), path(&a)]].concat());
    assert_eq!(same["differences"]["auc"]["interval"], serde_json::json!([0.0, 0.0]));
}

#[test]
fn a_log_in_several_files_is_one_log() {
    let lines = {
        let mut lines = shoppers(100, 3);
        lines.sort_by_key(Line::time);
        lines
    };
    let (whole, half) = (Log::of(lines.clone()), lines.len() / 2);
    let (first, second) = (Log::of(lines[..half].to_vec()), Log::of(lines[half..].to_vec()));
    let figures = |paths: &[&str]| {
        let mut report = json(&[paths, &["--window", "1h", "--resamples", "20", "--json"]].concat());
        report.as_object_mut().unwrap().retain(|key, _| ["evaluated", "all", "lines"].contains(&key.as_str()));
        report
    };
    assert_eq!(figures(&[path(&whole.path)]), figures(&[path(&first.path), path(&second.path)]));
    let (code, _, err) = replay(&[path(&second.path), path(&first.path), "--strict"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("log.ndjson:1") && err.contains("of an earlier line"), "{err}");
}

#[test]
fn bad_lines_are_counted_or_refused() {
    let mut text = fs::read(Log::of(shoppers(60, 3)).path).unwrap();
    text.extend_from_slice(b"{\"time_ms\":1}\nnonsense\n");
    let log = Log::text(&text);
    let arguments = [path(&log.path), "--window", "1h", "--resamples", "20"];
    let (code, out, err) = replay(&arguments);
    assert_eq!(code, Some(0));
    assert!(out.contains("  2 lines could not be read"), "{out}");
    assert_eq!(err.lines().filter(|line| line.starts_with("bad line: ")).count(), 2, "{err}");
    let (code, out, err) = replay(&[&arguments[..], &["--strict"]].concat());
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("log.ndjson:") && err.lines().count() <= 2, "{err}");
    // A mark that editors on Windows make is no fault of the first line.
    let marked = Log::text(&[b"\xef\xbb\xbf", text.as_slice()].concat());
    let (_, out, err) = replay(&[path(&marked.path), "--window", "1h", "--resamples", "20"]);
    assert!(out.contains("  2 lines could not be read"), "{out} {err}");
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    let ruined = Log::text(&[text.as_slice(), &b"nonsense\n".repeat(lines)].concat());
    let (code, _, err) = replay(&[path(&ruined.path), "--window", "1h", "--resamples", "20"]);
    assert!(code == Some(1) && err.contains("lines are bad, so these figures are those of a small part"), "{err}");
}

#[test]
fn what_cannot_be_evaluated_is_an_error_that_says_why() {
    let one = |lines| Log::of(lines);
    let shown = || vec![Line::Opportunity(opportunity(at(1), 1, "o")), impression(at(1), "o")];
    let acted = crate::log::action(at(0), 1, "view_item");
    let unshown = Line::Opportunity(opportunity(at(1), 1, "o"));
    let late = Line::Conversion(conversion(at(2), 1));
    for (log, expected) in [
        (Log::text(b""), "the log holds no opportunities"),
        (one(vec![acted.clone()]), "the log holds no opportunities"),
        (one(vec![unshown, late]), "no opportunity of the log has an impression"),
        (one(shown()), "no opportunity lies in the evaluated part, from 2023-11-14T22:14:20Z on with windows"),
    ] {
        let (code, _, err) = replay(&[path(&log.path)]);
        assert_eq!(code, Some(1));
        assert!(err.contains(expected), "{err}");
    }
    let log = one(shown());
    for (arguments, code, expected) in [
        (vec!["nowhere.ndjson"], 1, "nowhere.ndjson: cannot be opened"),
        (vec![path(&log.path), "--config", "nowhere.toml"], 1, "nowhere.toml"),
        (vec![path(&log.path), "--predictions", "/nowhere/p.csv"], 1, "/nowhere/p.csv: predictions cannot be written"),
        (vec![path(&log.path), "--window", "soon"], 2, "'soon' is no span of time"),
        (vec![path(&log.path), "--evaluate-from", "soon"], 2, "is neither a share such as 0.5"),
        (vec![], 2, "<LOG>..."),
    ] {
        let (exit, _, err) = replay(&arguments);
        assert_eq!(exit, Some(code), "{err}");
        assert!(err.contains(expected), "{err}");
    }
}

#[test]
fn no_log_is_written_over_read_twice_or_taken_from_a_pipe() {
    let log = Log::of(shoppers(60, 3));
    let before = fs::read(&log.path).unwrap();
    let refused = |arguments: &[&str], expected: &str| {
        let (code, out, err) = replay(arguments);
        assert_eq!((code, out.as_str()), (Some(1), ""));
        assert!(err.contains(expected), "{err}");
    };
    refused(&[path(&log.path), "--predictions", path(&log.path)], "is a log: write the predictions to another file");
    refused(&[path(&log.path), path(&log.path)], "given twice");
    refused(&["/dev/null"], "a pipe is read once");
    assert_eq!(fs::read(&log.path).unwrap(), before);

    // What stood there stays until all predictions are written.
    let file = log.path.with_file_name("p.csv");
    fs::write(&file, "precious").unwrap();
    let bad = Log::text(b"nonsense");
    refused(&[path(&bad.path), "--strict", "--predictions", path(&file)], "log.ndjson:1");
    assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    let (code, ..) = replay(&[path(&log.path), "--resamples", "20", "--predictions", path(&file)]);
    assert_eq!(code, Some(0));
    assert!(fs::read_to_string(&file).unwrap().starts_with("line,"));
    let beside = fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
    let mut beside: Vec<_> = beside.collect();
    beside.sort();
    assert_eq!(beside, ["log.ndjson", "p.csv"], "nothing stays behind");
    let config = log.path.with_file_name("my.toml");
    fs::write(&config, "[[advertiser]]\nid = \"shop\"\n").unwrap();
    refused(&[path(&log.path), "--config", path(&config), "--predictions", path(&config)], "is the configuration");
    let page = log.path.with_file_name("r.html");
    refused(&[path(&log.path), "--report", path(&page), "--predictions", path(&page)], "is the report");
    refused(&["-"], "a pipe is read once");
}

#[test]
fn different_labels_are_not_compared() {
    let log = Log::of(shoppers(60, 3));
    let config = |name: &str, window: &str| {
        let file = log.path.with_file_name(name);
        let goal = format!("name = \"purchase\"\nview_window = \"{window}\"\n");
        fs::write(&file, format!("[[advertiser]]\nid = \"shop\"\n[[advertiser.goal]]\n{goal}")).unwrap();
        file
    };
    let (a, b) = (config("a.toml", "1h"), config("b.toml", "2h"));
    let arguments = [path(&log.path), "--resamples", "20", "--compare", path(&a), path(&b)];
    let (code, _, err) = replay(&arguments);
    assert_eq!(code, Some(1));
    assert!(err.contains("goal 'purchase' counts conversions for 1h in"), "{err}");
    let (code, out, err) = replay(&[&arguments[..], &["--window", "1h"]].concat());
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("  opportunities ") && out.contains("no difference can be told"), "{out}");
}

/// One conversion that names its opportunity among others that do not says nothing about where the log was cut.
#[test]
fn open_windows_are_left_out_unless_all_conversions_name_their_opportunity() {
    let lines = |is_named: [bool; 2]| {
        let mut lines = Vec::new();
        for (number, is_named) in (0..40u32).zip(is_named.into_iter().cycle()) {
            let name = format!("o{number}");
            lines.extend([
                Line::Opportunity(opportunity(at(number.into()), number, &name)),
                impression(at(number.into()), &name),
            ]);
            let by = conversion(at(u64::from(number) + 1), number);
            lines.push(Line::Conversion(inkling::journey::Conversion {
                id: is_named.then(|| crate::log::id(name)),
                ..by
            }));
        }
        lines
    };
    let evaluated = |is_named| {
        let log = Log::of(lines(is_named));
        let report = json(&[path(&log.path), "--window", "10m", "--evaluate-from", "0", "--resamples", "20", "--json"]);
        report["evaluated"]["opportunities"].as_u64()
    };
    assert_eq!(evaluated([true, true]), Some(40));
    assert_eq!(evaluated([true, false]), Some(31), "the log ends a minute after the last");
}

#[test]
fn names_that_come_again_are_told() {
    let twice = || [Line::Opportunity(opportunity(at(1), 1, "o")), impression(at(1), "o")];
    let log = Log::of([twice(), twice()].concat());
    let (code, out, _) = replay(&[path(&log.path), "--window", "1m", "--evaluate-from", "0", "--resamples", "20"]);
    assert_eq!(code, Some(1), "no window closes before the log ends");
    assert!(out.contains("1 opportunities have the name of an earlier one that still waits"), "{out}");
}

//! `inkling replay --against`: what another model predicted, judged on the same opportunities.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use inkling::math::ln;
use serde_json::{Value, json};

use crate::command::{json, path, replay};
use crate::log::{Log, shoppers};

/// A log, and the file of what Inkling predicts for it.
fn predicted() -> (Log, PathBuf) {
    let log = Log::of(shoppers(300, 7));
    let file = log.path.with_file_name("ours.csv");
    json(&[path(&log.path), "--window", "1h", "--resamples", "20", "--json", "--predictions", path(&file)]);
    (log, file)
}

fn against(log: &Log, file: &str) -> Vec<String> {
    let options = ["--window", "1h", "--resamples", "50", "--against", file];
    [path(&log.path)].iter().chain(&options).map(|text| (*text).to_owned()).collect()
}

fn compared(log: &Log, file: &str) -> Value {
    let arguments = against(log, file);
    json(&arguments.iter().map(String::as_str).chain(["--json"]).collect::<Vec<_>>())
}

#[test]
fn a_replay_is_no_better_than_its_own_predictions() {
    let (log, ours) = predicted();
    let report = compared(&log, path(&ours));
    assert_eq!(report["against"], json!(path(&ours)));
    assert_eq!(report["compared"]["only_a"], 0);
    let evaluated = &report["a"]["evaluated"];
    assert_eq!(report["compared"]["opportunities"], evaluated["opportunities"].as_f64().unwrap() as u64);
    for (figure, one) in report["differences"].as_object().unwrap() {
        assert_eq!((&one["a"], &one["b"], &one["difference"]), (&evaluated[figure], &evaluated[figure], &json!(0.0)));
        assert_eq!(one["interval"], json!([0.0, 0.0]), "{figure}");
    }
}

/// The other model says the same of everybody, and nothing of every fourth opportunity.
#[test]
fn another_model_is_judged_on_what_it_predicted() {
    let (log, ours) = predicted();
    let mut table = csv::Reader::from_path(&ours).unwrap();
    let (mut rows, mut kept, mut left_out) = (String::from("p,goal,id\n"), Vec::new(), 0);
    for (number, row) in table.records().map(Result::unwrap).enumerate() {
        let is_evaluated = &row[9] == "1";
        if number % 4 == 0 {
            left_out += u64::from(is_evaluated);
            continue;
        }
        rows.push_str(&format!("0.2,{},{}\n", &row[5], &row[2]));
        kept.extend(is_evaluated.then(|| (row[6].parse::<f64>().unwrap(), &row[7] == "1")));
    }
    let file = log.path.with_file_name("theirs.csv");
    fs::write(&file, rows).unwrap();
    let report = compared(&log, path(&file));
    assert_eq!(report["compared"]["opportunities"], kept.len() as u64);
    assert!(left_out > 20 && report["compared"]["only_a"] == left_out, "{left_out}");
    let loss = |p: &dyn Fn(f64) -> f64| {
        let each = kept.iter().map(|(ours, positive)| -ln(if *positive { p(*ours) } else { 1.0 - p(*ours) }));
        each.sum::<f64>() / kept.len() as f64
    };
    let told = &report["differences"]["log_loss"];
    for (side, expected) in [("a", loss(&|ours| ours)), ("b", loss(&|_| 0.2))] {
        assert!((told[side].as_f64().unwrap() - expected).abs() < 1e-12, "{side}: {told} instead of {expected}");
    }
    let interval: [f64; 2] = serde_json::from_value(told["interval"].clone()).unwrap();
    let difference = told["difference"].as_f64().unwrap();
    assert!(interval[0] < difference && difference < interval[1], "{told}");

    let arguments = against(&log, path(&file));
    let (code, out, err) = replay(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains(&format!("A is Inkling, B is {}", path(&file))), "{out}");
    assert!(out.contains(&format!("  {left_out} opportunities are evaluated by A alone, and left out")), "{out}");
}

#[test]
fn mistakes_in_another_models_predictions_are_told() {
    let (log, ours) = predicted();
    let file = log.path.with_file_name("theirs.csv");
    let wrong = |text: &[u8], expected: &str| {
        fs::write(&file, text).unwrap();
        let arguments = against(&log, path(&file));
        let (code, out, err) = replay(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!((code, out.as_str()), (Some(1), ""), "{err}");
        assert!(err.contains("theirs.csv") && err.contains(expected), "{err}");
    };
    wrong(b"", "no column 'id': the first line names the columns");
    wrong(b"id,p\no-1,0.1\no-2,2\n", "line 3, column 'p': '2' is no probability");
    wrong(b"id,p\n\xff\xfe,0.1\n", "UTF-8");
    wrong(b"id,p\nnobody,0.1\n", "holds no prediction for any of the");
    fs::remove_file(&file).unwrap();
    let (code, _, err) = replay(&[path(&log.path), "--against", path(&file)]);
    assert!(code == Some(1) && err.contains("theirs.csv") && err.contains("No such file"), "{err}");
    let (code, _, err) = replay(&[path(&log.path), "--against", path(&ours), "--predictions", path(&ours)]);
    assert!(code == Some(1) && err.contains("is what is compared with"), "{err}");
}

/// A Python with what examples/python/rivals.py imports: the one that INKLING_PYTHON names, or that of the virtual
/// environment which .ci/run makes, or the system's.
fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = std::env::var_os("INKLING_PYTHON").map(PathBuf::from);
    let mut known = named.into_iter().chain([root.join("target/python/bin/python3"), PathBuf::from("python3")]);
    let has_learners = |python: &PathBuf| {
        let command = Command::new(python).args(["-c", "import lightgbm, numpy, vowpalwabbit"]).output();
        command.is_ok_and(|output| output.status.success())
    };
    let found = known.find(has_learners);
    if found.is_none() {
        println!("skipped: no python3 with vowpalwabbit and lightgbm; INKLING_PYTHON may name one");
    }
    found
}

/// What the learners of examples/python/rivals.py say of a log, one file each.
fn rivals(python: &Path, log: &Log, to: &Path) -> Vec<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/python/rivals.py");
    let output =
        Command::new(python).args(["-B", path(&script), path(&log.path), path(to), "--window", "1h"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(PathBuf::from).collect()
}

#[test]
fn vw_and_lightgbm_can_be_compared_with() {
    let Some(python) = python() else { return };
    let lines = shoppers(300, 7);
    let log = Log::of(lines.clone());
    let files = rivals(&python, &log, &log.path.with_file_name("rivals"));
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["vw-0.01.csv", "vw-0.03.csv", "vw-0.1.csv", "lightgbm.csv"]);
    for file in &files {
        let report = compared(&log, path(file));
        assert!(report["compared"]["opportunities"].as_u64().unwrap() > 100, "{report}");
        assert_eq!(report["compared"]["only_a"], 0, "{file:?}");
        let ordered = report["differences"]["auc"]["b"].as_f64().unwrap();
        assert!((0.4..1.0).contains(&ordered), "{file:?}: {ordered}");
    }

    // What comes later changes no prediction of VW: neither its features nor its labels look ahead.
    let mut lines = lines;
    lines.sort_by_key(inkling::journey::Line::time);
    lines.truncate(lines.len() * 2 / 3);
    let early = Log::of(lines);
    let of_early = rivals(&python, &early, &early.path.with_file_name("rivals"));
    let read = |file: &PathBuf| fs::read_to_string(file).unwrap();
    let (early, whole) = (read(&of_early[2]), read(&files[2]));
    assert!(early.lines().count() > 100 && whole.starts_with(&early) && whole.len() > early.len());
}

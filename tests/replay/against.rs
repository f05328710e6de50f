//! `inkling replay --against`: what another model predicted, judged on the same opportunities.

use std::fs;
use std::path::PathBuf;

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

//! The command as a user runs it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use inkling::market::stream::Stream;
use serde_json::Value;
use tempfile::TempDir;

fn simulate(arguments: &[&str]) -> (Option<i32>, String, String) {
    let binary = env!("CARGO_BIN_EXE_inkling");
    let output: Output = Command::new(binary).arg("simulate").args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn json(arguments: &[&str]) -> Value {
    let (code, out, err) = simulate(arguments);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    serde_json::from_str(&out).unwrap()
}

fn path(of: &Path) -> &str {
    of.to_str().unwrap()
}

/// A file in a directory of its own.
fn file(directory: &TempDir, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.path().join(name);
    fs::write(&path, text).unwrap();
    path
}

/// Auctions at prices 1 to 100 in turn, of which every 20th is clicked, with a probability that tells a little.
fn auctions(count: u32) -> String {
    let mut text = String::new();
    for number in 0..count {
        let clicked = number % 20 == 7;
        let pctr = if clicked || number % 3 == 0 { 0.08 } else { 0.03 };
        writeln!(text, "{}\t{}\t{pctr}\t{}", u8::from(clicked), 1 + number * 37 % 100, number / 500 % 24).unwrap();
    }
    text
}

#[test]
fn auctions_are_played_as_given_and_at_equal_spend() {
    let directory = TempDir::new().unwrap();
    let file = file(&directory, "auctions.txt", auctions(6_000));
    let arguments = [
        "--auctions",
        path(&file),
        "--episode",
        "500",
        "--budget-share",
        "0.2",
        "--bid",
        "constant=30",
        "--resamples",
        "50",
    ];
    let report = json(&[&arguments[..], &["--json"]].concat());
    assert_eq!((&report["auctions"], &report["clicks"]), (&6_000.into(), &300.into()));
    // Prices of an episode sum to 25,250; a constant 30 wins 150 of each for 2,325, which the budget allows.
    assert_eq!(report["rule"]["budget"], 5_050);
    let constant = &report["as_given"][0];
    assert_eq!((&constant["impressions"], &constant["cost"]), (&1_800.into(), &27_900.into()));
    let policies = report["equal_spend"]["policies"].as_array().unwrap();
    assert_eq!(policies.len(), 7);
    for policy in policies {
        let ratio = policy["spend_ratio"].as_f64().unwrap();
        let is_compared = policy["against_linear"].is_object();
        assert_eq!(is_compared, (ratio - 1.0).abs() <= 0.01 && policy["policy"] != "linear", "{policy}");
    }
    let (code, out, err) = simulate(&arguments);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("seed 1, 50 resamples of the 12 episodes\n"), "{out}");
    for head in ["AUCTIONS: 6,000 with 300 clicks", "AS GIVEN", "AT EQUAL SPEND", "truthful is not compared"] {
        assert!(out.contains(head), "{head}: {out}");
    }
    assert_eq!(simulate(&arguments).1, out);
}

/// A journey log, and prices for it.
fn log_and_prices(directory: &TempDir) -> (PathBuf, PathBuf) {
    let mut text = Vec::new();
    for line in (Stream { users: 2_000, days: 20, level: 1.0, ..Stream::default() }).make().lines {
        line.write(&mut text).unwrap();
        text.push(b'\n');
    }
    let log = file(directory, "log.ndjson", text);
    let prices = (1..=100).map(|price| format!("a,{price},{}\nb,{price},1\n", 101 - price)).collect::<String>();
    (log, file(directory, "prices.csv", format!("campaign,price_fen_cpm,auctions\n{prices}")))
}

#[test]
fn a_log_is_played_at_prices() {
    let directory = TempDir::new().unwrap();
    let (log, prices) = log_and_prices(&directory);
    let arguments = [
        "--journey",
        path(&log),
        "--landscape",
        path(&prices),
        "--campaign",
        "b",
        "--window",
        "2h",
        "--seeds",
        "3",
        "--resamples",
        "50",
        "--correlation",
        "0.3",
    ];
    let report = json(&[&arguments[..], &["--json"]].concat());
    assert_eq!((&report["flat_bid"], &report["landscape"]["auctions"]), (&30.into(), &100.into()), "30 in 100 are won");
    let off = |world: &Value| (world["spend_ratio"].as_f64().unwrap() - 1.0).abs();
    let worst = report["worlds"].as_array().unwrap().iter().map(off).fold(0.0, f64::max);
    assert_eq!(report["spend_off_at_most"].as_f64(), Some(worst));
    assert!(worst < 0.03, "{report}");
    let policies = report["policies"].as_array().unwrap();
    assert_eq!(policies[1]["against_flat"].is_null(), worst > 0.01, "compared at equal spend alone: {report}");
    assert!(policies[2]["hits"].as_f64().unwrap() > policies[0]["hits"].as_f64().unwrap());
    assert_eq!(report["worlds"].as_array().unwrap().len(), 3);
    let (code, out, err) = simulate(&arguments);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.starts_with("seeds 1 to 3, 50 resamples of users and seeds\n"), "{out}");
    assert_eq!(out.contains("NOT EQUAL"), worst > 0.01, "{out}");
    assert_eq!(simulate(&arguments).1, out);
}

#[test]
fn a_log_is_played_at_prices_under_a_configuration() {
    let directory = TempDir::new().unwrap();
    let (log, prices) = log_and_prices(&directory);
    let config = |name: &str, goal: &str, rest: &str| {
        let text = format!("[[advertiser]]\nid = \"shop\"\n[[advertiser.goal]]\nname = \"{goal}\"\n{rest}\n");
        file(&directory, name, text)
    };
    let with = |config: &Path| {
        let arguments = ["--journey", path(&log), "--landscape", path(&prices), "--seeds", "1", "--resamples", "20"];
        [&arguments[..], &["--config", path(config)]].concat().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let run = |config: &Path| simulate(&with(config).iter().map(String::as_str).collect::<Vec<_>>());
    let report = |config: &Path| {
        let arguments = with(config);
        json(&arguments.iter().map(String::as_str).chain(["--json"]).collect::<Vec<_>>())
    };
    // A multiplier that may only be 1 is the flat bid.
    let narrow = config("narrow.toml", "purchase", "multiplier = { min = 1.0, max = 1.0 }");
    let flat = report(&narrow);
    assert_eq!((&flat["config"], &flat["refused"]), (&path(&narrow).into(), &serde_json::json!({})));
    assert_eq!(flat["policies"][1]["hits"], flat["policies"][0]["hits"]);
    let wide = config("wide.toml", "purchase", "click_window = \"30m\"\nview_window = \"30m\"");
    let wide = report(&wide);
    assert!(wide["policies"][1]["hits"].as_f64() > wide["policies"][0]["hits"].as_f64(), "{wide}");
    assert!(wide["policies"][0]["hits"].as_f64() < flat["policies"][0]["hits"].as_f64(), "the window is its own");
    // Who has just converted is not bid for: that saves what their impressions cost, and others are won for it.
    let windows = "click_window = \"30m\"\nview_window = \"30m\"";
    let patient =
        report(&config("patient.toml", "purchase", &format!("{windows}\nsuppress_after_conversion = \"20d\"")));
    assert_ne!(patient["policies"][1]["impressions"], wide["policies"][1]["impressions"]);
    assert_eq!(patient["policies"][0], wide["policies"][0], "the flat bid is what it was");
    let hurried = "click_window = \"1m\"\nview_window = \"1m\"";
    let (code, _, err) = run(&config("hurried.toml", "purchase", hurried));
    assert!(code == Some(1) && err.contains("opportunities that are evaluated converts: is the window"), "{err}");
    let (code, _, err) = run(&config("other.toml", "sign_up", ""));
    assert!(code == Some(1) && err.contains("could be scored: goal 'purchase' is not configured"), "{err}");
    let (code, _, err) = run(&directory.path().join("no.toml"));
    assert!(code == Some(1) && err.contains("no.toml"), "{err}");
}

/// What is said of one kind of market and would be left out of another is refused, not passed over.
#[test]
fn options_of_another_kind_of_market_are_refused() {
    let kinds = [["simulations/spend.toml", "--json"], ["--auctions", "a.txt"], ["--journey", "j.ndjson"]];
    let options: [(&[&str], usize); 13] = [
        (&["--policies", "flat"], 0),
        (&["--threads", "1"], 0),
        (&["--train", "t.txt"], 1),
        (&["--rule", "episodes"], 1),
        (&["--episode", "500"], 1),
        (&["--budget", "5"], 1),
        (&["--budget-share", "0.1"], 1),
        (&["--bid", "linear=75"], 1),
        (&["--spend-share", "0.4"], 1),
        (&["--window", "3d"], 2),
        (&["--evaluate-from", "0.4"], 2),
        (&["--win-rate", "0.4"], 2),
        (&["--correlation", "0.1"], 2),
    ];
    for (option, its) in options {
        for (place, kind) in kinds.iter().enumerate().filter(|(place, _)| *place != its) {
            let landscape: &[&str] = if place == 2 { &["--landscape", "l.csv"] } else { &[] };
            let (code, out, err) = simulate(&[kind, landscape, option].concat());
            let is_told = err.contains("cannot be used with") || err.contains("required arguments were not provided");
            assert!(code == Some(2) && out.is_empty() && is_told, "{kind:?} {option:?}: {err}");
        }
    }
    for wrong in [
        &["simulations/spend.toml", "--resamples", "50"][..],
        &["--auctions", "a.txt", "--seeds", "3"],
        &["--auctions", "a.txt", "--landscape", "l.csv"],
        &["--auctions", "a.txt", "--config", "c.toml"],
    ] {
        let (code, _, err) = simulate(wrong);
        assert!(code == Some(2) && err.contains("cannot be used with"), "{wrong:?}: {err}");
    }
}

#[test]
fn mistakes_are_told() {
    let directory = TempDir::new().unwrap();
    let bad = file(&directory, "bad.txt", "0 1 0.1\n0 x 0.1\n");
    let good = file(&directory, "good.txt", "0 1 0.1\n");
    let empty = file(&directory, "empty.csv", "campaign,price_fen_cpm,auctions\n");
    let (bad, good, empty) = (path(&bad), path(&good), path(&empty));
    let cases: [(&[&str], i32, &str); 9] = [
        (&[], 2, "there is no market to simulate"),
        (&["--auctions", bad], 1, "bad.txt:2: market_price is 'x', allowed is a whole number from 0 to 1000000"),
        (&["--auctions", "no/such"], 1, "no/such: cannot be opened"),
        (&["--auctions", good, "--journey", good], 2, "cannot be used with"),
        (&["--auctions", good, "--bid", "liner=3"], 2, "'liner' is no policy; did you mean 'linear'?"),
        (&["--auctions", good, "--budget", "0"], 1, "the budget is 0"),
        (&["--journey", good], 2, "--landscape"),
        (&["--journey", good, "--landscape", empty], 1, "empty.csv: caused by no auctions; none is known"),
        (&["--journey", good, "--landscape", empty, "--correlation", "1.5"], 2, "between -1 and 1"),
    ];
    for (arguments, code, expected) in cases {
        let (exited, out, err) = simulate(arguments);
        assert_eq!((exited, out.as_str()), (Some(code), ""), "{arguments:?}: {err}");
        assert!(err.contains(expected), "{arguments:?}: {err}");
    }
}

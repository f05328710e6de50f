//! Tuning on logs: what they must hold, and what is counted.

use std::fmt::Write;
use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::command::{MARKET, Shop};

const CONFIG: &str = "[[advertiser]]\nid = \"a\"\n[[advertiser.goal]]\nname = \"purchase\"\nview_window = \"1m\"\n\
                      click_window = \"1m\"\nmultiplier = { baseline = \"goal\" }\n";

/// A log of so many opportunities, five minutes apart, of whose impressions every sixth converts, with this behind its
/// conversions.
fn log(count: u64, converts: bool, rest: &str) -> String {
    let mut log = String::new();
    for number in 0..count {
        let at = 1_767_225_600_000u64 + number * 300_000;
        let who = format!("\"user\":\"u{}\",\"advertiser\":\"a\"", number % 150);
        let id = format!("\"id\":\"o{number}\"");
        writeln!(log, "{{\"time_ms\":{at},\"kind\":\"opportunity\",{id},{who},\"goal\":\"purchase\"}}").unwrap();
        writeln!(log, "{{\"time_ms\":{at},\"kind\":\"impression\",{id}}}").unwrap();
        if converts && number % 6 == 0 {
            let at = at + 1_000;
            let line = format!("\"kind\":\"conversion\",{who},\"goal\":\"purchase\",{id}{rest}");
            writeln!(log, "{{\"time_ms\":{at},{line}}}").unwrap();
        }
    }
    log
}

/// Exit code, output and complaints of tuning on `log.ndjson`.
fn tune(shop: &Shop, arguments: &[&str]) -> (Option<i32>, String, String) {
    fs::write(shop.path("log.toml"), CONFIG).unwrap();
    let prices = "campaign,price_fen_cpm,auctions\n1,10,5\n1,20,5\n1,40,5\n1,80,5\n";
    fs::write(shop.path("prices.csv"), prices).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_inkling"));
    command.current_dir(&shop.0).args(["tune", "log.ndjson", "--config", "log.toml", "--out", "tuned.toml"]);
    command.args(["--landscape", "prices.csv", "--plays-max", "4", "--only", "exponent", "--resamples", "50"]);
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_log_without_what_is_asked_for_is_refused() {
    let shop = Shop::new(MARKET);
    let told = |log: &str, arguments: &[&str], expected: &str| {
        fs::write(shop.path("log.ndjson"), log).unwrap();
        let (code, said, complaints) = tune(&shop, arguments);
        assert_eq!((code, said.as_str()), (Some(1), ""), "{complaints}");
        assert!(complaints.contains(expected), "{expected}: {complaints}");
    };
    let whole = log(200, true, "");
    told(&whole, &["--kpi", "incremental"], "does not say who would have converted without the ad");
    told(&whole, &["--kpi", "value"], "conversions in the days that are searched states a value");
    told(&log(200, false, ""), &[], "in the days that are searched converts");
    told("", &[], "log.ndjson: caused by the log holds no opportunities");
    // One moment only: no day is left to be judged on.
    told(&log(1, true, ""), &[], "no opportunity of the configuration's advertiser");
    told(&whole, &["--held-out-from", "2027-01-01"], "lies in the days that are judged");
    told(&whole, &["--search-from", "0.7"], "--search-from must lie before --held-out-from");
    told(&whole.replace("\"a\"", "\"other\""), &[], "could be scored: advertiser 'other' is not configured");
    assert!(!shop.path("tuned.toml").exists());
}

#[test]
fn value_counts_what_conversions_are_worth() {
    let shop = Shop::new(MARKET);
    fs::write(shop.path("log.ndjson"), log(400, true, ",\"value\":12.5")).unwrap();
    let (code, said, complaints) = tune(&shop, &["--kpi", "value"]);
    assert_eq!(code, Some(0), "{complaints}");
    assert!(said.contains("value of each one's first conversion; 47 of 47 state one"), "{said}");
    let told = |kpi| {
        let (code, said, complaints) = tune(&shop, &["--kpi", kpi, "--json"]);
        assert_eq!(code, Some(0), "{complaints}");
        serde_json::from_str::<Value>(&said).unwrap()
    };
    // Where all are worth the same, the same is found.
    let [value, conversions] = [told("value"), told("conversions")];
    assert_eq!((&value["kpi"], &conversions["kpi"]), (&"value".into(), &"conversions".into()));
    for field in ["search", "changes", "is_gain"] {
        assert_eq!(value[field], conversions[field]);
    }
}

//! Logs that look sound and are not: what is said of them, and when a replay fails over it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use inkling::journey::{Conversion, Line, Opportunity};
use inkling::units::Timestamp;

use crate::command::{json, path, replay};
use crate::log::{Log, action, at, conversion, id, impression, opportunity, shoppers};

const HOUR: u64 = 60;

/// Opportunities every hour, each of a user of its own; every second one converts, after up to `delay` hours, if
/// `keeps` says so of the hour. The conversion names its opportunity.
fn delayed(hours: u64, delay: u64, keeps: impl Fn(u64) -> bool) -> Vec<Line> {
    let mut lines = Vec::new();
    for hour in 0..hours {
        let (name, user) = (format!("o{hour}"), hour as u32);
        lines
            .extend([Line::Opportunity(opportunity(at(hour * HOUR), user, &name)), impression(at(hour * HOUR), &name)]);
        let after = hour + 1 + hour * 7 % delay;
        if hour % 2 == 0 && keeps(after) {
            let by = conversion(at(after * HOUR), user);
            lines.push(Line::Conversion(Conversion { id: Some(id(&name)), ..by }));
        }
    }
    lines
}

#[test]
fn a_log_that_was_cut_by_time_does_not_count_its_open_windows() {
    let log = Log::of(delayed(336, 168, |hour| hour < 336));
    let run = |of: &[&str]| json(&[&[path(&log.path), "--window", "7d", "--resamples", "20", "--json"], of].concat());
    let evaluated = |report: &serde_json::Value| {
        let of = &report["evaluated"];
        ["opportunities", "open_at_the_end", "conversions_missing"].map(|key| of[key].as_f64().unwrap())
    };
    // Windows of opportunities from hour 168 on end behind the log, which ends in hour 335.
    assert_eq!(evaluated(&run(&["--evaluate-from", "0"])), [168.0, 0.0, 0.0]);
    assert_eq!(evaluated(&run(&["--evaluate-from", "0", "--open-windows", "leave-out"])), [168.0, 0.0, 0.0]);
    let [all, open, missing] = evaluated(&run(&["--evaluate-from", "0", "--open-windows", "count"]));
    assert_eq!((all, open), (336.0, 168.0));
    // Of the 84 that convert, half do behind the end of the log; its delays are the shorter for that.
    assert!((12.0..42.0).contains(&missing), "{missing}");
    let warned = |of: &str| {
        let (code, out, err) =
            replay(&[path(&log.path), "--window", "7d", "--evaluate-from", "0", "--open-windows", of]);
        assert_eq!(code, Some(0), "{err}");
        out.contains("pass --open-windows leave-out")
    };
    assert_eq!([warned("count"), warned("auto")], [true, false]);
}

#[test]
fn a_log_that_was_cut_by_its_opportunities_counts_them() {
    let whole = Log::of(delayed(336, 168, |_| true));
    let report = json(&[path(&whole.path), "--window", "7d", "--evaluate-from", "0", "--resamples", "20", "--json"]);
    let of = &report["evaluated"];
    assert_eq!(of["opportunities"].as_u64(), Some(336));
    let missing = of["conversions_missing"].as_f64().unwrap();
    assert!(of["open_at_the_end"].as_u64().unwrap() > 0 && missing < 1.0, "{of}");
    // So does one whose conversions come at once: an hour behind the last opportunity nothing is missing.
    let soon = Log::of(delayed(336, 1, |_| true));
    let report = json(&[path(&soon.path), "--window", "7d", "--evaluate-from", "0", "--resamples", "20", "--json"]);
    assert_eq!(report["evaluated"]["opportunities"].as_u64(), Some(336));
}

/// The shoppers' log with its conversions changed.
fn changed(mut change: impl FnMut(&mut Conversion)) -> Log {
    let mut lines = shoppers(200, 7);
    for line in &mut lines {
        if let Line::Conversion(conversion) = line {
            change(conversion);
        }
    }
    Log::of(lines)
}

#[test]
fn conversions_that_join_nothing_are_a_failure_with_its_cause() {
    let upper = |text: &inkling::ids::Id| id(text.as_str().to_uppercase());
    let cases = [
        (changed(|one| one.goal = upper(&one.goal)), "has ", " and no opportunities: did you mean 'join'?"),
        (
            changed(|one| (one.user, one.id) = (upper(&one.user), None)),
            "their users had no opportunity",
            "users named alike",
        ),
        (changed(|one| one.id = Some(id("order 17"))), "their id names no opportunity", "not of an order"),
        (changed(|one| one.time = Timestamp(one.time.0 + 864_000_000)), "outside of the label window", "--window"),
    ];
    for (log, cause, remedy) in cases {
        let (code, out, err) = replay(&[path(&log.path), "--window", "1h", "--resamples", "20"]);
        assert_eq!(code, Some(1), "{out}{err}");
        assert!(err.contains("no opportunity became positive, though the log holds "), "{err}");
        assert!(err.contains(cause) && err.contains(remedy), "{err}");
        assert!(out.contains("CONVERSIONS: 0 made an opportunity positive"), "{out}");
    }
}

#[test]
fn what_became_of_conversions_is_counted() {
    let log = changed(|one| {
        if one.goal.as_str() == "join" {
            one.goal = id("Join");
        }
    });
    let arguments = [path(&log.path), "--window", "1h", "--resamples", "20", "--evaluate-from", "0"];
    let report = json(&[&arguments[..], &["--json"]].concat());
    let of = &report["conversions"];
    let positives = report["all"]["positives"].as_u64().unwrap();
    assert!(of["made_positive"].as_u64().unwrap() > 0 && of["made_positive"].as_u64().unwrap() <= positives, "{of}");
    let alone = &of["goals_without_opportunities"][0];
    assert_eq!((alone["advertiser"].as_str(), alone["goal"].as_str()), (Some("club"), Some("Join")));
    assert_eq!(of["joined_nothing"]["goal_without_opportunity"], alone["conversions"]);
    let nothing: u64 = of["joined_nothing"].as_object().unwrap().values().map(|many| many.as_u64().unwrap()).sum();
    let told = ["made_positive", "already_positive", "outside_window"].map(|key| of[key].as_u64().unwrap());
    assert_eq!(Some(told.iter().sum::<u64>() + nothing), report["lines"]["conversions"].as_u64());
    let (code, out, _) = replay(&arguments);
    assert_eq!(code, Some(0));
    assert!(out.contains("goal 'Join' of advertiser 'club' has ") && out.contains("did you mean 'join'?"), "{out}");
}

#[test]
fn a_log_without_conversions_is_told() {
    let lines = || shoppers(100, 7).into_iter().filter(|line| !matches!(line, Line::Conversion(_)));
    let log = Log::of(lines().collect());
    let (code, out, _) = replay(&[path(&log.path), "--window", "1h", "--resamples", "20"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("holds no conversions") && out.contains("pass --config with its converting_action"), "{out}");
    // Conversions that were put behind the rest are bad lines, all of them.
    let mut text = fs::read(&log.path).unwrap();
    for line in shoppers(100, 7).into_iter().filter(|line| matches!(line, Line::Conversion(_))) {
        let Line::Conversion(one) = line else { continue };
        Line::Conversion(Conversion { time: at(1), ..one }).write(&mut text).unwrap();
        text.push(b'\n');
    }
    let (code, out, err) = replay(&[path(&Log::text(&text).path), "--window", "1h", "--resamples", "20"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("sort the log by time_ms"), "{err}");
    assert!(out.contains("ahead of the ") && out.contains("time_ms lies before that of an earlier line"), "{out}");
}

#[test]
fn seconds_are_not_taken_for_milliseconds_in_silence() {
    let seconds = |time: Timestamp| Timestamp(time.0 / 1_000);
    let mut lines = Vec::new();
    for number in 0..40u32 {
        let (name, time) = (format!("o{number}"), seconds(at(u64::from(number) * HOUR)));
        lines.extend([Line::Opportunity(opportunity(time, number, &name)), impression(time, &name)]);
        lines.push(Line::Conversion(Conversion { id: Some(id(&name)), ..conversion(Timestamp(time.0 + 9), number) }));
    }
    let (code, out, err) = replay(&[path(&Log::of(lines).path), "--window", "1m", "--resamples", "20"]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("TO BE SEEN TO") && out.contains("these look like seconds"), "{out}");
    let micros = r#"{"time_ms":1700000000000000,"kind":"impression","id":"o"}"#;
    let (code, out, _) = replay(&[path(&Log::text(micros.as_bytes()).path), "--window", "1m", "--resamples", "20"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("are some in microseconds?"), "{out}");
    let sound = Log::of(shoppers(60, 3));
    let (_, out, _) = replay(&[path(&sound.path), "--window", "1h", "--resamples", "20"]);
    assert!(!out.contains("look like seconds"), "{out}");
}

fn config(log: &Log, name: &str, goal: &str) -> PathBuf {
    let file = log.path.with_file_name(name);
    let text = format!("[[advertiser]]\nid = \"shop\"\n[[advertiser.goal]]\nname = \"purchase\"\n{goal}");
    fs::write(&file, text).unwrap();
    file
}

#[test]
fn labels_that_differ_are_not_compared() {
    let mut lines = delayed(60, 1, |_| true);
    for hour in (0..60u64).filter(|hour| hour % 3 == 1) {
        lines.push(action(at(hour * HOUR + 5), hour as u32, "add_to_cart"));
    }
    let log = Log::of(lines);
    let (plain, cart) = (config(&log, "a.toml", ""), config(&log, "b.toml", "converting_action = \"add_to_cart\"\n"));
    let run = |a: &PathBuf, b: &PathBuf, from: &str| {
        replay(&[path(&log.path), "--window", "2h", "--evaluate-from", from, "--compare", path(a), path(b)])
    };
    let (code, out, err) = run(&plain, &cart, "0");
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        err.contains("is positive under one configuration only, as are ") && err.contains("converting_action"),
        "{err}"
    );
    let (code, out, err) = run(&plain, &plain, "0.9");
    assert_eq!(code, Some(0), "{err}");
    assert!(!out.contains("no difference can be told") && out.contains("–"), "six users have no interval: {out}");
}

#[test]
fn the_rate_of_the_whole_log_is_not_called_known() {
    let log = Log::of(delayed(336, 1, |_| true));
    let run = |window: &str| {
        let arguments = [path(&log.path), "--window", window, "--resamples", "20"];
        let report = json(&[&arguments[..], &["--json"]].concat());
        (report["evaluated"]["constant_rate_of_whole_log"].as_bool().unwrap(), replay(&arguments).1)
    };
    let (is_whole, out) = run("1d");
    assert!(!is_whole && out.contains("always saying the rate known by then"), "{out}");
    let (is_whole, out) = run("14d");
    assert!(is_whole && out.contains("always saying the rate of the whole log"), "{out}");
}

/// Two goals of which one converts always and the other hardly ever: nothing but the goal tells them apart.
#[test]
fn a_difference_between_goals_is_no_skill() {
    let lines = delayed(400, 1, |_| true).into_iter().map(|line| match line {
        Line::Opportunity(one) if one.id.as_str()[1..].parse::<u32>().unwrap() % 2 == 1 => {
            Line::Opportunity(Opportunity { goal: id("sign_up"), ..one })
        }
        line => line,
    });
    let log = Log::of(lines.collect());
    let arguments = [path(&log.path), "--window", "2h", "--evaluate-from", "0.5", "--resamples", "20"];
    let report = json(&[&arguments[..], &["--json"]].concat());
    assert!(report["evaluated"]["auc"].as_f64().unwrap() > 0.99, "the goal tells all");
    let constant = report["evaluated"]["constant_log_loss"].as_f64().unwrap();
    assert!(constant < 0.01, "who knows each goal's rate knows as much: {constant}");
    assert!(report["goals"].as_array().unwrap().iter().all(|goal| goal["constant_log_loss"].is_number()));
    let (_, out, _) = replay(&arguments);
    assert!(out.contains("compare across goals") && out.contains("of its bare rate"), "{out}");
}

#[test]
fn a_log_comes_from_standard_input_where_a_configuration_is_given() {
    let log = Log::of(delayed(60, 1, |_| true));
    let config = config(&log, "a.toml", "");
    let mut run = Command::new(env!("CARGO_BIN_EXE_inkling"))
        .args(["replay", "-", "--config", path(&config), "--window", "2h", "--resamples", "20"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    run.stdin.take().unwrap().write_all(&fs::read(&log.path).unwrap()).unwrap();
    let output = run.wait_with_output().unwrap();
    assert!(output.status.success() && String::from_utf8(output.stdout).unwrap().contains("60 opportunities"));
}

#[test]
fn names_that_no_feature_is_made_of_are_told() {
    let lines = delayed(60, 1, |_| true).into_iter().map(|line| match line {
        Line::Opportunity(one) => Line::Opportunity(Opportunity {
            context: (0..13).map(|number| (id(format!("c{number}")), id("x"))).collect(),
            numbers: (0..8).map(|number| (id(format!("n{number}")), 1.0)).collect(),
            segments: (0..9).map(|number| id(format!("p/{number}"))).collect(),
            ..one
        }),
        line => line,
    });
    let log = Log::of(lines.collect());
    let arguments = [path(&log.path), "--window", "2h", "--resamples", "20"];
    let report = json(&[&arguments[..], &["--json"]].concat());
    let unused = report["unused"].as_array().unwrap();
    let names: Vec<&str> = unused.iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["c12", "n6", "n7", "p/8"]);
    assert!(unused.iter().all(|one| one["opportunities"] == 60), "{unused:?}");
    let (_, out, _) = replay(&arguments);
    assert!(out.contains("are context c12, number n6, number n7, segment p/8"), "{out}");
}

#[test]
fn a_time_far_ahead_is_told_by_its_line() {
    let mut text = fs::read(Log::of(delayed(60, 1, |_| true)).path).unwrap();
    let ahead = |text: &mut Vec<u8>| {
        action(at(9_000_000), 1, "view_item").write(text).unwrap();
        text.push(b'\n');
    };
    let half = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(119).unwrap().0 + 1;
    let mut rest = text.split_off(half);
    ahead(&mut text);
    text.append(&mut rest);
    let (_, out, _) = replay(&[path(&Log::text(&text).path), "--window", "2h", "--resamples", "20"]);
    assert!(out.contains("line 121 lies 624") && out.contains("d ahead of the 30 bad lines after it"), "{out}");
    assert!(out.contains("30 lines could not be read, 19.9 % of the log"), "{out}");
}

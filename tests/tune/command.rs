//! Files, mistakes and interruptions.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A market that is played in a moment. Bids in proportion to more than the probability pay in it, as its budget is
/// small.
pub const MARKET: &str = r#"
question = "Quick?"
days = 8
warm_up_days = 2
shoppers = 1500
window = "2d"
[activity]
ads_per_day = 0.5
visits_per_day = 0.1
[[intent]]
name = "anyone"
buys = 0.2
acts = { add_to_cart = 0.1 }
[ad]
response = -3.0
[[segment]]
external = "data/keen"
share = 0.3
pull = 0.9
[[segment]]
external = "data/cold"
share = 0.3
pull = -0.9
[[segment]]
external = "data/other"
share = 0.2
[[campaign]]
name = "main"
budget_per_day = 0.3
"#;

pub const CONFIG: &str = r#"# Who reads this, beware.
[[advertiser]]
id = "shop"   # the only one
[[advertiser.goal]]
name = "purchase"
converting_action = "purchase"
click_window = "2d"
view_window = "1m"

# Keen ones first.
[[advertiser.segment]]
external = "data/keen"
weight = 1.0 # as yet
[[advertiser.segment]]
external = "data/cold"
[[advertiser.segment]]
external = "data/other"
"#;

/// A directory with a market and a configuration.
pub struct Shop(pub TempDir);

impl Shop {
    pub fn new(market: &str) -> Shop {
        let shop = Shop(TempDir::new().unwrap());
        fs::write(shop.path("market.toml"), market).unwrap();
        fs::write(shop.path("config.toml"), CONFIG).unwrap();
        shop
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn command(&self, out: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inkling"));
        command.current_dir(&self.0).args(["tune", "market.toml", "--config", "config.toml", "--out", out]);
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Exit code, output and complaints.
    pub fn tune(&self, out: &str, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.command(out, arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    /// Names of all files.
    pub fn files(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = fs::read_dir(&self.0).unwrap().map(name).collect();
        names.sort();
        names
    }
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

const FEW: [&str; 5] = ["--segments-only", "--seeds", "6", "--held-out", "6"];

#[test]
fn comments_stay_and_the_same_comes_out_twice() {
    let shop = Shop::new(MARKET);
    let (code, said, complaints) = shop.tune("out.toml", &FEW);
    assert_eq!((code, complaints.as_str()), (Some(0), ""), "quiet where piped: {said}");
    assert!(said.starts_with("searched on seeds 1 to 6, judged on seeds 7 to 12\nQuick?\n"), "{said}");
    assert!(said.contains("\nGAIN: +") && said.contains("written to out.toml"), "{said}");
    let tuned = read(shop.path("out.toml"));
    let unchanged = |line: &&str| line.starts_with('#') || line.contains("# the only one") || line.starts_with('[');
    assert!(CONFIG.lines().filter(unchanged).eq(tuned.lines().filter(unchanged)), "{tuned}");
    assert!(tuned.lines().any(|line| line.starts_with("weight = 2.") && line.ends_with(" # as yet")), "{tuned}");
    assert_eq!(read(shop.path("config.toml")), CONFIG);
    let again = shop.tune("again.toml", &[&FEW[..], &["--threads", "1"]].concat());
    assert_eq!(again.1.replace("again.toml", "out.toml"), said);
    assert_eq!(read(shop.path("again.toml")), tuned);
    // What is tuned in its place, from where it stands, is found to be right.
    let (code, said, _) = shop.tune("config.toml", &FEW);
    assert_eq!((code, read(shop.path("config.toml"))), (Some(0), tuned.clone()), "{said}");
    let (_, said, _) = shop.tune("config.toml", &FEW);
    assert!(said.contains("NO GAIN") && said.contains("nothing was written"), "{said}");
    assert_eq!(read(shop.path("config.toml")), tuned);
    assert_eq!(shop.files(), ["again.toml", "config.toml", "market.toml", "out.toml"]);
}

#[test]
fn mistakes_are_told_before_anything_is_searched() {
    let shop = Shop::new(MARKET);
    fs::write(shop.path("there.toml"), "precious").unwrap();
    let told = |out: &str, arguments: &[&str], expected: &str| {
        let (code, said, complaints) = shop.tune(out, arguments);
        assert_eq!((code, said.as_str()), (Some(1), ""), "{complaints}");
        assert!(complaints.contains(expected), "{expected}: {complaints}");
    };
    told("there.toml", &FEW, "there.toml: is there already: name a new file");
    told("market.toml", &FEW, "market.toml: is the market");
    told("no/such/out.toml", &FEW, "no/such/out.toml: the directory is not there");
    fs::write(shop.path("config.toml"), CONFIG.replace("weight = 1.0", "weight = 11.0")).unwrap();
    told("out.toml", &FEW, "config.toml:13:10: segment 'data/keen': weight = 11.0: must be above 0 and at most 10");
    fs::write(shop.path("config.toml"), CONFIG.replace("data/", "other/")).unwrap();
    told("out.toml", &FEW, "there is nothing to tune");
    fs::remove_file(shop.path("config.toml")).unwrap();
    told("out.toml", &FEW, "config.toml: cannot be read");
    fs::write(shop.path("config.toml"), CONFIG).unwrap();
    fs::remove_file(shop.path("market.toml")).unwrap();
    told("out.toml", &FEW, "market.toml: cannot be opened");
    fs::create_dir(shop.path("market.toml")).unwrap();
    told("out.toml", &FEW, "market.toml: is a directory: name a scenario (TOML) or a journey log");
    fs::remove_dir(shop.path("market.toml")).unwrap();
    for weight in ["-1.0", "1e300", "nan", "0"] {
        fs::write(shop.path("config.toml"), CONFIG.replace("weight = 1.0", &format!("weight = {weight}"))).unwrap();
        fs::write(shop.path("market.toml"), MARKET).unwrap();
        told("out.toml", &FEW, "must be above 0 and at most 10");
    }
    fs::write(shop.path("config.toml"), CONFIG).unwrap();
    fs::write(shop.path("market.toml"), "days = 0").unwrap();
    told("out.toml", &FEW, "market.toml:1:8: days = 0: must be between 1 and 366");
    assert_eq!(read(shop.path("there.toml")), "precious");
    assert_eq!(shop.files(), ["config.toml", "market.toml", "there.toml"]);
}

/// Sends a process Ctrl-C.
fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Starts a search and waits until it waits for signals.
fn start(shop: &Shop, arguments: &[&str]) -> Child {
    let mut command = shop.command("out.toml", arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    // Caught signals as a bit mask; an interrupt is the second bit.
    let is_caught = |line: &str| {
        let mask = line.strip_prefix("SigCgt:").and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
        mask.is_some_and(|mask| mask >> 1 & 1 == 1)
    };
    for _ in 0..3_000 {
        if fs::read_to_string(&status).unwrap().lines().any(is_caught) {
            return child;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    panic!("it never waited for signals: {:?}", child.wait());
}

#[test]
fn a_market_that_is_not_there_is_what_is_wrong() {
    let shop = Shop::new(MARKET);
    fs::create_dir(shop.path("logs")).unwrap();
    for (market, expected) in [
        ("gone.ndjson", "error: gone.ndjson: cannot be opened: caused by No such file"),
        ("gone.toml", "error: gone.toml: cannot be opened: caused by No such file"),
        ("logs", "error: logs: is a directory: name a scenario (TOML) or a journey log\n"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inkling"));
        command.current_dir(&shop.0).args(["tune", market, "--config", "config.toml", "--out", "out.toml"]);
        let output = command.output().unwrap();
        let complaints = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && complaints.starts_with(expected), "{complaints}");
    }
}

#[test]
fn an_interrupted_search_keeps_the_best_so_far_and_goes_on_from_there() {
    let shop = Shop::new(MARKET);
    // With weights alone something better than the start is known before the first step.
    let endless = ["--segments-only", "--seeds", "100", "--held-out", "12", "--plays-max", "1000000"];
    let child = start(&shop, &endless);
    interrupt(&child);
    let ended = child.wait_with_output().unwrap();
    let [said, complaints] = [ended.stdout, ended.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(ended.status.code(), Some(0), "{said}{complaints}");
    assert!(said.contains("until it was stopped") && said.contains("written to out.toml"), "{said}");
    assert!(complaints.contains("the search ends; the best so far is judged"), "{complaints}");
    let onward = "go on from there, on seeds that are still unseen: --config out.toml --seed 113";
    assert!(said.contains(onward), "{said}");
    let written = read(shop.path("out.toml"));
    assert!(written.starts_with("# Who reads this, beware.") && written.contains("# as yet"), "{written}");
    let mut again = Command::new(env!("CARGO_BIN_EXE_inkling"));
    again.current_dir(&shop.0).args(["tune", "market.toml", "--config", "out.toml", "--out", "on.toml"]);
    again.args(["--segments-only", "--seed", "113", "--seeds", "3", "--held-out", "4"]).stdin(Stdio::null());
    let again = again.output().unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!((read(shop.path("config.toml")), read(shop.path("out.toml"))), (CONFIG.to_owned(), written));
}

#[test]
fn a_search_that_is_stopped_before_it_knows_anything_says_so() {
    let shop = Shop::new(MARKET);
    let child = start(&shop, &["--seeds", "40", "--held-out", "4", "--plays-max", "1000000"]);
    interrupt(&child);
    let ended = child.wait_with_output().unwrap();
    let said = String::from_utf8(ended.stdout).unwrap();
    assert_eq!(ended.status.code(), Some(0), "{said}");
    assert!(said.contains("until it was stopped"), "{said}");
    assert_eq!(said.contains("written to out.toml"), shop.path("out.toml").exists(), "{said}");
    assert_eq!(read(shop.path("config.toml")), CONFIG);
}

#[test]
fn a_second_interrupt_ends_at_once_and_leaves_nothing() {
    let shop = Shop::new(MARKET);
    // The judgement alone takes much longer than it takes to send two signals.
    let long = ["--segments-only", "--seeds", "100", "--held-out", "1000", "--plays-max", "1000000"];
    let mut child = start(&shop, &long);
    interrupt(&child);
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("Ctrl-C again") {
        line.clear();
        assert!(told.read_line(&mut line).unwrap() > 0, "it ended before the second one");
    }
    interrupt(&child);
    let mut complaints = String::new();
    told.read_to_string(&mut complaints).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert_eq!((ended.status.code(), ended.stdout), (Some(1), Vec::new()), "{complaints}");
    assert!(complaints.contains("nothing was written"), "{complaints}");
    assert_eq!(shop.files(), ["config.toml", "market.toml"]);
    assert_eq!(read(shop.path("config.toml")), CONFIG);
}

#[test]
fn time_left_is_told_on_a_terminal_and_nowhere_else() {
    let shop = Shop::new(MARKET);
    let arguments = ["--only", "exponent", "--seeds", "12", "--held-out", "4", "--threads", "1"];
    let (code, _, complaints) = shop.tune("piped.toml", &arguments);
    assert_eq!((code, complaints.as_str()), (Some(0), ""), "quiet when piped");
    if !Command::new("script").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("not watched on a terminal: there is no script of util-linux here");
        return;
    }
    let inkling = [env!("CARGO_BIN_EXE_inkling"), "tune market.toml --config config.toml --out out.toml"].join(" ");
    let mut script = Command::new("script");
    script.current_dir(&shop.0).args(["-qec", &format!("{inkling} {}", arguments.join(" ")), "/dev/null"]);
    let output = script.stdin(Stdio::null()).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{shown}");
    let updates: Vec<&str> = shown.split('\r').filter(|part| part.contains(" left")).collect();
    assert!(updates.iter().all(|update| update.contains(" %, at most ")) && updates.len() > 1, "{shown}");
    // The line is cleared before the result stands there.
    let (progress, result) = shown.split_once("searched on seeds").unwrap();
    assert!(!result.contains(" left") && progress.ends_with(&format!("\r{:40}\r", "")), "{shown:?}");
}

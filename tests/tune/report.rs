//! Reports: the same bytes, nothing that runs, nothing from elsewhere, and no complaint of a browser.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::command::{MARKET, Shop};

const NAME: &str = r#"<script>alert("x")</script> & 'co' </title>?"#;

fn inkling(shop: &Shop, arguments: &[&str]) {
    let binary = env!("CARGO_BIN_EXE_inkling");
    let output = Command::new(binary).current_dir(&shop.0).args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What a page must be, whatever it shows.
fn check(page: &str) {
    for foreign in ["<script", "http:", "https:", "src=", "@import", "url(", "<link", "onload"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert_eq!(page.matches("<svg viewBox").count(), page.matches("role=\"img\"").count(), "pictures have names");
    assert_eq!(page.matches("role=\"img\"").count(), page.matches("<desc ").count(), "and say what they show");
    assert_eq!(page.matches("<figure>").count(), page.matches("<details>").count(), "their numbers are in tables");
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print"));
    page.split("<section").filter(|section| section.contains("<figure>")).for_each(check_numbers);
    for number in ["NaN", "inf"] {
        let shown = page.replace("information", "").replace("inflated", "");
        assert!(!shown.contains(number), "{number}");
    }
}

/// What a picture says of itself and draws is in its table: each number of its words, and a cell for each dot and bar.
fn check_numbers(section: &str) {
    let between = |text: &str, from: &str, to: &str| -> String {
        let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("{from}: {text}"));
        rest.split_once(to).unwrap().0.to_owned()
    };
    let table = between(section, "<details>", "</details>");
    let words = between(section, "<desc ", "</desc>");
    let (_, words) = words.split_once('>').unwrap();
    let numbers = |text: &str| -> Vec<String> {
        let is_of_number = |letter: char| letter.is_ascii_digit() || letter == '.' || letter == ',';
        let all = text.split(|letter| !is_of_number(letter)).map(|number| number.trim_matches(['.', ',']).to_owned());
        all.filter(|number| !number.is_empty()).collect()
    };
    let told = numbers(&table);
    let missing: Vec<String> = numbers(words).into_iter().filter(|number| !told.contains(number)).collect();
    assert!(missing.is_empty(), "{missing:?} of {words} are not in {table}");
    let points = |path: &str| 1 + path.split('"').next().unwrap().matches('L').count();
    let on_lines: usize =
        section.split("<path ").skip(1).map(|path| points(between(path, "d=\"M", "/>").as_str())).sum();
    let drawn = on_lines.max(section.matches("<circle").count()) + section.matches("<rect").count();
    let cells = table.matches("<td class=\"number\">").count();
    assert!(drawn > 0 && drawn <= cells, "{drawn} points, dots and bars, but {cells} numbers");
}

/// Opens a page in a headless browser, where there is one; what it complains of.
fn complaints(page: &Path) -> Option<String> {
    let browser = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()))?;
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--log-level=0"])
        .args(["--virtual-time-budget=2000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && dom.contains("</footer>"), "{dom}");
    let said = String::from_utf8_lossy(&output.stderr);
    let mut complaints = String::new();
    said.lines().filter(|line| line.contains("CONSOLE")).for_each(|line| writeln!(complaints, "{line}").unwrap());
    Some(complaints)
}

fn shown(shop: &Shop, file: &str) -> String {
    let page = fs::read_to_string(shop.path(file)).unwrap();
    check(&page);
    match complaints(&shop.path(file)) {
        Some(complaints) => assert_eq!(complaints, "", "{file}"),
        None => println!("{file} is not opened in a browser: there is no chromium here"),
    }
    page
}

#[test]
fn markets_are_shown_and_nothing_in_them_runs() {
    let market = MARKET.replace("question = \"Quick?\"", &format!("question = '''{NAME}'''"));
    let market = format!("{market}\n[[change]]\nday = 4\nprices = 1.5\n[[change]]\nday = 5\nlevel = 0.3\n");
    let shop = Shop::new(&market);
    let simulate = |file| {
        let policies = "flat,linear-paced,inkling-flat,inkling-context";
        inkling(&shop, &["simulate", "market.toml", "--seeds", "2", "--policies", policies, "--report", file]);
    };
    simulate("one.html");
    let page = shown(&shop, "one.html");
    assert!(page.contains("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &#39;co&#39; &lt;/title&gt;?"));
    for heading in [
        "Conversions by spend",
        "Regret that adds up",
        "Day by day",
        "Reliability",
        "From bid request to purchase",
        "What segments are worth",
        "What a bid wins",
    ] {
        assert!(page.contains(&format!("<h2>{heading}")), "{heading}");
    }
    assert!(page.contains("prices × 1.5") && page.contains("Inkling on flat"));
    simulate("two.html");
    assert!(page == shown(&shop, "two.html"), "the same input, the same bytes");
    let tune = ["--segments-only", "--seeds", "3", "--held-out", "3", "--report", "tune.html"];
    let (code, said, complaints) = shop.tune("out.toml", &tune);
    assert_eq!((code, complaints.as_str()), (Some(0), ""), "{said}");
    let page = shown(&shop, "tune.html");
    assert!(page.contains("What changed in the configuration") && page.contains("data/keen"));
}

#[test]
fn logs_are_shown() {
    let shop = Shop::new(MARKET);
    let mut log = String::new();
    for user in 0..400 {
        let at = 1_767_225_600_000u64 + user * 300_000;
        let who = format!("\"user\":\"u{user}\",\"advertiser\":\"a\"");
        let keen = user % 3 == 0;
        if keen {
            writeln!(log, "{{\"time_ms\":{at},\"kind\":\"action\",{who},\"action\":\"view_item\"}}").unwrap();
        }
        let id = format!("\"id\":\"o{user}\"");
        let line =
            format!("\"kind\":\"opportunity\",{id},{who},\"goal\":\"purchase\",\"context\":{{\"site\":\"<b>\"}}");
        writeln!(log, "{{\"time_ms\":{at},{line}}}").unwrap();
        writeln!(log, "{{\"time_ms\":{at},\"kind\":\"impression\",{id}}}").unwrap();
        if keen && user % 2 == 0 {
            let at = at + 1_000;
            writeln!(log, "{{\"time_ms\":{at},\"kind\":\"conversion\",{who},\"goal\":\"purchase\",{id}}}").unwrap();
        }
    }
    fs::write(shop.path("log.ndjson"), log).unwrap();
    fs::write(shop.path("prices.csv"), "campaign,price_fen_cpm,auctions\n1,10,5\n1,20,5\n1,40,5\n1,80,5\n").unwrap();
    let auctions: String =
        (0..4_000).map(|n| format!("{} {} 0.0{}\n", u8::from(n % 40 == 0), 1 + n * 37 % 97, 1 + n % 5)).collect();
    fs::write(shop.path("auctions.txt"), auctions).unwrap();
    inkling(&shop, &["replay", "log.ndjson", "--window", "1m", "--report", "replay.html"]);
    let page = shown(&shop, "replay.html");
    assert!(page.contains("<h2>Reliability") && page.contains("site &lt;b&gt;"));
    let first = page.clone();
    inkling(&shop, &["replay", "log.ndjson", "--window", "1m", "--report", "replay.html"]);
    assert!(first == shown(&shop, "replay.html"), "a page is replaced by the same");
    let journey =
        ["simulate", "--journey", "log.ndjson", "--landscape", "prices.csv", "--window", "1m", "--seeds", "2"];
    inkling(&shop, &[&journey[..], &["--report", "journey.html"]].concat());
    assert!(shown(&shop, "journey.html").contains("<h2>What a bid wins"));
    let auctions = ["simulate", "--auctions", "auctions.txt", "--resamples", "50", "--report", "auctions.html"];
    inkling(&shop, &auctions);
    shown(&shop, "auctions.html");
    let config = "[[advertiser]]\nid = \"a\"\n[[advertiser.goal]]\nname = \"purchase\"\nview_window = \"1m\"\n\
                  click_window = \"1m\"\nmultiplier = { baseline = \"goal\" }\n";
    fs::write(shop.path("log.toml"), config).unwrap();
    let tune = ["tune", "log.ndjson", "--config", "log.toml", "--out", "tuned.toml", "--landscape", "prices.csv"];
    inkling(&shop, &[&tune[..], &["--plays-max", "20", "--resamples", "50", "--report", "tune.html"]].concat());
    assert!(shown(&shop, "tune.html").contains("Tuned on log.ndjson"));
}

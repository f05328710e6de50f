//! `inkling check`, as a user runs it.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const GOOD: &str = "[[advertiser]]\nid = \"acme\"\n[[advertiser.goal]]\nname = \"purchase\"\n";

fn inkling(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_inkling"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .expect("the binary under test runs")
}

/// Runs `inkling check inkling.toml` on a file of these bytes, and gives exit code, standard output and error.
fn check(bytes: &[u8]) -> (Option<i32>, String, String) {
    let directory = TempDir::new().expect("a temporary directory");
    fs::write(directory.path().join("inkling.toml"), bytes).expect("a file in it");
    parts(inkling(directory.path(), &["check", "inkling.toml"]))
}

fn parts(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).expect("output is text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_good_file_is_explained() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (code, out, err) = parts(inkling(example, &["check", "inkling.example.toml"]));
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lines: Vec<&str> = out.lines().map(str::trim).collect();
    for expected in [
        "inkling.example.toml is a good configuration: 1 advertiser, 2 goals, 2 campaigns, 5 segments",
        "ADVERTISER acme",
        "Goal purchase",
        "converts      by the action purchase (purchased)",
        "counts        up to 7d after an impression that was clicked, 1d after one that was only viewed; credit to the \
         last impression",
        "milestones    view_item 50 → configure_product 65 → add_to_cart 70 → begin_checkout 90 → purchase",
        "worth         40.00 USD unless the conversion says",
        "expected      2 % of impressions convert, before there is data",
        "multiplier    0.3 to 4; chance against the context alone, exponent 1, prior variance 10; 1 below 25 users; \
         spends what control would",
        "suppresses    ads to who has converted within 30d",
        "newcomers    sign_up, purchase; combined 0.2 × sign_up + 1 × purchase",
        "hesitating_shoppers     × 1.3   count(view_item, 7d) >= 3 and stage < begin_checkout and not \
         did(purchase, 30d)",
        "cart_abandoners         × 1.5   did(add_to_cart, 7d) and not did(purchase, 7d)",
        "acxiom/in_market_shoes  × 1.2   named by the bid request",
        "Actions: 49 standard actions as usual, 2 added or changed",
        "configure_product  added: milestone at 65, counts half after 7d",
        "weight tables about 32 MiB: 2 goals × 262,144 slots × 64 B",
        "arms          5 % control (multiplier always 1), 0 % holdout; salt 0",
        "listens       gRPC on 127.0.0.1:7610, HTTP on 127.0.0.1:7611; one worker a core, wall clock",
        "answers       within 100ms, or less where the request says so, 1ms of it for the way back",
        "connections   1,024 connections, each with 1,024 calls at a time; 1 MiB sent ahead on a call, 4 MiB on a \
         connection",
        "closes        connections silent for 30s that then do not answer within 10s; calls in progress 20s after a \
         stop",
        "snapshots     one every 5m; the latest 2 snapshots stay",
    ] {
        assert!(lines.contains(&expected), "{expected:?} is not a line of:\n{out}");
    }
}

#[test]
fn exploration_is_told_where_there_is_any() {
    let (code, out, err) = check(format!("{GOOD}multiplier = {{ exploration = 0.015 }}\n").as_bytes());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(out.contains("; spends what control would; explores 1.5 % of opportunities\n"), "{out}");
}

#[test]
fn bad_files_are_refused_in_words() {
    let cases: [(&str, &str); 6] = [
        (
            "[[advertiser.segment]]\nname = \"x\"\nwhen = \"did(veiw_item, 7d)\"\nweight = 0\n",
            "error: inkling.toml:7:13: segment 'x': when: unknown action 'veiw_item': did you mean 'view_item'?\n\
             \x20 | did(veiw_item, 7d)\n\
             \x20 |     ^^^^^^^^^\n\
             error: inkling.toml:8:10: segment 'x': weight = 0: must be above 0 and at most 10\n",
        ),
        (
            "view_window = 7d\n",
            "error: inkling.toml:5:15: not TOML at '7d': string values must be quoted, expected literal string\n",
        ),
        (
            "veiw_window = \"7d\"\n",
            "error: inkling.toml:5:1: goal 'purchase': veiw_window: unknown key: did you mean 'view_window'?\n",
        ),
        (
            "converting_action = \"purchse\"\n",
            "error: inkling.toml:5:21: goal 'purchase': converting_action = \"purchse\": unknown action: did you mean \
             'purchase'?\n",
        ),
        (
            "view_window = \"-7d\"\n",
            "error: inkling.toml:5:15: goal 'purchase': view_window = \"-7d\": must be a whole number with a unit, in \
             quotes, such as \"30d\", \"12h\", \"15m\", \"90s\" or \"250ms\"\n",
        ),
        (
            "view_window = \"0s\"\nvalue = nan\n[learner]\ntable_bits = 40\n",
            "error: inkling.toml:5:15: goal 'purchase': view_window = \"0s\": must be between 1m and 90d\n\
             error: inkling.toml:6:9: goal 'purchase': value = nan: must be between 0 and 10000000\n\
             error: inkling.toml:8:14: learner: table_bits = 40: must be between 10 and 22\n",
        ),
    ];
    for (addition, expected) in cases {
        let (code, out, err) = check(format!("{GOOD}{addition}").as_bytes());
        assert_eq!((code, out.as_str(), err.as_str()), (Some(1), "", expected), "{addition}");
    }
}

#[test]
fn what_is_no_text_is_refused() {
    let cases: [(&[u8], &str); 4] = [
        (
            b"\x7fELF\x02\x01\x01\0\xff\xfe",
            "error: inkling.toml:1:9: byte 0xff is not UTF-8: a configuration is a text file\n",
        ),
        (
            b"# Latin-1:\n# M\xe4nner\n",
            "error: inkling.toml:2:4: byte 0xe4 is not UTF-8: a configuration is a text file\n",
        ),
        (
            b"\0\0\0\0",
            "error: inkling.toml:1:1: not TOML at '\\u{0}\\u{0}\\u{0}\\u{0}': invalid unquoted key, expected letters, \
             numbers, `-`, `_`\n",
        ),
        (&[b'#'; 2 << 20], "error: inkling.toml: is too large: a configuration has at most 1048576 bytes\n"),
    ];
    for (bytes, expected) in cases {
        assert_eq!(check(bytes), (Some(1), String::new(), expected.to_owned()));
    }
}

#[test]
fn what_is_no_file_is_refused() {
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("etc")).unwrap();
    let cases = [
        ("missing.toml", "error: missing.toml: cannot be read: caused by No such file or directory (os error 2)\n"),
        ("etc", "error: etc: is a directory: name the configuration file in it\n"),
    ];
    for (file, expected) in cases {
        let (code, out, err) = parts(inkling(directory.path(), &["check", file]));
        assert_eq!((code, out.as_str(), err.as_str()), (Some(1), "", expected));
    }
}

#[test]
fn a_wrong_command_line_is_told_apart() {
    let directory = TempDir::new().unwrap();
    for arguments in [&[][..], &["chekc"], &["check"], &["check", "a", "b"]] {
        let (code, out, err) = parts(inkling(directory.path(), arguments));
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err.contains("Usage: inkling"), "{arguments:?}: {err}");
    }
    let (code, out, _) = parts(inkling(directory.path(), &["--version"]));
    assert_eq!((code, out), (Some(0), format!("inkling {}\n", env!("CARGO_PKG_VERSION"))));
}

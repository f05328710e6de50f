//! The walls of the house hold: who imports whom, what the lower floors do not know, how long files are.
//!
//! The rules stand in `rules.rs`. Here the repository is read, and the rules are tried on planted breaches, so that
//! a rule that has gone blind is seen.

mod rules;
mod source;

use std::fs;
use std::path::Path;

use rules::{Breach, File, breaches, machine_paths};

/// All files below a folder but those that git or cargo made.
fn read(root: &Path, folder: &Path, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).expect("the repository can be read") {
        let path = entry.expect("the repository can be read").path();
        let made = path.ends_with(".git") || path.join("CACHEDIR.TAG").exists() || path == root.join("target");
        if made {
            continue;
        }
        if path.is_dir() {
            read(root, &path, files);
        } else if let Ok(bytes) = fs::read(&path) {
            let inner = path.strip_prefix(root).expect("found below the root");
            let parts: Vec<_> = inner.iter().map(|part| part.to_string_lossy()).collect();
            files.push(File { path: parts.join("/"), text: String::from_utf8_lossy(&bytes).into_owned() });
        }
    }
}

#[test]
fn the_house_is_tidy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    read(root, root, &mut files);
    let mut found: Vec<Breach> = files.iter().flat_map(machine_paths).collect();
    files.retain(|file| file.path.ends_with(".rs"));
    assert!(files.iter().any(|file| file.path == "src/lib.rs"), "the sources were not found");
    found.extend(breaches(&files));
    let list: Vec<String> = found.iter().map(Breach::to_string).collect();
    assert!(list.is_empty(), "{} breaches\n{}", list.len(), list.join("\n"));
}

/// Lines on which a file of that path and text breaks a rule.
fn check(path: &str, text: &str) -> Vec<usize> {
    let files = [File { path: path.to_owned(), text: text.to_owned() }];
    breaches(&files).iter().map(|breach| breach.line).collect()
}

#[test]
fn imports_go_down_only() {
    let cases: [(&str, &str, &[usize]); 28] = [
        ("src/engine/apply.rs", "use crate::ids::Id;\nuse crate::learn::Model;", &[]),
        ("src/engine/apply.rs", "\nuse crate::journal::Seq;", &[2]),
        ("src/engine/apply.rs", "use crate::{\n    ids::Id,\n    token::{Tokens, TokenKey as Key},\n};", &[3, 3]),
        ("src/engine/apply.rs", "use super::profile::Profile;\nuse super::super::ids::Id;", &[]),
        ("src/engine/apply.rs", "use super::super::server::Edge;", &[1]),
        ("src/engine/a/b.rs", "use super::super::server::Edge;", &[]),
        ("src/engine/mod.rs", "//! *Invariants.*\nuse super::server::Edge;", &[2]),
        ("src/engine.rs", "fn f() { crate::server::run(); }", &[1]),
        ("src/engine.rs", "macro_rules! m { () => { $crate::server::run() } }", &[1]),
        ("src/engine.rs", "/// See [`crate::server`].\n// crate::server\n/* crate::server */\nfn f() {}", &[]),
        ("src/engine.rs", "const A: &str = \"crate::server::run\";\nconst B: &str = r#\"\"crate::server::x\"#;", &[]),
        ("src/engine.rs", "fn f<'a>(x: &'a str) -> char { '\"' }\nuse crate::server::X;", &[2]),
        ("src/engine.rs", "#[cfg(test)]\nmod tests {\n    use crate::server::X;\n}\nuse crate::server::Y;", &[5]),
        ("src/engine.rs", "#[cfg(test)]\nuse crate::server::X;\nfn f() {}", &[]),
        ("src/engine.rs", "use crate::Engine;", &[1]),
        ("src/ids.rs", "use crate::units::Span;", &[]),
        ("src/ids.rs", "use crate::math::exp;", &[1]),
        ("src/stats/beta.rs", "use crate::math::exp;", &[]),
        ("src/math.rs", "use crate::stats::beta::Rate;", &[1]),
        ("src/server/mod.rs", "//! *Invariants.*\nuse crate::market::World;", &[2]),
        ("src/token/mod.rs", "//! *Invariants.*\nuse crate::identity::Identity;", &[2]),
        ("src/main.rs", "fn main() { inkling::cli::run() }", &[]),
        ("src/record.rs", "use crate::pb::journal::v1::Frame;", &[]),
        ("src/record.rs", "use crate::pb::v1::Score;", &[1]),
        ("src/server/convert.rs", "use crate::pb::journal::v1::Frame;\nuse crate::pb::v1::Score;", &[1]),
        ("src/engine.rs", "use crate::pb;", &[1]),
        ("src/novel.rs", "use crate::ids::Id;", &[1]),
        ("tests/model.rs", "use inkling::engine::Engine;", &[]),
    ];
    for (path, text, lines) in cases {
        assert_eq!(check(path, text), lines, "{path}: {text}");
    }
}

#[test]
fn lower_floors_stay_pure() {
    let cases: [(&str, &str, &[usize]); 12] = [
        ("src/engine.rs", "use std::collections::HashMap;\nuse std::fs::File;", &[2]),
        ("src/engine.rs", "use std::{fmt, net::IpAddr};", &[1]),
        ("src/engine.rs", "use std::time::{Duration, Instant};", &[1]),
        ("src/engine.rs", "use std::time;\nfn f() { time::SystemTime::now(); }", &[2]),
        ("src/engine.rs", "use std::time::*;", &[1]),
        ("src/engine.rs", "#[tokio::main]\nfn f() {}", &[1]),
        ("src/learn/ftrl.rs", "use tokio_stream::Stream;\nuse hyper_util::rt;\nuse prost::Message;", &[1, 2, 3]),
        ("src/hash.rs", "fn f() { rand::random() }\nfn g(rand: u8) -> u8 { rand }", &[1]),
        ("src/hash.rs", "#[cfg(test)]\nmod tests {\n    fn f() { std::fs::read(\"x\"); }\n}", &[]),
        ("src/token/layout.rs", "use std::fs::File;", &[]),
        ("src/engine.rs", "/// Knows no tokio::sync.\nfn f() {}", &[]),
        ("tests/model.rs", "use std::fs::File;", &[]),
    ];
    for (path, text, lines) in cases {
        assert_eq!(check(path, text), lines, "{path}: {text}");
    }
}

#[test]
fn files_are_short_finished_and_described() {
    let long = "\n".repeat(501);
    let wide = format!("// {}\n// {}", "ä".repeat(117), "x".repeat(118));
    let cases: [(&str, &str, &[usize]); 10] = [
        ("src/engine.rs", &long[1..], &[]),
        ("src/engine.rs", &long, &[501]),
        ("tests/model.rs", &wide, &[2]),
        ("src/engine.rs", "fn f() {\n    dbg!(1);\n    todo!()\n}", &[2, 3]),
        ("benches/score.rs", "fn f() { unimplemented!(\"later\") }", &[1]),
        ("tests/model.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", &[2]),
        ("src/engine.rs", "// todo!() and dbg!()\nfn f(todo: bool) -> bool { !todo }", &[]),
        ("src/engine/mod.rs", "//! The engine.", &[1]),
        ("src/engine/mod.rs", "//! The engine.\n//!\n//! *Invariants.* Knows no files.", &[]),
        ("src/lib.rs", "pub mod engine;\npub mod novel;\nmod pb { mod inner; }", &[2]),
    ];
    for (path, text, lines) in cases {
        assert_eq!(check(path, text), lines, "{path}: {:.80}", text);
    }
}

#[test]
fn files_for_tests_are_exempt_from_walls_only() {
    let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
    let tests = "use crate::server::X;\nfn f() { std::fs::read(\"x\"); todo!() }";
    let declared = "//! *Invariants.*\n#[cfg(test)]\nmod tests;";
    let plain = "//! *Invariants.*\nmod tests;";
    for (parent, expected) in [(declared, 1), (plain, 3)] {
        let files = [file("src/engine/mod.rs", parent), file("src/engine/tests.rs", tests)];
        assert_eq!(breaches(&files).len(), expected, "{parent}");
    }
}

#[test]
fn places_of_one_machine_are_seen() {
    let root = concat!("/wo", "rk");
    let cases = [
        (format!("see {root}/main"), true),
        (format!("{root}/main"), true),
        (format!("\"{root}/main\""), true),
        (format!("https://example.com{root}/main"), false),
        (format!("..{root}/main"), false),
        (concat!("bash", "_jobs").to_owned(), true),
        ("work/main".to_owned(), false),
    ];
    for (text, expected) in cases {
        let found = machine_paths(&File { path: "README.md".to_owned(), text: text.clone() });
        assert_eq!(!found.is_empty(), expected, "{text}");
    }
}

#[test]
fn a_breach_says_where_what_and_what_to_do() {
    let file = File { path: "src/ids.rs".to_owned(), text: "\nuse crate::math::exp;".to_owned() };
    assert_eq!(
        breaches(&[file])[0].to_string(),
        "src/ids.rs:2: crate::math::exp: ids stands on floor 0, math on floor 1: import from lower floors; \
         move down what both need, or take it as an argument"
    );
}

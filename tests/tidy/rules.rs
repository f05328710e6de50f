//! The rules of the house, and what breaks them.

use std::fmt;

use crate::source::{Path, modules, paths, test_modules, without_tests, words};

/// Every top-level module and the floor it stands on. A file imports from lower floors and from its own module.
const FLOORS: [&[&str]; 9] = [
    &["ids", "units", "hash", "action", "event", "exposure", "opportunity", "rejection", "signal", "settings"],
    &["stats", "math", "wording", "expression", "parallel"],
    &["learn"],
    &["engine"],
    &["record", "journal", "journey", "config", "insight", "stopwatch"],
    &["token", "identity", "snapshot", "report"],
    &["replay", "storage"],
    &["server", "market"],
    &["cli", "demo", "main"],
];

/// The vocabulary: its modules may import each other.
const VOCABULARY: usize = 0;

/// Who else may import whom of the same floor.
const SAME_FLOOR: [(&str, &str); 5] = [
    ("stats", "math"),         // Rates and decays are made of exponentials and logarithms.
    ("expression", "wording"), // Its errors name what was probably meant.
    ("main", "cli"),           // The program hands its arguments over.
    ("main", "demo"),
    ("cli", "demo"), // The command line starts the demo.
];

/// The generated module stands apart. The journal's messages are the record codec's alone, the API's are the edges'.
const GENERATED: &str = "pb";
const GENERATED_IMPORTERS: [&str; 3] = ["server", "demo", "cli"];

/// The highest floor without files, sockets, clock, chance, runtime and wire formats.
const PURE_FLOOR: usize = 3;

/// What the floors up to [`PURE_FLOOR`] do not know: paths that hold these segments, one after the other.
const IMPURE: [&[&str]; 9] = [
    &["std", "fs"],
    &["std", "net"],
    &["std", "*"],
    &["std", "time", "*"],
    &["std", "time", "SystemTime"],
    &["std", "time", "Instant"],
    &["time", "SystemTime"],
    &["time", "Instant"],
    &["std", "env"],
];
/// Crates they do not know; also those whose names begin so.
const IMPURE_CRATES: [&str; 5] = ["tokio", "hyper", "tonic", "prost", "rand"];

/// Longest file and longest line.
const LINES_MAX: usize = 500;
const CHARACTERS_MAX: usize = 120;

/// A rule that is broken, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Breach {
    pub file: String,
    pub line: usize,
    pub what: String,
    pub remedy: &'static str,
}

impl fmt::Display for Breach {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}: {}", self.file, self.line, self.what, self.remedy)
    }
}

/// A file by its path from the repository's root, with forward slashes.
#[derive(Debug, Clone)]
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    fn breach(&self, line: usize, what: impl Into<String>, remedy: &'static str) -> Breach {
        Breach { file: self.path.clone(), line, what: what.into(), remedy }
    }

    /// The module a source file is: `src/engine/apply.rs` is `engine`, `apply`; the root of the library is empty.
    fn module(&self) -> Option<Vec<&str>> {
        let inner = self.path.strip_prefix("src/")?.strip_suffix(".rs")?;
        let inner = inner.strip_suffix("/mod").unwrap_or(inner);
        Some(if inner == "lib" { Vec::new() } else { inner.split('/').collect() })
    }

    /// The folder in which a file's own modules stand.
    fn folder(&self) -> &str {
        let whole = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        ["/mod", "/lib", "/main"].iter().find_map(|name| whole.strip_suffix(name)).unwrap_or(whole)
    }
}

/// All breaches in the Rust files of a repository.
pub fn breaches(files: &[File]) -> Vec<Breach> {
    let tests: Vec<String> = files.iter().flat_map(files_for_tests).collect();
    let is_test = |file: &File| {
        tests.iter().any(|path| file.path == format!("{path}.rs") || file.path == format!("{path}/mod.rs"))
    };
    let mut found = Vec::new();
    for file in files {
        found.extend(size(file));
        found.extend(leftovers(file));
        found.extend(invariants(file));
        found.extend(unknown_modules(file));
        if !is_test(file) {
            found.extend(imports(file));
            found.extend(impurities(file));
        }
    }
    found
}

/// Paths, without ending, of the files that a file declares for tests only.
fn files_for_tests(file: &File) -> Vec<String> {
    let words = words(&file.text);
    test_modules(&words).iter().map(|name| format!("{}/{name}", file.folder())).collect()
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

fn imports(file: &File) -> Vec<Breach> {
    let Some(module) = file.module() else { return Vec::new() };
    let Some(own) = module.first() else { return Vec::new() };
    let words = words(&file.text);
    let check = |path: Path| {
        let (target, inner) = target(&path.segments, module.len())?;
        let (what, remedy) = refusal(own, target, inner)?;
        Some(file.breach(path.line, format!("{}: {what}", path.segments.join("::")), remedy))
    };
    paths(&without_tests(&words)).into_iter().filter_map(check).collect()
}

/// The top-level module that a path leads to, and what it names in it; `None` where it stays in its own or leaves
/// the crate.
fn target<'a>(segments: &[&'a str], depth: usize) -> Option<(&'a str, Option<&'a str>)> {
    let up = segments.iter().take_while(|segment| **segment == "super").count();
    let start = match segments[0] {
        "crate" | "inkling" if segments.len() > 1 => 1,
        // In a module within a file, one `super` less leads to the root: only known names are judged then.
        "super" if up >= depth && floor(segments.get(up)?).is_some() => up,
        _ => return None,
    };
    Some((segments[start], segments.get(start + 1).copied()))
}

/// Why `own` may not import `inner` of `target`, and what to do instead.
fn refusal(own: &str, target: &str, inner: Option<&str>) -> Option<(String, &'static str)> {
    if own == target {
        return None;
    }
    if target == GENERATED {
        let allowed = match inner {
            Some("journal") => own == "record",
            Some(_) => GENERATED_IMPORTERS.contains(&own),
            None => own == "record" || GENERATED_IMPORTERS.contains(&own),
        };
        let what = format!("{own} may not know these messages");
        return (!allowed)
            .then_some((what, "take domain types; only record knows pb::journal, only edges the rest of pb"));
    }
    if own == GENERATED {
        return Some((format!("{own} is generated and imports nothing"), "convert at the edge"));
    }
    let Some(upper) = floor(own) else {
        return Some((format!("{own} has no floor"), "add it to FLOORS in tests/tidy/rules.rs"));
    };
    let Some(lower) = floor(target) else {
        return Some((format!("{target} has no floor"), "import from the module itself, or add it to FLOORS"));
    };
    let allowed = lower < upper || (lower == upper && upper == VOCABULARY) || SAME_FLOOR.contains(&(own, target));
    let what = format!("{own} stands on floor {upper}, {target} on floor {lower}");
    (!allowed).then_some((what, "import from lower floors; move down what both need, or take it as an argument"))
}

fn impurities(file: &File) -> Vec<Breach> {
    let own = file.module().and_then(|module| module.first().and_then(|name| floor(name)));
    if own.is_none_or(|floor| floor > PURE_FLOOR) {
        return Vec::new();
    }
    let words = words(&file.text);
    let impure = |path: &Path| {
        let segments = &path.segments;
        let holds = |banned: &&[&str]| segments.windows(banned.len()).any(|window| window == *banned);
        let of_crate = |name: &&str| segments[0] == *name || segments[0].starts_with(&format!("{name}_"));
        IMPURE.iter().any(holds) || (segments.len() > 1 && IMPURE_CRATES.iter().any(of_crate))
    };
    let remedy = "floors 0 to 3 know no files, sockets, clock, chance, runtime and wire: take values as arguments";
    let report = |path: Path| file.breach(path.line, path.segments.join("::"), remedy);
    paths(&without_tests(&words)).into_iter().filter(impure).map(report).collect()
}

fn size(file: &File) -> Vec<Breach> {
    let count = file.text.lines().count();
    let long = (count > LINES_MAX)
        .then(|| file.breach(count, format!("{count} lines, at most {LINES_MAX}"), "split it: one noun a file"));
    let wide = file.text.lines().enumerate().filter_map(|(index, line)| {
        let count = line.chars().count();
        let what = format!("{count} characters, at most {CHARACTERS_MAX}");
        (count > CHARACTERS_MAX).then(|| file.breach(index + 1, what, "break the line"))
    });
    long.into_iter().chain(wide).collect()
}

fn leftovers(file: &File) -> Vec<Breach> {
    let words = words(&file.text);
    let text = |at: usize| words.get(at).map_or("", |word| word.text);
    let found = (0..words.len()).filter_map(|at| match (text(at), text(at + 1), text(at + 2)) {
        (name @ ("dbg" | "todo" | "unimplemented"), "!", _) => {
            Some(file.breach(words[at].line, format!("{name}!"), "finish it, or leave it out"))
        }
        ("#", "[", "ignore") => {
            let remedy = "a test that does not run proves nothing: mend it, or delete it";
            Some(file.breach(words[at].line, "#[ignore]", remedy))
        }
        _ => None,
    });
    found.collect()
}

fn invariants(file: &File) -> Option<Breach> {
    let is_folder = file.path.starts_with("src/") && file.path.ends_with("/mod.rs");
    let told = file.text.lines().any(|line| line.starts_with("//!") && line.contains("*Invariants"));
    let remedy = "end it with a paragraph that says what the module does not know";
    (is_folder && !told).then(|| file.breach(1, "the module's description has no *Invariants*", remedy))
}

fn unknown_modules(file: &File) -> Vec<Breach> {
    if file.path != "src/lib.rs" {
        return Vec::new();
    }
    let words = words(&file.text);
    let unknown = modules(&words).into_iter().filter(|name| floor(name.text).is_none() && name.text != GENERATED);
    let remedy = "add it to FLOORS in tests/tidy/rules.rs";
    unknown.map(|name| file.breach(name.line, format!("module {} has no floor", name.text), remedy)).collect()
}

/// Mentions, in any file, of places that exist on one machine only.
pub fn machine_paths(file: &File) -> Vec<Breach> {
    let jobs = concat!("bash", "_jobs");
    let root = concat!("/wo", "rk/");
    let is_absolute = |line: &str, at: usize| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || "._-~/})".contains(c)))
    };
    let mentions = |line: &str| line.contains(jobs) || line.match_indices(root).any(|(at, _)| is_absolute(line, at));
    let found = file.text.lines().enumerate().filter(|(_, line)| mentions(line));
    found.map(|(index, line)| file.breach(index + 1, line.trim(), "name no place of one machine")).collect()
}

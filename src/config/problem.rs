//! What is wrong with a configuration: where, and what would be right.

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::io;

use thiserror::Error;

use super::CONFIG_BYTES_MAX;

/// Most problems of one file that are shown; the rest is only counted.
pub const PROBLEMS_MAX: usize = 20;
/// Most characters of an offending text that are shown.
const SHOWN_MAX: usize = 40;
/// Most known names that are shown when none is near.
const NAMES_MAX: usize = 24;
/// Names longer than this, in bytes, get no suggestion: no known name is as long.
const SUGGESTED_BYTES_MAX: usize = 64;

/// Why a configuration is refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is missing, or the system does not let us read it.
    #[error("{file}: cannot be read")]
    Read {
        /// The file as it was named.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// The path leads to a directory.
    #[error("{file}: is a directory: name the configuration file in it")]
    Directory {
        /// The directory as it was named.
        file: String,
    },
    /// The file is larger than any sensible configuration.
    #[error("{file}: is too large: a configuration has at most {CONFIG_BYTES_MAX} bytes")]
    TooLarge {
        /// The file as it was named.
        file: String,
    },
    /// The file is no text.
    #[error("{file}:{line}:{column}: byte 0x{byte:02x} is not UTF-8: a configuration is a text file")]
    NotUtf8 {
        /// The file as it was named.
        file: String,
        /// Line of the first wrong byte, from 1.
        line: usize,
        /// Characters of that line before it, and 1.
        column: usize,
        /// The first wrong byte.
        byte: u8,
    },
    /// The file is a text with mistakes; its message has one line a mistake.
    #[error("{}", in_lines(file, problems, *hidden))]
    Invalid {
        /// The file as it was named.
        file: String,
        /// What is wrong, in the order of the file; at most [`PROBLEMS_MAX`].
        problems: Vec<Problem>,
        /// Problems beyond [`PROBLEMS_MAX`].
        hidden: usize,
    },
}

/// One mistake in a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line, from 1.
    pub line: usize,
    /// Character in the line, from 1.
    pub column: usize,
    /// What is wrong, and what is allowed.
    pub message: String,
}

fn in_lines(file: &str, problems: &[Problem], hidden: usize) -> String {
    let mut text = String::new();
    for Problem { line, column, message } in problems {
        let separator = if text.is_empty() { "" } else { "\n" };
        write!(text, "{separator}{file}:{line}:{column}: {message}").expect("a String takes all that is written");
    }
    if hidden > 0 {
        write!(text, "\n{file}: {hidden} more problems, shown once these are solved")
            .expect("a String takes all that is written");
    }
    text
}

/// Gathers all that is wrong with one text, so that one run shows it.
pub(super) struct Problems<'a> {
    text: &'a str,
    found: RefCell<Vec<(usize, String)>>,
    hidden: Cell<usize>,
}

impl<'a> Problems<'a> {
    pub fn new(text: &'a str) -> Problems<'a> {
        Problems { text, found: RefCell::default(), hidden: Cell::new(0) }
    }

    /// Adds a problem at a byte offset of the text. The message is made only if it will be shown.
    pub fn report(&self, at: usize, message: impl FnOnce() -> String) {
        if self.found.borrow().len() < PROBLEMS_MAX {
            let message = message();
            self.found.borrow_mut().push((at, message));
        } else {
            self.hidden.set(self.hidden.get() + 1);
        }
    }

    /// Whether nothing was reported.
    pub fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// Line of a byte offset, from 1.
    pub fn line(&self, at: usize) -> usize {
        place(self.text, at).0
    }

    /// A part of the text, as a message quotes it.
    pub fn quote(&self, part: std::ops::Range<usize>) -> String {
        shown(self.text.get(part).unwrap_or_default())
    }

    /// All that was reported as one error; `Ok` when nothing was.
    pub fn into_result(self, file: &str) -> Result<(), ConfigError> {
        let mut found = self.found.into_inner();
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|(at, _)| *at);
        let problems = found
            .into_iter()
            .map(|(at, message)| {
                let (line, column) = place(self.text, at);
                Problem { line, column, message }
            })
            .collect();
        Err(ConfigError::Invalid { file: file.to_owned(), problems, hidden: self.hidden.get() })
    }
}

/// Line and column of a byte offset, both from 1; columns count characters.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[line_start..].chars().filter(|c| *c != '\u{feff}').count() + 1;
    (before.matches('\n').count() + 1, column)
}

/// The first line of a text, without control characters and of bounded length, so that a message stays one line.
pub(super) fn shown(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut out: String = line.chars().take(SHOWN_MAX).flat_map(printable).collect();
    if line.len() < text.trim_end().len() || line.chars().nth(SHOWN_MAX).is_some() {
        out.push('…');
    }
    out
}

fn printable(c: char) -> impl Iterator<Item = char> {
    let (plain, escaped) = if c.is_control() { (None, Some(c.escape_default())) } else { (Some(c), None) };
    plain.into_iter().chain(escaped.into_iter().flatten())
}

/// The known name that was probably meant.
pub(super) fn nearest<'n>(wrong: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    if wrong.len() > SUGGESTED_BYTES_MAX {
        return None;
    }
    let wrong = wrong.to_lowercase();
    let allowed = 1 + wrong.chars().count() / 4;
    known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&wrong, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// The end of a message about an unknown name: the nearest known one, else all of them, up to [`NAMES_MAX`].
pub(super) fn instead(wrong: &str, known: &[&str]) -> String {
    match nearest(wrong, known.iter().copied()) {
        Some(name) => format!("did you mean '{name}'?"),
        None if known.is_empty() => "none is known".to_owned(),
        None if known.len() > NAMES_MAX => {
            format!("known are {} and {} more", known[..NAMES_MAX].join(", "), known.len() - NAMES_MAX)
        }
        None => format!("known are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_only_when_it_is_near() {
        let known = ["view_item", "view_item_list", "add_to_cart", "purchase"];
        let cases = [
            ("veiw_item", Some("view_item")),
            ("add-to-cart", Some("add_to_cart")),
            ("AddToCart", Some("add_to_cart")),
            ("purchases", Some("purchase")),
            ("teleport", None),
            ("", None),
        ];
        for (wrong, expected) in cases {
            assert_eq!(nearest(wrong, known), expected, "{wrong}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), known), None);
    }

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a\nbü = 1\n";
        for (at, expected) in [(0, (1, 1)), (2, (2, 1)), (5, (2, 3)), (10, (3, 1)), (4, (2, 2)), (999, (3, 1))] {
            assert_eq!(place(text, at), expected, "{at}");
        }
        assert_eq!(place("\u{feff}x", 3), (1, 1), "a byte order mark is no column");
    }

    #[test]
    fn quotes_stay_on_one_short_line() {
        assert_eq!(shown("\"0s\""), "\"0s\"");
        assert_eq!(shown("[1,\n2]"), "[1,…");
        assert_eq!(shown("a\u{1b}[31m"), "a\\u{1b}[31m");
        assert_eq!(shown(&"x".repeat(99)).chars().count(), SHOWN_MAX + 1);
        assert_eq!(shown(""), "");
    }

    #[test]
    fn problems_come_in_the_order_of_the_file_and_are_bounded() {
        let text = "line\n".repeat(30);
        let problems = Problems::new(&text);
        for line in (0..30).rev() {
            problems.report(line * 5, || format!("problem {line}"));
        }
        let error = problems.into_result("f.toml").unwrap_err().to_string();
        let lines: Vec<_> = error.lines().collect();
        assert_eq!(lines.len(), PROBLEMS_MAX + 1);
        assert_eq!(lines[0], "f.toml:11:1: problem 10");
        assert_eq!(lines[PROBLEMS_MAX], "f.toml: 10 more problems, shown once these are solved");
    }
}

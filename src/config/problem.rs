//! What is wrong with a configuration: where, and what would be right.

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::io;

use thiserror::Error;

use super::CONFIG_BYTES_MAX;
use crate::wording::shown;

/// Most problems of one file that are shown; the rest is only counted.
pub const PROBLEMS_MAX: usize = 20;
/// What strings stand between, the longer ones first.
const QUOTES: [&str; 4] = ["\"\"\"", "'''", "\"", "'"];

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
    /// The file is a text with mistakes; its message has one line a mistake, and below it its excerpt.
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
    /// What is wrong, and what is allowed; one line.
    pub message: String,
    /// Where the place lies within a text: that text and carets below it, as lines that begin with spaces.
    pub excerpt: Option<String>,
}

fn in_lines(file: &str, problems: &[Problem], hidden: usize) -> String {
    let mut text = String::new();
    for Problem { line, column, message, excerpt } in problems {
        let separator = if text.is_empty() { "" } else { "\n" };
        write!(text, "{separator}{file}:{line}:{column}: {message}").expect("a String takes all that is written");
        excerpt.iter().for_each(|excerpt| text.extend(["\n", excerpt.as_str()]));
    }
    if hidden > 0 {
        write!(text, "\n{file}: {hidden} more problems, shown once these are solved")
            .expect("a String takes all that is written");
    }
    text
}

/// What is wrong at a byte offset of the text.
struct Found {
    at: usize,
    message: String,
    excerpt: Option<String>,
}

/// Gathers all that is wrong with one text, so that one run shows it.
pub(crate) struct Problems<'a> {
    text: &'a str,
    found: RefCell<Vec<Found>>,
    hidden: Cell<usize>,
}

impl<'a> Problems<'a> {
    pub fn new(text: &'a str) -> Problems<'a> {
        Problems { text, found: RefCell::default(), hidden: Cell::new(0) }
    }

    /// Adds a problem at a byte offset of the text. The message is made only if it will be shown.
    pub fn report(&self, at: usize, message: impl FnOnce() -> String) {
        self.report_with(at, || (message(), None));
    }

    /// Adds a problem with an excerpt.
    pub fn report_with(&self, at: usize, message_and_excerpt: impl FnOnce() -> (String, Option<String>)) {
        if self.found.borrow().len() < PROBLEMS_MAX {
            let (message, excerpt) = message_and_excerpt();
            self.found.borrow_mut().push(Found { at, message, excerpt });
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

    /// Where a string's content begins in the text, if it stands there as it is: between its quotes, without escapes.
    pub fn verbatim(&self, part: std::ops::Range<usize>, content: &str) -> Option<usize> {
        let (start, raw) = (part.start, self.text.get(part)?);
        let quote = QUOTES.into_iter().find(|quote| raw.starts_with(quote))?;
        let inner = raw.strip_prefix(quote)?.strip_suffix(quote)?;
        // A line break right after three quotes does not belong to the content.
        let skipped = if quote.len() == 3 { inner.len() - inner.trim_start_matches(['\r', '\n']).len() } else { 0 };
        (0..=skipped.min(2)).find(|skip| &inner[*skip..] == content).map(|skip| start + quote.len() + skip)
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
        found.sort_by_key(|found| found.at);
        let problems = found
            .into_iter()
            .map(|Found { at, message, excerpt }| {
                let (line, column) = place(self.text, at);
                Problem { line, column, message, excerpt }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a\nbü = 1\n";
        for (at, expected) in [(0, (1, 1)), (2, (2, 1)), (5, (2, 3)), (10, (3, 1)), (4, (2, 2)), (999, (3, 1))] {
            assert_eq!(place(text, at), expected, "{at}");
        }
        assert_eq!(place("\u{feff}x", 3), (1, 1), "a byte order mark is no column");
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

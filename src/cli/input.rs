//! JSON objects from the command line, from files and from standard input, each with its place.
//!
//! One object a line (NDJSON); or a single object over as many lines as it likes. Empty lines are skipped.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, IsTerminal, Read};
use std::sync::Arc;

use serde::de::IgnoredAny;
use thiserror::Error;

use super::json::{self, JsonError, Named};
use crate::journey::BYTE_ORDER_MARK;

/// Most bytes of one object: more than that, a service with default limits does not take as one message.
pub const OBJECT_BYTES_MAX: usize = 1 << 20;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// File, "standard input" or "argument".
    pub name: Arc<str>,
    /// Line, from 1.
    pub line: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.name, self.line)
    }
}

/// Why an object, or all that follows, cannot be read.
#[derive(Debug, Error)]
pub enum InputError {
    /// It is not JSON, or not of the message that is expected.
    #[error("{at}:{column}: {what}")]
    Json {
        /// Line of the mistake.
        at: Place,
        /// Column, in bytes, from 1.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// It is too long; reading goes on behind it.
    #[error("{at}: an object of more than {OBJECT_BYTES_MAX} bytes")]
    TooLong {
        /// Where it begins.
        at: Place,
    },
    /// It is not UTF-8.
    #[error("{at}: not UTF-8")]
    NotText {
        /// Where it begins.
        at: Place,
    },
    /// The source can be read no further.
    #[error("{name}: {error}")]
    Unreadable {
        /// File or "standard input".
        name: Arc<str>,
        /// What the system says.
        error: io::Error,
    },
}

/// The text of an object, and where it begins.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its first line.
    pub at: Place,
    /// JSON, so far as its braces say.
    pub text: String,
}

impl Object {
    /// Reads it as a message.
    ///
    /// # Errors
    /// With the place of the mistake.
    pub fn read<T: Named>(&self) -> Result<T, InputError> {
        json::read(&self.text).map_err(|JsonError { line, column, what }| {
            let at = Place { name: Arc::clone(&self.at.name), line: self.at.line + line - 1 };
            InputError::Json { at, column, what }
        })
    }
}

/// Whether an argument is an object itself, and not the name of a file.
pub fn is_json(argument: &str) -> bool {
    argument.trim_start().starts_with(['{', '['])
}

/// The message that is the argument itself.
///
/// # Errors
/// With the place of the mistake.
pub fn only<T: Named>(argument: &str) -> Result<T, InputError> {
    let at = Place { name: "argument".into(), line: 1 };
    Object { at, text: argument.to_owned() }.read()
}

/// The sources that arguments name; standard input where none are given, unless a person sits in front of it: then
/// there are none.
///
/// # Errors
/// When one of them cannot be opened.
pub fn sources(arguments: &[String]) -> Result<Vec<Objects>, InputError> {
    if arguments.is_empty() && !io::stdin().is_terminal() {
        return Ok(vec![Objects::of("-")?]);
    }
    arguments.iter().map(|argument| Objects::of(argument)).collect()
}

/// The objects of one source, one after the other.
pub struct Objects {
    name: Arc<str>,
    reader: Box<dyn BufRead + Send>,
    /// Lines read.
    line: u64,
    /// Whether there was an object already: only the first may go over several lines.
    begun: bool,
    ended: bool,
}

impl Objects {
    /// What an argument stands for: `-` is standard input, a text that begins with a brace is the object itself,
    /// anything else is a file.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn of(argument: &str) -> Result<Objects, InputError> {
        let (name, reader): (&str, Box<dyn BufRead + Send>) = match argument {
            "-" => ("standard input", Box::new(BufReader::new(io::stdin()))),
            json if is_json(json) => ("argument", Box::new(Cursor::new(json.to_owned()))),
            file => {
                let opened = File::open(file);
                let opened = opened.map_err(|error| InputError::Unreadable { name: file.into(), error })?;
                (file, Box::new(BufReader::new(opened)))
            }
        };
        Ok(Objects { name: name.into(), reader, line: 0, begun: false, ended: false })
    }

    /// The next line with something in it, at most [`OBJECT_BYTES_MAX`] bytes; `None` at the end.
    fn line(&mut self) -> Result<Option<Vec<u8>>, InputError> {
        loop {
            let mut bytes = Vec::new();
            let read = (&mut self.reader).take(OBJECT_BYTES_MAX as u64 + 1).read_until(b'\n', &mut bytes);
            if read.map_err(|error| self.unreadable(error))? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.line == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
                bytes.drain(..BYTE_ORDER_MARK.len());
            }
            if bytes.len() > OBJECT_BYTES_MAX {
                if bytes.last() != Some(&b'\n') {
                    self.reader.skip_until(b'\n').map_err(|error| self.unreadable(error))?;
                }
                return Err(InputError::TooLong { at: self.place() });
            }
            if !bytes.trim_ascii().is_empty() {
                return Ok(Some(bytes));
            }
        }
    }

    /// The next object as bytes. `at` is told its first line.
    fn bytes(&mut self, at: &mut Place) -> Result<Option<Vec<u8>>, InputError> {
        let line = self.line();
        *at = self.place();
        let Some(mut bytes) = line? else { return Ok(None) };
        if !self.begun && is_cut_short(&bytes) {
            let room = (OBJECT_BYTES_MAX - bytes.len()) as u64;
            let rest = (&mut self.reader).take(room + 1).read_to_end(&mut bytes);
            rest.map_err(|error| self.unreadable(error))?;
            self.ended = true;
            if bytes.len() > OBJECT_BYTES_MAX {
                return Err(InputError::TooLong { at: at.clone() });
            }
        }
        Ok(Some(bytes))
    }

    fn place(&self) -> Place {
        Place { name: Arc::clone(&self.name), line: self.line }
    }

    fn unreadable(&self, error: io::Error) -> InputError {
        InputError::Unreadable { name: Arc::clone(&self.name), error }
    }
}

/// Whether a line is the beginning of an object that ends on another line.
fn is_cut_short(line: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(line).is_err_and(|error| error.is_eof())
}

impl Iterator for Objects {
    type Item = Result<Object, InputError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let mut at = self.place();
        let bytes = match self.bytes(&mut at) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return None,
            Err(error) => {
                self.ended |= matches!(error, InputError::Unreadable { .. });
                self.begun = true;
                return Some(Err(error));
            }
        };
        self.begun = true;
        // Without the end of its line: what is cut short is so on this line, not at the beginning of the next.
        let text =
            String::from_utf8(bytes.trim_ascii_end().to_vec()).map_err(|_| InputError::NotText { at: at.clone() });
        Some(text.map(|text| Object { at, text }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objects(text: &str) -> Objects {
        let reader = Box::new(Cursor::new(text.to_owned()));
        Objects { name: "test".into(), reader, line: 0, begun: false, ended: false }
    }

    /// Of each object its line and its text without spaces, or what is wrong.
    fn read(text: &str) -> Vec<String> {
        let told = objects(text).map(|object| match object {
            Ok(Object { at, text }) => format!("{at} {}", text.split_whitespace().collect::<String>()),
            Err(error) => error.to_string(),
        });
        told.collect()
    }

    #[test]
    fn objects_know_their_lines() {
        let cases: [(&str, &[&str]); 7] = [
            ("", &[]),
            ("\n \n", &[]),
            ("{}", &["test:1 {}"]),
            ("\n{\"a\":1}\r\n\n{\"b\":2}\n", &["test:2 {\"a\":1}", "test:4 {\"b\":2}"]),
            ("\n{\n \"a\": [\n1\n]}\n", &["test:2 {\"a\":[1]}"]),
            // Only a first object may go on: later ones that are cut short keep no other out.
            ("{}\n{\"a\":\n{}\n", &["test:1 {}", "test:2 {\"a\":", "test:3 {}"]),
            ("{]\n{}", &["test:1 {]", "test:2 {}"]),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_passed_over() {
        let long = "x".repeat(OBJECT_BYTES_MAX + 10);
        let fits = format!("{{\"a\":\"{}\"}}", "x".repeat(OBJECT_BYTES_MAX - 9));
        let told = read(&format!("{{}}\n{long}\n{fits}\n{{}}\n"));
        assert_eq!(told[1], "test:2: an object of more than 1048576 bytes");
        assert_eq!((told.len(), told[2].len(), told[3].as_str()), (4, "test:3 ".len() + fits.len(), "test:4 {}"));
        let spread = format!("{{\"a\":\n\"{long}\"}}\n");
        assert_eq!(read(&spread), ["test:1: an object of more than 1048576 bytes"]);
    }

    #[test]
    fn mistakes_are_placed_in_the_whole_source() {
        let one = objects("\n{\n \"users\": 7}").next().expect("an object").expect("that can be read");
        let error = one.read::<crate::pb::v1::ScoreRequest>().expect_err("users is a list").to_string();
        assert_eq!(error, "test:3:11: invalid type: integer `7`, expected a list");
        assert!(matches!(Objects::of("no/such/file"), Err(InputError::Unreadable { .. })));
        let mut bytes = objects("");
        bytes.reader = Box::new(Cursor::new(b"\xff\n{}".to_vec()));
        let told: Vec<bool> = bytes.map(|object| object.is_ok()).collect();
        assert_eq!(told, [false, true]);
    }
}

//! Reads a TOML table field by field. What is read in the end is what is allowed: all other keys are refused.

use std::collections::HashMap;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::Problems;
use super::value::{Range, Value, size_words};
use crate::ids::Id;
use crate::units::Span;
use crate::wording::{instead, shown};

/// A table of the configuration, with the keys read so far.
pub(crate) struct Table<'a> {
    problems: &'a Problems<'a>,
    table: &'a DeTable<'a>,
    /// What the table is about, as messages begin: empty, `learner: ` or `goal 'purchase': `.
    about: String,
    /// Path from there, as messages go on: empty or `multiplier.`.
    path: String,
    /// Byte offset of its header.
    at: usize,
    read: Vec<&'static str>,
}

/// Names of one kind and where they were given.
#[derive(Default)]
pub(crate) struct Names(HashMap<Id, usize>);

impl Names {
    /// Takes a name for the first time; a second time is reported.
    pub fn claim(&mut self, id: &Id, value: &Value<'_>) -> bool {
        let at = value.value.span().start;
        let first = *self.0.entry(id.clone()).or_insert(at);
        if first != at {
            let line = value.problems.line(first);
            value.refuse(format_args!("is already in line {line}: each name once"));
        }
        first == at
    }
}

impl<'a> Table<'a> {
    /// The whole file.
    pub fn root(problems: &'a Problems<'a>, table: &'a DeTable<'a>) -> Table<'a> {
        Table { problems, table, about: String::new(), path: String::new(), at: 0, read: Vec::new() }
    }

    /// The value of a key; `None` if it is absent.
    pub fn take(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.read.push(key);
        let value = self.table.get(key)?;
        Some(Value { problems: self.problems, label: format!("{}{}{key}", self.about, self.path), value })
    }

    /// Reports what is wrong with the table as a whole.
    pub fn refuse(&self, why: impl Display) {
        self.problems.report(self.at, || format!("{}{why}", self.about));
    }

    /// Reads the name of what this table is about, which every later message begins with.
    pub fn identify(&mut self, noun: &str, key: &'static str, names: &mut Names) -> Option<Id> {
        self.about = format!("{noun}: ");
        let Some(value) = self.take(key) else {
            self.refuse(format_args!("{key} is missing: each {noun} needs one"));
            return None;
        };
        let id = value.id()?;
        self.about = format!("{noun} '{id}': ");
        names.claim(&id, &value).then_some(id)
    }

    /// Names what this table is about by the first of these keys that it has.
    pub fn call<const N: usize>(&mut self, noun: &str, keys: [&str; N]) {
        let name = keys.into_iter().find_map(|key| self.table.get(key)?.get_ref().as_str());
        if let Some(name) = name {
            self.about = format!("{noun} '{}': ", shown(name));
        }
    }

    /// A table that stands for itself, such as `[learner]`.
    pub fn section(&mut self, key: &'static str) -> Option<Table<'a>> {
        let mut table = self.part(key)?;
        table.about = format!("{key}: ");
        table.path.clear();
        Some(table)
    }

    /// A table that is a part of this one, such as `multiplier = {…}` of a goal.
    pub fn part(&mut self, key: &'static str) -> Option<Table<'a>> {
        let value = self.take(key)?;
        let Some(table) = value.value.get_ref().as_table() else {
            value.refuse(format_args!("must be a table: [{key}] or {key} = {{ … }}"));
            return None;
        };
        let path = format!("{}{key}.", self.path);
        let (about, at) = (self.about.clone(), value.value.span().start);
        Some(Table { problems: self.problems, table, about, path, at, read: Vec::new() })
    }

    /// The tables of a list, such as all `[[advertiser]]`; `header` is how the file writes one.
    pub fn list(&mut self, key: &'static str, header: &str) -> Vec<Table<'a>> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let list = value.value.get_ref().as_array().filter(|list| list.iter().all(|entry| entry.get_ref().is_table()));
        let Some(list) = list else {
            value.refuse(format_args!("must be a list of tables: write [[{header}]], with two brackets"));
            return Vec::new();
        };
        let table = |entry: &'a Spanned<DeValue<'a>>| {
            let table = entry.get_ref().as_table()?;
            let (about, at) = (format!("{}{key}: ", self.about), entry.span().start);
            Some(Table { problems: self.problems, table, about, path: String::new(), at, read: Vec::new() })
        };
        list.iter().filter_map(table).collect()
    }

    /// All keys with their values, where any key may stand.
    pub fn entries(&self) -> Vec<(&'a str, Value<'a>)> {
        let entry = |(key, value): (&'a Spanned<std::borrow::Cow<'a, str>>, &'a Spanned<DeValue<'a>>)| {
            let name: &'a str = key.get_ref();
            let label = format!("{}{}{}", self.about, self.path, shown(name));
            (name, Value { problems: self.problems, label, value })
        };
        self.table.iter().map(entry).collect()
    }

    /// Whether the key is there, with whatever value.
    pub fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// Reads a number within a range; answers with the value if it was good.
    pub fn number(&mut self, key: &'static str, into: &mut f64, range: Range) -> Option<Value<'a>> {
        let value = self.take(key)?;
        let number = value.number()?;
        if !range.contains(number) {
            value.refuse(format_args!("must be {range}"));
            return None;
        }
        *into = number;
        Some(value)
    }

    /// Reads a whole number within a range; answers with the value if it was good.
    pub fn whole<T>(&mut self, key: &'static str, into: &mut T, range: RangeInclusive<T>) -> Option<Value<'a>>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let value = self.take(key)?;
        let number = T::try_from(value.integer()?).ok().filter(|number| range.contains(number));
        match number {
            Some(number) => *into = number,
            None => {
                value.refuse(format_args!("must be between {} and {}", range.start(), range.end()));
                return None;
            }
        }
        Some(value)
    }

    /// Reads a span of time within a range.
    pub fn span(&mut self, key: &'static str, into: &mut Span, range: RangeInclusive<Span>) {
        let Some(value) = self.take(key) else { return };
        let Some(span) = value.span() else { return };
        if range.contains(&span) {
            *into = span;
        } else {
            value.refuse(format_args!("must be between {} and {}", range.start(), range.end()));
        }
    }

    /// Reads a size in bytes within a range.
    pub fn size(&mut self, key: &'static str, into: &mut usize, range: RangeInclusive<usize>) {
        let Some(value) = self.take(key) else { return };
        let Some(size) = value.size() else { return };
        if range.contains(&size) {
            *into = size;
        } else {
            let (low, high) = (size_words(*range.start()), size_words(*range.end()));
            value.refuse(format_args!("must be between {low} and {high}"));
        }
    }

    /// Reads one of several words; answers with the value if it was good.
    pub fn choice<T: Copy>(&mut self, key: &'static str, into: &mut T, choices: &[(&str, T)]) -> Option<Value<'a>> {
        let value = self.take(key)?;
        let text = value.text()?;
        if let Some((_, choice)) = choices.iter().find(|(word, _)| *word == text) {
            *into = *choice;
            return Some(value);
        }
        let words: Vec<String> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
        value.refuse(format_args!("must be {}", words.join(" or ")));
        None
    }

    /// Reads a choice between true and false.
    pub fn flag(&mut self, key: &'static str, into: &mut bool) {
        if let Some(flag) = self.take(key).and_then(|value| value.flag()) {
            *into = flag;
        }
    }

    /// Reads an address and port.
    pub fn address(&mut self, key: &'static str, into: &mut SocketAddr) {
        let Some(value) = self.take(key) else { return };
        let Some(text) = value.text() else { return };
        match text.parse() {
            Ok(address) => *into = address,
            Err(_) => value.refuse("must be an IP address and a port, such as \"127.0.0.1:7610\" or \"[::1]:7610\""),
        }
    }

    /// Refuses all keys that were not read; answers with all that was found wrong so far.
    pub fn finish(self) -> &'a Problems<'a> {
        for (key, _) in self.table.iter() {
            let name: &str = key.get_ref();
            if !self.read.contains(&name) {
                let quote = || self.problems.quote(key.span());
                let message =
                    || format!("{}{}{}: unknown key: {}", self.about, self.path, quote(), instead(name, &self.read));
                self.problems.report(key.span().start, message);
            }
        }
        self.problems
    }
}

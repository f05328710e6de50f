//! One value of the configuration: its type, its range, its place in messages.

use std::fmt;
use std::fmt::Display;

use toml::Spanned;
use toml::de::DeValue;

use super::problem::Problems;
use crate::expression::ExpressionError;
use crate::ids::Id;
use crate::units::Span;
use crate::wording::instead;

/// Spelling of units in a size, largest first, with their bytes.
const SIZE_UNITS: [(&str, usize); 3] = [("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// One value of the configuration, with its place.
pub(crate) struct Value<'a> {
    pub problems: &'a Problems<'a>,
    /// What the value is, as messages begin: `goal 'purchase': view_window`.
    pub label: String,
    pub value: &'a Spanned<DeValue<'a>>,
}

/// Which numbers are allowed. None of them contains NaN.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Range {
    /// Both ends included.
    Between(f64, f64),
    /// The lower end excluded, the upper one included.
    Above(f64, f64),
}

impl Range {
    pub fn contains(self, number: f64) -> bool {
        match self {
            Range::Between(low, high) => (low..=high).contains(&number),
            Range::Above(low, high) => number > low && number <= high,
        }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Range::Between(low, high) => write!(out, "between {low} and {high}"),
            Range::Above(low, high) => write!(out, "above {low} and at most {high}"),
        }
    }
}

impl<'a> Value<'a> {
    /// Reports the value, with what would be allowed.
    pub fn refuse(&self, why: impl Display) {
        let span = self.value.span();
        let label = &self.label;
        self.problems.report(span.start, || format!("{label} = {}: {why}", self.problems.quote(span)));
    }

    /// Reports an unknown name, with the one that was probably meant.
    pub fn refuse_name(&self, noun: &str, known: &[&str]) {
        let wrong = self.as_text().unwrap_or_default();
        let span = self.value.span();
        let label = &self.label;
        self.problems.report(span.start, || {
            let quote = self.problems.quote(span);
            format!("{label} = {quote}: unknown {noun}: {}", instead(wrong, known))
        });
    }

    /// Reports what is wrong with an expression in the value: at its place in the file where the file has the
    /// expression as it is, else at the value, with the place in the expression.
    pub fn refuse_expression(&self, text: &str, error: &ExpressionError) {
        let span = self.value.span();
        let label = &self.label;
        let (at, place) = match self.problems.verbatim(span.clone(), text) {
            Some(start) => (start + error.part.start, String::new()),
            None => (span.start, format!("column {} of the expression: ", error.column)),
        };
        let excerpt = || (!text.trim().is_empty()).then(|| error.excerpt(text));
        self.problems.report_with(at, || (format!("{label}: {place}{}", error.fault), excerpt()));
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&'a str> {
        self.value.get_ref().as_str()
    }

    /// The number, if it is a whole one of 64 bits.
    pub fn as_integer(&self) -> Option<i64> {
        let integer = self.value.get_ref().as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    /// The text of a string.
    pub fn text(&self) -> Option<&'a str> {
        let text = self.as_text();
        if text.is_none() {
            self.refuse("must be a text in quotes");
        }
        text
    }

    /// The text of a string, as an identifier.
    pub fn id(&self) -> Option<Id> {
        Id::new(self.text()?).map_err(|error| self.refuse(error)).ok()
    }

    /// The entries of a list of strings, as identifiers.
    pub fn ids(&self) -> Option<Vec<(Id, Value<'a>)>> {
        let Some(list) = self.value.get_ref().as_array() else {
            self.refuse("must be a list of names, such as [\"view_item\", \"add_to_cart\"]");
            return None;
        };
        let values = list.iter().map(|value| Value { problems: self.problems, label: self.label.clone(), value });
        Some(values.filter_map(|value| Some((value.id()?, value))).collect())
    }

    /// The entries of a table of numbers within a range, by their names, in the order of the file.
    pub fn numbers(&self, range: Range) -> Option<Vec<(Id, f64)>> {
        let Some(table) = self.value.get_ref().as_table() else {
            self.refuse("must be a table of numbers: { name = 0.5, … }");
            return None;
        };
        let mut all: Vec<_> = table.iter().collect();
        all.sort_by_key(|(key, _)| key.span().start);
        let read = |(key, value): (&'a Spanned<_>, &'a Spanned<DeValue<'a>>)| {
            let name: &std::borrow::Cow<'_, str> = key.get_ref();
            let value = Value { problems: self.problems, label: format!("{}.{name}", self.label), value };
            let id = Id::new(name.as_ref()).map_err(|error| value.refuse(error)).ok()?;
            let number = value.number()?;
            if !range.contains(number) {
                value.refuse(format_args!("must be {range}"));
                return None;
            }
            Some((id, number))
        };
        Some(all.into_iter().filter_map(read).collect())
    }

    /// Whether the value is a list without entries.
    pub fn is_empty_list(&self) -> bool {
        self.value.get_ref().as_array().is_some_and(|list| list.is_empty())
    }

    /// The value of a number, whole or not.
    pub fn number(&self) -> Option<f64> {
        let number = match self.value.get_ref() {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(_) => self.as_integer().map(|integer| integer as f64),
            _ => None,
        };
        if number.is_none() {
            self.refuse("must be a number, such as 1.5, without quotes");
        }
        number
    }

    /// The value of a flag.
    pub fn flag(&self) -> Option<bool> {
        let flag = self.value.get_ref().as_bool();
        if flag.is_none() {
            self.refuse("must be true or false, without quotes");
        }
        flag
    }

    /// The value of a whole number.
    pub fn integer(&self) -> Option<i64> {
        let integer = self.as_integer();
        if integer.is_none() {
            self.refuse("must be a whole number, without quotes");
        }
        integer
    }

    /// The value of a span of time.
    pub fn span(&self) -> Option<Span> {
        let span = self.as_text().and_then(|text| Span::parse(text).ok());
        if span.is_none() {
            self.refuse(
                "must be a whole number with a unit, in quotes, such as \"30d\", \"12h\", \"15m\", \"90s\" or \
                 \"250ms\"",
            );
        }
        span
    }

    /// The value of a size, in bytes.
    pub fn size(&self) -> Option<usize> {
        let size = self.as_text().and_then(parse_size);
        if size.is_none() {
            self.refuse("must be a whole number with a unit, in quotes, such as \"4MiB\", \"512KiB\" or \"100B\"");
        }
        size
    }
}

fn parse_size(text: &str) -> Option<usize> {
    let (unit, scale) = SIZE_UNITS.into_iter().find(|(unit, _)| text.ends_with(unit))?;
    let digits = text.strip_suffix(unit)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse::<usize>().ok().filter(|_| plain)?.checked_mul(scale)
}

/// A size as the configuration spells it.
pub(super) fn size_words(bytes: usize) -> String {
    let (unit, scale) =
        SIZE_UNITS.into_iter().find(|(_, scale)| bytes.is_multiple_of(*scale)).expect("bytes are whole bytes");
    format!("{}{unit}", bytes / scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_and_print_alike() {
        for text in ["4MiB", "512KiB", "100B", "1025B"] {
            assert_eq!(size_words(parse_size(text).unwrap()), text);
        }
        assert_eq!(parse_size("1024KiB"), Some(1 << 20));
        for wrong in
            ["", "B", "4", "4MB", "4 MiB", "-4MiB", "+4MiB", "4.5MiB", "99999999999999999999MiB", "99999999999999MiB"]
        {
            assert_eq!(parse_size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ranges_contain_their_ends_and_no_nan() {
        let (between, above) = (Range::Between(0.0, 1.0), Range::Above(0.0, 1.0));
        for (number, in_between, is_above) in
            [(0.0, true, false), (1.0, true, true), (1.1, false, false), (-0.1, false, false), (f64::NAN, false, false)]
        {
            assert_eq!((between.contains(number), above.contains(number)), (in_between, is_above), "{number}");
        }
    }
}

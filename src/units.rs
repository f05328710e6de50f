//! Units as types: moments, spans of time, money.

use std::fmt;
use std::ops::{Add, Sub};

use thiserror::Error;

/// A moment in milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(pub u64);

/// A length of time in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Span(pub u64);

/// A moment in whole seconds since 1970-01-01 UTC, as profiles keep it. Ends in the year 2106.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Tick(pub u32);

/// Latest moment that is accepted: [`Tick`] and the token's clock can hold it.
pub const TIMESTAMP_MAX: Timestamp = Timestamp(u32::MAX as u64 * 1_000);

impl Timestamp {
    /// The whole second this moment lies in.
    pub fn tick(self) -> Tick {
        Tick(u32::try_from(self.0 / 1_000).unwrap_or(u32::MAX))
    }

    /// Time since an earlier moment; zero when that moment is later.
    pub fn since(self, earlier: Timestamp) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Tick {
    /// Seconds since an earlier second; zero when that one is later.
    pub fn since(self, earlier: Tick) -> u32 {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Span> for Timestamp {
    type Output = Timestamp;
    fn add(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Timestamp {
    type Output = Timestamp;
    fn sub(self, span: Span) -> Timestamp {
        Timestamp(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Span;
    fn add(self, other: Span) -> Span {
        Span(self.0.saturating_add(other.0))
    }
}

/// Spelling of units in a span, largest first, with their milliseconds.
const SPAN_UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The text is no span of time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("'{text}' is no span of time: write a whole number and a unit, such as 30d, 12h, 15m, 90s or 250ms")]
pub struct SpanError {
    /// The refused text.
    pub text: String,
}

impl Span {
    /// No time at all.
    pub const ZERO: Span = Span(0);

    /// A span of whole seconds.
    pub const fn seconds(count: u64) -> Span {
        Span(count * 1_000)
    }

    /// A span of whole minutes.
    pub const fn minutes(count: u64) -> Span {
        Span::seconds(count * 60)
    }

    /// A span of whole hours.
    pub const fn hours(count: u64) -> Span {
        Span::minutes(count * 60)
    }

    /// A span of whole days of 24 hours.
    pub const fn days(count: u64) -> Span {
        Span::hours(count * 24)
    }

    /// Whole seconds of this span, rounded down.
    pub const fn whole_seconds(self) -> u64 {
        self.0 / 1_000
    }

    /// Reads a span such as `7d`, `90s` or `250ms`: one whole number, one unit.
    ///
    /// # Errors
    /// When the text is anything else, or too large for 64 bits of milliseconds.
    pub fn parse(text: &str) -> Result<Span, SpanError> {
        let error = || SpanError { text: text.chars().take(40).collect() };
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let (_, scale) = SPAN_UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
        let number: u64 = number.parse().map_err(|_| error())?;
        number.checked_mul(*scale).map(Span).ok_or_else(error)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, scale) = SPAN_UNITS
            .iter()
            .find(|(_, scale)| self.0 >= *scale && self.0.is_multiple_of(*scale))
            .unwrap_or(&SPAN_UNITS[3]);
        write!(out, "{}{name}", self.0 / scale)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Money in millionths of a currency's unit, for one impression or one conversion (not per mille).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Micros(pub i64);

/// Largest amount of money in one event: ten million units.
pub const MICROS_MAX: Micros = Micros(10_000_000_000_000);

impl Micros {
    /// Rounds an amount in whole units, such as 19.90, to micros.
    ///
    /// `None` for NaN, negative amounts and amounts above [`MICROS_MAX`].
    pub fn from_units(amount: f64) -> Option<Micros> {
        let micros = (amount * 1e6).round();
        (0.0..=MICROS_MAX.0 as f64).contains(&micros).then_some(Micros(micros as i64))
    }

    /// The amount in whole units.
    pub fn units(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

/// An ISO 4217 code such as `EUR`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    /// US dollars, the default of a goal.
    pub const USD: Currency = Currency(*b"USD");

    /// Reads three capital letters; `None` for anything else.
    pub fn parse(text: &str) -> Option<Currency> {
        let code: [u8; 3] = text.as_bytes().try_into().ok()?;
        code.iter().all(u8::is_ascii_uppercase).then_some(Currency(code))
    }

    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII letters get in")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// An amount as an event states it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Money {
    /// How much, 0 to [`MICROS_MAX`].
    pub amount: Micros,
    /// In which currency; `None` means the goal's own.
    pub currency: Option<Currency>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_and_print_alike() {
        for text in ["7d", "36h", "90s", "15m", "250ms", "0s"] {
            assert_eq!(Span::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Span::parse("48h").unwrap().to_string(), "2d");
        for wrong in ["", "d", "7", "7 d", "1.5h", "-1h", "7w", "99999999999999999999d"] {
            assert!(Span::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn money_refuses_what_is_no_amount() {
        assert_eq!(Micros::from_units(19.9), Some(Micros(19_900_000)));
        for wrong in [f64::NAN, f64::INFINITY, -0.01, 2e7] {
            assert_eq!(Micros::from_units(wrong), None, "{wrong}");
        }
        assert_eq!(Currency::parse("EUR").unwrap().as_str(), "EUR");
        assert_eq!(Currency::parse("eur"), None);
        assert_eq!(Currency::parse("EURO"), None);
    }
}

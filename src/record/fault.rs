//! What can be wrong with a frame or a record, and the readers of single fields that say so.

use thiserror::Error;

use super::{FRAME_FORMAT, FRAME_RECORDS_MAX};
use crate::ids::{Id, IdError};
use crate::units::{Currency, Micros, Money};

/// Why bytes are no frame, or records cannot become one.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum RecordError {
    /// Shorter than a frame's head.
    #[error("{bytes} bytes are too few for a frame's head")]
    NoHead {
        /// Length of the refused bytes.
        bytes: usize,
    },
    /// Not the format this program writes: damaged, or written by a later version.
    #[error("frame format {found} is not known, only {FRAME_FORMAT}: damaged, or written by a later version")]
    Format {
        /// The first byte.
        found: u8,
    },
    /// The head promises more records than a frame has.
    #[error("the frame's head promises {count} records, at most {FRAME_RECORDS_MAX} are allowed")]
    TooMany {
        /// What the head says.
        count: usize,
    },
    /// Longer than a frame of these records may be.
    #[error("a frame of {count} records has {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Length of the frame.
        bytes: usize,
        /// Records by its head.
        count: usize,
        /// What is allowed.
        limit: usize,
    },
    /// Something follows the last record.
    #[error("{bytes} bytes follow the last of {count} records")]
    Trailing {
        /// How many.
        bytes: usize,
        /// Records by the frame's head.
        count: usize,
    },
    /// More records than fit into one frame.
    #[error("record {index} does not fit into the frame of at most {bytes_max} bytes and {FRAME_RECORDS_MAX} records")]
    Full {
        /// Place of the first record that does not fit, from 0.
        index: usize,
        /// Size of a frame.
        bytes_max: usize,
    },
    /// One record is wrong.
    #[error("record {index}: {fault}")]
    Record {
        /// Place in the frame, from 0.
        index: usize,
        /// What is wrong with it.
        fault: Fault,
    },
}

/// What is wrong with a record.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum Fault {
    /// No protocol buffer, or cut.
    #[error("malformed: {0}")]
    Malformed(#[from] prost::DecodeError),
    /// Something required is absent, or of a kind this version does not know.
    #[error("{0} is missing or of an unknown kind")]
    Missing(&'static str),
    /// A name breaks the rules of [`Id`].
    #[error("{field}: {error}")]
    Id {
        /// Name of the field.
        field: &'static str,
        /// Which rule.
        error: IdError,
    },
    /// A number outside its range, or no number.
    #[error("{field} is {value}, allowed is {allowed}")]
    OutOfRange {
        /// Name of the field.
        field: &'static str,
        /// What was found.
        value: f64,
        /// The range in words.
        allowed: &'static str,
    },
    /// A list is longer than its limit.
    #[error("{field}: at most {limit} entries, {count} found")]
    TooMany {
        /// Name of the field.
        field: &'static str,
        /// How many there are.
        count: usize,
        /// How many are allowed.
        limit: usize,
    },
    /// Not a currency's code.
    #[error("{field}: '{value}' is no currency: three capital letters are needed")]
    Currency {
        /// Name of the field.
        field: &'static str,
        /// What was found.
        value: String,
    },
    /// One record alone is larger than a frame.
    #[error("it makes a frame of {bytes} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Size of the frame.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// A fault inside settings, with the way to it.
    #[error("{place}: {fault}")]
    Within {
        /// Which advertiser, goal, segment …
        place: String,
        /// What is wrong there.
        fault: Box<Fault>,
    },
}

impl Fault {
    /// The same fault, with one more step of the way to it.
    pub(super) fn within(self, kind: &str, name: impl std::fmt::Display) -> Fault {
        Fault::Within { place: format!("{kind} '{name}'"), fault: Box::new(self) }
    }
}

/// A name.
pub(super) fn id(field: &'static str, text: String) -> Result<Id, Fault> {
    Id::new(text).map_err(|error| Fault::Id { field, error })
}

/// A name that may be absent.
pub(super) fn optional_id(field: &'static str, text: Option<String>) -> Result<Option<Id>, Fault> {
    text.map(|text| id(field, text)).transpose()
}

/// A list of names.
pub(super) fn ids(field: &'static str, texts: Vec<String>) -> Result<Vec<Id>, Fault> {
    texts.into_iter().map(|text| id(field, text)).collect()
}

/// A whole number that must fit a smaller type.
pub(super) fn narrow<T: TryFrom<u64>>(field: &'static str, value: impl Into<u64>) -> Result<T, Fault> {
    let value = value.into();
    let too_large = |_| Fault::OutOfRange { field, value: value as f64, allowed: "what its type holds" };
    T::try_from(value).map_err(too_large)
}

/// A part that must be there.
pub(super) fn required<T>(field: &'static str, part: Option<T>) -> Result<T, Fault> {
    part.ok_or(Fault::Missing(field))
}

/// A currency's code.
pub(super) fn currency(field: &'static str, code: String) -> Result<Currency, Fault> {
    Currency::parse(&code).ok_or(Fault::Currency { field, value: code })
}

/// An amount of money that may be absent.
pub(super) fn money(field: &'static str, money: Option<crate::pb::journal::Money>) -> Result<Option<Money>, Fault> {
    let read = |money: crate::pb::journal::Money| {
        let currency = money.currency.map(|code| currency(field, code)).transpose()?;
        Ok(Money { amount: Micros(money.amount_micros), currency })
    };
    money.map(read).transpose()
}

/// A name as it is written.
pub(super) fn text(id: &Id) -> String {
    id.as_str().to_owned()
}

/// A name that may be absent, as it is written.
pub(super) fn optional_text(id: &Option<Id>) -> Option<String> {
    id.as_ref().map(text)
}

/// Names as they are written.
pub(super) fn texts(ids: &[Id]) -> Vec<String> {
    ids.iter().map(text).collect()
}

//! Names as the outside gives them, and the small numbers that stand for them inside.

use std::fmt;

use smol_str::SmolStr;
use thiserror::Error;

/// Longest identifier in bytes of UTF-8. A longer one is rejected with its item, never cut.
pub const ID_BYTES_MAX: usize = 128;

/// An identifier from outside: an advertiser, action, goal, item, opportunity …
///
/// 1 to [`ID_BYTES_MAX`] bytes of UTF-8 without control characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(SmolStr);

/// Why a text is no [`Id`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IdError {
    /// The text has no characters.
    #[error("an identifier must not be empty")]
    Empty,
    /// The text is longer than [`ID_BYTES_MAX`].
    #[error("an identifier has at most {ID_BYTES_MAX} bytes, this one has {bytes}")]
    TooLong {
        /// Length of the refused text.
        bytes: usize,
    },
    /// The text holds a control character, which would garble logs and reports.
    #[error("an identifier must not hold the control character at byte {at}")]
    ControlCharacter {
        /// Byte offset of the first control character.
        at: usize,
    },
}

impl Id {
    /// Checks and takes over a text.
    ///
    /// # Errors
    /// Says which of the three rules of [`Id`] the text breaks.
    pub fn new(text: impl AsRef<str> + Into<SmolStr>) -> Result<Id, IdError> {
        let checked = text.as_ref();
        if checked.is_empty() {
            return Err(IdError::Empty);
        }
        if checked.len() > ID_BYTES_MAX {
            return Err(IdError::TooLong { bytes: checked.len() });
        }
        // Most texts are printable ASCII, which a scan of bytes shows faster than one of characters.
        if !checked.bytes().all(|byte| (b' '..=b'~').contains(&byte))
            && let Some(at) = checked.find(char::is_control)
        {
            return Err(IdError::ControlCharacter { at });
        }
        Ok(Id(text.into()))
    }

    /// An identifier that is written in this program.
    ///
    /// # Panics
    /// When the text breaks a rule: only for literals.
    pub fn literal(text: &'static str) -> Id {
        Id::new(text).expect("literals in this program are valid identifiers")
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:?}", self.0)
    }
}

impl std::borrow::Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A person's identifier as the engine knows it: a keyed hash that the edge makes, so that raw ids are never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserKey(pub u64);

/// Hash of advertiser and opportunity id: the idempotency key of an impression. Made by
/// [`crate::hash::opportunity_key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpportunityKey(pub u64);

/// 32-bit hash of an item or a category. Compared within one user's history only, and else a feature: two names that
/// share one are hardly ever met together. Made by [`crate::hash::item_key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemKey(pub u32);

/// Place of a frame in the journal, counted from 1 without gaps; 0 is "before the first".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Seq(pub u64);

impl Seq {
    /// The place after this one.
    pub fn next(self) -> Seq {
        Seq(self.0 + 1)
    }
}

/// Declares a code: a small number that `apply` gives to a name in the order of first sight and never takes back.
macro_rules! code {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $inner);

        impl $name {
            /// The code as an index into a table.
            pub fn index(self) -> usize {
                usize::from(self.0)
            }
        }
    };
}

code! {
    /// Stands for an advertiser.
    AdvertiserCode(u16)
}
code! {
    /// Stands for an action of one advertiser. Codes start at 1, so that 0 can mean "none" in packed places.
    ActionCode(u8)
}
code! {
    /// Stands for one advertiser's goal; unique over all advertisers.
    GoalCode(u16)
}
code! {
    /// Stands for a segment of one advertiser: rule segments have the codes below
    /// [`RULE_SEGMENTS_MAX`](crate::settings::RULE_SEGMENTS_MAX), external ones those above.
    SegmentCode(u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_bounded_and_printable() {
        assert_eq!(Id::new("").unwrap_err(), IdError::Empty);
        assert_eq!(Id::new("a\nb").unwrap_err(), IdError::ControlCharacter { at: 1 });
        assert_eq!(Id::new("x".repeat(129)).unwrap_err(), IdError::TooLong { bytes: 129 });
        assert_eq!(Id::new("x".repeat(128)).unwrap().as_str().len(), 128);
        assert_eq!(Id::new("Männer/Schuhe").unwrap().to_string(), "Männer/Schuhe");
    }
}

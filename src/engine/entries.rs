//! Entries of an image, one after the other in one piece of memory.
//!
//! | bytes | content |
//! |---|---|
//! | 1 | [`Kind`] |
//! | 8 | number |
//! | 4 | length of what follows |
//! | as many | canonical bytes, as the part of the state writes them |

use thiserror::Error;

/// Part of the state an entry belongs to. The numbers are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The engine's clock, and when scorers saw a change last.
    Clock = 1,
    /// The settings in force. Not among the entries: whoever keeps an image keeps them beside it.
    Settings = 2,
    /// An advertiser's names in the order of their codes, by its code.
    Names = 3,
    /// What one person did with one advertiser, by the hash of both.
    Profile = 4,
    /// Linked ids, by the root.
    Group = 5,
    /// An impression, by its number.
    Impression = 6,
    /// A conversion, by its number.
    Conversion = 7,
    /// Event ids seen lately, in pieces.
    RecentEvents = 8,
    /// What an advertiser's people do, by its code.
    Advertiser = 9,
    /// What is learned of a goal, but for the weights, by its code.
    Goal = 10,
    /// Weights of a goal: its code above 32 bits, number of the piece below.
    Weights = 11,
    /// One count.
    Tally = 12,
    /// Somebody who was forgotten lately, by the place in order.
    Forgotten = 13,
    /// Acts of a person within a minute, by the profile's number. Profiles say that themselves; entries of images that
    /// were written before they did are passed over.
    Pace = 14,
    /// A path and who has walked it: advertiser's code above 32 bits, path below.
    Path = 15,
    /// A goal's experiment, by the goal's code.
    Trial = 16,
    /// Somebody in an experiment, by root id.
    Participant = 17,
    /// Somebody in quarantine, by the profile's number.
    Quarantine = 18,
    /// What counts on: numbers of impressions and conversions.
    Next = 19,
    /// What was bid for a goal, by its code; of goals for which anything was spent. Images of format 1 have none.
    Bids = 20,
}

impl Kind {
    const ALL: [Kind; 20] = [
        Kind::Clock,
        Kind::Settings,
        Kind::Names,
        Kind::Profile,
        Kind::Group,
        Kind::Impression,
        Kind::Conversion,
        Kind::RecentEvents,
        Kind::Advertiser,
        Kind::Goal,
        Kind::Weights,
        Kind::Tally,
        Kind::Forgotten,
        Kind::Pace,
        Kind::Path,
        Kind::Trial,
        Kind::Participant,
        Kind::Quarantine,
        Kind::Next,
        Kind::Bids,
    ];

    fn from_number(number: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// Kind, number and length.
const HEAD_BYTES: usize = 13;

/// Entries in one piece of memory.
#[derive(Debug, Default)]
pub struct Entries(Vec<u8>);

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Part of the state.
    pub kind: Kind,
    /// Which one of the kind.
    pub number: u64,
    /// Its canonical bytes.
    pub bytes: &'a [u8],
}

/// Bytes that are no entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no entry of an image begins at byte {offset} of its piece")]
pub struct NoEntry {
    /// Where the entry should begin.
    pub offset: usize,
}

impl Entries {
    /// None, with room for so many bytes.
    pub fn with_room(bytes: usize) -> Entries {
        Entries(Vec::with_capacity(bytes))
    }

    /// None, with room for so many bytes that the system has given already: to write there waits for nothing, as who
    /// holds a lock must not.
    pub fn with_memory(bytes: usize) -> Entries {
        // Zeros would be had without touching the memory.
        let mut memory = vec![1; bytes];
        memory.clear();
        Entries(memory)
    }

    /// Adds an entry; `write` appends its bytes.
    pub(super) fn push(&mut self, kind: Kind, number: u64, write: impl FnOnce(&mut Vec<u8>)) {
        let bytes = &mut self.0;
        bytes.push(kind as u8);
        bytes.extend_from_slice(&number.to_le_bytes());
        let length_at = bytes.len();
        bytes.extend_from_slice(&[0; 4]);
        write(bytes);
        let length = (bytes.len() - length_at - 4) as u32;
        bytes[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    /// All bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops all entries; the memory stays.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Moves all entries of another behind these.
    pub fn append(&mut self, other: &mut Entries) {
        self.0.append(&mut other.0);
    }

    /// Reads entries one after the other; ends behind the first [`NoEntry`].
    pub fn read(bytes: &[u8]) -> impl Iterator<Item = Result<Entry<'_>, NoEntry>> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
            let offset = std::mem::replace(&mut at, bytes.len());
            let Some(entry) = first(rest) else { return Some(Err(NoEntry { offset })) };
            at = offset + HEAD_BYTES + entry.bytes.len();
            Some(Ok(entry))
        })
    }
}

fn first(bytes: &[u8]) -> Option<Entry<'_>> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let [kind, a, b, c, d, e, f, g, h, length @ ..] = *head;
    Some(Entry {
        kind: Kind::from_number(kind)?,
        number: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        bytes: rest.get(..u32::from_le_bytes(length) as usize)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn kinds_have_their_numbers() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!((kind as usize, Kind::from_number(kind as u8)), (place + 1, Some(kind)));
        }
        assert_eq!([0, 21, 255].map(Kind::from_number), [None; 3]);
    }

    proptest! {
        #[test]
        fn what_was_pushed_is_read(
            pushed in proptest::collection::vec((1u8..=19, any::<u64>(), any::<Vec<u8>>()), 0..20),
            cut in any::<prop::sample::Index>(),
        ) {
            let mut entries = Entries::default();
            for (kind, number, bytes) in &pushed {
                entries.push(Kind::from_number(*kind).unwrap(), *number, |into| into.extend_from_slice(bytes));
            }
            let read: Vec<_> = Entries::read(entries.as_bytes()).map(Result::unwrap).collect();
            let expected: Vec<_> =
                pushed.iter().map(|(kind, number, bytes)| (*kind, *number, bytes.as_slice())).collect();
            let read: Vec<_> = read.iter().map(|entry| (entry.kind as u8, entry.number, entry.bytes)).collect();
            prop_assert_eq!(&read, &expected);
            // Cut anywhere, it ends with an error or between two entries.
            let cut = cut.index(entries.len() + 1);
            let part: Result<Vec<_>, _> = Entries::read(&entries.as_bytes()[..cut]).collect();
            prop_assert!(part.is_err() || read.len() >= part.unwrap().len());
        }

        #[test]
        fn no_bytes_are_believed(bytes in any::<Vec<u8>>()) {
            prop_assert!(Entries::read(&bytes).count() <= bytes.len());
        }
    }
}

//! The features of an exposure in at most 158 bytes.
//!
//! Sorted slots are written as an Elias–Fano list, the fixed-width sibling of a Rice code of their gaps with parameter
//! 16 (Elias 1974; Vigna 2013, "Quasi-succinct indices", section 3): the low 16 bits of each slot stand as they are,
//! the high 6 bits of slot *i* set bit *high + i* of a bit vector. Highs never fall and *i* grows, so no two
//! slots set the same bit, and bit positions minus ranks give the highs back.
//!
//! | bytes, of n features, v of them valued | what | n = 64, v = 12 |
//! |---|---|---|
//! | 2 n | low 16 bits of each slot, little-endian | 128 |
//! | ⌈(n + 63) / 8⌉ | high bits: the last set bit is at most 63 + n − 1, whatever the slots are | 16 |
//! | ⌈n / 8⌉ | one bit a feature: its value code is not 0 | 8 |
//! | ⌈v / 2⌉ | value codes 1 to 15 of those, four bits each, low half first | 6 |
//!
//! So n slots cost 17 n + 63 bits at most and at least: spread evenly, all equal, or all at the top. No features cost
//! no bytes. Bits that stand for nothing are zero, so that one list has one spelling.

use arrayvec::ArrayVec;

use super::layout::{Reader, TokenBytes, put};
use crate::exposure::{FEATURES_MAX, Feature, SLOT_BITS, VALUED_FEATURES_MAX};

/// Bits of a slot that are written as they are: log₂(2^22 / 64), where the list is shortest.
const LOW_BITS: u32 = 16;
/// Greatest value of a slot's other bits.
const HIGH_MAX: usize = (1 << (SLOT_BITS - LOW_BITS)) - 1;

// The bit vector of the highs is held in one word of 128 bits, the mask of valued features and the codes in one of 64.
const _: () = assert!(HIGH_MAX + FEATURES_MAX <= u128::BITS as usize);
const _: () = assert!(FEATURES_MAX <= u64::BITS as usize);
const _: () = assert!(4 * VALUED_FEATURES_MAX <= u64::BITS as usize);

fn highs_bytes(count: usize) -> usize {
    (count + HIGH_MAX).div_ceil(8)
}

/// Appends features that are sorted by slot, at most [`VALUED_FEATURES_MAX`] of them valued.
pub(super) fn write(features: &[Feature], token: &mut TokenBytes) {
    if features.is_empty() {
        return;
    }
    let mut lows = [0; 2 * FEATURES_MAX];
    let (mut highs, mut valued) = (0u128, 0u64);
    for (rank, (feature, low)) in features.iter().zip(lows.chunks_exact_mut(2)).enumerate() {
        low.copy_from_slice(&(feature.slot() as u16).to_le_bytes());
        highs |= 1 << ((feature.slot() >> LOW_BITS) as usize + rank);
        valued |= u64::from(feature.value_code() != 0) << rank;
    }
    let (mut codes, mut valued_count, mut rest) = (0u64, 0usize, valued);
    while rest != 0 {
        codes |= u64::from(features[rest.trailing_zeros() as usize].value_code()) << (4 * valued_count);
        valued_count += 1;
        rest &= rest - 1;
    }
    put(token, &lows[..2 * features.len()]);
    put(token, &highs.to_le_bytes()[..highs_bytes(features.len())]);
    put(token, &valued.to_le_bytes()[..features.len().div_ceil(8)]);
    put(token, &codes.to_le_bytes()[..valued_count.div_ceil(2)]);
}

/// Reads what [`write()`] wrote; `None` for anything it cannot have written.
pub(super) fn read(count: usize, input: &mut Reader) -> Option<ArrayVec<Feature, FEATURES_MAX>> {
    let mut features = ArrayVec::new();
    if count == 0 {
        return Some(features);
    }
    if count > FEATURES_MAX {
        return None;
    }
    let lows = input.slice(2 * count)?;
    let mut highs = u128::from_le_bytes(padded(input.slice(highs_bytes(count))?)?);
    let valued = u64::from_le_bytes(padded(input.slice(count.div_ceil(8))?)?);
    let valued_count = valued.count_ones() as usize;
    if highs.count_ones() as usize != count || valued_count > VALUED_FEATURES_MAX {
        return None;
    }
    if count < FEATURES_MAX && valued >> count != 0 {
        return None;
    }
    let codes = input.slice(valued_count.div_ceil(2))?;
    if valued_count % 2 == 1 && codes.last()? >> 4 != 0 {
        return None;
    }
    let mut codes = codes.iter().flat_map(|pair| [pair & 15, pair >> 4]);
    let mut previous = 0;
    for (rank, low) in lows.chunks_exact(2).enumerate() {
        // The rank-th set bit is not below bit `rank`, so the difference is never negative.
        let high = highs.trailing_zeros() - rank as u32;
        highs &= highs - 1;
        let slot = high << LOW_BITS | u32::from(u16::from_le_bytes(low.try_into().ok()?));
        let code = if valued >> rank & 1 == 1 { codes.next().filter(|code| *code != 0)? } else { 0 };
        if slot < previous {
            return None;
        }
        previous = slot;
        features.push(Feature::from_parts(slot, code)?);
    }
    Some(features)
}

/// Bytes followed by zeros.
fn padded<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let mut whole = [0; N];
    whole.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;

    const TOP: u32 = (1 << SLOT_BITS) - 1;

    /// Writes and reads the slots, the first `valued` with a value, and gives the length.
    fn check(mut slots: Vec<u32>, valued: usize) -> usize {
        slots.sort_unstable();
        let code = |rank: usize| if rank < valued { (rank % 15) as u8 + 1 } else { 0 };
        let features: Vec<Feature> =
            slots.iter().enumerate().map(|(rank, slot)| Feature::from_parts(*slot, code(rank)).unwrap()).collect();
        let mut bytes = TokenBytes::new();
        write(&features, &mut bytes);
        let mut reader = Reader::new(&bytes);
        assert_eq!(read(features.len(), &mut reader).unwrap().as_slice(), features);
        assert!(reader.is_empty());
        bytes.len()
    }

    #[test]
    fn no_slots_whatever_take_more_than_158_bytes() {
        type Slots = fn(u32) -> u32;
        let lists: [(&str, Slots); 7] = [
            ("all at the bottom", |i| i),
            ("all at the top", |i| TOP - i),
            ("all equal to the first", |_| 0),
            ("all equal to the last", |_| TOP),
            ("evenly spread", |i| i * (TOP / 63)),
            ("one far below the rest", |i| if i == 0 { 0 } else { TOP }),
            ("just below and above a high bit's change", |i| (i / 2 * 2 + 1) * (1 << 16) - i % 2),
        ];
        for (name, slot) in lists {
            for count in 0..=64 {
                let slots: Vec<u32> = (0..count).map(|i| slot(i) & TOP).collect();
                for valued in [0, 1, VALUED_FEATURES_MAX.min(slots.len())] {
                    let valued = valued.min(slots.len());
                    let length = check(slots.clone(), valued);
                    let bits = if count == 0 { 0 } else { 17 * count as usize + 63 };
                    let slack = length * 8 - bits - count as usize - 4 * valued;
                    assert!(length <= 158 && slack < 24, "{name}: {count} take {length} bytes");
                }
            }
        }
        assert_eq!(check((0..64).collect(), VALUED_FEATURES_MAX), 158);
        for seed in 0..2_000 {
            let slots = (0..64)
                .map(|i| hash::mix(seed, i))
                .map(|hash| if hash & 1 == 0 { Feature::new(hash) } else { Feature::cross(hash) }.slot())
                .collect();
            assert_eq!(check(slots, VALUED_FEATURES_MAX), 158);
        }
    }

    #[test]
    fn what_was_never_written_is_not_read() {
        let valid = {
            let mut bytes = TokenBytes::new();
            let features = [(3, 0), (3 << 16, 5), (3 << 16, 6), ((3 << 16) + 1, 7)];
            write(&features.map(|(slot, code)| Feature::from_parts(slot, code).unwrap()), &mut bytes);
            bytes
        };
        assert_eq!(valid.len(), 8 + 9 + 1 + 2);
        let cases: [(&str, usize, u8); 6] = [
            ("slots that fall", 6, 0xff),
            ("a high part too many", 8 + 5, 1),
            ("a high part above 63", 8 + 8, 1 << 7),
            ("a mask beyond the features", 8 + 9, 1 << 4),
            ("a value code of 0", 8 + 9 + 1, 5),
            ("a code without a feature", 8 + 9 + 2, 1 << 4),
        ];
        let read_all = |bytes: &[u8]| read(4, &mut Reader::new(bytes));
        assert!(read_all(&valid).is_some());
        for (name, at, flip) in cases {
            let mut bytes = valid.clone();
            bytes[at] ^= flip;
            if name == "slots that fall" {
                bytes[4] = 0xff;
                bytes[6] = 0;
            }
            if name == "a high part above 63" {
                bytes[8] ^= 1;
            }
            assert_eq!(read_all(&bytes), None, "{name}");
        }
        for length in 0..valid.len() {
            assert_eq!(read_all(&valid[..length]), None, "cut to {length} bytes");
        }
        assert_eq!(read(65, &mut Reader::new(&[0; 300])), None);
    }
}

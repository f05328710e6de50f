//! The same hash on every machine and in every version: slots, keys and arms are derived from it, so it never changes.
//!
//! A folded 64 × 64 → 128-bit multiplication, as in wyhash. Fast, well mixed, not cryptographic: keys that must
//! not be guessed are hashed with a secret at the edge.

use crate::ids::{ItemKey, OpportunityKey};

const LEFT: u64 = 0x9e37_79b9_7f4a_7c15;
const RIGHT: u64 = 0xd1b5_4a32_d192_ed03;

/// Hasher of maps whose keys are well mixed already. Iteration order is never used.
pub type KeyHasher = foldhash::fast::FixedState;

/// Mixes two words into one; the order of the two matters.
pub fn mix(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ LEFT).wrapping_mul(u128::from(b ^ RIGHT));
    let folded = (product as u64) ^ (product >> 64) as u64;
    // One multiplication alone maps a = LEFT to zero whatever b is: the addition and the second round repair that.
    let sum = folded.wrapping_add(a).wrapping_add(b.rotate_left(32));
    let product = u128::from(sum).wrapping_mul(u128::from(LEFT));
    (product as u64) ^ (product >> 64) as u64
}

/// Hash of a text, by words of eight bytes.
pub fn text(text: &str) -> u64 {
    let mut chunks = text.as_bytes().chunks_exact(8);
    let mut state = text.len() as u64;
    for chunk in &mut chunks {
        state = mix(state, u64::from_le_bytes(chunk.try_into().expect("chunks of eight bytes")));
    }
    mix(state, short(chunks.remainder()))
}

/// Fewer than eight bytes as a little-endian word, without a call or a loop: parts overlap where they are equal.
fn short(bytes: &[u8]) -> u64 {
    let at = |place: usize| u64::from(bytes[place]) << (8 * place);
    match (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(first), Some(last)) => {
            let upper = u64::from(u32::from_le_bytes(*last)) << (8 * (bytes.len() - 4));
            u64::from(u32::from_le_bytes(*first)) | upper
        }
        _ if bytes.is_empty() => 0,
        _ => at(0) | at(bytes.len() / 2) | at(bytes.len() - 1),
    }
}

/// Key of an opportunity: of one advertiser, so that two may use the same opportunity id.
pub fn opportunity_key(advertiser: &str, opportunity: &str) -> OpportunityKey {
    OpportunityKey(mix(text(advertiser), text(opportunity)))
}

/// Key of an item, a category or a line item.
pub fn item_key(name: &str) -> ItemKey {
    ItemKey((text(name) >> 32) as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Stored state depends on these values.
    #[test]
    fn hashes_never_change() {
        let values =
            [mix(0, 0), text(""), text("add_to_cart"), opportunity_key("acme", "o1").0, item_key("sku").0.into()];
        assert_eq!(
            values,
            [
                3_440_301_104_261_167_384,
                3_440_301_104_261_167_384,
                12_097_261_806_976_025_387,
                12_881_346_554_299_991_854,
                3_968_081_731,
            ]
        );
    }

    #[test]
    fn short_texts_are_words_padded_with_zeros() {
        let bytes = [0x81, 2, 0xf3, 4, 5, 0x96, 7];
        for length in 0..=bytes.len() {
            let mut padded = [0; 8];
            padded[..length].copy_from_slice(&bytes[..length]);
            assert_eq!(short(&bytes[..length]), u64::from_le_bytes(padded), "{length} bytes");
        }
    }

    #[test]
    fn small_inputs_spread() {
        let hashes: BTreeSet<u64> = (0..1_000).flat_map(|a| (0..100).map(move |b| mix(a, b))).collect();
        assert_eq!(hashes.len(), 100_000, "a collision among 100,000 of 2^64 has odds of 1 in 3 billion");
        let upper: BTreeSet<u64> = hashes.iter().map(|hash| hash >> 44).collect();
        assert!((93_000..97_000).contains(&upper.len()), "{} of 2^20, 95,394 expected", upper.len());
        assert_ne!(mix(1, 2), mix(2, 1));
        assert_ne!(text("a\0"), text("a"));
    }
}

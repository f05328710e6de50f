//! Distinct counting in bounded room: exactly while there are few, then by HyperLogLog (Flajolet et al. 2007).
//!
//! Up to [`EXACT_MAX`] hashes are kept as they are. Beyond, 4,096 registers keep the longest run of leading zeros each
//! (precision 12), and the count is estimated as in Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches" (2017), algorithm 6: unbiased from the first hash to the last, without the corrections by table and the
//! thresholds of HyperLogLog++. The relative standard error is √(3 ln 2 − 1) / √4096 = 1.62 %.

use std::f64::consts::LN_2;

/// So many distinct hashes are counted exactly: 2 KiB, half the room of the registers.
pub const EXACT_MAX: usize = 256;
/// Relative standard error of the estimate beyond [`EXACT_MAX`].
pub const STANDARD_ERROR: f64 = 0.0162;

/// Bits of a hash that choose its register.
const PRECISION: u32 = 12;
const REGISTERS: usize = 1 << PRECISION;
/// Bits of a hash in which leading zeros are counted.
const REST: u32 = u64::BITS - PRECISION;

/// A set of well mixed hashes, of which only the size can be asked. What was inserted cannot be taken out.
///
/// Equal sets are equal, and have equal bytes, in whatever order and however often their members came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distinct(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// All hashes, sorted.
    Exact(Vec<u64>),
    /// By register: the most leading zeros that were seen, and one; 0 for none.
    Dense(Box<[u8; REGISTERS]>),
}

impl Default for Distinct {
    fn default() -> Distinct {
        Distinct(Form::Exact(Vec::new()))
    }
}

impl Distinct {
    /// Adds a hash, all of whose bits are used: of a key that is not mixed, the count would be wrong.
    pub fn insert(&mut self, hash: u64) {
        match &mut self.0 {
            Form::Dense(registers) => note(registers, hash),
            Form::Exact(hashes) => {
                let Err(place) = hashes.binary_search(&hash) else { return };
                if hashes.len() < EXACT_MAX {
                    hashes.insert(place, hash);
                    return;
                }
                let mut registers = Box::new([0; REGISTERS]);
                hashes.iter().chain([&hash]).for_each(|hash| note(&mut registers, *hash));
                self.0 = Form::Dense(registers);
            }
        }
    }

    /// How many distinct hashes were inserted: exact up to [`EXACT_MAX`], beyond with [`STANDARD_ERROR`].
    pub fn count(&self) -> u64 {
        match &self.0 {
            Form::Exact(hashes) => hashes.len() as u64,
            Form::Dense(registers) => estimate(registers).round() as u64,
        }
    }

    /// Canonical bytes, little-endian: the number of hashes and they, or all ones and the registers.
    pub fn image(&self, bytes: &mut Vec<u8>) {
        match &self.0 {
            Form::Exact(hashes) => {
                bytes.extend_from_slice(&(hashes.len() as u32).to_le_bytes());
                hashes.iter().for_each(|hash| bytes.extend_from_slice(&hash.to_le_bytes()));
            }
            Form::Dense(registers) => {
                bytes.extend_from_slice(&u32::MAX.to_le_bytes());
                bytes.extend_from_slice(registers.as_slice());
            }
        }
    }

    /// The set whose [`image`](Distinct::image) stands at the beginning of some bytes, and how long that is; `None`
    /// where none does.
    pub fn from_image(bytes: &[u8]) -> Option<(Distinct, usize)> {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        let form = match u32::from_le_bytes(*head) {
            u32::MAX => {
                let registers = rest.first_chunk::<REGISTERS>()?;
                let is_sound = registers.iter().all(|register| u32::from(*register) <= REST + 1);
                Form::Dense(is_sound.then(|| Box::new(*registers))?)
            }
            length => {
                let length = usize::try_from(length).ok().filter(|length| *length <= EXACT_MAX)?;
                let words = rest.get(..8 * length)?.as_chunks::<8>().0;
                let hashes: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
                Form::Exact(hashes.is_sorted_by(|one, next| one < next).then_some(hashes)?)
            }
        };
        let length = match &form {
            Form::Exact(hashes) => 8 * hashes.len(),
            Form::Dense(_) => REGISTERS,
        };
        Some((Distinct(form), 4 + length))
    }
}

fn note(registers: &mut [u8; REGISTERS], hash: u64) {
    let register = &mut registers[(hash >> REST) as usize];
    let zeros = (hash << PRECISION).leading_zeros().min(REST);
    *register = (*register).max(zeros as u8 + 1);
}

/// α∞ m² ÷ (m σ(C₀/m) + Σ Cₖ 2⁻ᵏ + m τ(1 − C₍q+1₎/m) 2⁻q), where Cₖ registers hold k, α∞ = 1 / (2 ln 2), q = 52.
fn estimate(registers: &[u8; REGISTERS]) -> f64 {
    let mut holding = [0.0; REST as usize + 2];
    registers.iter().for_each(|register| holding[usize::from(*register)] += 1.0);
    let m = REGISTERS as f64;
    let mut sum = m * tau(1.0 - holding[REST as usize + 1] / m);
    for count in holding[1..=REST as usize].iter().rev() {
        sum = 0.5 * (sum + count);
    }
    m * m / (2.0 * LN_2 * (sum + m * sigma(holding[0] / m)))
}

/// σ(x) = x + Σ x^(2^k) 2^(k−1), k from 1: what registers that hold nothing stand for. Of x < 1, because some register
/// holds something.
fn sigma(mut x: f64) -> f64 {
    let (mut weight, mut sum) = (1.0, x);
    loop {
        x *= x;
        let before = sum;
        sum += x * weight;
        weight += weight;
        if sum == before {
            return sum;
        }
    }
}

/// τ(x) = (1 − x − Σ (1 − x^(2^−k))² 2^−k) / 3, k from 1: what registers that are full stand for.
fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut weight, mut sum) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = sum;
        weight *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * weight;
        if sum == before {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn filled(hashes: impl IntoIterator<Item = u64>) -> Distinct {
        let mut distinct = Distinct::default();
        hashes.into_iter().for_each(|hash| distinct.insert(hash));
        distinct
    }

    fn image(distinct: &Distinct) -> Vec<u8> {
        let mut bytes = Vec::new();
        distinct.image(&mut bytes);
        bytes
    }

    #[test]
    fn an_image_is_read_again_and_nothing_else_is() {
        for count in [0, 1, 7, 256, 257, 9_000] {
            let distinct = filled((0..count).map(|number| hash::mix(number, 3)));
            let mut bytes = image(&distinct);
            let length = bytes.len();
            assert_eq!(Distinct::from_image(&bytes[..length - 1]), None, "cut");
            bytes.extend_from_slice(b"more");
            assert_eq!(Distinct::from_image(&bytes), Some((distinct, length)));
        }
        let unsorted = [&2u32.to_le_bytes()[..], &5u64.to_le_bytes(), &5u64.to_le_bytes()].concat();
        assert_eq!(Distinct::from_image(&unsorted), None);
        let mut dense = u32::MAX.to_le_bytes().to_vec();
        dense.extend([54; REGISTERS]);
        assert_eq!(Distinct::from_image(&dense), None, "more zeros than a hash has");
    }

    /// Relative errors at growing counts, one for each seed.
    fn errors(seeds: std::ops::Range<u64>, counts: &[u64]) -> Vec<Vec<f64>> {
        let mut errors = vec![Vec::new(); counts.len()];
        for seed in seeds {
            let (mut distinct, mut inserted) = (Distinct::default(), 0);
            for (place, count) in counts.iter().enumerate() {
                (inserted..*count).for_each(|key| distinct.insert(hash::mix(key, seed)));
                inserted = *count;
                errors[place].push(distinct.count() as f64 / *count as f64 - 1.0);
            }
        }
        errors
    }

    fn bias_and_error(errors: &[f64]) -> (f64, f64) {
        let count = errors.len() as f64;
        let bias = errors.iter().sum::<f64>() / count;
        let squares: f64 = errors.iter().map(|error| (error - bias) * (error - bias)).sum();
        (bias, (squares / (count - 1.0)).sqrt())
    }

    /// The bias of so many runs is within four of its own standard errors, and the spread within as many of its own.
    fn hold(seeds: std::ops::Range<u64>, counts: &[u64]) {
        let runs = (seeds.end - seeds.start) as f64;
        for (errors, count) in errors(seeds, counts).iter().zip(counts) {
            let (bias, error) = bias_and_error(errors);
            println!(
                "{count:>9} distinct, {runs} seeds: bias {:+.3} %, standard error {:.3} %",
                bias * 1e2,
                error * 1e2
            );
            if *count <= EXACT_MAX as u64 {
                assert_eq!((bias, error), (0.0, 0.0), "{count}");
            }
            assert!(bias.abs() <= 4.0 * STANDARD_ERROR / runs.sqrt(), "{count}: bias {bias}");
            assert!(error <= STANDARD_ERROR * (1.0 + 4.0 / (2.0 * runs).sqrt()), "{count}: standard error {error}");
        }
    }

    #[test]
    fn estimates_are_unbiased_and_as_sure_as_they_say() {
        hold(0..300, &[1, 2, 10, 100, 256, 257, 300, 1_000, 3_000, 5_000, 10_000, 12_000, 20_000, 40_000, 100_000]);
        hold(1_000..1_150, &[300_000, 1_000_000]);
    }

    #[test]
    fn registers_at_both_ends_are_counted() {
        let mut registers = Box::new([0; REGISTERS]);
        note(&mut registers, 0);
        note(&mut registers, u64::MAX);
        assert_eq!((registers[0], registers[REGISTERS - 1]), (REST as u8 + 1, 1));
        assert!(estimate(&registers).is_finite());
        assert!(estimate(&[REST as u8 + 1; REGISTERS]) > 1e15, "all registers are full");
    }

    #[test]
    fn few_cost_few_bytes_and_many_no_more_than_the_registers() {
        let bytes = |count: u64| image(&filled((0..count).map(|key| hash::mix(key, 1)))).len();
        assert_eq!([bytes(0), bytes(3), bytes(256), bytes(257), bytes(50_000)], [4, 28, 2_052, 4_100, 4_100]);
    }

    proptest! {
        #[test]
        fn counts_what_a_set_holds_in_any_order(keys in proptest::collection::vec(0u64..1_500, 0..2_500), seed: u64) {
            let hashes: Vec<u64> = keys.iter().map(|key| hash::mix(*key, seed)).collect();
            let set: HashSet<u64> = hashes.iter().copied().collect();
            let distinct = filled(hashes.iter().copied());
            let (count, expected) = (distinct.count() as f64, set.len() as f64);
            if set.len() <= EXACT_MAX {
                prop_assert_eq!(count, expected);
            } else {
                prop_assert!((count / expected - 1.0).abs() <= 6.0 * STANDARD_ERROR, "{} of {}", count, expected);
            }
            let sorted = filled(set.into_iter().collect::<std::collections::BTreeSet<_>>());
            let backwards = filled(hashes.into_iter().rev());
            prop_assert_eq!(image(&distinct), image(&sorted));
            prop_assert_eq!(distinct, backwards);
        }
    }
}

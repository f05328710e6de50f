//! Exponential and logarithm with the same bits on every machine.
//!
//! Only IEEE 754 additions, multiplications and divisions in a fixed order, none of them fused. A table takes both to
//! within a hundredth of where their series begin (Tang, 1989 and 1990), so that short polynomials do, whose halves a
//! processor computes side by side. Relative error is below 2e-15, that of logarithms between −1 and 1 absolute (tested
//! against the standard library's).

const LN_2: f64 = std::f64::consts::LN_2;
/// ln 2 split in two so that k × `LN_2_HIGH` is exact for the k in use, as well as in parts of [`PARTS`].
const LN_2_HIGH: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
const LN_2_LOW: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
/// Parts into which tables divide an octave.
const PARTS: usize = 64;

/// 2^(k/64).
const POWERS: [f64; PARTS] = {
    let mut powers = [1.0; PARTS];
    let mut k = 1;
    while k < PARTS {
        powers[k] = exp_by_series(k as f64 / PARTS as f64 * LN_2);
        k += 1;
    }
    powers
};

/// 1 / c and ln c for c = 1 + k/64 up to 1.42, beyond that for half of it: around 1 nothing is subtracted.
const INVERSES: [(f64, f64); PARTS + 1] = {
    let mut inverses = [(1.0, 0.0); PARTS + 1];
    let mut k = 1;
    while k < PARTS {
        let half = if k > HALVED_FROM { 0.5 } else { 1.0 };
        let inverse = 1.0 / (half * (1.0 + k as f64 / PARTS as f64));
        inverses[k] = (inverse, -ln_by_series(inverse));
        k += 1;
    }
    inverses
};
/// The last part of an octave whose numbers are not halved: √2 lies in it.
const HALVED_FROM: usize = 26;

/// e^r for 0 ≤ r < ln 2: the Taylor series, to where terms no longer count.
const fn exp_by_series(r: f64) -> f64 {
    let mut sum = 1.0;
    let mut n = 30;
    while n > 0 {
        sum = 1.0 + sum * r / n as f64;
        n -= 1;
    }
    sum
}

/// ln m for m around 1: 2 artanh s with s = (m − 1) / (m + 1), |s| ≤ 0.172.
const fn ln_by_series(m: f64) -> f64 {
    let s = (m - 1.0) / (m + 1.0);
    let mut sum = 0.0;
    let mut n = 15;
    while n > 0 {
        n -= 1;
        sum = sum * s * s + 1.0 / (2 * n + 1) as f64;
    }
    2.0 * s * sum
}

/// Logits are kept within ±this, so that no probability becomes 0 or 1.
pub const LOGIT_MAX: f64 = 30.0;

/// e^x; 0 below −708, capped at x = 709. NaN stays NaN.
pub const fn exp(x: f64) -> f64 {
    if x < -708.0 {
        return 0.0;
    }
    let x = if x > 709.0 { 709.0 } else { x };
    // x = k ln 2 / 64 + r, |r| ≤ 0.0055: the first term left out is below 4e-17.
    let half = if x < 0.0 { -0.5 } else { 0.5 };
    let k = (x * (PARTS as f64 / LN_2) + half) as i64;
    let parts = k as f64 / PARTS as f64;
    let r = (x - parts * LN_2_HIGH) - parts * LN_2_LOW;
    let square = r * r;
    let beyond_1 = r + square * ((0.5 + r * (1.0 / 6.0)) + square * (1.0 / 24.0 + r * (1.0 / 120.0)));
    let power = POWERS[k as usize % PARTS];
    let octaves = k >> PARTS.ilog2();
    (power + power * beyond_1) * f64::from_bits(((octaves + 1023) as u64) << 52)
}

/// Natural logarithm of a positive normal number; −∞ at 0, NaN below.
pub const fn ln(x: f64) -> f64 {
    if x <= 0.0 {
        return if x == 0.0 { f64::NEG_INFINITY } else { f64::NAN };
    }
    if !x.is_finite() {
        return x;
    }
    let bits = x.to_bits();
    // The nearest part of the octave, by the upper bits of the mantissa.
    let part = ((bits >> 45 & 0x7f) as usize).div_ceil(2);
    let is_halved = part > HALVED_FROM;
    let exponent = (bits >> 52) as i64 - 1023 + is_halved as i64;
    let one = if is_halved { 0x3fe0_0000_0000_0000 } else { 0x3ff0_0000_0000_0000 };
    let mantissa = f64::from_bits(bits & 0x000f_ffff_ffff_ffff | one);
    let (inverse, ln_c) = INVERSES[part];
    // ln m = ln c + ln (1 + r), |r| ≤ 0.0079: the first term left out is below 2e-18.
    let r = mantissa * inverse - 1.0;
    let square = r * r;
    let low = (r * (1.0 / 3.0) - 0.5) + square * (r * (1.0 / 5.0) - 0.25);
    let high = r * (1.0 / 7.0) - 1.0 / 6.0;
    let ln_1_r = r + square * (low + square * square * high);
    exponent as f64 * LN_2_HIGH + (ln_c + (ln_1_r + exponent as f64 * LN_2_LOW))
}

/// Probability of log-odds, strictly between 0 and 1: beyond ±[`LOGIT_MAX`] it stays at that value's.
pub fn sigmoid(logit: f64) -> f64 {
    1.0 / (1.0 + exp(-logit.clamp(-LOGIT_MAX, LOGIT_MAX)))
}

/// Probability of log-odds, as [`sigmoid`] has it, and those of so much less and more. One power of e serves all three.
pub fn sigmoids(logit: f64, width: f64) -> (f64, (f64, f64)) {
    const ODDS_MAX: f64 = exp(LOGIT_MAX);
    const ODDS_MIN: f64 = exp(-LOGIT_MAX);
    let against = exp(-logit);
    let wider = exp(width);
    let p = |against: f64| 1.0 / (1.0 + against.clamp(ODDS_MIN, ODDS_MAX));
    (p(against), (p(against * wider), p(against / wider)))
}

/// Log-odds of a probability between 0 and 1, exclusive.
pub fn logit(p: f64) -> f64 {
    ln(p / (1.0 - p))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the standard library is the reference here")]
mod tests {
    use super::*;

    #[test]
    fn exp_and_ln_agree_with_the_standard_library() {
        for step in -70_000..70_000 {
            let x = f64::from(step) * 0.01;
            let (ours, theirs) = (exp(x), x.exp());
            assert!((ours - theirs).abs() <= 2e-15 * theirs, "exp({x}) = {ours}, not {theirs}");
        }
        for step in 1..200_000 {
            let x = f64::from(step) * 0.000_37;
            let (ours, theirs) = (ln(x), x.ln());
            assert!((ours - theirs).abs() <= 1e-15 * theirs.abs().max(1.0), "ln({x}) = {ours}, not {theirs}");
        }
    }

    #[test]
    fn edges_are_finite_or_named() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(-1e9), 0.0);
        assert!(exp(1e9).is_finite());
        assert!(exp(f64::NAN).is_nan());
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(0.0), f64::NEG_INFINITY);
        assert!(sigmoid(1e9) < 1.0 && sigmoid(-1e9) > 0.0);
        assert!((logit(sigmoid(-3.7)) + 3.7).abs() < 1e-12);
        for (logit, width) in [(0.0, 0.0), (-3.0, 1.2), (29.0, 5.0), (-40.0, 3.0), (3.0, 2_000.0)] {
            let (p, (low, high)) = sigmoids(logit, width);
            let expected = [logit, logit - width, logit + width].map(sigmoid);
            for (ours, theirs) in [p, low, high].into_iter().zip(expected) {
                assert!((ours - theirs).abs() < 1e-15, "{logit} ± {width}: {ours}, not {theirs}");
            }
        }
    }
}

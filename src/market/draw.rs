//! Chance by counting: a draw is a function of a seed and a name, so that no draw depends on how many came before it.

use crate::hash;
use crate::math;

/// A uniform draw from [0, 1) for a seed and a name.
pub fn uniform(seed: u64, name: u64) -> f64 {
    const UNIT: f64 = 1.0 / (1u64 << 53) as f64;
    (hash::mix(seed, name) >> 11) as f64 * UNIT
}

/// Coefficients of Acklam's rational approximations, of the middle and of the tails.
const MIDDLE: ([f64; 6], [f64; 6]) = (
    [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ],
    [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ],
);
const TAIL: ([f64; 6], [f64; 5]) = (
    [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ],
    [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416, 1.0],
);
/// Below this share the tail's approximation holds.
const TAIL_SHARE: f64 = 0.02425;

fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().fold(0.0, |sum, coefficient| sum * x + coefficient)
}

/// The number below which a standard normal draw lies with probability `p`, which is kept within 10⁻¹² of 0 and 1.
/// Relative error below 1.2 × 10⁻⁹ (P. J. Acklam, 2003).
pub fn normal_quantile(p: f64) -> f64 {
    let p = p.clamp(1e-12, 1.0 - 1e-12);
    let tail = |share: f64| {
        let q = (-2.0 * math::ln(share)).sqrt();
        polynomial(&TAIL.0, q) / polynomial(&TAIL.1, q)
    };
    if p < TAIL_SHARE {
        return tail(p);
    }
    if p > 1.0 - TAIL_SHARE {
        return -tail(1.0 - p);
    }
    let q = p - 0.5;
    let r = q * q;
    polynomial(&MIDDLE.0, r) * q / polynomial(&MIDDLE.1, r)
}

/// Probability that a standard normal draw lies below `x`. Error below 1.2 × 10⁻⁷ (Press et al., Numerical Recipes,
/// `erfcc`).
pub fn normal_share(x: f64) -> f64 {
    const TERMS: [f64; 10] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let z = (x / std::f64::consts::SQRT_2).abs();
    let t = 1.0 / (1.0 + 0.5 * z);
    let upper = 0.5 * t * math::exp(-z * z + polynomial(&TERMS, t));
    if x < 0.0 { upper } else { 1.0 - upper }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_uniform_and_their_own() {
        let draws: Vec<f64> = (0..10_000).map(|name| uniform(7, name)).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        let mean = draws.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 0.5).abs() < 0.012, "{mean}: four standard errors");
        assert_ne!(uniform(7, 1), uniform(8, 1));
        assert_eq!(uniform(7, 1), uniform(7, 1));
    }

    #[test]
    fn the_normal_distribution_and_its_inverse() {
        for (p, x) in [(0.5, 0.0), (0.975, 1.959_963_985), (0.999, 3.090_232_306), (0.01, -2.326_347_874)] {
            assert!((normal_quantile(p) - x).abs() < 1e-8, "{p}");
            assert!((normal_share(x) - p).abs() < 2e-7, "{x}");
        }
        for step in 1..1_000 {
            let p = f64::from(step) / 1_000.0;
            assert!((normal_share(normal_quantile(p)) - p).abs() < 2e-7, "{p}");
        }
        assert!(normal_quantile(0.0) < -6.0 && normal_quantile(1.0).is_finite());
    }
}

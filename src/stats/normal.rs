//! The normal distribution, with the same bits everywhere.

use crate::math;

/// Probability that a standard normal number is at most `x`; error below 1.2e-7 of the smaller tail.
///
/// The complementary error function by the Chebyshev fit of Press et al., *Numerical Recipes in C*, §6.2.
pub fn cumulative(x: f64) -> f64 {
    const FIT: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * z);
    let sum = FIT.iter().rev().fold(0.0, |sum, term| sum * t + term);
    let tail = 0.5 * t * math::exp(-z * z + sum);
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// The standard normal number that is not exceeded with this probability, 0 to 1 exclusive; relative error below
/// 1.2e-9 (P. J. Acklam, *An algorithm for computing the inverse normal cumulative distribution function*, 2003).
pub fn quantile(probability: f64) -> f64 {
    const CENTRE: [f64; 6] = [
        -3.969_683_028_665_376e1,
        2.209_460_984_245_205e2,
        -2.759_285_104_469_687e2,
        1.383_577_518_672_69e2,
        -3.066_479_806_614_716e1,
        2.506_628_277_459_239,
    ];
    const CENTRE_BELOW: [f64; 6] = [
        -5.447_609_879_822_406e1,
        1.615_858_368_580_409e2,
        -1.556_989_798_598_866e2,
        6.680_131_188_771_972e1,
        -1.328_068_155_288_572e1,
        1.0,
    ];
    const TAIL: [f64; 6] = [
        -7.784_894_002_430_293e-3,
        -3.223_964_580_411_365e-1,
        -2.400_758_277_161_838,
        -2.549_732_539_343_734,
        4.374_664_141_464_968,
        2.938_163_982_698_783,
    ];
    const TAIL_BELOW: [f64; 5] =
        [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416, 1.0];
    /// Where the centre begins.
    const EDGE: f64 = 0.024_25;
    let sum = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    let tail = |probability: f64| {
        let q = (-2.0 * math::ln(probability)).sqrt();
        sum(&TAIL, q) / sum(&TAIL_BELOW, q)
    };
    if probability < EDGE {
        tail(probability)
    } else if probability > 1.0 - EDGE {
        -tail(1.0 - probability)
    } else {
        let (q, square) = (probability - 0.5, (probability - 0.5) * (probability - 0.5));
        q * sum(&CENTRE, square) / sum(&CENTRE_BELOW, square)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_quantiles() {
        for (probability, x) in [(0.5, 0.0), (0.975, 1.959_963_985), (0.001, -3.090_232_306), (0.8, 0.841_621_234)] {
            assert!((quantile(probability) - x).abs() < 1e-8, "{probability}");
            assert!((cumulative(x) - probability).abs() < 2e-7, "{x}");
        }
    }

    #[test]
    fn one_undoes_the_other() {
        for step in 1..1_000 {
            let probability = f64::from(step) / 1_000.0;
            assert!((cumulative(quantile(probability)) - probability).abs() < 2e-7, "{probability}");
        }
    }
}

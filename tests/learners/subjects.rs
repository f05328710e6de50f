//! The learners, as the battery sees them.

use inkling::exposure::Feature;
use inkling::learn::calibration::Calibrator;
use inkling::learn::ftrl::{Learner, probability};
use inkling::learn::ladder::Ladder;
use inkling::learn::mixture::Mixture;
use inkling::learn::{HEADS, LANES, heads, lanes};
use inkling::math;
use inkling::settings::Learner as Parameters;
use inkling::stats::decay::HalfLife;
use inkling::units::{Span, Tick};

/// One thing to learn. Each learner takes from it what it needs.
#[derive(Debug, Clone)]
pub struct Example {
    /// Up to 64, not all of them different.
    pub features: Vec<Feature>,
    /// Within ±2: more than any label ever asks for.
    pub gradient: f64,
    pub label: bool,
    /// How much it counts, 0 to 1.
    pub share: f64,
    pub tick: Tick,
}

/// A learner under test.
pub trait Subject: Sized {
    /// How far answers may differ, relative to 1 or the larger of them, when features come in another order. `None`: by
    /// the last bits of a sum, and the state is the same to the bit.
    const ORDER: Option<f64> = None;

    /// One that has seen nothing.
    fn new(parameters: &Parameters) -> Self;
    fn learn(&mut self, example: &Example);
    /// All numbers that it says of some features. Each must be finite.
    fn answer(&self, features: &[Feature]) -> Vec<f64>;
    /// Its whole state.
    fn image(&self) -> Image;
}

/// A learner that can be written down and taken up again.
pub trait Restored: Subject {
    /// Another one, from an image and the parameters in force.
    fn restored(parameters: &Parameters, image: &Image) -> Self;
}

/// A state that can be written down.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Image {
    pub pieces: Vec<(u32, Vec<u8>)>,
    pub collisions: u64,
    pub weights: Vec<u64>,
}

/// The lanes alone, moved by whatever gradient comes, each by another part of it.
pub struct Gradients(Learner);

/// Of the gradient, what each lane gets.
const PARTS: [f64; LANES] = [1.0, -0.5, -1.0, 0.25, 1.0];

impl Subject for Gradients {
    // Weights are per coordinate: each sees the same gradients whatever stands beside it. Sums are those of the order.
    const ORDER: Option<f64> = None;

    fn new(parameters: &Parameters) -> Gradients {
        Gradients(Learner::new(parameters))
    }

    fn learn(&mut self, example: &Example) {
        self.0.learn(&example.features, PARTS.map(|part| part * example.gradient), example.tick);
    }

    fn answer(&self, features: &[Feature]) -> Vec<f64> {
        let prediction = self.0.model().predict(&lanes(*Mixture::default().weights(), 1.0), features);
        [prediction.logit, prediction.variance].into_iter().chain(self.0.logits(features)).collect()
    }

    fn image(&self) -> Image {
        let mut image = Image { collisions: self.0.collisions(), ..Image::default() };
        self.0.image(&mut |number, bytes| image.pieces.push((number, bytes.to_vec())));
        image
    }
}

impl Restored for Gradients {
    fn restored(parameters: &Parameters, image: &Image) -> Gradients {
        let pieces = image.pieces.iter().map(|(number, bytes)| (*number, &bytes[..]));
        Gradients(Learner::from_image(parameters, image.collisions, pieces).expect("a learner's own image"))
    }
}

/// Heads and mixture together, as the engine uses them: a negative at once, and what a positive lacks after that.
pub struct Mixed {
    heads: Gradients,
    mixture: Mixture,
}

const INTERCEPT: f64 = -4.6;

impl Subject for Mixed {
    // The gradient is that of p, a sum over the features; another order changes its last bits, and rounding the
    // gradient to f32 makes 6e-8 of them. At the largest rates a weight moves by 10 times that, step after step.
    const ORDER: Option<f64> = Some(1e-3);

    fn new(parameters: &Parameters) -> Mixed {
        Mixed { heads: Gradients::new(parameters), mixture: Mixture::default() }
    }

    fn learn(&mut self, example: &Example) {
        let learner = &mut self.heads.0;
        let logits = heads(&learner.logits(&example.features), 0.0);
        let pulls = logits.map(|logit| probability(INTERCEPT, logit));
        learner.learn(&example.features, lanes(pulls.map(|pull| pull * example.share), 0.0), example.tick);
        if example.label {
            let now = heads(&learner.logits(&example.features), 0.0).map(|logit| probability(INTERCEPT, logit));
            let steps = std::array::from_fn(|head| (now[head] - 1.0 - pulls[head]) * example.share);
            learner.learn(&example.features, lanes(steps, 0.0), example.tick);
        }
        self.mixture.learn(INTERCEPT, &logits, example.label, example.share);
    }

    fn answer(&self, features: &[Feature]) -> Vec<f64> {
        let prediction = self.heads.0.model().predict(&lanes(*self.mixture.weights(), 0.0), features);
        let p = probability(INTERCEPT, prediction.logit);
        assert!(p > 0.0 && p < 1.0 && prediction.variance >= 0.0, "{p} {prediction:?}");
        [p, prediction.logit, prediction.variance].into_iter().chain(*self.mixture.weights()).collect()
    }

    fn image(&self) -> Image {
        let weights = self.mixture.weights().iter().map(|weight| weight.to_bits()).collect();
        Image { weights, ..self.heads.image() }
    }
}

impl Restored for Mixed {
    fn restored(parameters: &Parameters, image: &Image) -> Mixed {
        Mixed { heads: Gradients::restored(parameters, image), mixture: mixture_of(image) }
    }
}

/// The mixture alone, of heads that say the most extreme things.
pub struct Alone(Mixture);

impl Subject for Alone {
    fn new(_: &Parameters) -> Alone {
        Alone(Mixture::default())
    }

    fn learn(&mut self, example: &Example) {
        let said = example.gradient * 1e9;
        self.0.learn(said.clamp(-700.0, 700.0), &[said, -said, said / 1e9, 0.0], example.label, example.share);
    }

    fn answer(&self, _: &[Feature]) -> Vec<f64> {
        assert!(self.0.weights().iter().all(|weight| *weight > 0.0), "{:?}", self.0);
        self.0.weights().iter().copied().chain([self.0.mean(&[math::LOGIT_MAX; HEADS])]).collect()
    }

    fn image(&self) -> Image {
        Image { weights: self.0.weights().iter().map(|weight| weight.to_bits()).collect(), ..Image::default() }
    }
}

impl Restored for Alone {
    fn restored(_: &Parameters, image: &Image) -> Alone {
        Alone(mixture_of(image))
    }
}

fn mixture_of(image: &Image) -> Mixture {
    let weights = std::array::from_fn(|head| f64::from_bits(image.weights[head]));
    Mixture::from_weights(weights).expect("a mixture's own weights")
}

/// The ladder's slope, under a lane that says the most extreme things.
pub struct Slope(Ladder);

impl Subject for Slope {
    fn new(_: &Parameters) -> Slope {
        Slope(Ladder::default())
    }

    fn learn(&mut self, example: &Example) {
        let said = example.gradient * 50.0;
        self.0.show(INTERCEPT, said, example.share);
        if example.label {
            self.0.climb(example.share);
        }
        self.0.learn(INTERCEPT, said, example.label, example.share);
    }

    fn answer(&self, _: &[Feature]) -> Vec<f64> {
        assert!((0.0..=1.5).contains(&self.0.slope()), "{:?}", self.0);
        [self.0.slope(), self.0.centre(INTERCEPT)].into_iter().chain(self.0.numbers()).collect()
    }

    fn image(&self) -> Image {
        Image { weights: self.0.numbers().map(f64::to_bits).to_vec(), ..Image::default() }
    }
}

/// The calibrator, of log-odds anywhere, with conversions that come late and some that are taken back.
pub struct Calibrated(Calibrator);

impl Subject for Calibrated {
    fn new(_: &Parameters) -> Calibrated {
        Calibrated(Calibrator::new(Span::days(1)))
    }

    fn learn(&mut self, example: &Example) {
        let (logit, shown) = (example.gradient * 20.0, u64::from(example.tick.0) * 1_000);
        self.0.show(shown, logit, example.share);
        if example.label {
            let converted = shown + (example.gradient.abs() * 4e7) as u64;
            let delay = self.0.delay(shown, converted);
            self.0.convert(shown, delay, example.share, example.gradient.signum());
        }
        self.0.close(logit, example.label, example.share);
        self.0.advance(shown, HalfLife::new(Span::days(14)));
    }

    fn answer(&self, _: &[Feature]) -> Vec<f64> {
        let curve = self.0.curve();
        let corrected: Vec<f64> =
            (-160..=160).map(|step| f64::from(step) / 4.0).map(|logit| logit + curve.shift(logit)).collect();
        assert!(corrected.windows(2).all(|pair| pair[0] <= pair[1] + 1e-9), "the order changes: {corrected:?}");
        corrected
    }

    fn image(&self) -> Image {
        let mut image = Image::default();
        self.0.numbers(&mut |number| image.weights.push(number.to_bits()));
        image
    }
}

//! Every learner of the library through one battery, and the engine with the strangest input it accepts.
//!
//! A new learner is one more [`Subject`](subjects::Subject) and one more line below.

mod battery;
mod engine;
mod retraction;
mod subjects;

#[path = "../engine/shop.rs"]
#[allow(dead_code, reason = "the tests of the engine use the rest")]
mod shop;

use battery::battery;

battery!(gradients, crate::subjects::Gradients, restored as gradients_continue_from_their_image);
battery!(mixed, crate::subjects::Mixed, restored as mixed_continue_from_their_image);
battery!(mixture, crate::subjects::Alone, restored as a_mixture_continues_from_its_weights);
battery!(ladder, crate::subjects::Slope);
battery!(calibrator, crate::subjects::Calibrated);

//! Every learner of the library through one battery, and the engine with the strangest input it accepts.
//!
//! A new learner is one more [`Subject`](subjects::Subject) and one more line below.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod battery;
mod engine;
mod retraction;
mod subjects;

#[path = "../engine/shop.rs"]
#[allow(dead_code, reason = "the tests of the engine use the rest")]
mod shop;

use battery::{also, battery};

battery!(gradients, crate::subjects::Gradients);
battery!(mixed, crate::subjects::Mixed);
battery!(mixture, crate::subjects::Alone);
battery!(ladder, crate::subjects::Slope);
battery!(calibrator, crate::subjects::Calibrated);

// Those that can be written down.
also!(gradients_continue_from_their_image, continues_from_its_image, subjects::Gradients);
also!(mixed_continue_from_their_image, continues_from_its_image, subjects::Mixed);
also!(a_mixture_continues_from_its_weights, continues_from_its_image, subjects::Alone);

// Those that see features.
also!(gradients_know_no_order, order_is_of_no_account, subjects::Gradients);
also!(mixed_know_no_order, order_is_of_no_account, subjects::Mixed);

//! Markets: made-up ones, of which the truth is known, and recorded ones, of which the prices are.
//!
//! *Invariants.* Same parameters and seed, same market. Knows no service: what it makes goes through the same engine as
//! what was recorded.

mod bidder;
mod draw;
mod episodes;
mod equal_spend;
mod landscape;
mod recorded;
pub mod stream;

pub use bidder::{Bidder, Constant, Linear, Offer, Ortb, Paced, Random, Truthful, Won};
pub use episodes::{BID_MAX, Replayed, Rule, Tally};
pub use equal_spend::{EQUAL, Found, search};
pub use landscape::{Landscape, LandscapeError};
pub use recorded::{AUCTIONS_MAX, Auction, AuctionsError, PRICE_MAX, read_auctions};

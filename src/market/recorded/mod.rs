//! Recorded prices: auctions played again with other bids, and a recorded log at prices that were recorded elsewhere.
//!
//! *Invariants.* Nobody reacts to our bids: what others bid and what people do stands as it was recorded. Of an
//! auction that it lost a policy knows no more than that. Knows no command line.

mod auctions;
mod bidder;
mod contest;
mod episodes;
mod join;
mod lines;
mod online;
mod rehearsal;
mod world;

pub use auctions::{AUCTIONS_MAX, Auction, AuctionsError, PRICE_MAX, read_auctions};
pub use bidder::{Bidder, Constant, Linear, Offer, Ortb, Paced, Random, Truthful, Won};
pub use contest::{Contest, Entry, Known, Policy};
pub use episodes::{BID_MAX, Replayed, Rule, Tally};
pub use join::{JoinError, Market, Recorded};
pub use lines::LINES_MAX;
pub use online::Inkling;
pub use rehearsal::{Halves, Rehearsal, Worth};
pub use world::{Levels, World};

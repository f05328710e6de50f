//! Better settings for a market: a search on some worlds, one test on others that the search has not seen.
//!
//! A *world* is one draw of all chance: a seed of a made-up market, or a seed of the prices of a recorded log. The
//! search plays candidates in the same worlds as the settings they are to beat, so differences are paired. What comes
//! out of it is the best of many, and looks better than it is; what is promised is measured once more, where nothing
//! was chosen.
//!
//! *Invariants.* Same arguments, same result, whatever the number of threads. Knows no file and no command line.

mod arena;
mod audience;
mod knob;
mod log;
mod made_up;
mod search;
mod verdict;

pub use arena::{Arena, Difference};
pub use audience::{Audience, Audiences, audiences};
pub use knob::{Group, Knob, Move, Space};
pub use log::Log;
pub use made_up::{Kpi, MadeUp};
pub use search::{Ended, Found, Plan, Step, search};
pub use verdict::{Verdict, Why};

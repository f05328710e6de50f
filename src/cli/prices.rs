//! Recorded prices on the command line.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use crate::market::landscape::Landscape;

#[derive(Debug, Args)]
pub struct Prices {
    /// Histogram of market prices: campaign,price_fen_cpm,auctions (or price_cents_cpm, both hundredths per mille; or
    /// price_micros_cpm, millionths); of a scenario, in place of its log-normal prices
    #[arg(long, value_name = "CSV")]
    pub landscape: Option<PathBuf>,
    /// Prices of this campaign only [default: of all together]
    #[arg(long, value_name = "NAME", requires = "landscape")]
    pub campaign: Option<String>,
}

impl Prices {
    /// Reads the prices, where any are named.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn landscape(&self) -> anyhow::Result<Option<Landscape>> {
        let Some(path) = &self.landscape else { return Ok(None) };
        let place = || path.display().to_string();
        let file = File::open(path).with_context(place)?;
        Landscape::from_csv(BufReader::new(file), self.campaign.as_deref()).map(Some).with_context(place)
    }
}

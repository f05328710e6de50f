//! What impressions of a market cost: a histogram of market prices.
//!
//! A bid wins where it is at least the market price. Prices are whole numbers in the file's unit per mille, as
//! exchanges quote them; the commonest three may hold a third of all auctions, so nothing is smoothed.

use std::collections::BTreeMap;
use std::io::Read;

use thiserror::Error;

use crate::units::Micros;
use crate::wording;

/// Most different prices of a landscape.
pub const PRICES_MAX: usize = 100_000;
/// Most auctions of one row: sums over all rows, times a price, then fit 64 bits.
const ROW_AUCTIONS_MAX: u64 = 1_000_000_000;
/// Largest price of a row, in the file's unit.
const ROW_PRICE_MAX: u32 = 1_000_000;

/// Names of the price column, and what one of its units is in millionths of the currency.
const PRICE_COLUMNS: [(&str, i64); 3] =
    [("price_fen_cpm", 10_000), ("price_cents_cpm", 10_000), ("price_micros_cpm", 1)];

/// A distribution of market prices.
#[derive(Debug, Clone, PartialEq)]
pub struct Landscape {
    /// Prices that occur, rising.
    prices: Vec<u32>,
    /// Auctions at most as dear as each of the prices.
    auctions: Vec<u64>,
    /// Micros in one unit of the file.
    unit: i64,
}

/// Why a landscape cannot be read.
#[derive(Debug, Error)]
pub enum LandscapeError {
    /// The table is damaged, or the disk failed.
    #[error("cannot be read as comma-separated values")]
    Csv(#[from] csv::Error),
    /// The first line names other columns.
    #[error(
        "the columns are '{found}', expected are 'campaign,price_fen_cpm,auctions' (or price_cents_cpm, \
         price_micros_cpm)"
    )]
    Columns {
        /// What was found.
        found: String,
    },
    /// A field is no number of its range.
    #[error("line {line}: {field} is '{found}', allowed is a whole number from 0 to {most}")]
    Number {
        /// Line of the file, from 1.
        line: u64,
        /// Name of the column.
        field: &'static str,
        /// What was found.
        found: String,
        /// The largest that is allowed.
        most: u64,
    },
    /// There are more different prices than are kept.
    #[error("line {line}: more than {PRICES_MAX} different prices")]
    TooMany {
        /// The first line beyond.
        line: u64,
    },
    /// No auctions of that campaign, or none at all.
    #[error("no auctions{}; {known}", campaign.as_ref().map_or(String::new(), |name| format!(" of campaign '{name}'")))]
    Empty {
        /// Which campaign was asked for.
        campaign: Option<String>,
        /// What there is instead.
        known: String,
    },
}

impl Landscape {
    /// Reads a table with the columns `campaign,price_fen_cpm,auctions`: the prices of one campaign, or of all.
    ///
    /// # Errors
    /// When the table is damaged or holds nothing of that campaign.
    pub fn from_csv(input: impl Read, campaign: Option<&str>) -> Result<Landscape, LandscapeError> {
        let mut table = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(input);
        let head = table.headers()?;
        let found = || wording::shown(&head.iter().collect::<Vec<_>>().join(","));
        let unit = match (head.get(0), head.get(1), head.get(2), head.len()) {
            (Some("campaign"), Some(price), Some("auctions"), 3) => {
                PRICE_COLUMNS.iter().find(|(name, _)| *name == price).map(|(_, unit)| *unit)
            }
            _ => None,
        };
        let unit = unit.ok_or_else(|| LandscapeError::Columns { found: found() })?;
        let (mut counts, mut known) = (BTreeMap::new(), Vec::new());
        for row in table.records() {
            let row = row?;
            let line = row.position().map_or(0, csv::Position::line);
            let number = |place: usize, field, most: u64| {
                let text = row.get(place).unwrap_or_default();
                text.parse().ok().filter(|number| *number <= most).ok_or_else(|| LandscapeError::Number {
                    line,
                    field,
                    found: wording::shown(text),
                    most,
                })
            };
            let price: u64 = number(1, "the price", u64::from(ROW_PRICE_MAX))?;
            let auctions = number(2, "auctions", ROW_AUCTIONS_MAX)?;
            let of = row.get(0).unwrap_or_default();
            if campaign.is_none_or(|campaign| campaign == of) {
                *counts.entry(price as u32).or_insert(0) += auctions;
            } else if known.len() < PRICES_MAX && known.last().is_none_or(|last| last != of) {
                known.push(of.to_owned());
            }
            if counts.len() > PRICES_MAX {
                return Err(LandscapeError::TooMany { line });
            }
        }
        let names: Vec<&str> = known.iter().map(String::as_str).collect();
        Landscape::of(counts, unit).ok_or_else(|| LandscapeError::Empty {
            campaign: campaign.map(str::to_owned),
            known: wording::instead(campaign.unwrap_or_default(), &names),
        })
    }

    /// The landscape of so many auctions at each price, a unit being so many micros. `None` where there are none.
    pub fn of(counts: impl IntoIterator<Item = (u32, u64)>, unit: i64) -> Option<Landscape> {
        let sorted: BTreeMap<u32, u64> = counts.into_iter().filter(|(_, auctions)| *auctions > 0).collect();
        let mut landscape = Landscape { prices: Vec::new(), auctions: Vec::new(), unit };
        let mut auctions = 0;
        for (price, count) in sorted {
            auctions += count;
            landscape.prices.push(price);
            landscape.auctions.push(auctions);
        }
        (auctions > 0).then_some(landscape)
    }

    /// Auctions that it was made of.
    pub fn total(&self) -> u64 {
        self.auctions.last().copied().unwrap_or_default()
    }

    /// Prices that occur, rising.
    pub fn prices(&self) -> &[u32] {
        &self.prices
    }

    /// What one impression costs at a price, which is quoted per mille; rounded down.
    pub fn cost_micros(&self, price: u32) -> Micros {
        Micros(i64::from(price) * self.unit / 1_000)
    }

    /// A price, which is quoted per mille, in micros per mille.
    pub fn per_mille(&self, price: u32) -> Micros {
        Micros(i64::from(price) * self.unit)
    }

    /// The price that a share `u` of all auctions is at most as dear as: the inverse of the distribution, by which a
    /// uniform draw from [0, 1) becomes a price.
    pub fn quantile(&self, u: f64) -> u32 {
        let rank = (u.clamp(0.0, 1.0) * self.total() as f64) as u64;
        let place = self.auctions.partition_point(|auctions| *auctions <= rank);
        self.prices[place.min(self.prices.len() - 1)]
    }

    /// The least price that, as a bid, wins at least this share of the auctions.
    pub fn least_winning(&self, share: f64) -> u32 {
        let place = self.auctions.partition_point(|auctions| (*auctions as f64) < share * self.total() as f64);
        self.prices[place.min(self.prices.len() - 1)]
    }

    /// Share of the auctions that a bid wins.
    pub fn win_rate(&self, bid: u32) -> f64 {
        self.up_to(bid).map_or(0.0, |place| self.auctions[place] as f64 / self.total() as f64)
    }

    /// Place of the dearest price that a bid wins.
    fn up_to(&self, bid: u32) -> Option<usize> {
        self.prices.partition_point(|price| *price <= bid).checked_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &str = "campaign,price_fen_cpm,auctions\n1,0,0\n1,10,3\n1,20,1\n2,10,1\n2,300,5\n";

    fn read(text: &str, campaign: Option<&str>) -> Result<Landscape, String> {
        Landscape::from_csv(text.as_bytes(), campaign).map_err(|error| error.to_string())
    }

    #[test]
    fn one_campaign_or_all() {
        let one = read(TABLE, Some("1")).unwrap();
        assert_eq!((one.total(), one.prices()), (4, &[10, 20][..]));
        assert_eq!([9, 10, 19, 20].map(|bid| one.win_rate(bid)), [0.0, 0.75, 0.75, 1.0]);
        assert_eq!([0.0, 0.74, 0.75, 1.0].map(|u| one.quantile(u)), [10, 10, 20, 20]);
        assert_eq!([0.1, 0.75, 0.76, 1.0].map(|share| one.least_winning(share)), [10, 10, 20, 20]);
        assert_eq!(one.cost_micros(300), Micros(3_000));
        assert_eq!(read(TABLE, None).unwrap().total(), 10);
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        let columns = "the columns are 'a,b', expected are 'campaign,price_fen_cpm,auctions' (or price_cents_cpm, \
                       price_micros_cpm)";
        let number = "line 3: auctions is 'x', allowed is a whole number from 0 to 1000000000";
        for (text, campaign, expected) in [
            ("a,b\n", None, columns),
            ("campaign,price_fen_cpm,auctions\n1,1,1\n1,2,x\n", None, number),
            (TABLE, Some("3"), "no auctions of campaign '3'; did you mean '1'?"),
            ("campaign,price_fen_cpm,auctions\n", None, "no auctions; none is known"),
        ] {
            assert_eq!(read(text, campaign), Err(expected.to_owned()));
        }
        assert!(read("campaign,price_fen_cpm,auctions\n1,2\n", None).is_err(), "a row is short");
    }

    proptest! {
        /// Held against the list of all auctions one by one.
        #[test]
        fn agrees_with_the_auctions_themselves(
            mut prices in proptest::collection::vec(0u32..40, 1..60),
            bid in 0u32..45,
            u in 0.0f64..1.0,
        ) {
            prices.sort_unstable();
            let mut counts = BTreeMap::new();
            prices.iter().for_each(|price| *counts.entry(*price).or_insert(0) += 1);
            let landscape = Landscape::of(counts, 1).unwrap();
            let won = prices.iter().filter(|price| **price <= bid).count();
            prop_assert_eq!(landscape.win_rate(bid), won as f64 / prices.len() as f64);
            prop_assert_eq!(landscape.quantile(u), prices[(u * prices.len() as f64) as usize]);
        }
    }
}

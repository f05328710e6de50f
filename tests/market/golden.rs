//! Published figures of real auctions, to the unit. The files are not part of this repository: they stand in
//! `../shared/data/ipinyou`, or in `ipinyou` of the directory that the environment variable `INKLING_DATA` names. Where
//! they are absent, the tests say so and pass; `src/market` tests the same arithmetic on made-up auctions.

use std::path::{Path, PathBuf};

use inkling::market::draws::Draws;
use inkling::market::landscape::Landscape;
use inkling::market::recorded::{Auction, BID_MAX, Constant, Known, Linear, Rule, Tally, Truthful, read_auctions};

/// Of the training set of campaign 2997, which is not there: cost, impressions, clicks.
const TRAIN_2997: (f64, f64, f64) = (19_689_072.0, 312_437.0, 1_386.0);

/// The path of a file, or `None` with a printed reason.
fn find(name: &str) -> Option<PathBuf> {
    let directory = match std::env::var_os("INKLING_DATA") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
    };
    let path = directory.join("ipinyou").join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}

fn auctions(name: &str) -> Option<Vec<Auction>> {
    find(name).map(|path| read_auctions(&path).unwrap())
}

fn told(tally: Tally) -> (u64, u64, u64) {
    (tally.impressions, tally.clicks, tally.cost)
}

/// Episodes of 1,000 auctions, a budget of the training set's mean price × share × 1,000.
fn episodes(share: f64) -> Rule {
    let (cost, impressions, _) = TRAIN_2997;
    Rule::Episodes { length: 1_000, budget: (cost / impressions * share * 1_000.0) as u64, bid_max: BID_MAX }
}

#[test]
fn campaign_2997_linear_and_largest_cost_per_click() {
    let Some(auctions) = auctions("2997.test.txt.gz") else { return };
    assert_eq!(auctions.len(), 156_063);
    let (cost, impressions, clicks) = TRAIN_2997;
    let mean = clicks / impressions;
    for (share, bid, clicks, cost) in [
        (32.0, 10.0, 71, 203_610),
        (16.0, 15.0, 77, 270_386),
        (8.0, 20.0, 93, 363_934),
        (4.0, 85.0, 242, 2_451_952),
        (2.0, 130.0, 377, 4_808_009),
    ] {
        let total = episodes(1.0 / share).replay(&auctions, &mut Linear { bid, mean }).total();
        assert_eq!((total.clicks, total.cost), (clicks, cost), "1/{share}: {total:?}");
        assert!(share != 32.0 || total.impressions == 32_208, "{total:?}");
    }
    for (share, won) in [(32.0, 48), (16.0, 82), (8.0, 144), (4.0, 244), (2.0, 254)] {
        let mut truthful = Truthful { value: cost / clicks / 1_000.0 };
        let total = episodes(1.0 / share).replay(&auctions, &mut truthful).total();
        assert_eq!(total.clicks, won, "1/{share}: {total:?}");
        assert!(share != 32.0 || (total.impressions, total.cost) == (14_752, 307_751), "{total:?}");
    }
}

#[test]
fn campaign_1458_until_the_budget_is_spent() {
    let (Some(auctions), Some(train)) = (auctions("1458.test.txt.gz"), auctions("1458.train.txt.gz")) else { return };
    let cost: u64 = auctions.iter().map(|auction| u64::from(auction.price)).sum();
    let rule = Rule::UntilSpent { budget: cost.div_ceil(16), block: 1_000 };
    let value = 18.862;
    let profit = |tally: Tally| ((tally.clicks as f64 * value - tally.cost as f64 / 1_000.0) * 100.0).round() / 100.0;
    let constant = rule.replay(&auctions, &mut Constant { bid: 5.0, draws: Draws(1) }).total();
    assert_eq!((told(constant), profit(constant)), ((740, 0, 2_958), -2.96));
    let truthful = rule.replay(&auctions, &mut Truthful { value }).total();
    assert_eq!((told(truthful), profit(truthful)), ((601, 3, 11_862), 44.72));
    let mean = Known::of(&train).unwrap().mean_pctr;
    let linear = rule.replay(&auctions, &mut Linear { bid: 75.0, mean }).total();
    assert_eq!((told(linear), profit(linear)), ((10_843, 13, 339_097), -93.89));
}

#[test]
fn nine_campaigns_have_a_landscape() {
    let Some(path) = find("price_histograms.csv") else { return };
    let read = |campaign| Landscape::from_csv(std::fs::File::open(&path).unwrap(), campaign).unwrap();
    let campaigns = ["1458", "2259", "2261", "2821", "2997", "3358", "3386", "3427", "3476"];
    let each: u64 = campaigns.iter().map(|campaign| read(Some(*campaign)).total()).sum();
    assert_eq!(each, read(None).total());
    for campaign in campaigns {
        let landscape = read(Some(campaign));
        let draws = 20_000;
        let mean =
            (0..draws).map(|n| f64::from(landscape.quantile((f64::from(n) + 0.5) / f64::from(draws)))).sum::<f64>();
        let share =
            |price: u32| landscape.win_rate(price) - price.checked_sub(1).map_or(0.0, |less| landscape.win_rate(less));
        let expected = landscape.prices().iter().map(|price| f64::from(*price) * share(*price)).sum::<f64>();
        assert!((mean / f64::from(draws) / expected - 1.0).abs() < 0.001, "{campaign}: {mean} {expected}");
        assert_eq!(landscape.win_rate(300), 1.0);
    }
}

//! Intervals hold what they say: of settings that do not differ, few are called different, and of those that do, few
//! intervals miss by how much.

use inkling::config::Config;
use inkling::market::driven::BaseBid;
use inkling::market::policy::Policy;
use inkling::market::prices::Prices;
use inkling::market::scenario::Scenario;
use inkling::market::truth::Truth;
use inkling::market::tune::{Arena, Group, Kpi, MadeUp, Space};

use crate::command::{CONFIG, MARKET};

/// Judgements, each in worlds of its own.
const SETS: usize = 120;
/// Worlds of one judgement.
const WORLDS: usize = 5;

/// Plays a point in so many worlds on several threads.
fn plays<'a>(market: &MadeUp<'a>, point: &[f64], count: usize) -> Vec<<MadeUp<'a> as Arena>::Played> {
    inkling::parallel::each_in_order(count, 4, |world| market.play(point, world).unwrap())
}

/// How many judgements call what they compare better, and how many call it worse, than by this share.
fn called<'a>(
    market: &MadeUp<'a>,
    share: f64,
    base: &[<MadeUp<'a> as Arena>::Played],
    other: &[<MadeUp<'a> as Arena>::Played],
) -> (usize, usize) {
    let sets = base.chunks_exact(WORLDS).zip(other.chunks_exact(WORLDS));
    let of = |(base, other): (&[_], &[_])| {
        let [base, other]: [Vec<_>; 2] = [base.iter().collect(), other.iter().collect()];
        let found = market.compare(&base, &other).expect("budgets are spent");
        // An interval's half is two of these errors.
        (found.share - share) / (2.0 * found.error)
    };
    sets.map(of).fold((0, 0), |(better, worse), off| (better + usize::from(off > 1.0), worse + usize::from(off < -1.0)))
}

#[test]
fn intervals_of_95_per_cent_miss_one_of_twenty() {
    let scenario = Scenario::parse("market.toml", MARKET).unwrap();
    let settings = Config::parse("config.toml", CONFIG).unwrap().settings;
    let (truth, prices) = (Truth::new(&scenario), Prices::new(&scenario, None));
    let space = Space::new(&settings, &[Group::Exponent]);
    let market = MadeUp {
        scenario: &scenario,
        truth: &truth,
        prices: &prices,
        space: &space,
        policy: Policy::Inkling(BaseBid::Context),
        kpi: Kpi::Conversions,
        seed: 1,
        seeds: (2 * SETS * WORLDS) as u32,
    };
    let all = plays(&market, &[1.0], 2 * SETS * WORLDS);
    let (one, other) = all.split_at(SETS * WORLDS);
    // The same settings in other worlds: whoever is called better is called so by chance.
    let itself = called(&market, 0.0, one, other);
    // Other settings in the same worlds, held against what all of these worlds come to.
    let less = plays(&market, &[0.5], SETS * WORLDS);
    let [base, point]: [Vec<_>; 2] = [one.iter().collect(), less.iter().collect()];
    let share = market.compare(&base, &point).unwrap().share;
    let paired = called(&market, share, one, &less);
    println!("of {SETS} judgements: the same settings are called better, worse: {itself:?}");
    println!("a difference of {share:.4} is missed below, above: {paired:?}");
    for (better, worse) in [itself, paired] {
        // 5 % are meant, half of them on either side: of 120, more than 11 are met by chance once in 58 times, and more
        // than 7 on one side once in 92.
        assert!(better <= 7 && worse <= 7 && better + worse <= 11, "{itself:?} {paired:?} of {SETS}");
    }
}

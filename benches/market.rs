//! Auctions a second, by policy: recorded auctions played again, and a made-up market with its people. The engine in
//! the loop comes last of each.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use inkling::hash;
use inkling::market::draws::Draws;
use inkling::market::driven::{BaseBid, settings_of};
use inkling::market::policy::Policy;
use inkling::market::prices::Prices;
use inkling::market::recorded::{
    Auction, BID_MAX, Bidder, Constant, Inkling, Linear, Ortb, Paced, Random, Rule, Truthful,
};
use inkling::market::run::Market;
use inkling::market::scenario::Scenario;
use inkling::market::truth::Truth;

const MEAN: f64 = 0.001;

/// Auctions at prices 0 to 299, some 70 in the mean, of which 0.1 % are clicked.
fn auctions(count: u64) -> Vec<Auction> {
    let share = |purpose, number| (hash::mix(purpose, number) >> 40) as f64 / f64::from(1 << 24);
    let auction = |number| {
        let pctr = 2.0 * MEAN * share(1, number);
        let price = (300.0 * share(2, number) * share(3, number)) as u32;
        Auction { pctr, price, slot: (number / 1_000 % 24) as u16, clicked: share(4, number) < pctr }
    };
    (0..count).map(auction).collect()
}

/// Plays the auctions by a rule, again and again, each time with a new bidder.
fn bench<B: Bidder>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    auctions: &[Auction],
    rule: Rule,
    bidder: impl Fn() -> B,
) {
    group.bench_function(name, |bencher| bencher.iter(|| rule.replay(black_box(auctions), &mut bidder()).total()));
}

fn policies(criterion: &mut Criterion) {
    let many = auctions(200_000);
    let mut group = criterion.benchmark_group("auctions");
    let episodes = Rule::Episodes { length: 1_000, budget: 10_000, bid_max: BID_MAX };
    let linear = Linear { bid: 60.0, mean: MEAN };
    group.throughput(Throughput::Elements(many.len() as u64));
    bench(&mut group, "constant", &many, episodes, || Constant { bid: 60.0, draws: Draws(1) });
    bench(&mut group, "random", &many, episodes, || Random { most: 120.0, draws: Draws(1) });
    bench(&mut group, "linear", &many, episodes, || linear);
    let until_spent = Rule::UntilSpent { budget: u64::MAX, block: 1_000 };
    bench(&mut group, "linear, until spent", &many, until_spent, || linear);
    bench(&mut group, "truthful", &many, episodes, || Truthful { value: 60.0 });
    bench(&mut group, "ortb", &many, episodes, || Ortb::through(60.0, linear));
    bench(&mut group, "paced", &many, episodes, || Paced::new(10.0, linear, BID_MAX, 1_000));
    group.finish();
    let few = &many[..20_000];
    let mut group = criterion.benchmark_group("auctions with the engine");
    group.throughput(Throughput::Elements(few.len() as u64)).sample_size(10);
    group.bench_function("inkling on linear", |bencher| {
        bencher.iter(|| {
            let mut inkling = Inkling::new(linear).expect("default settings are accepted");
            episodes.replay(black_box(few), &mut inkling).total()
        });
    });
    group.finish();
}

/// One seed of `simulations/retail.toml`, by one policy alone, on one thread: all that people do, and what becomes of
/// bids. Who the people are and when they come is drawn before.
fn made_up(criterion: &mut Criterion) {
    let text = include_str!("../simulations/retail.toml");
    let scenario = Scenario::parse("retail.toml", text).expect("the scenario is read by tests too");
    let (truth, settings) = (Truth::new(&scenario), settings_of(&scenario));
    let prices = Prices::new(&scenario, None);
    let market = Market::new(&scenario, &truth, &prices, &settings, 1);
    let auctions: u64 = market.play(Policy::Flat, 1.0, false).days.iter().map(|day| day.auctions).sum();
    let mut group = criterion.benchmark_group("a made-up market");
    group.throughput(Throughput::Elements(auctions)).sample_size(10);
    let inkling = [BaseBid::Flat, BaseBid::Context, BaseBid::Stated].map(Policy::Inkling);
    let simple = [Policy::Flat, Policy::Random, Policy::LinearPaced, Policy::Ortb, Policy::Filtering];
    for policy in simple.into_iter().chain(inkling) {
        group.bench_function(policy.name(), |bencher| {
            bencher.iter(|| black_box(market.play(policy, 1.0, false)).all);
        });
    }
    group.finish();
}

criterion_group!(benches, policies, made_up);
criterion_main!(benches);

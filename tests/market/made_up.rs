//! The made-up market: what it says is true is what comes of it, and comparisons in it are fair.

use inkling::market::compare::Contest;
use inkling::market::driven::{BaseBid, settings_of};
use inkling::market::equal_spend::EQUAL;
use inkling::market::filter::Filter;
use inkling::market::landscape::Landscape;
use inkling::market::policy::Policy;
use inkling::market::prices::Prices;
use inkling::market::run::{Market, Outcome};
use inkling::market::scenario::{Attribution, Auction, Scenario};
use inkling::market::truth::Truth;
use inkling::market::world::{Happening, Next, World};
use inkling::settings::Settings;
use inkling::units::Span;

/// A small market in which much can be known: as the file of the scenario `rich`, with fewer people and days.
fn small(shoppers: u32) -> Scenario {
    let rich = Scenario::load("simulations/rich.toml".as_ref()).unwrap();
    let mut scenario = Scenario { shoppers, days: 21, warm_up_days: 7, ..rich };
    scenario.campaigns[0].budget_per_day.0 = 3_000_000 * i64::from(shoppers) / 16_000;
    scenario
}

fn play(scenario: &Scenario, policy: Policy, seed: u64) -> Outcome {
    let (truth, settings) = (Truth::new(scenario), settings_of(scenario));
    Market::new(scenario, &truth, &Prices::new(scenario, None), &settings, seed).play(policy, 1.0, false)
}

#[test]
fn every_scenario_is_read_and_says_what_it_asks() {
    let files = std::fs::read_dir("simulations").unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.is_file()).collect();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let scenario = Scenario::load(&file).unwrap();
        assert!(scenario.question.ends_with('?'), "{}", file.display());
    }
}

#[test]
fn the_shops_configuration_is_what_its_scenario_takes_by_itself() {
    let scenario = Scenario::load("simulations/retail.toml".as_ref()).unwrap();
    let config = inkling::config::Config::load("simulations/configs/shop.toml".as_ref()).unwrap();
    assert_eq!(config.settings, settings_of(&scenario));
}

#[test]
fn as_many_ads_lead_to_a_purchase_as_the_truth_says() {
    for attribution in [Attribution::Click, Attribution::View] {
        // Ads yet to come are left out of the truth: with few of them that makes no difference.
        let mut scenario = Scenario { attribution, ..small(20_000) };
        scenario.activity.ads = 0.05;
        for policy in [Policy::Flat, Policy::Filtering] {
            let (mut positives, mut expected) = (0.0, 0.0);
            for seed in 1..=3 {
                let all = play(&scenario, policy, seed).all;
                positives += all.positives as f64;
                expected += all.expected;
            }
            // Ads within one window share their purchase, so the spread is up to twice that of as many coins.
            let (off, error) = ((positives - expected).abs(), 2.0 * expected.sqrt());
            assert!(off < 3.0 * error, "{attribution:?} {policy:?}: {positives} of {expected:.1} ± {error:.1}");
        }
    }
}

#[test]
fn late_notices_lose_no_clicks() {
    let mut scenario = Scenario::load("simulations/rich.toml".as_ref()).unwrap();
    (scenario.shoppers, scenario.notices.lost, scenario.notices.late) = (4_000, 0.0, 1.0);
    scenario.notices.late_by = Span::minutes(10);
    let (mut told, mut came) = (0.0, 0.0);
    for seed in 1..=2 {
        let all = play(&scenario, Policy::Inkling(BaseBid::Context), seed).all;
        told += all.told;
        came += all.positives as f64;
    }
    assert!((0.6..1.5).contains(&(told / came)), "told {told}, came {came}");
}

#[test]
fn what_the_filter_believes_comes_true() {
    let scenario = small(6_000);
    let (truth, settings) = (Truth::new(&scenario), settings_of(&scenario));
    let prices = Prices::new(&scenario, None);
    let market = Market::new(&scenario, &truth, &prices, &settings, 5);
    let mut world = World::new(&scenario, &truth, &market.shoppers, market.draws);
    let mut filter = Filter::new(&world, market.shoppers.people.len());
    // By how likely the filter takes a purchase to be: its probability, and the true one.
    let mut bins = [(0.0, 0.0, 0u32); 5];
    while let Some(next) = world.advance() {
        match next {
            Next::Asked(opportunity) => {
                let (believed, true_p) = (filter.p(&world, &opportunity), world.p(&opportunity));
                let bin = [0.0005, 0.001, 0.003, 0.01].iter().take_while(|bound| believed > **bound).count();
                bins[bin] = (bins[bin].0 + believed, bins[bin].1 + true_p, bins[bin].2 + 1);
                if opportunity.number % 3 == 0 {
                    let shown = world.show(&opportunity);
                    filter.shown(&world, &opportunity, shown.responds);
                }
            }
            Next::Happened(now, happening) => filter.happened(&world, now, &happening),
        }
    }
    for (believed, true_p, count) in bins {
        assert!(count > 300, "{bins:?}");
        assert!((believed / true_p - 1.0).abs() < 0.12, "{believed} told, {true_p} true, of {count}");
    }
}

#[test]
fn what_is_bid_changes_nothing_but_what_ads_do() {
    let scenario = small(2_000);
    let (truth, settings) = (Truth::new(&scenario), settings_of(&scenario));
    let prices = Prices::new(&scenario, None);
    let market = Market::new(&scenario, &truth, &prices, &settings, 9);
    // Everything that happens to people of whom only every second is shown ads.
    let lives = |shows: bool| {
        let mut world = World::new(&scenario, &truth, &market.shoppers, market.draws);
        let mut seen = Vec::new();
        while let Some(next) = world.advance() {
            match next {
                Next::Asked(opportunity) if opportunity.person % 2 == 0 && shows => {
                    world.show(&opportunity);
                }
                Next::Asked(opportunity) if opportunity.person % 2 == 1 => {
                    seen.push(format!("{opportunity:?} {} {}", world.p(&opportunity), world.price_score(&opportunity)));
                }
                Next::Happened(now, Happening::Visit { person, acts, .. }) if person % 2 == 1 => {
                    seen.push(format!("{now} {person} {acts:?}"));
                }
                Next::Happened(now, Happening::Purchase { person, .. }) if person % 2 == 1 => {
                    seen.push(format!("{now} {person} buys"));
                }
                _ => {}
            }
        }
        seen
    };
    let (with, without) = (lives(true), lives(false));
    assert!(with.len() > 4_000 && with == without);
}

#[test]
fn money_and_labels_add_up() {
    let scenario = Scenario::load("simulations/retail.toml".as_ref()).unwrap();
    let scenario = Scenario { shoppers: 1_500, ..scenario };
    for policy in [Policy::Flat, Policy::Truthful, Policy::Dual, Policy::Inkling(BaseBid::Stated)] {
        let outcome = play(&scenario, policy, 3);
        let (all, days) = (&outcome.all, f64::from(scenario.days - scenario.warm_up_days));
        let budget: f64 = scenario.campaigns.iter().map(|campaign| campaign.budget_per_day.units() * days).sum();
        assert!(all.spend() <= budget, "{policy:?} spent {} of {budget}", all.spend());
        assert!(all.conversions <= all.positives && all.positives <= all.wins && all.wins <= all.auctions);
        let sum = |of: &dyn Fn(&inkling::market::run::Tally) -> u64| outcome.campaigns.iter().map(of).sum::<u64>();
        assert_eq!([sum(&|tally| tally.wins), sum(&|tally| tally.conversions)], [all.wins, all.conversions]);
        let counted: i64 = outcome.days[scenario.warm_up_days as usize..].iter().map(|day| day.nanos).sum();
        assert_eq!(counted, all.nanos);
        assert!(outcome.purchases >= all.conversions);
    }
    let nothing = play(&scenario, Policy::NoAds, 3);
    assert_eq!((nothing.all.wins, nothing.all.nanos, nothing.all.conversions), (0, 0, 0));
}

#[test]
fn arms_run_as_in_production() {
    let scenario = small(1_500);
    let mut settings = settings_of(&scenario);
    let play = |settings: &Settings| {
        let (truth, prices) = (Truth::new(&scenario), Prices::new(&scenario, None));
        Market::new(&scenario, &truth, &prices, settings, 5).play(Policy::Inkling(BaseBid::Context), 1.0, false).all
    };
    let all = play(&settings);
    assert_eq!(all.withheld, 0);
    // A twentieth is control, and has no multiplier to be compared.
    let share = all.multiplied_nanos as f64 / all.nanos as f64;
    assert!((0.85..0.99).contains(&share), "{share} of the spend is of treated people");
    assert!(all.nanos_at_one > 0 && all.nanos_at_one != all.multiplied_nanos);

    settings.advertisers[0].holdout_share = Some(0.3);
    let held = play(&settings);
    // The others win more often for it: the budget is the same.
    let share = held.withheld as f64 / (held.withheld + held.wins) as f64;
    assert!((0.2..0.4).contains(&share), "{share} of the ads are withheld");

    settings.advertisers[0].goals[0].multiplier.max = 1.0;
    settings.advertisers[0].goals[0].multiplier.min = 1.0;
    let neutral = play(&settings);
    assert_eq!(neutral.multiplied_nanos, neutral.nanos_at_one, "multipliers of 1 spend what multipliers of 1 would");
}

#[test]
fn threads_make_no_difference_and_who_knows_more_gets_more() {
    let scenario = small(3_000);
    let settings = settings_of(&scenario);
    let contest = |threads| Contest {
        scenario: &scenario,
        settings: &settings,
        landscape: None,
        seed: 1,
        seeds: 4,
        policies: vec![Policy::Inkling(BaseBid::Context), Policy::Oracle],
        threads,
    };
    let (one, two) = (contest(1).play(&|_, _| ()), contest(2).play(&|_, _| ()));
    assert_eq!(format!("{one:?}"), format!("{two:?}"));
    let row = |policy| one.rows.iter().find(|row| row.policy == policy).unwrap();
    let [oracle, filtering, linear] = [Policy::Oracle, Policy::Filtering, Policy::LinearPaced].map(row);
    let spend = |policy: &inkling::market::compare::Row| (policy.spend_of_flat - 1.0).abs();
    assert!(spend(filtering) < EQUAL && spend(linear) < EQUAL, "{filtering:?} {linear:?}");
    assert!(oracle.mean.expected > 1.1 * filtering.mean.expected);
    assert!(filtering.mean.expected > 1.1 * linear.mean.expected);
    assert!(filtering.expected_gain.unwrap().low > 0.0);
}

/// Shading is the same for all: who knows more still gets more, and nobody more than who knows everything.
#[test]
fn in_first_price_auctions_who_knows_more_gets_more() {
    let mut scenario = small(4_000);
    scenario.prices.auction = Auction::First;
    let settings = settings_of(&scenario);
    let policies = vec![Policy::LinearPaced, Policy::Ortb, Policy::Oracle];
    let contest =
        Contest { scenario: &scenario, settings: &settings, landscape: None, seed: 1, seeds: 3, policies, threads: 2 };
    let rows = contest.play(&|_, _| ()).rows;
    let order = [Policy::Flat, Policy::LinearPaced, Policy::Filtering, Policy::Oracle];
    let expected = order.map(|policy| {
        let row = rows.iter().find(|row| row.policy == policy).unwrap();
        assert!((row.spend_of_flat - 1.0).abs() < EQUAL, "{policy:?} spends {}", row.spend_of_flat);
        row.mean.expected
    });
    assert!(expected.windows(2).all(|pair| pair[1] > 1.05 * pair[0]), "{expected:?}");
}

/// A level is a share of the median: of the prices that are, not of those that a scenario would have without them.
#[test]
fn a_tuned_level_is_of_the_prices_of_the_landscape() {
    let landscape = Landscape::of([(20, 300), (50, 400), (110, 200), (240, 100)], 100_000).unwrap();
    let scenario = small(1_000);
    let settings = settings_of(&scenario);
    let spend = |scenario: &Scenario| {
        let landscape = Some(&landscape);
        let policies = vec![Policy::Linear];
        let contest = Contest { scenario, settings: &settings, landscape, seed: 1, seeds: 2, policies, threads: 2 };
        let rows = contest.play(&|_, _| ()).rows;
        rows.iter().find(|row| row.policy == Policy::Linear).unwrap().mean.spend
    };
    let mut elsewhere = scenario.clone();
    elsewhere.prices.median_cpm.0 *= 5;
    let (here, there) = (spend(&scenario), spend(&elsewhere));
    assert!(here > 0.0 && (there / here - 1.0).abs() < 1e-9, "{here} {there}");
}

#[test]
fn mistakes_of_a_scenario_are_told_with_their_places() {
    let text = "days = 0\n[activity]\nads_per_day = \"many\"\n[[intent]]\nname = \"cold\"\nacts = { search = 2.0 }\n\
                [[segment]]\nexternal = \"sport\"\n[[change]]\nday = 3\n[prices]\nauctoin = \"second\"\n";
    let nothing = Scenario::parse("market.toml", "\n").unwrap_err().to_string();
    assert!(nothing.contains("says nothing of a market"), "{nothing}");
    // What would be compared with nothing, fill the memory, or never end.
    for (text, expected) in [
        ("[[campaign]]\nname = \"a\"\nbudget_per_day = 0.0\n", "campaign 'a': budget_per_day must be above 0"),
        ("shoppers = 1000000\n[activity]\nvisits_per_day = 90.0\n", "auctions and visits a seed: at most 40000000"),
        ("forgets_after = \"1m\"\n", "forgets_after = \"1m\": must be between 10m and 366d"),
    ] {
        let error = Scenario::parse("market.toml", text).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}\n---\n{error}");
    }
    let error = Scenario::parse("market.toml", text).unwrap_err().to_string();
    for expected in [
        "market.toml:1:8: days = 0: must be between 1 and 366",
        "market.toml:3:15: activity: ads_per_day = \"many\": must be a number",
        "market.toml:6:19: intent 'cold': acts.search = 2.0: must be between 0 and 1",
        "market.toml:7:1: segment 'sport': external must be \"provider/id\"",
        "market.toml:9:1: change: needs one of prices = 1.5",
        "market.toml:12:1: prices: auctoin: unknown key: did you mean 'auction'?",
    ] {
        assert!(error.contains(expected), "{expected}\n---\n{error}");
    }
}

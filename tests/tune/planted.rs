//! What is planted is found, what is not there is not.

use serde_json::Value;

use crate::command::{MARKET, Shop};

fn tune(shop: &Shop, arguments: &[&str]) -> Value {
    let (code, said, complaints) = shop.tune("out.toml", &[arguments, &["--json"]].concat());
    assert_eq!((code, complaints.as_str()), (Some(0), ""), "{said}");
    serde_json::from_str(&said).unwrap()
}

/// Odds × e^pull at odds of e^−3, as a ratio of probabilities.
fn planted(pull: f64) -> f64 {
    let p = inkling::math::sigmoid;
    p(-3.0 + pull) / p(-3.0)
}

#[test]
fn planted_weights_lie_within_their_intervals() {
    let shop = Shop::new(MARKET);
    let told = tune(&shop, &["--segments-only", "--seeds", "10", "--held-out", "8"]);
    let segments = told["segments"].as_array().unwrap();
    for (segment, pull) in segments.iter().zip([0.9, -0.9, 0.0]) {
        let end = |name: &str| segment["worth"][name].as_f64().unwrap();
        let weight = planted(pull);
        assert!(end("low") <= weight && weight <= end("high"), "{weight}: {segment}");
        assert!(end("high") / end("low") < 1.25, "{segment}");
    }
    assert_eq!(segments[2]["weight_after"], 1.0, "what cannot be told from 1 is 1");
    let gain = &told["judged"]["gain"];
    assert!(told["is_gain"] == true && gain["low"].as_f64() > Some(0.0), "{told}");
    assert!((told["judged"]["spend_ratio"].as_f64().unwrap() - 1.0).abs() < 0.01);
}

/// The promise is kept in markets that neither search nor judgement have seen.
#[test]
fn a_promised_gain_is_kept_elsewhere() {
    let shop = Shop::new(MARKET);
    let first = tune(&shop, &["--segments-only", "--seeds", "6", "--held-out", "12"]);
    let promised = &first["judged"]["gain"];
    // Judged again: the tuned configuration stays where it is, and what it is better by than the old one is asked.
    let other = Shop::new(MARKET);
    let second = tune(&other, &["--segments-only", "--seed", "1001", "--seeds", "6", "--held-out", "12"]);
    let kept = second["judged"]["gain"]["mean"].as_f64().unwrap();
    let (low, high) = (promised["low"].as_f64().unwrap(), promised["high"].as_f64().unwrap());
    let spread = (high - low) / 2.0;
    assert!((low - spread..=high + spread).contains(&kept), "{kept} of {promised}");
}

#[test]
fn with_the_learner_on_weights_of_1_are_right() {
    // With some hundred purchases to learn from: with few, weights that are known beforehand help (docs/tune.md).
    let market = MARKET.replace("shoppers = 1500", "shoppers = 2500").replace("days = 8", "days = 14");
    let market =
        market.replace("warm_up_days = 2", "warm_up_days = 9").replace("ads_per_day = 0.5", "ads_per_day = 1.0");
    let market = market.replace("buys = 0.2", "buys = 1.0").replace("response = -3.0", "response = -1.0");
    let shop = Shop::new(&market.replace("budget_per_day = 0.3", "budget_per_day = 3.0"));
    let arguments = ["--only", "weights", "--seeds", "4", "--held-out", "4"];
    let (code, said, _) = shop.tune("out.toml", &arguments);
    assert_eq!(code, Some(0));
    assert!(said.contains("NO GAIN") && said.contains("segment weights of 1 are right"), "{said}");
    // The search may find what looks better by a tenth of a per cent on its own seeds. Not only is that not sure: had
    // there been one per cent to gain, the judgement would have seen it.
    let per_cent = |before: &str| -> Option<f64> {
        let (_, number) = said.split_once(before)?;
        Some(number.split_once(" %").unwrap().0.parse().unwrap())
    };
    for told in ["others would bring +", "a gain of "] {
        assert!(per_cent(told).is_none_or(|number| number < 1.0), "{said}");
    }
    assert_eq!(said.contains("JUDGED"), per_cent("a gain of ").is_some(), "{said}");
    assert!(!shop.path("out.toml").exists());
}

#[test]
fn noise_is_never_sold_as_a_gain() {
    let market = MARKET.replace("pull = 0.9", "pull = 0.0").replace("pull = -0.9", "pull = 0.0");
    let shop = Shop::new(&market);
    for seed in ["1", "101", "201"] {
        let told = tune(&shop, &["--segments-only", "--seeds", "6", "--held-out", "6", "--seed", seed]);
        assert_eq!((&told["is_gain"], &told["written"]), (&Value::Bool(false), &Value::Null), "{told}");
    }
    let (_, said, _) = shop.tune("out.toml", &["--only", "weights", "--seeds", "4", "--held-out", "6"]);
    assert!(said.contains("NO GAIN") && said.contains("nothing was written"), "{said}");
    assert_eq!(shop.files(), ["config.toml", "market.toml"]);
    // A smaller exponent does gain, as multipliers are noise here; it is told as what it is.
    let exponent = ["--only", "exponent", "--seeds", "6", "--held-out", "20"];
    let (_, said, _) = shop.tune("out.toml", &[&exponent[..], &["--gain-min", "0.03"]].concat());
    assert!(said.contains("NO GAIN worth a change") && said.contains("multipliers carry noise here"), "{said}");
    let (_, said, _) = shop.tune("out.toml", &[&exponent[..], &["--gain-min", "0"]].concat());
    assert!(said.contains("multipliers carry noise here") && said.contains("exponent = 0."), "{said}");
    assert_eq!(shop.files(), ["config.toml", "market.toml", "out.toml"]);
}

//! Which goals a target is after that names none: its campaign's.

use inkling::opportunity::Target;
use inkling::rejection::Rejection;
use inkling::settings::{Campaign, Goal, Settings};
use inkling::units::Timestamp;

use super::shop::*;

/// A shop with two goals, and campaigns after one and after none of them.
fn shop() -> Shop {
    let mut settings: Settings = settings();
    let acme = &mut settings.advertisers[0];
    acme.goals.push(Goal::new(id("sign_up")));
    let campaign = |name, goals| Campaign { id: id(name), goals, objective: Vec::new() };
    acme.campaigns = vec![campaign("spring", vec![id("sign_up")]), campaign("any", Vec::new())];
    Shop::with(settings)
}

/// Names of the goals that a target is answered for.
fn goals(shop: &mut Shop, campaign: Option<&str>, goals: &[&str]) -> Result<Vec<String>, Rejection> {
    let mut request = shop.request(1);
    let goals = goals.iter().copied().map(id).collect();
    request.targets = vec![Target { campaign: campaign.map(id), goals, ..target() }];
    let scored = shop.engine.scorer().score(Timestamp(shop.now), &request).remove(0)?;
    let catalog = shop.engine.catalog();
    let name = |signal: &inkling::signal::Signal| catalog.goal_name(signal.goal).unwrap().as_str().to_owned();
    Ok(scored.signals.iter().map(name).collect())
}

#[test]
fn a_target_without_goals_is_after_those_of_its_campaign() {
    let mut shop = shop();
    assert_eq!(goals(&mut shop, Some("spring"), &[]).unwrap(), ["sign_up"]);
    assert_eq!(goals(&mut shop, Some("any"), &[]).unwrap(), ["purchase", "sign_up"], "a campaign that names none");
    assert_eq!(goals(&mut shop, None, &[]).unwrap(), ["purchase", "sign_up"]);
    assert_eq!(goals(&mut shop, Some("spring"), &["purchase"]).unwrap(), ["purchase"], "its own come first");
}

/// All of the advertiser's goals instead would be bid for by mistake of a name.
#[test]
fn a_campaign_that_is_not_configured_is_refused_unless_goals_are_stated() {
    let mut shop = shop();
    let refused = goals(&mut shop, Some("nope"), &[]).unwrap_err();
    assert!(matches!(refused, Rejection::Invalid { field: "campaign", .. }), "{refused:?}");
    assert!(refused.to_string().contains("'nope'"), "{refused}");
    assert_eq!(goals(&mut shop, Some("nope"), &["sign_up"]).unwrap(), ["sign_up"]);
}

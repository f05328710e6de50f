//! A bidder at work for a shop: it asks for each opportunity, bids its flat base bid times the multiplier against
//! other bidders, and tells what it won, what it cost and what people did.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::client::Client;
use super::shoppers::{Happening, What, World, category, price};
use crate::expression::READY_MADE;
use crate::ids::Id;
use crate::math;
use crate::pb::v1;
use crate::pb::v1::event::Body;
use crate::settings::{Advertiser, Baseline, Goal, Settings};
use crate::units::{Micros, Span};

/// The made-up shop.
pub const SHOP: &str = "acme";
/// What it wants.
pub const GOAL: &str = "purchase";
/// Bid without a multiplier, per mille, in whole units.
const BASE_BID_CPM: f64 = 2.0;
const DEVICES: [&str; 3] = ["phone", "desktop", "ctv"];
const SITES: [&str; 4] = ["news.example", "sports.example", "recipes.example", "games.example"];

/// What came of the bids in one range of multipliers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Band {
    /// Opportunities asked for.
    pub asked: u64,
    /// Auctions won.
    pub won: u64,
    /// Of those, clicked, which here means: came back to buy.
    pub brought_back: u64,
    /// Spend, in whole units.
    pub spend: f64,
}

/// Upper bounds of the ranges of multipliers that are told apart; the last has none.
pub const BANDS: [f64; 3] = [0.7, 1.3, 2.0];

/// What the bidder has seen.
#[derive(Debug, Default)]
pub struct Bids {
    /// By range of multiplier.
    pub bands: [Band; BANDS.len() + 1],
    /// Events of shoppers.
    pub actions: u64,
    /// Of those, purchases.
    pub purchases: u64,
}

/// The shop's settings: a converting action, a ladder, the ready-made audiences.
pub fn settings() -> Settings {
    let mut shop = Advertiser::new(Id::literal(SHOP));
    let mut goal = Goal::new(Id::literal(GOAL));
    goal.converting_action = Some(Id::literal("purchase"));
    goal.milestones = ["view_item", "add_to_cart", "begin_checkout"].map(Id::literal).to_vec();
    (goal.click_window, goal.view_window) = (Span::days(1), Span::hours(2));
    goal.value = Micros(50_000_000);
    // The bidder's base bid is the same for all impressions.
    goal.multiplier.baseline = Baseline::Goal;
    shop.goals.push(goal);
    shop.segments = READY_MADE.map(|made| made.segment(1.0)).to_vec();
    Settings { advertisers: vec![shop], ..Settings::default() }
}

/// Plays all that happens in the world.
///
/// # Errors
/// When the service is gone.
pub async fn play(world: &mut World, client: &mut Client, seed: u64) -> anyhow::Result<Bids> {
    let mut market = StdRng::seed_from_u64(seed ^ 0x006d_6172_6b65_7400);
    let mut bids = Bids::default();
    let mut opportunities = 0;
    while let Some(happening) = world.next() {
        match happening.what {
            What::Opportunity => {
                opportunities += 1;
                bid(&happening, opportunities, world, client, &mut market, &mut bids).await?;
            }
            What::Act { action, product, order } => {
                bids.actions += 1;
                bids.purchases += u64::from(order.is_some());
                client.track_event(act(&user(happening.shopper), happening.at_ms, action, product, order)).await?;
            }
        }
    }
    client.flush().await?;
    Ok(bids)
}

async fn bid(
    happening: &Happening,
    number: u64,
    world: &mut World,
    client: &mut Client,
    market: &mut StdRng,
    bids: &mut Bids,
) -> anyhow::Result<()> {
    let request = request(&user(happening.shopper), happening.at_ms, &format!("auction-{number}"), market);
    let answer = client.score(request).await?;
    let multiplier = answer.signals.first().map_or(1.0, |signal| signal.multiplier);
    // ln price is spread like a triangle around the base bid: from a seventh of it to seven times it.
    let spread: f64 = market.random_range(-1.0..1.0) + market.random_range(-1.0..1.0);
    let clearing_cpm = BASE_BID_CPM * math::exp(spread);
    let band = &mut bids.bands[BANDS.iter().position(|bound| multiplier < *bound).unwrap_or(BANDS.len())];
    band.asked += 1;
    if BASE_BID_CPM * multiplier < clearing_cpm {
        return Ok(());
    }
    band.won += 1;
    band.spend += clearing_cpm / 1_000.0;
    let money = |cpm: f64| Some(v1::Money { micros: (cpm * 1_000.0) as i64, currency: "USD".to_owned() });
    let (cost, bid) = (money(clearing_cpm), money(BASE_BID_CPM * multiplier));
    let of = Some(v1::impression::Of::Token(answer.token.clone()));
    let shown_ms = happening.at_ms + 1_000;
    client.track(shown_ms, Body::Impression(v1::Impression { of, cost, bid })).await?;
    if world.shown(happening.shopper, shown_ms + 4_000) {
        band.brought_back += 1;
        let of = Some(v1::click::Of::Token(answer.token));
        client.track(shown_ms + 3_000, Body::Click(v1::Click { of })).await?;
    }
    Ok(())
}

/// A shopper's id as the bidder knows it.
pub fn user(shopper: usize) -> String {
    format!("shopper-{shopper}")
}

/// A bid request for a user somewhere on the web.
pub fn request(user: &str, at_ms: u64, opportunity: &str, market: &mut StdRng) -> v1::ScoreRequest {
    let mut pick = |from: &[&str]| from[market.random_range(0..from.len())].to_owned();
    let entry = |name: &str, value: String| v1::ContextEntry { name: name.to_owned(), value };
    v1::ScoreRequest {
        opportunity_id: opportunity.to_owned(),
        users: vec![user.to_owned()],
        context: vec![entry("device_type", pick(&DEVICES)), entry("site", pick(&SITES))],
        privacy: v1::PrivacyMode::Full.into(),
        targets: vec![v1::Target {
            advertiser: SHOP.to_owned(),
            goals: vec![GOAL.to_owned()],
            ..v1::Target::default()
        }],
        at_ms,
        ..v1::ScoreRequest::default()
    }
}

/// What a user does in the shop, as its tracker tells it. An order's number makes the event idempotent.
pub fn act(user: &str, at_ms: u64, action: &str, product: Option<u32>, order: Option<u64>) -> v1::Event {
    let value = |product| v1::Money { micros: (price(product) * 1e6) as i64, currency: "USD".to_owned() };
    let body = Body::Action(v1::Action {
        user: user.to_owned(),
        advertiser: SHOP.to_owned(),
        action: action.to_owned(),
        item: product.map(|product| format!("sku-{product}")).unwrap_or_default(),
        category: product.map(|product| category(product).to_owned()).unwrap_or_default(),
        value: product.map(value),
    });
    let event_id = order.map(|order| format!("order-{order}")).unwrap_or_default();
    v1::Event { occurred_at_ms: at_ms, event_id, body: Some(body), ..v1::Event::default() }
}

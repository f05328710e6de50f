//! A scenario's file: TOML, each mistake told with line and column.

use std::ops::RangeInclusive;
use std::path::Path;

use super::scenario::{
    ACTS_MAX, Attribution, Auction, CAMPAIGNS_MAX, CHANGES_MAX, CONTEXTS_MAX, Campaign, Change, Changing, Context,
    DELAYS_MAX, Delay, INTENTS_MAX, Intent, SEGMENTS_MAX, SHOPPERS_MAX, Scenario, Segment,
};
use crate::config::{self, ConfigError, Names, Range, Table};
use crate::ids::Id;
use crate::settings::is_external_name;
use crate::units::{Micros, Span};

const SHARES: Range = Range::Between(0.0, 1.0);
const RATES: Range = Range::Between(0.0, 100.0);
const SPREADS: Range = Range::Between(0.0, 3.0);
const LOG_ODDS: Range = Range::Between(-20.0, 20.0);
const MONEY: Range = Range::Between(0.0, 1_000_000.0);
const DAYS_MAX: u32 = 366;
const SPANS: RangeInclusive<Span> = Span::seconds(1)..=Span::days(366);
/// The shortest keeps the steps small in number that what lies ahead is worked out in.
const FORGETTING: RangeInclusive<Span> = Span::minutes(10)..=Span::days(366);
/// Auctions and visits of one seed in the mean, at most: each is a moment of 24 bytes, and all are kept.
const MOMENTS_MAX: f64 = 4e7;

impl Scenario {
    /// Reads a scenario's file.
    ///
    /// # Errors
    /// When the file cannot be read or says what is not allowed; all mistakes at once, each with its place.
    pub fn load(path: &Path) -> Result<Scenario, ConfigError> {
        config::load(path, read)
    }

    /// Reads a scenario from a text; `name` stands for it in errors.
    ///
    /// # Errors
    /// When the text says what is not allowed.
    pub fn parse(name: &str, text: &str) -> Result<Scenario, ConfigError> {
        config::parse(name, text, read)
    }
}

fn read(mut root: Table<'_>) -> Scenario {
    if root.entries().is_empty() {
        root.refuse("says nothing of a market: see simulations/retail.toml for what can be said");
    }
    let mut scenario = Scenario::default();
    if let Some(text) = root.take("question").and_then(|value| value.text()) {
        scenario.question = text.to_owned();
    }
    root.whole("days", &mut scenario.days, 1..=DAYS_MAX);
    let last = scenario.days - 1;
    scenario.warm_up_days = scenario.warm_up_days.min(last);
    root.whole("warm_up_days", &mut scenario.warm_up_days, 0..=last);
    root.whole("shoppers", &mut scenario.shoppers, 1..=SHOPPERS_MAX);
    root.span("window", &mut scenario.window, Span::minutes(1)..=Span::days(90));
    let kinds = [("click", Attribution::Click), ("view", Attribution::View)];
    root.choice("attribution", &mut scenario.attribution, &kinds);
    read_money(&mut root, "value", &mut scenario.value);
    root.span("forgets_after", &mut scenario.forgets_after, FORGETTING);
    read_parts(&mut root, &mut scenario);
    read_lists(&mut root, &mut scenario);
    let moments = scenario.moments();
    if moments > MOMENTS_MAX {
        root.refuse(format_args!(
            "shoppers, ads_per_day, visits_per_day and days come to {moments:.0} auctions and visits a seed: at most \
             {MOMENTS_MAX:.0}"
        ));
    }
    root.finish();
    scenario
}

fn read_money(table: &mut Table<'_>, key: &'static str, into: &mut Micros) {
    let mut units = into.units();
    table.number(key, &mut units, MONEY);
    *into = Micros::from_units(units).expect("within the range of money");
}

/// The sections that stand once.
fn read_parts(root: &mut Table<'_>, scenario: &mut Scenario) {
    if let Some(mut table) = root.section("activity") {
        table.number("ads_per_day", &mut scenario.activity.ads, RATES);
        table.number("visits_per_day", &mut scenario.activity.visits, RATES);
        table.number("spread", &mut scenario.activity.spread, SPREADS);
        table.finish();
    }
    if let Some(mut table) = root.section("ad") {
        table.number("response", &mut scenario.ad.response, LOG_ODDS);
        table.finish();
    }
    if let Some(mut table) = root.section("devices") {
        table.number("second", &mut scenario.devices.second, SHARES);
        table.number("linked", &mut scenario.devices.linked, SHARES);
        table.finish();
    }
    if let Some(mut table) = root.section("prices") {
        let prices = &mut scenario.prices;
        table.choice("auction", &mut prices.auction, &[("second", Auction::Second), ("first", Auction::First)]);
        read_money(&mut table, "median_cpm", &mut prices.median_cpm);
        if prices.median_cpm.0 == 0 {
            table.refuse("median_cpm must be above 0: at no price every bid wins");
        }
        table.number("spread", &mut prices.spread, SPREADS);
        read_money(&mut table, "floor_cpm", &mut prices.floor_cpm);
        table.number("correlation", &mut prices.correlation, Range::Between(-1.0, 1.0));
        table.finish();
    }
    if let Some(mut table) = root.section("notices") {
        table.number("lost", &mut scenario.notices.lost, SHARES);
        table.number("late", &mut scenario.notices.late, Range::Between(0.0, 1.0 - scenario.notices.lost));
        table.span("late_by", &mut scenario.notices.late_by, SPANS);
        table.finish();
    }
    if let Some(mut table) = root.section("refunds") {
        table.number("share", &mut scenario.refunds.share, SHARES);
        table.span("after", &mut scenario.refunds.after, SPANS);
        table.finish();
    }
    if let Some(mut table) = root.section("bots") {
        table.number("share", &mut scenario.bots.share, SHARES);
        table.number("visits_per_day", &mut scenario.bots.visits, Range::Between(0.0, 1_000.0));
        table.finish();
    }
}

/// The tables that may stand several times.
fn read_lists(root: &mut Table<'_>, scenario: &mut Scenario) {
    read_list(root, "intent", INTENTS_MAX, &mut scenario.intents, read_intent);
    if scenario.intents.iter().all(|intent| intent.share == 0.0) {
        root.refuse("the shares of all intents are 0: at least one must be above");
    }
    let mut acts: Vec<&Id> = scenario.intents.iter().flat_map(|intent| &intent.acts).map(|(name, _)| name).collect();
    acts.sort_unstable();
    acts.dedup();
    if acts.len() > ACTS_MAX {
        root.refuse(format_args!("the intents name {} different acts: at most {ACTS_MAX}", acts.len()));
    }
    read_list(root, "context", CONTEXTS_MAX, &mut scenario.contexts, read_context);
    read_list(root, "segment", SEGMENTS_MAX, &mut scenario.segments, read_segment);
    read_list(root, "campaign", CAMPAIGNS_MAX, &mut scenario.campaigns, read_campaign);
    if scenario.campaigns.iter().all(|campaign| campaign.share == 0.0) {
        root.refuse("the shares of all campaigns are 0: at least one must be above");
    }
    read_list(root, "delay", DELAYS_MAX, &mut scenario.delays, |table, _| {
        let mut delay = Delay { share: 1.0, mean: Span::hours(1) };
        table.number("share", &mut delay.share, Range::Above(0.0, 1.0));
        table.span("mean", &mut delay.mean, SPANS);
        Some(delay)
    });
    let days = scenario.days;
    read_list(root, "change", CHANGES_MAX, &mut scenario.changes, |table, _| read_change(table, days));
    scenario.changes.sort_by_key(|change| change.day);
}

/// All tables of one kind, in place of the defaults where there are any.
fn read_list<'a, T>(
    root: &mut Table<'a>,
    key: &'static str,
    most: usize,
    into: &mut Vec<T>,
    read: impl Fn(&mut Table<'a>, &mut Names) -> Option<T>,
) {
    let tables = root.list(key, key);
    if tables.len() > most {
        root.refuse(format_args!("there are {} tables [[{key}]]: at most {most}", tables.len()));
    }
    let mut names = Names::default();
    let mut all = Vec::new();
    for mut table in tables.into_iter().take(most) {
        all.extend(read(&mut table, &mut names));
        table.finish();
    }
    if !all.is_empty() {
        *into = all;
    }
}

fn read_intent(table: &mut Table<'_>, names: &mut Names) -> Option<Intent> {
    let id = table.identify("intent", "name", names)?;
    let mut intent = Intent {
        name: id.as_str().to_owned(),
        share: 1.0,
        rises: 0.0,
        buys: 0.0,
        views: 2.0,
        pull: 0.0,
        acts: Vec::new(),
    };
    table.number("share", &mut intent.share, SHARES);
    table.number("rises", &mut intent.rises, SHARES);
    table.number("buys", &mut intent.buys, SHARES);
    table.number("views", &mut intent.views, Range::Between(1.0, 50.0));
    table.number("pull", &mut intent.pull, LOG_ODDS);
    if let Some(acts) = table.take("acts") {
        intent.acts = acts.numbers(SHARES)?;
    }
    Some(intent)
}

fn read_context(table: &mut Table<'_>, names: &mut Names) -> Option<Context> {
    let name = table.identify("context", "name", names)?;
    let mut context = Context { name, values: 1, skew: 1.0, spread: 0.0 };
    table.whole("values", &mut context.values, 1..=100_000);
    table.number("skew", &mut context.skew, Range::Between(1.0, 10.0));
    table.number("spread", &mut context.spread, SPREADS);
    Some(context)
}

fn read_segment(table: &mut Table<'_>, names: &mut Names) -> Option<Segment> {
    let id = table.identify("segment", "external", names)?;
    if !is_external_name(id.as_str()) {
        table.refuse("external must be \"provider/id\"");
        return None;
    }
    let mut segment = Segment { id, share: 0.1, pull: 0.0 };
    table.number("share", &mut segment.share, SHARES);
    table.number("pull", &mut segment.pull, LOG_ODDS);
    Some(segment)
}

fn read_campaign(table: &mut Table<'_>, names: &mut Names) -> Option<Campaign> {
    let name = table.identify("campaign", "name", names)?;
    let mut campaign = Campaign { name, share: 1.0, budget_per_day: Micros(10_000_000), pull: 0.0 };
    table.number("share", &mut campaign.share, SHARES);
    read_money(table, "budget_per_day", &mut campaign.budget_per_day);
    if campaign.budget_per_day.0 == 0 {
        table.refuse("budget_per_day must be above 0: who spends nothing is not compared");
    }
    table.number("pull", &mut campaign.pull, LOG_ODDS);
    Some(campaign)
}

fn read_change(table: &mut Table<'_>, days: u32) -> Option<Change> {
    const KINDS: [&str; 4] = ["prices", "level", "outage", "bots"];
    let mut day = 0;
    table.whole("day", &mut day, 0..=days - 1)?;
    let stated: Vec<&str> = KINDS.into_iter().filter(|key| table.has(key)).collect();
    if stated.len() != 1 {
        table.refuse(
            "needs one of prices = 1.5 (a factor), level = 0.5 (log-odds), outage = \"2h\", bots = 10 with for = \
             \"1d\"",
        );
        KINDS.into_iter().chain(["for"]).for_each(|key| drop(table.take(key)));
        return None;
    }
    let (mut number, mut span) = (1.0, Span::days(1));
    let what = match stated[0] {
        "prices" => {
            table.number("prices", &mut number, Range::Above(0.0, 100.0))?;
            Changing::Prices(number)
        }
        "level" => {
            table.number("level", &mut number, LOG_ODDS)?;
            Changing::Level(number)
        }
        "outage" => {
            table.span("outage", &mut span, SPANS);
            Changing::Outage(span)
        }
        _ => {
            table.number("bots", &mut number, Range::Above(0.0, 1_000.0))?;
            table.span("for", &mut span, SPANS);
            Changing::Bots { times: number, span }
        }
    };
    Some(Change { day, what })
}

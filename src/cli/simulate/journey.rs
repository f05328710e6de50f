//! A recorded log at recorded prices: a flat bid, and Inkling's multiplier on it, at equal spend.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::super::prices::Prices;
use super::super::replay::{WINDOW_DEFAULT, evaluate_from, window, with_window};
use super::{Report, correlation, gain_cells, gain_json, share};
use crate::config::Config;
use crate::journey::Discovery;
use crate::market::equal_spend::EQUAL;
use crate::market::paired::{Gain, Pair, Sums};
use crate::market::recorded::{Market, Recorded, World};
use crate::replay::{EvaluateFrom, Resamples};
use crate::report::page::{Page, Part};
use crate::report::table::{Align, Table, count, percent, quotient};
use crate::units::Span;

/// The other kinds of markets.
const NOT_OURS: [&str; 2] = ["scenario", "auctions"];

#[derive(Debug, Args)]
pub struct Journey {
    /// Recorded journey log (NDJSON, plain, gzip or zstd), whose opportunities get prices from --landscape
    #[arg(long, value_name = "LOG", requires = "landscape")]
    pub journey: Option<PathBuf>,
    #[command(flatten)]
    pub prices: Prices,
    /// How long after an impression a conversion counts, for all goals [default: the configuration's, else 1d]
    #[arg(long, value_name = "SPAN", value_parser = window, requires = "journey", conflicts_with_all = NOT_OURS)]
    window: Option<Span>,
    /// Where the evaluated part begins: a date such as 2021-01-01, or a share of the time between the first and the
    /// last opportunity
    #[arg(long, value_name = "ISO|FRACTION", default_value = "0.5", value_parser = evaluate_from)]
    #[arg(requires = "journey", conflicts_with_all = NOT_OURS)]
    evaluate_from: EvaluateFrom,
    /// Share of the auctions that the flat bid wins, at least: it is the least such price
    #[arg(long, value_name = "SHARE", default_value = "0.3", value_parser = share)]
    #[arg(requires = "journey", conflicts_with_all = NOT_OURS)]
    win_rate: f64,
    /// How far prices go with value, −1 to 1: correlation, in a Gaussian copula, of an opportunity's price and of the
    /// probability that a replay of the whole log predicts for it
    #[arg(long, value_name = "R", default_value = "0", value_parser = correlation)]
    #[arg(requires = "journey", conflicts_with_all = NOT_OURS)]
    #[arg(allow_negative_numbers = true)]
    correlation: f64,
    /// Markets to draw, each with a seed of its own
    #[arg(long, value_name = "N", default_value_t = 20)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub seeds: u32,
}

impl Journey {
    /// Plays a log at prices.
    ///
    /// # Errors
    /// When a file cannot be read, or nothing can be compared.
    pub fn run(
        &self,
        log: &Path,
        config: Option<&Path>,
        resamples: Resamples,
        with_page: bool,
    ) -> anyhow::Result<Report> {
        let configured = config.map(Config::load).transpose()?.map(|config| with_window(config.settings, self.window));
        let settings =
            |of_log: &Discovery| configured.unwrap_or_else(|| of_log.settings(self.window.unwrap_or(WINDOW_DEFAULT)));
        let landscape = self.prices.landscape()?.context("--journey needs --landscape")?;
        let bid = landscape.least_winning(self.win_rate);
        let market = Market { landscape: &landscape, correlation: self.correlation, bid };
        let recorded = Recorded::open(&[log.to_owned()], settings, self.evaluate_from)?;
        let seeds: Vec<u64> = (0..u64::from(self.seeds)).map(|number| resamples.seed.wrapping_add(number)).collect();
        let worlds = recorded.worlds(market, &seeds)?;
        let told = Told::new((log, config), market, &recorded, &worlds, resamples);
        Ok(Report { text: told.text(self), json: told.json(self), page: with_page.then(|| told.page(self)) })
    }
}

/// A policy in the mean of the worlds.
struct Row {
    name: &'static str,
    sums: Sums,
    scale: Option<f64>,
    ratio: Option<f64>,
    gain: Option<Gain>,
}

/// Worlds that were played, with all that is said of them.
struct Told<'a> {
    log: &'a Path,
    config: Option<&'a Path>,
    market: Market<'a>,
    recorded: &'a Recorded,
    worlds: &'a [World],
    resamples: Resamples,
    rows: Vec<Row>,
}

/// Mean over the worlds.
fn mean(worlds: &[World], of: impl Fn(&World) -> f64) -> f64 {
    worlds.iter().map(of).sum::<f64>() / worlds.len() as f64
}

/// The largest departure from equal spend over the worlds.
fn worst_ratio(worlds: &[World]) -> f64 {
    worlds.iter().map(|world| (world.ratio - 1.0).abs()).fold(0.0, f64::max)
}

fn mean_sums(worlds: &[Vec<Pair>], of: impl Fn(&Pair) -> Sums) -> Sums {
    let sum =
        |pick: fn(&Sums) -> f64| worlds.iter().flatten().map(|pair| pick(&of(pair))).sum::<f64>() / worlds.len() as f64;
    Sums { impressions: sum(|sums| sums.impressions), hits: sum(|sums| sums.hits), cost: sum(|sums| sums.cost) }
}

impl<'a> Told<'a> {
    fn new(
        (log, config): (&'a Path, Option<&'a Path>),
        market: Market<'a>,
        recorded: &'a Recorded,
        worlds: &'a [World],
        resamples: Resamples,
    ) -> Told<'a> {
        let pairs = |of: fn(&World) -> &Vec<Pair>| worlds.iter().map(|world| of(world).clone()).collect::<Vec<_>>();
        let (inkling, taught) = (pairs(|world| &world.inkling), pairs(|world| &world.taught));
        let flat = mean_sums(&inkling, |pair| pair.base);
        let row = |name, pairs: &[Vec<Pair>], scale: Option<f64>| {
            let sums = mean_sums(pairs, |pair| pair.policy);
            let ratio = sums.cost / flat.cost;
            // The mean of the worlds may hide that single ones are off.
            let is_equal = (ratio - 1.0).abs() <= EQUAL && (scale.is_none() || worst_ratio(worlds) <= EQUAL);
            let gain = is_equal.then(|| Gain::of(pairs, resamples));
            Row { name, sums, scale, ratio: Some(ratio), gain }
        };
        let rows = vec![
            Row { name: "flat", sums: flat, scale: None, ratio: None, gain: None },
            row("inkling", &inkling, Some(mean(worlds, |world| world.scale))),
            row("taught by all", &taught, None),
        ];
        Told { log, config, market, recorded, worlds, resamples, rows }
    }

    fn text(&self, of: &Journey) -> String {
        let (opportunities, converting, users) = self.recorded.evaluated();
        let landscape = self.market.landscape;
        let mut out = format!(
            "seeds {} to {}, {} resamples of users and seeds\n\n",
            self.resamples.seed,
            self.worlds.last().map_or(0, |world| world.seed),
            count(f64::from(self.resamples.count)),
        );
        let _ = writeln!(
            out,
            "LOG: {} opportunities evaluated, {} convert, {} users; {} before or beside them are bid for as well",
            count(opportunities as f64),
            count(converting as f64),
            count(users as f64),
            count(self.recorded.learned_from() as f64),
        );
        for (why, many) in self.recorded.refused() {
            let _ = writeln!(out, "  {} lines refused by the engine: {why}", count(*many as f64));
        }
        let _ = writeln!(
            out,
            "PRICES: {} auctions{}, second price; correlation with value {}; what converts costs {} times the mean",
            count(landscape.total() as f64),
            of.prices.campaign.as_ref().map_or(String::new(), |campaign| format!(" of campaign {campaign}")),
            self.market.correlation,
            quotient(mean(self.worlds, |world| world.price_of_hits)),
        );
        let _ = writeln!(
            out,
            "FLAT BID: {}, which wins {} of that landscape\n\nAT EQUAL SPEND, mean of the seeds; won impressions that \
             convert against those of the flat bid",
            self.market.bid,
            percent(landscape.win_rate(self.market.bid)),
        );
        let _ = write!(out, "{}", self.table(opportunities));
        out.push_str(&self.remarks());
        out
    }

    /// A page for a browser.
    fn page(&self, of: &Journey) -> String {
        let mut page = Page::new(format!("A recorded log at recorded prices: {}", self.log.display()));
        let text = self.text(of);
        text.lines()
            .take_while(|line| !line.starts_with("AT EQUAL"))
            .filter(|line| !line.is_empty())
            .for_each(|line| page.say(line));
        let (opportunities, ..) = self.recorded.evaluated();
        page.add(Part::new("At equal spend, mean of the seeds").table(self.table(opportunities)).say(self.remarks()));
        let gains = self.rows.iter().filter_map(|row| Some((row.name, row.gain.as_ref()?)));
        let heading = "More impressions that convert than the flat bid wins, at equal spend";
        super::page::gain_part(heading, gains).into_iter().for_each(|part| page.add(part));
        let landscape = self.market.landscape;
        let prices = landscape.prices();
        let every = prices.len().div_ceil(60).max(1);
        let points = prices.iter().step_by(every).map(|price| (f64::from(*price), landscape.win_rate(*price)));
        page.add(super::page::won_by_bid("bid per mille, in the landscape's unit", points.collect()));
        page.html()
    }

    fn table(&self, opportunities: usize) -> Table {
        let mut columns = vec![("", Align::Left)];
        columns.extend(
            ["scale", "won", "convert", "cost", "cost a conversion", "spend", "more", "95 % interval", "share"]
                .map(|head| (head, Align::Right)),
        );
        columns.push(("", Align::Left));
        let mut table = Table::new(&columns);
        for Row { name, sums, scale, ratio, gain } in &self.rows {
            let mut cells = vec![
                (*name).to_owned(),
                scale.map_or(String::new(), |scale| format!("{scale:.3}")),
                percent(sums.impressions / opportunities as f64),
                format!("{:.1}", sums.hits),
                count(sums.cost),
                count(sums.cost / sums.hits),
                ratio.map_or(String::new(), percent),
            ];
            cells.extend(gain_cells(gain.as_ref()));
            table.row(cells);
        }
        table
    }

    fn remarks(&self) -> String {
        let mut out = String::new();
        let worst = worst_ratio(self.worlds);
        let _ = writeln!(
            out,
            "  inkling learned only from what it won; \"taught by all\" saw every earlier outcome, won or not"
        );
        let _ = writeln!(
            out,
            "  spend of inkling is off by at most {} in any seed{}",
            percent(worst),
            if worst > EQUAL { ": NOT EQUAL, do not compare" } else { "" },
        );
        let _ = writeln!(
            out,
            "  predicted ÷ observed: {} on what inkling won, {} on all",
            quotient(mean(self.worlds, |world| world.levels.won)),
            quotient(mean(self.worlds, |world| world.levels.all)),
        );
        if let Some(detectable) = self.rows.get(1).and_then(|row| row.gain).and_then(|gain| gain.detectable) {
            let _ =
                writeln!(out, "  a difference of {} or more would be found four times of five", percent(detectable));
        }
        out
    }

    fn json(&self, of: &Journey) -> Value {
        let (opportunities, converting, users) = self.recorded.evaluated();
        json!({
            "log": self.log,
            "config": self.config,
            "refused": self.recorded.refused(),
            "seed": self.resamples.seed,
            "seeds": self.worlds.len(),
            "resamples": self.resamples.count,
            "evaluated": { "opportunities": opportunities, "converting": converting, "users": users },
            "landscape": {
                "file": of.prices.landscape,
                "campaign": of.prices.campaign,
                "auctions": self.market.landscape.total(),
                "correlation": self.market.correlation,
            },
            "flat_bid": self.market.bid,
            "policies": self.rows.iter().map(|row| json!({
                "policy": row.name,
                "scale": row.scale,
                "impressions": row.sums.impressions,
                "hits": row.sums.hits,
                "cost": row.sums.cost,
                "spend_ratio": row.ratio,
                "against_flat": gain_json(row.gain.as_ref()),
            })).collect::<Vec<_>>(),
            "spend_off_at_most": worst_ratio(self.worlds),
            "worlds": self.worlds.iter().map(|world| json!({
                "seed": world.seed,
                "scale": world.scale,
                "spend_ratio": world.ratio,
                "predicted_to_observed": { "won": world.levels.won, "all": world.levels.all },
                "price_of_converting": world.price_of_hits,
            })).collect::<Vec<_>>(),
        })
    }
}

//! Recorded auctions: published figures to the unit, and policies at equal spend.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Report, gain_cells, gain_json, positive, share};
use crate::market::equal_spend::EQUAL;
use crate::market::recorded::{Auction, BID_MAX, Contest, Entry, Known, Policy, Rule, read_auctions};
use crate::replay::Resamples;
use crate::report::page::{Page, Part};
use crate::report::table::{Align, Table, count, percent};
use crate::wording;

/// When a bid wins, and how the budget ends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RuleName {
    /// A budget for each episode, which no bid exceeds; bids of at least the market price win
    Episodes,
    /// One budget for all; bids above the market price win; bidding stops once the budget is reached
    UntilSpent,
}

#[derive(Debug, Args)]
#[group(conflicts_with_all = ["scenario", "journey"])]
pub struct Auctions {
    /// Recorded auctions: click, market price, predicted probability and, if there is one, time slot
    /// (plain, gzip or zstd)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["landscape", "seeds"])]
    pub auctions: Option<PathBuf>,
    /// Earlier auctions of the campaign, from which mean probability and prices are taken instead of from FILE
    #[arg(long, value_name = "FILE", requires = "auctions")]
    train: Option<PathBuf>,
    /// When a bid wins, and how the budget ends it
    #[arg(long, value_enum, default_value_t = RuleName::Episodes, requires = "auctions")]
    rule: RuleName,
    /// Auctions of an episode; with until-spent, auctions that are resampled together
    #[arg(long, value_name = "N", default_value_t = 1_000, requires = "auctions")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    episode: u32,
    /// Budget of an episode, or of all, in the file's unit [default: --budget-share]
    #[arg(long, value_name = "N", requires = "auctions", conflicts_with = "budget_share")]
    budget: Option<u64>,
    /// Budget as a share of what all impressions cost
    #[arg(long, value_name = "SHARE", default_value = "0.0625", value_parser = share, requires = "auctions")]
    budget_share: f64,
    /// Mean probability, at which the linear bid is its parameter [default: that of --train, else of FILE]
    #[arg(long, value_name = "P", value_parser = share, requires = "auctions")]
    pctr_mean: Option<f64>,
    /// Value of a click, in the file's unit [default: what all impressions cost ÷ clicks]
    #[arg(long, value_name = "V", value_parser = positive, requires = "auctions")]
    click_value: Option<f64>,
    /// Play a policy with this parameter, as it is: constant, random, linear, truthful, ortb, paced or inkling; may be
    /// given several times
    #[arg(long, value_name = "POLICY=X", value_parser = bid, requires = "auctions")]
    bid: Vec<(Policy, f64)>,
    /// What all policies shall spend, as a share of all budgets
    #[arg(long, value_name = "SHARE", default_value = "0.5", value_parser = share, requires = "auctions")]
    spend_share: f64,
    /// Only play what --bid gives, compare nothing
    #[arg(long, requires = "bid")]
    as_given: bool,
}

/// Reads `POLICY=X`.
fn bid(text: &str) -> Result<(Policy, f64), String> {
    let (name, parameter) = text.split_once('=').ok_or("write POLICY=X, such as linear=75")?;
    let names = Policy::ALL.map(Policy::name);
    let policy = Policy::named(name)
        .ok_or_else(|| format!("'{}' is no policy; {}", wording::shown(name), wording::instead(name, &names)))?;
    Ok((policy, positive(parameter)?))
}

impl Auctions {
    /// Plays a file of auctions.
    ///
    /// # Errors
    /// When a file cannot be read, or there is nothing to spend.
    pub fn run(&self, file: &Path, resamples: Resamples, with_page: bool) -> anyhow::Result<Report> {
        let auctions = read_auctions(file)?;
        let known = self.known(&auctions)?;
        let rule = self.rule(&auctions, &known);
        let budget = rule.budget(auctions.len());
        if budget == 0 {
            bail!("the budget is 0: give a larger --budget or --budget-share");
        }
        let contest = Contest { auctions: &auctions, rule, known, seed: resamples.seed };
        let refused = |rejection| anyhow!("the engine refuses the settings: {rejection}");
        let given = self.bid.iter().map(|(policy, parameter)| contest.as_given(*policy, *parameter));
        let given: Vec<Entry> = given.collect::<Result<_, _>>().map_err(refused)?;
        let target = (!self.as_given).then_some(budget as f64 * self.spend_share);
        let equal = target.map(|target| contest.at_equal_spend(target, resamples)).transpose().map_err(refused)?;
        let told = Told { file, contest, resamples, given, target, equal: equal.unwrap_or_default() };
        Ok(Report { text: told.text(), json: told.json(), page: with_page.then(|| told.page()) })
    }

    fn known(&self, auctions: &[Auction]) -> anyhow::Result<Known> {
        let mut known = match &self.train {
            Some(train) => Known::of(&read_auctions(train)?),
            None => Known::of(auctions),
        }
        .ok_or_else(|| anyhow!("there are no auctions"))?;
        known.mean_pctr = self.pctr_mean.unwrap_or(known.mean_pctr);
        known.cost_per_click = self.click_value.unwrap_or(known.cost_per_click);
        if known.mean_pctr <= 0.0 {
            bail!("the mean probability is 0: bids in proportion to it need --pctr-mean");
        }
        Ok(known)
    }

    /// The rule. Shares are of the price of the auctions known before, an episode's budget is rounded down.
    fn rule(&self, auctions: &[Auction], known: &Known) -> Rule {
        let length = self.episode as usize;
        match self.rule {
            RuleName::Episodes => {
                let budget = (known.mean_price * self.budget_share * length as f64) as u64;
                Rule::Episodes { length, budget: self.budget.unwrap_or(budget), bid_max: BID_MAX }
            }
            RuleName::UntilSpent => {
                let cost: u64 = auctions.iter().map(|auction| u64::from(auction.price)).sum();
                let budget = (cost as f64 * self.budget_share).ceil() as u64;
                Rule::UntilSpent { budget: self.budget.unwrap_or(budget), block: length }
            }
        }
    }
}

/// Auctions that were played, with all that is said of them.
struct Told<'a> {
    file: &'a Path,
    contest: Contest<'a>,
    resamples: Resamples,
    given: Vec<Entry>,
    target: Option<f64>,
    equal: Vec<Entry>,
}

impl Told<'_> {
    fn text(&self) -> String {
        let Contest { auctions, known, rule, .. } = &self.contest;
        let clicks = auctions.iter().filter(|auction| auction.clicked).count();
        let episodes = auctions.len().div_ceil(rule.length());
        let mut out = format!(
            "seed {}, {} resamples of the {} {}\n\n",
            self.resamples.seed,
            count(f64::from(self.resamples.count)),
            count(episodes as f64),
            if matches!(rule, Rule::Episodes { .. }) { "episodes" } else { "blocks" },
        );
        let _ = writeln!(
            out,
            "AUCTIONS: {} with {} clicks; prices {:.1} in the mean, median {}; mean probability {:.6}, value of a \
             click {:.2}",
            count(auctions.len() as f64),
            count(clicks as f64),
            known.mean_price,
            known.median_price,
            known.mean_pctr,
            known.cost_per_click,
        );
        let _ = match *rule {
            Rule::Episodes { length, budget, bid_max } => writeln!(
                out,
                "  episodes of {} with a budget of {} each; bids of at most {bid_max} and what is left win where they \
                 are at least the market price",
                count(length as f64),
                count(budget as f64),
            ),
            Rule::UntilSpent { budget, .. } => writeln!(
                out,
                "  bids win where they are above the market price, until {} are spent",
                count(budget as f64),
            ),
        };
        if !self.given.is_empty() {
            let _ = write!(out, "\nAS GIVEN\n{}", self.table(&self.given, false));
        }
        if let Some(target) = self.target {
            let _ = write!(
                out,
                "\nAT EQUAL SPEND, {} each, within 1 %; clicks against those of the linear bid\n{}",
                count(target),
                self.table(&self.equal, true)
            );
            out.push_str(&self.remarks());
        }
        out
    }

    fn table(&self, entries: &[Entry], compared: bool) -> Table {
        let mut columns = vec![("", Align::Left)];
        columns.extend(
            ["parameter", "impressions", "won", "clicks", "cost", "cost a click", "profit"]
                .map(|head| (head, Align::Right)),
        );
        if compared {
            columns.extend(["spend", "clicks more", "95 % interval", "share"].map(|head| (head, Align::Right)));
            columns.push(("", Align::Left));
        }
        let mut table = Table::new(&columns);
        for entry in entries {
            let total = entry.total;
            let (clicks, cost) = (total.clicks as f64, total.cost as f64);
            let mut cells = vec![
                entry.policy.name().to_owned(),
                format!("{:.3}", entry.parameter),
                count(total.impressions as f64),
                percent(total.impressions as f64 / self.contest.auctions.len() as f64),
                count(clicks),
                count(cost),
                if clicks > 0.0 { format!("{:.2}", cost / clicks / 1_000.0) } else { "–".to_owned() },
                format!("{:.2}", self.profit(entry)),
            ];
            if let Some(ratio) = entry.ratio {
                cells.push(percent(ratio));
                cells.extend(gain_cells(entry.gain.as_ref()));
            }
            table.row(cells);
        }
        table
    }

    /// A page for a browser.
    fn page(&self) -> String {
        let mut page = Page::new(format!("Recorded auctions: {}", self.file.display()));
        page.say(self.text().lines().take(1).collect::<String>());
        if !self.given.is_empty() {
            page.add(Part::new("As given").table(self.table(&self.given, false)));
        }
        if let Some(target) = self.target {
            let heading = format!("At equal spend, {} each, within 1 %", count(target));
            page.add(Part::new(heading).table(self.table(&self.equal, true)).say(self.remarks()));
        }
        let gains = self.equal.iter().filter_map(|entry| Some((entry.policy.name(), entry.gain.as_ref()?)));
        super::page::gain_part("More clicks than the linear bid, at equal spend", gains)
            .into_iter()
            .for_each(|part| page.add(part));
        let mut prices: Vec<u32> = self.contest.auctions.iter().map(|auction| auction.price).collect();
        prices.sort_unstable();
        let points = (1..=40).map(|place| {
            let last = (prices.len() * place / 40).max(1) - 1;
            let won = prices.partition_point(|price| *price <= prices[last]);
            (f64::from(prices[last]), won as f64 / prices.len() as f64)
        });
        page.add(super::page::won_by_bid("bid per mille, in the file's unit", points.collect()));
        page.html()
    }

    fn profit(&self, entry: &Entry) -> f64 {
        entry.total.clicks as f64 * self.contest.known.cost_per_click - entry.total.cost as f64 / 1_000.0
    }

    fn remarks(&self) -> String {
        let mut out = String::new();
        for entry in &self.equal {
            if entry.ratio.is_some_and(|ratio| (ratio - 1.0).abs() > EQUAL) {
                let why = match entry.policy {
                    Policy::Truthful => "bids what a click is worth and has no scale",
                    _ => "does not come to that spend at any scale that was tried",
                };
                let _ = writeln!(out, "  {} is not compared: it {why}", entry.policy.name());
            }
            if let Some(detectable) = entry.gain.as_ref().and_then(|gain| gain.detectable)
                && entry.policy == Policy::Inkling
            {
                let _ = writeln!(
                    out,
                    "  of inkling a difference of {} or more would be found four times of five; its multiplier was not \
                     1 in {} of the auctions",
                    percent(detectable),
                    percent(entry.moved.unwrap_or_default()),
                );
            }
        }
        out
    }

    fn json(&self) -> Value {
        let Contest { auctions, known, rule, .. } = &self.contest;
        let entries = |entries: &[Entry]| entries.iter().map(|entry| self.entry(entry)).collect::<Vec<_>>();
        let rule = match *rule {
            Rule::Episodes { length, budget, bid_max } => {
                json!({ "name": "episodes", "length": length, "budget": budget, "bid_max": bid_max })
            }
            Rule::UntilSpent { budget, block } => json!({ "name": "until_spent", "budget": budget, "block": block }),
        };
        json!({
            "file": self.file,
            "seed": self.resamples.seed,
            "resamples": self.resamples.count,
            "auctions": auctions.len(),
            "clicks": auctions.iter().filter(|auction| auction.clicked).count(),
            "known": {
                "mean_pctr": known.mean_pctr,
                "mean_price": known.mean_price,
                "median_price": known.median_price,
                "click_value": known.cost_per_click,
            },
            "rule": rule,
            "as_given": entries(&self.given),
            "equal_spend": self.target.map(|target| json!({ "spend": target, "policies": entries(&self.equal) })),
        })
    }

    fn entry(&self, entry: &Entry) -> Value {
        json!({
            "policy": entry.policy.name(),
            "parameter": entry.parameter,
            "auctions": entry.total.auctions,
            "impressions": entry.total.impressions,
            "clicks": entry.total.clicks,
            "cost": entry.total.cost,
            "profit": self.profit(entry),
            "spend_ratio": entry.ratio,
            "against_linear": gain_json(entry.gain.as_ref()),
            "multiplier_moved": entry.moved,
        })
    }
}

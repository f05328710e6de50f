//! `inkling check FILE`: reads a configuration as the service would, and says what it means.

use std::fmt::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;

use super::words;
use crate::action::{ActionKind, HALF_LIFE_DEFAULT, standard};
use crate::config::{Clock, Config, Durability, ServerConfig, StorageConfig, Workers};
use crate::expression;
use crate::learn::ftrl::SLOT_BYTES;
use crate::settings::{ActionSetting, Advertiser, Baseline, Credit, Goal, Multiplier, Settings, WEIGHT_BOUNDS};

/// Arguments of `inkling check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The configuration, a TOML file
    file: PathBuf,
}

impl Check {
    /// Prints what the file means.
    ///
    /// # Errors
    /// All mistakes of the file.
    pub fn run(self) -> anyhow::Result<()> {
        let config = Config::load(&self.file)?;
        let mut text = format!("{} is a good configuration: {}\n", self.file.display(), summary(&config.settings));
        describe(&config, &mut text).expect("a String takes all that is written");
        super::print(&text).context("cannot write to standard output")
    }
}

fn summary(settings: &Settings) -> String {
    let sum = |part: fn(&Advertiser) -> usize| settings.advertisers.iter().map(part).sum::<usize>();
    [
        words::several(settings.advertisers.len(), "advertiser"),
        words::several(sum(|advertiser| advertiser.goals.len()), "goal"),
        words::several(sum(|advertiser| advertiser.campaigns.len()), "campaign"),
        words::several(sum(|advertiser| advertiser.segments.len() + advertiser.externals.len()), "segment"),
    ]
    .join(", ")
}

fn describe(config: &Config, out: &mut String) -> fmt::Result {
    for advertiser in &config.settings.advertisers {
        writeln!(out, "\nADVERTISER {}", advertiser.id)?;
        if let Some(share) = advertiser.holdout_share {
            writeln!(out, "  Holds out {} % of users", percent(share))?;
        }
        advertiser.goals.iter().try_for_each(|goal| describe_goal(goal, advertiser, out))?;
        describe_campaigns(advertiser, out)?;
        describe_segments(advertiser, out)?;
        describe_actions(advertiser, out)?;
    }
    describe_common(&config.settings, out)?;
    describe_server(&config.server, out)?;
    describe_storage(&config.storage, out)
}

/// One line of a block: what it is about, and what is said of it.
fn line(out: &mut String, about: &str, said: impl fmt::Display) -> fmt::Result {
    writeln!(out, "    {about:<14}{said}")
}

fn describe_goal(goal: &Goal, advertiser: &Advertiser, out: &mut String) -> fmt::Result {
    writeln!(out, "  Goal {}", goal.id)?;
    match &goal.converting_action {
        Some(action) => {
            line(out, "converts", format_args!("by the action {action} ({})", words::action(action.as_str())))?
        }
        None => line(out, "converts", "by conversions sent as such")?,
    }
    let credit = match goal.credit {
        Credit::LastTouch => "credit to the last impression",
        Credit::Even => "credit to all impressions alike",
    };
    line(
        out,
        "counts",
        format_args!(
            "up to {} after an impression that was clicked, {} after one that was only viewed; {credit}{}",
            goal.click_window,
            goal.view_window,
            too_soon(goal)
        ),
    )?;
    line(out, "milestones", ladder(goal, advertiser))?;
    line(out, "worth", format_args!("{:.2} {} unless the conversion says", goal.value.units(), goal.currency))?;
    let rate = (goal.prior_rate * 1e6).round() / 1e4;
    line(out, "expected", format_args!("{rate} % of impressions convert, before there is data"))?;
    line(out, "memory", format_args!("statistics count half after {}", goal.half_life))?;
    if let Some(rest) = goal.suppress_after_conversion {
        line(out, "suppresses", format_args!("ads to who has converted within {rest}"))?;
    }
    line(out, "multiplier", multiplier(&goal.multiplier))
}

/// What happens to conversions that come too soon.
fn too_soon(goal: &Goal) -> String {
    match goal.conversion_delay_min {
        crate::units::Span::ZERO => String::new(),
        delay => format!("; quarantined within {delay} of one"),
    }
}

/// The way to the goal: "view_item 50 → add_to_cart 70 → purchase".
fn ladder(goal: &Goal, advertiser: &Advertiser) -> String {
    let step = |name: &crate::ids::Id| match advertiser.action(name.as_str()).map(|action| action.kind) {
        Some(ActionKind::Milestone { position }) => format!("{name} {position}"),
        _ => name.to_string(),
    };
    let mut steps: Vec<String> = goal.milestones.iter().map(step).collect();
    if steps.is_empty() {
        return "none".to_owned();
    }
    steps.push(goal.id.to_string());
    steps.join(" → ")
}

fn multiplier(multiplier: &Multiplier) -> String {
    let Multiplier { baseline, exponent, min, max, prior_variance, support, spend_control, exploration } = multiplier;
    let baseline = match baseline {
        Baseline::Goal => "the goal's mean",
        Baseline::Context => "the context alone",
        Baseline::Request => "the bidder's own probability",
    };
    let spend = if *spend_control { "spends what control would" } else { "spends what it spends" };
    let explored = match *exploration {
        0.0 => String::new(),
        share => format!("; explores {} % of opportunities", (share * 1e6).round() / 1e4),
    };
    let least = words::several(*support as usize, "user");
    format!(
        "{min} to {max}; chance against {baseline}, exponent {exponent}, prior variance {prior_variance}; \
         1 below {least}; {spend}{explored}"
    )
}

fn describe_campaigns(advertiser: &Advertiser, out: &mut String) -> fmt::Result {
    let width = widest(advertiser.campaigns.iter().map(|campaign| campaign.id.as_str()));
    if width > 0 {
        writeln!(out, "  Campaigns")?;
    }
    advertiser.campaigns.iter().try_for_each(|campaign| {
        let goals: Vec<&str> = campaign.goals.iter().map(crate::ids::Id::as_str).collect();
        let weighed = |(goal, weight): &(crate::ids::Id, f64)| format!("{weight} × {goal}");
        let weights: Vec<String> = campaign.objective.iter().map(weighed).collect();
        let combined = if weights.is_empty() { String::new() } else { format!("; combined {}", weights.join(" + ")) };
        writeln!(out, "    {:<width$}  {}{combined}", campaign.id.as_str(), goals.join(", "))
    })
}

fn describe_segments(advertiser: &Advertiser, out: &mut String) -> fmt::Result {
    let rules = advertiser
        .segments
        .iter()
        .map(|segment| (segment.id.as_str(), segment.weight, expression::write(&segment.rule)));
    let named = "named by the bid request".to_owned();
    let externals = advertiser.externals.iter().map(|segment| (segment.id.as_str(), segment.weight, named.clone()));
    let all: Vec<_> = rules.chain(externals).collect();
    let width = widest(all.iter().map(|(name, _, _)| *name));
    if width > 0 {
        let (low, high) = WEIGHT_BOUNDS;
        writeln!(out, "  Segments and their weights (the product of a user's weights stays within {low} and {high})")?;
    }
    all.iter().try_for_each(|(name, weight, rule)| writeln!(out, "    {name:<width$}  × {weight:<5} {rule}"))
}

/// Actions that are not as the standard has them.
fn describe_actions(advertiser: &Advertiser, out: &mut String) -> fmt::Result {
    let is_changed = |action: &&ActionSetting| {
        action.half_life != HALF_LIFE_DEFAULT
            || standard(action.id.as_str()).is_none_or(|standard| standard.kind != action.kind)
    };
    let changed: Vec<&ActionSetting> = advertiser.actions.iter().filter(is_changed).collect();
    let count = advertiser.actions.len() - changed.len();
    writeln!(
        out,
        "  Actions: {} as usual, {} added or changed",
        words::several(count, "standard action"),
        changed.len()
    )?;
    let width = widest(changed.iter().map(|action| action.id.as_str()));
    changed.into_iter().try_for_each(|action| {
        let kind = match action.kind {
            ActionKind::Milestone { position } => format!("milestone at {position}"),
            ActionKind::Secondary => "secondary".to_owned(),
        };
        let origin = if standard(action.id.as_str()).is_some() { "changed" } else { "added" };
        writeln!(out, "    {:<width$}  {origin}: {kind}, counts half after {}", action.id.as_str(), action.half_life)
    })
}

/// A share in percent, to two places.
fn percent(share: f64) -> f64 {
    (share * 1e4).round() / 1e2
}

/// Characters of the longest name; 0 without names.
fn widest<'n>(names: impl Iterator<Item = &'n str>) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or(0)
}

fn describe_common(settings: &Settings, out: &mut String) -> fmt::Result {
    let Settings { learner, arms, limits, retention, guards, .. } = settings;
    let goals: usize = settings.advertisers.iter().map(|advertiser| advertiser.goals.len()).sum();
    writeln!(out, "\nALL ADVERTISERS")?;
    line(
        out,
        "learner",
        format_args!(
            "rate {}, smoothing {}, L1 {}, L2 {}; what it saw counts half after {}",
            learner.alpha, learner.beta, learner.l1, learner.l2, learner.half_life
        ),
    )?;
    let slots = 1usize << learner.table_bits;
    line(
        out,
        "weight tables",
        format_args!(
            "about {}: {} × {} slots × {SLOT_BYTES} B",
            words::bytes(goals * slots * SLOT_BYTES),
            words::several(goals, "goal"),
            words::count(slots)
        ),
    )?;
    let (control, holdout) = (percent(arms.control_share), percent(arms.holdout_share));
    line(
        out,
        "arms",
        format_args!("{control} % control (multiplier always 1), {holdout} % holdout; salt {}", arms.salt),
    )?;
    line(
        out,
        "remembers",
        format_args!(
            "{}, {}, {}, {}",
            words::several(limits.profiles_max, "user"),
            words::several(limits.live_impressions_max, "waiting impression"),
            words::several(limits.conversions_max, "conversion"),
            words::several(limits.event_ids_max, "event id")
        ),
    )?;
    line(
        out,
        "per user",
        format_args!(
            "{} of one goal, {}, {}",
            words::several(limits.live_per_user_max, "waiting impression"),
            words::several(limits.interests_max, "product or category interest"),
            words::several(limits.linked_ids_max, "linked id")
        ),
    )?;
    line(
        out,
        "closes",
        format_args!("at most {} a second", words::several(limits.closings_per_tick, "waiting impression")),
    )?;
    line(
        out,
        "accepts",
        format_args!(
            "events {} late and {} early, refunds for {}, tokens for {}",
            retention.lateness, retention.clock_skew, retention.retraction, retention.token
        ),
    )?;
    line(out, "forgets", format_args!("users unseen for {}", retention.profile))?;
    let quarantined = match guards.actions_per_minute_max {
        0 => "nobody for many actions".to_owned(),
        most => format!("users with more than {} a minute", words::several(most as usize, "action")),
    };
    line(out, "quarantines", format_args!("{quarantined}; until quiet for {}", guards.quarantine))
}

fn describe_server(server: &ServerConfig, out: &mut String) -> fmt::Result {
    let workers = match server.workers {
        Workers::PerCore => "one worker a core".to_owned(),
        Workers::Fixed(count) => words::several(count, "worker"),
    };
    let clock = match server.clock {
        Clock::Wall => "wall clock",
        Clock::Events => "clock of the events",
    };
    writeln!(out, "\nSERVICE")?;
    line(out, "listens", format_args!("gRPC on {}, HTTP on {}; {workers}, {clock}", server.grpc, server.http))?;
    if [server.grpc, server.http].iter().any(|address| !address.ip().is_loopback()) {
        line(
            out,
            "",
            "other machines can reach that: `inkling serve` does it with --insecure only, without TLS and keys",
        )?;
    }
    line(
        out,
        "answers",
        format_args!(
            "within {}, or less where the request says so, {} of it for the way back",
            server.deadline, server.deadline_overhead
        ),
    )?;
    line(
        out,
        "connections",
        format_args!(
            "{}, each with {} at a time; {} sent ahead on a call, {} on a connection",
            words::several(server.connections_max, "connection"),
            words::several(server.streams_max, "call"),
            words::bytes(server.stream_window),
            words::bytes(server.connection_window)
        ),
    )?;
    line(
        out,
        "closes",
        format_args!(
            "connections silent for {} that then do not answer within {}; calls in progress {} after a stop",
            server.keepalive, server.keepalive_timeout, server.drain
        ),
    )?;
    line(
        out,
        "messages",
        format_args!(
            "at most {}, {}, {}; {} may wait",
            words::bytes(server.message_bytes_max),
            words::several(server.track_events_max, "event"),
            words::several(server.batch_requests_max, "request"),
            words::several(server.events_queue_max, "event")
        ),
    )?;
    line(
        out,
        "tokens",
        format_args!(
            "for the best {} of a request; {} remembered for {}",
            words::several(server.tokens_max, "target"),
            words::several(server.score_memory_max, "score"),
            server.score_memory_age
        ),
    )
}

fn describe_storage(storage: &StorageConfig, out: &mut String) -> fmt::Result {
    let survives = match storage.durability {
        Durability::Synced => "acknowledged events survive loss of power",
        Durability::Buffered => "a crash takes what was acknowledged in the latest second",
    };
    line(out, "keeps", format_args!("its journal in {}; {survives}", storage.path.display()))?;
    let kept = words::several(storage.snapshots_kept, "snapshot");
    line(out, "snapshots", format_args!("one every {}; the latest {kept} stay", storage.snapshot_interval))
}

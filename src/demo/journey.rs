//! Plays a recorded journey log against the service: events are tracked, opportunities scored, impressions returned
//! with their tokens, conversions learned.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use anyhow::Context;

use super::client::Client;
use crate::ids::Id;
use crate::journey::{Action, Conversion, Discovery, JourneyError, JourneyReader, Line, Opportunity};
use crate::pb::v1;
use crate::pb::v1::event::Body;
use crate::report::progress::Progress;
use crate::settings::Settings;
use crate::units::Span;

/// Lines of each kind that were played.
#[derive(Debug, Default, Clone, Copy)]
pub struct Lines {
    /// Actions tracked.
    pub actions: u64,
    /// Opportunities scored.
    pub opportunities: u64,
    /// Impressions returned.
    pub impressions: u64,
    /// Conversions reported.
    pub conversions: u64,
    /// Impressions of opportunities that the log does not hold.
    pub lost: u64,
    /// Lines that could not be read.
    pub bad: u64,
}

/// Tokens of opportunities whose impression has not come yet; beyond this many, all are dropped, and the impressions
/// they belong to are counted as lost.
const TOKENS_MAX: usize = 1_000_000;
/// Bad lines that are shown; all are counted.
const BAD_LINES_SHOWN: u64 = 5;

/// Reads a log once for the names in it: advertisers, goals, actions and their ladder.
///
/// # Errors
/// When the file cannot be read, or names more than an advertiser may have.
pub fn settings(path: &Path, window: Span) -> anyhow::Result<Settings> {
    let mut discovery = Discovery::default();
    for line in JourneyReader::open(path)? {
        match line {
            Ok((_, line)) => discovery.see(&line).with_context(|| path.display().to_string())?,
            Err(JourneyError::Line { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(discovery.settings(window))
}

/// Plays a log from its first line to its last, and shows each answer to whoever wants to see it.
///
/// # Errors
/// When the service is gone, or the file can be read no further.
pub async fn play(
    path: &Path,
    client: &mut Client,
    mut answered: impl FnMut(&v1::TargetResult),
) -> anyhow::Result<Lines> {
    let mut reader = JourneyReader::open(path)?;
    let mut progress = Progress::new(reader.bytes_total());
    let mut lines = Lines::default();
    let mut tokens = HashMap::new();
    while let Some(line) = reader.next() {
        progress.show(reader.bytes_read());
        match line {
            Ok((_, line)) => play_line(line, client, &mut tokens, &mut lines, &mut answered).await?,
            Err(error @ JourneyError::Line { .. }) => {
                lines.bad += 1;
                if lines.bad <= BAD_LINES_SHOWN {
                    let _ = writeln!(std::io::stderr(), "  {error}");
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    client.flush().await?;
    progress.done();
    Ok(lines)
}

async fn play_line(
    line: Line,
    client: &mut Client,
    tokens: &mut HashMap<Id, String>,
    lines: &mut Lines,
    answered: &mut impl FnMut(&v1::TargetResult),
) -> anyhow::Result<()> {
    let at_ms = line.time().0;
    match line {
        Line::Action(action) => {
            lines.actions += 1;
            client.track(at_ms, Body::Action(wire_action(action))).await
        }
        Line::Opportunity(opportunity) => {
            lines.opportunities += 1;
            let id = opportunity.id.clone();
            let answer = client.score(wire_request(opportunity)).await?;
            answered(&answer);
            if tokens.len() >= TOKENS_MAX {
                tokens.clear();
            }
            tokens.insert(id, answer.token);
            Ok(())
        }
        Line::Impression(impression) => {
            let Some(token) = tokens.remove(&impression.id) else {
                lines.lost += 1;
                return Ok(());
            };
            lines.impressions += 1;
            let of = Some(v1::impression::Of::Token(token));
            let cost = impression.cost.map(|cost| v1::Money { micros: cost.0, currency: String::new() });
            client.track(at_ms, Body::Impression(v1::Impression { of, cost, bid: None })).await
        }
        Line::Conversion(conversion) => {
            lines.conversions += 1;
            client.track(at_ms, Body::Conversion(wire_conversion(conversion))).await
        }
    }
}

fn text(id: Option<Id>) -> String {
    id.map(|id| id.as_str().to_owned()).unwrap_or_default()
}

fn wire_action(action: Action) -> v1::Action {
    v1::Action {
        user: action.user.to_string(),
        advertiser: action.advertiser.to_string(),
        action: action.action.to_string(),
        item: text(action.item),
        category: text(action.category),
        value: action.value.map(|value| v1::Money { micros: value.0, currency: String::new() }),
    }
}

fn wire_request(opportunity: Opportunity) -> v1::ScoreRequest {
    let context = opportunity.context.into_iter();
    let numbers = opportunity.numbers.into_iter();
    v1::ScoreRequest {
        opportunity_id: opportunity.id.to_string(),
        users: vec![opportunity.user.to_string()],
        context: context
            .map(|(name, value)| v1::ContextEntry { name: name.to_string(), value: value.to_string() })
            .collect(),
        numbers: numbers.map(|(name, value)| v1::NumberEntry { name: name.to_string(), value }).collect(),
        segments: opportunity.segments.iter().map(Id::to_string).collect(),
        privacy: v1::PrivacyMode::Full.into(),
        targets: vec![v1::Target {
            advertiser: opportunity.advertiser.to_string(),
            campaign: text(opportunity.campaign),
            item: text(opportunity.item),
            category: text(opportunity.category),
            goals: vec![opportunity.goal.to_string()],
            ..v1::Target::default()
        }],
        at_ms: opportunity.time.0,
        ..v1::ScoreRequest::default()
    }
}

fn wire_conversion(conversion: Conversion) -> v1::Conversion {
    let by = match &conversion.id {
        Some(id) => v1::conversion::By::Opportunity(v1::OpportunityRef {
            advertiser: conversion.advertiser.to_string(),
            opportunity_id: id.to_string(),
            user: conversion.user.to_string(),
            ..v1::OpportunityRef::default()
        }),
        None => v1::conversion::By::User(conversion.user.to_string()),
    };
    v1::Conversion {
        by: Some(by),
        advertiser: conversion.advertiser.to_string(),
        goal: conversion.goal.to_string(),
        item: text(conversion.item),
        category: text(conversion.category),
        value: conversion.value.map(|value| v1::Money { micros: value.0, currency: String::new() }),
        conversion_id: String::new(),
    }
}

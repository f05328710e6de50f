//! Goals as protocol buffers.

use super::fault::{Fault, currency, id, ids, optional_id, optional_text, required, text, texts};
use crate::pb::journal as pb;
use crate::settings::{Baseline, Credit, Goal, Multiplier};
use crate::units::{Micros, Span};

pub(super) fn write(goal: &Goal) -> pb::Goal {
    pb::Goal {
        id: text(&goal.id),
        converting_action: optional_text(&goal.converting_action),
        click_window_ms: goal.click_window.0,
        view_window_ms: goal.view_window.0,
        milestones: texts(&goal.milestones),
        value_micros: goal.value.0,
        currency: goal.currency.to_string(),
        prior_rate: goal.prior_rate,
        half_life_ms: goal.half_life.0,
        credit: write_credit(goal.credit).into(),
        suppress_after_conversion_ms: goal.suppress_after_conversion.map(|span| span.0),
        multiplier: Some(write_multiplier(&goal.multiplier)),
        conversion_delay_min_ms: goal.conversion_delay_min.0,
    }
}

pub(super) fn read(goal: pb::Goal) -> Result<Goal, Fault> {
    let credit = read_credit(goal.credit())?;
    Ok(Goal {
        id: id("id", goal.id)?,
        converting_action: optional_id("converting_action", goal.converting_action)?,
        click_window: Span(goal.click_window_ms),
        view_window: Span(goal.view_window_ms),
        conversion_delay_min: Span(goal.conversion_delay_min_ms),
        milestones: ids("milestones", goal.milestones)?,
        value: Micros(goal.value_micros),
        currency: currency("currency", goal.currency)?,
        prior_rate: goal.prior_rate,
        half_life: Span(goal.half_life_ms),
        credit,
        suppress_after_conversion: goal.suppress_after_conversion_ms.map(Span),
        multiplier: read_multiplier(&required("multiplier", goal.multiplier)?)?,
    })
}

fn write_credit(credit: Credit) -> pb::Credit {
    match credit {
        Credit::LastTouch => pb::Credit::LastTouch,
        Credit::Even => pb::Credit::Even,
    }
}

fn read_credit(credit: pb::Credit) -> Result<Credit, Fault> {
    match credit {
        pb::Credit::Unspecified => Err(Fault::Missing("credit")),
        pb::Credit::LastTouch => Ok(Credit::LastTouch),
        pb::Credit::Even => Ok(Credit::Even),
    }
}

fn write_multiplier(multiplier: &Multiplier) -> pb::Multiplier {
    let baseline = match multiplier.baseline {
        Baseline::Context => pb::Baseline::Context,
        Baseline::Goal => pb::Baseline::Goal,
        Baseline::Request => pb::Baseline::Request,
    };
    pb::Multiplier {
        baseline: baseline.into(),
        exponent: multiplier.exponent,
        min: multiplier.min,
        max: multiplier.max,
        prior_variance: multiplier.prior_variance,
        support: multiplier.support,
        spend_control: multiplier.spend_control,
        exploration: multiplier.exploration,
    }
}

fn read_multiplier(multiplier: &pb::Multiplier) -> Result<Multiplier, Fault> {
    let baseline = match multiplier.baseline() {
        pb::Baseline::Unspecified => return Err(Fault::Missing("baseline")),
        pb::Baseline::Context => Baseline::Context,
        pb::Baseline::Goal => Baseline::Goal,
        pb::Baseline::Request => Baseline::Request,
    };
    Ok(Multiplier {
        baseline,
        exponent: multiplier.exponent,
        min: multiplier.min,
        max: multiplier.max,
        prior_variance: multiplier.prior_variance,
        support: multiplier.support,
        spend_control: multiplier.spend_control,
        exploration: multiplier.exploration,
    })
}

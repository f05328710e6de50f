//! The answer to a bid request, for people.

use crate::math;
use crate::pb::v1;
use crate::pb::v1::readiness::State;
use crate::report::table::percent;

/// One request with its answer: a block for each signal, a line for each refusal.
pub fn block(asked: &v1::ScoreRequest, answer: &v1::ScoreResponse) -> String {
    let mut request = vec![asked.opportunity_id.as_str()];
    request.extend(asked.users.iter().map(String::as_str));
    if let Some(rejection) = &answer.rejection {
        return format!("{}: {}\n", request.join(" · "), refused(rejection));
    }
    if answer.results.is_empty() {
        return format!("{}: nothing was asked, the request has no target\n", request.join(" · "));
    }
    let mut text = String::new();
    for (target, result) in asked.targets.iter().zip(&answer.results) {
        let target = [&target.advertiser, &target.campaign, &target.line_item, &target.item];
        let target = target.into_iter().filter(|part| !part.is_empty()).map(String::as_str);
        let head = request.iter().copied().chain(target).collect::<Vec<_>>().join(" · ");
        if let Some(rejection) = &result.rejection {
            text += &format!("{head}: {}\n", refused(rejection));
        }
        for signal in &result.signals {
            text += &format!("{head} · {}\n", signal.goal);
            text.extend(lines(signal).into_iter().map(|(name, value)| format!("  {name:<12}{value}\n")));
        }
        if let Some(combined) = &result.combined {
            text += &format!("{head} · combined\n");
            text.extend(combined_lines(combined).into_iter().map(|(name, value)| format!("  {name:<12}{value}\n")));
        }
        if !result.token.is_empty() {
            text += &format!("  {:<12}{}\n", "token", result.token);
        }
    }
    text
}

fn refused(rejection: &v1::Rejection) -> String {
    format!("refused: {}: {}", rejection.code, rejection.message)
}

/// What a signal says, by name.
fn lines(signal: &v1::Signal) -> Vec<(&'static str, String)> {
    let suppress = suppress(signal.suppress, signal.suppress_reason());
    let mut lines = vec![
        ("multiplier", format!("× {:.3}{}{suppress}", signal.multiplier, neutral(signal.neutral()))),
        (
            "p",
            format!(
                "{} ({} … {}), base bid pays for {}",
                percent(signal.p_conversion),
                percent(signal.p_low),
                percent(signal.p_high),
                percent(signal.baseline)
            ),
        ),
        ("worth", format!("{:.6} an impression, in the goal's currency", signal.expected_value_micros as f64 / 1e6)),
        ("readiness", readiness(signal.readiness.unwrap_or_default())),
        ("arm", arm(signal.arm()).to_owned()),
    ];
    // A service that does not state the factor has none.
    if signal.spend_factor != 0.0 && signal.spend_factor != 1.0 {
        let words = "in the multiplier, so that all of them together spend what would be spent without";
        lines.push(("spend", format!("× {:.3} {words}", signal.spend_factor)));
    }
    lines.extend(signal.explored.map(|explored| ("explored", exploration(explored))));
    if !signal.stage.is_empty() {
        lines.push(("stage", signal.stage.clone()));
    }
    if !signal.segments.is_empty() {
        lines.push(("segments", signal.segments.join(", ")));
    }
    for (place, reason) in signal.reasons.iter().enumerate() {
        let words = if reason.words.is_empty() { &reason.code } else { &reason.words };
        let flag = if reason.collided { " (shares its weight with another)" } else { "" };
        lines.push((if place == 0 { "reasons" } else { "" }, format!("{words}{flag}")));
    }
    lines
}

/// What a combined signal says, by name.
fn combined_lines(combined: &v1::Combined) -> Vec<(&'static str, String)> {
    let suppress = suppress(combined.suppress, combined.suppress_reason());
    let part = |part: &v1::CombinedPart| format!("{} × {} {:+.3}", part.weight, part.goal, part.gain);
    let parts: Vec<String> = combined.parts.iter().map(part).collect();
    let v1::Combined { expected, low, high, baseline, .. } = combined;
    let mut lines = vec![
        ("multiplier", format!("× {:.3}{}{suppress}", combined.multiplier, neutral(combined.neutral()))),
        ("worth", format!("{expected:.4} ({low:.4} … {high:.4}) conversions, base bid pays for {baseline:.4}")),
        ("adds", parts.join(", ")),
    ];
    lines.extend(combined.explored.map(|explored| ("explored", exploration(explored))));
    lines
}

/// What the multiplier would be in the mean, how far it is drawn from that, and how rarely.
fn exploration(explored: v1::Exploration) -> String {
    let v1::Exploration { share, ln_multiplier_mean, ln_multiplier_deviation } = explored;
    let mean = math::exp(ln_multiplier_mean + ln_multiplier_deviation * ln_multiplier_deviation / 2.0);
    let share = percent(share);
    format!("drawn around × {mean:.3}, as {share} are; deviation of its logarithm {ln_multiplier_deviation:.3}")
}

fn suppress(is_suppressed: bool, reason: v1::SuppressReason) -> &'static str {
    match reason {
        v1::SuppressReason::JustConverted => ", do not bid: the user has just converted",
        v1::SuppressReason::Holdout => ", do not bid: the user is held out",
        v1::SuppressReason::Unspecified if is_suppressed => ", do not bid",
        v1::SuppressReason::Unspecified => "",
    }
}

fn neutral(reason: v1::NeutralReason) -> &'static str {
    match reason {
        v1::NeutralReason::Unspecified => "",
        v1::NeutralReason::NoConsent => ", neutral: the privacy mode allows no scoring",
        v1::NeutralReason::ControlArm => ", neutral: the user is in the control arm",
        v1::NeutralReason::Support => ", neutral: too few users have come far enough to learn from",
        v1::NeutralReason::NoBaseP => ", neutral: the request states no base_p to compare with",
        v1::NeutralReason::Quarantined => ", neutral: the user acts as no person does",
        v1::NeutralReason::Deadline => ", neutral: there was no time left",
        v1::NeutralReason::Overload => ", neutral: the service has too much to do",
    }
}

fn readiness(readiness: v1::Readiness) -> String {
    match readiness.state() {
        State::Unspecified => "not stated".to_owned(),
        State::Cold => "cold: nobody has reached the goal or a milestone below it".to_owned(),
        State::Warming => format!("warming: {} of {} users", readiness.users, readiness.needed),
        State::Ready => "ready".to_owned(),
        State::Degraded => "degraded: the answer may be stale".to_owned(),
    }
}

fn arm(arm: v1::Arm) -> &'static str {
    match arm {
        v1::Arm::Unspecified => "not stated",
        v1::Arm::Treated => "treated: the multiplier is meant",
        v1::Arm::Control => "control: always × 1",
        v1::Arm::Holdout => "holdout: no ad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reads_like_a_card() {
        let asked = v1::ScoreRequest {
            opportunity_id: "o1".into(),
            users: vec!["u1".into()],
            targets: vec![
                v1::Target { advertiser: "acme".into(), item: "sku-7".into(), ..Default::default() },
                v1::Target { advertiser: "nobody".into(), ..Default::default() },
            ],
            ..Default::default()
        };
        let reason = |words: &str, collided| v1::Reason { words: words.into(), collided, ..Default::default() };
        let signal = v1::Signal {
            goal: "purchase".into(),
            multiplier: 1.0,
            p_conversion: 0.01,
            p_low: 0.001,
            p_high: 0.1,
            baseline: 0.02,
            expected_value_micros: 400_000,
            stage: "add_to_cart".into(),
            segments: vec!["cart_abandoners".into(), "p/1".into()],
            readiness: Some(v1::Readiness { state: State::Warming.into(), users: 1, needed: 25 }),
            neutral: v1::NeutralReason::Support.into(),
            arm: v1::Arm::Treated.into(),
            spend_factor: 0.95,
            explored: Some(v1::Exploration { share: 0.01, ln_multiplier_mean: -0.125, ln_multiplier_deviation: 0.5 }),
            reasons: vec![reason("everybody's rate: ×1.00", false), reason("hour 5 UTC: ×1.00", true)],
            ..Default::default()
        };
        let rejection = Some(v1::Rejection { code: "unknown_advertiser".into(), message: "who?".into() });
        let part = |goal: &str, weight, gain| v1::CombinedPart { goal: goal.into(), weight, gain };
        let combined = Some(v1::Combined {
            multiplier: 1.25,
            suppress: true,
            suppress_reason: v1::SuppressReason::Holdout.into(),
            expected: 0.03,
            low: 0.01,
            high: 0.0612,
            baseline: 0.02,
            parts: vec![part("purchase", 1.0, 0.75), part("sign_up", 0.2, -0.25)],
            ..Default::default()
        });
        let answered = v1::TargetResult { signals: vec![signal], combined, token: "AU".into(), ..Default::default() };
        let results = vec![answered, v1::TargetResult { rejection: rejection.clone(), ..Default::default() }];
        let expected = "\
o1 · u1 · acme · sku-7 · purchase
  multiplier  × 1.000, neutral: too few users have come far enough to learn from
  p           1.00 % (0.10 % … 10.0 %), base bid pays for 2.00 %
  worth       0.400000 an impression, in the goal's currency
  readiness   warming: 1 of 25 users
  arm         treated: the multiplier is meant
  spend       × 0.950 in the multiplier, so that all of them together spend what would be spent without
  explored    drawn around × 1.000, as 1.00 % are; deviation of its logarithm 0.500
  stage       add_to_cart
  segments    cart_abandoners, p/1
  reasons     everybody's rate: ×1.00
              hour 5 UTC: ×1.00 (shares its weight with another)
o1 · u1 · acme · sku-7 · combined
  multiplier  × 1.250, do not bid: the user is held out
  worth       0.0300 (0.0100 … 0.0612) conversions, base bid pays for 0.0200
  adds        1 × purchase +0.750, 0.2 × sign_up -0.250
  token       AU
o1 · u1 · nobody: refused: unknown_advertiser: who?
";
        assert_eq!(block(&asked, &v1::ScoreResponse { results, ..Default::default() }), expected);
        let whole = v1::ScoreResponse { rejection, ..Default::default() };
        assert_eq!(block(&asked, &whole), "o1 · u1: refused: unknown_advertiser: who?\n");
        let none = "o1 · u1: nothing was asked, the request has no target\n";
        assert_eq!(block(&asked, &v1::ScoreResponse::default()), none);
    }
}

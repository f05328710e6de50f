//! A small share of opportunities gets a multiplier that is drawn: which, around what, how far, and never elsewhere.

use inkling::event::Event;
use inkling::exposure::Arm;
use inkling::math;
use inkling::opportunity::{PrivacyMode, ScoreRequest};
use inkling::settings::{Arms, EXPLORATION_MAX, Multiplier, Settings};
use inkling::signal::{NEUTRAL, Neutral, Scored, Signal, Suppression};

use super::shop::*;

const OPPORTUNITIES: usize = 100_000;
/// People of the training who are asked for.
const PEOPLE: u64 = 40;

fn exploring(share: f64) -> Settings {
    let mut settings = settings();
    let multiplier = &mut settings.advertisers[0].goals[0].multiplier;
    (multiplier.min, multiplier.max, multiplier.exploration) = (0.01, 10.0, share);
    settings
}

/// Trained, then with other settings.
fn shop(settings: Settings) -> Shop {
    let mut shop = trained();
    shop.apply(Event::Configured(Box::new(settings)));
    shop
}

/// The same person's opportunities have other names.
fn requests() -> impl Iterator<Item = ScoreRequest> {
    let mut naming = Shop::new();
    (0..OPPORTUNITIES as u64).map(move |number| ScoreRequest { reasons_max: 0, ..naming.request(1 + number % PEOPLE) })
}

/// An answer as it would be, had nothing been drawn.
fn unexplored(mut scored: Scored, multiplier: f64) -> Scored {
    let signal = &mut scored.signals[0];
    (signal.multiplier, signal.treated_multiplier, signal.explored) = (multiplier, multiplier, None);
    let score = &mut scored.exposure.as_mut().unwrap().goals[0];
    (score.multiplier, score.is_explored) = (multiplier as f32, false);
    scored
}

/// Standard deviation of ln ρ after data, by the width of the probability's interval: baseline, goal; exponent, 1.
fn posterior(signal: &Signal) -> f64 {
    let (low, high) = signal.interval;
    // 95 %, and as much wider as measured.
    let of_logit = (math::logit(high) - math::logit(low)) / (2.0 * 1.96 * 1.75);
    let of_ratio = (1.0 - signal.p_conversion) * of_logit;
    let prior = Multiplier::default().prior_variance;
    (of_ratio * of_ratio * prior / (prior + of_ratio * of_ratio)).sqrt()
}

#[test]
fn the_share_is_drawn_around_what_is_meant_and_all_else_stays() {
    let (off, on) = (shop(exploring(0.0)), shop(exploring(EXPLORATION_MAX)));
    let (mut drawn, mut sum, mut squares) = (0, 0.0, 0.0);
    for (number, request) in requests().enumerate() {
        let answer = on.answer(&request);
        let explored = answer.signals[0].explored;
        let score = answer.exposure.as_ref().unwrap().goals[0];
        assert_eq!(score.is_explored, explored.is_some(), "its token says so");
        let Some(explored) = explored else {
            assert!(number % 50 != 0 || answer == off.answer(&request), "{answer:?}");
            continue;
        };
        assert_eq!(answer, on.answer(&request), "who asks again gets the same");
        let meant = off.answer(&request);
        let (multiplier, told) = (answer.signals[0].multiplier, explored);
        let deviation = told.ln_deviation;
        let mean = math::exp(told.ln_mean + deviation * deviation / 2.0);
        assert!((mean / meant.signals[0].multiplier - 1.0).abs() < 1e-12, "{answer:?}");
        assert_eq!(told.share, EXPLORATION_MAX);
        let expected = posterior(&meant.signals[0]);
        assert!((deviation / expected - 1.0).abs() < 1e-6, "{deviation}, not {expected}");
        assert_eq!(unexplored(answer, meant.signals[0].multiplier), meant);
        let normal = (math::ln(multiplier) - told.ln_mean) / deviation;
        (drawn, sum, squares) = (drawn + 1, sum + normal, squares + normal * normal);
    }
    let (count, opportunities) = (f64::from(drawn), OPPORTUNITIES as f64);
    let expected = EXPLORATION_MAX * opportunities;
    // Four standard errors each. No multiplier reached the bounds: then these would be others.
    assert!((count - expected).abs() < 4.0 * (expected * (1.0 - EXPLORATION_MAX)).sqrt(), "{count}");
    assert!((sum / count).abs() < 4.0 / count.sqrt(), "{}", sum / count);
    assert!((squares / count - 1.0).abs() < 4.0 * (2.0 / count).sqrt(), "{}", squares / count);
}

#[test]
fn never_in_another_arm_without_consent_or_before_the_goal_is_ready() {
    let settings = exploring(EXPLORATION_MAX);
    let open = shop(exploring(0.0));
    let arms = |control_share, holdout_share| Settings {
        arms: Arms { control_share, holdout_share, ..Arms::default() },
        ..settings.clone()
    };
    let (control, holdout, treated) = (shop(arms(1.0, 0.0)), shop(arms(0.0, 1.0)), shop(settings.clone()));
    let cold = Shop::with(settings.clone());
    let mut hasty = shop(settings.clone());
    (0..=settings.guards.actions_per_minute_max).for_each(|_| drop(hasty.act(1, "view_item")));
    let (mut would_be, mut explored) = (0, 0);
    for request in requests().take(10_000) {
        let is_plain = |scored: &Scored| {
            scored.signals[0].explored.is_none()
                && scored.exposure.as_ref().is_none_or(|exposure| !exposure.goals[0].is_explored)
        };
        let meant = open.answer(&request).signals[0].multiplier;
        let known = treated.answer(&request);
        explored += u32::from(!is_plain(&known));

        let of_control = control.answer(&request);
        let signal = &of_control.signals[0];
        assert_eq!((signal.multiplier, signal.neutral), (NEUTRAL, Some(Neutral::ControlArm)));
        assert!(is_plain(&of_control), "{of_control:?}");
        assert_eq!(signal.treated_multiplier, known.signals[0].multiplier, "what a treated user would have got");
        would_be += u32::from(signal.treated_multiplier != meant);

        let held = holdout.answer(&request);
        assert_eq!((held.signals[0].arm, held.signals[0].suppress), (Arm::Holdout, Some(Suppression::Holdout)));
        assert!(is_plain(&held) && held.signals[0].multiplier == meant, "{held:?}");

        for privacy in [PrivacyMode::Context, PrivacyMode::Neutral] {
            let asked = ScoreRequest { privacy, ..request.clone() };
            assert!(is_plain(&treated.answer(&asked)) && treated.answer(&asked) == open.answer(&asked));
        }
        let nobody = ScoreRequest { users: Vec::new(), ..request.clone() };
        assert!(is_plain(&treated.answer(&nobody)) && treated.answer(&nobody) == open.answer(&nobody));
        let early = cold.answer(&request);
        assert!(is_plain(&early) && early.signals[0].multiplier == NEUTRAL, "{early:?}");
        let bot = hasty.answer(&ScoreRequest { users: vec![inkling::ids::UserKey(1)], ..request });
        assert!(is_plain(&bot) && bot.signals[0].neutral == Some(Neutral::Quarantined), "{bot:?}");
    }
    assert!(explored == would_be && explored > 150, "as often in control, unseen: {explored} {would_be}");
}

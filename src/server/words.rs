//! Reasons as fixed codes for programs and as a trader's words for people.

use crate::action::standard;
use crate::engine::Catalog;
use crate::expression::{READY_MADE, write};
use crate::ids::{ActionCode, AdvertiserCode, Id, SegmentCode};
use crate::math;
use crate::opportunity::ScoreRequest;
use crate::signal::{Cause, Reason, Scope};

/// Recency buckets as codes and as words, by the bounds of [`RECENCY_BOUNDS_S`](crate::signal::RECENCY_BOUNDS_S).
const RECENCIES: [(&str, &str); 10] = [
    ("<10s", "within 10 s"),
    ("<1m", "within 1 min"),
    ("<5m", "within 5 min"),
    ("<30m", "within 30 min"),
    ("<2h", "within 2 h"),
    ("<6h", "within 6 h"),
    ("<1d", "within a day"),
    ("<3d", "within 3 days"),
    ("<10d", "within 10 days"),
    (">10d", "more than 10 days ago"),
];

/// The bucket of all counts from 127 on.
const LAST_COUNT_BUCKET: u8 = 7;

/// A cause as a fixed code with its parts after colons.
pub fn code(catalog: &Catalog, advertiser: AdvertiserCode, request: &ScoreRequest, cause: Cause) -> String {
    let action = |code| action_name(catalog, advertiser, code);
    let recency = |bucket| recency(bucket).0;
    match cause {
        Cause::Bias => "bias".to_owned(),
        Cause::ActionRecency { action: code, count, recency: bucket } => {
            format!("action_recency:{}:{}+:{}", action(code), least(count), recency(bucket))
        }
        Cause::ActionCount { action: code, count } => format!("action_count:{}:{}+", action(code), least(count)),
        Cause::InterestCount { scope, action: code, count } => {
            format!("{}_count:{}:{}+", scope_name(scope), action(code), least(count))
        }
        Cause::InterestLast { scope, recency: bucket } => format!("{}_last:{}", scope_name(scope), recency(bucket)),
        Cause::InterestStreak { scope, count } => format!("{}_streak:{}+", scope_name(scope), least(count)),
        Cause::InterestShown { scope, count } => format!("{}_shown:{}+", scope_name(scope), least(count)),
        Cause::InterestLastShown { scope, recency: bucket } => {
            format!("{}_last_shown:{}", scope_name(scope), recency(bucket))
        }
        Cause::NoAffinity { scope } => format!("no_affinity:{}", scope_name(scope)),
        Cause::Path(path) => format!("path:{}", steps(catalog, advertiser, path, &action).join(">")),
        Cause::Stage { action: code, recency: bucket } => format!("stage:{}:{}", action(code), recency(bucket)),
        Cause::NoHistory => "no_history".to_owned(),
        Cause::Sessions(count) => format!("sessions:{}+", least(count)),
        Cause::SessionLength(count) => format!("session_length:{}+", least(count)),
        Cause::LastSeen(bucket) => format!("last_seen:{}", recency(bucket)),
        Cause::Exposures(count) => format!("exposures:{}+", least(count)),
        Cause::LastShown(bucket) => format!("last_shown:{}", recency(bucket)),
        Cause::Conversions(count) => format!("conversions:{}+", least(count)),
        Cause::LastConverted(bucket) => format!("last_converted:{}", recency(bucket)),
        Cause::Segment(code) => format!("segment:{}", text(catalog.segment_name(advertiser, code))),
        Cause::Context(place) => match request.context.get(usize::from(place)) {
            Some((name, value)) => format!("context:{name}:{value}"),
            None => "context".to_owned(),
        },
        Cause::Number(place, bucket) => match request.numbers.get(usize::from(place)) {
            Some((name, _)) => format!("number:{name}:{bucket}"),
            None => "number".to_owned(),
        },
        Cause::Item => "item".to_owned(),
        Cause::Category => "category".to_owned(),
        Cause::Hour(hour) => format!("hour:{hour}"),
        Cause::InterestAndNumber { scope, place } => {
            format!("{}_latest_and_number:{}", scope_name(scope), number_name(request, place))
        }
        Cause::LatestAndNumber(place) => format!("latest_and_number:{}", number_name(request, place)),
        Cause::LatestAndInterest(scope) => format!("latest_and_{}_latest", scope_name(scope)),
    }
}

/// A reason in words: what was seen, and by how much it multiplies the odds.
pub fn reason(catalog: &Catalog, advertiser: AdvertiserCode, request: &ScoreRequest, reason: &Reason) -> String {
    let what = cause(catalog, advertiser, request, reason.cause);
    let factor = math::exp(reason.contribution);
    let shared = if reason.collided { " (a weight shared with another feature)" } else { "" };
    format!("{what}: ×{factor:.2}{shared}")
}

fn cause(catalog: &Catalog, advertiser: AdvertiserCode, request: &ScoreRequest, cause: Cause) -> String {
    let did = |code| action(catalog, advertiser, code);
    let ago = |bucket| recency(bucket).1;
    match cause {
        Cause::Bias => "everybody's rate".to_owned(),
        Cause::ActionRecency { action, count, recency } => {
            format!("{} {}, {}", did(action), ago(recency), often(count))
        }
        Cause::ActionCount { action, count } => format!("{} {}", did(action), often(count)),
        Cause::InterestCount { scope, action, count } => {
            format!("{}: {} {}", scope_words(scope), did(action), often(count))
        }
        Cause::InterestLast { scope, recency } => format!("{} last touched {}", scope_words(scope), ago(recency)),
        Cause::InterestStreak { scope, count } => {
            format!("{} touched {} without a pause", scope_words(scope), often(count))
        }
        Cause::InterestShown { scope, count: 0 } => format!("no ad of {} since it was touched", scope_words(scope)),
        Cause::InterestShown { scope, count } => format!("ad of {} shown {}", scope_words(scope), often(count)),
        Cause::InterestLastShown { scope, recency } => {
            format!("ad of {} last shown {}", scope_words(scope), ago(recency))
        }
        Cause::NoAffinity { scope } => format!("{} never touched", scope_words(scope)),
        Cause::Path(path) => steps(catalog, advertiser, path, &did).join(", then "),
        Cause::Stage { action, recency } => format!("furthest step: {} {}", did(action), ago(recency)),
        Cause::NoHistory => "no history with this advertiser".to_owned(),
        Cause::Sessions(count) => format!("came {}", often(count)),
        Cause::SessionLength(count) => format!("{} in this session", actions(count)),
        Cause::LastSeen(bucket) => format!("last seen {}", ago(bucket)),
        Cause::Exposures(0) => "no ad shown yet".to_owned(),
        Cause::Exposures(count) => format!("ad shown {}", often(count)),
        Cause::LastShown(bucket) => format!("ad last shown {}", ago(bucket)),
        Cause::Conversions(0) => "never converted".to_owned(),
        Cause::Conversions(count) => format!("converted {}", often(count)),
        Cause::LastConverted(bucket) => format!("last converted {}", ago(bucket)),
        Cause::Segment(code) => format!("in segment {}", text(catalog.segment_name(advertiser, code))),
        Cause::Context(place) => match request.context.get(usize::from(place)) {
            Some((name, value)) => format!("{name} is {value}"),
            None => "context of the request".to_owned(),
        },
        Cause::Number(place, _) => match request.numbers.get(usize::from(place)) {
            Some((name, value)) => format!("{name} around {value}"),
            None => "a number of the request".to_owned(),
        },
        Cause::Item => "this product".to_owned(),
        Cause::Category => "this category".to_owned(),
        Cause::Hour(hour) => format!("hour {hour} UTC"),
        Cause::InterestAndNumber { scope, place } => {
            format!("what was done last with {}, at this {}", scope_words(scope), number_name(request, place))
        }
        Cause::LatestAndNumber(place) => format!("what was done last, at this {}", number_name(request, place)),
        Cause::LatestAndInterest(scope) => format!("what was done last, and last with {}", scope_words(scope)),
    }
}

fn number_name(request: &ScoreRequest, place: u8) -> &str {
    request.numbers.get(usize::from(place)).map_or("number", |(name, _)| name.as_str())
}

/// An action as a trader calls it; an advertiser's own by its name.
pub fn action(catalog: &Catalog, advertiser: AdvertiserCode, code: ActionCode) -> String {
    let name = text(catalog.action_name(advertiser, code));
    standard(name).map_or_else(|| name.replace('_', " "), |action| action.words.to_owned())
}

/// Who is in a segment: a ready-made one's meaning, another rule's expression; empty for external ones.
pub fn segment(catalog: &Catalog, advertiser: AdvertiserCode, code: SegmentCode) -> String {
    let Some(rule) = catalog.rule(advertiser, code) else { return String::new() };
    let expression = write(rule);
    let made = READY_MADE.iter().find(|made| made.expression == expression);
    made.map_or(expression, |made| made.words.to_owned())
}

fn action_name(catalog: &Catalog, advertiser: AdvertiserCode, code: ActionCode) -> String {
    text(catalog.action_name(advertiser, code)).to_owned()
}

fn text(name: Option<&Id>) -> &str {
    name.map_or("", Id::as_str)
}

/// The steps of a path, first one first.
fn steps(
    catalog: &Catalog,
    advertiser: AdvertiserCode,
    path: [u8; 3],
    name: &dyn Fn(ActionCode) -> String,
) -> Vec<String> {
    let known = |code: &ActionCode| code.0 > 0 && catalog.action_name(advertiser, *code).is_some();
    path.into_iter().map(ActionCode).filter(known).map(name).collect()
}

fn recency(bucket: u8) -> (&'static str, &'static str) {
    RECENCIES[usize::from(bucket).min(RECENCIES.len() - 1)]
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Item => "item",
        Scope::Category => "category",
    }
}

fn scope_words(scope: Scope) -> &'static str {
    match scope {
        Scope::Item => "this product",
        Scope::Category => "this category",
    }
}

/// Smallest count of a bucket b = ⌊log₂(1 + count)⌋: 2^b − 1.
fn least(bucket: u8) -> u32 {
    (1 << bucket.min(LAST_COUNT_BUCKET)) - 1
}

/// A count's bucket in words; the last bucket is open.
fn from_to(bucket: u8) -> String {
    if bucket < LAST_COUNT_BUCKET {
        format!("{} to {}", least(bucket), 2 * least(bucket))
    } else {
        format!("{} or more", least(LAST_COUNT_BUCKET))
    }
}

fn often(bucket: u8) -> String {
    match bucket {
        0 => "once".to_owned(),
        1 => "once or twice".to_owned(),
        bucket => format!("{} times", from_to(bucket)),
    }
}

fn actions(bucket: u8) -> String {
    match bucket {
        0 => "no action".to_owned(),
        bucket => format!("{} actions", from_to(bucket)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Applied, Engine};
    use crate::event::{Event, Record};
    use crate::expression::{parse, ready_made};
    use crate::opportunity::PrivacyMode;
    use crate::settings::{Advertiser, ExternalSegment, RuleSegment, Settings};
    use crate::signal::RECENCY_BOUNDS_S;
    use crate::units::Timestamp;

    fn request() -> ScoreRequest {
        ScoreRequest {
            opportunity: Id::literal("o"),
            users: Vec::new(),
            context: vec![(Id::literal("device"), Id::literal("phone"))],
            numbers: vec![(Id::literal("price"), 19.5)],
            segments: Vec::new(),
            privacy: PrivacyMode::Full,
            targets: Vec::new(),
            reasons_max: 64,
        }
    }

    #[test]
    fn every_recency_bucket_has_its_words() {
        assert_eq!(RECENCIES.len(), RECENCY_BOUNDS_S.len() + 1);
        let seconds = [10, 60, 300, 1_800, 7_200, 21_600, 86_400, 259_200, 864_000];
        assert_eq!(RECENCY_BOUNDS_S, seconds, "the words above say these bounds");
    }

    #[test]
    fn counts_read_as_people_say_them() {
        let words: Vec<String> = (0..8).map(often).collect();
        assert_eq!(words[..4], ["once", "once or twice", "3 to 6 times", "7 to 14 times"]);
        assert_eq!(words[7], "127 or more times");
        assert_eq!([0, 1].map(actions), ["no action", "1 to 2 actions"]);
        assert_eq!(often(255), words[7]);
    }

    #[test]
    fn causes_of_the_request_repeat_its_own_names() {
        let (catalog, nobody, request) = (Catalog::default(), AdvertiserCode(0), request());
        let cases = [
            (Cause::Context(0), "context:device:phone", "device is phone: ×2.00"),
            (Cause::Context(9), "context", "context of the request: ×2.00"),
            (Cause::Number(0, -3), "number:price:-3", "price around 19.5: ×2.00"),
            (Cause::LastSeen(4), "last_seen:<2h", "last seen within 2 h: ×2.00"),
            (Cause::LastSeen(200), "last_seen:>10d", "last seen more than 10 days ago: ×2.00"),
            (Cause::Exposures(0), "exposures:0+", "no ad shown yet: ×2.00"),
            (Cause::Conversions(1), "conversions:1+", "converted once or twice: ×2.00"),
            (Cause::Hour(23), "hour:23", "hour 23 UTC: ×2.00"),
        ];
        for (cause, as_code, as_words) in cases {
            let one = Reason { cause, contribution: std::f64::consts::LN_2, collided: false };
            assert_eq!(code(&catalog, nobody, &request, cause), as_code);
            assert_eq!(reason(&catalog, nobody, &request, &one), as_words);
        }
    }

    #[test]
    fn segments_say_who_is_in_them() {
        let mut acme = Advertiser::new(Id::literal("acme"));
        let own = parse("sessions>=3 and(stage<add_to_cart)", &acme.actions).unwrap();
        acme.segments = vec![
            RuleSegment { id: Id::literal("mine"), ..ready_made("cart_abandoners").unwrap().segment(1.0) },
            RuleSegment { id: Id::literal("recent_buyers"), rule: own, weight: 1.0 },
        ];
        acme.externals = vec![ExternalSegment { id: Id::literal("p/1"), weight: 1.0 }];
        let mut engine = Engine::new();
        let settings = Settings { advertisers: vec![acme], ..Settings::default() };
        let event = Event::Configured(Box::new(settings));
        let at = Timestamp(1_700_000_000_000);
        assert_eq!(engine.apply(&Record { at, occurred_at: at, event_id: None, event }), Applied::Done);
        let catalog = engine.catalog();
        let acme = catalog.advertiser("acme").unwrap();
        let words: Vec<String> = catalog.segments(acme).into_iter().map(|code| segment(catalog, acme, code)).collect();
        assert_eq!(
            words,
            ["added to cart within 7 days and did not purchase", "sessions >= 3 and stage < add_to_cart", ""],
            "by what the rule says, not by its name"
        );
    }
}

//! Reasons as fixed codes for programs and as a trader's words for people.

use super::figures::{ago, often, often_last};
use crate::action::standard;
use crate::engine::Catalog;
use crate::expression::{READY_MADE, write};
use crate::ids::{ActionCode, AdvertiserCode, Id, SegmentCode};
use crate::math;
use crate::opportunity::ScoreRequest;
use crate::signal::{About, Reason, Scope, Touched};
use crate::wording::several;

/// What a reason is about, as a fixed code with its parts after colons.
pub fn code(catalog: &Catalog, advertiser: AdvertiserCode, request: &ScoreRequest, about: &About) -> String {
    let name = |code: &ActionCode| text(catalog.action_name(advertiser, *code));
    match about {
        About::Everybody => "bias".to_owned(),
        About::Action { action, .. } => format!("action:{}", name(action)),
        About::Interest { scope, .. } => format!("interest:{}", scope_name(*scope)),
        About::Path(path) => format!("path:{}", steps(*path).map(|step| name(&step)).collect::<Vec<_>>().join(">")),
        About::Stage { action, .. } => format!("stage:{}", name(action)),
        About::NoHistory => "no_history".to_owned(),
        About::Visits { .. } => "visits".to_owned(),
        About::Shown { .. } => "shown".to_owned(),
        About::Converted { .. } => "converted".to_owned(),
        About::Segment(code) => format!("segment:{}", text(catalog.segment_name(advertiser, *code))),
        About::Context(place) => match request.context.get(usize::from(*place)) {
            Some((name, value)) => format!("context:{name}:{value}"),
            None => "context".to_owned(),
        },
        About::Number(place) => format!("number:{}", number_name(request, *place)),
        About::NumberForPerson { place, .. } => format!("number_for_person:{}", number_name(request, *place)),
        About::BaseP(_) => "base_p".to_owned(),
        About::Item => "item".to_owned(),
        About::Category => "category".to_owned(),
        About::Hour(hour) => format!("hour:{hour}"),
    }
}

/// A reason in words: what was seen, and by how much it multiplies the odds.
pub fn reason(catalog: &Catalog, advertiser: AdvertiserCode, request: &ScoreRequest, reason: &Reason) -> String {
    let what = about(catalog, advertiser, request, &reason.about);
    let factor = math::exp(reason.contribution);
    let shared = if reason.collided { " (a weight shared with another feature)" } else { "" };
    format!("{what}: ×{factor:.2}{shared}")
}

fn about(catalog: &Catalog, advertiser: AdvertiserCode, request: &ScoreRequest, about: &About) -> String {
    let did = |code: &ActionCode| action(catalog, advertiser, *code);
    match about {
        About::Everybody => "everybody's rate".to_owned(),
        About::Action { action, times, age_s } => {
            format!("{} {}, {}", did(action), ago(*age_s), often((times.round() as u32).max(1)))
        }
        About::Interest { scope, touched: None } => format!("never touched {}", scope_words(*scope)),
        About::Interest { scope, touched: Some(touched) } => interest(*scope, touched, &did),
        About::Path(path) => {
            let steps: Vec<String> = steps(*path).map(|step| did(&step)).collect();
            format!("last {}: {}", if steps.len() == 1 { "act" } else { "acts" }, steps.join(", then "))
        }
        About::Stage { action, age_s } => format!("furthest step: {}, {}", did(action), ago(*age_s)),
        About::NoHistory => "no history with this advertiser".to_owned(),
        About::Visits { sessions, actions, age_s } => {
            let in_it = if *sessions == 1 { "in it" } else { "in the latest" };
            let (visits, actions) = (several((*sessions).into(), "visit"), several((*actions).into(), "action"));
            format!("{visits}, last seen {}, {actions} {in_it}", ago(*age_s))
        }
        About::Shown { times: 0, .. } => "no ad shown yet".to_owned(),
        About::Shown { times, age_s } => format!("ad shown {}", often_last(*times, *age_s)),
        About::Converted { times: 0, .. } => "never converted".to_owned(),
        About::Converted { times, age_s } => format!("converted {}", often_last(*times, *age_s)),
        About::Segment(code) => format!("in segment {}", text(catalog.segment_name(advertiser, *code))),
        About::Context(place) => match request.context.get(usize::from(*place)) {
            Some((name, value)) => format!("{name} is {value}"),
            None => "context of the request".to_owned(),
        },
        About::Number(place) => match request.numbers.get(usize::from(*place)) {
            Some((name, value)) => format!("{name} is {value}"),
            None => "a number of the request".to_owned(),
        },
        About::NumberForPerson { place, latest } => {
            let value = request.numbers.get(usize::from(*place)).map(|(_, value)| format!(" {value}"));
            let person = match latest {
                Some((action, age_s)) => format!("someone who {} {}", did(action), ago(*age_s)),
                None => "someone without a history".to_owned(),
            };
            format!("{}{} for {person}", number_name(request, *place), value.unwrap_or_default())
        }
        About::BaseP(p) => format!("the base bid pays for {:.2} %", 100.0 * p),
        About::Item => "this product".to_owned(),
        About::Category => "this category".to_owned(),
        About::Hour(hour) => format!("hour {hour} UTC"),
    }
}

/// What was done with an item or a category, and what was shown of it.
fn interest(scope: Scope, touched: &Touched, did: &dyn Fn(&ActionCode) -> String) -> String {
    let acts: Vec<String> =
        touched.acts.iter().map(|(action, times)| format!("{} {}", did(action), often((*times).into()))).collect();
    let streak = match touched.streak {
        0 | 1 => String::new(),
        streak => format!(", {} without a pause", several(streak.into(), "act")),
    };
    let shown = match touched.shown {
        0 => "no ad of it since".to_owned(),
        times => format!("ad of it shown {}", often_last(times.into(), touched.shown_age_s)),
    };
    format!("{}: {}, last {}{streak}; {shown}", scope_words(scope), acts.join(", "), ago(touched.age_s))
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

fn text(name: Option<&Id>) -> &str {
    name.map_or("", Id::as_str)
}

/// The steps of a path, first one first.
fn steps(path: [u8; 3]) -> impl Iterator<Item = ActionCode> {
    path.into_iter().filter(|code| *code > 0).map(ActionCode)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Applied, Engine};
    use crate::event::{Event, Record};
    use crate::expression::{parse, ready_made};
    use crate::opportunity::PrivacyMode;
    use crate::settings::{Advertiser, ExternalSegment, RuleSegment, Settings};
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
    fn reasons_repeat_the_names_of_the_request() {
        let (catalog, nobody, request) = (Catalog::default(), AdvertiserCode(0), request());
        let cases = [
            (About::Context(0), "context:device:phone", "device is phone: ×2.00"),
            (About::Context(9), "context", "context of the request: ×2.00"),
            (About::Number(0), "number:price", "price is 19.5: ×2.00"),
            (About::Number(9), "number:number", "a number of the request: ×2.00"),
            (
                About::NumberForPerson { place: 0, latest: None },
                "number_for_person:price",
                "price 19.5 for someone without a history: ×2.00",
            ),
            (About::BaseP(0.0215), "base_p", "the base bid pays for 2.15 %: ×2.00"),
            (About::Hour(23), "hour:23", "hour 23 UTC: ×2.00"),
            (About::Everybody, "bias", "everybody's rate: ×2.00"),
        ];
        for (about, as_code, as_words) in cases {
            assert_eq!(code(&catalog, nobody, &request, &about), as_code);
            let one = Reason { about, contribution: std::f64::consts::LN_2, collided: false };
            assert_eq!(reason(&catalog, nobody, &request, &one), as_words);
        }
    }

    #[test]
    fn reasons_say_how_often_and_how_long_ago() {
        let (engine, request) = (acme(Vec::new()), request());
        let catalog = engine.catalog();
        let acme = catalog.advertiser("acme").unwrap();
        let [view, cart] = ["view_item", "add_to_cart"].map(|name| catalog.action(acme, name).unwrap());
        let touched =
            Touched { acts: vec![(view, 3), (cart, 1)], streak: 2, age_s: 7_200, shown: 0, shown_age_s: None };
        let shown = Touched { streak: 1, shown: 4, shown_age_s: Some(90_000), ..touched.clone() };
        let interest = |scope, touched| About::Interest { scope, touched };
        let cases = [
            (
                About::Action { action: cart, times: 1.96, age_s: 7_300 },
                "action:add_to_cart",
                "added to cart 2 h ago, 2 times",
            ),
            (
                About::Action { action: view, times: 0.2, age_s: 5 },
                "action:view_item",
                "viewed a product just now, once",
            ),
            (interest(Scope::Category, None), "interest:category", "never touched this category"),
            (
                interest(Scope::Item, Some(touched)),
                "interest:item",
                "this product: viewed a product 3 times, added to cart once, last 2 h ago, 2 acts without a pause; \
                 no ad of it since",
            ),
            (
                interest(Scope::Item, Some(shown)),
                "interest:item",
                "this product: viewed a product 3 times, added to cart once, last 2 h ago; ad of it shown 4 times, \
                 last 25 h ago",
            ),
            (
                About::Path([0, view.0, cart.0]),
                "path:view_item>add_to_cart",
                "last acts: viewed a product, then added \
             to cart",
            ),
            (About::Path([0, 0, cart.0]), "path:add_to_cart", "last act: added to cart"),
            (
                About::Stage { action: cart, age_s: 600 },
                "stage:add_to_cart",
                "furthest step: added to cart, 10 min ago",
            ),
            (
                About::Visits { sessions: 1, actions: 5, age_s: 61 },
                "visits",
                "1 visit, last seen 1 min ago, 5 actions in it",
            ),
            (
                About::Visits { sessions: 3, actions: 1, age_s: 86_400 * 3 },
                "visits",
                "3 visits, last seen 3 days ago, 1 action in the latest",
            ),
            (About::Shown { times: 0, age_s: None }, "shown", "no ad shown yet"),
            (About::Shown { times: 1, age_s: Some(60) }, "shown", "ad shown once, 1 min ago"),
            (About::Converted { times: 2, age_s: Some(3_600) }, "converted", "converted 2 times, last 1 h ago"),
            (About::Converted { times: 1, age_s: None }, "converted", "converted once"),
            (
                About::NumberForPerson { place: 0, latest: Some((view, 300)) },
                "number_for_person:price",
                "price 19.5 for someone who viewed a product 5 min ago",
            ),
        ];
        for (what, as_code, as_words) in cases {
            assert_eq!(about(catalog, acme, &request, &what), as_words);
            assert_eq!(code(catalog, acme, &request, &what), as_code);
        }
    }

    fn acme(segments: Vec<RuleSegment>) -> Engine {
        let mut acme = Advertiser::new(Id::literal("acme"));
        acme.segments = segments;
        acme.externals = vec![ExternalSegment { id: Id::literal("p/1"), weight: 1.0 }];
        let mut engine = Engine::new();
        let settings = Settings { advertisers: vec![acme], ..Settings::default() };
        let event = Event::Configured(Box::new(settings));
        let at = Timestamp(1_700_000_000_000);
        assert_eq!(engine.apply(&Record { at, occurred_at: at, event_id: None, event }), Applied::Done);
        engine
    }

    #[test]
    fn segments_say_who_is_in_them() {
        let own = parse("sessions>=3 and(stage<add_to_cart)", &Advertiser::new(Id::literal("acme")).actions).unwrap();
        let engine = acme(vec![
            RuleSegment { id: Id::literal("mine"), ..ready_made("cart_abandoners").unwrap().segment(1.0) },
            RuleSegment { id: Id::literal("recent_buyers"), rule: own, weight: 1.0 },
        ]);
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

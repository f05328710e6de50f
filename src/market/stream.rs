//! A journey log made by a known process: learners are measured on it, because each opportunity's probability is known.
//!
//! People browse, see ads, and where an ad works they visit, fill a cart, go to the checkout, buy: each step with a
//! probability that the place of the ad, the person's device and country, what they did before, and an inclination
//! that nobody sees move up or down. A purchase comes late, the steps before it come soon.

use std::collections::HashMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::hash;
use crate::ids::Id;
use crate::journey::{Action, Conversion, Impression, Line, Opportunity};
use crate::math;
use crate::units::{Span, Timestamp};

const MINUTE_MS: u64 = 60_000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
/// 2026-01-01.
const START_MS: u64 = 1_767_225_600_000;
const SITES: u64 = 300;
const COUNTRIES: u64 = 12;
const CREATIVES: u64 = 8;
const POSITIONS: u64 = 5;
const DEVICES: [&str; 3] = ["phone", "desktop", "tv"];
/// Probability of each step after the cart.
const CHECKOUT_OF_CART: f64 = 0.6;
const PURCHASE_OF_CHECKOUT: f64 = 0.4;

/// What kind of stream is made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stream {
    /// All draws follow from it.
    pub seed: u64,
    /// People; each sees five ads in the mean.
    pub users: u32,
    /// Over so many days people come.
    pub days: u64,
    /// Added to the log-odds of each step up to the cart.
    pub level: f64,
    /// What the micro conversions have to do with purchases.
    pub micro: Micro,
    /// When purchases come.
    pub delays: Delays,
    /// Spread of the inclination to buy that nobody sees, in log-odds: 0 makes the truth a function of what is seen.
    pub hidden: f64,
    /// From this day on, so much is added to the log-odds of each step up to the cart.
    pub shift: Option<(u64, f64)>,
}

/// What micro conversions have to do with purchases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Micro {
    /// They are the steps on the way.
    Telling,
    /// They come as often, but from nowhere: whoever learns from them learns nothing.
    Idle,
}

/// When purchases come after the ad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delays {
    /// Within the hour.
    Brief,
    /// 35 % within 1 h, 50 % within 24 h, 87 % within 14 d, all within 30 d: the delays of Criteo's clicks.
    Long,
}

/// A stream and its truth.
#[derive(Debug)]
pub struct Made {
    /// In the order of time.
    pub lines: Vec<Line>,
    /// Of each opportunity, the probability of a purchase, over what nobody sees of a person as well.
    pub truth: HashMap<Id, f64>,
}

impl Default for Stream {
    fn default() -> Stream {
        Stream {
            seed: 1,
            users: 10_000,
            days: 30,
            level: 0.0,
            micro: Micro::Telling,
            delays: Delays::Brief,
            hidden: 0.6,
            shift: None,
        }
    }
}

impl Stream {
    /// Makes the stream.
    pub fn make(&self) -> Made {
        let mut made = Made { lines: Vec::new(), truth: HashMap::new() };
        (0..u64::from(self.users)).for_each(|number| Person::new(self, number).live(&mut made));
        // Sorting is stable: of equal times, one person's lines stay in their order.
        made.lines.sort_by_key(Line::time);
        made
    }

    /// The time that a conversion may take, for all purchases of the stream to count.
    pub fn window(&self) -> Span {
        match self.delays {
            Delays::Brief => Span::hours(2),
            Delays::Long => Span::days(30),
        }
    }
}

/// One person of the stream, with draws of their own.
struct Person<'a> {
    stream: &'a Stream,
    rng: StdRng,
    name: Id,
    device: usize,
    country: u64,
    /// Inclination to buy, that nobody sees; normally distributed.
    inclination: f64,
    /// The same for what is done without buying: the same number where micro conversions are telling.
    curiosity: f64,
    views: u32,
    has_cart: bool,
}

fn id(text: &'static str) -> Id {
    Id::literal(text)
}

fn numbered(what: &str, number: u64) -> Id {
    Id::new(format!("{what}{number}")).expect("a word and a number make a name")
}

impl<'a> Person<'a> {
    fn new(stream: &'a Stream, number: u64) -> Person<'a> {
        let mut rng = StdRng::seed_from_u64(hash::mix(stream.seed, number));
        let inclination = normal(&mut rng);
        let curiosity = match stream.micro {
            Micro::Telling => inclination,
            Micro::Idle => normal(&mut rng),
        };
        Person {
            stream,
            name: numbered("u", number),
            device: [0, 0, 0, 1, 1, 2][rng.random_range(0..6)],
            country: skewed(&mut rng, COUNTRIES),
            inclination,
            curiosity,
            views: 0,
            has_cart: false,
            rng,
        }
    }

    /// Visits and ads, in the order of time.
    fn live(&mut self, made: &mut Made) {
        let days_ms = self.stream.days * DAY_MS;
        let first = self.rng.random_range(0..days_ms);
        let mut moments = Vec::new();
        let mut at = first;
        for _ in 0..12 {
            let is_ad = self.rng.random_bool(0.7);
            moments.push((START_MS + at, is_ad));
            at += self.rng.random_range(10 * MINUTE_MS..2 * DAY_MS);
            if at >= days_ms || self.rng.random_bool(0.12) {
                break;
            }
        }
        for (at, is_ad) in moments {
            match is_ad {
                true => self.see_ad(at, made),
                false => self.browse(at, made),
            }
        }
    }

    /// A visit that no ad led to.
    fn browse(&mut self, at: u64, made: &mut Made) {
        let views = 1 + (self.rng.random::<f64>() * math::exp(1.0 + 0.5 * self.curiosity)) as u32;
        let mut at = at;
        for _ in 0..views.min(12) {
            at += self.rng.random_range(MINUTE_MS / 4..2 * MINUTE_MS);
            self.act(at, "view_item", made);
        }
        for (action, log_odds) in [("search", -1.5), ("video_start", -2.0), ("compare_products", -2.5)] {
            if self.rng.random_bool(math::sigmoid(log_odds + 0.3 * self.curiosity)) {
                self.act(at + MINUTE_MS, action, made);
            }
        }
        if self.rng.random_bool(math::sigmoid(-2.2 + 0.9 * self.curiosity)) {
            self.act(at + 2 * MINUTE_MS, "add_to_cart", made);
        }
    }

    fn act(&mut self, at: u64, action: &'static str, made: &mut Made) {
        match action {
            "view_item" => self.views += 1,
            "add_to_cart" => self.has_cart = true,
            _ => {}
        }
        made.lines.push(Line::Action(Action {
            time: Timestamp(at),
            user: self.name.clone(),
            advertiser: id("shop"),
            action: id(action),
            item: None,
            category: None,
            value: None,
        }));
    }

    /// An ad, and what comes of it.
    fn see_ad(&mut self, at: u64, made: &mut Made) {
        let (site, creative) = (skewed(&mut self.rng, SITES), self.rng.random_range(0..CREATIVES));
        let position = self.rng.random_range(0..POSITIONS);
        let name = numbered(&format!("{}-", self.name), at);
        let context = vec![
            (id("site"), numbered("site", site)),
            (id("device"), id(DEVICES[self.device])),
            (id("country"), numbered("c", self.country)),
            (id("creative"), numbered("ad", creative)),
        ];
        made.lines.push(Line::Opportunity(Opportunity {
            time: Timestamp(at),
            id: name.clone(),
            user: self.name.clone(),
            advertiser: id("shop"),
            goal: id("purchase"),
            campaign: None,
            item: None,
            category: None,
            context,
            numbers: vec![(id("position"), position as f64)],
            segments: Vec::new(),
        }));
        let shown = Impression { time: Timestamp(at), id: name.clone(), cost: None, is_explored: false };
        made.lines.push(Line::Impression(shown));
        let pull = self.pull(at, site, creative, position);
        let [visit, cart] = steps(self.stream.level + pull);
        made.truth.insert(name.clone(), visit * cart * CHECKOUT_OF_CART * PURCHASE_OF_CHECKOUT);
        let (visit, cart) = (self.rng.random_bool(visit), self.rng.random_bool(cart));
        let (checkout, purchase) = (CHECKOUT_OF_CART, PURCHASE_OF_CHECKOUT);
        let (checkout, purchase) = (self.rng.random_bool(checkout), self.rng.random_bool(purchase));
        let path = [visit, visit && cart, visit && cart && checkout];
        let buys = path[2] && purchase;
        match self.stream.micro {
            Micro::Telling => self.respond(at, path, made),
            Micro::Idle => {
                let [visit, cart] = steps(self.stream.level);
                let (visit, cart) = (self.rng.random_bool(visit), self.rng.random_bool(cart));
                let checkout = self.rng.random_bool(CHECKOUT_OF_CART);
                self.respond(at, [visit, visit && cart, visit && cart && checkout], made);
            }
        }
        if buys {
            let delay = delay(self.stream.delays, &mut self.rng);
            made.lines.push(Line::Conversion(Conversion {
                time: Timestamp(at + delay),
                user: self.name.clone(),
                advertiser: id("shop"),
                goal: id("purchase"),
                id: Some(name),
                item: None,
                category: None,
                value: None,
            }));
        }
    }

    /// What is added to the log-odds of a visit, and half of it to those of a cart.
    fn pull(&self, at: u64, site: u64, creative: u64, position: u64) -> f64 {
        let effect = |what: u64, number: u64, spread: f64| spread * fixed_normal(hash::mix(what, number));
        let shift = self.stream.shift.filter(|(day, _)| at >= START_MS + day * DAY_MS).map_or(0.0, |(_, by)| by);
        let history = match self.stream.micro {
            Micro::Telling => 0.25 * f64::from((1 + self.views).ilog2()) + if self.has_cart { 0.6 } else { 0.0 } - 0.5,
            Micro::Idle => 0.0,
        };
        shift
            + effect(1, site, 0.8)
            + effect(2, creative, 0.3)
            + effect(3, self.country, 0.4)
            + [0.0, 0.4, -1.0][self.device]
            - 0.15 * position as f64
            + history
            + self.stream.hidden * self.inclination
    }

    /// Visit, cart and checkout, as far as they happen.
    fn respond(&mut self, at: u64, [visits, fills_cart, checks_out]: [bool; 3], made: &mut Made) {
        let mut at = at;
        let mut step = |person: &mut Person<'_>, happens: bool, action: &'static str| {
            if happens {
                at += person.rng.random_range(MINUTE_MS / 4..5 * MINUTE_MS);
                person.act(at, action, made);
            }
        };
        step(self, visits, "view_item");
        step(self, fills_cart, "add_to_cart");
        step(self, checks_out, "begin_checkout");
    }
}

/// Probabilities of a visit and, after it, of a cart.
fn steps(pull: f64) -> [f64; 2] {
    [math::sigmoid(-2.4 + pull), math::sigmoid(-1.3 + 0.5 * pull)]
}

fn delay(delays: Delays, rng: &mut StdRng) -> u64 {
    let draw: f64 = rng.random();
    match delays {
        Delays::Brief => rng.random_range(15 * MINUTE_MS..HOUR_MS),
        Delays::Long if draw < 0.35 => rng.random_range(15 * MINUTE_MS..HOUR_MS),
        Delays::Long if draw < 0.50 => rng.random_range(HOUR_MS..DAY_MS),
        Delays::Long if draw < 0.87 => rng.random_range(DAY_MS..14 * DAY_MS),
        Delays::Long => rng.random_range(14 * DAY_MS..30 * DAY_MS),
    }
}

/// A number below another, small ones far more often.
fn skewed(rng: &mut StdRng, below: u64) -> u64 {
    let draw: f64 = rng.random();
    ((draw * draw * draw) * below as f64) as u64
}

fn normal(rng: &mut StdRng) -> f64 {
    fixed_normal(rng.random())
}

/// A standard normal number of 64 random bits: twelve 5-bit draws of equal steps, centred and scaled.
fn fixed_normal(bits: u64) -> f64 {
    let sum: u64 = (0..12).map(|place| bits >> (5 * place) & 31).sum();
    // Each draw has mean 15.5 and variance (32² − 1) / 12.
    (sum as f64 - 12.0 * 15.5) / (12.0f64 * 1023.0 / 12.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(stream: Stream) -> Made {
        Stream { users: 3_000, ..stream }.make()
    }

    fn conversions(made: &Made) -> impl Iterator<Item = &Conversion> {
        made.lines.iter().filter_map(|line| match line {
            Line::Conversion(conversion) => Some(conversion),
            _ => None,
        })
    }

    #[test]
    fn the_same_seed_makes_the_same_stream() {
        let (one, same) = (made(Stream::default()), made(Stream::default()));
        assert_eq!(one.lines, same.lines);
        assert_ne!(one.lines, made(Stream { seed: 2, ..Stream::default() }).lines);
    }

    #[test]
    fn as_many_buy_as_the_truth_says() {
        for stream in [
            Stream::default(),
            Stream { micro: Micro::Idle, ..Stream::default() },
            Stream { level: 1.0, delays: Delays::Long, shift: Some((15, 0.5)), ..Stream::default() },
        ] {
            let made = Stream { users: 10_000, ..stream }.make();
            let expected: f64 = made.truth.values().sum();
            let bought = conversions(&made).count() as f64;
            assert!((bought - expected).abs() < 4.0 * expected.sqrt(), "{bought} of {expected} in {stream:?}");
        }
    }

    #[test]
    fn lines_stand_in_the_order_of_time_and_delays_keep_to_the_window() {
        for delays in [Delays::Brief, Delays::Long] {
            let stream = Stream { delays, level: 1.5, ..Stream::default() };
            let made = made(stream);
            assert!(made.lines.is_sorted_by_key(Line::time));
            let shown: HashMap<Id, Timestamp> = made
                .lines
                .iter()
                .filter_map(|line| match line {
                    Line::Impression(impression) => Some((impression.id.clone(), impression.time)),
                    _ => None,
                })
                .collect();
            for conversion in conversions(&made) {
                let at = shown[conversion.id.as_ref().unwrap()];
                assert!(at < conversion.time && conversion.time <= at + stream.window());
            }
        }
    }

    #[test]
    fn normal_numbers_are_normal() {
        let draws: Vec<f64> = (0..100_000).map(|number| fixed_normal(hash::mix(1, number))).collect();
        let mean = draws.iter().sum::<f64>() / draws.len() as f64;
        let variance = draws.iter().map(|draw| (draw - mean) * (draw - mean)).sum::<f64>() / draws.len() as f64;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
    }
}

//! The engine by itself: percentiles of single scores, means of applied records, memory of a profile.
//!
//!     cargo bench --bench engine                    # 10 thousand and 1 million profiles
//!     cargo bench --bench engine -- --profiles N    # any number
//!     cargo bench --bench engine -- --memory N      # resident bytes a profile
//!
//! Each score is timed by itself and of a random user: in a loop over few users, caches and overlapping memory
//! accesses flatter by a factor of two. The reference row times nothing at all: what the clock itself costs.
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]
#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::time::Instant;

use hdrhistogram::Histogram;
use inkling::engine::{Applied, Engine};
use inkling::event::{Action, Conversion, Converter, Event, Impression, Record, Shown};
use inkling::expression::READY_MADE;
use inkling::ids::{Id, UserKey};
use inkling::opportunity::{PrivacyMode, ScoreRequest, Target};
use inkling::settings::{Advertiser, Goal, Limits, Settings};
use inkling::token::{TokenKey, Tokens};
use inkling::units::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const START: u64 = 1_700_000_000_000;
const SEED: u64 = 7;
const ACTIONS: [&str; 8] =
    ["page_view", "view_item", "scroll", "add_to_cart", "search", "video_start", "begin_checkout", "newsletter_signup"];

struct Bench {
    engine: Engine,
    rng: StdRng,
    now: u64,
    users: u64,
    requests: u64,
}

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

impl Bench {
    fn new(users: u64) -> Bench {
        let mut advertiser = Advertiser::new(id("acme"));
        let mut goal = Goal::new(id("purchase"));
        goal.milestones = ["view_item", "add_to_cart", "begin_checkout"].map(id).to_vec();
        advertiser.goals.push(goal);
        advertiser.segments = READY_MADE.map(|made| made.segment(1.0)).to_vec();
        let limits = Limits { profiles_max: 100_000_000, live_impressions_max: 10_000_000, ..Limits::default() };
        let settings = Settings { advertisers: vec![advertiser], limits, ..Settings::default() };
        let mut bench =
            Bench { engine: Engine::new(), rng: StdRng::seed_from_u64(SEED), now: START, users, requests: 0 };
        bench.apply(Event::Configured(Box::new(settings)));
        bench
    }

    fn apply(&mut self, event: Event) {
        let at = Timestamp(self.now);
        let applied = self.engine.apply(&Record { at, occurred_at: at, event_id: None, event });
        assert_eq!(applied, Applied::Done);
    }

    fn user(&mut self) -> UserKey {
        UserKey(inkling::hash::mix(self.rng.random_range(0..self.users), 1))
    }

    fn action(&mut self, user: UserKey) -> Event {
        // Squaring makes the first of the list the most frequent.
        let draw: f64 = self.rng.random();
        let action = ACTIONS[(draw * draw * ACTIONS.len() as f64) as usize];
        // Three items a user.
        let item = format!("sku{}", user.0 % 50_000 + self.rng.random_range(0..3));
        Event::Action(Action {
            user,
            advertiser: id("acme"),
            action: id(action),
            item: Some(id(&item)),
            category: None,
            value: None,
        })
    }

    /// Every user with at least one action: a median of 6, one in twenty with 68 or more.
    fn fill(&mut self) {
        for number in 0..self.users {
            let user = UserKey(inkling::hash::mix(number, 1));
            let spread: f64 = self.rng.random_range(0.0001..1.0);
            let actions = (6.0 * (0.5 / spread).powf(1.06)).clamp(1.0, 500.0) as u64;
            for _ in 0..actions {
                self.now += u64::from(number % 16 == 0);
                let event = self.action(user);
                self.apply(event);
            }
        }
        self.engine.publish();
    }

    fn request(&mut self, user: UserKey) -> ScoreRequest {
        self.requests += 1;
        let entry = |name: &str, value: &str| (id(name), id(value));
        ScoreRequest {
            opportunity: id(&format!("auction-{}", self.requests)),
            users: vec![user],
            context: vec![entry("device_type", "phone"), entry("country", "DE"), entry("site", "news.example")],
            numbers: vec![(id("position"), 1.0)],
            segments: Vec::new(),
            privacy: PrivacyMode::Full,
            targets: vec![Target {
                advertiser: id("acme"),
                campaign: None,
                line_item: Some(id("line-7")),
                creative: None,
                item: Some(id("sku77")),
                category: None,
                goals: vec![id("purchase")],
                base_p: None,
            }],
            reasons_max: 0,
        }
    }

    /// Impressions and conversions, so that weights are in use: some for each of 20,000 users.
    fn learn(&mut self, rounds: u64) -> (f64, f64) {
        let (mut shown, mut converted) = (0.0, 0.0);
        let scorer = self.engine.scorer();
        for round in 0..rounds {
            let user = self.user();
            let request = self.request(user);
            let scored = scorer.score(Timestamp(self.now), &request).remove(0).unwrap();
            let of = Shown::Scored(scored.exposure.unwrap());
            let event = Event::Impression(Impression { of, cost: None });
            let start = Instant::now();
            self.apply(event);
            shown += start.elapsed().as_nanos() as f64;
            self.now += 1;
            if round % 10 == 0 {
                let event = Event::Conversion(Conversion {
                    by: Converter::User(user),
                    advertiser: id("acme"),
                    goal: id("purchase"),
                    item: None,
                    category: None,
                    value: None,
                    conversion_id: None,
                });
                let start = Instant::now();
                self.apply(event);
                converted += start.elapsed().as_nanos() as f64;
            }
        }
        self.engine.publish();
        (shown / rounds as f64, converted / rounds.div_ceil(10) as f64)
    }

    /// Mean of one action, over whole batches so that the clock costs nothing.
    fn actions(&mut self, rounds: u64) -> f64 {
        let mut total = 0.0;
        let mut done = 0;
        while done < rounds {
            let batch: Vec<Event> = (0..rounds.min(1_000))
                .map(|_| {
                    let user = self.user();
                    self.action(user)
                })
                .collect();
            done += batch.len() as u64;
            let start = Instant::now();
            batch.into_iter().for_each(|event| self.apply(event));
            total += start.elapsed().as_nanos() as f64;
        }
        self.engine.publish();
        total / done as f64
    }

    fn scores(&mut self, rounds: u64, tokens: Option<&Tokens>) -> Histogram<u64> {
        let scorer = self.engine.scorer();
        let mut histogram = Histogram::new(3).unwrap();
        for _ in 0..rounds {
            let user = self.user();
            let request = self.request(user);
            let start = Instant::now();
            let scored = scorer.score(Timestamp(self.now), &request).remove(0).unwrap();
            let token = tokens.map(|tokens| tokens.seal(scored.exposure.as_deref().unwrap()).unwrap());
            let elapsed = start.elapsed().as_nanos() as u64;
            std::hint::black_box((scored, token));
            histogram.record(elapsed).unwrap();
        }
        histogram
    }
}

fn row(what: &str, histogram: &Histogram<u64>) {
    let at = |percentile| histogram.value_at_quantile(percentile);
    println!("  {what:<44} p50 {:>6} ns  p99 {:>6} ns  p99.9 {:>7} ns", at(0.5), at(0.99), at(0.999));
}

fn run(profiles: u64, rounds: u64) {
    println!("{profiles} profiles, {rounds} rounds, seed {SEED}");
    let mut bench = Bench::new(profiles);
    let start = Instant::now();
    bench.fill();
    let filled = bench.engine.tally().actions;
    let each_ns = start.elapsed().as_nanos() as f64 / filled as f64;
    println!("  filled by {filled} actions at {each_ns:.0} ns each, parsing excluded");
    let (shown, converted) = bench.learn(rounds / 5);
    let mut clock = Histogram::new(3).unwrap();
    for _ in 0..rounds {
        let start = Instant::now();
        clock.record(start.elapsed().as_nanos() as u64).unwrap();
    }
    row("reference: reading the clock twice", &clock);
    let tokens = Tokens::new(TokenKey::new(1, [7; 16]), Vec::new(), 1);
    row("score, one target and goal", &bench.scores(rounds, None));
    row("score, one target and goal, with token", &bench.scores(rounds, Some(&tokens)));
    println!("  {:<44} mean {:>6.0} ns", "apply action", bench.actions(rounds));
    println!("  {:<44} mean {:>6.0} ns", "apply impression, with learning", shown);
    println!("  {:<44} mean {:>6.0} ns", "apply conversion, with learning", converted);
}

/// Resident bytes a profile, of everything the engine holds; one user in ten has a waiting impression.
fn memory(profiles: u64) {
    let resident = || -> f64 {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        statm.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
    };
    let before = resident();
    let mut bench = Bench::new(profiles);
    bench.fill();
    let filled = resident();
    bench.learn(profiles / 10);
    let [(_, kept), ..] = bench.engine.sizes();
    println!("{kept} profiles: {:.0} bytes each", (filled - before) / kept as f64);
    println!("with waiting impressions for one in ten: {:.0} bytes each", (resident() - before) / kept as f64);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)?.parse::<u64>().ok()
    };
    if arguments.iter().any(|argument| argument == "--test") {
        run(1_000, 500);
    } else if let Some(profiles) = number("--memory") {
        memory(profiles);
    } else if let Some(profiles) = number("--profiles") {
        run(profiles, 200_000);
    } else {
        run(10_000, 200_000);
        run(1_000_000, 200_000);
    }
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

//! The engine by itself: percentiles of single scores, means of applied records, memory of a profile.
//!
//!     cargo bench --bench engine                    # 10 thousand and 1 million profiles
//!     cargo bench --bench engine -- --profiles N    # any number
//!     cargo bench --bench engine -- --memory N      # resident bytes a profile
//!     cargo bench --bench engine -- --parts N       # what single parts of a score and of an event cost
//!
//! Each score is timed by itself and of a random user: in a loop over few users, caches and overlapping memory
//! accesses flatter by a factor of two. The reference row times nothing at all: what the clock itself costs.
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]
#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::time::Instant;

use hdrhistogram::Histogram;
use inkling::engine::{Applied, Engine, tick_due};
use inkling::event::{Action, Conversion, Converter, Event, Impression, Record, Shown};
use inkling::expression::READY_MADE;
use inkling::ids::{Id, UserKey};
use inkling::opportunity::{PrivacyMode, ScoreRequest, Target};
use inkling::server::forgo_huge_pages;
use inkling::settings::{Advertiser, Goal, Limits, Settings};
use inkling::token::{TokenKey, Tokens};
use inkling::units::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::thread::disable_transparent_huge_pages;

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

/// Changes settings, so that a part of the work is not there.
type Setup = fn(&mut Advertiser);
/// Changes a request, so that a part of the work is not asked for.
type Change = fn(&mut ScoreRequest);

impl Bench {
    fn new(users: u64) -> Bench {
        Bench::with(users, |_| {})
    }

    fn with(users: u64, change: Setup) -> Bench {
        let mut advertiser = Advertiser::new(id("acme"));
        let mut goal = Goal::new(id("purchase"));
        goal.milestones = ["view_item", "add_to_cart", "begin_checkout"].map(id).to_vec();
        advertiser.goals.push(goal);
        advertiser.segments = READY_MADE.map(|made| made.segment(1.0)).to_vec();
        change(&mut advertiser);
        let limits = Limits { profiles_max: 100_000_000, live_impressions_max: 10_000_000, ..Limits::default() };
        let settings = Settings { advertisers: vec![advertiser], limits, ..Settings::default() };
        let mut bench =
            Bench { engine: Engine::new(), rng: StdRng::seed_from_u64(SEED), now: START, users, requests: 0 };
        bench.apply(Event::Configured(Box::new(settings)));
        bench.engine.warm();
        bench
    }

    fn apply(&mut self, event: Event) {
        let at = Timestamp(self.now);
        if let Some(second) = tick_due(self.engine.now(), at) {
            self.engine.apply(&Record { at: second, occurred_at: second, event_id: None, event: Event::Tick });
        }
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
    fn learn(&mut self, rounds: u64, change: Change) -> (Histogram<u64>, Histogram<u64>) {
        let (mut shown, mut converted) = (Histogram::new(3).unwrap(), Histogram::new(3).unwrap());
        let scorer = self.engine.scorer();
        for round in 0..rounds {
            let user = self.user();
            let mut request = self.request(user);
            change(&mut request);
            let scored = scorer.score(Timestamp(self.now), &request).remove(0).unwrap();
            let of = Shown::Scored(scored.exposure.unwrap());
            let event = Event::Impression(Impression { of, cost: None, bid: None });
            let start = Instant::now();
            self.apply(event);
            shown.record(start.elapsed().as_nanos() as u64).unwrap();
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
                converted.record(start.elapsed().as_nanos() as u64).unwrap();
            }
        }
        self.engine.publish();
        (shown, converted)
    }

    /// Mean of one action, over whole batches so that the clock costs nothing; a few at a time are looked ahead to, as
    /// the service and recovery do.
    fn actions(&mut self, rounds: u64) -> f64 {
        let mut total = 0.0;
        let mut done = 0;
        while done < rounds {
            let at = Timestamp(self.now);
            let batch: Vec<Record> = (0..rounds.min(1_000))
                .map(|_| {
                    let user = self.user();
                    Record { at, occurred_at: at, event_id: None, event: self.action(user) }
                })
                .collect();
            done += batch.len() as u64;
            let start = Instant::now();
            for records in batch.chunks(Engine::AHEAD) {
                self.engine.prefetch(records);
                for record in records {
                    assert_eq!(self.engine.apply(record), Applied::Done);
                }
            }
            total += start.elapsed().as_nanos() as f64;
        }
        self.engine.publish();
        total / done as f64
    }

    /// Single actions, as far as `change` leaves them what they are.
    fn single_actions(&mut self, rounds: u64, change: fn(&mut Action)) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        for _ in 0..rounds {
            let user = self.user();
            let mut event = self.action(user);
            if let Event::Action(action) = &mut event {
                change(action);
            }
            let start = Instant::now();
            self.apply(event);
            histogram.record(start.elapsed().as_nanos() as u64).unwrap();
        }
        self.engine.publish();
        histogram
    }

    fn scores(&mut self, rounds: u64, tokens: Option<&Tokens>, change: Change) -> Histogram<u64> {
        let scorer = self.engine.scorer();
        let mut histogram = Histogram::new(3).unwrap();
        for _ in 0..rounds {
            let user = self.user();
            let mut request = self.request(user);
            change(&mut request);
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
    // As with a service: what is read at its start stands on huge pages where the system gives them, the rest not.
    disable_transparent_huge_pages(false).unwrap();
    let mut bench = Bench::new(profiles);
    let start = Instant::now();
    bench.fill();
    forgo_huge_pages();
    let filled = bench.engine.tally().actions;
    let each_ns = start.elapsed().as_nanos() as f64 / filled as f64;
    println!("  filled by {filled} actions at {each_ns:.0} ns each, parsing excluded");
    let (shown, converted) = bench.learn(rounds / 5, |_| {});
    row("reference: reading the clock twice", &clock(rounds));
    let tokens = Tokens::new(TokenKey::new(1, [7; 16]), Vec::new(), 1);
    row("score, one target and goal", &bench.scores(rounds, None, |_| {}));
    row("score, one target and goal, with token", &bench.scores(rounds, Some(&tokens), |_| {}));
    println!("  {:<44} mean {:>6.0} ns", "apply actions, looked ahead to", bench.actions(rounds));
    row("apply action, by itself", &bench.single_actions(rounds, |_| {}));
    for (what, times) in [("apply impression, with learning", &shown), ("apply conversion, with learning", &converted)]
    {
        println!("  {what:<44} mean {:>6.0} ns", times.mean());
        row("", times);
    }
}

fn clock(rounds: u64) -> Histogram<u64> {
    let mut clock = Histogram::new(3).unwrap();
    for _ in 0..rounds {
        let start = Instant::now();
        clock.record(start.elapsed().as_nanos() as u64).unwrap();
    }
    clock
}

/// What single parts cost: medians with and without each of them, the clock taken off. What has no switch in settings,
/// request or event is not here.
fn parts(profiles: u64, rounds: u64) {
    println!("{profiles} profiles, {rounds} rounds, seed {SEED}; medians of single calls");
    let tokens = Tokens::new(TokenKey::new(1, [7; 16]), Vec::new(), 1);
    let clock = clock(rounds).value_at_quantile(0.5) as f64;
    let median = |histogram: &Histogram<u64>| histogram.value_at_quantile(0.5) as f64 - clock;
    let show = |what: &str, ns: f64, whole: f64| println!("  {what:<58} {ns:>6.0} ns {:>+6.0} ns", ns - whole);
    let settings: [(&str, Setup); 3] = [
        ("as it is", |_| {}),
        ("no rule segments", |advertiser| advertiser.segments.clear()),
        ("no milestones: no ladder", |advertiser| advertiser.goals[0].milestones.clear()),
    ];
    let requests: [(&str, Change); 6] = [
        ("no item: neither interest nor crosses with it", |request| request.targets[0].item = None),
        ("no number: no crosses with it", |request| request.numbers.clear()),
        ("neither context nor number", |request| {
            request.context.clear();
            request.numbers.clear();
        }),
        ("nobody seen before", |request| request.users[0].0 ^= 1),
        ("privacy CONTEXT: no person at all", |request| request.privacy = PrivacyMode::Context),
        ("all reasons", |request| request.reasons_max = 64),
    ];
    let mut wholes = [0.0; 4];
    for (number, (name, change)) in settings.into_iter().enumerate() {
        let mut bench = Bench::with(profiles, change);
        bench.fill();
        let (shown, converted) = bench.learn(rounds / 5, |_| {});
        let whole = median(&bench.scores(rounds, None, |_| {}));
        let acted = median(&bench.single_actions(rounds, |_| {}));
        let times = [whole, acted, median(&shown), median(&converted)];
        if number == 0 {
            wholes = times;
        }
        for ((what, ns), whole) in ["score", "action", "impression", "conversion"].into_iter().zip(times).zip(wholes) {
            show(&format!("{what}, {name}"), ns, whole);
        }
        if number == 0 {
            show("score, with its token", median(&bench.scores(rounds, Some(&tokens), |_| {})), whole);
            for (name, change) in requests {
                show(&format!("score, {name}"), median(&bench.scores(rounds, None, change)), whole);
            }
            show("action, no item", median(&bench.single_actions(rounds, |action| action.item = None)), acted);
            let secondary = bench.single_actions(rounds, |action| action.action = id("scroll"));
            show("action, beside the ladder", median(&secondary), acted);
            let (shown, _) = bench.learn(rounds / 5, |request| request.privacy = PrivacyMode::Context);
            show("impression, privacy CONTEXT", median(&shown), wholes[2]);
        }
    }
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
    bench.learn(profiles / 10, |_| {});
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
        parts(200, 500);
    } else if let Some(profiles) = number("--memory") {
        memory(profiles);
    } else if let Some(profiles) = number("--parts") {
        parts(profiles, 100_000);
    } else if let Some(profiles) = number("--profiles") {
        run(profiles, 200_000);
    } else {
        run(10_000, 200_000);
        run(1_000_000, 200_000);
    }
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

//! What snapshots cost: single calls with one running and without, in one run; how fast they are written and read.
//!
//!     cargo bench --bench snapshot                     # 1 million profiles
//!     cargo bench --bench snapshot -- --profiles N     # any number
//!     cargo bench --bench snapshot -- --soak SECONDS   # learning, snapshots, eviction and forgetting, all at once
//!
//! Files go to a temporary directory (`TMPDIR`). One thread applies and scores in turn, as the applier and a worker
//! do; the snapshot's own thread runs beside it.
#![expect(clippy::unwrap_used, reason = "a benchmark may panic")]
#![expect(clippy::disallowed_methods, reason = "measures time")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use inkling::engine::{Applied, Engine, Entries, Scorer};
use inkling::event::{Action, Event, Impression, Record, Shown};
use inkling::expression::READY_MADE;
use inkling::ids::{Id, Seq, UserKey};
use inkling::opportunity::{PrivacyMode, ScoreRequest, Target};
use inkling::server::forgo_huge_pages;
use inkling::settings::{Advertiser, Goal, Limits, Settings};
use inkling::snapshot::{Covers, Progress, Shelf, Taking, load};
use inkling::units::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rustix::thread::disable_transparent_huge_pages;
use rustix::time::{ClockId, clock_gettime};

const START: u64 = 1_700_000_000_000;
const SEED: u64 = 7;
const FINGERPRINT: [u8; 8] = [1; 8];
const ACTIONS: [&str; 8] =
    ["page_view", "view_item", "scroll", "add_to_cart", "search", "video_start", "begin_checkout", "newsletter_signup"];
/// Events between two slices, as the applier hands them out between its turns.
const TURN: u64 = 16;

struct Bench {
    engine: Engine,
    scorer: Scorer,
    rng: StdRng,
    now: u64,
    users: u64,
    requests: u64,
}

/// Times of single calls, in ns.
struct Times {
    apply: Calls,
    score: Calls,
    begin: Calls,
    slice: Calls,
}

/// What calls of one kind took.
struct Calls {
    took: Histogram<u64>,
    /// The most that one of them had a processor for: what is beyond it in the longest is that others of this machine
    /// had it, or that a lock was waited for. What a host takes away from a virtual machine counts as work.
    worked_most: u64,
}

impl Calls {
    fn new() -> Calls {
        Calls { took: Histogram::new(3).unwrap(), worked_most: 0 }
    }

    fn time<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let (before, start) = (worked(), Instant::now());
        let result = call();
        self.took.record(start.elapsed().as_nanos() as u64).unwrap();
        self.worked_most = self.worked_most.max(worked() - before);
        result
    }
}

/// Time for which this thread has had a processor, in ns.
fn worked() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

impl Bench {
    fn new(users: u64, limits: Limits) -> Bench {
        let mut advertiser = Advertiser::new(id("acme"));
        let mut goal = Goal::new(id("purchase"));
        goal.milestones = ["view_item", "add_to_cart", "begin_checkout"].map(id).to_vec();
        advertiser.goals.push(goal);
        advertiser.segments = READY_MADE.map(|made| made.segment(1.0)).to_vec();
        let settings = Settings { advertisers: vec![advertiser], limits, ..Settings::default() };
        let engine = Engine::new();
        let (scorer, rng) = (engine.scorer(), StdRng::seed_from_u64(SEED));
        let mut bench = Bench { engine, scorer, rng, now: START, users, requests: 0 };
        bench.apply(Event::Configured(Box::new(settings)));
        bench.engine.warm();
        bench.engine.publish();
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
        let draw: f64 = self.rng.random();
        let action = id(ACTIONS[(draw * draw * ACTIONS.len() as f64) as usize]);
        let item = Some(id(&format!("sku{}", user.0 % 50_000 + self.rng.random_range(0..3))));
        Event::Action(Action { user, advertiser: id("acme"), action, item, category: None, value: None })
    }

    /// Every user with at least one action (a median of 6, one in twenty with 68 or more), and one in ten with a
    /// waiting impression.
    fn fill(&mut self) {
        for number in 0..self.users {
            let user = UserKey(inkling::hash::mix(number, 1));
            let spread: f64 = self.rng.random_range(0.0001..1.0);
            for _ in 0..(6.0 * (0.5 / spread).powf(1.06)).clamp(1.0, 500.0) as u64 {
                self.now += u64::from(number % 16 == 0);
                let event = self.action(user);
                self.apply(event);
            }
        }
        self.engine.publish();
        for _ in 0..self.users / 10 {
            self.show();
        }
        self.engine.publish();
    }

    fn show(&mut self) {
        let user = self.user();
        let request = self.request(user);
        let scored = self.scorer.score(Timestamp(self.now), &request).remove(0).unwrap();
        self.apply(Event::Impression(Impression {
            of: Shown::Scored(scored.exposure.unwrap()),
            cost: None,
            bid: None,
        }));
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
                line_item: None,
                creative: None,
                item: Some(id("sku77")),
                category: None,
                goals: vec![id("purchase")],
                base_p: None,
            }],
            reasons_max: 0,
        }
    }

    /// One event, nine in ten of them actions, and one score.
    fn round(&mut self, number: u64, times: &mut Times) {
        self.now += 1;
        let user = self.user();
        let event = match number % 10 {
            0 => {
                let request = self.request(user);
                let scored = self.scorer.score(Timestamp(self.now), &request).remove(0).unwrap();
                Event::Impression(Impression { of: Shown::Scored(scored.exposure.unwrap()), cost: None, bid: None })
            }
            _ => self.action(user),
        };
        times.apply.time(|| self.apply(event));
        let user = self.user();
        let request = self.request(user);
        times.score.time(|| drop(std::hint::black_box(self.scorer.score(Timestamp(self.now), &request))));
        if number.is_multiple_of(1_000) {
            self.apply(Event::Tick);
            self.engine.publish();
        }
    }

    /// Takes a snapshot while events and scores go on; how long it took.
    fn snapshot(&mut self, directory: &Path, seq: u64, times: &mut Times) -> Duration {
        let covers = Covers { seq: Seq(seq), fingerprint: FINGERPRINT, at: Timestamp(self.now) };
        let whole = Instant::now();
        let begin = || Taking::begin(&mut self.engine, directory, covers, Box::new(|| true), Box::new(|| {}));
        let mut taking = times.begin.time(begin).unwrap().unwrap();
        for number in 1.. {
            self.round(number, times);
            if number.is_multiple_of(TURN)
                && let Progress::Over(written) = times.slice.time(|| taking.step(&mut self.engine))
            {
                written.unwrap();
                break;
            }
        }
        whole.elapsed()
    }
}

impl Times {
    fn new() -> Times {
        Times { apply: Calls::new(), score: Calls::new(), begin: Calls::new(), slice: Calls::new() }
    }
}

fn row(what: &str, calls: &Calls) {
    let at = |percentile| calls.took.value_at_quantile(percentile);
    let (p50, p99, p999, max) = (at(0.5), at(0.99), at(0.999), calls.took.max() / 1_000);
    println!(
        "  {what:<26} p50 {p50:>6} ns  p99 {p99:>7} ns  p99.9 {p999:>8} ns  max {max:>6} us, {:>6} us at work  n {}",
        calls.worked_most / 1_000,
        calls.took.len()
    );
}

/// The clock read again and again, beside a thread that works without end: how long this machine stands still by
/// itself.
fn reference(lasting: Duration) -> Calls {
    let (mut calls, is_over) = (Calls::new(), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Relaxed) {
                std::hint::spin_loop();
            }
        });
        let start = Instant::now();
        while start.elapsed() < lasting {
            calls.time(|| ());
        }
        is_over.store(true, Relaxed);
    });
    calls
}

fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4_096
}

/// Seconds that this process has had a processor, all threads together: on a busy machine what the clock on the wall
/// tells is others' work.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let behind = stat.rsplit_once(')').unwrap().1;
    // User and system time, in hundredths.
    let ticks = behind.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap());
    ticks.sum::<u64>() as f64 / 100.0
}

fn run(profiles: u64, snapshots: u64) {
    let limits = Limits { profiles_max: 100_000_000, live_impressions_max: 10_000_000, ..Limits::default() };
    let mut bench = Bench::new(profiles, limits);
    bench.fill();
    forgo_huge_pages();
    let [(_, kept), ..] = bench.engine.sizes();
    println!("{kept} profiles, seed {SEED}, resident {} MB", resident() >> 20);
    let directory = tempfile::tempdir().unwrap();
    let (mut without, mut with, mut took) = (Times::new(), Times::new(), Vec::new());
    for seq in 1..=snapshots {
        let rounds = with.apply.took.len().max(100_000) / seq;
        (1..=rounds).for_each(|number| bench.round(number, &mut without));
        took.push(bench.snapshot(directory.path(), seq, &mut with).as_secs_f64());
        Shelf::new(directory.path()).keep(1).unwrap();
    }
    row("reference: nothing at all", &reference(Duration::from_secs_f64(took.iter().sum())));
    row("apply, no snapshot", &without.apply);
    row("apply, a snapshot running", &with.apply);
    row("score, no snapshot", &without.score);
    row("score, a snapshot running", &with.score);
    row("beginning a snapshot", &with.begin);
    row("handing out a slice", &with.slice);
    println!("  resident after snapshots: {} MB", resident() >> 20);
    let path = Shelf::new(directory.path()).path(Seq(snapshots));
    let (bytes, took) = (std::fs::metadata(&path).unwrap().len() as f64, took.iter().sum::<f64>() / snapshots as f64);
    let [(_, kept), ..] = bench.engine.sizes();
    println!(
        "  written beside the load in {took:.2} s: {:.2} M profiles/s; {:.0} MB, {:.0} bytes a profile",
        kept as f64 / took / 1e6,
        bytes / 1e6,
        bytes / kept as f64
    );
    let (mut lists, begun) = (Entries::default(), processor());
    let mut walk = bench.engine.begin_image(&mut lists).unwrap();
    while walk.step(&mut lists) {
        lists.clear();
    }
    drop(walk);
    bench.engine.stop_image();
    println!("  copied from memory alone: processor {:.2} s", processor() - begun);
    drop(bench);
    // A start reads before it forgoes them.
    disable_transparent_huge_pages(false).unwrap();
    for threads in [1, 2] {
        let (start, before) = (Instant::now(), processor());
        let loaded = load(&path, FINGERPRINT, threads).unwrap();
        let (took, worked) = (start.elapsed().as_secs_f64(), processor() - before);
        let rate = |seconds: f64| kept as f64 / seconds / 1e6;
        println!(
            "  read with {threads} threads in {took:.2} s: {:.2} M profiles/s; processor {worked:.2} s: {:.2} M/s a \
             core",
            rate(took),
            rate(worked)
        );
        drop(loaded);
    }
}

/// Learning, snapshots, eviction and forgetting at once: memory and percentiles, ten times over the whole time.
fn soak(seconds: u64) {
    forgo_huge_pages();
    let limits = Limits { profiles_max: 200_000, live_impressions_max: 20_000, ..Limits::default() };
    let mut bench = Bench::new(1_000_000, limits);
    let directory = tempfile::tempdir().unwrap();
    let shelf = Shelf::new(directory.path());
    let (mut seq, mut forgotten) = (0, 0);
    println!("soak of {seconds} s: 1,000,000 users, at most 200,000 profiles, a snapshot after the other");
    for part in 1..=10 {
        let (start, mut times) = (Instant::now(), Times::new());
        while start.elapsed() < Duration::from_millis(seconds * 100) {
            seq += 1;
            bench.snapshot(directory.path(), seq, &mut times);
            shelf.keep(2).unwrap();
            for _ in 0..100 {
                let user = bench.user();
                bench.apply(Event::Forget(user));
                forgotten += 1;
            }
        }
        let resident = resident() >> 20;
        let sizes: Vec<String> = bench.engine.sizes().iter().map(|(name, size)| format!("{name} {size}")).collect();
        println!(" part {part}: resident {resident} MB, {seq} snapshots, {forgotten} forgotten; {}", sizes.join(", "));
        row("apply", &times.apply);
        row("score", &times.score);
    }
    let path = shelf.path(Seq(seq));
    let loaded = load(&path, FINGERPRINT, 2).unwrap();
    assert_eq!(loaded.engine.digest(), loaded.digest, "the last snapshot is what it says");
    assert!(bench.engine.tally().profiles_evicted > 0 && bench.engine.tally().impressions_evicted > 0);
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)?.parse::<u64>().ok()
    };
    if arguments.iter().any(|argument| argument == "--test") {
        run(2_000, 1);
        soak(20);
    } else if let Some(seconds) = number("--soak") {
        soak(seconds);
    } else {
        run(number("--profiles").unwrap_or(1_000_000), 3);
    }
}

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

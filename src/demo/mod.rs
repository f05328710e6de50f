//! The demo: a service on free ports of this machine, and a bidder, a tracker and made-up shoppers that use it over
//! real gRPC. Or, instead of the shoppers, a recorded journey log.
//!
//! *Invariants.* Everything that is shown came over the wire: the demo has no other way to the engine.

/// Says something on standard output. A demo that nobody listens to any more (`| head`) goes on to its end.
macro_rules! say {
    ($($words:tt)*) => {{
        let _ = writeln!(std::io::stdout(), $($words)*);
    }};
}

/// The same, without a new line behind it.
macro_rules! show {
    ($($words:tt)*) => {{
        let _ = write!(std::io::stdout(), $($words)*);
    }};
}

pub mod client;
pub mod journey;
mod shop;
mod shoppers;
mod show;

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, anyhow, bail, ensure};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;
use tokio::sync::oneshot;

use client::Client;
use shoppers::World;
pub use show::segment_report;

use crate::config::{Clock, Config};
use crate::identity::Identity;
use crate::journal;
use crate::pb::v1;
use crate::server::{self, Listeners, Secrets};
use crate::settings::Settings;
use crate::stopwatch::Stopwatch;
use crate::storage::{Directory, Ground};
use crate::units::Span;

/// When the made-up shoppers begin: 2026-06-01, a Monday.
const START_MS: u64 = 1_780_272_000_000;
const HOUR_MS: u64 = 3_600_000;

/// Users get the same keys each time, so that the same events lead to the same state, whose digest can be compared.
const IDENTITY_KEY: [u8; 32] = [0; 32];

/// Whether a directory's users are a demo's: their keys are no secret.
pub fn is_of_a_demo(directory: &Directory) -> bool {
    directory.identity().fingerprint() == Identity::new(IDENTITY_KEY).fingerprint()
}

/// What to play.
#[derive(Debug, Clone)]
pub struct Options {
    /// A journey log to play instead of made-up shoppers.
    pub journey: Option<PathBuf>,
    /// Window of the log's goals.
    pub window: Span,
    /// How many made-up shoppers.
    pub shoppers: usize,
    /// How many days of theirs.
    pub days: u64,
    /// The shoppers' seed.
    pub seed: u64,
    /// Whether the service goes on when all was shown, until it is interrupted.
    pub keep: bool,
    /// Where the service keeps its journal; without one it is a directory for temporary files, deleted at the end.
    pub data: Option<PathBuf>,
}

/// A service in this process.
struct Service {
    grpc: SocketAddr,
    http: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Service {
    /// Starts a service whose clock follows the events, on free loopback ports.
    fn start(settings: Settings, data: &Path) -> anyhow::Result<Service> {
        let directory = Directory::open_or_make_with(data, || IDENTITY_KEY)?;
        ensure!(
            is_of_a_demo(&directory),
            "{}: belongs to a service: made-up shoppers would come among its users; name a directory that does not \
             exist yet, or one of an earlier demo",
            data.display()
        );
        let ground = Ground::stored(&directory, journal::Options::default(), Box::new(|_, _| {}), Arc::new(|_| {}))?;
        let mut config = Config::from_settings(settings);
        config.server.grpc = SocketAddr::from(([127, 0, 0, 1], 0));
        config.server.http = SocketAddr::from(([127, 0, 0, 1], 0));
        config.server.clock = Clock::Events;
        let listeners = Listeners::bind(&config.server, false)?;
        let (grpc, http) = (listeners.grpc()?, listeners.http()?);
        let (stop, stopped) = oneshot::channel();
        let (is_ready, ready) = mpsc::channel();
        let thread = thread::Builder::new().name("inkling-demo-service".to_owned()).spawn(move || {
            let shutdown = async {
                // A dropped sender stops the service as well.
                let _ = stopped.await;
            };
            // Locked until the service has ended.
            let secrets = Secrets::of(&directory);
            server::run(config, ground, secrets, listeners, shutdown, move || {
                let _ = is_ready.send(());
            })
        })?;
        match ready.recv() {
            Ok(()) => Ok(Service { grpc, http, stop, thread }),
            Err(_) => Err(join(thread).err().unwrap_or_else(|| anyhow!("the service ended before it was ready"))),
        }
    }

    fn stop(self) -> anyhow::Result<()> {
        let _ = self.stop.send(());
        join(self.thread)
    }
}

fn join(thread: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    thread.join().map_err(|_| anyhow!("the service's thread panicked"))?
}

/// Starts the service, plays, shows, and stops it again.
///
/// # Errors
/// When the log cannot be read, or the service fails.
pub fn run(options: &Options) -> anyhow::Result<()> {
    match &options.journey {
        None => say!("seed {}: {} made-up shoppers over {} days", options.seed, options.shoppers, options.days),
        Some(path) => say!("{}: looking for its advertisers, goals and actions", path.display()),
    }
    let settings = match &options.journey {
        Some(path) => journey::settings(path, options.window)?,
        None => shop::settings(),
    };
    let temporary = match options.data {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("inkling-demo-").tempdir().context("no temporary directory")?),
    };
    let data = options.data.as_deref().or(temporary.as_ref().map(TempDir::path)).expect("one of the two is there");
    let service = Service::start(settings.clone(), data)?;
    say!("service on gRPC {}, HTTP {}; its clock follows the events", service.grpc, service.http);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let played = runtime.block_on(async {
        let play = async {
            let mut client = Client::connect(service.grpc).await?;
            match &options.journey {
                Some(_) => play_journey(options, &settings, &mut client).await,
                None => play_shop(options, &mut client).await,
            }
        };
        // Interrupted as well, the service is stopped and its temporary directory deleted.
        tokio::select! {
            played = play => played?,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted.context("waiting for Ctrl-C")?;
                bail!("interrupted");
            }
        }
        if options.keep {
            say!("\nThe service goes on at {} until you press Ctrl-C.", service.grpc);
            tokio::signal::ctrl_c().await.context("waiting for Ctrl-C")?;
        }
        anyhow::Ok(())
    });
    // The client's connections live in the runtime: while they are open, the service waits for them.
    drop(runtime);
    let stopped = service.stop();
    played.and(stopped)
}

async fn play_shop(options: &Options, client: &mut Client) -> anyhow::Result<()> {
    let mut world = World::new(options.shoppers, START_MS, options.days, options.seed);
    let started = Stopwatch::start();
    let bids = shop::play(&mut world, client, options.seed).await?;
    let elapsed = started.elapsed();
    say!(
        "{} events of shoppers tracked, among them {} purchases; every opportunity scored over ScoreStream",
        crate::report::table::count(bids.actions as f64),
        crate::report::table::count(bids.purchases as f64),
    );
    show::funnel(client, shop::SHOP).await?;
    show::segments(client, shop::SHOP, shop::GOAL).await?;
    show::actions(client, shop::SHOP, shop::GOAL).await?;
    show::goal(client, shop::SHOP, shop::GOAL).await?;
    show::bands(&bids);
    show_personas(options, client).await?;
    show::traffic(&client.traffic, elapsed);
    Ok(())
}

/// A user everybody can picture: for each visit, how many hours ago it began and what was done in it.
type Persona = (&'static str, &'static [(u64, &'static [&'static str])]);

const PERSONAS: [Persona; 7] = [
    ("a stranger", &[]),
    ("viewed one product 3 h ago", &[(3, &["session_start", "page_view", "view_item", "page_view"])]),
    (
        "viewed 3 ×, yesterday and today",
        &[
            (26, &["session_start", "page_view", "view_item", "view_item", "page_view"]),
            (2, &["session_start", "page_view", "view_item", "page_view"]),
        ],
    ),
    (
        "watched a product video to the end",
        &[(
            5,
            &[
                "session_start",
                "page_view",
                "view_item",
                "video_start",
                "video_25",
                "video_50",
                "video_75",
                "video_complete",
                "page_view",
            ],
        )],
    ),
    (
        "left a full cart 2 h ago",
        &[(2, &["session_start", "page_view", "view_item", "view_item", "view_item", "add_to_cart", "page_view"])],
    ),
    (
        "left the checkout 2 h ago",
        &[
            (30, &["session_start", "page_view", "view_item", "view_item", "page_view"]),
            (2, &["session_start", "page_view", "view_item", "add_to_cart", "page_view", "begin_checkout"]),
        ],
    ),
    (
        "bought yesterday",
        &[(25, &["session_start", "page_view", "view_item", "add_to_cart", "begin_checkout", "purchase"])],
    ),
];

/// Scores the personas, with the reasons in words.
async fn show_personas(options: &Options, client: &mut Client) -> anyhow::Result<()> {
    let now_ms = START_MS + options.days * 24 * HOUR_MS;
    say!("\nSIGNALS for seven users, with the three strongest reasons each");
    let mut market = StdRng::seed_from_u64(options.seed);
    for (number, (who, visits)) in PERSONAS.into_iter().enumerate() {
        let user = format!("persona-{number}");
        for (hours_ago, acts) in visits {
            for (place, action) in acts.iter().enumerate() {
                let at_ms = now_ms - hours_ago * HOUR_MS + place as u64 * 20_000;
                client.track_event(shop::act(&user, at_ms, action, Some(7), None)).await?;
            }
        }
        let request = shop::request(&user, now_ms, &format!("persona-auction-{number}"), &mut market);
        let request = v1::ScoreRequest { reasons_max: 3, words: true, ..request };
        let answer = client.score(request).await?;
        answer.signals.iter().for_each(|signal| show::signal(who, signal));
    }
    Ok(())
}

async fn play_journey(options: &Options, settings: &Settings, client: &mut Client) -> anyhow::Result<()> {
    let path = options.journey.as_ref().context("no journey log given")?;
    let started = Stopwatch::start();
    let lines = journey::play(path, client, |_| {}).await?;
    let elapsed = started.elapsed();
    show::journey(client, &lines).await?;
    for advertiser in &settings.advertisers {
        show::funnel(client, advertiser.id.as_str()).await?;
        for goal in &advertiser.goals {
            show::segments(client, advertiser.id.as_str(), goal.id.as_str()).await?;
            show::actions(client, advertiser.id.as_str(), goal.id.as_str()).await?;
            show::goal(client, advertiser.id.as_str(), goal.id.as_str()).await?;
        }
    }
    show::traffic(&client.traffic, elapsed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shoppers_are_not_made_up_in_the_directory_of_a_service() {
        let place = tempfile::tempdir().unwrap();
        let (real, made_up) = (place.path().join("real"), place.path().join("made-up"));
        assert!(!is_of_a_demo(&Directory::open_or_make(&real).unwrap()));
        let refused = Service::start(shop::settings(), &real).err().unwrap().to_string();
        assert!(refused.contains("belongs to a service") && refused.contains("does not exist yet"), "{refused}");
        assert_eq!(Directory::open(&real).unwrap().journal_files().unwrap(), []);
        for _ in 0..2 {
            Service::start(shop::settings(), &made_up).unwrap().stop().unwrap();
        }
        assert!(is_of_a_demo(&Directory::open(&made_up).unwrap()));
    }
}

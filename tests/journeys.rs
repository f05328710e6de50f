//! The journey reader on real logs, which are not part of this repository: in `../shared/data`, or in the directory
//! that the environment variable `INKLING_DATA` names. Where they are absent, the tests say so and pass.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use inkling::ids::Id;
use inkling::journey::{Discovery, JourneyReader, Line};
use inkling::settings::Settings;
use inkling::units::Span;

/// What a log holds, line by line.
#[derive(Debug, PartialEq, Eq, Default)]
struct Counts {
    actions: u64,
    opportunities: u64,
    impressions: u64,
    conversions: u64,
    users: usize,
}

fn counts(actions: u64, opportunities: u64, conversions: u64, users: usize) -> Counts {
    Counts { actions, opportunities, impressions: opportunities, conversions, users }
}

/// The path of a log, or `None` with a printed reason.
fn find(name: &str) -> Option<PathBuf> {
    let directory = match std::env::var_os("INKLING_DATA") {
        Some(directory) => PathBuf::from(directory),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
    };
    let path = directory.join(name);
    if path.is_file() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there", path.display());
    None
}

fn read(path: &Path) -> (Counts, Settings) {
    let mut counts = Counts::default();
    let mut users: HashSet<Id> = HashSet::new();
    let mut discovery = Discovery::default();
    let mut reader = JourneyReader::open(path).expect("the log was there a moment ago");
    for entry in reader.by_ref() {
        let (_, line) = entry.unwrap_or_else(|error| panic!("{error}"));
        discovery.see(&line).expect("real logs stay within the limits");
        let user = match line {
            Line::Action(action) => (&mut counts.actions, Some(action.user)),
            Line::Opportunity(opportunity) => (&mut counts.opportunities, Some(opportunity.user)),
            Line::Impression(_) => (&mut counts.impressions, None),
            Line::Conversion(conversion) => (&mut counts.conversions, Some(conversion.user)),
        };
        *user.0 += 1;
        users.extend(user.1);
    }
    assert_eq!(reader.bytes_read(), reader.bytes_total());
    counts.users = users.len();
    (counts, discovery.settings(Span::hours(1)))
}

/// Reads a log to its end and compares with what is known of it: counts, advertiser, goal and milestones.
fn check(name: &str, expected: Counts, advertiser: &str, goal: &str, milestones: &[&str]) {
    let Some(path) = find(name) else { return };
    let (counts, settings) = read(&path);
    assert_eq!(counts, expected);
    let [found] = &settings.advertisers[..] else { panic!("{name} has one advertiser") };
    assert_eq!(found.id.as_str(), advertiser);
    let [found] = &found.goals[..] else { panic!("{name} has one goal") };
    assert_eq!(found.id.as_str(), goal);
    assert_eq!(found.milestones.iter().map(Id::as_str).collect::<Vec<_>>(), milestones);
}

#[test]
fn google_store() {
    let milestones = &["session_start", "page_view", "view_item"];
    check("ga4_google_store.ndjson.gz", counts(564_956, 63_362, 4_000, 50_300), "google_store", "purchase", milestones);
}

#[test]
fn trivago() {
    let milestones = &[];
    check("trivago_day1.ndjson.gz", counts(50_729, 156_762, 6_842, 3_454), "hotels", "click_out", milestones);
}

#[test]
fn taobao() {
    let milestones = &["view_item", "add_to_wishlist", "add_to_cart", "purchase"];
    check("taobao_815_users.ndjson.gz", counts(84_440, 57_797, 1_750, 815), "taobao", "purchase", milestones);
}

#[test]
fn jd() {
    let milestones = &["add_to_cart", "purchase"];
    check("jd_computers.ndjson.gz", counts(68_503, 59_698, 151, 1_939), "jd", "purchase", milestones);
}
